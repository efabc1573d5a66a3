//! Whether a growth that looks steady already bends as one that saturates does.
//!
//! Three curves are fitted to the block minima by least squares: a line, 1 - exp(-t/tau) and t^p.
//! The exponential must beat both by the Bayesian information criterion. So a warm-up, and a cache that is hit
//! at random, are told long before their halves differ by a fifth; a leak that slows down as a
//! power of time is not taken for one.

/// By how much the exponential must beat the line and the power. By 1.5 over the power, three leaks of
/// 408 generated ones that slow down as a power were lost, and no healthy one was spared.
const BETTER: f64 = 6.0;

/// Time constants that are tried, from .08 of the window to 6 times its length.
const EXPONENTIALS: u32 = 30;

/// Powers that are tried, from .2 to .95.
const POWERS: u32 = 16;

/// Powers above 1 that are tried, up to 3.25.
const RISING_POWERS: u32 = 15;

/// By how much a curve that speeds up, or an S, must beat the line: clearly, as leaks wander.
const CLEARLY: f64 = 15.0;

/// Where an S is steepest, as a share of the window: that part is over, ...
const SIGMOID_MIDDLES: [f64; 6] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

/// ... and its scales that are tried.
const SIGMOID_SCALES: [f64; 5] = [0.08, 0.12, 0.18, 0.27, 0.4];

/// A squared misfit below this, in squared pages, is no better than none.
const EXACT: f64 = 1e-3;

/// Whether the block minima saturate.
pub fn saturates(minima: &[u32]) -> bool {
    let n = minima.len() as f64;
    if n < 8.0 {
        return false;
    }
    let line = misfit(minima, |t| t).0.max(EXACT);
    let information = |misfit: f64| n * (misfit.max(EXACT) / line).ln() + n.ln();
    let exponential = best(&mut (0..EXPONENTIALS).map(|k| {
        let tau = 0.08 * 75.0_f64.powf(f64::from(k) / f64::from(EXPONENTIALS - 1));
        misfit(minima, |t| 1.0 - (-t / tau).exp())
    }));
    if exponential.is_infinite() || information(exponential) >= -BETTER {
        return false;
    }
    let power = |k: u32| misfit(minima, |t| t.powf(0.2 + 0.05 * f64::from(k)));
    let power = best(&mut (0..POWERS).map(power));
    power.is_infinite() || information(exponential) < information(power) - BETTER
}

/// Whether the block minima, whose halves grew alike, are an S, or the middle and the end of one.
pub fn ends_an_s(minima: &[u32]) -> bool {
    sigmoid_information(minima) < -BETTER
}

/// A curve that begins slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowBegin {
    /// It speeds up: a leak may, and so does a warm-up whose middle is to come.
    SpeedsUp,
    /// It speeds up and slows down again: what comes next is its end.
    IsAnS,
}

/// Whether the block minima clearly speed up, or are an S.
pub fn slow_begin(minima: &[u32]) -> Option<SlowBegin> {
    let line = misfit(minima, |t| t).0.max(EXACT);
    let n = minima.len() as f64;
    let power = |k: u32| misfit(minima, |t| t.powf(1.0 + 0.15 * f64::from(k)));
    let power = best(&mut (1..=RISING_POWERS).map(power));
    let power = n * (power.max(EXACT) / line).ln() + n.ln();
    let sigmoid = sigmoid_information(minima);
    let kind = if power <= sigmoid { SlowBegin::SpeedsUp } else { SlowBegin::IsAnS };
    (power.min(sigmoid) < -CLEARLY).then_some(kind)
}

/// By how much the best S is worse than the line; below 0 if it is better.
fn sigmoid_information(minima: &[u32]) -> f64 {
    let n = minima.len() as f64;
    let line = misfit(minima, |t| t).0.max(EXACT);
    let sigmoid = best(&mut SIGMOID_MIDDLES.into_iter().flat_map(|middle| {
        SIGMOID_SCALES.map(|scale| misfit(minima, |t| 1.0 / (1.0 + ((middle - t) / scale).exp())))
    }));
    // Two parameters more than the line.
    n * (sigmoid.max(EXACT) / line).ln() + 2.0 * n.ln()
}

