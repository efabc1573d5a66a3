//! Simulated services: 16 requests, 2 to 6 workers, looks every 2.5 s for a minute, with a cache that
//! fills, requests that need large buffers, and a log that is a request ahead or behind at a look.

use super::*;
use crate::core::model::process::ProcId;

const KIB: f64 = 1024.0;
const REQUESTS: usize = 16;
const LOOKS: usize = 25;
const LOOK_S: f64 = 2.5;

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }
}

/// What a service does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    One,
    /// Two leak alike.
    Two,
    /// The one that leaks always comes together with another.
    Together,
    /// One leaks, and workers take turns: each serves as many requests as another.
    OneInTurns,
}

/// A service with its truth: the name and the bytes of what leaks.
struct SimulatedService {
    ledger: Ledger,
    bytes: f64,
}

/// The share of requests at a look that are in the log by then.
const BEFORE: f64 = 0.7;
const LEAKS: usize = 5;
const ALSO: usize = 6;
const CACHES: usize = 7;

fn name(request: usize) -> String {
    format!("GET /{request}")
}

/// Runs a service. Its cache has as many keys, of one worker, as `keys` times what will be asked for.
fn service(seed: u64, fault: Fault, keys: (f64, f64)) -> SimulatedService {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..20).for_each(|_| {
        random.next();
    });
    let workers = 2 + (random.next() * 5.0) as u32;
    let rate = random.between(4.0, 20.0);
    let share = random.between(0.05, 0.30);
    let bytes = KIB * 16.0 * 16.0_f64.powf(random.next());
    let mut weights: Vec<f64> = (0..REQUESTS).map(|_| random.between(0.3, 1.7)).collect();
    let others: f64 = weights.iter().sum::<f64>() - weights[LEAKS];
    weights[LEAKS] = others * share / (1.0 - share);
    if fault == Fault::Two {
        weights[ALSO] = weights[LEAKS];
    }
    let all: f64 = weights.iter().sum();
    let asked = rate * weights[CACHES] / all * LOOK_S * (LOOKS - 1) as f64;
    let keys = (asked * random.between(keys.0, keys.1)).max(1.0);
    let entry = random.between(4.0, 32.0) * KIB;
    let seconds = |request: usize, random: &mut Random| match request {
        0 | 1 => random.between(0.05, 0.4),
        _ => random.exponential(0.01),
    };
    let buffer = random.between(1.0, 6.0) * 1024.0 * KIB;
    let mut ledger = Ledger::default();
    for pid in 0..workers {
        let id = ProcId { pid, start: 1 };
        let (mut t, mut held, mut in_cache) = (0.0, 20_000.0 * KIB, 0.0);
        let mut is_behind = None;
        for look in 0..LOOKS {
            let look_t = look as f64 * LOOK_S;
            let mut buffers = 0.0;
            let mut is_ahead = None;
            while t < look_t {
                let mut point = random.next() * all;
                let request = weights.iter().position(|weight| {
                    point -= weight;
                    point < 0.0
                });
                let request = request.unwrap_or(REQUESTS - 1);
                let took = seconds(request, &mut random);
                if matches!(request, 0 | 1) && t + took > look_t {
                    buffers = buffer;
                }
                t += match fault {
                    Fault::OneInTurns => took.max(1.0 / rate),
                    _ => took + random.exponential(1.0 / rate),
                };
                let leaks = match fault {
                    Fault::None => false,
                    Fault::One | Fault::OneInTurns | Fault::Together => request == LEAKS,
                    Fault::Two => request == LEAKS || request == ALSO,
                };
                if leaks {
                    held += bytes * random.between(0.8, 1.2);
                }
                if request == CACHES && random.next() > in_cache / keys {
                    in_cache += 1.0;
                    held += entry;
                }
                is_ahead = Some(request);
                let mut serve = |request: usize| {
                    ledger.serve(id, &name(request), 1);
                    if fault == Fault::Together && request == LEAKS {
                        ledger.serve(id, &name(REQUESTS), 1);
                    }
                };
                // The log is written after the work: it may be of the next look.
                is_behind.take().into_iter().for_each(&mut serve);
                if t < look_t || random.next() < BEFORE {
                    serve(request);
                    is_ahead = None;
                }
            }
            is_behind = is_ahead;
            let wavering = random.between(0.0, 48.0) * KIB;
            ledger.look(id, look_t, (held + buffers + wavering) as u64);
        }
    }
    SimulatedService { ledger, bytes }
}

