//! The scoring rules: what counts as found, as a false alarm, as ended in time.
//!
//! `main.rs` has the definitions in words; this is the same in code, for one recording
//! ([`Trial`], [`Case`]); `figures.rs` takes many together.

use clap::Parser;
use leakwatch::cli::options::{Cli, Command};
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::event::Event;
use leakwatch::core::model::process::ProcId;
use leakwatch::core::model::sample::{Header, Sample};
use leakwatch::core::model::verdict::{Finding, FindingScope};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// The share of the way to the end of memory within which a warning is in time.
const WARNED: f64 = 0.15;

/// What is known of a recording.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Truth {
    /// `real` or `synthetic`.
    pub kind: String,
    /// All that leak; every other process is healthy.
    pub leaking: Vec<Leaking>,
    /// When memory ran out, or would have; absent if unknown.
    pub exhaust_t: Option<f64>,
}

/// A process that leaks, or the root of a tree in which processes pile up.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Leaking {
    pub pid: u32,
    pub start: u64,
    /// When its leak began.
    pub from_t: f64,
}

/// What was said of one recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Said {
    pub t: f64,
    pub id: ProcId,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// It leaks; with the earliest, likely and latest end of memory, if any was told.
    Leak { scope: FindingScope, end: Option<[f64; 3]> },
    /// It grows, whatever the cause; with the same.
    Growing { scope: FindingScope, end: Option<[f64; 3]> },
    /// It must end.
    Order,
    /// It need not have been ended.
    Regretted,
}

/// A detector: what it says of each sample, in their order.
pub(crate) type Detector = Box<dyn FnMut(&Sample, &mut Vec<Said>)>;

/// A recording that is being judged.
pub(crate) struct Trial {
    detector: Detector,
    grace_s: f64,
    end_t: f64,
    said: Vec<Said>,
    /// Child and parent, of all that were seen together.
    subtrees: HashSet<(ProcId, ProcId)>,
    pids: HashMap<u32, ProcId>,
}

/// What leakwatch itself takes when nothing is said.
pub(crate) fn default_max_extrapolation() -> Option<f64> {
    match Cli::try_parse_from(["leakwatch", "replay", "-"]).ok()?.command {
        Some(Command::Replay(replay)) => Some(replay.judge.max_extrapolation),
        _ => None,
    }
}

/// Orders on, standalone processes included.
pub(crate) fn settings(max_extrapolation: f64) -> EngineSettings {
    let rules = Rules { allow_standalone: true, ..Rules::default() };
    EngineSettings { max_extrapolation, rules }
}

/// leakwatch itself.
pub(crate) fn leakwatch(header: &Header, max_extrapolation: f64) -> Detector {
    let mut engine = Engine::new(header, settings(max_extrapolation));
    Box::new(move |sample, said| {
        let t = sample.t;
        let ends = |finding: &Finding| {
            let forecast = finding.forecast.filter(|f| f.latest_s.is_finite());
            forecast.map(|f| [f.earliest_s, f.likely_s, f.latest_s].map(|s| t + s))
        };
        said.extend(engine.observe(sample).events().filter_map(|event| {
            let (id, what) = match event {
                Event::Leak(of) => (of.id, What::Leak { scope: of.scope, end: ends(&of) }),
                Event::Growing(of) => (of.id, What::Growing { scope: of.scope, end: ends(&of) }),
                Event::Order(order) => (order.victim, What::Order),
                Event::Regretted(regret) => (regret.order.victim, What::Regretted),
                _ => return None,
            };
            Some(Said { t, id, what })
        }));
    })
}

impl Trial {
    pub(crate) fn new(header: &Header, detector: Detector) -> Self {
        Self {
            detector,
            grace_s: 2.0 * header.interval_s,
            end_t: 0.0,
            said: Vec::new(),
            subtrees: HashSet::new(),
            pids: HashMap::new(),
        }
    }

    pub(crate) fn observe(&mut self, sample: &Sample) {
        let t = sample.t;
        self.end_t = t;
        self.pids.clear();
        self.pids.extend(sample.procs.iter().map(|p| (p.id.pid, p.id)));
        for proc in &sample.procs {
            if let Some(&parent) = self.pids.get(&proc.ppid)
                && parent != proc.id
            {
                self.subtrees.insert((proc.id, parent));
            }
        }
        (self.detector)(sample, &mut self.said);
    }

