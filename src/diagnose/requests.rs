//! Requests: which request leaks. During a look the heaps of a server's workers are counted every few
//! seconds, and what they served meanwhile is read from its access log.

use crate::core::model::process::ProcId;
use crate::core::requests::{Answer, Ledger};
use crate::core::servers::Server;
use crate::diagnose::evidence::access::{LogNature, LogReading, NumberedLogs, Served, held_by};
use crate::diagnose::grouping::Master;
use crate::diagnose::services::service::ServiceVerdict;
use crate::system::heap_census::{CensusHelper, CensusTarget, Refusal};
use crate::system::{proc, wait};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Servers that are watched, those that hold most; and workers of each, the largest.
const MOST_SERVERS: usize = 3;
const MOST_WORKERS: usize = 6;
/// Workers whose lines are understood.
const MOST_PIDS: usize = 2000;
/// Looks in all, and seconds between two.
const LOOKS: f64 = 24.0;
const INTERVAL_S: (f64, f64) = (1.0, 5.0);
/// The share of its time that counting heaps may take: that much of one processor.
const SHARE: f64 = 0.05;

/// What was found of the requests of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestFinding {
    /// The root of its service.
    pub root: ProcId,
    /// The server.
    pub server: &'static Server,
    /// The logs that its processes write, the largest first.
    pub logs: Vec<String>,
    /// Those of them that have requests, and no pids.
    pub without_pid: Vec<String>,
    /// Whether one of them names pids.
    pub nature: LogNature,
    /// Requests that were seen.
    pub requests: u64,
    /// Which of them leaks.
    pub answer: Answer,
}

impl RequestFinding {
    /// Whether it is worth having its server log pids, for a service with that verdict.
    pub fn wants_pid(&self, verdict: ServiceVerdict) -> bool {
        use ServiceVerdict::{Suspect, Warming, WithLoad};
        let may_leak = verdict.accuses() || matches!(verdict, Suspect | Warming | WithLoad);
        may_leak && self.nature != LogNature::WithPid
    }
}

/// A server that is watched.
struct WatchedServer {
    root: ProcId,
    master: ProcId,
    server: &'static Server,
    /// Each log, and what it was found to be.
    logs: Vec<(String, LogNature)>,
    workers: Vec<CensusTarget>,
    /// The workers' pids by those that they have in their own pid namespace.
    pids: BTreeMap<u32, u32>,
    ledger: Ledger,
    is_over: bool,
    /// Whether it logged more than is read at once.
    is_behind: bool,
}

/// The servers that are watched.
#[derive(Default)]
pub(super) struct Requests {
    procfs: PathBuf,
    watched: Vec<WatchedServer>,
    logs: Option<NumberedLogs>,
    helper: CensusHelper,
    due_s: f64,
    interval_s: f64,
    /// Why logs could not be read.
    failed: Option<String>,
}

impl Requests {
    /// Chooses the servers, and begins to follow their logs; the look takes so many seconds.
    pub(super) fn start(&mut self, procfs: &Path, masters: &[Master], look_s: f64) {
        self.procfs = procfs.to_owned();
        self.interval_s = (look_s / LOOKS).clamp(INTERVAL_S.0, INTERVAL_S.1);
        let held = |master: &&Master| master.workers.iter().map(|(_, own)| own).sum::<f64>();
        let mut masters: Vec<&Master> =
            masters.iter().filter(|master| master.server.advice.is_some()).collect();
        masters.sort_by(|a, b| held(b).total_cmp(&held(a)));
        let mut logs = Vec::new();
        for master in masters.into_iter().take(MOST_SERVERS) {
            let workers = largest(master).into_iter().take(MOST_WORKERS);
            let held = held_by(procfs, std::iter::once(master.id.pid).chain(workers));
            let Some(open) = held else { continue };
            self.watched.push(WatchedServer {
                root: master.root,
                master: master.id,
                server: master.server,
                logs: open.iter().map(|log| (log.name.clone(), LogNature::Unknown)).collect(),
                workers: Vec::new(),
                pids: BTreeMap::new(),
                ledger: Ledger::default(),
                is_over: open.is_empty(),
                is_behind: false,
            });
            logs.push(open);
        }
        if self.watched.iter().all(|watched| watched.is_over) {
            return;
        }
        match NumberedLogs::follow(logs) {
            Ok(logs) => self.logs = Some(logs),
            Err(why) => self.end(why),
        }
    }

    /// Whether it is time for a look.
    pub(super) fn is_due(&self) -> bool {
        let is_watching = self.watched.iter().any(|watched| !watched.is_over);
        is_watching && wait::awake_s() >= self.due_s
    }

