//! Metrics in the text format that the textfile collector of Prometheus' node_exporter reads.
//!
//! Every series has a `watch` label, so that the files of several watches do not collide; none has
//! a pid: that would be a new series for every worker that ever lived. Trees go by the name of
//! their root's program and its unit or container, at most [`MOST`] of them, those that leak and the
//! largest first. A unit or container whose name is a new one each time is no label.

mod ceilings;
mod labels;
mod trees;

use self::ceilings::Ceilings;
use self::labels::Escaped;
use self::trees::Trees;
use crate::core::engine::Engine;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::event::Event;
use crate::core::model::order::{Outcome, OutcomeResult};
use crate::core::model::sample::Sample;
use crate::core::model::signal::Step;
use crate::report::self_usage::SelfReport;
use std::fmt;
use std::io::{self, Write};

/// Trees listed.
pub const MOST: usize = 32;

/// What was counted since the start, and room for what is written.
#[derive(Debug)]
pub struct Exposition {
    watch: String,
    acts: bool,
    orders: [(Step, u64); Step::ALL.len()],
    signal_errors: u64,
    gone: u64,
    stayed: u64,
    regretted: u64,
    leaks: u64,
    memory_failures: [(MemoryFailureKind, u64); MemoryFailureKind::ALL.len()],
    trees: Trees,
    ceilings: Ceilings,
}

