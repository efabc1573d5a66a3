//! Arena: where glibc's malloc keeps its books, found without symbols.
//!
//! `struct malloc_state` of the main arena is in the data of the C library, and nothing exports its
//! address. But it has 127 bins, each the head of a ring, and an empty one points to itself, as if the
//! head were a chunk: `bins[2k] == bins[2k+1] == &bins[2k] - 16`. Around the bins, in all versions since
//! 2.10: `top` and `last_remainder` before them; behind them the bitmap, the next arena, the list of free
//! arenas, since 2.23 the threads attached, and the bytes that the arena has and had at most.

use super::memory::{ReadPart, Window};
use super::spans::Chain;
use super::walk::FLAGS;

/// Words of the bins, and of the bitmap behind them.
const BINS: u64 = 254;
const BITMAP: u64 = 2;
/// Bytes of data of the C library that are searched; libc.so has 24 KiB, a static program more.
const MOST_DATA: u64 = 8 << 20;
/// Distances of the bins from the beginning of their arena: since 2.27, before, and without fastbins.
const HEADS: [u64; 4] = [0x70, 0x68, 0x20, 0x18];
/// Arenas: by default 8 a processor.
const MOST_ARENAS: usize = 4096;
/// `HEAP_MAX_SIZE`: a thread's arena is of pieces that begin at multiples of this.
const HEAP_MAX: u64 = 64 << 20;
/// Pieces of all threads' arenas: 256 GiB. A process may write books that lead from arena to arena and in
/// each from piece to piece without end: 4096 arenas of 4096 pieces took gigabytes and hours.
pub(super) const MOST_HEAPS: usize = 4096;

/// An arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arena {
    /// Where it is; of the main arena this is in the C library's data.
    pub(super) at: u64,
    /// The chunk above all others.
    pub(super) top: u64,
    is_main: bool,
    /// The bytes of its books.
    length: u64,
}

/// All arenas, the main one first; none where no main arena is found.
pub(super) fn arenas(
    window: &mut Window<'_, '_>,
    data: &[(u64, u64)],
    go_on: &mut dyn FnMut() -> bool,
) -> Vec<Arena> {
    for (start, end) in data {
        let end = (*end).min(start.saturating_add(MOST_DATA));
        let mut at = *start;
        while at < end && go_on() {
            match window.read(at, end) {
                ReadPart::Bytes(_) => {
                    if let Some(found) = in_block(window, go_on) {
                        return found;
                    }
                    // The next block overlaps by more than the books are long.
                    let next = window.end().saturating_sub(8192).max(at + 4096);
                    at = if window.end() >= end { end } else { next };
                }
                ReadPart::Hole(length) => at = at.saturating_add(length),
            }
        }
    }
    Vec::new()
}

/// The arenas, if the main one's bins are in this block.
fn in_block(window: &mut Window<'_, '_>, go_on: &mut dyn FnMut() -> bool) -> Option<Vec<Arena>> {
    let is_empty = |window: &Window<'_, '_>, at: u64| {
        let wanted = at.checked_sub(16);
        window.word(at) == wanted && window.word(at + 8) == wanted
    };
    let mut at = window.start().next_multiple_of(8);
    while at < window.end() {
        if is_empty(window, at) {
            // The first empty bin need not be the first one.
            for nth in 0..BINS / 2 {
                let Some(first) = at.checked_sub(16 * nth) else { break };
                if are_books(window, first)
                    && let Some(found) = ring(window, first, go_on)
                {
                    return Some(found);
                }
            }
        }
        at += 8;
    }
    None
}

/// Whether the words around what may be the bins are those of an arena.
fn are_books(window: &Window<'_, '_>, bins: u64) -> bool {
    let behind = |nth: u64| window.word(bins + 8 * (BINS + BITMAP + nth));
    let Some(top) = bins.checked_sub(16).and_then(|at| window.word(at)) else { return false };
    let (Some(next), Some(fourth), Some(fifth)) = (behind(0), behind(3), behind(4)) else {
        return false;
    };
    let sizes = |now: u64, most: u64| now <= most && now >= 4096 && most < 1 << 47;
    let sizes = sizes(fourth, fifth) || behind(2).is_some_and(|third| sizes(third, fourth));
    let points = |at: u64| at != 0 && at < 1 << 56;
    points(top) && top.is_multiple_of(16) && points(next) && next.is_multiple_of(8) && sizes
}

