//! A steady tick allocates nothing: whoever runs out of memory must not need any to notice.
#![allow(unsafe_code, clippy::unwrap_used)]

use leakwatch::engine::{Engine, Settings};
use leakwatch::machine;
use leakwatch::policy::Rules;
use leakwatch::probe::{Probe, Selection, Words};
use leakwatch::sample::Sample;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::process::{Child, Command};
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

struct Sleepers(Vec<Child>);

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_steady_tick_allocates_nothing() {
    let sleepers =
        Sleepers((0..20).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect());
    let pids = sleepers.0.iter().map(Child::id).collect();
    let words = Words { pids, ..Words::default() };
    let selection = Selection::new(&words, Path::new("/etc/passwd")).unwrap();
    let mut probe = Probe::new(Path::new("/proc"), selection, Some(1 << 30)).unwrap();
    let rules = Rules {
        act: true,
        dry_run: false,
        lead_s: 30.0,
        grace_s: None,
        allow_root: true,
        protect: Vec::new(),
    };
    let mut engine = Engine::new(&machine::header(1.0), Settings { caution: 8.0, rules });
    let mut sample = Sample::default();
    let mut tick = |n: u32| {
        let t = f64::from(n);
        probe.sample(1e9 + t, Some(1e6 + t), &mut sample).unwrap();
        engine.observe(&sample);
        assert_eq!(sample.procs.len(), 20);
    };
    // Long enough for every table to have its size, and for levels of 256 samples to be full.
    (0..6_000).for_each(&mut tick);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (6_000..6_500).for_each(&mut tick);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // Processes that others start meanwhile may cost a table entry each; 500 ticks of one
    // allocation each would be 500.
    assert!(allocations < 50, "{allocations} allocations in 500 steady ticks");
}