impl Exposition {
    /// Of the watch called that; `acts`: whether it sends signals.
    pub fn new(watch: &str, acts: bool) -> Self {
        Self {
            watch: watch.to_owned(),
            acts,
            orders: Step::ALL.map(|step| (step, 0)),
            signal_errors: 0,
            gone: 0,
            stayed: 0,
            regretted: 0,
            leaks: 0,
            memory_failures: MemoryFailureKind::ALL.map(|kind| (kind, 0)),
            trees: Trees::default(),
            ceilings: Ceilings::default(),
        }
    }

    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::Order(order) => add(&mut self.orders, order.step, 1),
            Event::SignalFailed { .. } => self.signal_errors += 1,
            Event::Outcome(Outcome { result: OutcomeResult::Gone { .. }, .. }) => self.gone += 1,
            Event::Outcome(Outcome { result: OutcomeResult::Stayed, .. }) => self.stayed += 1,
            Event::Regretted(_) => self.regretted += 1,
            Event::Leak(finding) if !finding.is_update => self.leaks += 1,
            Event::MemoryFailure(sign) => {
                // The count of a stall is a share in percent.
                let stalled = sign.kind == MemoryFailureKind::Stalled;
                add(&mut self.memory_failures, sign.kind, if stalled { 1 } else { sign.count });
            }
            _ => {}
        }
    }

    /// Writes how things stand after `sample`, the last one that `engine` took in. Allocates nothing
    /// once it has had room for as many trees.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(
        &mut self,
        out: &mut impl Write,
        engine: &Engine,
        sample: &Sample,
        own: SelfReport,
    ) -> io::Result<()> {
        self.trees.gather(engine);
        self.ceilings.gather(sample);
        let watch = Escaped(&self.watch);
        let mut one = |name, kind, help, value| self.write_one(out, name, kind, help, value);
        let status = engine.status() as u8;
        one(
            "leakwatch_status",
            "gauge",
            "0: nothing leaks, 1: a leak is known, 2: memory or tasks are about to run out.",
            status.into(),
        )?;
        one(
            "leakwatch_enforcing",
            "gauge",
            "1: leaking workers are ended, 0: they are only reported.",
            f64::from(u8::from(self.acts)),
        )?;
        one("leakwatch_leaks_total", "counter", "Leaks found since the start.", self.leaks as f64)?;
        one(
            "leakwatch_regretted_total",
            "counter",
            "Orders that turned out not to have been needed.",
            self.regretted as f64,
        )?;
        one(
            "leakwatch_signal_errors_total",
            "counter",
            "Orders whose signal could not be sent.",
            self.signal_errors as f64,
        )?;
        head(out, "leakwatch_build_info", "gauge", "Always 1; the version is a label.")?;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(out, "leakwatch_build_info{{watch=\"{watch}\",version=\"{version}\"}} 1")?;
        self.write_self(out, sample.t, own)?;
        self.write_counters(out)?;
        self.trees.write(out, &self.watch, engine.names())?;
        self.ceilings.write(out, &self.watch, sample, engine.names())
    }

    /// A metric with the watch as its only label.
    fn write_one(
        &self,
        out: &mut impl Write,
        name: &str,
        kind: &str,
        help: &str,
        value: f64,
    ) -> io::Result<()> {
        head(out, name, kind, help)?;
        writeln!(out, "{name}{{watch=\"{}\"}} {value}", Escaped(&self.watch))
    }

    /// What leakwatch itself uses, and how late its samples come.
    fn write_self(&self, out: &mut impl Write, t: f64, own: SelfReport) -> io::Result<()> {
        let mut one = |name, kind, help, value| self.write_one(out, name, kind, help, value);
        one("leakwatch_last_sample_timestamp_seconds", "gauge", "Time of the last sample.", t)?;
        one(
            "leakwatch_sample_delay_seconds",
            "gauge",
            "Delay of the last sample.",
            own.scheduling_delay.last_s(),
        )?;
        one(
            "leakwatch_sample_delay_max_seconds",
            "gauge",
            "Longest delay of a sample since the start.",
            own.scheduling_delay.worst_s(),
        )?;
        one(
            "leakwatch_cpu_seconds_total",
            "counter",
            "CPU time used by leakwatch itself.",
            own.usage.cpu_s,
        )?;
        one(
            "leakwatch_resident_memory_bytes",
            "gauge",
            "Resident memory of leakwatch itself.",
            (own.usage.anon + own.usage.file) as f64,
        )?;
        one(
            "leakwatch_anonymous_memory_bytes",
            "gauge",
            "Resident memory of leakwatch itself without file pages.",
            own.usage.anon as f64,
        )
    }

    fn write_counters(&self, out: &mut impl Write) -> io::Result<()> {
        let watch = Escaped(&self.watch);
        let name = "leakwatch_orders_total";
        head(
            out,
            name,
            "counter",
            "Orders to end a process; in a dry run, orders that would have been given.",
        )?;
        for (step, count) in self.orders {
            let word = step.name();
            writeln!(out, "{name}{{watch=\"{watch}\",step=\"{word}\"}} {count}")?;
        }
        let name = "leakwatch_outcomes_total";
        head(out, name, "counter", "Outcomes of orders: the process is gone, or stayed.")?;
        for (word, count) in [("gone", self.gone), ("stayed", self.stayed)] {
            writeln!(out, "{name}{{watch=\"{watch}\",result=\"{word}\"}} {count}")?;
        }
        let name = "leakwatch_memory_failures_total";
        head(out, name, "counter", "OOM kills, refused forks and stalls since the start.")?;
        for (kind, count) in self.memory_failures {
            let word = kind.name();
            writeln!(out, "{name}{{watch=\"{watch}\",kind=\"{word}\"}} {count}")?;
        }
        Ok(())
    }
}

/// Adds to the count of one kind.
fn add<K: PartialEq>(counts: &mut [(K, u64)], kind: K, more: u64) {
    if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == kind) {
        *count += more;
    }
}

