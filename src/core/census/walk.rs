//! Walk: from chunk to chunk through a heap of glibc's malloc, while its process goes on using it.
//!
//! A chunk begins with the size of the one before it (only where that is free) and its own size, whose
//! lowest bits are flags (malloc/malloc.c, "malloc_chunk details"; unchanged since 2.3). The process may
//! merge and split chunks between two reads. So the last chunk of a block is read again together with
//! what follows it, every step is checked, and where the chain is torn it is read again; then the walk
//! goes on at the next place from which a chain runs, and what lies between is counted as lost.

use super::memory::{ReadPart, Window};
use super::spans::{Chain, Spans};
use super::tally::{ChunkTally, STEP};

/// Flags: the chunk before is in use; the chunk is a mapping of its own; it is in a thread's arena.
const BEFORE_IN_USE: u64 = 1;
pub(super) const IS_MAPPED: u64 = 2;
const IN_THREAD_ARENA: u64 = 4;
pub(super) const FLAGS: u64 = 7;
/// The smallest chunk.
const LEAST: u64 = 32;
/// The largest chunk that a thread keeps for itself by default (`tcache_max`).
const MOST_CACHED: u64 = 1040;
/// A step needs the header of a chunk and the link behind it.
const HEAD: u64 = 24;
/// How often a torn step is read again.
const TRIES: u32 = 3;
/// So many chunks in a row are a chain. By chance, a word of 64 bits is a possible size once in 10^10.
const RUN: u32 = 6;

/// What is at an address.
enum ChunkStep {
    InUse {
        size: u64,
        cached: bool,
    },
    Free {
        from: u64,
        to: u64,
    },
    Top,
    /// A mark behind the last chunk of a piece of heap.
    Fence,
    Torn,
}

/// Counts all chunks of a row. `spans` are all rows: a list of free chunks may lead from one to another.
pub(super) fn walk(
    window: &mut Window<'_, '_>,
    chain: &Chain,
    spans: &Spans,
    tally: &mut ChunkTally,
    go_on: &mut dyn FnMut() -> bool,
) {
    let mut at = chain.start;
    let mut tries = 0;
    while at < chain.end {
        if window.word(at + HEAD - 8).is_none() {
            if !go_on() {
                break;
            }
            if let ReadPart::Hole(length) = window.read(at, chain.end) {
                at = lose(window, chain, at, length, tally, go_on);
                continue;
            }
        }
        match step(window, chain, spans, at) {
            ChunkStep::InUse { size, cached } => {
                match cached {
                    true => tally.cached = tally.cached.saturating_add(size),
                    false => tally.used(size),
                }
                at += size;
                tries = 0;
            }
            ChunkStep::Free { from, to } => {
                tally.free(from, to - from);
                at = to;
                tries = 0;
            }
            ChunkStep::Top => {
                tally.top(at, chain.end - at);
                return;
            }
            ChunkStep::Fence if chain.end - at <= 64 => return,
            ChunkStep::Torn if tries < TRIES => {
                tries += 1;
                window.read(at, chain.end);
            }
            ChunkStep::Fence | ChunkStep::Torn => {
                at = lose(window, chain, at, STEP, tally, go_on);
                tries = 0;
            }
        }
    }
    tally.lost = tally.lost.saturating_add(chain.end.saturating_sub(at));
}

/// Goes on behind what cannot be read or understood.
fn lose(
    window: &mut Window<'_, '_>,
    chain: &Chain,
    at: u64,
    length: u64,
    tally: &mut ChunkTally,
    go_on: &mut dyn FnMut() -> bool,
) -> u64 {
    let next = find(window, chain, at.saturating_add(length), go_on).min(chain.end);
    tally.lost = tally.lost.saturating_add(next - at);
    next
}

