//! Swings: what workers take for a while and give back.
//!
//! One request may take most of a machine's memory within a second and give it back: no rule that
//! stops a leak of that rate can tell the two apart by their rates. But a leak grows from its
//! worker's first request on, and so does its successor; a worker that had been at rest and rises
//! in one go does what one request wants. Where two workers of a pool were ended for the same rise,
//! the third shows what becomes of it. Gives it that back, then as much is granted to the pool
//! from now on, as long as it fits; does the kernel have to end it, then the rise was real, and
//! no more is spared.

use crate::core::decide::eligibility::Eligibility;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::order::NotEnded;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::worker_pool::WorkerPool;
use std::collections::HashMap;

/// Bytes by which a process at rest may move.
const STILL: u64 = 4 << 20;
/// Seconds for which one must stand still until what it grew by before is no part of a swing.
const STILL_S: f64 = 10.0;
/// The least seconds at rest before a rise.
const REST_S: f64 = 2.0;
/// The longest rise that is taken for one request, in seconds. In simulated worlds leaks of 60 MiB/s
/// that begin after a rest and fill 468 MiB in 5 s had an OOM kill in every other run without it.
const ONE_REQUEST_S: f64 = 3.0;
/// Workers that are ended for the same rise before one is spared.
const FATES: u32 = 2;
/// Rises are the same if they differ by less than this factor.
const SAME: f64 = 2.0;
/// Seconds for which such an end is remembered.
const FATE_S: f64 = 600.0;
/// Part of a rise that must come back to make it a swing.
const GIVEN_BACK: f64 = 0.5;
/// What is still wanted may be this part of what is left.
const FITS: f64 = 0.75;
/// A rise may become so many times as large as the largest swing seen.
const GRANTED: f64 = 1.1;

/// What is known of swings.
#[derive(Debug, Default)]
pub struct Swings {
    courses: HashMap<ProcId, Course>,
    pools: HashMap<WorkerPool, Fates>,
    /// The swings that were over with the last sample.
    over: Vec<(WorkerPool, u64)>,
}

/// The course of one process: where it was at rest, and how it rose from there.
#[derive(Clone, Copy, Debug)]
struct Course {
    first: u64,
    /// The size at rest before it rose, and from when to when it was there.
    base: u64,
    base_t: f64,
    rest_t: f64,
    /// Where the swing began that it may be in, and the largest since.
    low: u64,
    high: u64,
    /// Where it stands still, and since when.
    mark: u64,
    mark_t: f64,
    now: u64,
    t: f64,
}

/// What became of rises in a pool.
#[derive(Clone, Copy, Debug, Default)]
struct Fates {
    /// Workers ended one after the other for the same rise, its bytes, and when the last one was.
    count: u32,
    rise: u64,
    t: f64,
    /// The largest rise that was given back, in bytes.
    swing: u64,
    /// The kernel had to end one.
    is_real: bool,
}

impl Course {
    fn new(t: f64, now: u64) -> Self {
        let (base_t, rest_t, mark_t) = (t, t, t);
        let (first, base, low, high, mark) = (now, now, now, now, now);
        Self { first, base, base_t, rest_t, low, high, mark, mark_t, now, t }
    }

    /// Takes over the size at `t`; the bytes of a swing that is over.
    fn observe(&mut self, t: f64, now: u64) -> Option<u64> {
        let stood_s = self.t - self.mark_t;
        if now > self.mark.saturating_add(STILL) && stood_s >= REST_S {
            // A pause in a swing is not its end.
            self.low = if stood_s >= STILL_S { self.mark } else { self.low };
            (self.base, self.base_t, self.rest_t) = (self.mark, self.mark_t, self.t);
        }
        if now.abs_diff(self.mark) > STILL {
            (self.mark, self.mark_t) = (now, t);
        }
        (self.now, self.t) = (now, t);
        self.high = self.high.max(now);
        let swing = self.high.saturating_sub(self.low);
        let back = self.high.saturating_sub(now);
        if swing > STILL && back as f64 >= GIVEN_BACK * swing as f64 {
            *self = Self { first: self.first.min(now), ..Self::new(t, now) };
            return Some(swing);
        }
        None
    }

    /// The bytes by which it rose in one go after it had been at rest for as long.
    fn rise_from_rest(&self) -> Option<u64> {
        let rise = self.now.saturating_sub(self.base);
        let rested_s = self.rest_t - self.base_t;
        let was_small = self.base.saturating_sub(self.first) <= rise;
        (rise > STILL && was_small && rested_s >= self.rising_s().max(REST_S)).then_some(rise)
    }

    fn rising_s(&self) -> f64 {
        self.t - self.rest_t
    }
}

impl Swings {
    /// Takes over a sample.
    pub fn observe(&mut self, sample: &Sample, eligibility: &Eligibility, detector: &Detector) {
        let t = sample.t;
        self.over.clear();
        let is_kill = |kind| kind == MemoryFailureKind::OomKill;
        if sample.memory_failures.iter().any(|failure| is_kill(failure.kind)) {
            self.kernel_killed();
        }
        // One that was told to exit may free what it holds first: that is no swing.
        let stays = |s: &&ProcessState| s.parent.is_some() && !eligibility.is_going(s.id);
        for s in detector.process_states().filter(stays) {
            let new = Course::new(t, s.footprint);
            let course = self.courses.entry(s.id).or_insert(new);
            if let Some(swing) = course.observe(t, s.footprint) {
                let pool = s.pool();
                let of = self.pools.entry(pool).or_default();
                of.swing = of.swing.max(swing);
                of.count = 0;
                self.over.push((pool, swing));
            }
        }
        if detector.is_any_gone() {
            let lives = |id: ProcId| detector.process_state(id).is_some();
            self.courses.retain(|id, _| lives(*id));
            self.pools.retain(|pool, _| pool.parent.is_some_and(lives));
        }
    }