    /// What another detector said of the same recording takes the place of what leakwatch says: JSON
    /// Lines with `event` (`leak`, `growing` or `order`), `t`, `pid`, `start`, and maybe `scope` and
    /// `exhaust_t`. Other lines do not count.
    pub(crate) fn hear(&mut self, lines: &str) {
        let said = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            let number = |name: &str| event.get(name)?.as_f64();
            let pid = u32::try_from(event.get("pid")?.as_u64()?).ok()?;
            let id = ProcId { pid, start: event.get("start")?.as_u64()? };
            let is_tree = event.get("scope").is_some_and(|scope| scope == "tree");
            let scope = if is_tree { FindingScope::Tree } else { FindingScope::Process };
            let end = number("exhaust_t").map(|likely| {
                let of = |name: &str| event.get("exhaust")?.get(name)?.as_f64();
                [of("earliest").unwrap_or(likely), likely, of("latest").unwrap_or(likely)]
            });
            let what = match event.get("event")?.as_str()? {
                "leak" => What::Leak { scope, end },
                "growing" => What::Growing { scope, end },
                "order" => What::Order,
                _ => return None,
            };
            Some(Said { t: number("t")?, id, what })
        };
        self.said = lines.lines().filter_map(said).collect();
    }

    /// The score of what was said, given the truth.
    pub(crate) fn score(self, name: &str, truth: &Truth) -> Case {
        let Self { grace_s, end_t, said, subtrees, .. } = self;
        score(name, truth, grace_s, end_t, &said, &subtrees)
    }
}

/// How one recording was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Case {
    pub name: String,
    pub kind: String,
    /// Processes that leak.
    pub leaking: usize,
    /// Of those, how many were named at the right time.
    pub named: usize,
    /// Whether any verdict was right, on a process or on a tree with a leak in it.
    pub found: bool,
    /// Processes and trees named wrongly or too early.
    pub false_alarms: usize,
    /// The first right verdict, as a share of the way from the leak's begin to the end of memory.
    pub delay: Option<f64>,
    /// Error of the forecast at the first right verdict and half-way, over the time that was left.
    pub error_first: Option<f64>,
    pub error_half: Option<f64>,
    /// For each forecast on a leaking process, whether its interval holds the end of memory.
    pub covered: Vec<bool>,
    /// Processes ordered to end that do not leak, and that did not leak yet.
    pub ended_healthy: usize,
    pub ended_early: usize,
    /// Of a recording in which memory runs out: whether it was said to grow or leak, with a forecast,
    /// before 15 % of the way.
    pub warned: Option<bool>,
    /// Orders that were regretted.
    pub regretted: usize,
    /// Memory ran out within the recording; whether a leaking process was ordered to end before.
    pub in_time: Option<bool>,
}

impl Case {
    /// The name without its number.
    pub(crate) fn family(&self) -> &str {
        let bare = self.name.trim_end_matches(|c: char| c.is_ascii_digit());
        match bare.strip_suffix('-') {
            Some(family) if bare.len() < self.name.len() => family,
            _ => &self.name,
        }
    }
}

