//! Which of the processes that exist the selection means.

use super::reader::SampleReader;
use crate::core::model::process::{Comm, ProcId};
use crate::system::origin::{OriginNames, cgroup_path};
use crate::system::proc::parent_of;
use crate::system::proc::parse::{self, Stat};
use crate::system::proc::select::ProcessToMatch;
use crate::system::proc::watched::{KnownProcess, YOUNG_LOOKS};
use anyhow::Result;

impl SampleReader {
    /// Brings the known processes up to date with the pids that exist now.
    pub(super) fn discover(&mut self, last_pid: Option<u64>) -> Result<(), rustix::io::Errno> {
        let Self { proc, pids, watched, tick, own, .. } = self;
        let is_complete = pids.list(proc, &mut watched.known, last_pid, *tick, *own)?;
        let first = self.pids.pids.first();
        if self.tick == 1 && first.is_some_and(|pid| *pid != 1) {
            self.notes.push(
                "process 1 cannot be seen: other users' processes are hidden (hidepid) or this is a container\n  hint: outside it, and with CAP_SYS_PTRACE, all of them are seen".to_owned(),
            );
        }
        let mut changed = false;
        for index in 0..self.pids.pids.len() {
            let Some(&pid) = self.pids.pids.get(index) else { break };
            changed |= self.look(pid);
        }
        if self.tick == 1 && self.matched().next().is_none() {
            self.hint_at_titles();
        }
        if is_complete {
            self.watched.forget_unlisted(self.tick);
        }
        if changed || self.watched.is_to_rank(self.tick) {
            let is_by_origin = self.selection.is_by_origin();
            self.watched.select_watched(&self.proc, self.tick, is_by_origin, &mut self.notes);
        }
        Ok(())
    }

    /// Where no name matches: whether command lines would. A server in Python or Ruby has the name of
    /// its interpreter.
    fn hint_at_titles(&mut self) {
        let own = own_chain();
        let pids = self.pids.pids.iter().filter(|pid| !own.contains(pid));
        let count = pids.filter(|pid| self.selection.matches_title(&self.title(**pid))).count();
        if count > 0 {
            let (lines, them) =
                if count == 1 { ("command line", "it") } else { ("command lines", "them") };
            self.notes.push(format!(
                "no process has such a name, but {count} {lines} would match\n  hint: add -f to match {them}"
            ));
        }
    }

    /// Looks at one pid; true when that changed what may have to be watched.
    fn look(&mut self, pid: u32) -> bool {
        let tick = self.tick;
        if let Some(known) = self.watched.known.get_mut(&pid) {
            known.tick = tick;
            if !known.is_due(pid, tick) {
                return false;
            }
            known.looks = known.looks.saturating_add(1);
        }
        if self.left_out.has(&self.proc, pid) {
            return false;
        }
        let mut buffer = [0; 1024];
        let Some(stat) = self.proc.read(pid, "stat", &mut buffer).ok().and_then(Stat::parse) else {
            return false;
        };
        let comm = Comm::new(stat.comm);
        let known = self.watched.known.get(&pid).filter(|k| k.id.start == stat.start);
        // Under -f a title may change without the name changing, and a new process is moved to its
        // unit; a young one is asked again.
        let asked = known.filter(|k| k.comm == comm && (k.matched || k.looks > YOUNG_LOOKS));
        let matched = match asked {
            Some(known) => known.matched,
            None => self.matches(pid, &stat),
        };
        let before = self.watched.known.get(&pid).filter(|k| k.id.start == stat.start);
        let same = before.is_some_and(|k| k.comm == comm && k.matched == matched);
        let looks = before.map_or(0, |k| k.looks);
        let (uid, owner_looks) = before.map_or((None, 0), |k| (k.uid, k.owner_looks));
        let id = ProcId { pid, start: stat.start };
        let known = KnownProcess {
            tick,
            looks,
            matched,
            uid,
            owner_looks,
            ..KnownProcess::new(id, comm, &stat)
        };
        self.watched.known.insert(pid, known);
        !same
    }

    fn matches(&mut self, pid: u32, stat: &Stat<'_>) -> bool {
        let id = ProcId { pid, start: stat.start };
        if self.watched.is_excluded(pid, stat.ppid) || stat.is_kernel_thread() {
            return false;
        }
        let origin = self.origin_names(pid);
        self.selection.matches(&ProcessToMatch {
            // A pid names the process that has it when leakwatch starts, not one that gets it later.
            pid: self.left_out.may_mean(id, self.tick == 1).then_some(pid),
            comm: stat.comm.get(..Comm::MAX).unwrap_or(stat.comm),
            cmdline: &|| self.title(pid).into_bytes(),
            exe: &|| {
                let exe = self.exe(pid);
                exe.rsplit('/').next().unwrap_or_default().trim_end_matches(" (deleted)").into()
            },
            euid: &|| {
                let mut buffer = [0; 2048];
                let text = self.proc.read(pid, "status", &mut buffer).ok()?;
                Some(parse::uids(text)?.effective)
            },
            origin,
        })
    }

    /// The units and containers of a process, where the selection asks for them.
    fn origin_names(&mut self, pid: u32) -> OriginNames {
        if !self.selection.is_by_origin() {
            return OriginNames::default();
        }
        let mut buffer = [0; 4096];
        let text = self.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default();
        self.origins.names_of(cgroup_path(&String::from_utf8_lossy(text)))
    }

    /// The command line, arguments joined by blanks.
    pub(super) fn title(&self, pid: u32) -> String {
        let mut buffer = [0; 4096];
        let text = self.proc.read(pid, "cmdline", &mut buffer).unwrap_or_default();
        let joined: Vec<u8> = text.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        String::from_utf8_lossy(joined.trim_ascii_end()).into_owned()
    }

    /// The path of the executable; empty where it may not be read.
    pub(super) fn exe(&self, pid: u32) -> String {
        self.proc.link(pid, "exe").unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// This process and its ancestors: neither `leakwatch --pattern .` nor the `sudo` and the shell
/// that started it may ever be its victims.
pub(super) fn own_chain() -> Vec<u32> {
    let mut chain = vec![std::process::id()];
    while let Some(&pid) = chain.last()
        && pid > 1
        && let Some(parent) = parent_of(pid)
        && !chain.contains(&parent)
    {
        chain.push(parent);
    }
    chain
}
