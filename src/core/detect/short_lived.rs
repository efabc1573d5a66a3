//! Siblings that live too short to be judged one by one.
//!
//! The growth of many is pooled by age. Footprint by age would be biased (the old ones are those
//! that were not recycled), growth *increments* at a given age are not: a warm-up is large early
//! and small late, a leak goes on to the end of every life.

use crate::core::detect::constants::Constants;
use crate::core::model::verdict::Verdict;

/// Bins of age; the last begins at 1.4^41 intervals.
const BINS: usize = 42;

/// Each bin begins at this many times the age at which the one before does.
const WIDTH: f64 = 1.4;

/// Exits before a pool is judged: only the members of a short-lived pool end.
const EXITS: u32 = 5;

/// Least age, in intervals, at which the late half of life begins.
const LEAST_AGE: f64 = 8.0;

/// Standard errors that the late growth must exceed; 4.3 would be enough for 1e-5.
const ERRORS: f64 = 4.5;

/// Late growth over early growth, per time, below which it is a warm-up.
const LASTING: f64 = 0.6;

/// Judgements in a row that must agree.
const AGREE: u8 = 3;

/// What is pending of a member until its age leaves the bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolMember {
    bin: usize,
    growth: f64,
    time: f64,
}

/// Growth by age of the members of a worker pool.
pub struct ShortLivedPool {
    bins: Box<[AgeBin; BINS]>,
    exits: u32,
    agreed: u8,
    /// CPU use times intervals of all members, and intervals.
    load: f64,
    time: f64,
    /// Shares of their lives that members rested before they exited, and how many did.
    rested: f64,
    resting: f64,
    /// Living members.
    pub members: u32,
}

/// Sums over the visits of members to a span of age: of growth y and time spent e.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct AgeBin {
    visits: f64,
    growth: f64,
    time: f64,
    growth_squared: f64,
    growth_by_time: f64,
    time_squared: f64,
}

impl AgeBin {
    fn add(&mut self, other: &Self) {
        self.visits += other.visits;
        self.growth += other.growth;
        self.time += other.time;
        self.growth_squared += other.growth_squared;
        self.growth_by_time += other.growth_by_time;
        self.time_squared += other.time_squared;
    }

    /// Growth per time, and its standard error with every visit one observation.
    fn rate(&self) -> Option<(f64, f64)> {
        if self.time <= 0.0 {
            return None;
        }
        let rate = self.growth / self.time;
        let squares = self.growth_squared - 2.0 * rate * self.growth_by_time
            + rate * rate * self.time_squared;
        let variance = squares.max(1e-9) / (self.time * self.time);
        Some((rate, (variance * self.visits / (self.visits - 1.0).max(1e-9)).sqrt()))
    }
}

impl ShortLivedPool {
    /// An empty pool.
    pub fn new() -> Self {
        Self {
            bins: Box::new([AgeBin::default(); BINS]),
            exits: 0,
            agreed: 0,
            load: 0.0,
            time: 0.0,
            rested: 0.0,
            resting: 0.0,
            members: 0,
        }
    }

    /// Adds what a member grew, and the cores that it used, in one sample that stood for `time`
    /// intervals, at its age in intervals.
    pub fn grew(&mut self, member: &mut PoolMember, age: f64, growth: f64, load: f64, time: f64) {
        self.load += load * time;
        self.time += time;
        let bin = bin_of(age);
        if bin != member.bin {
            self.leave_bin(member);
            member.bin = bin;
        }
        member.growth += growth;
        member.time += time;
    }

    /// A member ended, after it had rested for that share of its life, if it ever grew.
    pub fn exited(&mut self, member: &mut PoolMember, rested: Option<f64>) {
        self.rested += rested.unwrap_or(0.0);
        self.resting += f64::from(u8::from(rested.is_some()));
        self.exits = self.exits.saturating_add(1);
        self.left(member);
    }

    /// A member is one no longer.
    pub fn left(&mut self, member: &mut PoolMember) {
        self.leave_bin(member);
        self.members = self.members.saturating_sub(1);
    }

    fn leave_bin(&mut self, member: &mut PoolMember) {
        let PoolMember { bin, growth: y, time: e } = *member;
        if e > 0.0 {
            self.bins[bin].add(&AgeBin {
                visits: 1.0,
                growth: y,
                time: e,
                growth_squared: y * y,
                growth_by_time: y * e,
                time_squared: e * e,
            });
        }
        *member = PoolMember { bin, ..PoolMember::default() };
    }

