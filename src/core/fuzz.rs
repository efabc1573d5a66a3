//! Fuzz: real samples of what a parser reads, changed at random and by a seed, and what no parser may
//! do with them: panic, keep or ask for memory without measure, or take a time that grows with the
//! square of a line.
//!
//! A slice in every run of the tests. 10^7 cases take some minutes:
//!
//! ```sh
//! CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true CARGO_PROFILE_RELEASE_LTO=off \
//!     LEAKWATCH_FUZZ_CASES=1100000 cargo test --release --lib fuzz_ -- --nocapture
//! ```
//!
//! `LEAKWATCH_FUZZ_SEED` is another beginning.

use nix::sys::resource::{UsageWho, getrusage};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Cases of a parser without a cost of its own.
const CASES: u64 = 20_000;
/// Bytes of a usual case at most.
const LONGEST: usize = 4096;
/// Bytes of the few long ones.
const LONG: usize = 64 << 10;
/// CPU seconds that a long one may take: in a debug build a byte costs under 1 µs where each is looked
/// at a few times, and 4 s where all are looked at for each.
const LONG_S: f64 = 1.5;
/// What a parser may ask for at most while it works: this much, and so much a byte.
const MEMORY: u64 = 1 << 20;
const MEMORY_A_BYTE: u64 = 256;

/// What has broken parsers.
const TOKENS: [&[u8]; 44] = [
    b"0",
    b"-1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"1e308",
    b"-1e-999",
    b"NaN",
    b"inf",
    b"4294967296",
    b"2147483648",
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\t",
    b"   ",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\uf780",
    b"\xff",
    b"\xc3\xa4",
    b"\xf0\x9f\xa6\x80",
    b"\xed\xb2\x80",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"<",
    b">",
    b"</",
    b"${",
    b":",
    b";",
    b",",
    b"/",
    b"=",
    b"%",
    b"$",
];

/// Xorshift: every run the same.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// A part of so many bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(length + 1), self.below(length + 1));
        let short = a.min(b) + self.below(24);
        a.min(b)..if self.next().is_multiple_of(3) { a.max(b) } else { short.min(length) }
    }

    /// One of the samples, changed.
    fn case(&mut self, corpus: &[&[u8]], out: &mut Vec<u8>) {
        let sample = |random: &mut Self| corpus[random.below(corpus.len())];
        out.clear();
        match self.below(16) {
            // Not a sample at all.
            0 => out.extend((0..self.below(200)).map(|_| self.next() as u8)),
            1 => (0..self.below(40)).for_each(|_| out.extend(TOKENS[self.below(TOKENS.len())])),
            _ => out.extend(sample(self)),
        }
        for _ in 0..=self.below(6) {
            let part = self.range(out.len());
            match self.below(9) {
                0 => drop(out.drain(part)),
                1 => drop(out.splice(part, TOKENS[self.below(TOKENS.len())].iter().copied())),
                2 => {
                    let at = part.start;
                    out.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied());
                }
                3 => out.extend_from_within(part),
                4 => out.truncate(part.start),
                5 => {
                    let other = sample(self);
                    let from = self.range(other.len());
                    out.splice(part, other[from].iter().copied());
                }
                6 => {
                    // Another number in place of one.
                    if let Some(at) = out.iter().position(u8::is_ascii_digit) {
                        let at = at + self.below(out.len() - at);
                        let length = out[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                        out.splice(at..at + length, TOKENS[self.below(11)].iter().copied());
                    }
                }
                7 => {
                    let piece = out[part].to_vec();
                    let at = self.below(out.len() + 1);
                    for _ in 0..self.below(20).min(LONGEST / piece.len().max(1)) {
                        out.splice(at..at, piece.iter().copied());
                    }
                }
                _ => {
                    if let Some(byte) = out.get_mut(part.start) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        out.truncate(LONGEST);
    }

    /// 64 KiB of one part of a sample or of one token, over and over, behind the beginning of a sample.
    fn long(&mut self, corpus: &[&[u8]], out: &mut Vec<u8>) {
        let sample = corpus[self.below(corpus.len())];
        let head = self.below(sample.len() + 1);
        let part = self.range(sample.len());
        let token = TOKENS[self.below(TOKENS.len())];
        let piece =
            if part.is_empty() || self.next().is_multiple_of(2) { token } else { &sample[part] };
        out.clear();
        out.extend(&sample[..head]);
        while out.len() < LONG {
            out.extend(piece);
        }
        out.extend(&sample[head..]);
    }
}

fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn cpu_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let (user, system) = (usage.user_time(), usage.system_time());
    [user, system].iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 * 1e-6).sum()
}

/// Hands changed samples to `parse`, which costs `cost` times as much as a parser of a line.
pub(crate) fn fuzz(name: &str, cost: u64, corpus: &[&[u8]], mut parse: impl FnMut(&[u8])) {
    assert!(!corpus.is_empty() && corpus.iter().all(|sample| !sample.is_empty()));
    let cases = asked("LEAKWATCH_FUZZ_CASES", CASES) / cost;
    let seed = asked("LEAKWATCH_FUZZ_SEED", 1).max(1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name.len() as u64);
    let mut text = Vec::new();
    // What it needs only once is not counted.
    corpus.iter().for_each(|sample| parse(sample));
    let begun = Instant::now();
    for nth in 0..cases {
        let is_long = nth % 500 == 250;
        match is_long {
            true => random.long(corpus, &mut text),
            false => random.case(corpus, &mut text),
        }
        let before_s = if is_long { cpu_s() } else { 0.0 };
        let mut ran = Ok(());
        let used = allocation_counter::measure(|| {
            ran = catch_unwind(AssertUnwindSafe(|| parse(&text)));
        });
        let shown = || text[..text.len().min(400)].escape_ascii().to_string();
        assert!(ran.is_ok(), "{name}, case {nth} of seed {seed}: a panic at\n{}", shown());
        let most = MEMORY + MEMORY_A_BYTE * text.len() as u64;
        assert!(
            used.bytes_max <= most,
            "{name}, case {nth} of seed {seed}: {} bytes of memory for {} at\n{}",
            used.bytes_max,
            text.len(),
            shown()
        );
        if is_long {
            let took_s = cpu_s() - before_s;
            assert!(
                took_s < LONG_S,
                "{name}, case {nth}: {took_s:.1} s for 64 KiB of\n{}",
                shown()
            );
        }
    }
    let (took_s, err) = (begun.elapsed().as_secs_f64(), &mut std::io::stderr());
    let rate = cases as f64 / took_s.max(1e-9);
    writeln!(err, "fuzz: {name:<24} {cases:>9} cases {took_s:>7.1} s {rate:>10.0} cases/s").ok();
}
