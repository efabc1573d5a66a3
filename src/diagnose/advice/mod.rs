//! Advice: the two values that bound a leak, computed from what was measured.
//!
//! A server that ends a worker after some requests, and keeps no more workers than memory can hold
//! at their largest, does not run out of memory however much each request leaks. Both values follow
//! from the leak per request, the size of a young worker and the memory there is. Too small a value
//! costs more than the leak: prefork starts new workers on a tick of one second, so on two cores
//! 4744 requests a second became 651 with 100 connections a child, 35 with 10 and 3 with 1 (Apache
//! 2.4.71). Below a certain life the cap is lowered instead.

pub mod diff;

/// Share of a service's memory that its workers may fill at their largest: not all peak at once, but
/// measured values are no more exact than this.
const SHARE: f64 = 0.7;

/// Workers a second that a master starts without falling behind (prefork, two cores: 3 to 6.5).
const REFILLS_PER_S: f64 = 3.0;

/// Requests of a life where the rate is unknown: safe on a site of some ten requests a second.
const LEAST_BLIND: f64 = 500.0;

/// A worker that lives for four minutes at least need not grow by more than so many times its young
/// size, or so many bytes, before it is replaced.
const MODEST: f64 = 4.0;
const MODEST_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

/// The largest value proposed; more is as good as for ever.
const MOST: f64 = 1e6;

/// What the values follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inputs {
    /// Bytes leaked by a request.
    pub leak: f64,
    /// Private bytes of a worker that is warm and has leaked nothing yet.
    pub young: f64,
    /// Workers that the configuration allows.
    pub cap: u64,
    /// Workers now.
    pub workers: u64,
    /// Requests per connection, where the setting counts connections; else 1.
    pub per_connection: f64,
    /// Requests a second of the service, where known.
    pub rate: Option<f64>,
    /// Bytes that the service may have: those left below its nearest ceiling and those that its
    /// workers hold, less a reserve.
    pub memory: f64,
    /// Seconds that a worker should live.
    pub least_life_s: f64,
}

/// What limits the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Memory: as many workers as are allowed now, each as large as memory allows.
    Memory,
    /// The least life: a worker should live for `least_life_s`, and fewer of them may.
    Life,
    /// The workers that are needed leave each a shorter life.
    Tight,
    /// The leak is too fast for this memory: no setting bounds it and keeps serving.
    Hopeless,
}

/// The two values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// Requests (or connections) of a worker's life, rounded.
    pub recycle: u64,
    /// Workers at most: no more than are allowed now.
    pub cap: u64,
    /// Private bytes of a worker at its end.
    pub full: f64,
    /// Seconds that a worker then lives, where the rate is known.
    pub life_s: Option<f64>,
    /// What limits them.
    pub bound: Bound,
}

/// Computes both; none where nothing leaks or an input is no number.
pub fn values(inputs: &Inputs) -> Option<Values> {
    let Inputs { leak, young, cap, workers, per_connection, rate, memory, least_life_s } = *inputs;
    let sound = |x: f64| x.is_finite() && x > 0.0;
    if !sound(leak) || !sound(memory) || !young.is_finite() || cap == 0 {
        return None;
    }
    let (young, k) = (young.max(0.0), per_connection.max(1.0));
    let rate = rate.filter(|rate| sound(*rate));
    let workers = workers.max(1);
    let budget = SHARE * memory;
    // Requests of a life if so many workers all peak together.
    let allowed = |cap: u64| ((budget / cap as f64 - young) / leak / k).floor();
    let bare = rate.map_or(LEAST_BLIND / 5.0, |rate| (rate / (REFILLS_PER_S * k)).ceil()).max(10.0);
    let life = |rate: f64| (least_life_s * rate / (workers as f64 * k)).ceil();
    let least = rate.map_or(LEAST_BLIND, life).max(bare);
    // One worker in four more than there are: the load of now is not the most there will be.
    let needed = (workers + (workers / 4).max(1)).min(cap);
    let most_at = |recycle: f64| (budget / (young + leak * k * recycle)).floor() as u64;
    // A worker of a gigabyte is no help, even if it fits.
    let modest = ((MODEST * young).max(MODEST_BYTES) / leak / k).max(2.0 * least);
    let (recycle, cap, bound) = if allowed(cap) >= least {
        (round_down(allowed(cap).min(modest).min(MOST)), cap, Bound::Memory)
    } else if let recycle = round_up(least)
        && most_at(recycle) >= needed
    {
        (recycle, most_at(recycle).min(cap), Bound::Life)
    } else if allowed(needed) >= bare {
        (round_down(allowed(needed)).max(bare.min(allowed(needed))), needed, Bound::Tight)
    } else {
        (bare, needed, Bound::Hopeless)
    };
    let life_s = rate.map(|rate| recycle * k * workers as f64 / rate);
    let full = young + leak * k * recycle;
    Some(Values { recycle: recycle as u64, cap, full, life_s, bound })
}

