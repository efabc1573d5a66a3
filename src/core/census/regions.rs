//! Regions: what a process has mapped, and by which names the allocators among it are known.

use super::allocator::{self, Allocator};

/// Regions that are looked at. The kernel allows 65 530 (vm.max_map_count) unless that was raised.
const MOST: usize = 100_000;
/// No process has memory above this address (56 bits of five-level page tables).
const HIGHEST: u64 = 1 << 56;
/// Below this address all of a 32-bit process lies.
const FOUR_GIB: u64 = 1 << 32;

/// What backs a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// The heap that brk moves.
    Heap,
    /// Nothing: it was mapped for memory.
    Anonymous,
    /// The data of the C library.
    Libc,
    /// The data of the program itself.
    Program,
    /// Something else: code, other libraries, the stack.
    Other,
}

/// A mapped region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) backing: Backing,
    /// Bytes of it that only the exit of the process gives back: in RAM and not of a file, or swapped.
    pub(super) footprint: u64,
    /// Of these, swapped.
    pub(super) swapped: u64,
}

/// What a process has mapped, as /proc/PID/smaps tells it.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    pub(super) all: Vec<Region>,
    pub(super) allocators: Vec<Allocator>,
    pub(super) is_wide: bool,
    program: String,
    is_of_current: bool,
}

impl Regions {
    /// Those of a process whose executable is this file.
    pub fn of(program: &str) -> Self {
        let allocators = allocator::of_program(program).into_iter().collect();
        Self { program: program.to_owned(), allocators, ..Self::default() }
    }

    /// Takes in a line. Of lines that are none of smaps nothing is taken.
    pub fn line(&mut self, line: &str) {
        if let Some((name, rest)) = line.split_once(':')
            && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        {
            return self.figure(name, rest);
        }
        self.is_of_current = false;
        let Some(region) = self.head(line) else { return };
        self.is_wide |= region.start >= FOUR_GIB;
        if self.all.len() < MOST {
            self.all.push(region);
            self.is_of_current = true;
        }
    }

    fn figure(&mut self, name: &str, rest: &str) {
        let is_swap = name == "Swap";
        let (true, Some(region)) = (self.is_of_current, self.all.last_mut()) else { return };
        if !is_swap && name != "Anonymous" {
            return;
        }
        let kib = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let bytes = kib.unwrap_or(0).saturating_mul(1024).min(region.end - region.start);
        region.footprint = region.footprint.saturating_add(bytes);
        if is_swap {
            region.swapped = bytes;
        }
    }

    /// "7f3b1c000000-7f3b1c021000 rw-p 00000000 00:00 0                 [heap]"
    fn head(&mut self, line: &str) -> Option<Region> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        let mode = words.next()?;
        let name = words.nth(3).unwrap_or("").trim();
        if let Some(found) = allocator::of_mapping(name, start)
            && !self.allocators.contains(&found)
        {
            self.allocators.push(found);
        }
        let backing = match mode.starts_with("rw") && mode.ends_with('p') {
            true => self.backing(name),
            false => Backing::Other,
        };
        (start < end && end <= HIGHEST).then_some(Region {
            start,
            end,
            backing,
            footprint: 0,
            swapped: 0,
        })
    }

    fn backing(&self, name: &str) -> Backing {
        let base = name.rsplit('/').next().unwrap_or(name);
        match name {
            "" => Backing::Anonymous,
            "[heap]" => Backing::Heap,
            _ if name.starts_with("[anon:") => Backing::Anonymous,
            _ if name.starts_with('[') => Backing::Other,
            _ if base.starts_with("libc.so") || base.starts_with("libc-2") => Backing::Libc,
            _ if name == self.program => Backing::Program,
            _ => Backing::Other,
        }
    }

    /// Where the C library's own variables may be: in its data, or in a static program's.
    pub(super) fn data(&self) -> Vec<(u64, u64)> {
        let of = |wanted: Backing| {
            let all = self.all.iter().filter(move |region| region.backing == wanted);
            all.map(|region| (region.start, region.end)).collect::<Vec<_>>()
        };
        Some(of(Backing::Libc))
            .filter(|all| !all.is_empty())
            .unwrap_or_else(|| of(Backing::Program))
    }

    /// The region at an address with those that adjoin it and have the same backing: a fork splits
    /// what was one.
    pub(super) fn around(&self, at: u64) -> Option<(u64, u64, Backing)> {
        let inside = |region: &Region| (region.start..region.end).contains(&at);
        let index = self.all.iter().position(inside)?;
        let (before, behind) = self.all.split_at(index);
        let Region { mut start, mut end, backing, .. } = *behind.first()?;
        for region in before.iter().rev() {
            if region.end != start || region.backing != backing {
                break;
            }
            start = region.start;
        }
        for region in behind.iter().skip(1) {
            if region.start != end || region.backing != backing {
                break;
            }
            end = region.end;
        }
        Some((start, end, backing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Anonymous:            96 kB
Swap:                 12 kB
VmFlags: rd wr mr mw me ac
55d0c0021000-55d0c0042000 rw-p 00000000 00:00 0                          [heap]
Anonymous:             4 kB
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
Anonymous:             8 kB
7f1000000000-7f1000001000 rw-p 001d2000 fe:01 123   /usr/lib/x86_64-linux-gnu/libc.so.6
Anonymous:             4 kB
7f2000000000-7f2000001000 r-xp 00000000 fe:01 124   /usr/lib/x86_64-linux-gnu/libjemalloc.so.2
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Anonymous:            16 kB
";

    #[test]
    fn regions_their_footprint_and_the_allocators_among_them_are_read() {
        let mut regions = Regions::of("/usr/bin/app");
        SMAPS.lines().for_each(|line| regions.line(line));
        let footprint: Vec<u64> = regions.all.iter().map(|r| r.footprint / 1024).collect();
        assert_eq!(footprint, [108, 4, 8, 4, 0, 16]);
        assert_eq!(regions.all[0].swapped, 12 << 10);
        assert_eq!(regions.allocators, [Allocator::Jemalloc]);
        assert_eq!(regions.data(), [(0x7f10_0000_0000, 0x7f10_0000_1000)]);
        let whole = (0x55d0_c000_0000, 0x55d0_c004_2000, Backing::Heap);
        assert_eq!(regions.around(0x55d0_c002_1000), Some(whole));
        assert!(regions.is_wide && regions.around(1).is_none());
    }

    #[test]
    fn the_data_of_a_static_program_is_its_own() {
        let mut regions = Regions::of("/opt/a b");
        regions.line("4c5000-4c8000 rw-p 000c4000 fe:01 9                              /opt/a b");
        assert_eq!(regions.data(), [(0x4c_5000, 0x4c_8000)]);
        assert!(!regions.is_wide);
    }

    proptest! {
        #[test]
        fn any_text_does_no_harm(lines in proptest::collection::vec(".{0,80}|[0-9a-f]{1,17}-[0-9a-f]{1,17} rw-p 0 0 0 .{0,9}|Swap: [0-9]{1,25} kB", 0..40)) {
            let mut regions = Regions::of("");
            lines.iter().for_each(|line| regions.line(line));
            prop_assert!(regions.all.iter().all(|r| r.start < r.end && r.swapped <= r.end - r.start));
        }
    }
}
