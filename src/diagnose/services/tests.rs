//! Services with three days of checks behind them, through both engines.

use super::assemble::Observation;
use super::service::{JudgedBy, Service, ServiceVerdict};
use crate::core::engine::Engine;
use crate::core::model::process::{Comm, Proc, ProcId};
use crate::core::model::sample::{Header, Memory, Sample};
use crate::diagnose::earlier::histories::judge as settings;
use crate::diagnose::earlier::series::{EarlierSeries, SeriesSource, ServiceRoots};
use crate::diagnose::leak_figures::SteadyGrowth;
use crate::diagnose::size_history::TreeSizes;

const MIB: u64 = 1 << 20;
const EVERY_S: f64 = 300.0;

/// The size in MiB of one process: by the number of each check of three days, and by the seconds of the
/// live samples after them.
struct Story {
    earlier: fn(f64) -> f64,
    live: fn(f64) -> f64,
}

impl Story {
    fn sample(t: f64, mib: f64, all: u64) -> Sample {
        let bytes = (mib * MIB as f64) as u64;
        let proc = Proc {
            id: ProcId { pid: 812, start: 100 },
            ppid: 1,
            comm: Comm::new(b"app"),
            rss: bytes,
            anon: Some(bytes),
            swap: 0,
            cpu_s: t * 0.05,
            threads: 1,
        };
        let memory = Memory { total: all, available: all - bytes, ..Memory::default() };
        let (procs, uptime_s) = (vec![proc], Some(t));
        Sample { t, uptime_s, memory, procs, ..Sample::default() }
    }

    /// The service that a diagnosis on a machine of so many MiB makes of it.
    fn service(&self, mib: u64) -> Service {
        let all = mib * MIB;
        let header = |interval_s| Header {
            interval_s,
            clock_ticks: 100,
            page_size: 4096,
            hostname: "vps1".to_owned(),
        };
        let which = (SeriesSource::Checks, "app");
        let mut earlier = EarlierSeries::new(which, &header(EVERY_S), settings(), &[]);
        let roots = ServiceRoots::new();
        let mut t = 1e6;
        for nth in 0..864 {
            t += EVERY_S;
            earlier.observe(&Self::sample(t, (self.earlier)(f64::from(nth)), all), &roots);
        }
        let (mut engine, mut history) =
            (Engine::new(&header(0.375), settings()), TreeSizes::default());
        t += 60.0;
        for nth in 0..160 {
            t += 0.375;
            let sample = Self::sample(t, (self.live)(0.375 * f64::from(nth)), all);
            engine.observe(&sample);
            let sizes = sample.procs.iter().map(|proc| (proc.id, proc.footprint() as f64));
            history.push(&sample, sizes);
            earlier.observe_live(&sample, &roots);
        }
        let earlier = [earlier];
        let observation = Observation {
            t,
            engine: &engine,
            history: &history,
            earlier: &earlier,
            units: &Default::default(),
            programs: &Default::default(),
            readings: &[],
        };
        observation.services().remove(0)
    }
}

fn judge(service: &Service) -> JudgedBy {
    service.earlier.expect("an earlier series saw it").judge
}

/// It swings by 80 MiB within the hour; a minute of that is growth without a break.
#[test]
fn a_minute_of_its_usual_growth_makes_no_service_suspect() {
    let story =
        Story { earlier: |nth| 200.0 + 40.0 * (nth * 0.5).sin(), live: |s| 200.0 + s * 0.2 };
    let service = story.service(300);
    assert_eq!((service.verdict, judge(&service)), (ServiceVerdict::Flat, JudgedBy::Earlier));
    assert_eq!((service.suspects, service.leaking), (1, 0), "the live samples alone suspect it");
}

#[test]
fn growth_beyond_all_earlier_sizes_stays_suspect() {
    let story = Story { earlier: |_| 200.0, live: |s| 200.0 + s };
    let service = story.service(700);
    assert_eq!(
        (service.verdict, judge(&service)),
        (ServiceVerdict::Suspect, JudgedBy::LiveSinceLarger)
    );
}

