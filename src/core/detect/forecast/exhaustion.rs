//! From windows of steady growth to the time when a ceiling is reached.
//!
//! Textbook intervals cover the truth one time in seven here, because the growth of tomorrow is
//! not the growth of today plus noise. So the interval spans what windows of very different length
//! give, and what is left on average and right now, widened by factors calibrated on the labelled
//! recordings: it covered the truth there in 9 forecasts of 10.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::forecast::ceiling_series::{CeilingSeries, Headroom};
use crate::core::detect::sample_clock::block;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::model::forecast::Forecast;

/// A second half that grew this much more than the first is accelerating.
const ACCELERATING: f64 = 1.15;

/// A forecast that reaches no further than this many lengths of its evidence is a near one.
const NEAR: f64 = 2.0;

/// Forecasts that reach further than this count on dips of headroom. Within the last minute samples come
/// so fast that what is left now is the better guide.
const DIPS_FROM_S: f64 = 60.0;

/// Headroom that rose by this share of its limit, and by more than the growth that is watched, was
/// freed.
const FREED: f64 = 0.1;

/// Factors on the ends of the interval.
struct Widening {
    earliest: f64,
    latest: f64,
}

/// For near forecasts.
const WIDEN_NEAR: Widening = Widening { earliest: 0.6, latest: 1.6 };

/// For all others.
const WIDEN_FAR: Widening = Widening { earliest: 0.51, latest: 1.85 };

/// When a ceiling is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhaustion {
    /// By the growth of the processes it is about alone.
    pub own: Forecast,
    /// The earliest in seconds, by all that the ceiling lost while the evidence lasted.
    pub earliest_with_total_loss_s: f64,
}

impl Exhaustion {
    /// Both in one: what others take may bring the end closer, but is no evidence of a trend.
    pub fn forecast(&self) -> Forecast {
        Forecast {
            earliest_s: self.own.earliest_s.min(self.earliest_with_total_loss_s),
            ..self.own
        }
    }

    /// The same with another `headroom`, `factor` times as much.
    pub fn scaled(&self, factor: f64, headroom: u64) -> Self {
        let Forecast { earliest_s, likely_s, latest_s, .. } = self.own;
        let own = Forecast {
            headroom,
            earliest_s: factor * earliest_s,
            likely_s: factor * likely_s,
            latest_s: factor * latest_s,
            ..self.own
        };
        Self { own, earliest_with_total_loss_s: factor * self.earliest_with_total_loss_s }
    }

    /// The same once as much is left as `left`, if that is more than there was: memory that was freed
    /// since it was computed lasts longer.
    pub fn with_freed(&self, left: u64) -> Self {
        let then = self.own.headroom.max(1);
        if left > then { self.scaled(left as f64 / then as f64, left) } else { *self }
    }

    /// Two growths under one ceiling: their speeds add up, so times to the end add up like
    /// resistors side by side. The evidence is that of the faster.
    pub fn join(&self, other: &Self) -> Self {
        let (a, b) = (&self.own, &other.own);
        let together = |a: f64, b: f64| 1.0 / (1.0 / a + 1.0 / b);
        let faster = if a.slope >= b.slope { a } else { b };
        let own = Forecast {
            slope: a.slope + b.slope,
            earliest_s: together(a.earliest_s, b.earliest_s),
            likely_s: together(a.likely_s, b.likely_s),
            latest_s: together(a.latest_s, b.latest_s),
            ..*faster
        };
        Self {
            own,
            earliest_with_total_loss_s: self
                .earliest_with_total_loss_s
                .min(other.earliest_with_total_loss_s),
        }
    }
}

/// One window and when the ceiling is reached by its growth.
#[derive(Clone, Copy)]
struct WindowEnd<'a> {
    window: &'a GrowthWindow,
    length_s: f64,
    end_s: f64,
}

impl WindowEnd<'_> {
    /// Whether it was watched for at least half the time left.
    fn is_well_founded(&self) -> bool {
        self.length_s >= self.end_s / 2.0
    }
}

/// The windows that the interval spans, and the one that the estimate rests on.
struct ChosenWindows<'a> {
    shortest: WindowEnd<'a>,
    longest: WindowEnd<'a>,
    best: WindowEnd<'a>,
}

