//! Observer: takes in the samples of a diagnosis, and on a living machine also the units, the settings
//! and the work of servers.
//!
//! On a living machine the phases are `before` (the first sample is there: settings are read), `start`
//! (work is read), samples, `finish` (settings of new servers and work are read). A recording has
//! samples only.

use super::heaps::Heaps;
use super::live_servers::LiveServers;
use super::requests::Requests;
use crate::core::engine::Engine;
use crate::core::model::process::{ProcId, Program};
use crate::core::model::sample::{Header, Sample};
use crate::core::piles::Piles;
use crate::diagnose;
use crate::diagnose::cut_names::Names;
use crate::diagnose::earlier::series::{EarlierSeries, SeriesSummary, ServiceRoots, available};
use crate::diagnose::evidence::logs::ServerLog;
use crate::diagnose::findings::Logs;
use crate::diagnose::grouping::{bytes_beyond_parent, masters, service_root};
use crate::diagnose::left_behind::LeftBehind;
use crate::diagnose::services::assemble::Observation;
use crate::diagnose::services::service::Service;
use crate::diagnose::size_history::TreeSizes;
use crate::diagnose::{Diagnosis, Looked, ObservedScope};
use crate::system::origin::Origins;
use crate::system::{machine, proc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Services for which something is proposed.
const MOST_REMEDIES: usize = 3;

/// Ended processes whose units are kept at least.
const MOST_ENDED: usize = 1000;

/// Takes in samples, and on a living machine what belongs to them.
pub(crate) struct Observer {
    engine: Engine,
    history: TreeSizes,
    header: Header,
    last: Sample,
    /// The names of executables whose processes' own names are no help.
    programs: BTreeMap<ProcId, String>,
    names: Names,
    /// The procfs of a living machine.
    procfs: Option<PathBuf>,
    seen: BTreeSet<ProcId>,
    units: BTreeMap<ProcId, String>,
    origins: Origins,
    servers: LiveServers,
    heaps: Heaps,
    requests: Requests,
}

impl Observer {
    /// Of a living machine.
    pub(crate) fn live(engine: Engine, header: &Header, procfs: &Path) -> Self {
        let (origins, servers) = (Origins::new(procfs), LiveServers::new(procfs));
        let procfs = Some(procfs.to_owned());
        Self { procfs, servers, origins, ..Self::recorded(engine, header) }
    }

    /// Of a recording.
    pub(crate) fn recorded(engine: Engine, header: &Header) -> Self {
        Self {
            engine,
            history: TreeSizes::default(),
            header: header.clone(),
            last: Sample::default(),
            programs: BTreeMap::new(),
            names: Names::default(),
            procfs: None,
            seen: BTreeSet::new(),
            units: BTreeMap::new(),
            origins: Origins::new(Path::new("/proc")),
            servers: LiveServers::default(),
            heaps: Heaps::default(),
            requests: Requests::default(),
        }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to be told what was done.
    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The last sample.
    pub(crate) fn last(&self) -> &Sample {
        &self.last
    }

    /// The machine's name.
    pub(crate) fn host(&self) -> &str {
        &self.header.hostname
    }

    /// Takes in a sample for the engine alone, where no diagnosis follows.
    pub(crate) fn judge(&mut self, sample: &Sample) {
        self.engine.observe(sample);
    }

    /// Takes in a sample.
    pub(crate) fn observe(&mut self, sample: &Sample) {
        self.engine.observe(sample);
        self.find_units();
        for program in &sample.programs {
            self.names.add(program);
            let state = self.engine.detector().process_state(program.id);
            let comm = state.map(|state| state.comm);
            // mod_perl names Apache's processes by a path, cut at 15 bytes.
            if comm.is_some_and(|comm| comm.as_bytes().contains(&b'/')) && !program.exe.is_empty() {
                self.programs.insert(program.id, executable(program));
            }
        }
        let (engine, units) = (&self.engine, &self.units);
        let states = engine.detector().process_states();
        let sizes =
            states.map(|s| (service_root(engine, units, s), bytes_beyond_parent(engine, s)));
        self.history.push(sample, sizes);
        self.last.clone_from(sample);
    }

    /// Finds the units of new processes.
    fn find_units(&mut self) {
        if self.procfs.is_none() {
            return;
        }
        self.forget_ended();
        for state in self.engine.detector().process_states() {
            if self.seen.insert(state.id)
                && let Some(unit) = self.origins.unit(state.id.pid)
            {
                self.units.insert(state.id, unit);
            }
        }
    }

    /// Forgets processes that ended once they are more than those that live: a live view runs for days.
    fn forget_ended(&mut self) {
        let detector = self.engine.detector();
        if self.seen.len() > 2 * detector.process_states().count() + MOST_ENDED {
            let lives = |id: &ProcId| detector.process_state(*id).is_some();
            self.seen.retain(lives);
            self.units.retain(|id, _| lives(id));
            self.programs.retain(|id, _| lives(id));
        }
    }

    /// The root of the service that each living process belongs to.
    pub(crate) fn service_roots(&self) -> ServiceRoots {
        let states = self.engine.detector().process_states();
        states.map(|s| (s.id, service_root(&self.engine, &self.units, s))).collect()
    }

    /// Reads the settings of servers after the first sample.
    pub(crate) fn before(&mut self, go_on: &mut dyn FnMut() -> bool) {
        self.servers.see(masters(&self.engine, &self.units), go_on);
    }

    /// Further logs that servers write, by their settings.
    pub(crate) fn logs(&self) -> impl Iterator<Item = ServerLog> {
        self.servers.logs()
    }

    /// Reads how much work workers have done, right before the samples that are watched.
    pub(crate) fn start(&mut self, uptime_s: f64, go_on: &mut dyn FnMut() -> bool) {
        self.servers.start(uptime_s, go_on);
    }

    /// Chooses the processes whose heaps are looked at; of another pid namespace there are none.
    pub(crate) fn choose_heaps(&mut self) {
        if self.procfs.as_deref().is_some_and(proc::is_own) {
            let states = self.engine.detector().process_states();
            let (engine, units) = (&self.engine, &self.units);
            self.heaps.choose(states.map(|state| (service_root(engine, units, state), state)));
        }
    }

    /// Looks at them once more.
    pub(crate) fn look_at_heaps(&mut self, go_on: &mut dyn FnMut() -> bool) {
        self.heaps.look(go_on);
    }

    /// Chooses the servers whose requests are watched for so many seconds.
    pub(crate) fn watch_requests(&mut self, look_s: f64) {
        if let Some(procfs) = self.procfs.as_deref().filter(|procfs| proc::is_own(procfs)) {
            self.requests.start(procfs, &masters(&self.engine, &self.units), look_s);
        }
    }

    /// Looks at their workers and at what those served, if it is time for that.
    pub(crate) fn look_at_requests(&mut self, go_on: &mut dyn FnMut() -> bool) {
        if self.requests.is_due() {
            self.requests.look(&masters(&self.engine, &self.units), go_on);
        }
    }

    /// Reads it again after them, and the settings of servers that are new.
    pub(crate) fn finish(&mut self, uptime_s: f64, go_on: &mut dyn FnMut() -> bool) {
        self.servers.see(masters(&self.engine, &self.units), go_on);
        self.servers.finish(uptime_s, go_on);
    }

    /// Reads the settings again as each diff makes them, and takes back those that do not hold.
    pub(crate) fn verify(&self, diagnosis: &mut Diagnosis, go_on: &mut dyn FnMut() -> bool) {
        let Diagnosis { services, remedies, .. } = diagnosis;
        for remedy in remedies {
            let is_of = |service: &&Service| {
                service.name == remedy.service && service.roots.first() == remedy.root.as_ref()
            };
            if let Some(service) = services.iter().find(is_of) {
                self.servers.verify(service, remedy, go_on);
            }
        }
        self.add_log_formats(diagnosis, go_on);
    }

    /// Proposes to log pids where that would tell which request leaks.
    fn add_log_formats(&self, diagnosis: &mut Diagnosis, go_on: &mut dyn FnMut() -> bool) {
        let mut more = Vec::new();
        for service in &diagnosis.services {
            let Some(found) = diagnosis.requests_of(service) else { continue };
            let mut before = diagnosis.remedies.iter().filter(|remedy| remedy.bounds());
            let before = before.find(|remedy| remedy.root.as_ref() == service.roots.first());
            if found.wants_pid(service.verdict) && go_on() {
                more.extend(self.servers.pid_in_log(service, before, &found.without_pid, go_on));
            }
        }
        diagnosis.remedies.extend(more);
    }

    /// What processes leave behind, by these listings.
    pub(crate) fn left_behind(&mut self, piles: &Piles) -> LeftBehind {
        let Some(procfs) = &self.procfs else { return LeftBehind::default() };
        let origins = &mut self.origins;
        LeftBehind::of(piles, &self.engine, &self.last, procfs, |id| origins.unit(id.pid))
    }

    /// The services by the samples so far, the most urgent first.
    pub(crate) fn services(&self) -> Vec<Service> {
        self.observation(&[]).services()
    }

    fn observation<'a>(&'a self, earlier: &'a [EarlierSeries]) -> Observation<'a> {
        Observation {
            t: self.last.t,
            engine: &self.engine,
            history: &self.history,
            earlier,
            units: &self.units,
            programs: &self.programs,
            readings: self.servers.readings(),
        }
    }

    /// Puts all together.
    pub(crate) fn diagnose(
        &self,
        earlier: &[EarlierSeries],
        mut logs: Logs,
        looked: Looked,
    ) -> Diagnosis {
        self.names.give(&mut logs.log_events);
        let readings = self.servers.readings();
        let services = self.observation(earlier).services();
        let remedies = services
            .iter()
            .filter_map(|service| diagnose::remedy(service, self.servers.setup(service), readings))
            .take(MOST_REMEDIES)
            .collect();
        Diagnosis {
            t: self.last.t,
            host: (self.header.hostname.clone(), machine::description()),
            uptime_s: None,
            scope: ObservedScope::Recording,
            looked: Looked { samples: self.history.samples, ..looked },
            earlier: summaries(earlier, &services),
            memory: self.last.memory,
            status: diagnose::status(&self.engine, &services),
            services,
            available: available(earlier, self.history.available()),
            ceilings: diagnose::nearest(&self.last),
            memory_failures: self.engine.alarm().memory_failures().copied().collect(),
            logs,
            heaps: self.heaps.findings(),
            requests: self.requests.findings(),
            remedies,
            left_behind: LeftBehind::default(),
            sheet: None,
            cgroups: Vec::new(),
            unseen: self.unseen(),
        }
    }

    /// What could not be seen.
    fn unseen(&self) -> Vec<String> {
        let servers = self.servers.notes().iter().cloned();
        servers.chain(self.heaps.notes()).chain(self.requests.notes()).collect()
    }
}

/// The name of a program's executable.
fn executable(program: &Program) -> String {
    let exe = program.exe.trim_end_matches(" (deleted)");
    exe.rsplit('/').next().unwrap_or(exe).to_owned()
}

/// What a report says of the series, each with the number of services that it judged.
fn summaries(all: &[EarlierSeries], services: &[Service]) -> Vec<SeriesSummary> {
    let summary = |(index, series): (usize, &EarlierSeries)| {
        let seen = services.iter().filter_map(|service| service.earlier);
        let judged = seen.filter(|earlier| earlier.index == index).count() as u32;
        SeriesSummary { judged, ..series.summary().clone() }
    };
    all.iter().enumerate().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::{Comm, Proc};
    use crate::core::model::sample::Memory;
    use crate::diagnose::earlier::histories::judge;
    use crate::diagnose::findings::WorkUnit;
    use std::fs;

    const MIB: u64 = 1 << 20;

    fn proc(pid: u32, ppid: u32, comm: &str, mib: u64) -> Proc {
        let (id, comm) = (ProcId { pid, start: 1 }, Comm::new(comm.as_bytes()));
        let bytes = mib * MIB;
        Proc { id, ppid, comm, rss: bytes, anon: Some(bytes), swap: 0, cpu_s: 0.0, threads: 1 }
    }

    /// A master 10 of two workers, of which 12 starts a job 20, beside a lone process 30.
    fn sample(t: f64) -> Sample {
        let procs = vec![
            proc(10, 1, "app", 50),
            proc(11, 10, "app", 60),
            proc(12, 10, "app", 70),
            proc(20, 12, "job", 5),
            proc(30, 1, "db", 300),
        ];
        let memory = Memory { total: 1000 * MIB, available: 500 * MIB, ..Memory::default() };
        Sample { t, uptime_s: Some(t), memory, procs, ..Sample::default() }
    }

    /// A procfs with the cgroup of each process and how often the workers have waited.
    fn procfs(dir: &Path, waits: u64) {
        for (pid, unit) in [(10, "app"), (11, "app"), (12, "app"), (20, "app"), (30, "db")] {
            let task = dir.join(format!("{pid}/task/{pid}"));
            fs::create_dir_all(&task).unwrap();
            let cgroup = format!("0::/system.slice/{unit}.service\n");
            fs::write(dir.join(format!("{pid}/cgroup")), cgroup).unwrap();
            let status = format!("voluntary_ctxt_switches:\t{waits}\n");
            fs::write(task.join("status"), status).unwrap();
        }
    }

    fn header() -> Header {
        Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: "vps1".to_owned() }
    }

    fn diagnosis(observer: &Observer) -> Diagnosis {
        observer.diagnose(&[], Logs::default(), Looked::default())
    }

    #[test]
    fn the_processes_of_a_unit_are_one_service_whose_workers_share_their_masters_memory() {
        let dir = tempfile::tempdir().unwrap();
        procfs(dir.path(), 0);
        let mut observer = Observer::live(Engine::new(&header(), judge()), &header(), dir.path());
        observer.observe(&sample(1.0));
        let services = diagnosis(&observer).services;
        let sizes: Vec<_> =
            services.iter().map(|s| (s.name.as_str(), s.size as u64 / MIB)).collect();
        // Of 60 and 70 MiB the workers have 10 and 20 to themselves.
        assert_eq!(sizes, [("db.service", 300), ("app.service", 50 + 10 + 20 + 5)]);
        assert_eq!((services[1].processes, services[1].workers), (4, 3));
    }

    #[test]
    fn work_is_the_difference_between_start_and_finish() {
        let dir = tempfile::tempdir().unwrap();
        procfs(dir.path(), 1000);
        let mut observer = Observer::live(Engine::new(&header(), judge()), &header(), dir.path());
        observer.observe(&sample(1.0));
        observer.before(&mut || true);
        observer.start(1.0, &mut || true);
        procfs(dir.path(), 1200);
        observer.observe(&sample(11.0));
        observer.finish(11.0, &mut || true);
        let [readings] = observer.servers.readings() else { panic!("one master") };
        assert_eq!((readings.master.pid, readings.unit), (10, WorkUnit::Waits));
        assert_eq!(readings.rate(), Some(40.0), "two workers, 200 waits each in 10 s");
        assert_eq!(readings.master_own, 50.0 * MIB as f64);
    }

    #[test]
    fn a_recording_has_no_units_and_no_work() {
        let mut observer = Observer::recorded(Engine::new(&header(), judge()), &header());
        observer.observe(&sample(1.0));
        observer.before(&mut || true);
        observer.start(1.0, &mut || true);
        observer.finish(11.0, &mut || true);
        let diagnosis = diagnosis(&observer);
        let names: Vec<&str> = diagnosis.services.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["db", "app"]);
        assert!(diagnosis.services.iter().all(|service| !service.is_unit));
        assert!(diagnosis.services.iter().all(|service| service.per_work.is_none()));
    }
}
