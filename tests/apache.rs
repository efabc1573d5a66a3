//! The main job, end to end, on a real leaking Apache in little memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of a run, shown with --nocapture")]

mod common;

use std::time::{Duration, Instant};

use common::apache::{Apache, Mode};
use common::cgroup::MemoryCgroup;
use common::load::{Load, Plan};
use common::missing::{self, Need};

const NEEDS: [Need; 4] = [Need::Apache, Need::ModPerl, Need::Root, Need::Cgroup];
const MIB: u64 = 1 << 20;

/// The machine of these tests: what Apache and its workers may have.
const MEMORY: u64 = 192 * MIB;
/// With 30 requests a second: 3.75 MiB/s, so an idle 192 MiB is gone in less than a minute.
const LEAK: Mode = Mode::Leak { kib: 128 };
const PER_SECOND: f64 = 30.0;

/// The danger is real: nobody acts, and the kernel kills workers in the middle of their requests.
#[test]
fn without_leakwatch_a_leaking_apache_ends_in_oom_kills() {
    if missing::skip(&NEEDS) {
        return;
    }
    let memory = MemoryCgroup::limited_to(MEMORY).unwrap();
    let apache = Apache::that(LEAK).inside(&memory).start();
    let base = memory.usage() / MIB;
    let start = Instant::now();
    let load = Load::start(Plan::of(apache.port(), Apache::PATH, PER_SECOND));

    while memory.oom_kills() == 0 && start.elapsed() < Duration::from_secs(180) {
        std::thread::sleep(Duration::from_millis(200));
    }

    let kills = memory.oom_kills();
    let tally = load.finish();
    println!("base {base} MiB, first kill after {:.0?}, {}", start.elapsed(), tally.summary());
    assert!(kills > 0, "no OOM kill in {:?}, usage {} MiB", start.elapsed(), memory.usage() / MIB);
}
