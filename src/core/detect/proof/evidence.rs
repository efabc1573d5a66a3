//! What a growth shows of itself for the rules of proof: how far, how long, how straight, with how
//! much work, and after what.

use std::num::NonZeroU64;

use super::Claim;
use crate::core::detect::bend::{SlowBegin, ends_an_s, slow_begin};
use crate::core::detect::known_programs::ProgramKind;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::ThirdMedians;

/// CPU use, in cores, that is nothing.
const IDLE: f64 = 0.002;

impl Claim<'_> {
    /// Whether it did more and more work meanwhile, which may explain the growth whatever it is in
    /// proportion to.
    pub(super) fn works_more(&self) -> bool {
        let (early, late) = self.process.series.loads(self.window.level, self.window.blocks);
        late > self.constants().more_work * early + IDLE
    }

    /// Whether it has grown as fast as ever through most of its life and a whole period of daily
    /// load: neither jobs nor load do that.
    pub(super) fn lasts_a_day(&self) -> bool {
        let c = self.constants();
        let GrowthWindow { shape, .. } = self.window;
        self.day_s().passes
            && self.context.samples(self.window, self.process.life()) >= c.day_samples
            && shape.growth() >= c.day_growth * f64::from(shape.early)
            && self.left() <= self.speed() * c.horizon_s
            && is_even(shape)
            && !self.works_more()
            && !ends_an_s(self.minima())
    }

    /// Seconds of the window, and of a day or half its life, whichever is longer.
    pub(super) fn day_s(&self) -> Comparison {
        let c = self.constants();
        let least_s = c.day_s.max(c.patient_life * self.process.state.age_s);
        Comparison::at_least(self.seconds(self.window.length()), least_s)
    }

    /// What it would grow in another such window, as a multiple of what is left.
    pub(super) fn reach(&self) -> f64 {
        self.speed() * self.seconds(self.window.length()) / self.left()
    }

    /// The share of the way times the doublings of the evidence, compared with what convicts: proof
    /// grows with both. Evidence is the geometric mean of its samples and of its time in units of
    /// four seconds: by samples alone, keeping every fourth of them changes recall by a tenth. What
    /// was seen to start and works all the time since, as jobs do, needs more; a server may be busy.
    pub(super) fn weight(&self) -> Comparison {
        let c = self.constants();
        let samples = f64::from(self.context.samples(self.window, self.process.life()));
        let seconds = self.seconds(self.window.length());
        let doublings = 0.5 * (samples * seconds / 4.0).max(1.0).log2();
        let of_store = if self.kind() == ProgramKind::Store { c.store_proof } else { 1.0 };
        let was_seen_to_start = self.process.state.age_s < self.seconds(self.now);
        let of_work = if was_seen_to_start { 1.0 + c.work_proof * self.cores() } else { 1.0 };
        Comparison::at_least(self.used() * doublings, c.proof * of_store * of_work)
    }

    /// Whether it begins slowly.
    pub(super) fn slow_begin(&self) -> Option<SlowBegin> {
        slow_begin(self.minima())
    }

    /// How many times the weight a growth of its shape needs: what ends an S is about to stop, what
    /// speeds up may be the slow half of one, and few steps may be over.
    pub(super) fn doubt(&self) -> f64 {
        let c = self.constants();
        match self.slow_begin() {
            Some(SlowBegin::IsAnS) => c.bent_proof,
            Some(SlowBegin::SpeedsUp) => c.curved_proof,
            None if self.equal_steps() < c.many_steps => c.curved_proof,
            None => 1.0,
        }
    }

    /// Its footprint and what its command line allows it, with a share and a fixed part for what
    /// comes on top.
    pub(super) fn beyond_declared(&self) -> Option<Comparison> {
        let c = self.constants();
        let allowed = |size: NonZeroU64| c.declared_margin * size.get() as f64 + c.declared_more;
        self.process.declared.map(|size| Comparison::above(self.footprint(), allowed(size)))
    }

    /// Whether the growth matters, by the rules of long growth whatever the number of samples.
    pub(super) fn is_real(&self) -> bool {
        self.process.long_growth.is_some()
            || self.context.is_real_growth(self.window, self.process.life())
    }

    /// Whether it grows in several steps, not by a few that come once.
    pub(super) fn is_spread(&self) -> bool {
        let minima = self.minima();
        let is_new = |(at, size): &(usize, &u32)| {
            minima.get(..*at).is_none_or(|before| !before.contains(size))
        };
        let distinct = minima.iter().enumerate().filter(is_new).count() as f64;
        let c = self.constants();
        minima.first() < minima.last()
            && self.equal_steps() >= c.least_steps
            && distinct >= c.distinct * minima.len() as f64
    }

    /// As if by how many steps of equal size it grows: that many would be as uneven.
    fn equal_steps(&self) -> f64 {
        let steps = self.minima().windows(2);
        let steps = steps.filter_map(|pair| pair.get(1)?.checked_sub(*pair.first()?));
        let (sum, squares) = steps
            .map(f64::from)
            .fold((0.0, 0.0), |(sum, squares), step| (sum + step, squares + step * step));
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }

    /// Whether a level that was left counts as evidence: while memory is plentiful the share of the way
    /// says nothing; after that a second fill or warm-up is told by it, from a level as from birth.
    pub(super) fn outweighs_a_second_fill(&self) -> bool {
        let (c, weight) = (self.constants(), self.weight());
        self.reach() < c.least_reach || weight.is >= c.settled_proof * weight.needs
    }

    /// Whether it held a level for long, and has grown steadily since, without more work to do. Most of
    /// the time since must be as straight as the rest: a warm-up that begins slowly, as an S does, leaves
    /// its level too, and half of it looks straight now and then. On recordings of other ranges that took the
    /// healthy ones named from .35 to .30, and no leak was lost.
    pub(super) fn outlasts_its_level(&self) -> bool {
        let c = self.constants();
        let Some(held) = self.process.sizes.held() else { return false };
        let since = self.now.saturating_sub(held.ended) as f64;
        let length_s = self.seconds(held.length);
        let load_since = held.load_since(self.now, self.process.cpu_s);
        let more_work = load_since > c.more_work * f64::from(held.load) + IDLE * self.seconds(1);
        let covers = |window: &GrowthWindow| {
            let part = window.length() as f64 / since;
            window.passes >= c.passes
                && (0.7..=1.05).contains(&part)
                && is_even(&window.shape)
                && self.context.samples(window, self.process.life()) >= c.proof_samples
        };
        length_s >= c.held_s
            && length_s >= c.held_life * self.process.state.age_s
            && held.length as f64 >= c.held_longer * since
            && since >= c.held_since * held.length as f64
            && held.steps >= c.held_steps
            && self.footprint() >= c.held_growth * f64::from(held.size)
            && !more_work
            && self.steady.iter().any(covers)
    }

    /// Whether it became several times what it was, or did so with its siblings, where memory is so
    /// plentiful that the share of the way says nothing yet and yet ends within two days.
    pub(super) fn outgrew_itself(&self) -> bool {
        let c = self.constants();
        let grown = (self.footprint() - self.lowest()) / self.lowest().max(1.0);
        let end_s = self.left() / self.speed().max(f64::MIN_POSITIVE);
        let alike = self.context.group_factor >= c.alike && grown >= c.alike_growth;
        let window_s = self.seconds(self.window.length());
        let alone = grown >= c.outgrown && window_s >= c.outgrown_s;
        let samples = self.context.samples(self.window, self.process.life());
        samples >= c.outgrown_samples
            && self.reach() <= c.far_reach
            && end_s <= c.soon_s
            && (alike || alone)
    }
}

/// Whether both halves of a window grew alike.
fn is_even(shape: &ThirdMedians) -> bool {
    let (first, second) = shape.halves();
    (0.8..=1.25).contains(&(second / first.max(1.0)))
}
