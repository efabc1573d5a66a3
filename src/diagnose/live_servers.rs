//! Live servers: the settings of the servers that run here, and the work that their workers do.

use crate::core::model::process::ProcId;
use crate::core::servers;
use crate::diagnose::evidence::config::RunningServer;
use crate::diagnose::evidence::inquiry::AskedMaster;
use crate::diagnose::evidence::logs::ServerLog;
use crate::diagnose::evidence::work_done;
use crate::diagnose::findings::{Setup, StatusPage, WorkDone, WorkUnit};
use crate::diagnose::grouping::Master;
use crate::diagnose::leak_per_request::Worker;
use crate::diagnose::remedy::{self, Remedy};
use crate::diagnose::services::service::Service;
use crate::diagnose::work_readings::WorkReadings;
use crate::system::rights::Rights;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Workers whose waits and private memory are read: half a millisecond each.
const MOST_WORKERS: usize = 2000;
/// Servers whose settings are read, each by a helper that takes 5 ms: of each user those with most
/// workers.
const MOST_SERVERS: usize = 64;
/// Notes on what was not read.
const MOST_NOTES: usize = 20;

/// What is read of the servers of a living machine.
#[derive(Default)]
pub(super) struct LiveServers {
    procfs: PathBuf,
    /// The masters with their workers, those with most workers first.
    masters: Vec<Master>,
    /// By the root of the service.
    configs: BTreeMap<ProcId, Setup>,
    /// By the root of the service: the master of its settings, and the name of its pool.
    subjects: BTreeMap<ProcId, (AskedMaster, String)>,
    /// By the root of the service.
    status_pages: BTreeMap<ProcId, StatusPage>,
    /// Masters whose settings were looked for.
    seen: BTreeSet<ProcId>,
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
    pub(super) fn logs(&self) -> impl Iterator<Item = ServerLog> {
        self.configs.values().flat_map(|setup| {
            let owner = setup.owner.map(|(uid, _)| uid).filter(|uid| *uid != 0);
            setup.logs.iter().map(move |path| ServerLog { path: path.into(), owner })
        })
    }

    /// Takes the masters of the last sample, and reads the settings of those that are new.
    pub(super) fn see(&mut self, masters: Vec<Master>, go_on: &mut dyn FnMut() -> bool) {
        let uid = |master: &Master| Some(Rights::of(&self.procfs, master.id.pid)?.uid);
        for master in by_turns(&masters, uid) {
            let has_settings = master.server.advice.is_some() || master.server.status.is_some();
            let is_read = self.configs.contains_key(&master.root) || self.seen.contains(&master.id);
            if !has_settings || is_read || self.seen.len() >= MOST_SERVERS || !go_on() {
                continue;
            }
            self.seen.insert(master.id);
            if let Err(why) = self.read_setup(master, go_on) {
                let (name, pid) = (master.server.name, master.id.pid);
                self.note(format!("the settings of {name} (process {pid}) were not read: {why}"));
            }
        }
        self.masters = masters;
    }

