//! The detector on made-up machines: what it must find, when, and what it must never report.

mod not_proven;

use proptest::prelude::*;

use super::*;
use crate::core::detect::series::window::GrowthShape;
use crate::core::model::ceiling::{Ceiling, CeilingKind, Place};
use crate::core::model::process::{Comm, Proc, Program};
use crate::core::model::profile::{RunKey, RunOwner};
use crate::core::model::sample::Memory;
use crate::core::model::units::{GIB, KIB, MIB};
use crate::core::model::verdict::{ClearedReason, Finding, FindingReason, FindingScope, Verdict};

/// A process of a made-up machine: pid, parent's pid, footprint, CPU seconds so far.
type Row = (u32, u32, u64, f64);

/// A machine whose headroom is `head` less all growth since the first sample.
struct Machine {
    head: u64,
    total: u64,
    interval_s: f64,
}

/// A process and the sample at which it was first found to leak or to grow for long, and why.
type Found = (u32, FindingScope, usize, FindingReason);

impl Machine {
    fn new(head: u64, total: u64) -> Self {
        Self { head, total, interval_s: 1.0 }
    }

    fn header(&self) -> Header {
        let hostname = String::new();
        Header { interval_s: self.interval_s, clock_ticks: 100, page_size: 4096, hostname }
    }

    fn sample(&self, t: f64, rows: &[Row], first: u64) -> Sample {
        let proc = |&(pid, ppid, footprint, cpu_s): &Row| Proc {
            id: ProcId { pid, start: u64::from(pid) },
            ppid,
            comm: Comm::new(b"app"),
            rss: footprint,
            anon: Some(footprint / 4096 * 4096),
            swap: 0,
            cpu_s,
            threads: 1,
        };
        let grown = rows.iter().map(|row| row.2).sum::<u64>().saturating_sub(first);
        let available = self.head.saturating_sub(grown);
        let memory = Memory { total: self.total, available, ..Memory::default() };
        Sample { t, memory, procs: rows.iter().map(proc).collect(), ..Sample::default() }
    }

    /// Observes `samples` samples of `rows`; returns the first leak of each process, or the first
    /// sample in which it endangers its ceiling.
    fn run(&self, samples: usize, rows: impl Fn(usize) -> Vec<Row>) -> Vec<Found> {
        self.find(samples, rows, |_| false)
    }

    /// The same, with what counts as found beside the leaks.
    fn find(
        &self,
        samples: usize,
        rows: impl Fn(usize) -> Vec<Row>,
        counts: impl Fn(&ProcessState) -> bool,
    ) -> Vec<Found> {
        let mut detector = Detector::with(&self.header(), Constants::default());
        let first = rows(0).iter().map(|row| row.2).sum();
        let mut found: Vec<Found> = Vec::new();
        let mut events = Vec::new();
        for k in 0..samples {
            let t = 1e9 + k as f64 * self.interval_s;
            detector.observe(&self.sample(t, &rows(k), first), &mut events);
            for event in events.drain(..) {
                let finding = match event {
                    Event::Leak(finding) => finding,
                    Event::Growing(finding)
                        if detector.process_state(finding.id).is_some_and(&counts) =>
                    {
                        finding
                    }
                    _ => continue,
                };
                let Finding { id, scope, why, .. } = finding;
                if !found.iter().any(|f| (f.0, f.1) == (id.pid, scope)) {
                    found.push((id.pid, scope, k, why));
                }
            }
        }
        found
    }

    /// One idle process that grows on evidence long enough for an order.
    fn endangering(&self, samples: usize, footprint: impl Fn(f64) -> f64) -> Option<usize> {
        let mut detector = Detector::with(&self.header(), Constants::default());
        let first = footprint(0.0) as u64;
        (0..samples).find(|k| {
            let rows = [(9, 1, footprint(*k as f64) as u64, 0.0)];
            let t = 1e9 + *k as f64 * self.interval_s;
            detector.observe(&self.sample(t, &rows, first), &mut Vec::new());
            detector.process_states().any(|s| s.endangers)
        })
    }

    /// One idle process.
    fn one(&self, samples: usize, footprint: impl Fn(f64) -> f64) -> Vec<Found> {
        self.run(samples, |k| vec![(9, 1, footprint(k as f64) as u64, 0.0)])
    }
}

const M: f64 = MIB as f64;

