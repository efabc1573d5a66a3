//! Judge: the request that explains most of the growth, and how sure that is.

use super::least_squares::Sums;
use super::ledger::{Ledger, Row};
use super::{Answer, Confidence, Culprit, NotYet};
use std::collections::BTreeMap;

/// Rows and requests of one kind at least.
const LEAST_ROWS: usize = 12;
const LEAST_HITS: u64 = 20;
/// Growth of all workers below this is none.
const LEAST_GROWTH: f64 = 1024.0 * 1024.0;
/// Requests with a coefficient of their own, and rows for each at least; the others share one.
const MOST_COLUMNS: usize = 24;
const ROWS_A_COLUMN: usize = 3;
/// A row this many times as far from what is explained as the usual one had a request's buffers in it.
const OUTLIER: f64 = 8.0;
/// The median of distances to a normal distribution's standard deviation.
const MEDIAN_TO_SIGMA: f64 = 1.4826;
/// Systems that are drawn, from blocks of so many rows: neighbours share the look between them.
const DRAWN: usize = 200;
const BLOCK: usize = 3;
/// Of 200 ordered ones, those that 2.5 % are below and above.
const TAILS: (usize, usize) = (5, 194);

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

/// The rows as a system of equations.
struct System<'r> {
    rows: Vec<&'r Row>,
    /// The column of each request that has one.
    columns: BTreeMap<usize, usize>,
    /// A request whose later half has a column of its own: its column, and per row the later share.
    late: Option<(usize, Vec<f64>)>,
}

impl System<'_> {
    /// Columns of requests, one of all others, one of time; and one of the later half.
    fn width(&self) -> usize {
        self.columns.len() + 2 + usize::from(self.late.is_some())
    }

    fn equation(&self, nth: usize, row: &Row) -> (Vec<f64>, f64) {
        let mut x = vec![0.0; self.width()];
        let (others, time) = (self.columns.len(), self.columns.len() + 1);
        for (request, count) in &row.served {
            let column = self.columns.get(request).copied().unwrap_or(others);
            if let Some(x) = x.get_mut(column) {
                *x += f64::from(*count);
            }
        }
        if let Some(x) = x.get_mut(time) {
            *x = row.seconds;
        }
        if let Some((column, late)) = &self.late {
            let late = late.get(nth).copied().unwrap_or(0.0);
            let all = x.get(*column).copied().unwrap_or(0.0);
            if let Some(x) = x.get_mut(*column) {
                *x = all * (1.0 - late);
            }
            if let Some(x) = x.last_mut() {
                *x = all * late;
            }
        }
        // A longer time has more noise.
        let weight = row.seconds.sqrt().recip();
        x.iter_mut().for_each(|x| *x *= weight);
        (x, row.growth * weight)
    }

    /// What the later half of a request's hits on each worker kept, by what the earlier half did; and the
    /// lower bound of this.
    fn going_on(&mut self, most: &Carrier) -> (f64, f64) {
        self.late = Some((most.column, late(&self.rows, most.request)));
        let ratio = |solution: &[f64]| {
            let (early, late) = (at(solution, most.column), at(solution, self.width() - 1));
            late / early.max(f64::MIN_POSITIVE)
        };
        let point = ratio(&self.sums().solve_unbounded());
        let drawn = draw(&self.blocks());
        (point, interval(drawn.iter().map(|(solution, _)| ratio(solution))).0)
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::new(self.width());
        for (nth, row) in self.rows.iter().enumerate() {
            let (x, y) = self.equation(nth, row);
            sums.row(&x, y);
        }
        sums
    }

    /// The sums of blocks of neighbouring rows of one worker.
    fn blocks(&self) -> Vec<(Sums, f64)> {
        let mut blocks: Vec<(Sums, f64)> = Vec::new();
        let mut before: Option<(usize, usize)> = None;
        for (nth, row) in self.rows.iter().enumerate() {
            let (worker, place) = match before {
                Some((worker, place)) if worker == row.worker && place + 1 < BLOCK => {
                    (worker, place + 1)
                }
                _ => (row.worker, 0),
            };
            if place == 0 {
                blocks.push((Sums::new(self.width()), 0.0));
            }
            before = Some((worker, place));
            let (x, y) = self.equation(nth, row);
            if let Some((sums, growth)) = blocks.last_mut() {
                sums.row(&x, y);
                *growth += row.growth;
            }
        }
        blocks
    }

    /// The rows without those that are far from what is explained.
    fn without_outliers(&mut self) {
        let solution = self.sums().solve(&[]);
        let distances: Vec<f64> = self
            .rows
            .iter()
            .enumerate()
            .map(|(nth, row)| {
                let (x, y) = self.equation(nth, row);
                (y - x.iter().zip(&solution).map(|(x, b)| x * b).sum::<f64>()).abs()
            })
            .collect();
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let far = OUTLIER * MEDIAN_TO_SIGMA * median;
        let mut distances = distances.iter();
        self.rows.retain(|_| distances.next().is_none_or(|distance| *distance <= far));
    }
}

