//! Which child of a real server's tree is ended, and by which signal.

use super::cases;
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::event::Event;
use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use leakwatch::core::servers::recognise;

const MIB: u64 = 1 << 20;
/// The pid of the tree's root.
const ROOT: u32 = 4000;
/// Bytes a second that the growing process takes: of the two gigabytes there, all within five minutes.
const RATE: u64 = 6 * MIB;

struct Row<'t> {
    pid: u32,
    parent: Option<u32>,
    comm: &'t str,
    exe: &'t str,
    title: &'t str,
    threads: u32,
    exec: bool,
    grows: bool,
}

impl<'t> Row<'t> {
    fn parse(line: &'t str) -> Self {
        let parts: Vec<&str> = line.split('|').collect();
        let [nth, parent, comm, exe, title, threads, marks] = parts[..] else { panic!("{line}") };
        let pid = |text: &str| ROOT + text.parse::<u32>().unwrap();
        Self {
            pid: pid(nth),
            parent: (parent != "-").then(|| pid(parent)),
            comm,
            exe,
            title,
            threads: threads.parse().unwrap(),
            exec: marks.contains("exec"),
            grows: marks.contains("grows"),
        }
    }

    fn id(&self) -> ProcId {
        ProcId { pid: self.pid, start: u64::from(self.pid) }
    }

    fn program(&self) -> Program {
        Program {
            id: self.id(),
            exe: self.exe.to_owned(),
            title: self.title.to_owned(),
            threads: self.threads,
            forked: self.parent.is_some() && !self.exec,
            permitted: Some(true),
            uid: None,
            unit: None,
        }
    }

    fn process(&self, footprint: u64, cpu_s: f64) -> Proc {
        Proc {
            id: self.id(),
            ppid: self.parent.unwrap_or(1),
            comm: Comm::new(self.comm.as_bytes()),
            rss: footprint,
            anon: Some(footprint),
            swap: 0,
            cpu_s,
            threads: self.threads,
        }
    }
}

/// The signals that the tree's growing process is ordered, the first one of each order, as memory ends.
fn ordered(rows: &[Row<'_>]) -> Vec<&'static str> {
    let header =
        Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: String::new() };
    let settings = EngineSettings { max_extrapolation: 8.0, rules: Rules::default() };
    let mut engine = Engine::new(&header, settings);
    let mut signals = Vec::new();
    for second in 1..330_u64 {
        let grown = RATE * second;
        let procs = rows.iter().map(|row| {
            let own = if row.grows { grown } else { 0 };
            row.process(20 * MIB + own, second as f64 * 0.05)
        });
        let used = 500 * MIB + grown;
        let memory = Memory {
            total: 2048 * MIB,
            available: (2048 * MIB).saturating_sub(used),
            ..Memory::default()
        };
        let programs =
            if second == 1 { rows.iter().map(Row::program).collect() } else { Vec::new() };
        let t = 1.7e9 + second as f64;
        let sample = Sample { t, memory, procs: procs.collect(), programs, ..Sample::default() };
        let events: Vec<Event> = engine.observe(&sample).events().collect();
        for event in events {
            if let Event::Order(order) = event {
                assert!(rows.iter().any(|row| row.grows && row.pid == order.victim.pid));
                signals.push(order.signal.name());
            }
        }
    }
    signals.truncate(1);
    signals
}

#[test]
fn children_of_real_servers_are_ended_by_their_own_gentle_signal_or_not_at_all() {
    let text = include_str!("../../fixtures/machines/trees.txt");
    let mut wrong = Vec::new();
    let cases = cases(text);
    for case in &cases {
        let rows: Vec<Row<'_>> = case.lines.iter().map(|line| Row::parse(line)).collect();
        let growing = rows.iter().find(|row| row.grows).unwrap();
        let key = recognise(&growing.program(), Comm::new(growing.comm.as_bytes()), &[]).key;
        let signals = ordered(&rows);
        let got = format!("{} {key}", signals.first().unwrap_or(&"none"));
        if case.wanted != [got.as_str()] {
            wrong.push(format!("{}: {got}, wanted {:?}", case.name, case.wanted));
        }
    }
    assert!(cases.len() > 30 && wrong.is_empty(), "{wrong:#?}");
}
