//! Parents that do not wait for their children: each child stays a zombie, which holds a pid and a
//! task of every limit on tasks, and no memory.

use super::{Listing, Seen};
use crate::core::balance::trend::{LineGrowth, Trend};
use crate::core::model::event::SOON_S;
use crate::core::model::process::{Comm, ProcId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Parents that are told apart.
const MOST_PARENTS: usize = 1024;
/// Zombies that stayed for the whole look, from which on a parent is told, ...
const LEAST_LASTING: u32 = 20;
/// ... and from which on it is a finding by itself.
const MANY: u32 = 100;
/// A number that rises by less than this is none.
const LEAST_RISE: f64 = 4.0;
/// Share of a limit on tasks that zombies take, from which on it is a finding.
const LARGE_SHARE: f64 = 0.1;

/// A parent with the zombies that it has not waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreaped {
    /// The parent.
    pub parent: ProcId,
    /// Its command name.
    pub comm: Comm,
    /// Its zombies.
    pub zombies: u32,
    /// How many of them were there in the first listing already.
    pub lasting: u32,
    /// How their number moves; none of one listing.
    pub trend: Option<Trend>,
    /// What their command names are, most often first, as far as there are few.
    pub children: Vec<Comm>,
}

impl Unreaped {
    /// Whether their number rises.
    pub fn grows(&self) -> bool {
        self.trend.is_some_and(|t| t.growth > LineGrowth::None && t.rise >= LEAST_RISE)
    }

    /// Zombies a second.
    pub fn rate(&self) -> f64 {
        self.trend.map_or(0.0, |trend| trend.rate)
    }

    /// Seconds until so many tasks that are left are used up; none if their number does not rise.
    pub fn lasts_s(&self, tasks_left: Option<u64>) -> Option<f64> {
        let left = tasks_left.filter(|_| self.grows() && self.rate() > 0.0)?;
        Some(left as f64 / self.rate())
    }

    /// Whether it endangers a limit on tasks of which so many are left, or is beyond any neglect.
    pub fn is_finding(&self, tasks: Option<(u64, u64)>) -> bool {
        let (left, limit) = tasks.unzip();
        let soon = self.lasts_s(left).is_some_and(|lasts_s| lasts_s < SOON_S);
        let share = limit.map_or(0.0, |limit| f64::from(self.lasting) / (limit as f64).max(1.0));
        soon || self.lasting >= MANY || (self.lasting >= LEAST_LASTING && share >= LARGE_SHARE)
    }
}

/// The zombies of each parent over time.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    listings: usize,
    parents: BTreeMap<ProcId, Parent>,
    /// Those of the first listing.
    first: BTreeSet<ProcId>,
}

#[derive(Debug)]
struct Parent {
    comm: Comm,
    counts: Vec<u32>,
    lasting: u32,
    children: Vec<(Comm, u32)>,
}

impl Waiting {
    pub(super) fn push(&mut self, listing: &Listing, by_pid: &HashMap<u32, &Seen>) {
        let nth = self.listings;
        self.listings += 1;
        for parent in self.parents.values_mut() {
            parent.lasting = 0;
            parent.children.clear();
        }
        for zombie in listing.procs.iter().filter(|seen| seen.is_zombie) {
            if nth == 0 {
                self.first.insert(zombie.id);
            }
            let Some(seen) = by_pid.get(&zombie.ppid) else { continue };
            if self.parents.len() >= MOST_PARENTS && !self.parents.contains_key(&seen.id) {
                continue;
            }
            let parent = self.parents.entry(seen.id).or_insert_with(|| Parent {
                comm: seen.comm,
                counts: Vec::new(),
                lasting: 0,
                children: Vec::new(),
            });
            parent.comm = seen.comm;
            parent.counts.resize(nth + 1, 0);
            if let Some(count) = parent.counts.last_mut() {
                *count += 1;
            }
            parent.lasting += u32::from(self.first.contains(&zombie.id));
            let known = parent.children.len();
            match parent.children.iter_mut().find(|(comm, _)| *comm == zombie.comm) {
                Some((_, count)) => *count += 1,
                None if known < 16 => parent.children.push((zombie.comm, 1)),
                None => {}
            }
        }
        self.parents.values_mut().for_each(|parent| parent.counts.resize(nth + 1, 0));
        // A parent without zombies is none, and one that is gone has left them to init.
        self.parents.retain(|id, _| by_pid.get(&id.pid).is_some_and(|seen| seen.id == *id));
    }

    pub(super) fn unreaped(&self, trend: impl Fn(&[u32]) -> Option<Trend>) -> Vec<Unreaped> {
        let told = |(id, parent): (&ProcId, &Parent)| {
            let Parent { comm, counts, lasting, children } = parent;
            let mut children = children.clone();
            children.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let unreaped = Unreaped {
                parent: *id,
                comm: *comm,
                zombies: *counts.last()?,
                lasting: *lasting,
                trend: trend(counts),
                children: children.into_iter().take(3).map(|(comm, _)| comm).collect(),
            };
            (unreaped.grows() || unreaped.lasting >= LEAST_LASTING).then_some(unreaped)
        };
        let mut all: Vec<Unreaped> = self.parents.iter().filter_map(told).collect();
        all.sort_by_key(|unreaped| std::cmp::Reverse(unreaped.zombies));
        all
    }
}
