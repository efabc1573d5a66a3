//! Engine: state across samples. `observe` is the whole of it: live and replayed alike.

use crate::core::alarm::Alarm;
use crate::core::decide::policy::Policy;
use crate::core::decide::rules::Rules;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::event::{Assessment, Event, SOON_S, Severity};
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{EarlierAction, Order};
use crate::core::model::profile::Profile;
use crate::core::model::sample::{Header, Sample};
use crate::core::sampling_interval::{SamplingInterval, nearest_end_s};
use crate::core::unit_names::UnitNames;

/// What the user may set.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// How many times longer than the evidence a growth may be extrapolated; 6 by default. Less is
    /// more cautious and later.
    pub max_extrapolation: f64,
    /// What may be ended, and when.
    pub rules: Rules,
}

/// Judges samples.
pub struct Engine {
    detector: Detector,
    alarm: Alarm,
    policy: Policy,
    sampling: SamplingInterval,
    names: UnitNames,
    critical_s: f64,
    found: bool,
    /// Seconds until something ends if all that grows goes on.
    nearest_end_s: f64,
    /// When the next counted sample is wanted.
    planned_t: f64,
    assessment: Assessment,
}

impl Engine {
    /// An engine for samples of the kind that `header` announces.
    pub fn new(header: &Header, settings: EngineSettings) -> Self {
        let mut detector = Detector::new(header, settings.max_extrapolation);
        detector.set_user_servers(&settings.rules.servers);
        Self {
            detector,
            alarm: Alarm::default(),
            sampling: SamplingInterval::new(header.interval_s),
            names: UnitNames::default(),
            critical_s: settings.rules.lead_s,
            policy: Policy::new(settings.rules, header.interval_s),
            found: false,
            nearest_end_s: f64::INFINITY,
            planned_t: 0.0,
            assessment: Assessment::default(),
        }
    }

    /// Takes in one sample: what changed, how things stand, and when the next sample is wanted.
    pub fn observe(&mut self, sample: &Sample) -> &Assessment {
        let Self { detector, alarm, policy, assessment, names, .. } = self;
        names.observe(sample);
        let is_counted = detector.counts(sample.t);
        assessment.t = sample.t;
        assessment.changes.clear();
        detector.observe(sample, &mut assessment.changes);
        alarm.observe(sample.t, &sample.memory_failures, &mut assessment.changes);
        assessment.order = policy.decide(sample, detector, &mut assessment.changes);
        if let Some(order) = &assessment.order {
            detector.ordered(order.victim);
        }
        // Worst first; the sort is stable, so events of one rank keep the detector's order.
        assessment.changes.sort_by_key(Event::severity_rank);
        self.assess(is_counted);
        &self.assessment
    }

    /// The judgement of the last sample.
    pub fn assessment(&self) -> &Assessment {
        &self.assessment
    }

    /// Continues under other rules. A rule about programs applies to each program when a sample next
    /// lists it.
    pub fn set_rules(&mut self, rules: Rules) {
        self.critical_s = rules.lead_s;
        self.detector.set_user_servers(&rules.servers);
        self.policy.set_rules(rules);
    }

    /// Whether the samples that follow lie in the past: then the engine gives no order, and takes over
    /// those that were given by [`Self::apply_earlier_action`].
    pub fn set_replaying(&mut self, past: bool) {
        self.policy.set_replaying(past);
    }

    /// Takes over what an earlier run did on the sample that was just observed.
    pub fn apply_earlier_action(&mut self, past: &EarlierAction) {
        if matches!(past, EarlierAction::Ordered { .. }) {
            self.detector.ordered(past.victim());
        }
        self.policy.apply_earlier_action(past, self.assessment.t, &self.detector);
    }

    /// Takes note of an order of [`Policy::order_by_hand`] that was given.
    pub fn ordered_by_hand(&mut self, order: &Order) {
        self.detector.ordered(order.victim);
        self.policy.ordered_by_hand(order, self.assessment.t, &self.detector);
    }

    /// Seconds before the end from which on things are critical: the lead time of the rules, unless it was
    /// set.
    pub fn critical_s(&self) -> f64 {
        self.critical_s
    }

