//! What uses memory up below a ceiling where no process explains it: file systems in memory, kernel
//! memory, network buffers.

use crate::core::model::ceiling::Place;
use crate::core::model::event::Cause;
use crate::core::model::memory_line::{LineKind, Nature};
use crate::core::model::sample::MemoryUse;
use crate::core::model::units::MIB;

/// Uses that are followed, the machine's first.
const MOST: usize = 256;
/// Points kept of each; when they are full, every second one goes.
const POINTS: usize = 64;
/// A cause explains this share of what the ceiling loses, and has grown by so much.
const SHARE: f64 = 0.5;
const LEAST: f64 = (4 * MIB) as f64;

/// The uses of memory over time.
#[derive(Default)]
pub struct UseHistory {
    series: Vec<UseSeries>,
    last_t: Option<f64>,
}

struct UseSeries {
    place: Place,
    kind: LineKind,
    part: Place,
    points: Vec<(f64, u64)>,
    /// One sample in so many is kept.
    every: u32,
    skipped: u32,
    last: (f64, u64),
}

impl UseHistory {
    /// Takes in the uses of a sample at time `t`. Allocates only for what is new.
    pub fn observe(&mut self, t: f64, uses: &[MemoryUse]) {
        for (nth, of) in uses.iter().enumerate() {
            // Mostly they come in the same order.
            let is_it = |series: &UseSeries| series.is_of(of);
            let known = self.series.get(nth).is_some_and(is_it).then_some(nth);
            match known.or_else(|| self.series.iter().position(is_it)) {
                Some(index) => self.series[index].push(t, of.bytes),
                None if self.series.len() < MOST => {
                    let mut series = UseSeries::new(of);
                    // What was not there before was 0.
                    let is_place_known = self.series.iter().any(|known| known.place == of.place);
                    if let Some(before_t) = self.last_t.filter(|_| is_place_known) {
                        series.push(before_t, 0);
                    }
                    series.push(t, of.bytes);
                    self.series.push(series);
                }
                None => {}
            }
        }
        self.series.retain(|series| series.last.0 >= t);
        self.last_t = Some(t);
    }