/// How many requests of a life are random, where the server can do that: workers that started together
/// then end one by one. A quarter of 120 seconds is enough for eight starts of some seconds each, and
/// no worker lives longer than was computed.
pub fn jitter(recycle: u64) -> u64 {
    (round_up(recycle as f64 / 4.0) as u64).clamp(1, (recycle / 2).max(1))
}

/// What workers grow to that live for `recycle` requests (or connections), if memory holds all of them
/// at their largest. A little more than advised passes: values differ from one diagnosis to the next.
pub fn holds(inputs: &Inputs, recycle: u64) -> Option<Values> {
    const ENOUGH: f64 = 0.8;
    let work = recycle as f64 * inputs.per_connection.max(1.0);
    let full = inputs.young + inputs.leak * work;
    let life_s = inputs.rate.map(|rate| work * inputs.workers.max(1) as f64 / rate);
    let holds = full * inputs.cap as f64 <= ENOUGH * inputs.memory;
    holds.then_some(Values { recycle, cap: inputs.cap, full, life_s, bound: Bound::Memory })
}

/// Seconds that each of `workers` would live if there were no more: fewer young workers leave more
/// memory. None without a rate.
pub fn life_s(inputs: &Inputs, workers: u64) -> Option<f64> {
    let leaks = inputs.leak * inputs.rate?;
    let left = SHARE * inputs.memory - workers as f64 * inputs.young;
    (leaks > 0.0).then(|| (left / leaks).max(0.0))
}

/// How many workers of that size fit, leak or no leak.
pub fn fitting(size: f64, memory: f64) -> u64 {
    if size > 0.0 && memory > 0.0 { (SHARE * memory / size).floor().max(1.0) as u64 } else { 1 }
}

/// The bytes that a service may have: those left and those that its workers hold, less a tenth of the
/// ceiling or two young workers, whichever is more.
pub fn memory(left: u64, limit: u64, held: u64, young: u64) -> f64 {
    let reserve = (0.1 * limit as f64).max(2.0 * young as f64);
    (left as f64 + held as f64 - reserve).max(0.0)
}

/// Values are rounded to these times a power of ten: they deserve no more digits.
const STEPS: [f64; 9] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];

/// The largest power of ten up to `x`.
fn power_of_ten(x: f64) -> f64 {
    10_u64.pow((x as u64).max(1).ilog10()) as f64
}

/// The next lower step.
fn round_down(x: f64) -> f64 {
    let power = power_of_ten(x);
    let step = STEPS.into_iter().rfind(|step| step * power <= x * (1.0 + 1e-9));
    (step.unwrap_or(1.0) * power).floor()
}