    /// Sets how many seconds before the end things are critical.
    pub fn set_critical_s(&mut self, critical_s: f64) {
        self.critical_s = critical_s;
    }

    /// Seconds until memory or tasks end at the earliest if all that grows goes on, proven or not; infinite
    /// where nothing grows.
    pub fn nearest_end_s(&self) -> f64 {
        self.nearest_end_s
    }

    /// How things stood in the last sample.
    pub fn status(&self) -> Severity {
        self.assessment.status
    }

    /// Takes over what an earlier engine learnt of programs.
    pub fn load_profiles(&mut self, profiles: &[Profile]) {
        self.detector.remember(profiles);
    }

    /// What was learnt of programs, at most so many, those first whose runs ended last.
    pub fn profiles(&self, most: usize) -> Vec<Profile> {
        self.detector.profiles(most)
    }

    /// How often something new was learnt of a program.
    pub fn profile_updates(&self) -> u64 {
        self.detector.learnt()
    }

    /// The detector, for reports of the state.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// What was refused or killed within the last minute.
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The units and containers of processes and limits, for reports.
    pub fn names(&self) -> &UnitNames {
        &self.names
    }

    /// The policy, for reports of the state.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Seconds until memory ends if all that grows goes on: not evidence enough to say so, but
    /// enough to look more often.
    fn growth_end_s(&self) -> f64 {
        let detector = &self.detector;
        let growing = || detector.flagged();
        let end_s = |root| {
            let tree = growing().filter(|s| s.root == root);
            let slope: f64 = tree.filter_map(|s| s.evidence).map(|e| e.slope.max(0.0)).sum();
            detector.headroom(root).left as f64 / slope
        };
        growing().map(|s| end_s(s.root)).fold(f64::INFINITY, f64::min)
    }

    /// What was found since the start: critical only if memory is in danger now, a leak also if
    /// all that leaked has ended.
    pub fn found(&self) -> Severity {
        let least = if self.found { Severity::Leak } else { Severity::Fine };
        self.assessment.status.max(least)
    }

    fn assess(&mut self, is_counted: bool) {
        let detector = &self.detector;
        let roots = || detector.roots();
        let ends = || roots().filter_map(|s| detector.forecast(s.id));
        let end_s = nearest_end_s(ends());
        self.nearest_end_s = end_s.min(self.growth_end_s()).min(detector.unproven_end_s());
        let left = roots()
            .map(|s| detector.headroom(s.id))
            .map(|h| h.left as f64 / (h.limit as f64).max(1.0))
            .fold(1.0, f64::min);
        let leaks = detector.process_states().any(ProcessState::leaks)
            || detector.child_leaks().next().is_some();
        let is_soon = |f: Forecast| f.is_reliable() && f.likely_s <= SOON_S;
        let endangers = || roots().any(|s| detector.growth_forecast(s.id).is_some_and(is_soon));
        let is_found = leaks || endangers();
        // An order in an emergency comes without a verdict: it counts as a leak found all the same.
        let is_leak = |event: &Event| matches!(event, Event::Leak(_));
        self.found |= is_found
            || self.assessment.order.is_some()
            || self.assessment.changes.iter().any(is_leak);
        self.assessment.status = if end_s <= self.critical_s || self.alarm.is_on() {
            Severity::Critical
        } else if is_found {
            Severity::Leak
        } else {
            Severity::Fine
        };
        let trees = roots().count();
        let t = self.assessment.t;
        if is_counted {
            self.planned_t = t + self.sampling.next_s(self.nearest_end_s, left, trees);
        }
        let planned_s = (self.planned_t - t).max(0.01);
        self.assessment.next_s = self.policy.next_s().map_or(planned_s, |s| s.min(planned_s));
    }
}

#[cfg(test)]
impl Engine {
    /// For tests: of samples a second apart, and without orders.
    pub(crate) fn that_only_reports() -> Self {
        let hostname = String::new();
        let header = Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname };
        let rules = Rules { act: false, ..Rules::default() };
        Self::new(&header, EngineSettings { max_extrapolation: 6.0, rules })
    }
}
