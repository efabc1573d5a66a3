//! Census: what a process holds by malloc, counted in its memory from outside.
//!
//! It is read only, without symbols, and never stops the process: [`take`] walks glibc's heaps, the main
//! one, those of threads and the blocks with a mapping each, over a [`MemorySource`] of memory, in time and
//! space that are bounded whatever the process wrote there. [`Looks`] compares several.
//!
//! The heaps are those of 64-bit, little-endian glibc. What a thread keeps for its next calls (tcache)
//! and fastbins count as free since glibc 2.32, and as in use before.

mod allocator;
mod arena;
mod judge;
mod mapped;
mod memory;
mod regions;
mod spans;
mod tally;
mod walk;

pub use allocator::Allocator;
pub use judge::{CensusFinding, Cure, Grown, GrowthCause, Looks, Unknown};
pub use memory::{MemorySource, ReadPart};
pub use regions::Regions;
pub use tally::SizeClass;

use arena::{Arena, MOST_HEAPS};
use memory::Window;
use regions::Backing;
use serde::{Deserialize, Serialize};
use spans::{Chain, Spans};
use tally::ChunkTally;

/// What a process holds, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// What only its exit gives back: its private memory in RAM and in swap.
    pub footprint: u64,
    /// Of this, swapped out.
    pub swapped: u64,
    /// Of the footprint, in the heaps of malloc that are walked.
    pub in_heaps: u64,
    /// Blocks in use.
    pub in_use: u64,
    /// Of these, blocks with a mapping each.
    pub mapped: u64,
    /// Free chunks in the heaps.
    pub free: u64,
    /// Free chunks that are kept for the next calls of their size.
    pub cached: u64,
    /// What is above the last chunk of each heap.
    pub top: u64,
    /// Whole pages among what is free.
    pub whole_pages: u64,
    /// Bytes of the heaps that could not be read or understood.
    pub lost: u64,
    /// Heaps of malloc: the main one and those of threads.
    pub arenas: u32,
    /// Of the free bytes, those in heaps of threads.
    pub free_in_threads: u64,
    /// Whether it was walked to the end.
    pub is_whole: bool,
    /// Whether the process is a 64-bit one.
    pub is_wide: bool,
    /// Who else manages memory in it.
    pub allocators: Vec<Allocator>,
    /// The blocks in use by size, smallest first.
    pub sizes: Vec<SizeClass>,
}

impl Census {
    /// Bytes that are free inside the heaps.
    pub fn idle(&self) -> u64 {
        self.free.saturating_add(self.cached).saturating_add(self.top)
    }

    /// Free bytes that take memory: what was never touched, or was given back, does not.
    pub fn idle_in_memory(&self) -> u64 {
        let in_use = self.in_use.saturating_sub(self.mapped);
        self.idle().min(self.in_heaps.saturating_sub(in_use))
    }

    /// Free bytes that could be given back: whole pages that take memory.
    pub fn spare(&self) -> u64 {
        self.whole_pages.min(self.idle_in_memory())
    }

    /// Private memory that malloc did not ask for.
    pub fn elsewhere(&self) -> u64 {
        self.footprint.saturating_sub(self.in_heaps).saturating_sub(self.mapped)
    }

    /// Whether the figures are only about right: more than one byte in 200 is unknown.
    pub fn is_about(&self) -> bool {
        !self.is_whole || self.lost > (self.in_use + self.idle()) / 200
    }
}

/// Counts. Where `go_on` says no, it ends with what it has.
pub fn take(
    regions: &Regions,
    source: &mut MemorySource<'_>,
    go_on: &mut dyn FnMut() -> bool,
) -> Census {
    let sum =
        |of: fn(&regions::Region) -> u64| regions.all.iter().map(of).fold(0, u64::saturating_add);
    let mut census = Census {
        footprint: sum(|region| region.footprint),
        swapped: sum(|region| region.swapped),
        is_wide: regions.is_wide,
        is_whole: true,
        allocators: regions.allocators.clone(),
        ..Census::default()
    };
    if !regions.is_wide {
        return census;
    }
    let mut went_on = true;
    let mut patient = || {
        went_on = went_on && go_on();
        went_on
    };
    let mut window = Window::new(source);
    let arenas = arena::arenas(&mut window, &regions.data(), &mut patient);
    let chains = chains(&mut window, regions, &arenas, &mut patient);
    let spans = Spans::of(&chains);
    let mut tally = ChunkTally::new();
    for chain in &chains {
        let before = tally.free + tally.cached + tally.top;
        walk::walk(&mut window, chain, &spans, &mut tally, &mut patient);
        if !chain.is_main {
            census.free_in_threads += tally.free + tally.cached + tally.top - before;
        }
    }
    if !arenas.is_empty() {
        mapped::count(&mut window, regions, &spans, &mut tally, &mut patient);
    }
    let in_chain =
        |region: &&regions::Region| spans.between(region.start, region.end).next().is_some();
    let heaps = regions.all.iter().filter(in_chain);
    census.in_heaps = heaps.map(|region| region.footprint).fold(0, u64::saturating_add);
    census.arenas = arenas.len() as u32;
    (census.in_use, census.mapped) = (tally.in_use, tally.mapped);
    (census.free, census.cached, census.top) = (tally.free, tally.cached, tally.top);
    (census.whole_pages, census.lost) = (tally.whole_pages, tally.lost);
    census.sizes = tally.sizes();
    census.is_whole = went_on;
    census
}