    /// What uses up the memory at a place, of which `slope` bytes a second are lost since
    /// `window_s` seconds. Memory of processes is a cause as well: of such that are not judged.
    pub fn cause(&self, place: Place, window_s: f64, slope: f64) -> Option<Cause> {
        let from_t = self.last_t? - window_s;
        let of_place = || self.series.iter().filter(|series| series.place == place);
        let wholes = of_place().filter(|series| series.part.is_none());
        let causes = wholes.filter_map(|whole| {
            let (rate, span_s) = whole.rate(from_t)?;
            let parts =
                || of_place().filter(|part| part.kind == whole.kind && !part.part.is_none());
            let rates = parts().filter_map(|part| Some((part.rate(from_t)?.0, part.part)));
            // What of a part was swapped out is no longer in the whole.
            let sum = rates.clone().map(|(rate, _)| rate).sum::<f64>();
            let rate = rate.max(sum);
            let largest = rates.max_by(|a, b| a.0.total_cmp(&b.0));
            let part = largest.filter(|(of, _)| *of >= SHARE * rate);
            let part = part.map_or(Place::NONE, |(_, part)| part);
            let is_enough = rate >= SHARE * slope && rate * span_s >= LEAST;
            is_enough.then_some(Cause { kind: whole.kind, part, rate })
        });
        let is_lasting =
            |cause: &Cause| !matches!(cause.kind.nature(), Nature::Reclaimable | Nature::Free);
        causes.filter(is_lasting).max_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

impl UseSeries {
    fn new(of: &MemoryUse) -> Self {
        let MemoryUse { place, kind, part, .. } = *of;
        let points = Vec::with_capacity(POINTS);
        Self { place, kind, part, points, every: 1, skipped: 0, last: (0.0, 0) }
    }

    fn is_of(&self, of: &MemoryUse) -> bool {
        (self.kind, self.place, self.part) == (of.kind, of.place, of.part)
    }

    fn push(&mut self, t: f64, bytes: u64) {
        self.last = (t, bytes);
        self.skipped += 1;
        if self.skipped < self.every && !self.points.is_empty() {
            return;
        }
        self.skipped = 0;
        if self.points.len() >= POINTS {
            let mut nth = 0;
            self.points.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.every = self.every.saturating_mul(2);
        }
        self.points.push((t, bytes));
    }

    /// Bytes a second since that time, or since it is known; and for how long.
    fn rate(&self, from_t: f64) -> Option<(f64, f64)> {
        let before = self.points.iter().rev().find(|(t, _)| *t <= from_t);
        let (first_t, first) = *before.or_else(|| self.points.first())?;
        let span_s = self.last.0 - first_t;
        (span_s > 0.0).then(|| ((self.last.1 as f64 - first as f64) / span_s, span_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: LineKind, part: &str, bytes: u64) -> MemoryUse {
        let part = if part.is_empty() { Place::NONE } else { Place::new(part) };
        MemoryUse { place: Place::NONE, kind, part, bytes }
    }

    /// What explains a loss of 1 MiB/s over `window_s` seconds, of uses that grow by so many MiB/s.
    fn cause(uses: &[(LineKind, &str, f64)], window_s: f64) -> Option<Cause> {
        let mut history = UseHistory::default();
        for second in 0..600 {
            let now = uses.iter().map(|(kind, part, rate)| {
                of(*kind, part, (MIB as f64 * (100.0 + rate * f64::from(second))) as u64)
            });
            history.observe(f64::from(second), &now.collect::<Vec<_>>());
        }
        history.cause(Place::NONE, window_s, MIB as f64)
    }

    #[test]
    fn what_grows_most_is_named_with_its_part() {
        use LineKind::{Anonymous, PageCache, SharedMemory, SlabUnreclaimable};
        let uses = [
            (Anonymous, "", 0.1),
            (SharedMemory, "", 0.9),
            (SlabUnreclaimable, "", 0.0),
            (PageCache, "", 5.0),
            (SharedMemory, "tmpfs /dev/shm", 0.0),
            (SharedMemory, "tmpfs /run/shop", 0.8),
        ];
        let found = cause(&uses, 120.0).unwrap();
        assert_eq!((found.kind, found.part), (SharedMemory, Place::new("tmpfs /run/shop")));
        assert!((found.rate / MIB as f64 - 0.9).abs() < 0.05, "{found:?}");
        assert_eq!(cause(&uses[..1], 120.0), None, "a tenth explains nothing");
    }

    #[test]
    fn what_was_swapped_out_still_counts_as_part_of_a_mount() {
        let uses = [(LineKind::SharedMemory, "", 0.0), (LineKind::SharedMemory, "tmpfs /tmp", 1.0)];
        assert_eq!(cause(&uses, 60.0).unwrap().part, Place::new("tmpfs /tmp"));
    }

    #[test]
    fn what_appears_has_grown_from_nothing_and_what_goes_is_forgotten() {
        let mut history = UseHistory::default();
        history.observe(1.0, &[of(LineKind::Anonymous, "", MIB)]);
        let both = [of(LineKind::Anonymous, "", MIB), of(LineKind::Sockets, "", 64 * MIB)];
        history.observe(2.0, &both);
        let found = history.cause(Place::NONE, 60.0, MIB as f64);
        assert_eq!(found.map(|cause| cause.kind), Some(LineKind::Sockets));
        history.observe(3.0, &both[..1]);
        assert_eq!(history.cause(Place::NONE, 60.0, MIB as f64), None);
        assert_eq!(history.cause(Place::new("/web"), 60.0, MIB as f64), None);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut history = UseHistory::default();
        for second in 0..5000 {
            let uses: Vec<_> =
                (0..400).map(|nth| of(LineKind::SharedMemory, &format!("{nth}"), 1)).collect();
            history.observe(f64::from(second), &uses);
        }
        assert_eq!(history.series.len(), MOST);
        assert!(history.series.iter().all(|series| series.points.len() <= POINTS));
    }
}