/// All arenas of the ring in which the main one is, whose bins are here.
fn ring(
    window: &mut Window<'_, '_>,
    bins: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> Option<Vec<Arena>> {
    HEADS.iter().find_map(|head| {
        let main = bins.checked_sub(*head)?;
        let mut found = Vec::new();
        let mut at = main;
        while found.len() < MOST_ARENAS && go_on() {
            let [top] = window.words(at.checked_add(head - 16)?)?;
            let [next] = window.words(at.checked_add(head + 8 * (BINS + BITMAP))?)?;
            let length = head + 8 * (BINS + BITMAP + 5);
            found.push(Arena { at, top, is_main: at == main, length });
            at = next;
            if at == main {
                return Some(found);
            }
        }
        None
    })
}

impl Arena {
    /// The rows of chunks of an arena of threads, the newest first. A row's books stand before it:
    /// its arena, the row before it, its bytes.
    pub(super) fn heaps(
        &self,
        window: &mut Window<'_, '_>,
        most: usize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        let first = self.at & !(HEAP_MAX - 1);
        let mut heap = self.top & !(HEAP_MAX - 1);
        while chains.len() < most && heap != 0 && go_on() {
            let Some([arena, before, size]) = window.words(heap) else { break };
            let is_known = chains.iter().any(|chain| chain.end == heap.saturating_add(size));
            if arena != self.at || size > HEAP_MAX || is_known {
                break;
            }
            let books = if heap == first { self.length } else { 0 };
            let start = (heap + (self.at - first) + books).next_multiple_of(16);
            let inside = (heap..heap + size).contains(&self.top);
            let top = inside.then_some(self.top);
            chains.push(Chain { start, end: heap + size, top, is_main: false });
            heap = before;
        }
        chains
    }

    /// The row of the main arena that lies between these addresses.
    pub(super) fn row(&self, window: &mut Window<'_, '_>, start: u64, end: u64) -> Chain {
        let head = window.words(self.top.saturating_add(8)).map_or(0, |[head]| head & !FLAGS);
        let above = self.top.saturating_add(head);
        match (start..end).contains(&self.top) && head > 0 && above <= end {
            true => Chain { start, end: above, top: Some(self.top), is_main: true },
            false => Chain { start, end, top: None, is_main: true },
        }
    }

    /// Whether it is the one that grows by brk.
    pub(super) fn is_main(&self) -> bool {
        self.is_main
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::memory::tests::Made;
    use super::*;

    /// Puts the books of an arena at an address: all bins empty but the first `full`.
    pub(in crate::core::census) fn books(made: &mut Made, at: u64, top: u64, next: u64, full: u64) {
        let bins = at + 0x70;
        made.put(bins - 16, top);
        for nth in 0..BINS / 2 {
            let ring = if nth < full { 0x5555_1234_5670 } else { bins + 16 * nth - 16 };
            made.put(bins + 16 * nth, ring);
            made.put(bins + 16 * nth + 8, ring);
        }
        let behind = bins + 8 * (BINS + BITMAP);
        for (nth, word) in [next, 0, 1, 132 << 10, 132 << 10].into_iter().enumerate() {
            made.put(behind + 8 * nth as u64, word);
        }
    }

    const DATA: u64 = 0x7f10_0000_0000;
    const MAIN: u64 = DATA + 0xc60;
    const THREAD: u64 = 0x7f00_0400_0030;

    #[test]
    fn the_arenas_are_found_by_their_empty_bins() {
        for full in [0, 1, 120] {
            let mut made =
                Made(vec![(DATA, vec![0x5a; 16 << 10]), (THREAD & !0xfff, vec![0; 16 << 10])]);
            let top = 0x7f00_0400_2000;
            books(&mut made, MAIN, 0x5555_0000_1000, THREAD, full);
            books(&mut made, THREAD, top, MAIN, 0);
            for (nth, word) in [THREAD, 0, 132 << 10].into_iter().enumerate() {
                made.put((THREAD & !0xfff) + 8 * nth as u64, word);
            }
            let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
            let mut window = Window::new(&mut source);
            let found = arenas(&mut window, &[(1, 4096), (DATA, DATA + (16 << 10))], &mut || true);
            let places: Vec<_> = found.iter().map(|arena| (arena.at, arena.top)).collect();
            assert_eq!(places, [(MAIN, 0x5555_0000_1000), (THREAD, top)], "{full}");
            let end = (THREAD & !0xfff) + (132 << 10);
            let heap = Chain { start: 0x7f00_0400_08d0, end, top: Some(top), is_main: false };
            assert_eq!(found[1].heaps(&mut window, 9, &mut || true), [heap]);
            assert_eq!(found[1].heaps(&mut window, 0, &mut || true), []);
        }
    }

    #[test]
    fn a_ring_that_does_not_close_or_leads_astray_is_none() {
        for next in [THREAD, MAIN + 0x800, 0xffff_ffff_fff8] {
            let mut made = Made(vec![(DATA, vec![0; 16 << 10])]);
            books(&mut made, MAIN, 0x5555_0000_1000, next, 0);
            let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
            let mut window = Window::new(&mut source);
            assert_eq!(arenas(&mut window, &[(DATA, DATA + (16 << 10))], &mut || true), []);
        }
    }

    #[test]
    fn pieces_of_an_arena_that_lead_in_a_ring_are_counted_once() {
        let base = THREAD & !0xfff;
        let mut made = Made(vec![(base, vec![0; 4096])]);
        for (nth, word) in [THREAD, base, 132 << 10].into_iter().enumerate() {
            made.put(base + 8 * nth as u64, word);
        }
        let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
        let arena = Arena { at: THREAD, top: base + 4000, is_main: false, length: 0x898 };
        let heaps = arena.heaps(&mut Window::new(&mut source), MOST_HEAPS, &mut || true);
        assert_eq!(heaps.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn random_data_does_no_harm(words in proptest::collection::vec(proptest::prelude::any::<u64>(), 0..2000)) {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let made = Made(vec![(DATA, bytes)]);
            let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
            let mut left = 100_000;
            arenas(&mut Window::new(&mut source), &[(DATA, u64::MAX)], &mut || {
                left -= 1;
                left > 0
            });
        }
    }
}
