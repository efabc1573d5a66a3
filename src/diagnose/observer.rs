//! Gather: what a diagnosis collects while it looks: samples for the engine and the history, and of
//! the living machine the units, the settings and the work of servers.

use crate::core::engine::Engine;
use crate::core::model::process::ProcId;
use crate::core::model::sample::{Header, Sample};
use crate::core::servers::{Server, StatusProtocol, UNKNOWN};
use crate::diagnose;
use crate::diagnose::cut_names::Names;
use crate::diagnose::earlier_series;
use crate::diagnose::earlier_series::{EarlierSeries, Tops};
use crate::diagnose::evidence::config;
use crate::diagnose::evidence::config::RunningServer;
use crate::diagnose::evidence::{unit, work_done};
use crate::diagnose::findings::{Logs, Setup, StatusPage, WorkDone, WorkUnit};
use crate::diagnose::history::SizeHistory;
use crate::diagnose::leak_per_request::Worker;
use crate::diagnose::service;
use crate::diagnose::service::Service;
use crate::diagnose::{Diagnosis, Looked, Observation, ObservedScope, Readings};
use crate::system::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Services for which something is proposed.
const MOST_REMEDIES: usize = 3;
/// Processes whose waits and private memory are read: half a millisecond each.
const MOST_WORKERS: usize = 2000;

/// The engine and what it was shown.
pub(crate) struct LookState {
    engine: Engine,
    history: SizeHistory,
    header: Header,
    programs: BTreeMap<ProcId, String>,
    names: Names,
    last: Sample,
}

impl LookState {
    pub(crate) fn new(engine: Engine, header: &Header) -> Self {
        let (history, last) = (SizeHistory::default(), Sample::default());
        let (programs, names) = (BTreeMap::new(), Names::default());
        Self { engine, history, header: header.clone(), programs, names, last }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes in a sample for the engine alone.
    pub(crate) fn judge(&mut self, sample: &Sample) {
        self.engine.observe(sample);
    }

    /// Takes in a sample.
    pub(crate) fn observe(&mut self, sample: &Sample, live: &mut LiveMachine) {
        self.engine.observe(sample);
        live.see(&self.engine);
        for program in &sample.programs {
            self.names.add(program);
            let comm = sample.procs.iter().find(|proc| proc.id == program.id).map(|p| p.comm);
            // mod_perl names Apache's processes by a path, cut at 15 bytes.
            if comm.is_some_and(|comm| comm.as_bytes().contains(&b'/')) && !program.exe.is_empty() {
                let exe = program.exe.trim_end_matches(" (deleted)");
                let name = exe.rsplit('/').next().unwrap_or(exe).to_owned();
                self.programs.insert(program.id, name);
            }
        }
        let engine = &self.engine;
        let sizes = engine.detector().process_states().map(|standing| {
            (service::top(engine, &live.units, standing), service::own(engine, standing))
        });
        self.history.push(sample, sizes);
        self.last.clone_from(sample);
    }

    /// Of which tree each living process is a part.
    pub(crate) fn tops(&self, live: &LiveMachine) -> Tops {
        let process_states = self.engine.detector().process_states();
        process_states.map(|s| (s.id, service::top(&self.engine, &live.units, s))).collect()
    }

    /// Puts all together.
    pub(crate) fn diagnose(
        &self,
        live: &LiveMachine,
        earlier: &[EarlierSeries],
        mut logs: Logs,
        looked: Looked,
    ) -> Diagnosis {
        self.names.give(&mut logs.log_events);
        let gathered = Observation {
            t: self.last.t,
            engine: &self.engine,
            history: &self.history,
            earlier,
            units: &live.units,
            programs: &self.programs,
            readings: &live.readings,
            memory: self.last.memory,
        };
        let services = service::all(&gathered);
        let remedies: Vec<_> = services
            .iter()
            .filter_map(|service| diagnose::remedy(service, live.setup(service), &live.readings))
            .take(MOST_REMEDIES)
            .collect();
        Diagnosis {
            t: self.last.t,
            host: (self.header.hostname.clone(), machine::description()),
            uptime_s: None,
            scope: ObservedScope::Recording,
            looked: Looked { samples: self.history.samples, ..looked },
            earlier: earlier_series::told(earlier, &services),
            memory: self.last.memory,
            status: diagnose::status(&self.engine, &services),
            services,
            available: earlier_series::available(earlier, self.history.available()),
            ceilings: diagnose::nearest(&self.last),
            memory_failures: self.engine.alarm().memory_failures().copied().collect(),
            logs,
            remedies,
            unseen: live.notes.clone(),
        }
    }
}

/// What is read of the living machine beside samples.
pub(crate) struct LiveMachine {
    procfs: PathBuf,
    units: BTreeMap<ProcId, String>,
    seen: BTreeSet<ProcId>,
    /// By the root of the tree.
    configs: BTreeMap<ProcId, Setup>,
    /// By the root of the tree.
    status_pages: BTreeMap<ProcId, (StatusProtocol, StatusPage)>,
    readings: Vec<Readings>,
    begun_s: f64,
    notes: Vec<String>,
}

/// A master and its workers.
struct PoolWork {
    root: ProcId,
    master: ProcId,
    workers: Vec<(u32, f64)>,
    server: &'static Server,
}

impl LiveMachine {
    pub(crate) fn new(procfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
            units: BTreeMap::new(),
            seen: BTreeSet::new(),
            configs: BTreeMap::new(),
            status_pages: BTreeMap::new(),
            readings: Vec::new(),
            begun_s: 0.0,
            notes: Vec::new(),
        }
    }