/// Memory ends in a minute; that it was flat for days does not help.
#[test]
fn a_leak_in_the_live_samples_is_not_cleared_by_a_flat_history() {
    let story = Story { earlier: |_| 200.0, live: |s| 200.0 + 4.0 * s };
    let service = story.service(600);
    assert_eq!((service.verdict, judge(&service)), (ServiceVerdict::Grows, JudgedBy::Live));
    let forecast = service.forecast.unwrap();
    assert!(forecast.latest_s < 300.0, "the forecast is that of the live samples: {forecast:?}");
}

#[test]
fn a_quiet_minute_does_not_clear_a_leak_of_days_and_its_rate_counts() {
    let story = Story { earlier: |nth| 200.0 + nth * 0.5, live: |_| 632.0 };
    let service = story.service(2000);
    assert_eq!((service.verdict, judge(&service)), (ServiceVerdict::Grows, JudgedBy::Earlier));
    let SteadyGrowth { rate, window_s } = service.steady.unwrap();
    assert!((rate * EVERY_S / MIB as f64 - 0.5).abs() < 0.02 && window_s > 86_400.0);
    let end_s = service.forecast.unwrap().likely_s;
    assert!((end_s / (1368.0 / 0.5 * EVERY_S) - 1.0).abs() < 0.1, "{end_s}");
}

/// A leak that has become much faster: both prove it, and the nearer end counts.
#[test]
fn of_two_proofs_the_far_nearer_end_counts() {
    let story = Story { earlier: |nth| 200.0 + nth * 0.5, live: |s| 632.0 + 8.0 * s };
    let service = story.service(1300);
    assert_eq!(service.verdict, ServiceVerdict::Leaks);
    assert!(service.forecast.unwrap().latest_s < 600.0, "{:?}", service.forecast);
}

/// The verdict on a process that was started so many seconds ago, grows by 4 MiB/s, and has three more
/// minutes until memory ends.
fn verdict_on(exe: &str, age_s: f64) -> ServiceVerdict {
    use crate::core::model::process::Program;
    let from_t = 1e6;
    let id = ProcId { pid: 812, start: ((from_t - age_s) * 100.0) as u64 };
    let header =
        Header { interval_s: 0.375, clock_ticks: 100, page_size: 4096, hostname: String::new() };
    let (mut engine, mut history) = (Engine::new(&header, settings()), TreeSizes::default());
    let mut t = from_t;
    for nth in 0..160 {
        t += 0.375;
        let mut sample = Story::sample(t, 200.0 + 1.5 * f64::from(nth), 1200 * MIB);
        sample.procs.iter_mut().for_each(|proc| proc.id = id);
        if nth == 0 {
            let (exe, uid) = (exe.to_owned(), Some(33));
            sample.programs.push(Program { id, exe, uid, ..Program::unknown() });
        }
        engine.observe(&sample);
        let sizes = sample.procs.iter().map(|proc| (proc.id, proc.footprint() as f64));
        history.push(&sample, sizes);
    }
    let observation = Observation {
        t,
        engine: &engine,
        history: &history,
        earlier: &[],
        units: &Default::default(),
        programs: &Default::default(),
        readings: &[],
    };
    let service = observation.services().remove(0);
    assert_eq!(service.uids, [33]);
    service.verdict
}

#[test]
fn a_compiler_that_grows_for_minutes_is_not_accused_and_a_program_that_does_is() {
    assert_eq!(verdict_on("/srv/app", 300.0), ServiceVerdict::Grows);
    for exe in ["/usr/lib/gcc/cc1plus", "/usr/bin/rustc", "/usr/bin/ld"] {
        assert!(!verdict_on(exe, 300.0).accuses(), "{exe}: {:?}", verdict_on(exe, 300.0));
    }
    assert_eq!(
        verdict_on("/usr/bin/rustc", 3600.0),
        ServiceVerdict::Grows,
        "no step takes an hour"
    );
}
