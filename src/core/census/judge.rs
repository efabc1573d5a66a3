//! Judge: what several censuses of one process say of its growth: does it use ever more, or does malloc
//! keep what the program freed?

use super::{Allocator, Census, SizeClass};
use crate::core::model::units::{KIB, MIB};
use std::collections::BTreeMap;

/// Growth below this is not worth a word.
const LEAST: u64 = 64 * KIB;
/// Free bytes below this are not worth a cure, and neither are those below a third of the footprint.
const LEAST_IDLE: u64 = 4 * MIB;
/// The first and the last looks, so many each, are compared: a request that is being handled at one of
/// them is no growth.
const COMPARED: usize = 2;
/// Sizes that are named.
const MOST_NAMED: usize = 4;
/// Setups in which the main heap and few others are in use.
const FEW_ARENAS: u32 = 2;

/// Why a process grew, or holds what it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum GrowthCause {
    /// What the program has in use grows: a leak, unless a cache still fills.
    Leak,
    /// The allocator keeps what the program freed.
    Kept(Cure),
    /// It cannot be told.
    Unknown(Unknown),
}

impl GrowthCause {
    /// Its name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Kept(_) => "kept-by-the-allocator",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What makes the allocator give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Fewer heaps of threads.
    FewerArenas,
    /// A lower bound for what is kept on top, and large blocks with a mapping each.
    TrimThreshold,
    /// An allocator that gives back whole pages wherever they are.
    OtherAllocator,
    /// None: what is free is in pieces smaller than a page between blocks in use.
    None,
}

impl Cure {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::FewerArenas => "fewer-arenas",
            Self::TrimThreshold => "trim-threshold",
            Self::OtherAllocator => "other-allocator",
            Self::None => "none",
        }
    }
}

/// Why the cause cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is a 32-bit program.
    NotWide,
    /// It has no heap of glibc's malloc; what else manages its memory, where that is known.
    NoHeap(Option<Allocator>),
    /// Most of what grew, or of what it holds, is outside of malloc's heaps.
    Elsewhere(Option<Allocator>),
    /// Much of its heap is swapped out, or could not be understood.
    Unreadable,
    /// There was one look, and little is free.
    OneLook,
    /// It did not grow, and little is free.
    NotGrown,
    /// It grew in no steady way.
    Unsteady,
}

/// Blocks of one size that became more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Bytes of each, with its header.
    pub size: u64,
    /// How many more there are.
    pub blocks: u32,
}

impl Grown {
    /// Bytes of them all.
    pub fn bytes(self) -> u64 {
        self.size.saturating_mul(self.blocks.into())
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct CensusFinding {
    /// Why.
    pub cause: GrowthCause,
    /// By how many bytes the footprint changed.
    pub footprint: i64,
    /// By how many bytes the blocks in use changed, from the least of the first looks to the least of
    /// the last ones.
    pub in_use: i64,
    /// By how many bytes the rest of its private memory changed.
    pub elsewhere: i64,
    /// The sizes of which there are steadily more, the most bytes first.
    pub grown: Vec<Grown>,
}

/// Censuses of one process, in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    all: Vec<Census>,
}

impl Looks {
    /// Takes in another.
    pub fn push(&mut self, census: Census) {
        self.all.push(census);
    }

