//! Judge: the request that explains most of the growth, and how sure that is.

use super::least_squares::Sums;
use super::system::{Row, System, hits};
use super::{Answer, Confidence, Culprit, NotYet};

/// Rows and requests of one kind at least.
const LEAST_ROWS: usize = 12;
const LEAST_HITS: u64 = 20;
/// Growth of all workers below this is none.
const LEAST_GROWTH: f64 = 1024.0 * 1024.0;
/// Of 200 ordered ones, those that half a percent are below and above. What 95 % of the draws are between held
/// the truth in 90 % of services only.
const TAILS: (usize, usize) = (1, 198);

/// What a sure and a likely answer need, each.
struct Needed {
    /// How much worse all others explain the growth, in standard deviations of its coefficient.
    apart: f64,
    /// The lower bound of its share.
    share: f64,
    /// Half of the interval, by what it is around.
    width: f64,
    /// What its later half of requests kept, by what its earlier half did; and the lower bound of this.
    going_on: (f64, f64),
}

const SURE: Needed = Needed { apart: 5.0, share: 0.55, width: 0.17, going_on: (0.8, 0.55) };
const LIKELY: Needed = Needed { apart: 3.5, share: 0.5, width: 0.6, going_on: (0.7, 0.35) };

/// Who leaks.
pub(super) fn judge(rows: &[Row], names: &[String]) -> Answer {
    if rows.len() < LEAST_ROWS {
        return Answer::NotYet(NotYet::TooLittle);
    }
    let mut system = System::of(rows);
    let left_out = system.leave_out_outliers().max(0.0);
    let growth = left_out + system.rows.iter().map(|row| row.growth).sum::<f64>();
    if growth < LEAST_GROWTH {
        return Answer::NotYet(NotYet::NoGrowth);
    }
    let hits = hits(system.rows.iter().copied());
    let sums = system.sums();
    let solution = sums.solve(&[]);
    let carries = |(request, column): (&usize, &usize)| {
        let hits = hits.get(request).copied().unwrap_or(0);
        let bytes = solution.get(*column).copied().unwrap_or(0.0);
        Carrier { request: *request, column: *column, hits, bytes }
    };
    let all = system.columns.iter().map(carries);
    let most = all.max_by(|a, b| a.carries().total_cmp(&b.carries()));
    system.leave_out_idle(&solution, growth);
    let unbounded = system.sums().solve_unbounded();
    let most = most.map(|most| Carrier { bytes: at(&unbounded, most.column), ..most });
    let Some(most) = most.filter(|most| most.carries() > growth / 2.0) else {
        return Answer::NotYet(NotYet::NoOne);
    };
    if most.hits < LEAST_HITS {
        return Answer::NotYet(NotYet::TooLittle);
    }
    let apart = apart(&sums, &solution, most.column, system.rows.len());
    let drawn = system.drawn();
    let bytes = interval(drawn.iter().map(|(solution, _)| at(solution, most.column)));
    let shares = interval(drawn.iter().map(|(solution, growth)| {
        at(solution, most.column) * most.hits as f64 / (growth + left_out).max(LEAST_GROWTH / 2.0)
    }));
    let going_on = going_on(&mut system, &most);
    let is_flat =
        |needed: &Needed| going_on.point < needed.going_on.0 || going_on.low < needed.going_on.1;
    let is_apart = |needed: &Needed| {
        let is_narrow = bytes.1 - bytes.0 <= 2.0 * needed.width * most.bytes;
        apart >= needed.apart && bytes.0 > 0.0 && shares.0 > needed.share && is_narrow
    };
    let confidence = [(SURE, Confidence::Sure), (LIKELY, Confidence::Likely)]
        .into_iter()
        .find(|(needed, _)| is_apart(needed) && !is_flat(needed));
    match (confidence, names.get(most.request)) {
        (Some((_, confidence)), Some(name)) => Answer::Named(Culprit {
            request: name.clone(),
            bytes: most.bytes,
            between: (bytes.0.min(most.bytes), bytes.1.max(most.bytes)),
            share: (most.carries() / growth).min(1.0),
            hits: most.hits,
            confidence,
        }),
        _ if is_apart(&LIKELY) && going_on.high < 1.0 => Answer::NotYet(NotYet::Flattens),
        // The interval is too wide to tell.
        _ if is_apart(&LIKELY) => Answer::NotYet(NotYet::TooLittle),
        _ => Answer::NotYet(NotYet::NotApart),
    }
}

/// A request that explains growth.
struct Carrier {
    request: usize,
    column: usize,
    hits: u64,
    /// Bytes each time.
    bytes: f64,
}

impl Carrier {
    fn carries(&self) -> f64 {
        self.bytes * self.hits as f64
    }
}

fn at(solution: &[f64], column: usize) -> f64 {
    solution.get(column).copied().unwrap_or(0.0)
}

/// What the later half of a request's hits on each worker kept, by what the earlier half did.
struct GoingOn {
    point: f64,
    low: f64,
    high: f64,
}

fn going_on(system: &mut System<'_>, most: &Carrier) -> GoingOn {
    let later = system.split(most.request, most.column);
    let ratio =
        |solution: &[f64]| at(solution, later) / at(solution, most.column).max(f64::MIN_POSITIVE);
    let point = ratio(&system.sums().solve_unbounded());
    let (low, high) = interval(system.drawn().iter().map(|(solution, _)| ratio(solution)));
    GoingOn { point, low, high }
}

/// How much worse the growth is explained without a column, in standard deviations of its coefficient.
fn apart(sums: &Sums, solution: &[f64], column: usize, rows: usize) -> f64 {
    let free = rows.saturating_sub(solution.iter().filter(|b| **b > 0.0).count()).max(1);
    let with = sums.unexplained(solution);
    let without = sums.unexplained(&sums.solve(&[column]));
    let variance = (with / free as f64).max(f64::MIN_POSITIVE);
    ((without - with).max(0.0) / variance).sqrt()
}

/// What nearly all values are between.
fn interval(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |nth: usize| values.get(nth).copied().unwrap_or(0.0);
    (at(TAILS.0), at(TAILS.1))
}
