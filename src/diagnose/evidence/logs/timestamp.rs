//! Stamp: when a line was written. A dozen programs have a dozen ways to say so.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// What is needed to tell a line's time: most logs are in local time, some without a year.
#[derive(Clone, Debug)]
pub struct Stamps {
    zone: TimeZone,
    now_t: f64,
    /// Unix time at boot, for the kernel's own times.
    boot_t: f64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Stamps {
    /// Stamps of logs of this machine, which is in `zone` and was booted at `boot_t`.
    pub fn new(zone: TimeZone, now_t: f64, boot_t: f64) -> Self {
        Self { zone, now_t, boot_t }
    }

    /// The Unix time at the beginning of a line, and the rest of the line after it and blanks.
    pub fn split<'a>(&self, line: &'a str) -> (Option<f64>, &'a str) {
        let known = [Self::bracketed, Self::syslog, Self::ctime, Self::slashed, Self::iso];
        for read in known {
            if let Some((t, rest)) = read(self, line) {
                return (Some(t), rest.trim_start_matches([' ', ',', '-']));
            }
        }
        (None, line)
    }

    /// Microseconds since boot, as the kernel counts.
    pub fn since_boot(&self, micros: u64) -> f64 {
        self.boot_t + micros as f64 * 1e-6
    }

    /// `[Tue Nov 24 10:00:00.123456 2026]` (Apache), `[24-Nov-2026 10:00:00 UTC]` (php-fpm),
    /// `[2026-11-24 10:00:00 +0000]` (gunicorn), `[  123.456789]` (dmesg).
    fn bracketed<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        // Ruby's logger puts the level before it: `E, [2026-11-24T10:00:00.123456 #1234]`.
        let line = match line.as_bytes() {
            [b'A'..=b'Z', b',', b' ', ..] => line.get(3..)?,
            _ => line,
        };
        let inside = line.strip_prefix('[')?;
        let (inside, rest) = inside.split_once(']')?;
        let t = if let Ok(seconds) = inside.trim().parse::<f64>() {
            self.boot_t + seconds
        } else if let Some((t, _)) = self.ctime(inside).or_else(|| self.iso(inside)) {
            t
        } else {
            // 24-Nov-2026 10:00:00[ Zone]
            let mut scan = Scan(inside);
            let day = scan.number()?;
            let month = scan.eat("-")?.month()?;
            let year = scan.eat("-")?.number()?;
            let clock = scan.eat(" ")?.clock()?;
            let utc = scan.0.trim_start().starts_with("UTC");
            self.unix(year, month, day, clock, utc.then_some(0))?
        };
        Some((t, rest))
    }

    /// `Nov 24 10:00:00 `: RFC 3164, local time without a year.
    fn syslog<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let month = scan.month()?;
        let day = scan.blanks()?.number()?;
        let clock = scan.eat(" ")?.clock()?;
        let rest = scan.eat(" ")?.0;
        let year = Timestamp::from_second(self.now_t as i64).ok()?;
        let year = i64::from(year.to_zoned_datetime(self.zone.clone()).year());
        // What would be tomorrow or later was last year.
        let this = self.unix(year, month, day, clock, None);
        let t = this.filter(|t| *t <= self.now_t + 86_400.0);
        Some((t.or_else(|| self.unix(year - 1, month, day, clock, None))?, rest))
    }

    /// `Tue Nov 24 10:00:00 2026`, with a fraction in Apache's logs.
    fn ctime<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let week = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
        let mut scan = Scan(week.iter().find_map(|day| line.strip_prefix(day))?);
        let month = scan.month()?;
        let day = scan.blanks()?.number()?;
        let clock = scan.eat(" ")?.clock()?;
        let year = scan.eat(" ")?.number()?;
        Some((self.unix(year, month, day, clock, None)?, scan.0))
    }

    /// `2026/11/24 10:00:00`: nginx, Go.
    fn slashed<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let year = scan.number()?;
        let month = scan.eat("/")?.number()?;
        let day = scan.eat("/")?.number()?;
        let clock = scan.eat(" ")?.clock()?;
        Some((self.unix(year, month, day, clock, None)?, scan.0))
    }

    /// `2026-11-24T10:00:00.123456+01:00`, or a blank for the T, a comma for the point, and a zone
    /// by offset, by `Z`, by `UTC` or local.
    fn iso<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let year = scan.number()?;
        let month = scan.eat("-")?.number()?;
        let day = scan.eat("-")?.number()?;
        let clock = match scan.0.as_bytes().first() {
            Some(b'T') => scan.eat("T")?.clock()?,
            _ => scan.eat(" ")?.clock()?,
        };
        let zone = scan.zone();
        Some((self.unix(year, month, day, clock, zone)?, scan.0))
    }

    /// Unix time of a civil time, at `offset` seconds from UTC or in the machine's zone.
    fn unix(
        &self,
        year: i64,
        month: i64,
        day: i64,
        (hour, minute, second): (i64, i64, f64),
        offset: Option<i64>,
    ) -> Option<f64> {
        let small = |n: i64| i8::try_from(n).ok();
        let whole = second.floor().min(59.0);
        let civil = DateTime::new(
            i16::try_from(year).ok()?,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(whole as i64)?,
            0,
        );
        let zone = match offset {
            Some(seconds) => {
                Offset::from_seconds(i32::try_from(seconds).ok()?).ok()?.to_time_zone()
            }
            None => self.zone.clone(),
        };
        let t = zone.to_timestamp(civil.ok()?).ok()?;
        Some(t.as_second() as f64 + second.fract())
    }
}

