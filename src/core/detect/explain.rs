//! Why a process has its verdict, as plain values: every window with every test, and what else
//! weighed in. Made when asked for, never in a tick.

use crate::core::detect::Detector;
use crate::core::detect::earlier_runs::EarlierRuns;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::proof::ProofChecks;
use crate::core::detect::series::block_minima::FullWindow;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::JudgeContext;
use crate::core::detect::verdict::rules::RuleChecks;
use crate::core::model::ceiling::Unit;
use crate::core::model::process::ProcId;
use crate::core::model::verdict::{FindingReason, Verdict};

/// Why a process has its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The process after the last sample.
    pub state: ProcessState,
    /// What is left below its nearest ceiling.
    pub headroom: Headroom,
    /// How many times its evidence a growth may be extrapolated.
    pub max_extrapolation: f64,
    /// Its windows that are full, short ones first.
    pub windows: Vec<WindowRow>,
    /// The verdict that holds without further evidence.
    pub held: Option<HeldVerdict>,
    /// What a growth that is not known to be a leak has of a proof.
    pub unproven: Option<ProofChecks>,
    /// The earlier run of its program, if one is known.
    pub earlier: Option<EarlierRunMatch>,
    /// Its siblings, if it has any.
    pub pool: Option<Siblings>,
}

/// A window and all that is compared for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowRow {
    /// Its length in seconds.
    pub window_s: f64,
    /// Growth in bytes per second.
    pub slope: f64,
    /// Does it grow without end?
    pub window: FullWindow,
    /// Does that prove a leak? Asked of steady growth only.
    pub rules: Option<RuleChecks>,
}

/// A verdict of leaking or growing that holds for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldVerdict {
    /// The rule that was met first; none for a suspicion.
    pub why: Option<FindingReason>,
    /// Seconds for which it holds without further evidence.
    pub for_s: f64,
}

/// How the process compares with an earlier run of the program under the same parent's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlierRunMatch {
    /// Footprint now, and the most that the earlier run explains, in bytes.
    pub size: Comparison,
    /// Age since first sight, and the most that it explains, in seconds.
    pub age_s: Comparison,
    /// Whether it explains the growth of this one: both pass, and this one never leaked.
    pub explains: bool,
}

/// The living and ended children of its parent that run its program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Siblings {
    /// Living members.
    pub members: u32,
    /// Whether, pooled by age, they grow for as long as they live.
    pub leaks: bool,
    /// How many times its growth all that grow alike make up together.
    pub group_factor: f64,
}

impl Detector {
    /// Why a living process has its verdict: the very numbers that it was judged by.
    pub fn explain(&self, id: ProcId) -> Option<Explanation> {
        let process = &self.processes[self.trees.slot(id)?];
        let group_factor = process.group_factor;
        let nearest = self.ceilings.nearest(process.state.root);
        let context =
            JudgeContext { group_factor, ..JudgeContext::new(&self.basis, nearest.series()) };
        let entry = process.member.as_ref().and_then(|(index, _)| self.pools.get(*index));
        let pool = entry.map(|entry| Siblings {
            members: entry.pool.members,
            leaks: entry.verdict == Verdict::Leaking,
            group_factor,
        });
        Some(Explanation { pool, ..process.explain(&context, &self.runs) })
    }
}