    /// Looks at the workers of each, and at what they served.
    pub(super) fn look(&mut self, masters: &[Master], go_on: &mut dyn FnMut() -> bool) {
        let Some(logs) = &mut self.logs else { return };
        let logs_pid = logs.pid();
        let pids = |helper: &CensusHelper| helper.pid().into_iter().chain([logs_pid]).collect();
        let before: Vec<u32> = pids(&self.helper);
        let (from_s, used_s) = (wait::awake_s(), wait::processor_s(&before));
        let mut failed = None;
        for (number, watched) in self.watched.iter_mut().enumerate().filter(|(_, w)| !w.is_over) {
            if let Some(master) = masters.iter().find(|master| master.id == watched.master) {
                watched.take_workers(&self.procfs, master);
                let read = &mut |pids| logs.read(number, pids);
                failed = watched.look(&mut self.helper, read, go_on).err().or(failed);
            }
        }
        let now_s = wait::awake_s();
        // Not the time that passed: beside two busy loops on two processors, of 24 looks in 45 s at three
        // servers of three workers three were taken then.
        let is_same = before == pids(&self.helper);
        let used_s = used_s.zip(wait::processor_s(&before)).filter(|_| is_same);
        let cost_s = used_s.map_or(now_s - from_s, |(before, after)| after - before);
        self.due_s = now_s.max(from_s + self.interval_s).max(from_s + cost_s / SHARE);
        if let Some(why) = failed {
            self.end(why);
        }
    }

    fn end(&mut self, why: String) {
        self.watched.iter_mut().for_each(|watched| watched.is_over = true);
        self.failed = Some(why);
    }

    /// What was found.
    pub(super) fn findings(&self) -> Vec<RequestFinding> {
        let of = |watched: &WatchedServer| RequestFinding {
            root: watched.root,
            server: watched.server,
            logs: watched.logs.iter().map(|(name, _)| name.clone()).collect(),
            without_pid: watched.without_pid(),
            nature: watched.nature(),
            requests: watched.ledger.requests(),
            answer: watched.ledger.answer(),
        };
        self.watched.iter().map(of).collect()
    }

    /// What was not read.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let behind = self
            .watched
            .iter()
            .filter(|watched| watched.is_behind)
            .map(|watched| format!("{} logs more than is read at once", watched.server.name));
        let failed = self.failed.iter().map(|why| format!("access logs could not be read: {why}"));
        behind.chain(failed).map(|why| format!("{why}: which request leaks is not known there"))
    }
}

impl WatchedServer {
    /// Takes on the workers that there are now: those that were watched as long as they live, then the
    /// largest.
    fn take_workers(&mut self, procfs: &Path, master: &Master) {
        self.workers.retain(|subject| {
            CensusTarget::of(subject.id().pid).is_ok_and(|now| now.id() == subject.id())
        });
        let all = largest(master);
        for pid in &all {
            if self.workers.len() >= MOST_WORKERS {
                break;
            }
            if !self.workers.iter().any(|subject| subject.id().pid == *pid) {
                self.workers.extend(CensusTarget::of(*pid));
            }
        }
        self.pids.retain(|_, pid| all.contains(pid));
        for pid in all.into_iter().take(MOST_PIDS) {
            if !self.pids.values().any(|known| *known == pid) {
                self.pids.insert(proc::innermost_pid(procfs, pid).unwrap_or(pid), pid);
            }
        }
    }

    /// Counts the heap of each worker, and right after it what was served: so both tell of the same
    /// requests.
    fn look(
        &mut self,
        helper: &mut CensusHelper,
        read: &mut dyn FnMut(Vec<u32>) -> Result<LogReading, String>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        for nth in 0..self.workers.len() {
            let Some(subject) = self.workers.get(nth).filter(|_| go_on()) else { break };
            let id = subject.id();
            let census = match helper.census(subject, go_on) {
                Ok(census) => Some(census),
                Err(Refusal::Gone | Refusal::NoMemory) => None,
                Err(_) => {
                    self.is_over = true;
                    break;
                }
            };
            let t = wait::awake_s();
            let reading = read(self.pids.keys().copied().collect())?;
            for ((_, known), nature) in self.logs.iter_mut().zip(&reading.natures) {
                *known = (*known).max(*nature);
            }
            self.serve(reading.served);
            if let Some(census) = census.filter(|census| !census.is_about()) {
                self.ledger.look(id, t, census.in_use);
            }
            if reading.is_behind {
                self.ledger = Ledger::default();
                (self.is_over, self.is_behind) = (true, true);
                break;
            }
        }
        // Nothing to match the heaps with.
        self.is_over |= self.nature() == LogNature::WithoutPid;
        Ok(())
    }

    /// The best that one of its logs was found to be.
    fn nature(&self) -> LogNature {
        self.logs.iter().map(|(_, nature)| *nature).max().unwrap_or_default()
    }

    fn without_pid(&self) -> Vec<String> {
        let without = self.logs.iter().filter(|(_, nature)| *nature == LogNature::WithoutPid);
        without.map(|(name, _)| name.clone()).collect()
    }

    fn serve(&mut self, served: Vec<Served>) {
        for Served { pid, request, count } in served {
            let pid = self.pids.get(&pid);
            let subject = self.workers.iter().find(|subject| Some(&subject.id().pid) == pid);
            if let Some(subject) = subject {
                self.ledger.serve(subject.id(), &request, count);
            }
        }
    }
}

/// The pids of a master's workers, those that hold most first.
fn largest(master: &Master) -> Vec<u32> {
    let mut workers: Vec<_> = master.workers.iter().collect();
    workers.sort_by_key(|(_, own)| Reverse(*own as u64));
    workers.into_iter().map(|(pid, _)| *pid).collect()
}
