//! When growth turns into a leak: the claim of one process, weighed by [`proof`].

use crate::core::detect::growth_record::{BentGrowth, HeldFinding};
use crate::core::detect::known_programs::ProgramKind;
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::proof::{Claim, ProofChecks};
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::verdict::{FindingReason, Verdict};

impl Process {
    /// Looks for proof that its growth is a leak, in the longest window that shows it; `slowing` is
    /// the length of the longest window in which it slows down.
    pub(super) fn convict(
        &mut self,
        now: u64,
        slowing: Option<u64>,
        windows: &[GrowthWindow],
        context: &JudgeContext<'_>,
    ) {
        let life = self.life();
        let passes = context.basis.constants.passes;
        let lasting = |window: &&GrowthWindow| window.passes >= passes && !window.paused;
        let Some(window) = windows.iter().rev().find(lasting) else { return };
        if !context.is_long_enough(window, life) {
            return;
        }
        let until = now + window.length() / 2;
        if let Some(leak) = &mut self.leak {
            leak.until = leak.until.max(until);
            return;
        }
        let claim = Claim { process: self, context, window, steady: windows, now };
        let length = window.length();
        let mut bent = self.growth_record().bent;
        let why = claim.proof(|| {
            // A growth that bends looks straight now and then: only a longer window says more.
            if bent.is_none_or(|bent| now >= bent.until || length > bent.length) {
                let slows = slowing.is_some_and(|slowing| slowing >= length);
                let bends = slows || claim.saturates();
                bent = bends.then_some(BentGrowth { until: now + length, length });
            }
            bent.is_some()
        });
        if bent.is_some() {
            self.growth_record.get_or_insert_default().bent = bent;
        }
        if let Some(why) = why {
            HeldFinding::hold(&mut self.leak, why, until);
            self.ever_leaked = true;
        }
    }

    /// What the longest window that shows steady growth has of a proof, for an explanation.
    pub(super) fn proof_checks(&self, now: u64, context: &JudgeContext<'_>) -> Option<ProofChecks> {
        let steady: Vec<_> =
            self.series.growth_windows(now).filter(GrowthWindow::is_steady).collect();
        let window = steady.last()?;
        Some(Claim { process: self, context, window, steady: &steady, now }.checks())
    }

    /// The window by which it is compared with its siblings, if it endangers its ceiling and is not
    /// known to leak.
    pub(super) fn unproven_window(
        &self,
        now: u64,
        context: &JudgeContext<'_>,
    ) -> Option<GrowthWindow> {
        let ProcessState { endangers, verdict, .. } = self.state;
        let constants = &context.basis.constants;
        let is_asked = endangers && verdict == Verdict::Growing;
        if !is_asked {
            return None;
        }
        let steady = self.series.growth_windows(now).filter(GrowthWindow::is_steady);
        let window = steady.filter(|w| w.passes >= constants.passes && !w.paused).last()?;
        let claim = Claim { process: self, context, window: &window, steady: &[], now };
        let is_far = claim.used() >= constants.sibling_used;
        let is_compared =
            claim.kind() != ProgramKind::Job && context.is_long_enough(&window, self.life());
        (is_far && is_compared).then_some(window)
    }

    /// The share of its life that it has rested for.
    pub(super) fn rested(&self) -> Option<f64> {
        self.sizes.rested(self.watched, self.watched)
    }

    /// It grows as a member of its pool, for as long as the pool is judged so; `proven`: what the
    /// members are is proven to leak.
    pub fn grows_with_pool(&mut self, until: u64, proven: bool) {
        HeldFinding::hold(&mut self.long_growth, FindingReason::Pool, until);
        self.state.verdict = self.state.verdict.max(Verdict::Growing);
        self.state.endangers = true;
        if proven {
            self.leaks(FindingReason::Pool, until);
        }
    }

    /// It leaks, by what its siblings show.
    pub fn leaks(&mut self, why: FindingReason, until: u64) {
        HeldFinding::hold(&mut self.leak, why, until);
        self.ever_leaked = true;
        self.state.verdict = Verdict::Leaking;
    }
}