impl Process {
    /// What it was last judged by, its pool left out.
    fn explain(&self, context: &JudgeContext<'_>, runs: &EarlierRuns) -> Explanation {
        let now = context.basis.clock.now();
        let thresholds = context.basis.thresholds(Unit::Bytes);
        let full = self.series.full_windows(now, thresholds);
        let mut windows: Vec<WindowRow> =
            full.map(|window| self.explain_window(window, context)).collect();
        windows.sort_by_key(|row| (row.window.length(), row.window.level));
        let for_s = |until: u64| context.basis.clock.seconds(until.saturating_sub(now));
        let leak = self.leak.as_ref().or(self.long_growth.as_ref());
        let leak = leak.map(|leak| HeldVerdict { why: Some(leak.why), for_s: for_s(leak.until) });
        let suspicion = self.suspicion;
        let suspicion = suspicion.map(|found| HeldVerdict { why: None, for_s: for_s(found.until) });
        Explanation {
            state: self.state.clone(),
            headroom: context.ceiling.headroom(),
            max_extrapolation: context.basis.constants.max_extrapolation,
            windows,
            held: leak.or(suspicion),
            unproven: match self.state.verdict {
                Verdict::Growing => self.proof_checks(now, context),
                _ => None,
            },
            earlier: self.earlier_run(context, runs).map(|run| EarlierRunMatch {
                size: run.size,
                age_s: run.age.scaled(context.basis.clock.seconds(1)),
                explains: run.matches() && !self.ever_leaked,
            }),
            pool: None,
        }
    }

    fn explain_window(&self, window: FullWindow, context: &JudgeContext<'_>) -> WindowRow {
        let clock = &context.basis.clock;
        let passed = |found: &GrowthWindow| {
            (found.level, found.blocks) == (window.level, window.blocks) && found.is_steady()
        };
        let found = self.series.growth_windows(clock.now()).find(passed);
        let apart = window.length() / window.blocks as u64 * window.apart() as u64;
        WindowRow {
            window_s: clock.seconds(window.length()),
            slope: window.tests.shape.growth() / clock.seconds(apart),
            window,
            rules: found.map(|found| context.rules(&found, self.life())),
        }
    }
}

impl Explanation {
    /// The window that explains most: one that proves a leak, else one that arouses suspicion, else
    /// the one that fails the fewest tests; of equals the longest.
    pub fn decisive(&self) -> Option<&WindowRow> {
        let rank = |row: &&WindowRow| {
            let rules = row.rules.as_ref();
            let leak = rules.is_some_and(|rules| rules.leak.is_some());
            let suspect = rules.is_some_and(|rules| rules.suspect.is_some());
            (leak, suspect, std::cmp::Reverse(row.failures()))
        };
        self.windows.iter().max_by_key(rank)
    }

    /// The longest window that shows this kind of growth.
    pub fn longest(&self, growth: GrowthShape) -> Option<&WindowRow> {
        self.windows.iter().rfind(|row| row.window.growth == Some(growth))
    }

    /// Whether what the windows show is set aside because an earlier run went this way.
    pub fn follows_earlier_run(&self) -> bool {
        let rules = self.decisive().and_then(|row| row.rules.as_ref());
        self.earlier.is_some_and(|earlier| earlier.explains)
            && self.state.verdict == Verdict::Warming
            && rules.is_some_and(|rules| rules.suspect.or(rules.leak).is_some())
    }
}

impl WindowRow {
    /// Tests that it fails: of growth; once it grows, of its kind; once that is steady, of the
    /// rules.
    fn failures(&self) -> (usize, usize) {
        let tests = &self.window.tests;
        let count = |checks: &[Comparison]| checks.iter().filter(|check| !check.passes).count();
        match (&self.rules, self.window.growth) {
            (Some(rules), _) => {
                let RuleChecks { in_a_row, urgent, share, patient, .. } = rules;
                let urgent = count(&[urgent.reach, urgent.samples, *share]);
                let patient = count(&[patient.life_samples, patient.own_growth, patient.end_s])
                    + usize::from(!patient.is_long_enough());
                (0, count(&[*in_a_row, tests.going_on]) + urgent.min(patient))
            }
            (None, Some(_)) => (1, count(&[tests.lasting, tests.going_on, tests.not_by_load])),
            (None, None) => (2, count(&[self.enough(), tests.beyond_falls, tests.rising])),
        }
    }

    /// Enough growth, by the quick test or by the medians: the one that fails.
    pub fn enough(&self) -> Comparison {
        let FullWindow { ends_higher, tests, growth, .. } = &self.window;
        if growth.is_none() && tests.enough.passes && !ends_higher.passes {
            *ends_higher
        } else {
            tests.enough
        }
    }
}
