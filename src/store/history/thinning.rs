//! Thin: what becomes of samples as they age.
//!
//! The newest samples are kept as they are, older ones are joined two by two, then four by four
//! and so on. Of each process the smallest footprint is kept, which is exactly the floor that the
//! detector would have made of them: judging the joined samples gives what judging all of them
//! would have given, but for windows shorter than that.

use crate::core::model::ceiling::{Ceiling, MemoryFailure};
use crate::core::model::process::{Proc, ProcId};
use crate::core::model::sample::{Memory, Sample};
use std::collections::{BTreeMap, BTreeSet};

/// Samples kept of each age class, at least; twice as many are there before a class is thinned.
///
/// The detector's longest window has 24 blocks, and what it finds holds for half of that again. So
/// from 36 on every window of every level is made of the very floors that it would have had. More
/// than that serves those who live for a few samples only, and the pools that they make up.
pub const CLASS: usize = 64;

/// Age classes: their samples stand for 1, 2, 4, ... 64 intervals. At 5 min that is four weeks.
pub const CLASSES: u32 = 7;

/// Which of a series of samples are joined: the number of samples, oldest first, that each one that
/// is left is made of; 0 for one that is dropped. `classes` are theirs, oldest first.
pub fn plan(classes: &[u32]) -> Vec<usize> {
    // Each with its class and how many it is made of.
    let mut groups: Vec<(u32, usize)> = classes.iter().map(|class| (*class, 1)).collect();
    for class in 0..CLASSES {
        let of_class: Vec<usize> = (0..groups.len())
            .filter(|index| groups.get(*index).is_some_and(|(of, size)| *of == class && *size > 0))
            .collect();
        if of_class.len() < 2 * CLASS {
            continue;
        }
        let old = of_class.get(..of_class.len() - CLASS).unwrap_or_default();
        for pair in old.chunks_exact(2) {
            let [first, second] = pair else { continue };
            // Only neighbours: one of another class in between came with another interval.
            let between = groups.get(first + 1..*second).unwrap_or_default();
            if between.iter().any(|(_, size)| *size > 0) {
                continue;
            }
            let joined = groups.get(*first).map_or(0, |(_, size)| *size);
            if let Some(group) = groups.get_mut(*first) {
                *group = (class, 0);
            }
            if let Some(group) = groups.get_mut(*second) {
                *group = (class + 1, group.1 + joined);
            }
        }
    }
    // The oldest of the last class are forgotten.
    let left = groups.into_iter().filter(|(_, size)| *size > 0);
    left.flat_map(|(class, size)| match class {
        CLASSES.. => std::iter::repeat_n(0, size),
        _ => std::iter::repeat_n(size, 1),
    })
    .collect()
}

/// Joins two samples that follow each other, which stand for `spans` seconds, into the newer.
pub fn join(older: &Sample, newer: &mut Sample, spans: (f64, f64)) {
    let (old_s, new_s) = spans;
    let share = old_s / (old_s + new_s).max(f64::MIN_POSITIVE);
    newer.span_s = Some(old_s + new_s);
    newer.memory = mean_memory(&older.memory, &newer.memory, share);
    for ceiling in &mut newer.ceilings {
        let same = |of: &&Ceiling| {
            (of.kind, of.root, of.place) == (ceiling.kind, ceiling.root, ceiling.place)
        };
        if let Some(before) = older.ceilings.iter().find(same) {
            ceiling.used = mean(before.used, ceiling.used, share);
        }
    }
    for sign in &older.memory_failures {
        let same = |of: &&mut MemoryFailure| {
            (of.kind, of.ceiling, of.root, of.place)
                == (sign.kind, sign.ceiling, sign.root, sign.place)
        };
        match newer.memory_failures.iter_mut().find(same) {
            Some(later) => later.count = later.count.saturating_add(sign.count),
            None => newer.memory_failures.push(*sign),
        }
    }
    let earlier: BTreeMap<ProcId, &Proc> = older.procs.iter().map(|of| (of.id, of)).collect();
    for proc in &mut newer.procs {
        let Some(before) = earlier.get(&proc.id) else { continue };
        if before.footprint() < proc.footprint() {
            let Proc { rss, anon, swap, .. } = **before;
            *proc = Proc { rss, anon, swap, ..*proc };
        }
        proc.threads = proc.threads.min(before.threads);
    }
    // Recorded once only; those of processes that are gone by now are of no use any more.
    let Sample { procs, programs, .. } = newer;
    let living: BTreeSet<ProcId> = procs.iter().map(|proc| proc.id).collect();
    let known: BTreeSet<ProcId> = programs.iter().map(|program| program.id).collect();
    let is_missing = |id: &ProcId| living.contains(id) && !known.contains(id);
    programs.extend(older.programs.iter().filter(|of| is_missing(&of.id)).cloned());
}