/// When the ceiling is reached by the steadily growing windows of one process, those sorted by
/// length.
pub fn of_windows(
    windows: &[GrowthWindow],
    ceiling: &CeilingSeries,
    basis: &JudgeBasis,
) -> Option<Exhaustion> {
    let ChosenWindows { shortest, longest, best } = choose(windows, ceiling, basis)?;
    let tick_s = basis.clock.seconds(1);
    let WindowEnd { window, length_s: window_s, end_s } = best;
    let left_then = left(window, ceiling);
    let gaining_s = gaining(window, left_then, tick_s).unwrap_or(f64::INFINITY);
    let first_s = end_s.min(shortest.end_s).min(gaining_s);
    let last_s = end_s.max(longest.end_s);
    let course_s = if accelerates(windows, window) { end_s.min(gaining_s) } else { end_s };
    let widening = if end_s > NEAR * window_s { WIDEN_FAR } else { WIDEN_NEAR };
    let headroom = ceiling.headroom();
    let now = (headroom.left as f64).max(headroom.least()) / left_then;
    let earliest_s = widening.earliest * first_s * now.min(1.0);
    // Memory ends in a dip, not on average: that took the mean error of the first forecast from .32 to
    // .27 of the time left. The earliest end, by which orders are timed, allows for dips already.
    let in_dip = if course_s > DIPS_FROM_S { 1.0 - dip(window, ceiling) / left_then } else { 1.0 };
    let likely_s = (course_s * in_dip).max(earliest_s);
    let own = Forecast {
        ceiling: headroom.kind,
        place: headroom.place,
        headroom: headroom.left,
        limit: headroom.limit,
        slope: window.slope() / tick_s,
        earliest_s,
        likely_s,
        latest_s: widening.latest * last_s * now.max(1.0),
        window_s,
    };
    let thirds = ceiling.thirds(window.level, window.blocks);
    let lost = thirds.map_or(0.0, |(early, late)| early - late);
    let share = (window.shape.growth() / lost.max(headroom.least())).min(1.0);
    Some(Exhaustion { own, earliest_with_total_loss_s: earliest_s * share })
}

/// Of the windows that reach far enough: the shortest, the longest, and the shortest that is well
/// founded, else the longest that grew alike in both halves, else the longest. One that began before the
/// growth did would tell of too late an end: that took the error of the first forecast, on real
/// programs in small memory, from .43 of the time left to .17. Where none reaches far enough, the longest of
/// all.
fn choose<'a>(
    windows: &'a [GrowthWindow],
    ceiling: &CeilingSeries,
    basis: &JudgeBasis,
) -> Option<ChosenWindows<'a>> {
    let tick_s = basis.clock.seconds(1);
    let end = |window: &'a GrowthWindow| WindowEnd {
        window,
        length_s: basis.clock.seconds(window.length()),
        end_s: left(window, ceiling) / window.slope() * tick_s,
    };
    let (mut shortest, mut longest, mut best, mut even) = (None, None, None, None);
    for this in windows.iter().map(end) {
        if this.end_s <= basis.constants.max_extrapolation * this.length_s {
            shortest = shortest.or(Some(this));
            longest = Some(this);
            best = best.or(Some(this).filter(WindowEnd::is_well_founded));
            even = Some(this).filter(|this| !gains(this.window)).or(even);
        }
    }
    let last = windows.last().map(end)?;
    let longest = longest.unwrap_or(last);
    let best = best.or(Some(last).filter(WindowEnd::is_well_founded)).or(even).unwrap_or(longest);
    Some(ChosenWindows { shortest: shortest.unwrap_or(last), longest, best })
}

/// Bytes left on the course of the window's block minima. What is left now goes up and down with
/// the sawtooth whose minima these are; its mean over the last third, brought forward to now, does
/// not. That took the share of forecasts whose interval covers the truth from .73 to .90.
fn left(window: &GrowthWindow, ceiling: &CeilingSeries) -> f64 {
    let behind = (window.blocks / 3) as f64 / 2.0 * block(window.level) as f64;
    let Headroom { left: now, limit, .. } = ceiling.headroom();
    let freed = |late: f64| now as f64 - late;
    let left = match ceiling.thirds(window.level, window.blocks) {
        // More than a sawtooth gives back was freed: another process exited, or was ended. What was
        // left before is no course any more.
        Some((_, late)) if freed(late) > window.shape.growth().max(FREED * limit as f64) => {
            now as f64
        }
        Some((_, late)) => late - window.slope() * behind,
        None => now as f64,
    };
    left.max(ceiling.headroom().least())
}

/// How far headroom goes below the course of the window's block minima. Half of what a block itself
/// takes lies below its mean, and is no dip.
fn dip(window: &GrowthWindow, ceiling: &CeilingSeries) -> f64 {
    let fall = window.slope() * block(window.level) as f64 / 2.0;
    (ceiling.dip(window.level, window.blocks) - fall).max(0.0)
}

/// Whether the second half grew more than the first, beyond chance.
fn gains(window: &GrowthWindow) -> bool {
    let (first, second) = window.shape.halves();
    second > ACCELERATING * first
}

/// Whether the growth gains speed at every scale: in the window, in the half of it, and in what lies
/// between. One that began within the window is as fast in the half as before.
fn accelerates(windows: &[GrowthWindow], window: &GrowthWindow) -> bool {
    let length = window.length();
    let inner = |of: &&GrowthWindow| (length / 2..length).contains(&of.length());
    let mut inner = windows.iter().filter(inner).peekable();
    gains(window) && inner.peek().is_some() && inner.all(gains)
}

