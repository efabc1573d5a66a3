//! The last block minima of one level and the CPU use that went with them. What the level's
//! windows share is computed once, and not before a test asks for it.

use crate::core::detect::constants::{RING, WINDOW_LENGTHS};
use crate::core::detect::series::load::{CpuLoad, LoadSums};
use crate::core::detect::series::median::Size;
use std::cell::OnceCell;

/// The last block minima of one level, oldest first.
pub struct Ring<'a> {
    minima: &'a [u32; RING],
    loads: &'a [CpuLoad; RING],
    parts: OnceCell<[u32; RING]>,
    sums: OnceCell<[LoadSums; WINDOW_LENGTHS.len()]>,
    ranks: OnceCell<[i32; RING]>,
}

impl<'a> Ring<'a> {
    /// Block minima and, for each, CPU use.
    pub fn new(minima: &'a [u32; RING], loads: &'a [CpuLoad; RING]) -> Self {
        let (parts, sums, ranks) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { minima, loads, parts, sums, ranks }
    }

    /// The newest minima.
    pub fn minima(&self, blocks: usize) -> &'a [u32] {
        &self.minima[RING - blocks..]
    }

    /// CPU use that went with the newest minima, in parts of a core.
    pub fn parts(&self, blocks: usize) -> &[u32] {
        &self.all_parts()[RING - blocks..]
    }

    /// The rank sum of the newest minima.
    pub fn rank_sum(&self, blocks: usize) -> i32 {
        self.ranks.get_or_init(|| rank_sums(self.minima))[RING - blocks]
    }

    /// The minima less what CPU use explains; none where it explains nothing in the window of this
    /// length.
    pub fn at_equal_load(&self, which: usize) -> Option<[f64; RING]> {
        let parts = self.all_parts();
        let sums = self.sums.get_or_init(|| LoadSums::of_windows(self.minima, parts));
        let explained = sums.get(which)?.explained()?;
        Some(explained.at_equal_load(self.minima, parts))
    }

    fn all_parts(&self) -> &[u32; RING] {
        self.parts.get_or_init(|| self.loads.map(CpuLoad::parts))
    }
}

/// Pairs that rise less pairs that fall (Kendall's S), from each minimum on: what the windows of one
/// level share is compared once, and by distance, so that the compiler compares four pairs at once.
/// It was the costliest part of judging a leak.
fn rank_sums<T: Size>(minima: &[T; RING]) -> [i32; RING] {
    let mut sums = [0; RING];
    for distance in 1..RING {
        for ((sum, early), late) in sums.iter_mut().zip(minima).zip(&minima[distance..]) {
            *sum += i32::from(late > early) - i32::from(late < early);
        }
    }
    for i in (1..RING).rev() {
        sums[i - 1] += sums[i];
    }
    sums
}

/// The rank sum of one window of any length.
pub fn rank_sum<T: Size>(minima: &[T]) -> i32 {
    // Copies of the first minimum stand before it: they neither rise nor fall.
    let Some(first) = minima.first() else { return 0 };
    let mut all = [*first; RING];
    all[RING - minima.len()..].copy_from_slice(minima);
    rank_sums(&all)[RING - minima.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn rank_sums_count_pairs(minima: [u8; RING], length in 0..=RING) {
            let minima = minima.map(|minimum| u32::from(minimum % 32));
            let window = &minima[RING - length..];
            let pairs = (0..length).flat_map(|late| (0..late).map(move |early| (early, late)));
            let counted: i32 = pairs.map(|(early, late)| window[late].cmp(&window[early]) as i32).sum();
            proptest::prop_assert_eq!(rank_sum(window), counted);
            proptest::prop_assert!(length == 0 || rank_sums(&minima)[RING - length] == counted);
        }
    }
}