fn mean_memory(older: &Memory, newer: &Memory, share: f64) -> Memory {
    let commit = newer.commit.map(|mut commit| {
        commit.used = older.commit.map_or(commit.used, |old| mean(old.used, commit.used, share));
        commit
    });
    Memory {
        available: mean(older.available, newer.available, share),
        swap_free: mean(older.swap_free, newer.swap_free, share),
        commit,
        ..*newer
    }
}

fn mean(older: u64, newer: u64, share: f64) -> u64 {
    (older as f64 * share + newer as f64 * (1.0 - share)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::{Comm, ProcId, Program};

    /// The classes of what is left.
    fn thinned(classes: &[u32]) -> Vec<u32> {
        let mut rest = classes;
        let mut left = Vec::new();
        for size in plan(classes) {
            let (now, later) = rest.split_at(size.max(1));
            rest = later;
            let spans: u32 = now.iter().map(|class| 1 << class).sum();
            left.extend((size > 0).then_some(spans.ilog2()));
        }
        assert!(rest.is_empty());
        left
    }

    #[test]
    fn few_samples_are_kept_as_they_are() {
        let classes = vec![0; 2 * CLASS - 1];
        assert_eq!(thinned(&classes), classes);
    }

    #[test]
    fn weeks_fit_into_some_hundred_samples_and_old_ones_only_are_joined() {
        let mut classes: Vec<u32> = Vec::new();
        let mut most = 0;
        for _ in 0..20_000 {
            classes.push(0);
            most = most.max(classes.len());
            if classes.iter().filter(|class| **class == 0).count() >= 2 * CLASS {
                classes = thinned(&classes);
            }
            assert!(classes.is_sorted_by(|old, new| old >= new));
        }
        assert!(most <= 3 * CLASS * CLASSES as usize, "{most} samples");
        let intervals: u64 = classes.iter().map(|class| 1_u64 << class).sum();
        assert!(intervals >= 28 * 288, "{intervals} intervals of 5 min are under four weeks");
        for class in 0..CLASSES {
            let count = classes.iter().filter(|of| **of == class).count();
            assert!(count >= CLASS, "{count} of class {class}");
        }
    }

    fn proc(pid: u32, anon: u64, swap: u64) -> Proc {
        let (id, comm) = (ProcId { pid, start: 1 }, Comm::new(b"x"));
        Proc { id, ppid: 1, comm, rss: anon + 7, anon: Some(anon), swap, cpu_s: 0.0, threads: 1 }
    }

    #[test]
    fn of_two_samples_the_floors_are_kept_and_the_mean_of_memory() {
        let program = |pid| Program { id: proc(pid, 0, 0).id, ..Program::unknown() };
        let memory = |available| Memory { total: 100, available, ..Memory::default() };
        let older = Sample {
            t: 1.0,
            memory: memory(10),
            procs: vec![proc(1, 50, 10), proc(2, 9, 0), proc(3, 1, 0)],
            programs: vec![program(1), program(3)],
            ..Sample::default()
        };
        let procs = vec![proc(1, 70, 0), proc(2, 8, 0), proc(4, 5, 0)];
        let mut newer = Sample { t: 2.0, memory: memory(20), procs, ..Sample::default() };
        join(&older, &mut newer, (1.0, 1.0));
        assert_eq!((newer.t, newer.span_s, newer.memory.available), (2.0, Some(2.0), 15));
        assert_eq!(newer.procs, [proc(1, 50, 10), proc(2, 8, 0), proc(4, 5, 0)]);
        assert_eq!(newer.programs, [program(1)]);
    }
}
