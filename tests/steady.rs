//! A steady tick allocates nothing: where memory runs out, noticing it must not need any.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

#[path = "common/fake_proc.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the others use the rest")]
mod fake_proc;

use fake_proc::{Fake, FakeProc, pid};
use leakwatch::command::watch::metrics::MetricsExporter;
use leakwatch::core::decide::glances::Glances;
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::sample::Sample;
use leakwatch::core::scheduling_delay::SchedulingDelay;
use leakwatch::report::summary;
use leakwatch::system::machine;
use leakwatch::system::proc::{Selection, SelectionArgs};
use leakwatch::system::sampler::Sampler;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

#[test]
fn steady_ticks_and_glances_allocate_nothing() {
    // A fixture and not this machine's /proc, where others start processes while we count.
    let proc = FakeProc::with_memory_kib(1 << 20).with_cgroups();
    let master = pid(0);
    proc.show(&Fake::new(master, "app").holding_kib(10_000));
    for nth in 1..=20 {
        proc.show(&Fake::new(pid(nth), "app").child_of(master).holding_kib(20_000));
    }
    for nth in 21..=300 {
        proc.show(&Fake::new(pid(nth), "other").holding_kib(5_000));
    }
    let words = SelectionArgs { patterns: vec!["^app$".to_owned()], ..SelectionArgs::default() };
    let selection = Selection::new(&words, Path::new("/etc/passwd")).unwrap();
    let mut probe =
        Sampler::new(proc.path(), Some(&proc.sysfs()), selection, Some(1 << 30)).unwrap();
    let rules = Rules::default();
    let mut engine =
        Engine::new(&machine::header(1.0), EngineSettings { max_extrapolation: 8.0, rules });
    let mut sample = Sample::default();
    let dir = tempfile::tempdir().unwrap();
    let mut metrics_exporter =
        MetricsExporter::new(&dir.path().join("a.prom"), "app", true).unwrap();
    let mut scheduling_delay = SchedulingDelay::new(0.0);
    let (mut glances, mut glanced) = (Glances::default(), Vec::new());
    let mut tick = |n: u32| {
        let t = f64::from(n);
        for quarter in 1..4 {
            let between = t - 1.0 + f64::from(quarter) / 4.0;
            probe.glance(&mut glanced).unwrap();
            glances.observe(between, glanced.iter().copied(), engine.policy().near_s());
            assert!(!glanced.is_empty());
        }
        probe.sample(1e9 + t, Some(1e6 + t), &mut sample).unwrap();
        engine.observe(&sample);
        assert!(scheduling_delay.observe(t, t + 0.001).is_none());
        let failed = metrics_exporter.tick(&engine, &sample, 1.0, t, &scheduling_delay);
        assert!(failed.is_none(), "{failed:?}");
        summary::write_summary(&mut [0_u8; 512].as_mut_slice(), &engine).unwrap();
        assert_eq!(sample.procs.len(), 21);
        // The machine's tasks twice, the cgroups' tasks and memory, the budget.
        assert_eq!(sample.ceilings.len(), 5, "{:?}", sample.ceilings);
    };
    (0..1_000).for_each(&mut tick);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (1_000..3_000).for_each(&mut tick);
    assert_eq!(
        ALLOCATIONS.load(Ordering::Relaxed) - before,
        0,
        "allocations in 2000 ticks and 6000 glances"
    );
}
