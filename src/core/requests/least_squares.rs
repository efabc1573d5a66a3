//! Least squares without negative coefficients: memory is not given back by being asked for.
//!
//! By coordinate descent on the normal equations: at most 30 columns, of which a resampled system costs
//! tens of microseconds. The one crate for it (nnls 0.5) wants the rows as ndarray's matrices, each time anew;
//! here sums of rows are added up once a block and put together 200 times.

/// Rounds over all columns: those that are alike are told apart slowly, and then the answer is "not yet".
const ROUNDS: usize = 400;
/// A round that changes no coefficient by more than this share of the largest is the last.
const CLOSE: f64 = 1e-7;
/// Of a column that is made up of others no less than this share counts as its own.
const ALIKE: f64 = 1e-9;

/// The normal equations of rows, of which some may be added many times.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    columns: usize,
    /// Products of columns, row by row of the square.
    products: Vec<f64>,
    /// Products of columns with what is explained.
    with_y: Vec<f64>,
    /// Sum of the squares of what is explained.
    pub(super) yy: f64,
}

impl Sums {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            products: vec![0.0; columns * columns],
            with_y: vec![0.0; columns],
            yy: 0.0,
        }
    }

    /// One of as many columns, without rows.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.columns)
    }

    /// Adds a row.
    pub(super) fn row(&mut self, x: &[f64], y: f64) {
        for ((a, line), sum) in
            x.iter().zip(self.products.chunks_exact_mut(self.columns.max(1))).zip(&mut self.with_y)
        {
            if *a != 0.0 {
                line.iter_mut().zip(x).for_each(|(product, b)| *product += a * b);
                *sum += a * y;
            }
        }
        self.yy += y * y;
    }

    /// Adds the rows of another, of as many columns.
    pub(super) fn add(&mut self, other: &Self) {
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
        self.with_y.iter_mut().zip(&other.with_y).for_each(|(a, b)| *a += b);
        self.yy += other.yy;
    }

    /// The coefficients that explain most, none below nothing; a column of `without` has none.
    pub(super) fn solve(&self, without: &[usize]) -> Vec<f64> {
        let mut solution = vec![0.0_f64; self.columns];
        for _ in 0..ROUNDS {
            let (mut change, mut largest) = (0.0_f64, 0.0_f64);
            let lines = self.products.chunks_exact(self.columns.max(1)).zip(&self.with_y);
            for (nth, (line, with_y)) in lines.enumerate() {
                let own = line.get(nth).copied().unwrap_or(0.0);
                if own <= 0.0 || without.contains(&nth) {
                    continue;
                }
                let explained: f64 = line.iter().zip(&solution).map(|(a, b)| a * b).sum();
                let Some(at) = solution.get_mut(nth) else { continue };
                let next = (*at + (with_y - explained) / own).max(0.0);
                // In units of what it explains, so that seconds and requests count alike.
                change = change.max((next - *at).abs() * own.sqrt());
                largest = largest.max(next * own.sqrt());
                *at = next;
            }
            if change <= CLOSE * largest {
                break;
            }
        }
        solution
    }

    /// The same without a bound, by Cholesky's decomposition. In the bounded ones chance can only add, which
    /// takes 3 to 5 % from the one that matters; these have no such bias.
    pub(super) fn solve_unbounded(&self) -> Vec<f64> {
        let n = self.columns;
        // Below the diagonal and on it, row by row.
        let mut factor: Vec<Vec<f64>> = Vec::with_capacity(n);
        let mut middle: Vec<f64> = Vec::with_capacity(n);
        for (nth, (line, with_y)) in
            self.products.chunks_exact(n.max(1)).zip(&self.with_y).enumerate()
        {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let mut row: Vec<f64> = Vec::with_capacity(nth + 1);
            for (product, above) in line.iter().zip(&factor) {
                let rest = product - dot(&row, above);
                row.push(rest / above.last().copied().unwrap_or(1.0));
            }
            let own = line.get(nth).copied().unwrap_or(0.0);
            // A column that others make up has no rest; neither has one of zeros.
            let rest = (own - dot(&row, &row)).max(own * ALIKE).max(f64::MIN_POSITIVE).sqrt();
            middle.push((with_y - dot(&row, &middle)) / rest);
            row.push(rest);
            factor.push(row);
        }
        let mut solution = vec![0.0; n];
        for (nth, row) in factor.iter().enumerate().rev() {
            let value = middle.get(nth).copied().unwrap_or(0.0);
            let value = value / row.last().copied().unwrap_or(1.0);
            for (middle, part) in middle.iter_mut().zip(row.iter().take(nth)) {
                *middle -= part * value;
            }
            if let Some(place) = solution.get_mut(nth) {
                *place = value;
            }
        }
        solution
    }

    /// The sum of squares that a solution leaves unexplained.
    pub(super) fn unexplained(&self, solution: &[f64]) -> f64 {
        let lines = self.products.chunks_exact(self.columns.max(1)).zip(&self.with_y).zip(solution);
        let explained: f64 = lines
            .map(|((line, with_y), a)| {
                let product: f64 = line.iter().zip(solution).map(|(p, b)| p * b).sum();
                a * (2.0 * with_y - product)
            })
            .sum();
        (self.yy - explained).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(rows: &[(&[f64], f64)]) -> Sums {
        let mut sums = Sums::new(rows[0].0.len());
        rows.iter().for_each(|(x, y)| sums.row(x, *y));
        sums
    }

    #[test]
    fn coefficients_are_found_and_none_is_negative() {
        let found = sums(&[(&[1.0, 0.0], 3.0), (&[1.0, 2.0], 7.0), (&[4.0, 1.0], 14.0)]);
        let solution = found.solve(&[]);
        assert!((solution[0] - 3.0).abs() < 1e-4 && (solution[1] - 2.0).abs() < 1e-4);
        assert!(found.unexplained(&solution) < 1e-6);
        // The best second coefficient would be -1.
        let bounded = sums(&[(&[1.0, 0.0], 2.0), (&[1.0, 1.0], 1.0)]);
        let solution = bounded.solve(&[]);
        assert!((solution[0] - 1.5).abs() < 1e-6 && solution[1] == 0.0, "{solution:?}");
        assert!((bounded.unexplained(&solution) - 0.5).abs() < 1e-6);
        assert_eq!(bounded.solve(&[0])[0], 0.0);
    }

    #[test]
    fn sums_of_parts_are_the_sum_of_all() {
        let (a, b) = (sums(&[(&[1.0, 2.0], 3.0)]), sums(&[(&[0.0, 1.0], 4.0)]));
        let mut both = a.clone();
        both.add(&b);
        let all = sums(&[(&[1.0, 2.0], 3.0), (&[0.0, 1.0], 4.0)]);
        assert_eq!(both.solve(&[]), all.solve(&[]));
        assert_eq!(both.yy, all.yy);
    }

    #[test]
    fn without_a_bound_a_coefficient_may_be_negative_and_alike_columns_do_no_harm() {
        let found = sums(&[(&[1.0, 0.0], 2.0), (&[1.0, 1.0], 1.0), (&[2.0, 3.0], 1.0)]);
        let solution = found.solve_unbounded();
        assert!((solution[0] - 2.0).abs() < 1e-6 && (solution[1] + 1.0).abs() < 1e-6);
        let alike = sums(&[(&[1.0, 1.0, 0.0], 3.0), (&[2.0, 2.0, 0.0], 6.0)]);
        let solution = alike.solve_unbounded();
        assert!((solution[0] + solution[1] - 3.0).abs() < 1e-3, "{solution:?}");
        assert!(solution.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn no_rows_and_no_columns_have_no_coefficients() {
        assert_eq!(Sums::new(3).solve(&[]), [0.0; 3]);
        assert_eq!(Sums::new(0).solve(&[]), [0.0; 0]);
    }
}