    /// Age in intervals below which members spent half of their time.
    pub fn half_life(&self) -> f64 {
        let total: f64 = self.bins.iter().map(|bin| bin.time).sum();
        let mut lived = 0.0;
        let edges = self.bins.iter().zip(edges());
        let half = edges.skip_while(|(bin, _)| {
            lived += bin.time;
            lived <= 0.5 * total
        });
        half.map(|(_, edge)| edge).next().unwrap_or(f64::INFINITY)
    }

    /// Bytes that a member has grown on average by that age in intervals.
    pub fn mean_growth(&self, age: f64) -> f64 {
        let younger = self.bins.iter().zip(edges()).take(bin_of(age));
        let lived = younger.filter(|(bin, _)| bin.time > 0.0);
        lived.map(|(bin, edge)| bin.growth / bin.time * edge * (WIDTH - 1.0)).sum()
    }

    /// Judges the pool: whether its members leak, or grow as tasks do, or neither.
    pub fn judge(&mut self, constants: &Constants) -> Verdict {
        self.agreed =
            if self.grows_to_the_end(constants) { (self.agreed + 1).min(AGREE) } else { 0 };
        match self.agreed {
            AGREE if self.does_tasks(constants) => Verdict::Growing,
            AGREE => Verdict::Leaking,
            _ => Verdict::Stable,
        }
    }

    /// Whether its members do one task each: at work from start to end, or at rest for a while
    /// once it is done. Measured: workers that are recycled rest for .03 to .05 of their lives and
    /// use .05 cores; tasks that sleep rest for .22, those that compute use .9.
    fn does_tasks(&self, constants: &Constants) -> bool {
        let is_part = |sum: f64, of: f64, least: f64| of > 0.0 && sum >= least * of;
        is_part(self.load, self.time, constants.busy)
            || is_part(self.rested, self.resting, constants.rested)
    }

    fn grows_to_the_end(&self, constants: &Constants) -> bool {
        if self.exits < EXITS {
            return false;
        }
        let total: f64 = self.bins.iter().map(|bin| bin.time).sum();
        let (mut early, mut late) = (AgeBin::default(), AgeBin::default());
        let mut lived = 0.0;
        for bin in self.bins.iter() {
            lived += bin.time;
            if lived > 0.5 * total {
                late.add(bin);
            } else if lived > 0.15 * total {
                early.add(bin);
            }
        }
        let Some((rate, error)) = late.rate() else { return false };
        let early_rate = early.rate().map_or(0.0, |(rate, _)| rate);
        late.visits >= f64::from(EXITS)
            && rate > 0.0
            && self.half_life() >= LEAST_AGE
            && rate >= ERRORS * error
            && rate >= LASTING * early_rate
            && late.growth >= late.visits * constants.least_growth / 4.0
    }
}

impl Default for ShortLivedPool {
    fn default() -> Self {
        Self::new()
    }
}

/// The age at which each bin begins.
fn edges() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(1.0), |edge| Some(edge * WIDTH))
}

fn bin_of(age: f64) -> usize {
    edges().take(BINS).skip(1).take_while(|edge| *edge <= age).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty lives of 60 intervals each, that grow by `growth(age)` bytes an interval.
    fn pool(growth: impl Fn(f64) -> f64) -> bool {
        let mut pool = ShortLivedPool::new();
        let mut leaks = false;
        for life in 0..40_u32 {
            let mut member = PoolMember::default();
            for age in 2..60 {
                let age = f64::from(age);
                // No two lives are alike: each is up to a fifth slower than the first.
                let pace = 1.0 - 0.2 * f64::from(life % 7) / 7.0;
                pool.grew(&mut member, age, pace * growth(age), 0.1, 1.0);
            }
            pool.exited(&mut member, Some(0.04));
            leaks = pool.judge(&Constants::default()) == Verdict::Leaking;
        }
        leaks
    }

    #[test]
    fn a_pool_leaks_if_its_members_grow_to_the_end_of_their_lives() {
        assert!(pool(|_| 100_000.0));
        assert!(!pool(|age| 5_000_000.0 * (-age / 6.0).exp()), "a warm-up");
        assert!(!pool(|_| 100.0), "a trifle");
        assert!(!pool(|age| 100_000.0 * (age * 2.0).sin()), "up and down");
    }

    #[test]
    fn ages_are_binned_by_the_edges() {
        for (bin, edge) in edges().take(BINS).enumerate() {
            assert_eq!(bin_of(edge * 1.001), bin);
        }
    }
}