fn score(
    name: &str,
    truth: &Truth,
    grace_s: f64,
    end_t: f64,
    said: &[Said],
    subtrees: &HashSet<(ProcId, ProcId)>,
) -> Case {
    let from: HashMap<ProcId, f64> = truth
        .leaking
        .iter()
        .map(|&Leaking { pid, start, from_t }| (ProcId { pid, start }, from_t))
        .collect();
    let above = trees(&from, subtrees);
    let leaks = |id: &ProcId, t: f64| from.get(id).is_some_and(|from_t| t >= from_t - grace_s);
    let tree_leaks =
        |id: &ProcId, t: f64| above.get(id).is_some_and(|below| below.iter().any(|q| leaks(q, t)));

    let (mut named, mut wrong) = (HashSet::new(), HashSet::new());
    let mut right: Vec<(f64, Option<[f64; 3]>)> = Vec::new();
    let (mut covered, mut regretted) = (Vec::new(), 0);
    let (mut healthy, mut early, mut ended) = (HashSet::new(), HashSet::new(), Vec::new());
    for &Said { t, id, what } in said {
        match what {
            What::Leak { scope: FindingScope::Process, end } if leaks(&id, t) => {
                named.insert(id);
                right.push((t, end));
            }
            What::Leak { scope: FindingScope::Tree, end } if tree_leaks(&id, t) => {
                right.push((t, end))
            }
            What::Leak { .. } => drop(wrong.insert(id)),
            What::Growing { .. } => {}
            What::Regretted => regretted += 1,
            What::Order if leaks(&id, t) => ended.push(t),
            What::Order if from.contains_key(&id) => drop(early.insert(id)),
            What::Order => drop(healthy.insert(id)),
        }
        if let (What::Leak { end: Some([earliest, _, latest]), .. }, Some(exhaust_t)) =
            (what, truth.exhaust_t)
            && leaks(&id, t)
            && t < exhaust_t
            && earliest < latest
        {
            covered.push((earliest..=latest).contains(&exhaust_t));
        }
    }
    let mut case = Case {
        name: name.to_owned(),
        kind: truth.kind.clone(),
        leaking: from.len(),
        named: named.len(),
        found: !right.is_empty(),
        false_alarms: wrong.len(),
        covered,
        ended_healthy: healthy.len(),
        ended_early: early.len(),
        regretted,
        ..Case::default()
    };
    if from.is_empty() {
        return case;
    }
    let begin_t = from.values().copied().fold(f64::INFINITY, f64::min);
    let way = |t: f64| (t - begin_t) / (truth.exhaust_t.unwrap_or(end_t) - begin_t).max(1e-9);
    case.delay = right.first().map(|(t, _)| way(*t).clamp(0.0, 1.0));
    if let Some(exhaust_t) = truth.exhaust_t {
        case.warned = Some(said.iter().any(|&Said { t, id, what }| match what {
            What::Leak { scope, end: Some(_) } | What::Growing { scope, end: Some(_) } => {
                let is_right = match scope {
                    FindingScope::Process => leaks(&id, t),
                    FindingScope::Tree => tree_leaks(&id, t),
                };
                is_right && way(t) <= WARNED
            }
            _ => false,
        }));
        let told = || right.iter().filter_map(|(t, end)| Some((*t, (*end)?[1])));
        let error = |(t, likely): (f64, f64)| {
            Some((likely - exhaust_t).abs() / (exhaust_t - t)).filter(|_| t < exhaust_t)
        };
        case.error_first = told().next().and_then(error);
        let half_t = f64::midpoint(begin_t, exhaust_t);
        let last = told().take_while(|(t, _)| *t <= half_t).last();
        case.error_half =
            last.filter(|_| half_t <= end_t).and_then(|(_, likely)| error((half_t, likely)));
        case.in_time = (exhaust_t <= end_t + 1.0).then(|| ended.iter().any(|t| *t < exhaust_t));
    }
    case
}