#[test]
fn a_flat_process_never_leaks() {
    assert_eq!(Machine::new(GIB, 2 * GIB).one(5000, |_| 100.0 * M), []);
}

#[test]
fn a_steady_growth_is_long_once_it_grew_by_half_through_half_its_life() {
    let found = Machine::new(4 * GIB, 8 * GIB).endangering(500, |k| (100.0 + k) * M);
    assert_eq!(found, Some(143));
    let found = Machine::new(20 * GIB, 24 * GIB).endangering(500, |k| (100.0 + k / 4.0) * M);
    assert_eq!(found, Some(399));
}

#[test]
fn a_fast_growth_is_long_by_evidence_as_long_as_the_time_left() {
    let machine = Machine::new(GIB, 2 * GIB);
    let found = machine.endangering(400, |k| (100.0 + 8.0 * (k - 300.0).max(0.0)) * M);
    assert_eq!(found, Some(360));
}

#[test]
fn a_steady_growth_is_a_leak_once_it_has_used_much_of_the_way() {
    let found = Machine::new(2 * GIB, 4 * GIB).one(2000, |k| (100.0 + k) * M);
    let (_, _, sample, why) = found[0];
    assert_eq!(why, FindingReason::LongSteady);
    // Half of the way is the most that its proof may take.
    assert!((600..1024).contains(&sample), "of 2048: {sample}");
}

#[test]
fn a_straight_fill_of_half_the_memory_grows_and_leaks_not() {
    let machine = Machine::new(2 * GIB, 4 * GIB);
    let fill = |k: f64| (100.0 + k.min(500.0)) * M;
    assert!(machine.endangering(2000, fill).is_some());
    assert_eq!(machine.one(2000, fill), []);
}

#[test]
fn a_growth_after_a_level_that_was_held_is_a_leak_at_once() {
    let grown = |k: f64| (100.0 + k.min(100.0) + 0.5 * (k - 900.0).max(0.0)) * M;
    let found = Machine::new(20 * GIB, 24 * GIB).one(1400, grown);
    assert_eq!(found[0].3, FindingReason::AfterSettling);
    assert!((1050..1350).contains(&found[0].2), "{found:?}");
    // With more work to do it is a cache that fills.
    let work = |k: f64| 0.1 * k + 0.4 * (k - 900.0).max(0.0);
    let rows = |k: usize| vec![(9, 1, grown(k as f64) as u64, work(k as f64))];
    let found = Machine::new(20 * GIB, 24 * GIB).run(1400, rows);
    assert!(found.iter().all(|found| found.3 != FindingReason::AfterSettling), "{found:?}");
}

#[test]
fn a_warm_up_that_begins_slowly_does_not_leak_when_it_leaves_its_level() {
    for (middle, pace, size) in
        [(600.0, 120.0, 300.0), (500.0, 100.0, 200.0), (800.0, 150.0, 300.0)]
    {
        let s_shaped = |k: f64| (40.0 + size / (1.0 + ((middle - k) / pace).exp())) * M;
        assert_eq!(Machine::new(GIB, 2 * GIB).one(2000, s_shaped), [], "{middle}");
    }
}

/// The growing events of a lone process: sample, and whether its end is known.
fn told_to_grow(
    machine: &Machine,
    samples: usize,
    size: impl Fn(f64) -> f64,
) -> Vec<(usize, bool)> {
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut told = Vec::new();
    let first = size(0.0) as u64;
    for k in 0..samples {
        let mut events = Vec::new();
        let rows = [(9, 1, size(k as f64) as u64, 0.0)];
        let t = 1e9 + k as f64 * machine.interval_s;
        detector.observe(&machine.sample(t, &rows, first), &mut events);
        let growing = events.into_iter().filter_map(|event| match event {
            Event::Growing(finding) => Some((k, finding.forecast.is_some())),
            _ => None,
        });
        told.extend(growing);
    }
    told
}

#[test]
fn growth_is_said_after_a_few_samples_with_its_end() {
    let machine = Machine { interval_s: 180.0, ..Machine::new(4 * GIB, 8 * GIB) };
    // A large program grows by a tenth of itself in an hour: memory ends within two days.
    let told = told_to_grow(&machine, 20, |k| (2000.0 + 10.0 * k) * M);
    assert!(matches!(told[..], [(15..18, true), ..]), "{told:?}");
    assert_eq!(told_to_grow(&machine, 200, |_| 2000.0 * M), []);
    assert_eq!(machine.one(20, |k| (2000.0 + 10.0 * k) * M), [], "too few to call it a leak");
}