/// When `left` bytes are gone if the growth goes on gaining speed as between the window's halves.
fn gaining(window: &GrowthWindow, left: f64, tick_s: f64) -> Option<f64> {
    if !gains(window) {
        return None;
    }
    let (first, second) = window.shape.halves();
    let half_s = 0.5 * window.apart() as f64 * block(window.level) as f64 * tick_s;
    let (before, now) = (first / half_s, second / half_s);
    let gain = (now - before) / half_s;
    let speed = now + gain * half_s / 2.0;
    Some(((speed * speed + 2.0 * gain * left).sqrt() - speed) / gain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::detect::constants::{Constants, INTERVAL_LEVEL, WINDOW_LENGTHS};
    use crate::core::detect::forecast::ceiling_series::CeilingId;
    use crate::core::detect::series::window::{GrowthShape, ThirdMedians};
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::units::{GIB, MIB};

    /// A window whose level lies so far above the planned interval.
    fn window(level: usize, blocks: usize, growth: f32, second_half: f32) -> GrowthWindow {
        let early = 64.0 * MIB as f32;
        let (middle, late) = (early + growth * (1.0 - second_half), early + growth);
        GrowthWindow {
            level: INTERVAL_LEVEL + level,
            blocks,
            shape: ThirdMedians { early, middle, late },
            growth: GrowthShape::Steady,
            paused: false,
            passes: 2,
        }
    }

    /// One to six windows of any growth, sorted by length.
    fn windows() -> impl Strategy<Value = Vec<GrowthWindow>> {
        let length = prop::sample::select(WINDOW_LENGTHS.to_vec());
        let one = (0_usize..8, length, 1_u32..512, 0.4..0.7_f32).prop_map(
            |(level, blocks, growth, half)| window(level, blocks, (growth * 4096) as f32, half),
        );
        prop::collection::vec(one, 1..7).prop_map(|mut windows| {
            windows.sort_by_key(GrowthWindow::length);
            windows
        })
    }

    /// The forecast with so many bytes left now, and nothing known of before.
    fn forecast(windows: &[GrowthWindow], left: u64) -> Exhaustion {
        let (kind, place) = (CeilingKind::Ram, Place::NONE);
        let mut ceiling = CeilingSeries::new(CeilingId { kind, place, root: None });
        let mut basis = JudgeBasis::new(Constants::default(), 4096.0, 1.0);
        let moment = basis.clock.advance(0.0, None);
        ceiling.push(&moment, 0, left);
        of_windows(windows, &ceiling, &basis).unwrap()
    }

    #[test]
    fn a_steady_growth_ends_when_the_headroom_is_used_up() {
        // 16 MiB between the middles of the outer thirds, 16 s apart: 1 MiB/s.
        let windows = [window(0, 24, 16.0 * MIB as f32, 0.5)];
        let Forecast { slope, earliest_s, likely_s, latest_s, window_s, .. } =
            forecast(&windows, 48 * MIB).own;
        assert_eq!((slope, likely_s, window_s), (MIB as f64, 48.0, 24.0));
        assert_eq!((earliest_s, latest_s), (0.6 * 48.0, 1.6 * 48.0), "twice the evidence is near");
        let far = forecast(&windows, 49 * MIB).own;
        assert_eq!((far.earliest_s, far.latest_s), (0.51 * 49.0, 1.85 * 49.0));
    }

    #[test]
    fn the_interval_spans_what_short_and_long_windows_give() {
        // 2 MiB/s of late, 1 MiB/s on the whole.
        let windows =
            [window(1, 24, 64.0 * MIB as f32, 0.5), window(3, 24, 128.0 * MIB as f32, 0.5)];
        let Forecast { earliest_s, likely_s, latest_s, .. } = forecast(&windows, 96 * MIB).own;
        assert_eq!((earliest_s, likely_s, latest_s), (0.6 * 48.0, 48.0, 1.6 * 96.0));
    }

    #[test]
    fn a_window_from_before_the_growth_began_does_not_slow_it() {
        // 1 MiB/s of late; the longest window began before that, so its second half grew more.
        let (short, long) = (256.0 * MIB as f32, 384.0 * MIB as f32);
        let windows = [window(4, 24, short, 0.5), window(5, 24, long, 0.65)];
        let left = 2000 * MIB;
        assert_eq!(forecast(&windows, left).own.likely_s, 2000.0);
        let latest_s = forecast(&windows, left).own.latest_s;
        assert_eq!(latest_s, 1.85 * 2000.0 * 512.0 / 384.0, "it still bounds the interval");
    }

    #[test]
    fn growth_that_gains_speed_at_every_scale_goes_on_gaining() {
        // t^2 seen at t = 24, in the last 12, 17 and 24 blocks; at full length it is 1/64 of the way.
        let seen = |blocks: usize| {
            let at = |from: f32, third: f32| (24.0 - from * blocks as f32 * third).powi(2);
            let (early, middle, late) = (at(1.0, 5.0 / 6.0), at(1.0, 0.5), at(1.0, 1.0 / 6.0));
            let shape = ThirdMedians { early, middle, late }.scaled(MIB as f64);
            GrowthWindow { blocks, shape, ..window(0, blocks, 1.0, 0.5) }
        };
        let left = 63 * 576 * MIB;
        let likely_s = forecast(&[12, 17, 24].map(seen), left).own.likely_s;
        assert!((likely_s / 168.0 - 1.0).abs() < 0.1, "{likely_s} s, not 7 times 24 s");
        // Only within the longest: it began late, and is no faster now than half a window ago.
        let begun = [window(0, 12, 8.0 * MIB as f32, 0.5), seen(17), seen(24)];
        assert!(forecast(&begun, left).own.likely_s > 600.0);
    }

    #[test]
    fn memory_ends_in_a_dip_and_not_on_average() {
        let (kind, place) = (CeilingKind::Ram, Place::NONE);
        let likely_s = |dip: u64| {
            let mut ceiling = CeilingSeries::new(CeilingId { kind, place, root: None });
            let mut basis = JudgeBasis::new(Constants::default(), 4096.0, 1.0);
            for t in 0..192 {
                let used = t + if t % 8 == 0 { dip } else { 0 };
                ceiling.push(&basis.clock.advance(t as f64, None), used * MIB, 1000 * MIB);
            }
            let windows = [window(3, 24, 128.0 * MIB as f32, 0.5)];
            of_windows(&windows, &ceiling, &basis).unwrap().own.likely_s
        };
        assert!((likely_s(0) - 808.0).abs() <= 4.0, "{}", likely_s(0));
        assert!((likely_s(160) - (808.0 - 160.0)).abs() <= 8.0, "{}", likely_s(160));
    }

    proptest! {
        #[test]
        fn likely_lies_between_earliest_and_latest(windows in windows(), left in 0..64 * GIB) {
            let forecast = forecast(&windows, left).forecast();
            prop_assert!(0.0 < forecast.earliest_s, "{:?}", forecast);
            prop_assert!(forecast.earliest_s <= forecast.likely_s, "{:?}", forecast);
            prop_assert!(forecast.likely_s <= forecast.latest_s, "{:?}", forecast);
        }

        /// Of one window: several that disagree may hand the estimate over to a faster one.
        #[test]
        fn more_headroom_is_never_an_earlier_end(
            windows in windows(),
            left in 0..64 * GIB,
            more in 0..64 * GIB,
        ) {
            let one = &windows[..1];
            let (less, more) = (forecast(one, left).own, forecast(one, left + more).own);
            prop_assert!(less.likely_s <= more.likely_s);
            prop_assert!(less.latest_s <= more.latest_s);
            // A far forecast is less certain, so its interval begins earlier by this step.
            let step = WIDEN_FAR.earliest / WIDEN_NEAR.earliest;
            prop_assert!(step * less.earliest_s <= more.earliest_s);
        }

        #[test]
        fn a_unit_of_another_size_changes_no_time(
            windows in windows(),
            left in 4096..GIB,
            doublings in 0..10_u32,
        ) {
            let factor = 1 << doublings;
            let scaled = |window: &GrowthWindow| {
                GrowthWindow { shape: window.shape.scaled(factor as f64), ..*window }
            };
            let larger: Vec<_> = windows.iter().map(scaled).collect();
            let (one, other) = (forecast(&windows, left).own, forecast(&larger, factor * left).own);
            let times = |f: &Forecast| (f.earliest_s, f.likely_s, f.latest_s, f.window_s);
            prop_assert_eq!(times(&one), times(&other));
            prop_assert_eq!(one.slope * factor as f64, other.slope);
        }

        #[test]
        fn two_growths_together_end_sooner_whatever_their_order(
            one in windows(),
            other in windows(),
            left in MIB..64 * GIB,
        ) {
            let (one, other) = (forecast(&one, left), forecast(&other, left));
            let joined = one.join(&other);
            prop_assert!(one.own.slope == other.own.slope || joined == other.join(&one));
            prop_assert_eq!(joined.own.slope, one.own.slope + other.own.slope);
            prop_assert!(joined.own.likely_s <= one.own.likely_s.min(other.own.likely_s));
            prop_assert!(joined.own.earliest_s <= joined.own.likely_s);
            prop_assert!(joined.own.likely_s <= joined.own.latest_s);
        }
    }
}
