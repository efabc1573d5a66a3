//! How many process samples a second a replay judges.
//!
//! ```text
//! cargo bench --bench replay              # or a part of a scene's name:
//! cargo bench --bench replay -- 'all leak'
//! ```
//!
//! Recordings are made up in memory, twelve hours at 5 s each, and replayed once by the library:
//! *read* is the time to parse them, *replay* with the engine's judgement, best of some rounds, in
//! millions of samples a second.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use leakwatch::store::recording::{Reader, Writer};
use std::time::Instant;

const INTERVAL_S: f64 = 5.0;
const LOOKS: u32 = 8640;
const PAGE: u64 = 4096;

/// Samples of a machine on which all processes are new in each.
const CHURNS: u32 = 20;

/// A machine with one master and its workers, the first `leaking` of which leak; or one on which they all
/// have ended by the next sample, and as many others begun.
struct Scene {
    name: &'static str,
    workers: u32,
    leaking: u32,
    churns: bool,
}

impl Scene {
    /// Its recording. All workers that do not leak work in one sample of two, and swing by 1.5 MiB.
    fn record(&self) -> Vec<u8> {
        let header = Header {
            interval_s: INTERVAL_S,
            clock_ticks: 100,
            page_size: PAGE,
            hostname: "vps".into(),
        };
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        let mut random = Random(1);
        let total = 1 << 40;
        let mut procs: Vec<Proc> = (0..=self.workers)
            .map(|n| Proc {
                id: ProcId { pid: 1000 + n, start: 5000 + u64::from(n) },
                ppid: if n == 0 { 1 } else { 1000 },
                comm: Comm::new(b"apache2"),
                rss: 0,
                anon: Some(5000 * PAGE),
                swap: 0,
                cpu_s: 0.0,
                threads: 1,
            })
            .collect();
        for look in 0..if self.churns { CHURNS } else { LOOKS } {
            for (n, proc) in procs.iter_mut().enumerate().skip(1) {
                let leaks = n as u32 <= self.leaking;
                let pages = match proc.anon {
                    Some(anon) if leaks => anon / PAGE + random.below(64),
                    anon if random.below(2) == 0 => anon.unwrap() / PAGE,
                    _ => 5000 + random.below(384),
                };
                proc.anon = Some(pages * PAGE);
                proc.rss = (pages + 1000) * PAGE;
                // In whole clock ticks, as the kernel counts: a sum of hundredths has more digits.
                let ticks = (proc.cpu_s * 100.0).round() + random.below(50) as f64;
                proc.cpu_s = ticks / 100.0;
            }
            let used: u64 = procs.iter().filter_map(|proc| proc.anon).sum();
            let memory = Memory { total, available: total - used, ..Memory::default() };
            let t = 1_739_339_608.0 + f64::from(look) * INTERVAL_S;
            let mut programs = Vec::new();
            if self.churns {
                procs.iter_mut().for_each(|proc| proc.id.start += 1);
                programs.extend(procs.iter().map(|proc| program(proc.id)));
            }
            let procs = procs.clone();
            writer.write(&Sample { t, memory, procs, programs, ..Sample::default() }).unwrap();
        }
        writer.into_inner()
    }
}

fn program(id: ProcId) -> Program {
    let (exe, title) = ("/usr/sbin/apache2".to_owned(), "/usr/sbin/apache2 -k start".to_owned());
    Program { id, exe, title, threads: 1, forked: true, permitted: None, uid: Some(33), unit: None }
}

/// A generator of random numbers (Knuth's MMIX), the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Millions of samples a second.
fn speed(recording: &[u8], judged: bool) -> f64 {
    let begin = Instant::now();
    let mut reader = Reader::new(recording, "bench".to_owned()).unwrap();
    let settings = EngineSettings { max_extrapolation: 6.0, rules: Rules::default() };
    let mut engine = Engine::new(reader.header(), settings);
    let (mut sample, mut samples) = (Sample::default(), 0);
    while reader.read(&mut sample).unwrap() {
        samples += sample.procs.len();
        if judged {
            engine.observe(&sample);
        }
    }
    samples as f64 / begin.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let chosen = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    println!("{:28}{:>8}{:>8}   million samples a second", "", "read", "replay");
    let scenes = [
        Scene { name: "300 calm workers", workers: 300, leaking: 0, churns: false },
        Scene { name: "20 calm workers", workers: 20, leaking: 0, churns: false },
        Scene { name: "20 workers, 2 leak", workers: 20, leaking: 2, churns: false },
        Scene { name: "20 workers, all leak", workers: 20, leaking: 20, churns: false },
        // As fast a process as the one before it: the time grows with their number alone.
        Scene { name: "2000 new ones a sample", workers: 2000, leaking: 0, churns: true },
        Scene { name: "16000 new ones a sample", workers: 16_000, leaking: 0, churns: true },
    ];
    for scene in scenes.into_iter().filter(|scene| scene.name.contains(&chosen)) {
        let recording = scene.record();
        let best = |judged| (0..3).map(|_| speed(&recording, judged)).fold(0.0, f64::max);
        println!("{:28}{:8.2}{:8.2}", scene.name, best(false), best(true));
    }
}
