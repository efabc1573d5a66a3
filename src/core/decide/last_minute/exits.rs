//! How long ends take: from a signal to the exit that it leads to, as seen on this machine.

use crate::core::model::signal::Step;
use std::collections::HashMap;

/// Outcomes remembered of each step.
const REMEMBERED: usize = 16;
/// Seconds that an exit takes before any was seen: a request of its own, a handler, the kernel's
/// work. Real ones by TERM took 0.02 to 0.5 s, by KILL 0.01 to 0.3 s.
const GENTLE_S: f64 = 1.2;
const TERM_S: f64 = 0.3;
const KILL_S: f64 = 0.25;
/// What stands for outcomes before there are any, as multiples of these.
const ASSUMED: [f64; 3] = [0.5, 1.0, 1.2];
/// The share of the outcomes that are over in the time that an end is said to take.
const QUANTILE: f64 = 0.85;
/// The gentle signal gets at most so many seconds in the last minute.
const GENTLE_MOST_S: f64 = 0.5;
/// What a restart of a unit takes until what it held is free, in seconds.
const RESTART_S: f64 = 10.0;
/// A request takes so many times what was left of the longest one at an exit.
const UNDER_WAY: f64 = 1.5;
/// A request that was cut short is taken for one of which so many times as much was left.
const CUT_SHORT: f64 = 1.4;

/// The last outcomes of each step, in seconds.
#[derive(Debug, Default)]
pub struct ExitTimes {
    /// By server: how long a request takes is its own.
    gentle: HashMap<&'static str, Outcomes>,
    term: Outcomes,
    kill: Outcomes,
}

/// Seconds of the last outcomes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Vec<f64>);

impl Outcomes {
    pub(super) fn push(&mut self, seconds: f64) {
        if self.0.len() == REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(seconds);
    }

    /// The median, the larger of two that share the middle; `None` of fewer than `least`.
    pub(super) fn median(&self, least: usize) -> Option<f64> {
        // On the stack: a steady sample allocates nothing.
        let mut all = [f64::INFINITY; REMEMBERED];
        all.iter_mut().zip(&self.0).for_each(|(slot, seconds)| *slot = *seconds);
        all.sort_by(f64::total_cmp);
        all.get(self.0.len() / 2).copied().filter(|_| self.0.len() >= least.max(1))
    }
}

/// The share of the outcomes, and of what stands for them before there are any, that were over.
fn quantile(outcomes: &Outcomes, assumed_s: f64, share: f64) -> f64 {
    // On the stack: a steady sample allocates nothing.
    let mut all = [f64::INFINITY; ASSUMED.len() + REMEMBERED];
    let known = ASSUMED.iter().map(|of| of * assumed_s).chain(outcomes.0.iter().copied());
    let mut count = 0_u32;
    for (slot, seconds) in all.iter_mut().zip(known) {
        *slot = seconds;
        count += 1;
    }
    all.sort_by(f64::total_cmp);
    let nth = ((share * f64::from(count)) as usize).min(count as usize - 1);
    all.get(nth).copied().unwrap_or(assumed_s)
}

impl ExitTimes {
    /// A process of that server was gone so many seconds after that step.
    pub fn learn(&mut self, server: &'static str, step: Step, seconds: f64) {
        match step {
            Step::Gentle => self.gentle.entry(server).or_default().push(seconds),
            Step::Term => self.term.push(seconds),
            Step::Kill => self.kill.push(seconds),
            Step::Restart | Step::Reload => {}
        }
    }

    /// A process of that server had not finished after so many seconds, when a harder step followed:
    /// it would have taken longer.
    pub fn cut_short(&mut self, server: &'static str, step: Step, seconds: f64) {
        if step == Step::Gentle {
            self.learn(server, step, CUT_SHORT * seconds);
        }
    }

    /// Seconds that a worker of that server takes to finish what it does. The longest counts, and a
    /// half more: of a request under way an exit shows what was left of it.
    pub fn finishes_s(&self, server: &'static str) -> f64 {
        let outcomes = self.gentle.get(server);
        let longest_s = outcomes.map_or(0.0, |of| of.0.iter().copied().fold(0.0, f64::max));
        GENTLE_S.max(UNDER_WAY * longest_s)
    }

    /// Seconds that an end by that step takes. The gentle signal gets as much time as TERM would, not
    /// more: in simulated worlds 0.5 s halve the requests that are cut, and more time ends twice as
    /// many healthy processes for little more. After KILL nothing stronger follows, so that the
    /// longest one counts.
    pub fn takes_s(&self, step: Step) -> f64 {
        match step {
            Step::Restart => RESTART_S,
            Step::Gentle | Step::Reload => GENTLE_MOST_S,
            Step::Term => quantile(&self.term, TERM_S, QUANTILE),
            Step::Kill => quantile(&self.kill, KILL_S, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exits_take_is_learnt_from_the_last_of_them() {
        let mut exits = ExitTimes::default();
        assert_eq!(exits.takes_s(Step::Term), 0.36);
        (0..40).for_each(|_| exits.learn("a", Step::Term, 0.9));
        assert_eq!(exits.takes_s(Step::Term), 0.9);
        (0..REMEMBERED).for_each(|_| exits.learn("a", Step::Term, 0.1));
        assert!(exits.takes_s(Step::Term) < 0.31);
        exits.learn("a", Step::Kill, 2.0);
        assert_eq!(exits.takes_s(Step::Kill), 2.0, "the longest counts");
        exits.learn("a", Step::Gentle, 0.2);
        assert_eq!((exits.finishes_s("a"), exits.finishes_s("b")), (1.2, 1.2), "an idle one");
        exits.learn("a", Step::Gentle, 2.0);
        assert_eq!(exits.finishes_s("a"), 3.0, "what was left of a request");
        exits.cut_short("a", Step::Gentle, 4.0);
        assert!(exits.finishes_s("a") > 8.0 && exits.finishes_s("b") == 1.2);
    }
}
