//! Units: the few quantities leakwatch speaks of, and how each is written for people.
//!
//! Inside the crate sizes are `u64` bytes and times are `f64` seconds; kB, pages and clock ticks
//! end in `probe`. These types exist for the way out: one place decides how a size, a rate or a
//! time is worded, so that every line of every report says it alike.

use crate::core::model::ceiling::Unit;
use std::fmt;

/// A size in bytes, written in powers of 1024 with at most three digits ("41 MiB", "1.3 GiB"); in
/// tables (`{:#}`) as options take it ("41M", "1.3G").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// One kibibyte, 1024 bytes.
pub const KIB: u64 = 1 << 10;
/// One mebibyte, 1024 KiB.
pub const MIB: u64 = 1 << 20;
/// One gibibyte, 1024 MiB.
pub const GIB: u64 = 1 << 30;

/// How often 1 is to be doubled to come nearest to `ratio`, by their ratio; 0 below 1, 64 at most.
/// Like its like here counted and not by a logarithm: the C library's mathematics would be 0.5 MB of
/// leakwatch's own RSS.
pub fn doublings(ratio: f64) -> u32 {
    let edges = std::iter::successors(Some(std::f64::consts::SQRT_2), |edge| Some(edge * 2.0));
    edges.take(64).take_while(|edge| *edge <= ratio).count() as u32
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 'K';
        for larger in ['M', 'G', 'T', 'P', 'E'] {
            // 999.5 and not 1024: "1000 KiB" is longer to read than "0.98 MiB".
            if value >= 999.5 {
                (value, unit) = (value / 1024.0, larger);
            }
        }
        let (blank, ib) = if f.alternate() { ("", "") } else { (" ", "iB") };
        match value {
            v if self.0 == 0 => write!(f, "{v}{blank}{unit}{ib}"),
            v if v < 9.95 => write!(f, "{v:.1}{blank}{unit}{ib}"),
            v => write!(f, "{v:.0}{blank}{unit}{ib}"),
        }
    }
}

const PER: [(f64, &str); 3] = [(1.0, "s"), (60.0, "min"), (3600.0, "h")];
const PER_DAY: (f64, &str) = (86400.0, "day");

/// A growth in bytes per second, written in the largest of second, minute, hour and day in which
/// it is at least one mebibyte ("+3.1 MiB/min"), or per day when it is less than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct BytesPerSecond(pub f64);

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0.0 { '-' } else { '+' };
        let rate = self.0.abs();
        let (seconds, name) =
            PER.into_iter().find(|(seconds, _)| rate * seconds >= MIB as f64).unwrap_or(PER_DAY);
        write!(f, "{sign}{}/{name}", Bytes((rate * seconds) as u64))
    }
}

/// An amount below a ceiling, in the unit of the ceiling ("41 MiB", "1 task", "88 tasks").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub u64, pub Unit);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (bytes, Unit::Bytes) => Bytes(bytes).fmt(f),
            (1, Unit::Tasks) => f.write_str("1 task"),
            (n, Unit::Tasks) => write!(f, "{n} tasks"),
        }
    }
}

/// How fast a ceiling comes nearer, in its unit per second ("+3.1 MiB/min"; tasks in the largest of
/// second, minute, hour and day in which they are at least one, "+7/min").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64, pub Unit);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Unit::Bytes => BytesPerSecond(self.0).fmt(f),
            Unit::Tasks => {
                let per = |(seconds, _): &(f64, &str)| (self.0 * seconds).abs() >= 0.95;
                let (seconds, name) = PER.into_iter().find(per).unwrap_or(PER_DAY);
                write!(f, "{:+.0}/{name}", self.0 * seconds)
            }
        }
    }
}

/// A span of time in seconds, written with its two largest units ("2 h 05 min", "38 min", "0.4 s").
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.max(0.0);
        let whole = s.round() as u64;
        match s {
            s if s < 9.95 => write!(f, "{s:.1} s"),
            s if s < 99.5 => write!(f, "{s:.0} s"),
            s if s < 3570.0 => write!(f, "{:.0} min", s / 60.0),
            s if s < 2.0 * 86400.0 => {
                let minutes = (whole + 30) / 60;
                write!(f, "{} h {:02} min", minutes / 60, minutes % 60)
            }
            s => write!(f, "{:.1} days", s / 86400.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doublings_are_the_nearest_power_of_two() {
        for power in 0..64 {
            let exact = 2.0_f64.powi(power);
            for ratio in [0.72 * exact, exact, 1.41 * exact] {
                assert_eq!(doublings(ratio), power.cast_unsigned(), "{ratio}");
            }
        }
        assert_eq!([f64::NAN, -1.0, 0.0, 0.1].map(doublings), [0; 4]);
    }

    #[test]
    fn sizes_have_at_most_three_digits() {
        for (bytes, text) in [
            (0, "0 KiB"),
            (512, "0.5 KiB"),
            (4096, "4.0 KiB"),
            (41 * MIB, "41 MiB"),
            (1000 * KIB, "1.0 MiB"),
            (1395864371, "1.3 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
            assert_eq!(format!("{:#}", Bytes(bytes)), text.replace(' ', "").replace("iB", ""));
        }
    }

    #[test]
    fn rates_use_the_unit_in_which_they_are_mebibytes() {
        for (rate, text) in [
            (2.5 * MIB as f64, "+2.5 MiB/s"),
            (3.1 * MIB as f64 / 60.0, "+3.1 MiB/min"),
            (46.0 * MIB as f64 / 3600.0, "+46 MiB/h"),
            (1.0, "+84 KiB/day"),
            (-2.0 * MIB as f64, "-2.0 MiB/s"),
        ] {
            assert_eq!(BytesPerSecond(rate).to_string(), text);
        }
    }

    #[test]
    fn tasks_are_counted() {
        assert_eq!(Amount(1, Unit::Tasks).to_string(), "1 task");
        assert_eq!(Amount(88, Unit::Tasks).to_string(), "88 tasks");
        assert_eq!(Rate(0.1167, Unit::Tasks).to_string(), "+7/min");
        assert_eq!(Rate(12.4, Unit::Tasks).to_string(), "+12/s");
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (seconds, text) in [
            (0.4, "0.4 s"),
            (28.0, "28 s"),
            (300.0, "5 min"),
            (3600.0, "1 h 00 min"),
            (22200.0, "6 h 10 min"),
            (5.0 * 86400.0, "5.0 days"),
        ] {
            assert_eq!(Seconds(seconds).to_string(), text);
        }
    }
}
