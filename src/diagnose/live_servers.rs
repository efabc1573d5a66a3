//! Live servers: the settings of the servers that run here, and the work that their workers do.

use crate::core::model::process::ProcId;
use crate::core::servers::StatusProtocol;
use crate::diagnose::evidence::config::{self, RunningServer};
use crate::diagnose::evidence::work_done;
use crate::diagnose::findings::{Setup, StatusPage, WorkDone, WorkUnit};
use crate::diagnose::grouping::Master;
use crate::diagnose::leak_per_request::Worker;
use crate::diagnose::services::service::Service;
use crate::diagnose::work_readings::WorkReadings;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Workers whose waits and private memory are read: half a millisecond each.
const MOST_WORKERS: usize = 2000;

/// What is read of the servers of a living machine.
#[derive(Default)]
pub(super) struct LiveServers {
    procfs: PathBuf,
    /// The masters with their workers, those with most workers first.
    masters: Vec<Master>,
    /// By the root of the service.
    configs: BTreeMap<ProcId, Setup>,
    /// By the root of the service.
    status_pages: BTreeMap<ProcId, (StatusProtocol, StatusPage)>,
    readings: Vec<WorkReadings>,
    started_s: f64,
    notes: Vec<String>,
}

impl LiveServers {
    pub(super) fn new(procfs: &Path) -> Self {
        Self { procfs: procfs.to_owned(), ..Self::default() }
    }

    /// The work of workers.
    pub(super) fn readings(&self) -> &[WorkReadings] {
        &self.readings
    }

    /// What could not be read, and what is lost by it.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The settings of a service's server.
    pub(super) fn setup(&self, service: &Service) -> Option<&Setup> {
        service.roots.iter().find_map(|root| self.configs.get(root))
    }

    /// Further logs that servers write.
    pub(super) fn logs(&self) -> impl Iterator<Item = &str> {
        self.configs.values().flat_map(|setup| setup.logs.iter().map(String::as_str))
    }

    /// Takes the masters of the last sample, and reads the settings of those that are new.
    pub(super) fn see(&mut self, masters: Vec<Master>) {
        for master in &masters {
            if !self.configs.contains_key(&master.root) {
                self.read_setup(master);
            }
        }
        self.masters = masters;
    }

    fn read_setup(&mut self, master: &Master) {
        let server = master.server;
        if server.advice.is_none() && server.status.is_none() {
            return;
        }
        let running = RunningServer::look(&self.procfs, master.id.pid);
        let page = if server.advice.is_none() {
            config::status_page(server, &running)
        } else if let Some(setup) = config::read(server, &running, &self.pool_name(master)) {
            let page = setup.status.clone();
            self.configs.insert(master.root, setup);
            page
        } else {
            self.notes.push(format!(
                "the configuration of {} (process {}) was not found or may not be read; run as root",
                server.name, master.id.pid
            ));
            None
        };
        self.status_pages.extend(server.status.zip(page).map(|page| (master.root, page)));
    }

    /// The name of the pool that its largest worker belongs to: "www" of "php-fpm: pool www".
    fn pool_name(&self, master: &Master) -> String {
        let largest = master.workers.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let title = largest.map(|(pid, _)| RunningServer::look(&self.procfs, *pid).args);
        let title = title.and_then(|args| args.into_iter().next()).unwrap_or_default();
        let name = title.strip_prefix(master.server.pool_title).unwrap_or_default();
        name.trim().to_owned()
    }

    /// Reads the work of all workers before the samples that are watched.
    pub(super) fn start(&mut self, uptime_s: f64) {
        self.started_s = uptime_s;
        self.readings = self.masters.iter().map(|master| self.read_before(master)).collect();
    }

    fn read_before(&self, master: &Master) -> WorkReadings {
        let (work, _) = self.work(master, None);
        WorkReadings {
            root: master.root,
            master: master.id,
            unit: work.unit,
            before: self.workers(master, &work),
            source: work.source,
            after: Vec::new(),
            span_s: 0.0,
            per_connection: None,
            master_own: 0.0,
        }
    }

    /// Reads it again after them.
    pub(super) fn finish(&mut self, uptime_s: f64) {
        let span_s = uptime_s - self.started_s;
        let (mut readings, mut notes) = (Vec::new(), Vec::new());
        for master in &self.masters {
            let (reading, note) = self.read_after(master, span_s);
            readings.push(reading);
            notes.extend(note);
        }
        // Of several masters in a tree, the one with the most workers is what the tree is for.
        readings.sort_by_key(|reading| Reverse(reading.after.len()));
        self.readings = readings;
        self.notes.append(&mut notes);
    }

    fn read_after(&self, master: &Master, span_s: f64) -> (WorkReadings, Option<String>) {
        let known = self.readings.iter().find(|reading| reading.master == master.id);
        let (work, note) = self.work(master, known.map(|reading| reading.unit));
        let comparable = known.filter(|known| known.unit == work.unit && span_s >= 1.0);
        let per_connection = work
            .totals
            .map(|(requests, connections)| requests as f64 / (connections as f64).max(1.0));
        let mut reading = WorkReadings {
            root: master.root,
            master: master.id,
            unit: work.unit,
            before: comparable.map(|known| known.before.clone()).unwrap_or_default(),
            after: self.workers(master, &work),
            source: work.source,
            span_s,
            per_connection,
            master_own: master.footprint as f64,
        };
        if self.closes_after_each_request(master)
            && let Some(per_s) = work_done::closed_per_s(&self.procfs, master.id.pid, span_s)
        {
            reading.count_requests(per_s);
        }
        (reading, note)
    }

    /// Whether each of its connections carries one request: where that is not so, connections say
    /// little.
    fn closes_after_each_request(&self, master: &Master) -> bool {
        let advice = self.configs.get(&master.root).and_then(|setup| setup.server.advice);
        advice.is_some_and(|advice| advice.one_request_per_connection)
    }

    /// The work of a master's workers, in requests if its server counts them, and a note where it
    /// should but could not be asked.
    fn work(&self, master: &Master, unit: Option<WorkUnit>) -> (WorkDone, Option<String>) {
        let waits = || {
            let pids = master.workers.iter().take(MOST_WORKERS).map(|(pid, _)| *pid);
            work_done::waits(&self.procfs, pids)
        };
        if unit == Some(WorkUnit::Waits) {
            return (waits(), None);
        }
        let Some((protocol, page)) = self.status_pages.get(&master.root) else {
            return (waits(), None);
        };
        match work_done::ask(*protocol, page) {
            Ok(work) => (work, None),
            Err(why) => {
                let note = format!(
                    "the status page of {}: {why}; its work is estimated by waits",
                    master.server.name
                );
                (waits(), Some(note))
            }
        }
    }

    fn workers(&self, master: &Master, work: &WorkDone) -> Vec<Worker> {
        let of = |(pid, own): &(u32, f64)| {
            let (_, done) = work.done.iter().find(|(of, _)| of == pid)?;
            let private = work_done::private(&self.procfs, *pid);
            let own = private.map_or(*own, |bytes| bytes as f64);
            Some(Worker { pid: *pid, own, done: *done as f64 })
        };
        master.workers.iter().take(MOST_WORKERS).filter_map(of).collect()
    }
}
