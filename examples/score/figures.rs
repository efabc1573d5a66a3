//! The figures of many recordings.

use crate::rules::Case;

/// The figures of many recordings; absent where there is nothing to divide by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub cases: usize,
    pub leaking: usize,
    pub recall: Option<f64>,
    pub recall_process: Option<f64>,
    pub precision: Option<f64>,
    pub f1: Option<f64>,
    pub healthy_alarmed: Option<f64>,
    pub delay: Option<f64>,
    pub error_first: Option<f64>,
    pub error_half: Option<f64>,
    pub covered_first: Option<f64>,
    pub covered: Option<f64>,
    pub warned: Option<f64>,
    pub ended_healthy: usize,
    pub ended_early: usize,
    pub regretted: usize,
    pub in_time: usize,
    pub exhausted: usize,
}

impl Figures {
    pub(crate) fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let cases: Vec<&Case> = cases.into_iter().collect();
        let (leaky, healthy): (Vec<&Case>, Vec<&Case>) =
            cases.iter().copied().partition(|case| case.leaking > 0);
        let count =
            |cases: &[&Case], is: fn(&Case) -> bool| cases.iter().filter(|case| is(case)).count();
        let found = count(&leaky, |case| case.found);
        let alarmed = count(&healthy, |case| case.false_alarms > 0);
        // A verdict on a tree alone names no process; the case counts as one that is right.
        let right: usize = leaky.iter().map(|case| case.named.max(usize::from(case.found))).sum();
        let wrong: usize = cases.iter().map(|case| case.false_alarms).sum();
        let recall = ratio(found, leaky.len());
        let by_case = ratio(found, found + alarmed);
        let covered: Vec<bool> = leaky.iter().flat_map(|case| &case.covered).copied().collect();
        let first: Vec<bool> =
            leaky.iter().filter_map(|case| case.covered.first()).copied().collect();
        let share = |of: &[bool]| ratio(of.iter().filter(|is| **is).count(), of.len());
        let mean_named: f64 =
            leaky.iter().map(|case| case.named as f64 / case.leaking as f64).sum();
        Self {
            cases: cases.len(),
            leaking: leaky.len(),
            recall,
            recall_process: (!leaky.is_empty()).then(|| mean_named / leaky.len() as f64),
            precision: ratio(right, right + wrong),
            f1: by_case.zip(recall).map(|(p, r)| 2.0 * p * r / (p + r).max(1e-9)),
            healthy_alarmed: ratio(alarmed, healthy.len()),
            delay: median(leaky.iter().filter_map(|case| case.delay)),
            error_first: median(leaky.iter().filter_map(|case| case.error_first)),
            error_half: median(leaky.iter().filter_map(|case| case.error_half)),
            covered_first: share(&first),
            covered: share(&covered),
            warned: share(&leaky.iter().filter_map(|case| case.warned).collect::<Vec<_>>()),
            ended_healthy: cases.iter().map(|case| case.ended_healthy).sum(),
            ended_early: cases.iter().map(|case| case.ended_early).sum(),
            regretted: cases.iter().map(|case| case.regretted).sum(),
            in_time: count(&leaky, |case| case.in_time == Some(true)),
            exhausted: count(&leaky, |case| case.in_time.is_some()),
        }
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}
