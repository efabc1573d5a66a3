//! A window of a series that passed its tests.

use crate::core::detect::sample_clock::block;
use crate::core::detect::series::window::{GrowthShape, ThirdMedians};

/// A window that passed its tests and is not yet older than two of its blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrowthWindow {
    /// The level of its blocks.
    pub level: usize,
    /// Its length in blocks.
    pub blocks: usize,
    /// Median block minima of its first, middle and last third.
    pub shape: ThirdMedians,
    /// What kind of growth it shows.
    pub growth: GrowthShape,
    /// Whether the growth has paused.
    pub paused: bool,
    /// Consecutive windows of this length that passed.
    pub passes: u8,
}

impl GrowthWindow {
    /// Its length in finest blocks.
    pub fn length(&self) -> u64 {
        self.blocks as u64 * block(self.level)
    }

    /// Growth per finest block.
    pub fn slope(&self) -> f64 {
        self.shape.growth() / (self.apart() as u64 * block(self.level)) as f64
    }

    /// Blocks from the middle of its first third to that of its last.
    pub fn apart(&self) -> usize {
        self.blocks - self.blocks / 3
    }

    /// Whether CPU use leaves the growth unexplained.
    pub fn is_steady(&self) -> bool {
        matches!(self.growth, GrowthShape::Steady | GrowthShape::AtEqualLoad)
    }
}