/// The next higher step.
fn round_up(x: f64) -> f64 {
    let power = power_of_ten(x);
    let step = STEPS.into_iter().find(|step| step * power >= x * (1.0 - 1e-9));
    (step.unwrap_or(10.0) * power).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::{LONG_LIFE_S, SHORT_LIFE_S};
    use proptest::prelude::*;

    const KIB: f64 = 1024.0;
    const MIB: f64 = 1024.0 * KIB;

    /// A leak of 64 KiB a request at 60 requests a second in 1.5 GiB, 150 workers allowed.
    const FAST: Inputs = Inputs {
        leak: 64.0 * KIB,
        young: 4.0 * MIB,
        cap: 150,
        workers: 5,
        per_connection: 1.0,
        rate: Some(60.0),
        memory: 1536.0 * MIB,
        least_life_s: LONG_LIFE_S,
    };

    #[test]
    fn a_fast_leak_gets_fewer_workers_rather_than_short_lives() {
        // 150 workers would have 50 requests each: 1440 are those of two minutes.
        let values = values(&FAST).unwrap();
        assert_eq!((values.recycle, values.cap, values.bound), (1500, 10, Bound::Life));
        assert!(values.life_s.unwrap() >= 120.0);
    }

    #[test]
    fn a_slow_leak_is_recycled_late_and_the_cap_stays() {
        let slow = Inputs { leak: KIB, rate: Some(5.0), cap: 20, ..FAST };
        let values = values(&slow).unwrap();
        // 53.8 MiB for each of the 20, less 4, is room for 50 000 requests.
        assert_eq!((values.recycle, values.cap, values.bound), (50_000, 20, Bound::Memory));
    }

    #[test]
    fn a_value_that_counts_connections_is_smaller() {
        let slow = Inputs { leak: KIB, rate: Some(5.0), cap: 20, per_connection: 10.0, ..FAST };
        assert_eq!(values(&slow).unwrap().recycle, 5000);
    }

    #[test]
    fn little_memory_shortens_lives_to_what_a_master_can_replace_at_most() {
        let tight = Inputs { memory: 100.0 * MIB, ..FAST };
        let values = values(&tight).unwrap();
        assert_eq!((values.cap, values.bound), (6, Bound::Tight));
        assert_eq!(values.recycle, 100);
        let hopeless = Inputs { memory: 30.0 * MIB, ..FAST };
        assert_eq!(super::values(&hopeless).unwrap().bound, Bound::Hopeless);
    }

    #[test]
    fn lives_may_be_short_where_a_successor_comes_at_once() {
        let inputs = Inputs { cap: 12, workers: 8, least_life_s: SHORT_LIFE_S, ..FAST };
        // 225 requests are those of 30 seconds, and there is room for 1300.
        assert_eq!(values(&inputs).unwrap().bound, Bound::Memory);
        let inputs = Inputs { memory: 400.0 * MIB, ..inputs };
        let short = values(&inputs).unwrap();
        assert_eq!((short.recycle, short.cap, short.bound), (300, 12, Bound::Memory));
        assert_eq!(
            values(&Inputs { least_life_s: LONG_LIFE_S, ..inputs }).unwrap().bound,
            Bound::Tight
        );
    }

    #[test]
    fn fewer_workers_live_longer() {
        let (all, half) = (life_s(&FAST, 40).unwrap(), life_s(&FAST, 20).unwrap());
        assert!((half - all - 20.0 * 4096.0 / (64.0 * 60.0)).abs() < 0.01, "{all} {half}");
    }

    #[test]
    fn without_a_rate_no_value_is_small() {
        let blind = values(&Inputs { rate: None, ..FAST }).unwrap();
        assert!(blind.recycle >= 100 && blind.life_s.is_none(), "{blind:?}");
    }

    #[test]
    fn no_leak_or_no_memory_gets_no_values() {
        assert_eq!(values(&Inputs { leak: 0.0, ..FAST }), None);
        assert_eq!(values(&Inputs { leak: f64::NAN, ..FAST }), None);
        assert_eq!(values(&Inputs { memory: 0.0, ..FAST }), None);
    }

    #[test]
    fn values_are_rounded_to_few_digits() {
        for (x, down, up) in [
            (1.0, 1.0, 1.0),
            (720.0, 600.0, 800.0),
            (20.0, 20.0, 20.0),
            (49.0, 40.0, 50.0),
            (99_999.0, 80_000.0, 100_000.0),
        ] {
            assert_eq!((round_down(x), round_up(x)), (down, up), "{x}");
        }
    }

    prop_compose! {
        fn any_inputs()(
            leak in 1.0..1e8_f64, young in 0.0..1e9_f64, cap in 1..5000_u64, workers in 0..500_u64,
            per_connection in 0.5..100.0_f64, rate in prop::option::of(0.0..1e4_f64), memory in 1.0..1e12_f64,
        ) -> Inputs {
            Inputs { leak, young, cap, workers, per_connection, rate, memory, least_life_s: LONG_LIFE_S }
        }
    }

    fn refills_per_s(inputs: &Inputs, values: &Values) -> f64 {
        let requests = values.recycle as f64 * inputs.per_connection.max(1.0);
        inputs.rate.map_or(0.0, |rate| rate / requests)
    }

    #[test]
    fn a_master_can_replace_large_workers_of_long_connections_too() {
        let inputs = Inputs {
            leak: 26.6 * MIB,
            young: 0.0,
            cap: 178,
            workers: 103,
            per_connection: 13.5,
            rate: Some(208.0),
            memory: 893.0 * 1024.0 * MIB,
            ..FAST
        };
        assert!(refills_per_s(&inputs, &values(&inputs).unwrap()) <= 2.0 * REFILLS_PER_S);
    }

    proptest! {
        #[test]
        fn the_values_fit_into_memory_or_are_called_hopeless(inputs in any_inputs()) {
            let values = values(&inputs).unwrap();
            prop_assert!(values.recycle >= 1 && values.cap >= 1 && values.cap <= inputs.cap);
            if values.bound != Bound::Hopeless {
                let most = values.cap as f64 * values.full;
                prop_assert!(most <= SHARE * inputs.memory * 1.001, "{:?}", values);
            }
        }

        #[test]
        fn no_life_is_shorter_than_a_master_can_replace(inputs in any_inputs()) {
            let values = values(&inputs).unwrap();
            prop_assert!(values.recycle >= 10, "{:?}", values);
            let refills = refills_per_s(&inputs, &values);
            prop_assert!(refills <= 2.0 * REFILLS_PER_S, "{} a second: {:?}", refills, values);
        }

        #[test]
        fn a_larger_leak_never_allows_more(inputs in any_inputs(), more in 1.0..100.0_f64) {
            let (less, more) = (values(&inputs).unwrap(), values(&Inputs { leak: inputs.leak * more, ..inputs }).unwrap());
            prop_assert!(more.bound != Bound::Memory || less.bound == Bound::Memory);
            prop_assert!(more.cap <= less.cap);
        }
    }
}