/// The least misfit of the curves that rise.
fn best(fits: &mut dyn Iterator<Item = (f64, f64)>) -> f64 {
    let rising = fits.filter(|(_, slope)| *slope > 0.0).map(|(misfit, _)| misfit);
    rising.fold(f64::INFINITY, f64::min)
}

/// The squares that the best a + b f(t) leaves, and b; t goes from 0 to 1.
fn misfit(minima: &[u32], f: impl Fn(f64) -> f64) -> (f64, f64) {
    let n = minima.len() as f64;
    let points =
        || minima.iter().enumerate().map(|(j, x)| (f(j as f64 / (n - 1.0)), f64::from(*x)));
    let (mean_f, mean_x) = points().fold((0.0, 0.0), |(a, b), (f, x)| (a + f / n, b + x / n));
    let (mut ff, mut fx, mut xx) = (0.0, 0.0, 0.0);
    for (f, x) in points() {
        let (f, x) = (f - mean_f, x - mean_x);
        ff += f * f;
        fx += f * x;
        xx += x * x;
    }
    if ff <= 0.0 { (xx, 0.0) } else { (xx - fx * fx / ff, fx / ff) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24 minima of a curve with a little noise.
    fn minima(curve: impl Fn(f64) -> f64) -> Vec<u32> {
        let noise = |j: u32| f64::from((j * 7919) % 13) - 6.0;
        let minimum = |j| (1e5 + 1e5 * curve(f64::from(j) / 23.0) + 20.0 * noise(j)) as u32;
        (0..24).map(minimum).collect()
    }

    fn bends(curve: impl Fn(f64) -> f64) -> bool {
        saturates(&minima(curve))
    }

    #[test]
    fn a_warm_up_bends_long_before_it_is_over() {
        assert!(bends(|t| 1.0 - (-t).exp()));
        assert!(bends(|t| 1.0 - (-3.0 * t).exp()));
    }

    #[test]
    fn a_line_a_leak_that_speeds_up_and_one_that_slows_down_as_a_power_do_not() {
        assert!(!bends(|t| t));
        assert!(!bends(|t| t * t));
        assert!(!bends(|t| t.powf(0.7)));
        assert!(!bends(|_| 0.0));
    }
    #[test]
    fn an_s_is_told_from_a_line_once_its_middle_is_over() {
        let s = |middle: f64| move |t: f64| 1.0 / (1.0 + ((middle - t) / 0.15).exp());
        assert!(ends_an_s(&minima(s(0.5))) && ends_an_s(&minima(s(0.7))));
        assert!(!bends(s(0.5)), "straight in its middle");
        assert!(!ends_an_s(&minima(|t| t)));
    }

    #[test]
    fn what_speeds_up_is_told_from_an_s_and_from_a_line_that_wanders() {
        use SlowBegin::{IsAnS, SpeedsUp};
        let s = |middle: f64| move |t: f64| 1.0 / (1.0 + ((middle - t) / 0.15).exp());
        let begin = |curve: &dyn Fn(f64) -> f64| slow_begin(&minima(curve));
        assert_eq!(begin(&|t| t * t), Some(SpeedsUp));
        assert_eq!(begin(&|t| (3.0 * t).exp() / 20.0), Some(SpeedsUp));
        assert_eq!(begin(&s(1.0)), Some(SpeedsUp), "the slow half of it");
        assert_eq!(begin(&s(0.5)), Some(IsAnS));
        assert_eq!(begin(&s(0.7)), Some(IsAnS));
        assert_eq!(begin(&|t| t), None);
        assert_eq!(begin(&|t| t + 0.05 * (9.0 * t).sin()), None);
        assert_eq!(begin(&|t| t.powf(0.7)), None, "it slows down");
    }
}
