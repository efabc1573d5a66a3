//! Observer: takes in the samples of a diagnosis, and on a living machine also the units, the settings
//! and the work of servers.
//!
//! On a living machine the phases are `before` (the first sample is there: settings are read), `start`
//! (work is read), samples, `finish` (settings of new servers and work are read). A recording has
//! samples only.

use super::live_servers::LiveServers;
use crate::core::engine::Engine;
use crate::core::model::process::{ProcId, Program};
use crate::core::model::sample::{Header, Sample};
use crate::diagnose;
use crate::diagnose::cut_names::Names;
use crate::diagnose::earlier::series::{EarlierSeries, SeriesSummary, ServiceRoots, available};
use crate::diagnose::evidence::unit;
use crate::diagnose::findings::Logs;
use crate::diagnose::grouping::{masters, private_bytes, service_root};
use crate::diagnose::services::assemble::Observation;
use crate::diagnose::services::service::Service;
use crate::diagnose::size_history::SizeHistory;
use crate::diagnose::{Diagnosis, Looked, ObservedScope};
use crate::system::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Services for which something is proposed.
const MOST_REMEDIES: usize = 3;

/// Takes in samples, and on a living machine what belongs to them.
pub(crate) struct Observer {
    engine: Engine,
    history: SizeHistory,
    header: Header,
    last: Sample,
    /// The names of executables whose processes' own names are no help.
    programs: BTreeMap<ProcId, String>,
    names: Names,
    /// The procfs of a living machine.
    procfs: Option<PathBuf>,
    seen: BTreeSet<ProcId>,
    units: BTreeMap<ProcId, String>,
    servers: LiveServers,
}

impl Observer {
    /// Of a living machine.
    pub(crate) fn live(engine: Engine, header: &Header, procfs: &Path) -> Self {
        let (procfs, servers) = (Some(procfs.to_owned()), LiveServers::new(procfs));
        Self { procfs, servers, ..Self::recorded(engine, header) }
    }

    /// Of a recording.
    pub(crate) fn recorded(engine: Engine, header: &Header) -> Self {
        Self {
            engine,
            history: SizeHistory::default(),
            header: header.clone(),
            last: Sample::default(),
            programs: BTreeMap::new(),
            names: Names::default(),
            procfs: None,
            seen: BTreeSet::new(),
            units: BTreeMap::new(),
            servers: LiveServers::default(),
        }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
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
            let comm = sample.procs.iter().find(|proc| proc.id == program.id).map(|p| p.comm);
            // mod_perl names Apache's processes by a path, cut at 15 bytes.
            if comm.is_some_and(|comm| comm.as_bytes().contains(&b'/')) && !program.exe.is_empty() {
                self.programs.insert(program.id, executable(program));
            }
        }
        let (engine, units) = (&self.engine, &self.units);
        let states = engine.detector().process_states();
        let sizes = states.map(|s| (service_root(engine, units, s), private_bytes(engine, s)));
        self.history.push(sample, sizes);
        self.last.clone_from(sample);
    }

    /// Finds the units of new processes.
    fn find_units(&mut self) {
        let Some(procfs) = &self.procfs else { return };
        for state in self.engine.detector().process_states() {
            if self.seen.insert(state.id)
                && let Some(unit) = unit::of(procfs, state.id.pid)
            {
                self.units.insert(state.id, unit);
            }
        }
    }

    /// The root of the service that each living process belongs to.
    pub(crate) fn service_roots(&self) -> ServiceRoots {
        let states = self.engine.detector().process_states();
        states.map(|s| (s.id, service_root(&self.engine, &self.units, s))).collect()
    }

    /// Reads the settings of servers after the first sample.
    pub(crate) fn before(&mut self) {
        self.servers.see(masters(&self.engine, &self.units));
    }

    /// Further logs that servers write, by their settings.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &str> {
        self.servers.logs()
    }

    /// Reads how much work workers have done, right before the samples that are watched.
    pub(crate) fn start(&mut self, uptime_s: f64) {
        self.servers.start(uptime_s);
    }

    /// Reads it again after them, and the settings of servers that are new.
    pub(crate) fn finish(&mut self, uptime_s: f64) {
        self.servers.see(masters(&self.engine, &self.units));
        self.servers.finish(uptime_s);
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
        let observation = Observation {
            t: self.last.t,
            engine: &self.engine,
            history: &self.history,
            earlier,
            units: &self.units,
            programs: &self.programs,
            readings,
        };
        let services = observation.services();
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
            remedies,
            unseen: self.servers.notes().to_vec(),
        }
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