    /// The first notes are enough.
    fn note(&mut self, what: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(what);
        }
    }

    fn read_setup(
        &mut self,
        master: &Master,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        let server = master.server;
        let subject = AskedMaster::look(&self.procfs, master.id, server)?;
        let pool = self.pool_name(master);
        let page = if server.advice.is_none() {
            subject.status_page(go_on)?
        } else {
            let setup = subject.setup(&pool, Vec::new(), go_on)?;
            let setup = setup.ok_or("no configuration was found, or it may not be read")?;
            let page = setup.status.clone();
            self.configs.insert(master.root, setup);
            page
        };
        self.status_pages.extend(page.map(|page| (master.root, page)));
        self.subjects.insert(master.root, (subject, pool));
        Ok(())
    }

    /// Takes a diff back unless its server, reading the files as they would be then, finds the very
    /// values that are proposed.
    pub(super) fn verify(
        &self,
        service: &Service,
        remedy: &mut Remedy,
        go_on: &mut dyn FnMut() -> bool,
    ) {
        let root = service.roots.iter().find(|root| self.configs.contains_key(root));
        let Some((setup, (subject, pool))) =
            root.and_then(|root| self.configs.get(root).zip(self.subjects.get(root)))
        else {
            return;
        };
        let Some(changed) = remedy.changed_files(setup) else { return };
        let read = subject.setup(pool, changed, go_on);
        if !read.is_ok_and(|read| read.is_some_and(|read| remedy.is_in_force(&read))) {
            remedy.take_diff_back();
        }
    }

    /// The change by which these logs name the pids of workers, in the files as another change would make
    /// them; only where its server, reading them as they would then be, has it in force, and all else as
    /// before.
    pub(super) fn pid_in_log(
        &self,
        service: &Service,
        before: Option<&Remedy>,
        logs: &[String],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Option<Remedy> {
        let root = service.roots.iter().find(|root| self.configs.contains_key(root))?;
        let (setup, (subject, pool)) = (self.configs.get(root)?, self.subjects.get(root)?);
        let changed = before.and_then(|remedy| remedy.changed_files(setup)).unwrap_or_default();
        let read = match changed.is_empty() {
            true => setup.clone(),
            false => subject.setup(pool, changed.clone(), go_on).ok()??,
        };
        let then = Setup {
            files: with(&setup.files, &changed),
            log_formats: read.log_formats.clone(),
            ..setup.clone()
        };
        let remedy = remedy::pid_in_log(service, &then, logs)?;
        let changed = with(&changed, &remedy.changed_files(&then)?);
        let after = subject.setup(pool, changed, go_on).ok()??;
        let settings = |of: &Setup| {
            let values = [Some(&of.recycle), of.jitter.as_ref(), Some(&of.cap)];
            values.map(|of| of.map(|of| (of.value, of.computed.clone())))
        };
        let is_in_force = remedy::names_pid(&after, logs) && settings(&after) == settings(&read);
        is_in_force.then_some(remedy)
    }

    /// The name of the pool that its largest worker belongs to.
    fn pool_name(&self, master: &Master) -> String {
        let largest = master.workers.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let title = largest.map(|(pid, _)| RunningServer::look(&self.procfs, *pid).args);
        let title = title.and_then(|args| args.into_iter().next()).unwrap_or_default();
        servers::pool_name(master.server, &title).to_owned()
    }

    /// Reads the work of all workers before the samples that are watched.
    pub(super) fn start(&mut self, uptime_s: f64, go_on: &mut dyn FnMut() -> bool) {
        self.started_s = uptime_s;
        let masters = self.masters.iter();
        let before: Vec<_> = masters.map(|master| self.read_before(master, go_on)).collect();
        let (readings, notes): (_, Vec<_>) = before.into_iter().unzip();
        self.readings = readings;
        notes.into_iter().flatten().for_each(|note| self.note(note));
    }

    fn read_before(
        &self,
        master: &Master,
        go_on: &mut dyn FnMut() -> bool,
    ) -> (WorkReadings, Option<String>) {
        let (work, note) = self.work(master, None, go_on);
        let reading = WorkReadings {
            root: master.root,
            master: master.id,
            unit: work.unit,
            before: self.workers(master, &work, go_on),
            source: work.source,
            after: Vec::new(),
            span_s: 0.0,
            per_connection: None,
            master_own: 0.0,
        };
        (reading, note)
    }

    /// Reads it again after them.
    pub(super) fn finish(&mut self, uptime_s: f64, go_on: &mut dyn FnMut() -> bool) {
        let span_s = uptime_s - self.started_s;
        let (mut readings, mut notes) = (Vec::new(), Vec::new());
        for master in &self.masters {
            let (reading, note) = self.read_after(master, span_s, go_on);
            readings.push(reading);
            notes.extend(note);
        }
        // Of several masters in a tree, the one with the most workers is what the tree is for.
        readings.sort_by_key(|reading| Reverse(reading.after.len()));
        self.readings = readings;
        notes.into_iter().for_each(|note| self.note(note));
    }

    fn read_after(
        &self,
        master: &Master,
        span_s: f64,
        go_on: &mut dyn FnMut() -> bool,
    ) -> (WorkReadings, Option<String>) {
        let known = self.readings.iter().find(|reading| reading.master == master.id);
        let (work, note) = self.work(master, known.map(|reading| reading.unit), go_on);
        let comparable = known.filter(|known| known.unit == work.unit && span_s >= 1.0);
        let per_connection = work
            .totals
            .map(|(requests, connections)| requests as f64 / (connections as f64).max(1.0));
        let mut reading = WorkReadings {
            root: master.root,
            master: master.id,
            unit: work.unit,
            before: comparable.map(|known| known.before.clone()).unwrap_or_default(),
            after: self.workers(master, &work, go_on),
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
    fn work(
        &self,
        master: &Master,
        unit: Option<WorkUnit>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> (WorkDone, Option<String>) {
        let waits = || {
            let pids = master.workers.iter().take(MOST_WORKERS).map(|(pid, _)| *pid);
            work_done::waits(&self.procfs, pids)
        };
        if unit == Some(WorkUnit::Waits) {
            return (waits(), None);
        }
        let subject = self.subjects.get(&master.root);
        let Some(((subject, _), page)) = subject.zip(self.status_pages.get(&master.root)) else {
            return (waits(), None);
        };
        match subject.work(page, go_on) {
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

    fn workers(
        &self,
        master: &Master,
        work: &WorkDone,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Vec<Worker> {
        let of = |(pid, own): &(u32, f64)| {
            let (_, done) = work.done.iter().find(|(of, _)| of == pid)?;
            // Reading one may take long; what is left out when time is up is not compared.
            let private = go_on().then(|| work_done::private(&self.procfs, *pid))?;
            let own = private.map_or(*own, |bytes| bytes as f64);
            Some(Worker { pid: *pid, own, done: *done as f64 })
        };
        master.workers.iter().take(MOST_WORKERS).filter_map(of).collect()
    }
}

/// The first of each user, then the second of each, and so on: a user who starts many servers takes no
/// other's turn.
fn by_turns<'m, M, U: Ord>(masters: &'m [M], user: impl Fn(&M) -> U) -> Vec<&'m M> {
    let mut of_user: BTreeMap<U, usize> = BTreeMap::new();
    let nth = |master: &'m M| {
        let nth = of_user.entry(user(master)).or_default();
        *nth += 1;
        (*nth, master)
    };
    let mut turns: Vec<(usize, &M)> = masters.iter().map(nth).collect();
    turns.sort_by_key(|(nth, _)| *nth);
    turns.into_iter().map(|(_, master)| master).collect()
}

/// Files with the texts of others in the place of theirs, and those others that are new.
fn with(files: &[(String, String)], others: &[(String, String)]) -> Vec<(String, String)> {
    let of =
        |all: &[(String, String)], name: &str| all.iter().find(|(file, _)| file == name).cloned();
    let kept = files.iter().map(|file| of(others, &file.0).unwrap_or_else(|| file.clone()));
    kept.chain(others.iter().filter(|(name, _)| of(files, name).is_none()).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_many_servers_takes_no_others_turn() {
        let masters = [(7, 'a'), (7, 'b'), (7, 'c'), (0, 'd'), (8, 'e'), (0, 'f')];
        let turns = by_turns(&masters, |(user, _)| *user);
        let names: String = turns.iter().map(|(_, name)| name).collect();
        assert_eq!(names, "adebfc");
    }
}