/// The next address from which a chain runs; the end if there is none.
fn find(
    window: &mut Window<'_, '_>,
    chain: &Chain,
    from: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> u64 {
    let mut at = from.next_multiple_of(STEP);
    while at < chain.end {
        if window.word(at + HEAD - 8).is_none() {
            if !go_on() {
                return chain.end;
            }
            match window.read(at, chain.end) {
                ReadPart::Hole(length) => {
                    at = at.saturating_add(length).next_multiple_of(STEP);
                    continue;
                }
                // Too little before the end, or before a hole.
                ReadPart::Bytes(length) if (length as u64) < HEAD => {
                    at = at.saturating_add(length as u64).next_multiple_of(STEP);
                    continue;
                }
                ReadPart::Bytes(_) => {}
            }
        }
        if runs(window, chain, at) {
            return at;
        }
        at += STEP;
    }
    chain.end
}

/// Whether a chain runs from here, as far as the block goes.
fn runs(window: &Window<'_, '_>, chain: &Chain, from: u64) -> bool {
    let mut at = from;
    for nth in 0..RUN {
        if chain.top == Some(at) {
            return nth > 0;
        }
        let Some(head) = window.word(at + 8) else { return nth > 1 };
        let Some(size) = size(chain, at, head) else { return false };
        at += size;
        let (Some(before), Some(next)) = (window.word(at), window.word(at + 8)) else {
            return nth > 1;
        };
        if next & BEFORE_IN_USE == 0 && before != size {
            return false;
        }
    }
    true
}

/// The size of a chunk at an address, if it can be one.
fn size(chain: &Chain, at: u64, head: u64) -> Option<u64> {
    let size = head & !FLAGS;
    let possible = size >= LEAST
        && size.is_multiple_of(STEP)
        && head & IS_MAPPED == 0
        && (!chain.is_main || head & IN_THREAD_ARENA == 0)
        && at.checked_add(size).is_some_and(|end| end <= chain.end);
    possible.then_some(size)
}

fn step(window: &mut Window<'_, '_>, chain: &Chain, spans: &Spans, at: u64) -> ChunkStep {
    if chain.top.is_some_and(|top| at >= top) {
        return ChunkStep::Top;
    }
    let Some(head) = window.word(at + 8) else { return ChunkStep::Torn };
    if head & !FLAGS < LEAST {
        return ChunkStep::Fence;
    }
    let Some(mut bytes) = size(chain, at, head) else { return ChunkStep::Torn };
    if at + bytes == chain.end {
        // What was below the top has joined it.
        return if chain.top.is_some() { ChunkStep::Top } else { ChunkStep::Torn };
    }
    let Some(next) = after(window, chain, at, &mut bytes) else { return ChunkStep::Torn };
    let [before, next] = next;
    if next & BEFORE_IN_USE != 0 {
        return ChunkStep::InUse { size: bytes, cached: is_cached(window, spans, at, bytes) };
    }
    let to = at + bytes;
    match to.checked_sub(before) {
        Some(from) if from == at => ChunkStep::Free { from, to },
        // It has joined the free chunk before it, which was counted as it was.
        Some(from) if from < at && from >= chain.start => ChunkStep::Free { from: at, to },
        _ => ChunkStep::Torn,
    }
}

/// The header behind a chunk, of which it is read in one piece with the chunk's own where that fits.
fn after(window: &mut Window<'_, '_>, chain: &Chain, at: u64, bytes: &mut u64) -> Option<[u64; 2]> {
    let held = |window: &Window<'_, '_>, to: u64| Some([window.word(to)?, window.word(to + 8)?]);
    if let Some(next) = held(window, at + *bytes) {
        return Some(next);
    }
    if window.start() != at {
        window.read(at, chain.end);
        *bytes = size(chain, at, window.word(at + 8)?)?;
        if let Some(next) = held(window, at + *bytes) {
            return Some(next);
        }
    }
    let next = window.words(at + *bytes)?;
    let [head] = window.words(at + 8)?;
    (head & !FLAGS == *bytes).then_some(next)
}

/// Whether a chunk that looks in use is on a list of free ones. Since glibc 2.32 these links are
/// masked with their own address, so what the last one has, and one into the heap, is no accident:
/// a pointer of the program passes as one in 30 000.
fn is_cached(window: &Window<'_, '_>, spans: &Spans, at: u64, bytes: u64) -> bool {
    if bytes > MOST_CACHED {
        return false;
    }
    let Some(link) = window.word(at + 16) else { return false };
    let next = link ^ ((at + 16) >> 12);
    next == 0 || (next.is_multiple_of(STEP) && spans.between(next, next + 1).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::Made;
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 0x5555_0000_0000;

    /// A chunk of a heap that is made: its size, and whether it is free.
    type Chunk = (u64, bool);

    /// A heap of these chunks, which end in a top of 0x1000 bytes; free neighbours are joined.
    fn heap(chunks: &[Chunk]) -> (Made, Chain, u64, u64) {
        let mut joined: Vec<Chunk> = Vec::new();
        for (size, free) in chunks {
            match joined.last_mut() {
                Some((last, true)) if *free => *last += size,
                _ => joined.push((*size, *free)),
            }
        }
        // A free chunk below the top would be a part of it.
        joined.push((32, false));
        let sum = |wanted: bool| {
            joined.iter().filter(|(_, free)| *free == wanted).map(|(size, _)| size).sum::<u64>()
        };
        let (in_use, free) = (sum(false), sum(true));
        let top = START + in_use + free;
        let end = top + 0x1000;
        let mut made = Made(vec![(START, vec![0xff; (end - START) as usize])]);
        let (mut at, mut before) = (START, (0, false));
        for (size, free) in &joined {
            if before.1 {
                made.put(at, before.0);
            }
            made.put(at + 8, size | u64::from(!before.1));
            made.put(at + 16, 0x1234_5678_9abc_def1);
            (at, before) = (at + size, (*size, *free));
        }
        made.put(top + 8, 0x1000 | 1);
        (made, Chain { start: START, end, top: Some(top), is_main: true }, in_use, free)
    }

    fn count(made: &Made, chain: &Chain) -> ChunkTally {
        let mut tally = ChunkTally::new();
        let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
        let mut reads = 0;
        let spans = Spans::joined(vec![(chain.start, chain.end)]);
        walk(&mut Window::new(&mut source), chain, &spans, &mut tally, &mut || {
            reads += 1;
            reads < 10_000
        });
        tally
    }

    fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
        let size =
            prop_oneof![2..70_u64, 2..70_u64, 2..2000_u64, 2..40_000_u64].prop_map(|n| n * 16);
        proptest::collection::vec((size, any::<bool>()), 0..400)
    }

    #[test]
    fn a_heap_of_one_leaking_size_is_counted() {
        let (made, chain, in_use, _) = heap(&vec![(2016, false); 5000]);
        let tally = count(&made, &chain);
        assert_eq!((tally.in_use, tally.free, tally.lost), (in_use, 0, 0));
        assert!(tally.sizes().iter().any(|class| (class.size, class.count) == (2016, 5000)));
        assert_eq!(tally.top, 0x1000);
    }

    #[test]
    fn chunks_on_lists_of_free_ones_are_not_in_use() {
        let (mut made, chain, in_use, _) = heap(&vec![(48, false); 100]);
        let link = |made: &mut Made, nth: u64, next: u64| {
            let at = START + nth * 48 + 16;
            made.put(at, next ^ (at >> 12));
        };
        link(&mut made, 3, START + 7 * 48 + 16);
        link(&mut made, 7, 0);
        link(&mut made, 9, 0x1000);
        let tally = count(&made, &chain);
        assert_eq!((tally.cached, tally.in_use), (96, in_use - 96));
    }

    #[test]
    fn a_torn_chain_is_found_again_and_its_loss_is_told() {
        let (mut made, chain, in_use, _) = heap(&vec![(160, false); 10_000]);
        made.put(START + 160 * 500 + 8, 0x1111_1111_1111_1111);
        let tally = count(&made, &chain);
        assert_eq!((tally.in_use, tally.lost), (in_use - 160, 160));
    }

    #[test]
    fn what_cannot_be_read_is_lost_and_the_rest_is_counted() {
        let (made, chain, ..) = heap(&vec![(64, false); 10_000]);
        let (_, bytes) = &made.0[0];
        let pieces = [0..8192, 12_288..bytes.len()];
        let pieces = pieces.map(|range| (START + range.start as u64, bytes[range].to_vec()));
        let tally = count(&Made(pieces.to_vec()), &chain);
        assert!((4096..4096 + 192).contains(&tally.lost), "{}", tally.lost);
        assert!(tally.in_use > 630_000);
    }

    #[test]
    fn a_chunk_that_joined_its_free_neighbour_meanwhile_is_free() {
        let (mut made, chain, in_use, _) = heap(&[(64, false), (96, false), (128, false)]);
        // The first block ended with the first chunk; since then it was freed, and so was the second.
        made.put(START + 160, 160);
        made.put(START + 160 + 8, 128);
        let mut tally = ChunkTally::new();
        let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
        let mut window = Window::new(&mut source);
        window.read(START + 64, chain.end);
        let later = Chain { start: START, ..chain };
        let ChunkStep::Free { from, to } =
            step(&mut window, &later, &Spans::joined(vec![]), START + 64)
        else {
            panic!()
        };
        tally.free(from, to - from);
        assert_eq!((tally.free, in_use), (96, 320));
    }

    proptest! {
        #[test]
        fn any_heap_is_counted_exactly(chunks in chunks()) {
            let (made, chain, in_use, free) = heap(&chunks);
            let tally = count(&made, &chain);
            prop_assert_eq!((tally.in_use, tally.free, tally.lost), (in_use, free, 0));
            prop_assert_eq!(tally.in_use + tally.free + tally.top, chain.end - chain.start);
        }

        #[test]
        fn random_bytes_do_no_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
            start in any::<u64>(), length in 0..10_000_u64, top in any::<u64>(),
        ) {
            let start = start & !15;
            let made = Made(vec![(start, bytes)]);
            let end = start.saturating_add(length);
            let inside = (start..end).contains(&top).then_some(top);
            let chain = Chain { start, end, top: inside, is_main: false };
            let tally = count(&made, &chain);
            let all = tally.in_use + tally.free + tally.cached + tally.top + tally.lost;
            prop_assert!(all <= 2 * length + 64);
        }

        #[test]
        fn damage_is_found_out(
            chunks in chunks(), hits in proptest::collection::vec((any::<u32>(), any::<u64>()), 1..20),
        ) {
            let (mut made, chain, ..) = heap(&chunks);
            let length = chain.end - chain.start;
            for (place, word) in hits {
                made.put(START + u64::from(place) % (length / 8) * 8, word);
            }
            let tally = count(&made, &chain);
            let all = tally.in_use + tally.free + tally.cached + tally.top + tally.lost;
            prop_assert!(all <= 2 * length);
        }
    }
}