fn head(out: &mut impl Write, name: &str, kind: &str, help: &str) -> io::Result<()> {
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

/// A number as the format has it.
pub(super) struct MetricValue(pub(super) f64);

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n == f64::INFINITY => f.write_str("+Inf"),
            n => write!(f, "{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure, Place};
    use crate::core::model::load::SelfUsage;
    use crate::core::model::order::{Order, OrderReason};
    use crate::core::model::process::{Comm, Proc, ProcId, Program};
    use crate::core::model::sample::PlaceName;
    use crate::core::model::signal::Signal;
    use crate::core::scheduling_delay::SchedulingDelay;

    fn order(step: Step) -> Event {
        let victim = ProcId { pid: 7, start: 7 };
        Event::Order(Order {
            victim,
            comm: Comm::new(b"app"),
            root: victim,
            step,
            target: victim,
            signal: Signal::Term,
            then: None,
            helpers: &[],
            grace_s: 1.0,
            reason: OrderReason::Danger,
            footprint: 0,
            expected: 0,
            forecast: None,
        })
    }

    #[test]
    fn every_step_and_memory_failure_is_counted_under_its_own_name() {
        let mut exposition = Exposition::new("a\"b\\c\nd", true);
        for (nth, step) in Step::ALL.into_iter().enumerate() {
            (0..=nth).for_each(|_| exposition.count(&order(step)));
        }
        for kind in MemoryFailureKind::ALL {
            let (ceiling, place) = (CeilingKind::Ram, Place::NONE);
            exposition.count(&Event::MemoryFailure(MemoryFailure {
                kind,
                ceiling,
                root: None,
                place,
                count: 40,
            }));
        }
        let mut text = Vec::new();
        let own =
            SelfReport { usage: SelfUsage::default(), scheduling_delay: SchedulingDelay::new(0.0) };
        exposition.write(&mut text, &Engine::that_only_reports(), &Sample::default(), own).unwrap();
        let text = String::from_utf8(text).unwrap();
        let watch = "watch=\"a\\\"b\\\\c\\nd\"";
        for (nth, step) in Step::ALL.into_iter().enumerate() {
            let name = step.name();
            let line = format!("leakwatch_orders_total{{{watch},step=\"{name}\"}} {}\n", nth + 1);
            assert!(text.contains(&line), "{line}{text}");
        }
        for (kind, count) in [("oom-kill", 40), ("refused", 40), ("stalled", 1)] {
            let line =
                format!("leakwatch_memory_failures_total{{{watch},kind=\"{kind}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn trees_of_one_name_in_two_containers_are_two_series_and_numbered_ones_are_one() {
        let proc = |pid| Proc {
            id: ProcId { pid, start: 1 },
            ppid: 1,
            comm: Comm::new(b"php"),
            rss: 4096,
            anon: Some(4096),
            swap: 0,
            cpu_s: 0.0,
            threads: 1,
        };
        let units = [
            "container a",
            "container b",
            "x\\x2dy.service",
            "container 0123456789ab",
            "container ba9876543210",
        ];
        let programs = units.iter().zip(1..).map(|(unit, pid)| Program {
            id: ProcId { pid, start: 1 },
            unit: Some((*unit).to_owned()),
            ..Program::unknown()
        });
        let (place, limit) = (Place::new("/docker/a"), 1 << 30);
        let root = Some(ProcId { pid: 1, start: 1 });
        let sample = Sample {
            t: 1.0,
            procs: (1..6).map(proc).collect(),
            programs: programs.collect(),
            ceilings: vec![Ceiling {
                kind: CeilingKind::CgroupMemory,
                root,
                place,
                used: 1,
                limit,
            }],
            places: vec![PlaceName { place, name: "container a".to_owned() }],
            ..Sample::default()
        };
        let mut engine = Engine::that_only_reports();
        engine.observe(&sample);
        let own =
            SelfReport { usage: SelfUsage::default(), scheduling_delay: SchedulingDelay::new(0.0) };
        let mut text = Vec::new();
        Exposition::new("w", true).write(&mut text, &engine, &sample, own).unwrap();
        let text = String::from_utf8(text).unwrap();
        let processes = "leakwatch_tree_processes{watch=\"w\",tree=\"php\"";
        for line in [
            format!("{processes},container=\"a\"}} 1\n"),
            format!("{processes},container=\"b\"}} 1\n"),
            format!("{processes},unit=\"x\\\\x2dy.service\"}} 1\n"),
            format!("{processes}}} 2\n"),
            "place=\"/docker/a\",tree=\"\",container=\"a\"} 1073741824\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
