//! The windows of one series that passed their tests, kept on the stack.

use std::ops::Deref;

use crate::core::detect::constants::{LEVELS, WINDOW_LENGTHS};
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
    const NONE: Self = Self {
        level: 0,
        blocks: 0,
        shape: ThirdMedians::FLAT,
        growth: GrowthShape::Steady,
        paused: false,
        passes: 0,
    };

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

/// The windows of one series, short ones first: at most one of each length on each level, so they
/// fit on the stack (1.5 KiB) and judging allocates nothing.
#[derive(Clone, Debug)]
pub struct GrowthWindows {
    windows: [GrowthWindow; LEVELS * WINDOW_LENGTHS.len()],
    len: usize,
}

impl FromIterator<GrowthWindow> for GrowthWindows {
    fn from_iter<I: IntoIterator<Item = GrowthWindow>>(windows: I) -> Self {
        let mut found = Self { windows: [GrowthWindow::NONE; _], len: 0 };
        for (place, window) in found.windows.iter_mut().zip(windows) {
            *place = window;
            found.len += 1;
        }
        found
    }
}

impl Deref for GrowthWindows {
    type Target = [GrowthWindow];

    fn deref(&self) -> &[GrowthWindow] {
        &self.windows[..self.len]
    }
}