    /// Bytes that a member of a pool gave back with the last sample; 0 if none did.
    pub fn given_back(&self, pool: WorkerPool) -> u64 {
        let of_pool = self.over.iter().filter(|(of, _)| *of == pool);
        of_pool.map(|(_, swing)| *swing).max().unwrap_or(0)
    }

    /// The OOM killer took a process: whatever was spared was not given back.
    fn kernel_killed(&mut self) {
        for of in self.pools.values_mut() {
            *of = Fates {
                is_real: of.is_real || of.count >= FATES || of.swing > 0,
                t: of.t,
                ..Fates::default()
            };
        }
    }

    /// A member of a pool was ordered to end at `t` because it grew as fast as memory ended.
    pub fn ordered(&mut self, t: f64, victim: ProcId, pool: WorkerPool) {
        let course = self.courses.get(&victim).filter(|of| of.rising_s() <= ONE_REQUEST_S);
        let rise = course.and_then(Course::rise_from_rest);
        let of = self.pools.entry(pool).or_default();
        let Some(rise) = rise else {
            of.count = 0;
            return;
        };
        let ratio = rise as f64 / of.rise.max(1) as f64;
        let is_same = (1.0 / SAME..=SAME).contains(&ratio) && t - of.t < FATE_S;
        of.count = if is_same { of.count + 1 } else { 1 };
        (of.rise, of.t) = (rise, t);
    }

    /// Why a process that rises is spared, `usable` bytes being left: as much was given back before
    /// and what it and its siblings still want fits, or it is the one that shows what becomes of it.
    pub fn spares(
        &self,
        s: &ProcessState,
        usable: f64,
        eligibility: &Eligibility,
        detector: &Detector,
    ) -> Option<NotEnded> {
        let pool = s.pool();
        let of = self.pools.get(&pool).filter(|of| !of.is_real)?;
        let granted = GRANTED * of.swing as f64;
        let rise_of = |s: &ProcessState| self.courses.get(&s.id)?.rise_from_rest();
        let (course, rise) = (self.courses.get(&s.id)?, rise_of(s)? as f64);
        let rising = eligibility.members(pool, detector).filter_map(rise_of);
        let wanted: f64 = rising.map(|rise| (granted - rise as f64).max(0.0)).sum();
        if rise <= granted && wanted <= FITS * usable {
            return Some(NotEnded::GivesBack);
        }
        // It gets as long again as those that were ended had.
        let is_brief = course.rising_s() <= 2.0 * ONE_REQUEST_S;
        let is_recent = course.t - of.t < FATE_S;
        (of.count >= FATES && is_brief && is_recent).then_some(NotEnded::SameRise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A process with such sizes in MiB, sampled twice a second: its course, and its swings in MiB.
    fn course(sizes: &[u64]) -> (Course, Vec<u64>) {
        let mut course = Course::new(0.0, sizes[0] * MIB);
        let mut swings = Vec::new();
        for (nth, size) in sizes.iter().enumerate() {
            swings.extend(course.observe(nth as f64 / 2.0, size * MIB).map(|swing| swing / MIB));
        }
        (course, swings)
    }

    fn rise(sizes: &[u64]) -> Option<u64> {
        course(sizes).0.rise_from_rest().map(|rise| rise / MIB)
    }

    #[test]
    fn a_worker_that_stood_still_rises_from_rest() {
        assert_eq!(rise(&[8, 8, 8, 9, 9, 8, 8, 100, 200]), Some(192));
        // What it grew by while it started is no part of that.
        assert_eq!(rise(&[1, 8, 8, 8, 8, 8, 8, 100, 200]), Some(192));
    }

    #[test]
    fn a_leak_does_not_rise_from_rest() {
        assert_eq!(rise(&[8, 40, 80, 120, 160, 200]), None, "from its first request on");
        let in_steps =
            [8, 8, 8, 8, 8, 8, 60, 60, 60, 60, 60, 60, 120, 120, 120, 120, 120, 120, 180];
        assert_eq!(rise(&in_steps), None, "in steps");
        let slowly: Vec<u64> = [8; 6].into_iter().chain((1..20).map(|n| 8 + 10 * n)).collect();
        assert_eq!(rise(&slowly), None, "for longer than it had been at rest");
    }

    #[test]
    fn a_rise_that_is_given_back_is_a_swing() {
        assert_eq!(course(&[8, 8, 8, 8, 8, 8, 100, 200, 200, 200, 8]).1, [192]);
        assert_eq!(course(&[8, 8, 8, 8, 8, 8, 100, 200, 200, 200, 200, 210, 150, 50]).1, [202]);
        assert_eq!(course(&[8, 8, 8, 8, 8, 8, 100, 200, 200, 200, 190]).1, [0_u64; 0]);
    }
}
