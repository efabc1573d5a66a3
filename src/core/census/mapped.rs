//! Mapped: blocks that malloc gives a mapping each, because they are large (128 KiB and more; the bound
//! moves up to 32 MiB as such blocks are freed). The kernel joins what adjoins, so one region may hold
//! many of them, and other things between.

use super::memory::{ReadPart, Window};
use super::regions::{Backing, Regions};
use super::spans::Spans;
use super::tally::ChunkTally;
use super::walk::{FLAGS, IS_MAPPED};

const PAGE: u64 = 4096;
/// Bytes that are looked through for the next such block, of one region and of all: after these, what is
/// there belongs to something else.
const MOST_OF_ONE: u64 = 16 << 20;
const MOST_OF_ALL: u64 = 512 << 20;

/// Counts them, outside of the rows of chunks in `spans`.
pub(super) fn count(
    window: &mut Window<'_, '_>,
    regions: &Regions,
    spans: &Spans,
    tally: &mut ChunkTally,
    go_on: &mut dyn FnMut() -> bool,
) {
    let mut left = MOST_OF_ALL;
    for region in regions.all.iter().filter(|region| region.backing == Backing::Anonymous) {
        let mut at = region.start;
        let inside = spans.between(region.start, region.end);
        let ends = inside.chain([(region.end, region.end)]);
        for (start, end) in ends {
            // The books of a thread's heap stand before its first chunk.
            of_gap(window, at, start.min(region.end), &mut left, tally, go_on);
            at = end.next_multiple_of(PAGE).max(at);
        }
    }
}

fn of_gap(
    window: &mut Window<'_, '_>,
    from: u64,
    end: u64,
    left: &mut u64,
    tally: &mut ChunkTally,
    go_on: &mut dyn FnMut() -> bool,
) {
    let mut at = from;
    let mut found = from;
    while at < end && at - found <= MOST_OF_ONE && *left > 0 {
        if window.word(at + 8).is_none() {
            if !go_on() {
                return;
            }
            if let ReadPart::Hole(length) = window.read(at, end) {
                at = at.saturating_add(length).next_multiple_of(PAGE);
                continue;
            }
        }
        let (before, head) = (window.word(at), window.word(at + 8));
        let size = head.filter(|head| head & FLAGS == IS_MAPPED).map_or(0, |head| head & !FLAGS);
        let fits = size >= PAGE && size.is_multiple_of(PAGE) && size <= end - at;
        if before == Some(0) && fits {
            tally.used(size);
            tally.mapped = tally.mapped.saturating_add(size);
            at += size;
            found = at;
        } else {
            at += PAGE;
            *left = left.saturating_sub(PAGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::Made;
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 0x7f00_0000_0000;

    fn count_in(made: &Made, end: u64) -> ChunkTally {
        let mut regions = Regions::of("");
        regions.line(&format!("{START:x}-{end:x} rw-p 0 0:0 0"));
        let mut tally = ChunkTally::new();
        let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
        let mut window = Window::new(&mut source);
        let spans = Spans::joined(vec![(START + 0x3010, START + 0x5000)]);
        count(&mut window, &regions, &spans, &mut tally, &mut || true);
        tally
    }

    #[test]
    fn blocks_between_other_things_are_found() {
        let mut made = Made(vec![(START, vec![0; 1 << 20])]);
        for (at, size) in [(0x1000, 0x2000), (0x5000, 0x2_0000), (0x2_5000, 0x3000)] {
            made.put(START + at + 8, size | 2);
        }
        // Inside a heap, too long for the region, not whole pages, not a mapping.
        for (at, word) in
            [(0x4000, 0x1002), (0x4_0000, 2 << 20), (0x5_0000, 0x1012), (0x6_0000, 0x1001)]
        {
            made.put(START + at + 8, word);
        }
        let tally = count_in(&made, START + (1 << 20));
        assert_eq!(tally.mapped, 0x2000 + 0x2_0000 + 0x3000);
    }

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..20_000), length in 1..40_000_u64) {
            let tally = count_in(&Made(vec![(START, bytes)]), START + length);
            prop_assert!(tally.mapped <= length);
        }
    }
}
