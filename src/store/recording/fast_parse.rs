//! Quick: the usual line, read at the speed of its bytes.
//!
//! A recording is nearly all numbers of processes, in the order in which every recorder writes
//! them. Those are read here by hand: reading was half of a replay's time. Whatever looks different
//! is left to the JSON library: a value, a process, or, where it may be an error, the whole line.

use serde::de::DeserializeSeed;

use super::raw_line::{Each, RawCeiling, RawFailure, RawMemory, RawPlace, RawProc, RawUse};
use crate::core::model::process::{Comm, Proc, ProcId, Program};
use crate::core::model::sample::Sample;

/// Reads a line into `sample` as the JSON library would, or not at all: then `sample` is of no use.
pub(super) fn read(line: &[u8], sample: &mut Sample) -> Option<()> {
    sample.signal_failure = None;
    let Sample {
        t,
        span_s,
        uptime_s,
        cpu_s,
        memory,
        ceilings,
        memory_failures,
        procs,
        programs,
        uses,
        places,
        ..
    } = sample;
    (*span_s, *uptime_s, *cpu_s) = (None, None, None);
    ceilings.clear();
    memory_failures.clear();
    procs.clear();
    programs.clear();
    uses.clear();
    places.clear();
    let (mut has_t, mut has_memory, mut has_procs) = (false, false, false);
    let mut cursor = Cursor(line);
    cursor.token(b'{')?;
    loop {
        let key = cursor.text()?;
        cursor.token(b':')?;
        match key {
            b"t" => (*t, has_t) = (cursor.number()?, true),
            b"span_s" => *span_s = Some(cursor.number()?),
            b"uptime" => *uptime_s = Some(cursor.number()?),
            b"cpu" => *cpu_s = Some(cursor.number()?),
            b"mem" => {
                let raw = match cursor.memory() {
                    Some(raw) => raw,
                    None => serde_json::from_slice(cursor.value()?).ok()?,
                };
                (*memory, has_memory) = (raw.into(), true);
            }
            b"ceilings" => cursor.each(|raw: RawCeiling<'_>| ceilings.extend(raw.ceiling()))?,
            b"memory_failures" => {
                cursor.each(|raw: RawFailure<'_>| memory_failures.extend(raw.failure()))?;
            }
            b"uses" => cursor.each(|raw: RawUse<'_>| uses.extend(raw.of()))?,
            b"places" => cursor.each(|raw: RawPlace<'_>| places.push(raw.name()))?,
            b"procs" => {
                has_procs = true;
                cursor.processes(procs, programs)?;
            }
            _ => return None,
        }
        if cursor.is_next(b'}') {
            break;
        }
        cursor.token(b',')?;
    }
    let whole = has_t && has_memory && has_procs && cursor.blank().0.is_empty();
    whole.then_some(())
}

/// What of a line is not yet read. What returns none may have taken a part of it, unless it says
/// otherwise.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Passes over blanks.
    fn blank(&mut self) -> &mut Self {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
        self
    }

    /// Takes the token, if it comes next.
    fn is_next(&mut self, token: u8) -> bool {
        match self.blank().0 {
            [first, rest @ ..] if *first == token => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes the processes.
    fn processes(&mut self, procs: &mut Vec<Proc>, programs: &mut Vec<Program>) -> Option<()> {
        self.token(b'[')?;
        while !self.is_next(b']') {
            if !procs.is_empty() {
                self.token(b',')?;
            }
            match self.process() {
                Some(process) => procs.push(process),
                None => {
                    let raw: RawProc<'_> = serde_json::from_slice(self.value()?).ok()?;
                    raw.put(procs, programs);
                }
            }
        }
        Some(())
    }

    fn token(&mut self, token: u8) -> Option<()> {
        self.is_next(token).then_some(())
    }

    /// Takes a string of plain characters, without its quotes.
    fn text(&mut self) -> Option<&'a [u8]> {
        self.token(b'"')?;
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let length = self.0.iter().position(|byte| !plain(byte))?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Takes digits: their value and how many they are, at most 18, which fit 64 bits.
    fn digits(&mut self) -> Option<(u64, usize)> {
        let (mut value, mut rest) = (0_u64, self.0);
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            rest = behind;
        }
        let count = self.0.len() - rest.len();
        self.0 = rest;
        (1..=18).contains(&count).then_some((value, count))
    }

    /// Takes a whole number that is not negative.
    fn whole(&mut self) -> Option<u64> {
        let padded = matches!(self.blank().0, [b'0', b'0'..=b'9', ..]);
        let (value, _) = self.digits()?;
        (!padded && !matches!(self.0, [b'.' | b'e' | b'E', ..])).then_some(value)
    }

    fn small(&mut self) -> Option<u32> {
        self.whole()?.try_into().ok()
    }

    /// Takes a decimal number that is not negative and has so few digits that one division rounds it
    /// correctly: both its operands are exact then (Clinger 1990).
    fn decimal(&mut self) -> Option<f64> {
        const POWERS: [(u64, f64); 7] = [
            (1, 1.0),
            (10, 1e1),
            (100, 1e2),
            (1_000, 1e3),
            (10_000, 1e4),
            (100_000, 1e5),
            (1_000_000, 1e6),
        ];
        let padded = matches!(self.blank().0, [b'0', b'0'..=b'9', ..]);
        let (whole, _) = self.digits()?;
        let (mut parts, mut places) = (0, 0);
        if let [b'.', rest @ ..] = self.0 {
            self.0 = rest;
            (parts, places) = self.digits()?;
        }
        let (scale, divisor) = POWERS.get(places)?;
        let all = whole.checked_mul(*scale)?.checked_add(parts)?;
        let exact = all < 1 << f64::MANTISSA_DIGITS && !padded;
        let plain = exact && !matches!(self.0, [b'e' | b'E', ..]);
        plain.then_some(all as f64 / divisor)
    }

    /// Takes a number, as the JSON library rounds it where it has many digits.
    fn number(&mut self) -> Option<f64> {
        let start = *self;
        if let Some(number) = self.decimal() {
            return Some(number);
        }
        let length = start.0.iter().position(|byte| matches!(byte, b',' | b'}'))?;
        let (number, rest) = start.0.split_at_checked(length)?;
        self.0 = rest;
        serde_json::from_slice(number).ok()
    }

    /// Takes a field's name, which is given with its quotes and its colon.
    fn name<const N: usize>(&mut self, name: &[u8; N]) -> Option<()> {
        let (first, rest) = self.blank().0.split_first_chunk()?;
        self.0 = rest;
        (first == name).then_some(())
    }

    /// Takes a field that may be there, if it comes next; none if its value is an unusual one.
    fn optional<T, const N: usize>(
        &mut self,
        name: &[u8; N],
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        let mut ahead = *self;
        if ahead.is_next(b',') && ahead.name(name).is_some() {
            *self = ahead;
            return take(self).map(Some);
        }
        Some(None)
    }

    /// Takes a process whose fields come as they usually do, or nothing; `exe` and `title` come only
    /// once.
    fn process(&mut self) -> Option<Proc> {
        let mut ahead = *self;
        ahead.token(b'{')?;
        ahead.name(b"\"pid\":")?;
        let pid = ahead.small()?;
        ahead.token(b',')?;
        ahead.name(b"\"ppid\":")?;
        let ppid = ahead.small()?;
        ahead.token(b',')?;
        ahead.name(b"\"start\":")?;
        let start = ahead.whole()?;
        ahead.token(b',')?;
        ahead.name(b"\"comm\":")?;
        let comm = Comm::new(ahead.text()?);
        ahead.token(b',')?;
        ahead.name(b"\"rss\":")?;
        let rss = ahead.whole()?;
        let anon = ahead.optional(b"\"anon\":", Self::whole)?;
        let swap = ahead.optional(b"\"swap\":", Self::whole)?.unwrap_or(0);
        let cpu_s = ahead.optional(b"\"cpu\":", Self::decimal)?.unwrap_or(0.0);
        let threads = ahead.optional(b"\"threads\":", Self::small)?.unwrap_or(1);
        ahead.token(b'}')?;
        *self = ahead;
        let id = ProcId { pid, start };
        Some(Proc { id, ppid, comm, rss, anon, swap, cpu_s, threads })
    }

    /// Takes the machine's memory, or nothing.
    fn memory(&mut self) -> Option<RawMemory> {
        let mut ahead = *self;
        ahead.token(b'{')?;
        ahead.name(b"\"total\":")?;
        let total = ahead.whole()?;
        ahead.token(b',')?;
        ahead.name(b"\"available\":")?;
        let available = ahead.whole()?;
        let swap_total = ahead.optional(b"\"swap_total\":", Self::whole)?.unwrap_or(0);
        let swap_free = ahead.optional(b"\"swap_free\":", Self::whole)?.unwrap_or(0);
        let commit_limit = ahead.optional(b"\"commit_limit\":", Self::whole)?;
        let committed = ahead.optional(b"\"committed\":", Self::whole)?;
        let overcommit = ahead.optional(b"\"overcommit\":", Self::small)?;
        ahead.token(b'}')?;
        *self = ahead;
        Some(RawMemory {
            total,
            available,
            swap_total,
            swap_free,
            commit_limit,
            committed,
            overcommit,
        })
    }

    /// Takes any value as it is. What is no JSON is found out by who reads it.
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.blank().0;
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        let length = start.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?;
        let (value, rest) = start.split_at_checked(length + 1)?;
        self.0 = rest;
        Some(value)
    }

    /// Takes a list and hands on its elements.
    fn each<T: serde::Deserialize<'a>>(&mut self, each: impl FnMut(T)) -> Option<()> {
        let mut json = serde_json::Deserializer::from_slice(self.value()?);
        Each::new(each).deserialize(&mut json).ok()?;
        json.end().ok()
    }
}
