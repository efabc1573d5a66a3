//! Sparklines: how a size moved, in a word of bars.

use crate::diagnose::size_history::Point;

/// A line of bars, from the least to the most in it; flat where that is less than 2 % of the size.
pub(crate) fn spark(points: &[Point], columns: usize, unicode: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const PLAIN: [char; 8] = ['_', '_', '.', '.', '-', '-', '=', '^'];
    let bars = if unicode { BARS } else { PLAIN };
    if points.len() < 4 {
        return String::new();
    }
    let low = points.iter().map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
    let columns = columns.min(points.len());
    let bar = |column: usize| {
        let at = (points.len() - 1) * column / (columns - 1).max(1);
        let bytes = points.get(at).map_or(0.0, |(_, bytes)| *bytes);
        let height =
            if high - low < 0.02 * high { 3.0 } else { (bytes - low) / (high - low) * 7.0 };
        bars.get(height.round() as usize).copied().unwrap_or(' ')
    };
    (0..columns).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_line_is_flat_and_a_rise_rises() {
        let points = |f: fn(i32) -> f64| (0..50).map(|n| (f64::from(n), f(n))).collect::<Vec<_>>();
        assert_eq!(spark(&points(|_| 1e6), 5, true), "▄▄▄▄▄");
        assert_eq!(spark(&points(f64::from), 8, true), "▁▂▃▄▅▆▇█");
        assert_eq!(spark(&points(f64::from)[..3], 8, true), "");
    }
}