    /// Of no living machine: a recording.
    pub(crate) fn none() -> Self {
        Self::new(Path::new("/nonexistent"))
    }

    /// Finds the units of new processes.
    fn see(&mut self, engine: &Engine) {
        for standing in engine.detector().process_states() {
            if self.seen.insert(standing.id)
                && let Some(unit) = unit::of(&self.procfs, standing.id.pid)
            {
                self.units.insert(standing.id, unit);
            }
        }
    }

    /// Reads the settings of servers that are new.
    pub(crate) fn read_setups(&mut self, gather: &LookState) {
        for pool in self.pools(gather) {
            if self.configs.contains_key(&pool.root) {
                continue;
            }
            let (server, master) = (pool.server, pool.master.pid);
            if server.advice.is_none() && server.status.is_none() {
                continue;
            }
            let running = RunningServer::look(&self.procfs, master);
            if server.advice.is_none() {
                let page = config::status_page(server, &running);
                let page = server.status.zip(page);
                self.status_pages.extend(page.map(|page| (pool.root, page)));
                continue;
            }
            // "php-fpm: pool www"
            let largest = pool.workers.iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let title = largest.map(|(pid, _)| RunningServer::look(&self.procfs, *pid).args);
            let title = title.and_then(|args| args.into_iter().next()).unwrap_or_default();
            let name = title.strip_prefix(server.pool_title).unwrap_or_default().trim();
            match config::read(server, &running, name) {
                Some(setup) => {
                    let page = server.status.zip(setup.status.clone());
                    self.status_pages.extend(page.map(|page| (pool.root, page)));
                    self.configs.insert(pool.root, setup);
                }
                None => self.notes.push(format!(
                    "the configuration of {} (process {master}) was not found or may not be read; run as root",
                    server.name
                )),
            }
        }
    }