    /// The last one.
    pub fn last(&self) -> Option<&Census> {
        self.all.last()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What they say; nothing where there is none.
    pub fn judge(&self) -> Option<CensusFinding> {
        let (first, last) = (self.all.first()?, self.all.last()?);
        let change = |of: fn(&Census) -> u64| of(last).cast_signed() - of(first).cast_signed();
        let (early, late) = self.compared();
        let least = |of: &[Census]| of.iter().map(|c| c.in_use).min().unwrap_or(0).cast_signed();
        let steady = self.steady();
        let mut finding = CensusFinding {
            cause: GrowthCause::Leak,
            footprint: change(|census| census.footprint),
            in_use: least(late) - least(early),
            elsewhere: change(Census::elsewhere),
            grown: self.grown(&steady),
        };
        finding.cause = self.cause(last, &finding, steady.values().sum());
        Some(finding)
    }

    /// The first and the last looks; the only one stands on neither side.
    fn compared(&self) -> (&[Census], &[Census]) {
        let many = self.all.len();
        let side = (many / 2).min(COMPARED);
        let (early, _) = self.all.split_at(side);
        let (_, late) = self.all.split_at(many - side);
        (early, late)
    }

    fn cause(&self, last: &Census, finding: &CensusFinding, steady: u64) -> GrowthCause {
        let known = last.allocators.first().copied();
        let replaced = last.allocators.iter().copied().find(|other| other.replaces_malloc());
        if !last.is_wide {
            return GrowthCause::Unknown(Unknown::NotWide);
        }
        if last.arenas == 0 || (replaced.is_some() && last.elsewhere() > last.in_heaps) {
            return GrowthCause::Unknown(Unknown::NoHeap(replaced.or(known)));
        }
        if last.lost > last.in_heaps / 10 || !last.is_whole {
            return GrowthCause::Unknown(Unknown::Unreadable);
        }
        let elsewhere = u64::try_from(finding.elsewhere).unwrap_or(0);
        // What grows inside of what was kept is a leak too, though the footprint stays.
        if steady >= LEAST && finding.in_use.cast_unsigned() >= steady / 2 && finding.in_use > 0 {
            return match elsewhere > steady {
                true => GrowthCause::Unknown(Unknown::Elsewhere(known)),
                false => GrowthCause::Leak,
            };
        }
        let footprint = u64::try_from(finding.footprint).unwrap_or(0);
        if elsewhere >= LEAST && elsewhere > footprint / 2 {
            return GrowthCause::Unknown(Unknown::Elsewhere(known));
        }
        let idle = last.idle_in_memory();
        if idle >= LEAST_IDLE && idle > last.footprint / 3 {
            return GrowthCause::Kept(cure(last));
        }
        GrowthCause::Unknown(match self.all.len() {
            _ if last.elsewhere() > last.footprint / 2 => Unknown::Elsewhere(known),
            1 => Unknown::OneLook,
            _ if footprint >= LEAST => Unknown::Unsteady,
            _ => Unknown::NotGrown,
        })
    }

    /// Bytes by which groups of sizes grew steadily: more at each of the last looks than at any of the
    /// first ones, by more than twice the largest drop in between.
    fn steady(&self) -> BTreeMap<u32, u64> {
        let groups: Vec<_> = self.all.iter().map(|census| groups(&census.sizes)).collect();
        let mut steady = BTreeMap::new();
        let many = self.compared().0.len();
        let Some(last) = groups.last() else { return steady };
        for group in last.keys() {
            let bytes = |of: &BTreeMap<u32, u64>| of.get(group).copied().unwrap_or(0);
            let all: Vec<u64> = groups.iter().map(bytes).collect();
            let most = all.iter().take(many).max().copied().unwrap_or(0);
            let least = all.iter().rev().take(many).min().copied().unwrap_or(0);
            let drops = all.iter().zip(all.iter().skip(1)).map(|(a, b)| a.saturating_sub(*b));
            let grew = least.saturating_sub(most);
            if grew > 0 && grew > 2 * drops.max().unwrap_or(0) {
                steady.insert(*group, grew);
            }
        }
        steady
    }

    /// The sizes of the groups that grew steadily.
    fn grown(&self, steady: &BTreeMap<u32, u64>) -> Vec<Grown> {
        let (Some(first), Some(last)) = (self.all.first(), self.all.last()) else {
            return Vec::new();
        };
        let before = |size: u64| {
            let found = first.sizes.binary_search_by_key(&size, |class| class.size).ok();
            found.and_then(|index| first.sizes.get(index)).map_or(0, |class| class.count)
        };
        let more = |class: &SizeClass| {
            let blocks = class.count.saturating_sub(before(class.size));
            let is_of = blocks > 0 && steady.contains_key(&group(class.size));
            is_of.then_some(Grown { size: class.size, blocks })
        };
        let mut grown: Vec<Grown> = last.sizes.iter().filter_map(more).collect();
        grown.sort_by_key(|grown| std::cmp::Reverse(grown.bytes()));
        grown.truncate(MOST_NAMED);
        grown
    }
}

/// Four groups of sizes for each power of two: a leak of strings has many sizes.
fn group(size: u64) -> u32 {
    let power = size.max(4).ilog2();
    4 * power + (size >> (power - 2) & 3) as u32
}

/// Bytes in use by groups of sizes.
fn groups(sizes: &[SizeClass]) -> BTreeMap<u32, u64> {
    let mut groups = BTreeMap::new();
    for class in sizes {
        let bytes: &mut u64 = groups.entry(group(class.size)).or_default();
        *bytes = bytes.saturating_add(class.size.saturating_mul(class.count.into()));
    }
    groups
}

fn cure(census: &Census) -> Cure {
    let (idle, spare) = (census.idle(), census.spare());
    match census.arenas > FEW_ARENAS {
        true if census.free_in_threads > idle / 2 => Cure::FewerArenas,
        _ if spare < idle / 2 => Cure::None,
        _ if census.top > idle / 2 => Cure::TrimThreshold,
        _ => Cure::OtherAllocator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A census of a heap with these blocks in use, and with so many MiB free in it.
    fn census(sizes: &[(u64, u32)], free: u64, elsewhere: u64) -> Census {
        let sizes: Vec<_> =
            sizes.iter().map(|(size, count)| SizeClass { size: *size, count: *count }).collect();
        let in_use = sizes.iter().map(|class| class.size * u64::from(class.count)).sum();
        let free = free * MIB;
        Census {
            footprint: in_use + free + elsewhere * MIB,
            in_heaps: in_use + free,
            in_use,
            free,
            whole_pages: free,
            arenas: 1,
            is_whole: true,
            is_wide: true,
            sizes,
            ..Census::default()
        }
    }

    fn judge(all: impl IntoIterator<Item = Census>) -> CensusFinding {
        let mut looks = Looks::default();
        all.into_iter().for_each(|census| looks.push(census));
        looks.judge().unwrap()
    }

    #[test]
    fn steadily_more_blocks_of_one_size_are_a_leak_and_named() {
        let finding = judge((0..5).map(|n| census(&[(64, 900), (2016, 1000 + n * 100)], 1, 1)));
        assert_eq!(finding.cause, GrowthCause::Leak);
        assert_eq!(finding.grown, [Grown { size: 2016, blocks: 400 }]);
        assert_eq!((finding.in_use, finding.elsewhere), (300 * 2016, 0));
    }

    #[test]
    fn a_leak_into_memory_that_was_kept_is_one_too() {
        let finding = judge((0..5).map(|n| census(&[(1 << 20, n as u32)], 40 - n, 0)));
        assert_eq!((finding.cause, finding.footprint), (GrowthCause::Leak, 0));
    }

    #[test]
    fn a_leak_of_many_sizes_is_a_leak_beside_requests_that_come_and_go() {
        let blocks = |n: u32| {
            let strings = (0..40).map(|size| (2048 + 16 * size, 100 + n));
            strings.chain([(1 << 20, n * 7 % 5)]).collect::<Vec<_>>()
        };
        let finding = judge((0..7).map(|n| census(&blocks(n), 1, 1)));
        assert_eq!(finding.cause, GrowthCause::Leak);
        assert!(finding.grown.iter().all(|grown| grown.size < 4096), "{:?}", finding.grown);
    }

    #[test]
    fn what_comes_and_goes_is_no_leak_however_the_looks_fall() {
        for order in [[1, 5, 2, 4, 3], [1, 2, 5, 3, 4], [2, 1, 3, 5, 4], [5, 4, 3, 2, 1]] {
            let finding = judge(order.map(|n| census(&[(65_552, 20 * n)], 0, 0)));
            assert_ne!(finding.cause, GrowthCause::Leak, "{order:?}");
        }
    }

    #[test]
    fn free_memory_in_the_heap_is_kept_by_the_allocator_and_has_a_cure() {
        let kept = |change: fn(&mut Census)| {
            let mut one = census(&[(64, 40_000)], 29, 1);
            change(&mut one);
            judge([one]).cause
        };
        assert_eq!(kept(|_| {}), GrowthCause::Kept(Cure::OtherAllocator));
        assert_eq!(kept(|c| c.whole_pages = 9), GrowthCause::Kept(Cure::None));
        assert_eq!(kept(|c| (c.top, c.free) = (c.free, 0)), GrowthCause::Kept(Cure::TrimThreshold));
        assert_eq!(
            kept(|c| (c.arenas, c.free_in_threads) = (9, c.free)),
            GrowthCause::Kept(Cure::FewerArenas)
        );
    }

    #[test]
    fn what_cannot_be_told_has_its_reason() {
        let why = |change: fn(&mut Census)| {
            let mut one = census(&[(64, 40_000)], 1, 1);
            change(&mut one);
            judge([one]).cause
        };
        let unknown = GrowthCause::Unknown;
        assert_eq!(why(|_| {}), unknown(Unknown::OneLook));
        assert_eq!(why(|c| c.is_wide = false), unknown(Unknown::NotWide));
        assert_eq!(why(|c| c.lost = c.in_heaps), unknown(Unknown::Unreadable));
        assert_eq!(why(|c| c.arenas = 0), unknown(Unknown::NoHeap(None)));
        let go = |c: &mut Census| {
            c.allocators = vec![Allocator::Go];
            c.footprint *= 9;
        };
        assert_eq!(why(go), unknown(Unknown::Elsewhere(Some(Allocator::Go))));
        let still = || census(&[(64, 40_000)], 1, 1);
        assert_eq!(judge([still(), still()]).cause, unknown(Unknown::NotGrown));
        let grows = (0..5).map(|n| census(&[(64, 40_000)], 1, 9 + n));
        assert_eq!(judge(grows).cause, unknown(Unknown::Elsewhere(None)));
        assert_eq!(Looks::default().judge(), None);
    }
}