#[test]
fn slight_growth_of_a_large_warmed_program_is_said_where_memory_ends_in_its_time() {
    let machine = Machine { interval_s: 180.0, ..Machine::new(4 * GIB, 8 * GIB) };
    // By a hundredth of itself in an hour: memory ends in three days, 90 times the window.
    let slight = |k: f64| (2000.0 + 30.0 * k.min(5.0) + 2.5 * k) * M;
    let told = told_to_grow(&machine, 30, slight);
    assert!(matches!(told[..], [(15..30, true), ..]), "{told:?}");
    // The same sizes every second are half a minute of warming up, ...
    let often = Machine { interval_s: 1.0, ..machine };
    assert_eq!(told_to_grow(&Machine::new(40 * GIB, 80 * GIB), 30, |k| slight(k / 200.0)), []);
    assert_ne!(told_to_grow(&often, 30, slight), [], "... unless memory ends within hours");
}

#[test]
fn growth_that_came_with_more_and_more_work_proves_no_leak() {
    let machine = Machine::new(2 * GIB, 4 * GIB);
    // From almost nothing, so that it is not in proportion to CPU use.
    let grown = |k: f64| (10.0 + k) * M;
    let found = |load: fn(f64) -> f64| {
        machine.run(1500, |k| vec![(9, 1, grown(k as f64) as u64, load(k as f64))])
    };
    assert_eq!(found(|k| 0.05 * k).first().map(|f| f.3), Some(FindingReason::LongSteady));
    // The sum of a load that rises from .05 to .5 cores.
    assert_eq!(found(|k| 0.05 * k + 0.00015 * k * k), []);
}

#[test]
fn growth_through_a_whole_day_is_a_leak_however_much_memory_is_left() {
    let machine = Machine { interval_s: 600.0, ..Machine::new(10 * GIB, 64 * GIB) };
    let found = machine.one(300, |k| (1000.0 + 5.0 * k) * M);
    assert_eq!(found.first().map(|f| f.3), Some(FindingReason::DayLong));
    assert!((144..240).contains(&found[0].2), "{found:?}");
    // A fill of half a day, and a warm-up of days that begins slowly.
    assert_eq!(machine.one(600, |k| (1000.0 + 5.0 * k.min(72.0)) * M), []);
    let s_shaped = |k: f64| (1000.0 + 2000.0 / (1.0 + ((300.0 - k) / 70.0).exp())) * M;
    assert_eq!(machine.one(900, s_shaped), []);
}