/// The rows of chunks of all arenas.
fn chains(
    window: &mut Window<'_, '_>,
    regions: &Regions,
    arenas: &[Arena],
    go_on: &mut dyn FnMut() -> bool,
) -> Vec<Chain> {
    let mut chains = Vec::new();
    for arena in arenas {
        if !arena.is_main() {
            let left = MOST_HEAPS.saturating_sub(chains.len());
            chains.extend(arena.heaps(window, left, go_on));
            continue;
        }
        let heap = regions.all.iter().find(|region| region.backing == Backing::Heap);
        let by_brk = heap.and_then(|region| regions.around(region.start));
        // Where brk could not move on, the arena goes on in memory that was mapped.
        let of_top = regions.around(arena.top).filter(|row| Some(row) != by_brk.as_ref());
        let rows = by_brk.into_iter().chain(of_top);
        chains.extend(rows.map(|(start, end, _)| arena.row(window, start, end)));
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::arena::tests::books;
    use super::memory::tests::Made;
    use super::*;

    const DATA: u64 = 0x7f10_0000_0000;
    const HEAP: u64 = 0x5555_0000_0000;
    const MAPPED: u64 = 0x7f00_0000_0000;

    /// A process with a heap of 100 blocks of 112 bytes, of which every other one is free, and two
    /// blocks of 132 KiB with a mapping each.
    fn process() -> (Made, Regions) {
        let mut made = Made(vec![
            (DATA, vec![0; 16 << 10]),
            (HEAP, vec![0; 132 << 10]),
            (MAPPED, vec![0; 264 << 10]),
        ]);
        let top = HEAP + 100 * 112;
        books(&mut made, DATA + 0xc60, top, DATA + 0xc60, 0);
        for nth in 0..100 {
            let at = HEAP + nth * 112;
            made.put(at + 8, 112 | ((nth + 1) % 2));
            made.put(at + 16, 1);
            if nth % 2 == 1 {
                made.put(at, 112);
            }
        }
        // Even ones are free, but for the flag of the first, which has none before it.
        made.put(top + 8, ((132 << 10) - 100 * 112) | 1);
        for nth in 0..2 {
            made.put(MAPPED + nth * (132 << 10) + 8, 132 << 10 | 2);
        }
        let mut regions = Regions::of("/usr/bin/app");
        for line in [
            "555500000000-555500010000 rw-p 0 0:0 0    [heap]",
            "Anonymous: 64 kB",
            "555500010000-555500021000 rw-p 0 0:0 0    [heap]",
            "Anonymous: 68 kB",
            "7f0000000000-7f0000042000 rw-p 0 0:0 0",
            "Anonymous: 264 kB",
            "7f1000000000-7f1000004000 rw-p 0 0:0 0    /lib/libc.so.6",
            "Anonymous: 16 kB",
        ] {
            regions.line(line);
        }
        (made, regions)
    }

    #[test]
    fn a_process_is_counted_whole() {
        let (made, regions) = process();
        let census = take(&regions, &mut |at, buffer| made.read(at, buffer), &mut || true);
        assert_eq!(census.lost, 0);
        assert_eq!((census.mapped, census.in_use), (264 << 10, (264 << 10) + 50 * 112));
        assert_eq!((census.free, census.top), (50 * 112, (132 << 10) - 100 * 112));
        assert_eq!((census.footprint, census.in_heaps), (412 << 10, 132 << 10));
        assert_eq!(census.elsewhere(), 16 << 10);
        let sizes: Vec<_> = census.sizes.iter().map(|class| (class.size, class.count)).collect();
        assert_eq!(sizes, [(112, 50), (132 << 10, 2)]);
        assert!(census.is_whole && !census.is_about());
    }

    #[test]
    fn a_census_that_is_stopped_says_so() {
        let (made, regions) = process();
        let census = take(&regions, &mut |at, buffer| made.read(at, buffer), &mut || false);
        assert!(!census.is_whole && census.is_about());
    }

    #[test]
    fn without_arenas_nothing_is_counted() {
        let (_, regions) = process();
        let census = take(&regions, &mut |_, _| ReadPart::Hole(4096), &mut || true);
        assert_eq!((census.arenas, census.in_use, census.footprint), (0, 0, 412 << 10));
    }
}