const SEEDS: u32 = 200;
/// The cache fills by 71 % or more within the look.
const FILLS: (f64, f64) = (0.1, 0.8);

#[derive(Debug, Default)]
struct Tally {
    sure: u32,
    likely: u32,
    wrong_sure: u32,
    wrong_likely: u32,
    /// Sure of the right request, and a fifth off in its bytes.
    far: u32,
    /// The right request, and the true bytes are not within the interval.
    outside: u32,
}

fn tally(fault: Fault, keys: (f64, f64)) -> Tally {
    let mut tally = Tally::default();
    for seed in 1..=SEEDS {
        let service = service(u64::from(seed), fault, keys);
        let Answer::Named(culprit) = service.ledger.answer() else { continue };
        let leaks = matches!(fault, Fault::One | Fault::OneInTurns);
        let is_right = leaks && culprit.request == name(LEAKS);
        let count = match (culprit.confidence, is_right) {
            (Confidence::Sure, true) => &mut tally.sure,
            (Confidence::Sure, false) => &mut tally.wrong_sure,
            (Confidence::Likely, true) => &mut tally.likely,
            (Confidence::Likely, false) => &mut tally.wrong_likely,
        };
        *count += 1;
        let is_near = (culprit.bytes / service.bytes - 1.0).abs() <= 0.2;
        let is_sure = culprit.confidence == Confidence::Sure;
        tally.far += u32::from(is_right && is_sure && !is_near);
        let (low, high) = culprit.between;
        tally.outside += u32::from(is_right && !(low..=high).contains(&service.bytes));
    }
    tally
}

#[test]
fn the_one_that_leaks_is_named_and_no_other() {
    let tally = tally(Fault::One, FILLS);
    assert_eq!((tally.wrong_sure, tally.wrong_likely, tally.far), (0, 0, 0), "{tally:?}");
    // 139 and 33; in the other 28 the cache of another request's grew more, or chance hid it.
    assert!(tally.sure >= 127 && tally.sure + tally.likely >= 160, "{tally:?}");
    // 8 of 172, of 2000 seeds 84 of 1701: the interval holds the truth 95 times in 100.
    assert!(tally.outside <= 15, "{tally:?}");
}

#[test]
fn the_one_that_leaks_is_named_where_workers_take_turns() {
    let tally = tally(Fault::OneInTurns, FILLS);
    assert_eq!((tally.wrong_sure, tally.wrong_likely, tally.far), (0, 0, 0), "{tally:?}");
    // 130 and 34; while all requests had coefficients 81 and 53.
    assert!(tally.sure >= 118 && tally.sure + tally.likely >= 150, "{tally:?}");
    // 8 of 164, of 2000 seeds 86 of 1621.
    assert!(tally.outside <= 15, "{tally:?}");
}

#[test]
fn where_nothing_leaks_nobody_is_named() {
    let tally = tally(Fault::None, FILLS);
    assert!(tally.wrong_sure == 0 && tally.wrong_likely <= SEEDS / 40, "{tally:?}");
}

#[test]
fn of_two_that_leak_alike_none_carries_more_than_half() {
    let tally = tally(Fault::Two, FILLS);
    assert!(tally.wrong_sure == 0 && tally.wrong_likely <= SEEDS / 20, "{tally:?}");
}

#[test]
fn of_two_that_always_come_together_none_is_named() {
    let tally = tally(Fault::Together, FILLS);
    assert!(tally.wrong_sure == 0 && tally.wrong_likely <= SEEDS / 40, "{tally:?}");
}

/// What the look cannot tell: a cache that fills by 39 to 71 % in it. 1 and 31 of 200.
#[test]
fn a_cache_that_fills_slowly_is_seldom_taken_for_a_sure_leak() {
    let tally = tally(Fault::None, (0.8, 2.0));
    assert!(tally.wrong_sure <= SEEDS / 40 && tally.wrong_likely <= SEEDS / 3, "{tally:?}");
}