#[test]
fn memory_that_was_freed_lasts_longer() {
    let machine = Machine::new(GIB, 2 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let root = ProcId { pid: 9, start: 9 };
    let mut before_s = 0.0;
    for k in 0..420_u64 {
        // Two grow alike; the other one is gone after 400 samples.
        let rows = [(9, 1, (50 + k) * MIB, 0.0), (8, 1, (50 + k) * MIB, 0.0)];
        let rows = if k < 400 { &rows[..] } else { &rows[..1] };
        detector.observe(&machine.sample(k as f64, rows, 100 * MIB), &mut Vec::new());
        let Some(forecast) = detector.growth_forecast(root) else { continue };
        if k < 400 {
            before_s = forecast.likely_s;
        } else {
            let left = detector.headroom(root).left as f64;
            assert!(before_s < 150.0, "{before_s}");
            assert!(forecast.likely_s > 0.5 * left / M, "{forecast:?}, {left} left");
        }
    }
    assert!(before_s > 0.0);
}

#[test]
fn one_that_grows_where_its_siblings_at_the_same_work_do_not_leaks() {
    let pool = |work: fn(u32, f64) -> f64| {
        Machine::new(GIB, 2 * GIB).run(400, |k| {
            let grown = |child: u32| if child == 2 { k as u64 } else { 0 };
            let cpu = |child: u32| work(child, k as f64);
            let child = |child: u32| (20 + child, 9, (30 + grown(child)) * MIB, cpu(child));
            std::iter::once((9, 1, 10 * MIB, 0.0)).chain((0..4).map(child)).collect()
        })
    };
    let found = pool(|_, k| 0.1 * k);
    assert_eq!((found[0].0, found[0].3), (22, FindingReason::UnlikeSiblings));
    let sticky = pool(|child, k| if child == 2 { 0.4 * k } else { 0.0 });
    assert!(sticky.iter().all(|found| found.3 != FindingReason::UnlikeSiblings), "{sticky:?}");
}

#[test]
fn forks_of_one_master_are_siblings_whatever_they_are_called() {
    // Under mod_perl the children of apache2 rename themselves; what a CGI child runs is another program.
    let why = |forked: bool| {
        let machine = Machine::new(GIB, 2 * GIB);
        let mut detector = Detector::with(&machine.header(), Constants::default());
        let mut events = Vec::new();
        for k in 0..400_u64 {
            let child =
                |n: u32| (20 + n, 9, (30 + if n == 2 { k } else { 0 }) * MIB, 0.1 * k as f64);
            let rows: Vec<Row> =
                std::iter::once((9, 1, 10 * MIB, 0.0)).chain((0..4).map(child)).collect();
            let mut sample = machine.sample(k as f64, &rows, 130 * MIB);
            let (grows, name) = (3, Comm::new(b"renamed"));
            // It renamed itself before the watch began, or begins its program in the second sample.
            let told = |proc: &Proc, forked| Program { id: proc.id, forked, ..Program::unknown() };
            if k == 0 {
                sample.programs = sample.procs.iter().map(|proc| told(proc, true)).collect();
            }
            if k > 0 || forked {
                sample.procs[grows].comm = name;
            }
            if k == 1 && !forked {
                sample.programs = vec![told(&sample.procs[grows], forked)];
            }
            detector.observe(&sample, &mut events);
        }
        events.into_iter().find_map(|event| match event {
            Event::Leak(Finding { why, .. }) => Some(why),
            _ => None,
        })
    };
    assert_eq!(why(true), Some(FindingReason::UnlikeSiblings));
    assert_ne!(why(false), Some(FindingReason::UnlikeSiblings));
}

#[test]
fn what_xargs_starts_may_grow_to_the_end_of_memory_and_is_a_job() {
    let machine = Machine::new(GIB, 2 * GIB);
    let leaks = |parent: &[u8]| {
        let mut detector = Detector::with(&machine.header(), Constants::default());
        let mut events = Vec::new();
        for k in 0..1000_u64 {
            let rows = [(9, 1, MIB, 0.0), (20, 9, (20 + k) * MIB, 0.0)];
            let mut sample = machine.sample(k as f64, &rows, 21 * MIB);
            sample.procs[0].comm = Comm::new(parent);
            detector.observe(&sample, &mut events);
        }
        events.iter().any(|event| matches!(event, Event::Leak(_)))
    };
    assert!(!leaks(b"xargs"));
    assert!(leaks(b"gunicorn"));
}

#[test]
fn a_service_that_starts_again_may_grow_to_the_size_at_which_it_settled() {
    let machine = Machine::new(GIB, GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut told = Vec::new();
    for k in 0..2400_u64 {
        let (run, age) = (k / 800, k % 800);
        // The third run goes on where the others settled.
        let most = if run == 2 { 800 } else { 400 };
        let mut sample = machine.sample(k as f64, &[(9, 1, (50 + age.min(most)) * MIB, 0.0)], 0);
        sample.procs[0].id.start = run;
        let mut events = Vec::new();
        detector.observe(&sample, &mut events);
        let reported = |event: &Event| matches!(event, Event::Growing(_) | Event::Leak(_));
        told.extend(events.iter().filter(|event| reported(event)).map(|_| run));
    }
    assert!(told.contains(&0) && !told.contains(&1) && told.contains(&2), "{told:?}");
}

#[test]
fn a_growth_to_the_end_of_memory_is_a_leak_even_if_it_bends() {
    let bends = |k: f64| (100.0 + 2500.0 * (1.0 - (-k / 900.0).exp())) * M;
    let found = Machine::new(2 * GIB, 4 * GIB).one(1500, bends);
    assert_eq!(found.first().map(|found| found.3), Some(FindingReason::NearEnd), "{found:?}");
}

#[test]
fn a_warm_up_is_no_leak() {
    let machine = Machine::new(2 * GIB, 4 * GIB);
    for tau in [100.0, 30.0] {
        assert_eq!(machine.one(3000, |k| (100.0 + 400.0 * (1.0 - (-k / tau).exp())) * M), []);
    }
}

#[test]
fn no_process_is_idle_for_longer_than_it_was_watched() {
    // Samples that make up for a late one count for more time than they took.
    let machine = Machine { head: GIB, total: GIB, interval_s: 60.0 };
    let mut detector = Detector::with(&machine.header(), Constants::default());
    for t in [0.0, 60.0, 400.0, 410.0, 420.0, 430.0] {
        detector.observe(&machine.sample(1e9 + t, &[(9, 1, MIB, 7.0)], MIB), &mut Vec::new());
        let idle_s = detector.process_states().next().unwrap().idle_s;
        assert!(idle_s <= t, "{idle_s} after {t}");
    }
}

#[test]
fn a_step_is_no_leak() {
    let step = |k: f64| (100.0 + 30.0 * (k - 1000.0).clamp(0.0, 10.0)) * M;
    assert_eq!(Machine::new(GIB, 2 * GIB).one(4000, step), []);
}

#[test]
fn a_sawtooth_leaks_only_if_its_minima_rise() {
    let machine = Machine::new(GIB, 2 * GIB);
    assert_eq!(machine.one(4000, |k| (100.0 + 100.0 / 40.0 * (k % 40.0)) * M), []);
    let rising = |k: f64| (100.0 + 50.0 / 40.0 * (k % 40.0) + k / 8.0) * M;
    assert_eq!(machine.endangering(1000, rising), Some(799));
}

#[test]
fn growth_in_step_with_load_is_no_leak() {
    let load = |k: f64| 0.1 + 0.9 * k / 1000.0;
    let cpu = |k: f64| 0.1 * k + 0.45 * k * k / 1000.0;
    let rows = |k: usize| {
        let k = k as f64;
        vec![(9, 1, ((100.0 + 200.0 * load(k)) * M) as u64, cpu(k))]
    };
    assert_eq!(Machine::new(GIB, 2 * GIB).run(1000, rows), []);
}

#[test]
fn children_that_never_exit_are_a_leak_of_the_tree() {
    let children = |k: usize| (0..k as u32 / 20).map(|child| (20 + child, 9, 10 * MIB, 0.0));
    let rows = |k| std::iter::once((9, 1, 10 * MIB, 0.0)).chain(children(k)).collect();
    let found = Machine::new(4 * GIB, 8 * GIB).run(400, rows);
    assert_eq!(found, vec![(9, FindingScope::Tree, 143, FindingReason::PileUp)]);
}

#[test]
fn the_only_leaking_one_of_six_siblings_is_named() {
    let rows = |k: usize| {
        let warm = 30.0 + 15.0 * (1.0 - (-(k as f64) / 100.0).exp());
        let leak = |child: u32| if child == 3 { k as f64 / 4.0 } else { 0.0 };
        let child = |child: u32| (20 + child, 9, ((warm + leak(child)) * M) as u64, 0.0);
        std::iter::once((9, 1, 10 * MIB, 0.0)).chain((0..6).map(child)).collect()
    };
    let found = Machine::new(2 * GIB, 4 * GIB).run(1500, rows);
    let named: Vec<_> = found.iter().map(|found| (found.0, found.1)).collect();
    assert_eq!(named, [(23, FindingScope::Process)]);
}

#[test]
fn six_fast_growing_siblings_all_endanger_memory_before_it_ends() {
    // 12 MiB/s in all: memory ends after 85 samples, and by one of them alone after 500.
    let leak = |child: u32, k: usize| (20 + child, 9, (30 + 2 * k as u64) * MIB, 0.0);
    let rows =
        |k| std::iter::once((9, 1, 10 * MIB, 0.0)).chain((0..6).map(|c| leak(c, k))).collect();
    let found = Machine::new(GIB, 2 * GIB).find(84, rows, |s| s.endangers);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(
        found.iter().all(|(_, _, k, why)| *k < 70 && *why == FindingReason::Urgent),
        "{found:?}"
    );
}

#[test]
fn a_reused_pid_is_a_new_process() {
    let machine = Machine::new(GIB, 2 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut events = Vec::new();
    for k in 0..2000_u64 {
        // Every 40 samples another process under the same pid, each larger than the one before.
        let mut sample = machine.sample(k as f64, &[(9, 1, (100 + k / 40 * 10) * MIB, 0.0)], 0);
        sample.procs[0].id.start = k / 40;
        detector.observe(&sample, &mut events);
        assert_eq!(detector.process_states().count(), 1);
        assert_eq!(detector.process_states().next().unwrap().samples as u64, k % 40 + 1);
    }
    assert_eq!(events, []);
}

#[test]
fn inherited_memory_is_not_growth() {
    let machine = Machine::new(GIB, 2 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let rows = [(9, 1, 300 * MIB, 0.0), (20, 9, 300 * MIB, 0.0)];
    detector.observe(&machine.sample(1.0, &rows, 0), &mut Vec::new());
    let child = detector.process_state(ProcId { pid: 20, start: 20 }).unwrap();
    assert_eq!((child.first_footprint, child.footprint), (300 * MIB, 300 * MIB));
    assert_eq!((child.parent, child.parent_alive), (Some(ProcId { pid: 9, start: 9 }), true));
}

#[test]
fn the_nearest_ceiling_of_the_tree_counts() {
    let machine = Machine::new(8 * GIB, 16 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let root = ProcId { pid: 9, start: 9 };
    let mut told = None;
    for k in 0..400_u64 {
        let rows = [(9, 1, 10 * MIB, 0.0), (20, 9, (20 + k) * MIB, 0.0)];
        let mut sample = machine.sample(k as f64, &rows, 30 * MIB);
        let (kind, place) = (CeilingKind::CgroupMemory, Place::new("/app"));
        let (used, limit) = ((30 + k) * MIB, 2 * GIB);
        sample.ceilings = vec![Ceiling { kind, root: Some(root), place, used, limit }];
        let mut events = Vec::new();
        detector.observe(&sample, &mut events);
        told = told.or(events.into_iter().find(|event| matches!(event, Event::Growing(_))));
    }
    assert_eq!(detector.headroom(root).left, 2 * GIB - 429 * MIB);
    let forecast = detector.forecast(root).unwrap();
    assert_eq!(forecast.ceiling, CeilingKind::CgroupMemory);
    assert!((forecast.likely_s / 1619.0 - 1.0).abs() < 0.02, "{forecast:?}");
    let state = detector.process_state(ProcId { pid: 20, start: 20 }).unwrap();
    assert_eq!((state.root, state.verdict, state.endangers), (root, Verdict::Growing, true));
    let evidence = state.kill_evidence.unwrap();
    assert!((evidence.slope - M).abs() < 1.0, "{evidence:?}");
    assert!(told.is_some());
}

#[test]
fn a_verdict_is_withdrawn_when_growth_ends_or_the_process_does() {
    let machine = Machine::new(4 * GIB, 8 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut cleared = Vec::new();
    for k in 0..2000_u64 {
        let rows = [(9, 1, (100 + k.min(300)) * MIB, 0.0), (8, 1, (100 + k) * MIB, 0.0)];
        let rows = if k < 1500 { &rows[..] } else { &rows[..1] };
        let mut events = Vec::new();
        detector.observe(&machine.sample(k as f64, rows, 200 * MIB), &mut events);
        cleared.extend(events.into_iter().filter_map(|event| match event {
            Event::VerdictCleared { id, why, .. } => Some((id.pid, why, k)),
            _ => None,
        }));
    }
    assert_eq!(cleared[1], (8, ClearedReason::Exited, 1500));
    assert_eq!((cleared[0].0, cleared[0].1), (9, ClearedReason::GrowthEnded));
    assert!((300..600).contains(&cleared[0].2), "{cleared:?}");
}

#[test]
fn closer_samples_find_a_fast_leak_sooner() {
    let machine = Machine { head: 4 * GIB, total: 8 * GIB, interval_s: 16.0 };
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut t = 0.0;
    let mut found = None;
    for k in 0..400 {
        t += if k < 40 { 16.0 } else { 1.0 };
        let leaked = if k < 40 { 0 } else { (t - 40.0 * 16.0) as u64 * 4 };
        let mut events = Vec::new();
        let sample = machine.sample(t, &[(9, 1, (100 + leaked) * MIB, 0.0)], 100 * MIB);
        detector.observe(&sample, &mut events);
        found = found.or(detector.process_states().any(|s| s.endangers).then_some(k));
    }
    // 48 samples a second apart; 48 of 16 s would be 768 s.
    assert!((88..200).contains(&found.unwrap()), "{found:?}");
}

/// Observes a child that warms up for 130 samples, settles and ends; returns what was reported.
fn warm_up(detector: &mut Detector, machine: &Machine) -> Vec<&'static str> {
    let mut events = Vec::new();
    for k in 0..300_u64 {
        let rows = [(9, 1, 10 * MIB, 0.0), (20, 9, (100 + k.min(130) * 2 / 5) * MIB, 0.0)];
        let rows = if k < 299 { &rows[..] } else { &rows[..1] };
        detector.observe(&machine.sample(k as f64, rows, 110 * MIB), &mut events);
    }
    let word = |event: &Event| match event {
        Event::Growing(_) => Some("growing"),
        Event::Leak(_) => Some("leak"),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

#[test]
fn a_second_warm_up_is_no_news_even_after_the_watch_restarts() {
    let machine = Machine::new(4 * GIB, 8 * GIB);
    let mut first = Detector::with(&machine.header(), Constants::default());
    assert!(warm_up(&mut first, &machine).contains(&"growing"), "no earlier run is known yet");

    let known = first.profiles(256);

    let comm = Comm::new(b"app");
    let (peak, longest_s) = (152 * MIB, 299.0);
    let key = RunKey { comm, parent: comm, owner: known[0].key.owner };
    assert_eq!(known, [Profile { key, peak, longest_s }]);
    // Profiles are in seconds, so another interval does not matter.
    let machine = Machine { interval_s: 2.0, ..machine };
    let mut second = Detector::with(&machine.header(), Constants::default());
    second.remember(&known);
    assert_eq!(second.profiles(256), known, "the profile survives the restart");
    let machine = Machine { interval_s: 1.0, ..machine };
    let mut second = Detector::with(&machine.header(), Constants::default());
    second.remember(&known);
    assert_eq!(warm_up(&mut second, &machine), [""; 0]);
    let mut stranger = Detector::with(&machine.header(), Constants::default());
    let other = RunKey { parent: Comm::new(b"other"), ..key };
    stranger.remember(&[Profile { key: other, ..known[0] }]);
    let told = warm_up(&mut stranger, &machine);
    assert!(told.contains(&"growing"), "the known run had another parent");
    for owner in [RunOwner::new(Some(12345), key.owner.exe()), RunOwner::new(key.owner.uid(), 1)] {
        let mut stranger = Detector::with(&machine.header(), Constants::default());
        stranger.remember(&[Profile { key: RunKey { owner, ..key }, ..known[0] }]);
        assert!(warm_up(&mut stranger, &machine).contains(&"growing"), "it was another user's");
    }
    let mut poisoned = Detector::with(&machine.header(), Constants::default());
    poisoned.remember(&[Profile { peak: 1 << 50, ..known[0] }]);
    assert!(warm_up(&mut poisoned, &machine).contains(&"growing"), "no such run fits into memory");
}

#[test]
fn a_worker_that_grew_until_it_was_ended_is_no_example() {
    let machine = Machine::new(4 * GIB, 8 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut events = Vec::new();
    for k in 0..200_u64 {
        let rows = [(9, 1, 10 * MIB, 0.0), (20, 9, (100 + k) * MIB, 0.0)];
        let rows = if k < 199 { &rows[..] } else { &rows[..1] };
        detector.observe(&machine.sample(k as f64, rows, 110 * MIB), &mut events);
    }
    assert_eq!(detector.profiles(256), []);
}

#[test]
fn the_program_that_ended_last_comes_first() {
    let mut runs = EarlierRuns::default();
    let name = |nth: u8| RunKey {
        comm: Comm::new(&[nth]),
        parent: Comm::new(b"parent"),
        owner: RunOwner::default(),
    };
    (0..10).for_each(|nth| runs.ended(name(nth), 5, 5));
    let learnt = runs.learnt();
    runs.ended(name(3), 4, 5);
    assert_eq!(runs.learnt(), learnt, "a smaller run adds nothing");
    let names =
        |runs: &EarlierRuns| runs.profiles(3, 1.0).iter().map(|p| p.key.comm).collect::<Vec<_>>();
    assert_eq!(names(&runs), [3, 9, 8].map(|nth| name(nth).comm));
    let mut next = EarlierRuns::default();
    next.remember(&runs.profiles(10, 1.0), 1.0);
    assert_eq!(names(&next), names(&runs));
}

/// A series of pages with growth, noise and falls.
fn series() -> impl Strategy<Value = Vec<u32>> {
    let step = prop_oneof![8 => -64..65_i32, 8 => 0..300_i32, 1 => -20_000..20_000_i32];
    prop::collection::vec(step, 50..400).prop_map(|steps| {
        let mut pages = 100_000_i32;
        steps
            .iter()
            .map(|step| {
                pages = (pages + step).clamp(1000, 1_000_000);
                pages as u32
            })
            .collect()
    })
}

fn verdicts(pages: &[u32], t: impl Fn(usize) -> f64, swap: impl Fn(usize) -> u64) -> Vec<Event> {
    let machine = Machine::new(8 * GIB, 16 * GIB);
    let mut detector = Detector::with(&machine.header(), Constants::default());
    let mut events = Vec::new();
    for (k, pages) in pages.iter().enumerate() {
        let mut sample =
            machine.sample(t(k), &[(9, 1, u64::from(*pages) * 4 * KIB, 0.0)], 400_000 * KIB);
        let proc = &mut sample.procs[0];
        let anon = proc.anon.unwrap();
        proc.swap = swap(k).min(anon);
        proc.anon = Some(anon - proc.swap);
        detector.observe(&sample, &mut events);
    }
    events
}

proptest! {
    #[test]
    fn swapping_changes_no_verdict(pages in series(), every in 1_usize..50) {
        let at_rest = verdicts(&pages, |k| k as f64, |_| 0);
        let swapped = verdicts(&pages, |k| k as f64, |k| (k / every % 7) as u64 * 8 * MIB);
        prop_assert_eq!(at_rest, swapped);
    }

    #[test]
    fn a_shift_in_time_changes_no_verdict(pages in series(), by in -1e6..1e6_f64) {
        let now = verdicts(&pages, |k| k as f64, |_| 0);
        let then = verdicts(&pages, |k| k as f64 + by.round(), |_| 0);
        prop_assert_eq!(now, then);
    }

    #[test]
    fn a_step_of_the_clock_changes_no_verdict(pages in series(), at in 10_usize..40) {
        let now = verdicts(&pages, |k| k as f64, |_| 0);
        // The clock is set back by an hour: until it catches up, t creeps on by milliseconds.
        let creep = |k: usize| if k < at { k as f64 } else { at as f64 + (k - at) as f64 * 1e-3 };
        prop_assert_eq!(now, verdicts(&pages, creep, |_| 0));
    }

    #[test]
    fn an_explanation_agrees_with_the_verdict(pages in series(), load in prop::collection::vec(0.0..2.0_f64, 1..40)) {
        let machine = Machine::new(8 * GIB, 16 * GIB);
        let mut detector = Detector::with(&machine.header(), Constants::default());
        let mut cpu_s = 0.0;
        for (k, pages) in pages.iter().enumerate() {
            cpu_s += load[k % load.len()];
            let rows = [(9, 1, u64::from(*pages) * 4 * KIB, cpu_s)];
            detector.observe(&machine.sample(k as f64, &rows, 400_000 * KIB), &mut Vec::new());
            let explanation = detector.explain(ProcId { pid: 9, start: 9 }).unwrap();
            for row in &explanation.windows {
                let (window, tests) = (&row.window, &row.window.tests);
                let grows = tests.enough.passes && tests.beyond_falls.passes && tests.rising.passes;
                // A window that ended no higher was not tested and may pass; so may growth at equal load.
                prop_assert!(window.growth.is_none() || grows, "{row:?}");
                prop_assert!(window.growth.is_some() || !grows || !window.ends_higher.passes, "{row:?}");
                let slows = window.growth == Some(GrowthShape::Slowing);
                prop_assert!(window.growth.is_none() || slows != tests.lasting.passes, "{row:?}");
                let steady = matches!(window.growth, Some(GrowthShape::Steady | GrowthShape::AtEqualLoad));
                prop_assert_eq!(row.rules.is_some(), steady);
            }
            let proven = explanation.windows.iter().any(|row| row.rules.is_some_and(|rules| rules.leak.is_some()));
            let grows = explanation.state.endangers;
            prop_assert!(grows || !proven, "{explanation:?}");
            let is_held = explanation.held.is_some_and(|held| held.why.is_some());
            prop_assert_eq!(grows || explanation.state.verdict == Verdict::Leaking, is_held);
        }
    }

    #[test]
    fn a_plateau_never_leaks(level in 1_u64..4000, noise in prop::collection::vec(0_u64..50, 600)) {
        let machine = Machine::new(GIB, 2 * GIB);
        let found = machine.one(600, |k| (level as f64) * M + (noise[k as usize] * 4 * KIB) as f64);
        prop_assert_eq!(found, vec![]);
    }
}
