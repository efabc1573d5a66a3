//! Rewrite: a history that became too much, thinned and with its interval renewed.

use super::lines::{BUFFER, HistoryLines};
use super::lock::open;
use super::thinning::{self, CLASS};
use super::{CheckHistory, HistoryEntry, is_between, line};
use crate::core::model::sample::Sample;
use anyhow::{Result, ensure};
use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};

/// Newest intervals whose median is the interval.
const INTERVALS: usize = 12;

/// A median that differs by this factor from the header's interval takes its place.
const OTHER: f64 = 1.4;

/// Samples that follow each other and are joined.
struct Joining {
    samples: usize,
    keep: bool,
}

impl CheckHistory {
    /// The interval at which samples come now.
    fn interval_s(&self) -> f64 {
        let planned_s = self.header.interval_s;
        let mut newest = Vec::with_capacity(INTERVALS);
        let mut checks = self.entries.iter().rev().filter(|entry| !entry.is_between).peekable();
        while newest.len() < INTERVALS
            && let Some(last) = checks.next()
            && let Some(then) = checks.peek()
        {
            if last.span_s < OTHER * planned_s {
                newest.push(last.t - then.t);
            }
        }
        newest.sort_by(f64::total_cmp);
        let median = newest.get(newest.len() / 2).filter(|_| newest.len() > 2);
        let other = |median: &&f64| !(1.0 / OTHER..OTHER).contains(&(**median / planned_s));
        median.filter(other).copied().unwrap_or(planned_s)
    }

    pub(super) fn is_too_much(&self, size: u64) -> bool {
        let interval_s = self.interval_s();
        let young = self.entries.iter().filter(|entry| entry.class(interval_s) == 0);
        interval_s != self.header.interval_s || self.whole > size || young.count() >= 2 * CLASS
    }

    /// Writes it anew: thinned, with the interval at which samples come now; and where that is
    /// more than `size`, without the oldest, so that a quarter is free.
    pub(super) fn rewrite(&mut self, size: u64) -> Result<()> {
        let planned_s = self.header.interval_s;
        let interval_s = self.interval_s();
        self.header.interval_s = interval_s;
        let classes: Vec<u32> = self.entries.iter().map(|entry| entry.class(interval_s)).collect();
        let groups = self.without_the_oldest(thinning::plan(&classes), size);
        let mut lines = HistoryLines::open(&self.path)?;
        let mut known = std::mem::take(&mut self.entries).into_iter();
        let new = self.path.with_extension("jsonl.new");
        // Left by a run that was killed; whatever it is, it is not written through.
        let _ = fs::remove_file(&new);
        let file = open(OpenOptions::new().create_new(true), &new).map_err(|e| self.refused(&e))?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let mut text = Vec::new();
        self.write_header(&mut text)?;
        out.write_all(&text).map_err(|e| self.refused(&e))?;
        self.whole = text.len() as u64;
        let [mut joined, mut next] = [(); 2].map(|()| Sample::default());
        let [mut past, mut next_past] = [Vec::new(), Vec::new()];
        for Joining { samples, keep } in groups {
            let mut span_s = 0.0;
            for entry in known.by_ref().take(samples) {
                ensure!(lines.next(&mut next, &mut next_past)?, "the history changed under way");
                if span_s > 0.0 {
                    thinning::join(&joined, &mut next, (span_s, entry.span_s));
                    past.append(&mut next_past);
                } else {
                    std::mem::swap(&mut past, &mut next_past);
                }
                span_s += entry.span_s;
                std::mem::swap(&mut joined, &mut next);
            }
            // One that came at a longer interval than is usual now must say so.
            if samples == 1 && planned_s != interval_s && span_s >= OTHER * interval_s {
                joined.span_s = Some(span_s);
            }
            if !keep {
                continue;
            }
            text.clear();
            line::write(&mut text, &joined, &past)?;
            out.write_all(&text).map_err(|e| self.refused(&e))?;
            let bytes = text.len() as u64;
            self.whole += bytes;
            let is_between = is_between(&joined, interval_s);
            self.entries.push(HistoryEntry { t: joined.t, span_s, bytes, is_between });
        }
        // Synced, because after a power cut a rename may outlive the data. That is once in 64 checks.
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_data())
            .and_then(|()| fs::rename(&new, &self.path))
            .map_err(|e| self.refused(&e))
    }

    /// The groups that are joined, and which are kept.
    fn without_the_oldest(&self, sizes: Vec<usize>, size: u64) -> Vec<Joining> {
        let mut entries = self.entries.iter();
        let mut bytes = Vec::new();
        for samples in &sizes {
            // The newer one's line, and what the older ones tell of programs, which is little.
            bytes.push(entries.by_ref().take((*samples).max(1)).last().map_or(0, |e| e.bytes));
        }
        let all: u64 = bytes.iter().sum();
        let mut spare = if all > size { all - size / 4 * 3 } else { 0 };
        let group = |(samples, bytes): (usize, u64)| {
            let keep = samples > 0 && spare == 0;
            spare = spare.saturating_sub(bytes);
            Joining { samples: samples.max(1), keep }
        };
        sizes.into_iter().zip(bytes).map(group).collect()
    }
}