/// Who leaks.
pub(super) fn judge(rows: &[Row], names: &[String]) -> Answer {
    if rows.len() < LEAST_ROWS {
        return Answer::NotYet(NotYet::TooLittle);
    }
    let mut system = System { rows: rows.iter().collect(), columns: columns(rows), late: None };
    system.without_outliers();
    let growth: f64 = system.rows.iter().map(|row| row.growth).sum();
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
    let Some(most) = most.filter(|most| most.carries() > growth / 2.0) else {
        return Answer::NotYet(NotYet::NoOne);
    };
    if most.hits < LEAST_HITS {
        return Answer::NotYet(NotYet::TooLittle);
    }
    let most = Carrier { bytes: at(&sums.solve_unbounded(), most.column), ..most };
    let apart = apart(&sums, &solution, most.column, system.rows.len());
    let drawn = draw(&system.blocks());
    let bytes = interval(drawn.iter().map(|(solution, _)| at(solution, most.column)));
    let shares = interval(drawn.iter().map(|(solution, growth)| {
        at(solution, most.column) * most.hits as f64 / growth.max(LEAST_GROWTH / 2.0)
    }));
    let going_on = system.going_on(&most);
    let is_flat =
        |needed: &Needed| going_on.0 < needed.going_on.0 || going_on.1 < needed.going_on.1;
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
        _ if is_apart(&LIKELY) => Answer::NotYet(NotYet::Flattens),
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

/// For each row the share of a request's hits that belong to the later half of its worker's.
fn late(rows: &[&Row], request: usize) -> Vec<f64> {
    let count = |row: &Row| f64::from(row.served.get(&request).copied().unwrap_or(0));
    let mut all: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for row in rows {
        all.entry(row.worker).or_default().0 += count(row);
    }
    let share = |row: &&Row| {
        let (all, seen) = all.entry(row.worker).or_default();
        let count = count(row);
        let early = (*all / 2.0 - *seen).clamp(0.0, count);
        *seen += count;
        if count > 0.0 { 1.0 - early / count } else { 0.0 }
    };
    rows.iter().map(share).collect()
}

/// How often each request was served.
fn hits<'r>(rows: impl Iterator<Item = &'r Row>) -> BTreeMap<usize, u64> {
    let mut hits = BTreeMap::new();
    for (request, count) in rows.flat_map(|row| &row.served) {
        *hits.entry(*request).or_default() += u64::from(*count);
    }
    hits
}

/// Columns of their own for the most frequent requests.
fn columns(rows: &[Row]) -> BTreeMap<usize, usize> {
    let hits = hits(rows.iter());
    let mut most: Vec<_> = hits.into_iter().filter(|(r, _)| *r != Ledger::OTHER).collect();
    most.sort_by_key(|(request, hits)| (std::cmp::Reverse(*hits), *request));
    most.truncate(MOST_COLUMNS.min(rows.len() / ROWS_A_COLUMN));
    most.iter().enumerate().map(|(column, (request, _))| (*request, column)).collect()
}

/// How much worse the growth is explained without a column, in standard deviations of its coefficient.
fn apart(sums: &Sums, solution: &[f64], column: usize, rows: usize) -> f64 {
    let free = rows.saturating_sub(solution.iter().filter(|b| **b > 0.0).count()).max(1);
    let with = sums.unexplained(solution);
    let without = sums.unexplained(&sums.solve(&[column]));
    let variance = (with / free as f64).max(f64::MIN_POSITIVE);
    ((without - with).max(0.0) / variance).sqrt()
}

/// Solutions of systems of as many blocks, drawn with replacement, each with its growth. The draw is the
/// same each time.
fn draw(blocks: &[(Sums, f64)]) -> Vec<(Vec<f64>, f64)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % blocks.len().max(1)
    };
    let Some((first, _)) = blocks.first() else { return Vec::new() };
    let mut system = || {
        let (mut sums, mut growth) = (first.emptied(), 0.0);
        for (block, grown) in (0..blocks.len()).filter_map(|_| blocks.get(next())) {
            sums.add(block);
            growth += grown;
        }
        (sums.solve_unbounded(), growth)
    };
    (0..DRAWN).map(|_| system()).collect()
}

/// What 95 of 100 values are between.
fn interval(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |nth: usize| values.get(nth).copied().unwrap_or(0.0);
    (at(TAILS.0), at(TAILS.1))
}