    /// Further logs that servers write.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &str> {
        self.configs.values().flat_map(|setup| setup.logs.iter().map(String::as_str))
    }

    /// Reads how much work was done when the look begins.
    pub(crate) fn begin(&mut self, gather: &LookState, uptime_s: f64) {
        self.begun_s = uptime_s;
        for pool in self.pools(gather) {
            let (work, _) = self.work(&pool, None);
            let before = self.workers(&pool, &work);
            self.readings.push(Readings {
                root: pool.root,
                master: pool.master,
                unit: work.unit,
                source: work.source,
                before,
                after: Vec::new(),
                span_s: 0.0,
                per_connection: None,
                master_own: 0.0,
            });
        }
    }

    /// And how much when it ends.
    pub(crate) fn end(&mut self, gather: &LookState, uptime_s: f64) {
        let span_s = uptime_s - self.begun_s;
        let mut readings = Vec::new();
        for pool in self.pools(gather) {
            let known = self.readings.iter().find(|r| r.master == pool.master);
            let (work, note) = self.work(&pool, known.map(|r| r.unit));
            let after = self.workers(&pool, &work);
            let same = known.filter(|r| r.unit == work.unit);
            let before = same.filter(|_| span_s >= 1.0).map(|r| r.before.clone());
            let per_connection = work
                .totals
                .map(|(requests, connections)| requests as f64 / (connections as f64).max(1.0));
            let master = gather.engine.detector().process_state(pool.master);
            let mut reading = Readings {
                root: pool.root,
                master: pool.master,
                unit: work.unit,
                source: work.source,
                before: before.unwrap_or_default(),
                after,
                span_s,
                per_connection,
                master_own: master.map_or(0.0, |master| master.footprint as f64),
            };
            if self.closes_after_each_request(&pool)
                && let Some(per_s) = work_done::closed_per_s(&self.procfs, pool.master.pid, span_s)
            {
                reading.count_requests(per_s);
            }
            readings.push(reading);
            self.notes.extend(note);
        }
        // Of several masters in a tree, the one with the most workers is what the tree is for.
        readings.sort_by_key(|r| std::cmp::Reverse(r.after.len()));
        self.readings = readings;
    }

    /// Whether a connection to it carries one request: where that is not so, connections say little.
    fn closes_after_each_request(&self, pool: &PoolWork) -> bool {
        let advice = self.configs.get(&pool.root).and_then(|setup| setup.server.advice);
        advice.is_some_and(|advice| advice.one_request_per_connection)
    }

    /// The work of a pool, in requests if its server tells them.
    fn work(&self, pool: &PoolWork, unit: Option<WorkUnit>) -> (WorkDone, Option<String>) {
        let waits = || {
            let pids = pool.workers.iter().take(MOST_WORKERS).map(|(pid, _)| *pid);
            work_done::waits(&self.procfs, pids)
        };
        if unit == Some(WorkUnit::Waits) {
            return (waits(), None);
        }
        let Some((protocol, page)) = self.status_pages.get(&pool.root) else {
            return (waits(), None);
        };
        match work_done::ask(*protocol, page) {
            Ok(work) => (work, None),
            Err(why) => {
                let note = format!(
                    "the status page of {}: {why}; its work is told by waits",
                    pool.server.name
                );
                (waits(), Some(note))
            }
        }
    }

    fn workers(&self, pool: &PoolWork, work: &WorkDone) -> Vec<Worker> {
        let of = |(pid, own): &(u32, f64)| {
            let (_, done) = work.done.iter().find(|(of, _)| of == pid)?;
            let private = work_done::private(&self.procfs, *pid);
            Some(Worker {
                pid: *pid,
                own: private.map_or(*own, |bytes| bytes as f64),
                done: *done as f64,
            })
        };
        pool.workers.iter().take(MOST_WORKERS).filter_map(of).collect()
    }

    /// The settings of a service's server.
    fn setup(&self, service: &Service) -> Option<&Setup> {
        service.roots.iter().find_map(|root| self.configs.get(root))
    }

    /// Masters with their workers, those with most of them first.
    fn pools(&self, gather: &LookState) -> Vec<PoolWork> {
        let engine = &gather.engine;
        let (detector, eligibility) = (engine.detector(), engine.policy().eligibility());
        let mut pools: Vec<PoolWork> = Vec::new();
        for standing in detector.process_states() {
            let parent = standing.parent.and_then(|parent| detector.process_state(parent));
            let Some(parent) = parent.filter(|p| service::is_worker(engine, standing, p)) else {
                continue;
            };
            let server = eligibility.server(standing.id).unwrap_or(&UNKNOWN);
            let worker = (standing.id.pid, service::own(engine, standing));
            match pools.iter_mut().find(|pool| pool.master == parent.id) {
                Some(pool) => pool.workers.push(worker),
                None => pools.push(PoolWork {
                    root: service::top(engine, &self.units, standing),
                    master: parent.id,
                    workers: vec![worker],
                    server,
                }),
            }
        }
        pools.sort_by_key(|pool| std::cmp::Reverse(pool.workers.len()));
        pools
    }
}
