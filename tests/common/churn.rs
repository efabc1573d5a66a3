//! Churn: a server whose workers come, leak and go for as long as one likes, on a clock of its own.
//!
//! Twenty workers under one master, on a fixture of /proc. One leaks until it is ordered to end, then
//! its replacement does; of the others one ends every ten seconds. Each tick is all that a watch does
//! but for signals: sample, judgement, reports to nowhere, metrics.

use std::io;

use leakwatch::command::watch::metrics::MetricsExporter;
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::order::Order;
use leakwatch::core::model::sample::Sample;
use leakwatch::core::scheduling_delay::SchedulingDelay;
use leakwatch::report::events::{EventFormat, write_event};
use leakwatch::report::summary;
use leakwatch::report::words::Style;
use leakwatch::system::machine;
use leakwatch::system::proc::{Selection, SelectionArgs};
use leakwatch::system::sampler::Sampler;

use super::fake_proc::{Fake, FakeProc, pid};

const WORKERS: u32 = 20;
/// Each pid comes back after so many others.
const PIDS: u32 = 30_000;

/// Such a server and its watch.
pub struct Churn {
    proc: FakeProc,
    probe: Sampler,
    engine: Engine,
    metrics_exporter: MetricsExporter,
    scheduling_delay: SchedulingDelay,
    sample: Sample,
    workers: Vec<Fake>,
    /// Workers that were started.
    started: u32,
    /// Seconds on the clock.
    now_s: u32,
    /// Orders that were given.
    pub orders: u64,
}

impl Churn {
    pub fn start() -> Self {
        let proc = FakeProc::in_memory(1 << 20).with_cgroups();
        proc.show(&Fake::new(pid(0), "app").holding_kib(10_000));
        let words =
            SelectionArgs { patterns: vec!["^app$".to_owned()], ..SelectionArgs::default() };
        let selection = Selection::new(&words, "/etc/passwd".as_ref()).unwrap();
        let (root, sysfs) = (proc.path(), proc.sysfs());
        let probe = Sampler::new(root, Some(&sysfs), selection, Some(1 << 30)).unwrap();
        let settings = EngineSettings { max_extrapolation: 6.0, rules: Rules::default() };
        let mut churn = Self {
            probe,
            engine: Engine::new(&machine::header(1.0), settings),
            metrics_exporter: MetricsExporter::new(&proc.path().join("a.prom"), "app", true)
                .unwrap(),
            scheduling_delay: SchedulingDelay::new(0.0),
            sample: Sample::default(),
            workers: Vec::new(),
            started: 0,
            now_s: 0,
            orders: 0,
            proc,
        };
        for nth in 0..WORKERS {
            churn.replace(nth as usize);
        }
        churn
    }

    /// Another worker in that place.
    fn replace(&mut self, nth: usize) {
        let start = 100 * (1_000_000 + u64::from(self.now_s));
        let pid = pid(1 + self.started % PIDS);
        self.started += 1;
        let worker = Fake::new(pid, "app").child_of(super::fake_proc::pid(0)).holding_kib(15_000);
        let worker = Fake { start, ..worker };
        self.proc.show(&worker);
        match self.workers.get_mut(nth) {
            Some(place) => self.proc.hide(std::mem::replace(place, worker).pid),
            None => self.workers.push(worker),
        }
    }

    /// One second.
    pub fn tick(&mut self) {
        self.now_s += 1;
        self.workers[0].anon_kib += 1024;
        self.proc.grow(&self.workers[0]);
        if self.now_s.is_multiple_of(10) {
            self.replace(1 + (self.now_s / 10) as usize % (self.workers.len() - 1));
        }
        let t = f64::from(self.now_s);
        self.probe.sample(1e9 + t, Some(1e6 + t), &mut self.sample).unwrap();
        self.engine.observe(&self.sample);
        assert!(self.scheduling_delay.observe(t, t + 0.001).is_none());
        assert_eq!(self.sample.procs.len(), self.workers.len() + 1);
        for event in self.engine.assessment().events() {
            for format in [EventFormat::Text, EventFormat::Json] {
                let names = self.engine.names();
                write_event(&mut io::sink(), t, &event, names, format, Style::default()).unwrap();
            }
            self.metrics_exporter.count(&event);
        }
        let failed =
            self.metrics_exporter.tick(&self.engine, &self.sample, 1.0, t, &self.scheduling_delay);
        assert!(failed.is_none(), "{failed:?}");
        summary::write_summary(&mut io::sink(), &self.engine).unwrap();
        if let Some(Order { victim, .. }) = self.engine.assessment().order {
            self.orders += 1;
            let nth = self.workers.iter().position(|worker| worker.pid == victim.pid).unwrap();
            self.replace(nth);
        }
    }
}
