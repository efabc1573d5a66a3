//! System: what workers served between looks and how they grew, as equations.

use super::least_squares::Sums;
use std::collections::BTreeMap;

/// Requests with a coefficient of their own, and rows for each at least; the others share one.
const MOST_COLUMNS: usize = 24;
const ROWS_A_COLUMN: usize = 3;
/// Parts of the time, each with a growth of its own: while caches fill there are more requests of all kinds,
/// if by chance, and in one part for all the leaking one of Apache's was found 15 % too large.
const PARTS: usize = 4;
/// Requests that carry less than this share of the growth are not told apart from time.
const IDLE: f64 = 0.05;
/// A row this many times as far from what is explained as the usual one had a request's buffers in it.
const OUTLIER: f64 = 8.0;
/// A row that is this near is none, in bytes.
const NEAR: f64 = 16.0 * 1024.0;
/// The median of distances to a normal distribution's standard deviation.
const MEDIAN_TO_SIGMA: f64 = 1.4826;
/// Systems that are drawn, from blocks of so many rows: neighbours share the look between them.
const DRAWN: usize = 200;
const BLOCK: usize = 3;
/// The number of all requests that have none of their own.
pub(super) const OTHER: usize = usize::MAX;

/// What a worker served in some time, and how much more it then had in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Its worker, numbered.
    pub(super) worker: usize,
    /// When it began, and its seconds.
    pub(super) t: f64,
    pub(super) seconds: f64,
    /// Bytes more in use.
    pub(super) growth: f64,
    /// How often each request was served; a request beyond the bound has the last number.
    pub(super) served: BTreeMap<usize, u32>,
}

/// The rows as a system of equations.
pub(super) struct System<'r> {
    pub(super) rows: Vec<&'r Row>,
    /// The column of each request that has one.
    pub(super) columns: BTreeMap<usize, usize>,
    /// Columns of requests that explain next to nothing.
    idle: Vec<usize>,
    /// A request whose later half has a column of its own: its column, and per row the later share.
    late: Option<(usize, Vec<f64>)>,
    /// When the first row began, and the seconds of a part of the time.
    time: (f64, f64),
}

impl<'r> System<'r> {
    pub(super) fn of(rows: &'r [Row]) -> Self {
        let first = rows.iter().map(|row| row.t).fold(f64::INFINITY, f64::min);
        let last = rows.iter().map(|row| row.t + row.seconds).fold(0.0, f64::max);
        let time = (first, ((last - first) / PARTS as f64).max(f64::MIN_POSITIVE));
        Self {
            rows: rows.iter().collect(),
            columns: columns(rows),
            idle: Vec::new(),
            late: None,
            time,
        }
    }

    /// Columns of requests, one of all others, those of time; and one of the later half.
    fn width(&self) -> usize {
        self.columns.len() + 1 + PARTS + usize::from(self.late.is_some())
    }

    /// The column of a row's part of the time.
    fn part(&self, row: &Row) -> usize {
        let (first, part_s) = self.time;
        let part = ((row.t + row.seconds / 2.0 - first) / part_s) as usize;
        self.columns.len() + 1 + part.min(PARTS - 1)
    }

    fn equation(&self, nth: usize, row: &Row) -> (Vec<f64>, f64) {
        let mut x = vec![0.0; self.width()];
        let (others, part) = (self.columns.len(), self.part(row));
        for (request, count) in &row.served {
            let column = self.columns.get(request).copied().unwrap_or(others);
            if let Some(x) = x.get_mut(column) {
                *x += f64::from(*count);
            }
        }
        for column in &self.idle {
            if let Some(x) = x.get_mut(*column) {
                *x = 0.0;
            }
        }
        if let Some(x) = x.get_mut(part) {
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

    /// Leaves out the columns of requests that by this solution carry less than a share of the growth.
    ///
    /// Where workers take turns, as php-fpm's do, each serves as many requests as another in the same time, and
    /// all requests together are time itself: without a bound nothing tells whether all keep memory, or time
    /// does. Of 17 KiB a request 35 were found so, and in two seeds of ten nothing could be told.
    pub(super) fn leave_out_idle(&mut self, solution: &[f64], growth: f64) {
        let mut carried = vec![0.0; self.columns.len() + 1];
        let others = self.columns.len();
        for (request, hits) in hits(self.rows.iter().copied()) {
            let column = self.columns.get(&request).copied().unwrap_or(others);
            if let (Some(sum), Some(bytes)) = (carried.get_mut(column), solution.get(column)) {
                *sum += bytes * hits as f64;
            }
        }
        let idle = carried.iter().enumerate().filter(|(_, sum)| **sum < IDLE * growth);
        self.idle = idle.map(|(column, _)| column).collect();
    }

    /// Gives the later half of a request's hits on each worker a column of its own, the last, whose number
    /// it says.
    pub(super) fn split(&mut self, request: usize, column: usize) -> usize {
        self.late = Some((column, late(&self.rows, request)));
        self.width() - 1
    }

    pub(super) fn sums(&self) -> Sums {
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

    /// The solutions of systems that are drawn from its blocks, each with its growth.
    pub(super) fn drawn(&self) -> Vec<(Vec<f64>, f64)> {
        draw(&self.blocks())
    }

    /// Leaves out rows that are far from what is explained. What grew in them, unless they are their
    /// worker's last: whether that lasts is not known.
    pub(super) fn leave_out_outliers(&mut self) -> f64 {
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
        let far = (OUTLIER * MEDIAN_TO_SIGMA * median).max(NEAR);
        let mut growth = 0.0;
        let all = std::mem::take(&mut self.rows);
        for (nth, (row, distance)) in all.iter().zip(distances).enumerate() {
            let is_last = all.get(nth + 1).is_none_or(|next| next.worker != row.worker);
            match distance <= far {
                true => self.rows.push(row),
                false if is_last => {}
                false => growth += row.growth,
            }
        }
        growth
    }
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
pub(super) fn hits<'r>(rows: impl Iterator<Item = &'r Row>) -> BTreeMap<usize, u64> {
    let mut hits = BTreeMap::new();
    for (request, count) in rows.flat_map(|row| &row.served) {
        *hits.entry(*request).or_default() += u64::from(*count);
    }
    hits
}

/// Columns of their own for the most frequent requests.
fn columns(rows: &[Row]) -> BTreeMap<usize, usize> {
    let hits = hits(rows.iter());
    let mut most: Vec<_> = hits.into_iter().filter(|(r, _)| *r != OTHER).collect();
    most.sort_by_key(|(request, hits)| (std::cmp::Reverse(*hits), *request));
    most.truncate(MOST_COLUMNS.min(rows.len() / ROWS_A_COLUMN));
    most.iter().enumerate().map(|(column, (request, _))| (*request, column)).collect()
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
