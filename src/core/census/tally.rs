//! Tally: what a walk counts: bytes by their state, and blocks by their size, in tables of fixed size.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The step between sizes of chunks (`MALLOC_ALIGNMENT` of 64-bit glibc).
pub(super) const STEP: u64 = 16;
/// Sizes from here on are counted in a map of their own.
const LARGE: u64 = 1 << 20;
/// Different large sizes that are told apart; further ones are rounded to an eighth of a power of two.
const MOST_LARGE: usize = 1024;
/// The page in which memory is given back; with larger ones less comes back.
const PAGE: u64 = 4096;

/// Blocks in use of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeClass {
    /// Bytes of each, with its header.
    pub size: u64,
    /// How many there are.
    pub count: u32,
}

/// What is counted.
#[derive(Debug)]
pub(super) struct ChunkTally {
    small: Vec<u32>,
    large: BTreeMap<u64, u32>,
    /// Bytes of chunks in use.
    pub(super) in_use: u64,
    /// Of them, bytes of chunks with a mapping each.
    pub(super) mapped: u64,
    /// Bytes of free chunks in bins.
    pub(super) free: u64,
    /// Bytes of free chunks that are kept for the next call of the same size (tcache, fastbins).
    pub(super) cached: u64,
    /// Bytes above the last chunk.
    pub(super) top: u64,
    /// Bytes of whole pages in free chunks and above the last one.
    pub(super) whole_pages: u64,
    /// Bytes that could not be read or understood.
    pub(super) lost: u64,
}

impl ChunkTally {
    pub(super) fn new() -> Self {
        Self {
            small: vec![0; (LARGE / STEP) as usize],
            large: BTreeMap::new(),
            in_use: 0,
            mapped: 0,
            free: 0,
            cached: 0,
            top: 0,
            whole_pages: 0,
            lost: 0,
        }
    }

    pub(super) fn used(&mut self, size: u64) {
        self.in_use = self.in_use.saturating_add(size);
        if let Some(count) = self.small.get_mut((size / STEP) as usize) {
            *count = count.saturating_add(1);
            return;
        }
        let full = self.large.len() >= MOST_LARGE && !self.large.contains_key(&size);
        let size = if full { (size >> (size.ilog2() - 3)) << (size.ilog2() - 3) } else { size };
        let count = self.large.entry(size).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn free(&mut self, at: u64, size: u64) {
        self.free = self.free.saturating_add(size);
        self.pages(at, size);
    }

    pub(super) fn top(&mut self, at: u64, size: u64) {
        self.top = self.top.saturating_add(size);
        self.pages(at, size);
    }

    /// Whole pages behind a chunk's header and links.
    fn pages(&mut self, at: u64, size: u64) {
        let first = at.saturating_add(48).div_ceil(PAGE);
        let whole = (at.saturating_add(size) / PAGE).saturating_sub(first) * PAGE;
        self.whole_pages = self.whole_pages.saturating_add(whole);
    }

    /// The blocks in use by size, smallest first.
    pub(super) fn sizes(&self) -> Vec<SizeClass> {
        let small = (0..).step_by(STEP as usize).zip(&self.small);
        let large = self.large.iter().map(|(size, count)| (*size, count));
        let class = |(size, count): (u64, &u32)| SizeClass { size, count: *count };
        small.chain(large).map(class).filter(|class| class.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_by_size() {
        let mut tally = ChunkTally::new();
        for size in [32, 2016, 2016, 5 << 20, 5 << 20, LARGE] {
            tally.used(size);
        }
        let sizes: Vec<_> = tally.sizes().iter().map(|c| (c.size, c.count)).collect();
        assert_eq!(sizes, [(32, 1), (2016, 2), (LARGE, 1), (5 << 20, 2)]);
        assert_eq!(tally.in_use, 32 + 2 * 2016 + LARGE + (10 << 20));
    }

    #[test]
    fn more_large_sizes_than_there_is_room_for_are_rounded() {
        let mut tally = ChunkTally::new();
        for n in 0..100_000_u64 {
            tally.used(LARGE + n * 4096);
        }
        tally.used(u64::MAX);
        assert!(tally.sizes().len() < MOST_LARGE + 8 * 44);
        let counted: u64 = tally.sizes().iter().map(|class| u64::from(class.count)).sum();
        assert_eq!(counted, 100_001);
    }

    #[test]
    fn only_whole_pages_can_be_given_back() {
        let mut tally = ChunkTally::new();
        tally.free(0x1000, 0x1000);
        assert_eq!(tally.whole_pages, 0);
        tally.free(0x1800, 0x2000);
        assert_eq!(tally.whole_pages, 0x1000);
        tally.top(0x1fd0, 0x3030);
        assert_eq!(tally.whole_pages, 0x4000);
        tally.free(u64::MAX - 15, u64::MAX);
        assert_eq!(tally.free, u64::MAX);
    }
}
