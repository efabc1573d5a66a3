//! The thresholds by which the windows of a series are tested.

use crate::core::detect::constants::Constants;

/// How a series is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestThresholds {
    /// Least growth, in the series' unit.
    pub least_growth: f64,
    /// Least share of the first half's growth in the second.
    pub second_half: f64,
    /// Least pace of the last sixth, as a share of the steady one.
    pub final_pace: f64,
    /// Least ratio of growth to the largest fall.
    pub fall_factor: f64,
    /// What CPU use may explain.
    pub excuse: LoadExcuse,
}

/// What CPU use may explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadExcuse {
    /// A footprint may grow in proportion to CPU use, and CPU use may hide its growth.
    Proportion,
    /// A number of children may grow whenever CPU use grows at all: they work, they are not left
    /// over.
    Rise,
}

impl TestThresholds {
    /// For footprints, counted in pages.
    pub fn footprint(constants: &Constants, page_size: f64) -> Self {
        Self {
            least_growth: constants.least_growth / page_size,
            excuse: LoadExcuse::Proportion,
            ..Self::count(constants)
        }
    }

    /// For numbers of children or tasks.
    pub fn count(constants: &Constants) -> Self {
        let Constants { least_children, second_half, final_pace, fall_factor, .. } = *constants;
        Self {
            least_growth: least_children,
            second_half,
            final_pace,
            fall_factor,
            excuse: LoadExcuse::Rise,
        }
    }
}