/// What is still to be read of a stamp.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn number(&mut self) -> Option<i64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        // Ten digits are more than any field has.
        (1..=9).contains(&digits).then(|| number.parse().ok())?
    }

    fn eat(&mut self, text: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(text)?;
        Some(self)
    }

    /// One blank or two: days under ten are padded.
    fn blanks(&mut self) -> Option<&mut Self> {
        self.eat(" ")?;
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
        Some(self)
    }

    fn month(&mut self) -> Option<i64> {
        let (name, rest) = self.0.split_at_checked(3)?;
        let (index, _) = (1..).zip(MONTHS).find(|(_, month)| *month == name)?;
        self.0 = rest;
        Some(index)
    }

    /// `10:00:00`, with a fraction behind a point or a comma or without.
    fn clock(&mut self) -> Option<(i64, i64, f64)> {
        let hour = self.number()?;
        let minute = self.eat(":")?.number()?;
        let mut second = self.eat(":")?.number()? as f64;
        if let Some(fraction) = self.0.strip_prefix(['.', ',']) {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = fraction.split_at_checked(digits)?;
            if digits > 0 {
                second += format!("0.{number}").parse().unwrap_or(0.0);
                self.0 = rest;
            }
        }
        Some((hour, minute, second))
    }

    /// Seconds east of UTC, if the stamp tells.
    fn zone(&mut self) -> Option<i64> {
        let text = self.0.strip_prefix(' ').unwrap_or(self.0);
        if let Some(rest) = text.strip_prefix("UTC").or_else(|| text.strip_prefix('Z')) {
            self.0 = rest;
            return Some(0);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let digits: String = text.get(1..)?.chars().take(5).filter(char::is_ascii_digit).collect();
        let number: i64 = digits.get(..4)?.parse().ok()?;
        let colon = text.get(3..4) == Some(":");
        self.0 = text.get(if colon { 6 } else { 5 }..)?;
        Some(sign * (number / 100 * 3600 + number % 100 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-24 10:00:00 UTC.
    const T: f64 = 1_795_514_400.0;

    fn stamps(zone: &str) -> Stamps {
        let zone = TimeZone::posix(zone).unwrap();
        Stamps::new(zone, T + 3600.0, T - 1000.0)
    }

    #[test]
    fn every_program_has_its_own_way_to_say_when() {
        let stamps = stamps("UTC0");
        for line in [
            "Nov 24 10:00:00 x",
            "2026-11-24T10:00:00+00:00 x",
            "2026-11-24T11:00:00.000+01:00 x",
            "2026-11-24T10:00:00Z x",
            "[Tue Nov 24 10:00:00.000000 2026] x",
            "[Tue Nov 24 10:00:00 2026] x",
            "Tue Nov 24 10:00:00 2026 - x",
            "[24-Nov-2026 10:00:00] x",
            "[24-Nov-2026 10:00:00 UTC] x",
            "[2026-11-24 10:00:00 +0000] x",
            "2026/11/24 10:00:00 x",
            "2026-11-24 10:00:00 UTC x",
            "2026-11-24 10:00:00.000 UTC x",
            "2026-11-24 10:00:00,000 x",
            "2026-11-24 10:00:00 x",
            "[ 1000.000000] x",
            "E, [2026-11-24T10:00:00.000000 #1234] x",
        ] {
            assert_eq!(stamps.split(line), (Some(T), "x"), "{line}");
        }
    }

    #[test]
    fn a_day_of_one_digit_is_padded() {
        let (t, rest) = stamps("UTC0").split("Nov  4 10:00:00 x");
        assert_eq!((t, rest), (Some(T - 20.0 * 86_400.0), "x"));
    }

    #[test]
    fn without_a_zone_it_is_the_machines_time_summer_time_included() {
        let berlin = stamps("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(berlin.split("Nov 24 11:00:00 x").0, Some(T));
        // 24 July, 12:00 in Berlin is 10:00 UTC.
        assert_eq!(berlin.split("Jul 24 12:00:00 x").0, Some(T - 123.0 * 86_400.0));
        assert_eq!(berlin.split("2026-11-24 10:00:00 UTC x").0, Some(T));
    }

    #[test]
    fn a_line_of_december_read_in_november_is_of_last_year() {
        let (t, _) = stamps("UTC0").split("Dec 24 10:00:00 x");
        assert_eq!(t, Some(T - 335.0 * 86_400.0));
    }

    #[test]
    fn what_is_no_stamp_stays_with_the_line() {
        for line in
            ["DAMN ! worker 1", "[notice] x", "Now 24", "99:99:99 x", "2026-99-99 10:00:00 x"]
        {
            assert_eq!(stamps("UTC0").split(line), (None, line));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in ".{0,60}") {
            let (_, rest) = stamps("UTC0").split(&line);
            prop_assert!(line.ends_with(rest));
        }

        #[test]
        fn almost_a_stamp_is_borne(line in r"[\[NovTueZ0-9:,.+ /-]{0,40}") {
            stamps("UTC0").split(&line);
        }
    }
}
