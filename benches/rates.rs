//! What happens to the requests of real servers that leak fast in little memory.
//!
//! ```text
//! cargo bench --bench rates                          # 4, 15 and 40 MB/s in 256 MiB: a quarter of an hour
//! cargo bench --bench rates -- 1024 15,40            # in so many MiB at so many MB/s
//! cargo bench --bench rates -- 256 15,40 unwatched   # without leakwatch
//! ```
//!
//! Root, memory cgroups and the servers that tests/all installs. Each leaks for 40 s, and until it would have
//! filled its memory one and a half times; two run at a time, or four that leak less than 15 MB/s. Exits with
//! 1 when under leakwatch the OOM killer struck or a request failed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the tests use the rest")]
#[path = "../tests/common"]
mod common {
    pub mod apache;
    pub mod cgroup;
    pub mod claim;
    pub mod cli;
    pub mod events;
    pub mod lines;
    pub mod load;
    pub mod needs;
    pub mod ports;
    pub mod prefork;
    pub mod process;
    pub mod service;
    pub mod small_machine;
    pub mod turn;
    pub mod wait;
}

use common::cgroup::Cgroup;
use common::cli::{Cli, PROMPTLY};
use common::events;
use common::load::{Load, Plan};
use common::service::{Kind, Service, Setup};

const MIB: u64 = 1 << 20;
const PER_SECOND: f64 = 60.0;
/// Each server is under load for so long at least, and for so many times what it takes to fill its memory.
const LEAST_S: f64 = 40.0;
const FILLS: f64 = 1.5;
/// Below so many MB/s, more servers run at a time.
const SLOW: f64 = 15.0;
/// A server is looked at as often, for the least that was left.
const GLANCE: Duration = Duration::from_millis(20);
const KINDS: [Kind; 8] = [
    Kind::PhpFpm,
    Kind::GunicornSync,
    Kind::GunicornGthread,
    Kind::Uwsgi,
    Kind::Puma,
    Kind::Unicorn,
    Kind::ApachePreforkC,
    Kind::ApacheEvent,
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let word = |nth: usize, usual: &str| words.get(nth).cloned().unwrap_or_else(|| usual.into());
    let memory: u64 = word(0, "256").parse().expect("MiB");
    let rates = word(1, "4,15,40");
    let rates: Vec<f64> = rates.split(',').map(|rate| rate.parse().expect("MB/s")).collect();
    let is_watched = word(2, "watched") == "watched";

    let at_once = if rates.iter().all(|rate| *rate < SLOW) { 4 } else { 2 };
    let jobs = KINDS.iter().flat_map(|kind| rates.iter().map(move |rate| (*kind, *rate)));
    let (jobs, is_kept) = (Mutex::new(jobs), Mutex::new(true));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                // The next one is taken out of the lock before it runs.
                let next = || jobs.lock().expect("nobody panicked").next();
                while let Some((kind, rate)) = next() {
                    *is_kept.lock().expect("nobody panicked") &=
                        run(kind, rate, memory, is_watched);
                }
            });
        }
    });
    let is_kept = is_kept.into_inner().expect("nobody panicked");
    if is_kept || !is_watched { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lets one server leak, and prints what happened; whether neither process nor request was lost.
fn run(kind: Kind, mb_per_s: f64, mib: u64, is_watched: bool) -> bool {
    let kib = (mb_per_s * 1e6 / PER_SECOND / 1024.0).round() as u32;
    let memory = Cgroup::with_memory(4096 * MIB).unwrap();
    let service = Service::start(Setup { kind, kib, cgroup: &memory, keep_alive: false });
    let warm = Load::start(Plan::of(service.port(), "/?kib=0&sleep=0.2", 40.0));
    thread::sleep(Duration::from_secs(2));
    warm.finish();
    memory.limit_memory(mib * MIB).unwrap();

    let watch = is_watched.then(|| {
        let pid = service.master().pid.to_string();
        let reload = (kind == Kind::ApacheEvent).then_some("--reload");
        let cli = Cli::leakwatch(["--format", "json", "--pid", &pid].into_iter().chain(reload));
        cli.err.expect_line(PROMPTLY, "of what is watched", |line| line.contains("watching"));
        cli
    });
    let fill_s = (mib * MIB) as f64 / (mb_per_s * 1e6);
    let time = Duration::from_secs_f64(LEAST_S.max(FILLS * fill_s));
    let (load, began, mut least) =
        (Load::start(Plan::of(service.port(), "/", PER_SECOND)), Instant::now(), u64::MAX);
    while began.elapsed() < time {
        thread::sleep(GLANCE);
        least = least.min((mib * MIB).saturating_sub(memory.usage()));
    }
    let (tally, oom_kills) = (load.finish(), memory.oom_kills());
    let failed: usize = tally.failures().values().sum();
    let ended = watch.as_ref().map_or(0, |cli| events::named(&cli.out, "outcome").len());
    println!(
        "{kind:?} at {mb_per_s} MB/s in {mib} MiB: OOM kills {oom_kills}, failed {failed} of {}, ended {ended}, least left {} MiB, p99 {} ms",
        tally.0.len(),
        least / MIB,
        tally.percentile_ms(99)
    );
    if let Some(cli) = watch {
        cli.stop();
    }
    oom_kills == 0 && failed == 0
}