/// Of every process that leaks and every ancestor it ever had: the leaking ones at or below it.
fn trees(
    from: &HashMap<ProcId, f64>,
    subtrees: &HashSet<(ProcId, ProcId)>,
) -> HashMap<ProcId, Vec<ProcId>> {
    let mut parents: HashMap<ProcId, Vec<ProcId>> = HashMap::new();
    for (child, parent) in subtrees {
        parents.entry(*child).or_default().push(*parent);
    }
    let mut above: HashMap<ProcId, Vec<ProcId>> = HashMap::new();
    for leaking in from.keys() {
        let (mut seen, mut todo) = (HashSet::from([*leaking]), vec![*leaking]);
        while let Some(id) = todo.pop() {
            above.entry(id).or_default().push(*leaking);
            for parent in parents.get(&id).into_iter().flatten() {
                if seen.insert(*parent) {
                    todo.push(*parent);
                }
            }
        }
    }
    above
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::figures::Figures;

    const ROOT: ProcId = ProcId { pid: 1, start: 1 };
    const LEAKY: ProcId = ProcId { pid: 2, start: 2 };
    const WELL: ProcId = ProcId { pid: 3, start: 3 };

    /// LEAKY, a child of ROOT, leaks from 100 on; memory ends at 300; the recording at 400.
    fn judged(said: &[Said]) -> Case {
        let leaking = vec![Leaking { pid: 2, start: 2, from_t: 100.0 }];
        let truth = Truth { kind: "synthetic".to_owned(), leaking, exhaust_t: Some(300.0) };
        let subtrees = HashSet::from([(LEAKY, ROOT), (WELL, ROOT)]);
        score("leak-01", &truth, 2.0, 400.0, said, &subtrees)
    }

    fn leak(t: f64, id: ProcId, scope: FindingScope, likely: f64) -> Said {
        let end = Some([likely - 20.0, likely, likely + 20.0]);
        Said { t, id, what: What::Leak { scope, end } }
    }

    fn order(t: f64, id: ProcId) -> Said {
        Said { t, id, what: What::Order }
    }

    #[test]
    fn a_verdict_within_the_grace_is_right_and_one_before_it_a_false_alarm() {
        let right = judged(&[leak(98.0, LEAKY, FindingScope::Process, 300.0)]);
        assert_eq!((right.found, right.named, right.false_alarms), (true, 1, 0));
        assert_eq!(right.delay, Some(0.0));
        let early = judged(&[leak(97.9, LEAKY, FindingScope::Process, 300.0)]);
        assert_eq!((early.found, early.named, early.false_alarms), (false, 0, 1));
    }

    #[test]
    fn a_process_is_counted_once_however_often_it_is_named() {
        let twice = |id| [120.0, 140.0].map(|t| leak(t, id, FindingScope::Process, 300.0));
        assert_eq!(judged(&twice(WELL)).false_alarms, 1);
        assert_eq!(judged(&twice(LEAKY)).named, 1);
    }

    #[test]
    fn a_tree_is_right_where_a_leak_is_in_it() {
        let case = judged(&[leak(150.0, ROOT, FindingScope::Tree, 300.0)]);
        assert_eq!((case.found, case.named, case.false_alarms), (true, 0, 0));
        assert_eq!(Figures::of([&case]).precision, Some(1.0));
        assert_eq!(judged(&[leak(150.0, WELL, FindingScope::Tree, 300.0)]).false_alarms, 1);
        assert_eq!(judged(&[leak(150.0, ROOT, FindingScope::Process, 300.0)]).false_alarms, 1);
    }

    #[test]
    fn delay_and_errors_are_shares_of_the_way() {
        let case = judged(&[
            leak(150.0, LEAKY, FindingScope::Process, 330.0),
            leak(180.0, LEAKY, FindingScope::Process, 310.0),
            leak(250.0, LEAKY, FindingScope::Process, 300.0),
        ]);
        assert_eq!(case.delay, Some(0.25));
        assert_eq!((case.error_first, case.error_half), (Some(0.2), Some(0.1)));
        assert_eq!(case.covered, [false, true, true]);
        let figures = Figures::of([&case]);
        assert_eq!((figures.covered_first, figures.covered), (Some(0.0), Some(2.0 / 3.0)));
    }

    #[test]
    fn an_order_is_in_time_on_a_leaking_process_before_memory_ends() {
        let of = |said: &[Said]| {
            let case = judged(said);
            (case.ended_healthy, case.ended_early, case.in_time)
        };
        assert_eq!(of(&[]), (0, 0, Some(false)));
        assert_eq!(of(&[order(299.0, LEAKY), order(320.0, LEAKY)]), (0, 0, Some(true)));
        assert_eq!(of(&[order(300.0, LEAKY)]), (0, 0, Some(false)));
        assert_eq!(of(&[order(90.0, LEAKY), order(95.0, LEAKY)]), (0, 1, Some(false)));
        assert_eq!(of(&[order(200.0, WELL)]), (1, 0, Some(false)));
    }

    #[test]
    fn figures_are_taken_over_cases() {
        let case = |leaking, named, false_alarms| Case {
            leaking,
            named,
            found: named > 0,
            false_alarms,
            ..Case::default()
        };
        let cases = [case(1, 1, 0), case(4, 2, 1), case(1, 0, 0), case(0, 0, 0), case(0, 0, 3)];
        let figures = Figures::of(&cases);
        assert_eq!((figures.cases, figures.leaking), (5, 3));
        assert_eq!(figures.recall, Some(2.0 / 3.0));
        assert_eq!(figures.recall_process, Some(0.5));
        assert_eq!(figures.precision, Some(3.0 / 7.0));
        assert_eq!(figures.healthy_alarmed, Some(0.5));
        // Case precision and recall are both 2/3.
        assert!((figures.f1.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Figures::of([]), Figures::default());
    }

    #[test]
    fn a_family_is_a_name_without_its_number() {
        for (name, family) in [("late-07", "late"), ("apache-leak", "apache-leak"), ("x9", "x9")] {
            let case = Case { name: name.to_owned(), ..Case::default() };
            assert_eq!(case.family(), family);
        }
    }
}
