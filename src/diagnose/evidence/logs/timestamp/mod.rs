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

/// A line taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamped<'a> {
    /// Unix time, if the line tells one.
    pub t: Option<f64>,
    /// What follows.
    pub rest: &'a str,
    /// Whether a host and a program follow such a stamp, as syslog has it.
    pub by_syslog: bool,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Stamps {
    /// Stamps of logs of this machine, which is in `zone` and was booted at `boot_t`.
    pub fn new(zone: TimeZone, now_t: f64, boot_t: f64) -> Self {
        Self { zone, now_t, boot_t }
    }

    /// The time at the beginning of a line, and the rest of the line after it and blanks.
    pub fn split<'a>(&self, line: &'a str) -> Stamped<'a> {
        type Read = for<'s, 'l> fn(&'s Stamps, &'l str) -> Option<(f64, &'l str)>;
        let known: [(Read, bool); 13] = [
            (Self::bracketed, false),
            (Self::syslog, true),
            (Self::ctime, false),
            (Self::slashed, false),
            (Self::civil, false),
            (Self::iso_t, true),
            (Self::iso, false),
            (Self::short_full, true),
            (Self::klog, false),
            (Self::redis, false),
            (Self::zabbix, false),
            (Self::mysql_5_5, false),
            (Self::epoch, true),
        ];
        // RFC 5424's priority and version, and what apt writes when it begins.
        let bare = without_priority(line);
        let bare = bare.strip_prefix("Log started: ").unwrap_or(bare);
        for (read, by_syslog) in known {
            if let Some((t, rest)) = read(self, bare) {
                let rest = rest.trim_start_matches([' ', ',', '-', ':']);
                return Stamped { t: Some(t), rest, by_syslog };
            }
        }
        Stamped { t: None, rest: line, by_syslog: false }
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
        // The kernel's seconds have a fraction of six digits; "[60765]" is a pid.
        let is_kernels = |text: &str| text.split_once('.').is_some_and(|(_, part)| part.len() == 6);
        let t = if let Some(seconds) =
            inside.trim().parse::<f64>().ok().filter(|_| is_kernels(inside.trim()))
        {
            self.boot_t + seconds
        } else {
            let known = [Self::ctime, Self::iso, Self::syslog, Self::slashed, Self::civil];
            known.into_iter().find_map(|read| read(self, inside))?.0
        };
        Some((t, rest))
    }

    /// `24-Nov-2026 10:00:00[ Zone]` (PHP, Tomcat), `24/Nov/2026:10:00:00 +0000` (access logs).
    fn civil<'a>(&self, text: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(text);
        let day = scan.number()?;
        let by = if scan.0.starts_with('/') { "/" } else { "-" };
        let month = scan.eat(by)?.month()?;
        let year = scan.eat(by)?.number()?;
        let between = if scan.0.starts_with(':') { ":" } else { " " };
        let clock = scan.eat(between)?.clock()?;
        let zone = scan.zone();
        Some((self.unix(year, month, day, clock, zone)?, scan.0))
    }

    /// `Nov 24 10:00:00 `: RFC 3164, local time without a year.
    fn syslog<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let month = scan.month()?;
        let day = scan.blanks()?.number()?;
        // Java's logging: "Nov 24, 2026 10:00:00 AM"; others: "Nov 24 2026 10:00:00".
        scan.0 = scan.0.strip_prefix(',').unwrap_or(scan.0);
        let year = scan.year();
        let mut clock = scan.eat(" ")?.clock()?;
        if scan.eat(" PM").is_some() {
            clock.0 = clock.0 % 12 + 12;
        } else if scan.eat(" AM").is_some() {
            clock.0 %= 12;
        }
        let rest = if scan.0.is_empty() {
            scan.0
        } else {
            scan.eat(" ").map(|scan| scan.0).or_else(|| scan.eat(":").map(|scan| scan.0))?
        };
        let t = match year {
            Some(year) => self.unix(year, month, day, clock, None)?,
            None => self.of_no_year(month, day, clock)?,
        };
        Some((t, rest))
    }

    /// A time without a year: what would be tomorrow or later was last year.
    fn of_no_year(&self, month: i64, day: i64, clock: (i64, i64, f64)) -> Option<f64> {
        let year = Timestamp::from_second(self.now_t as i64).ok()?;
        let year = i64::from(year.to_zoned_datetime(self.zone.clone()).year());
        let this = self.unix(year, month, day, clock, None);
        let t = this.filter(|t| *t <= self.now_t + 86_400.0);
        t.or_else(|| self.unix(year - 1, month, day, clock, None))
    }

    /// `Tue Nov 24 10:00:00 2026`, with a fraction in Apache's logs.
    fn ctime<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let week = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
        let mut scan = Scan(week.iter().find_map(|day| line.strip_prefix(day))?);
        let month = scan.month()?;
        let day = scan.blanks()?.number()?;
        let clock = scan.eat(" ")?.clock()?;
        // "Tue Nov 24 10:00:00 UTC 2026", as date(1) has it.
        let zone = scan.zone();
        let year = scan.eat(" ")?.number()?;
        Some((self.unix(year, month, day, clock, zone)?, scan.0))
    }

    /// `Tue 2026-11-24 10:00:00 UTC host ..`: journalctl's short-full.
    fn short_full<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let week = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
        self.iso(week.iter().find_map(|day| line.strip_prefix(day))?)
    }

    /// `E1124 10:00:00.123456    1234 file.go:12] ..`: kubelet.
    fn klog<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line.strip_prefix(['I', 'W', 'E', 'F'])?);
        let date = scan.digits(4)?;
        let clock = scan.eat(" ")?.clock()?;
        let t = self.of_no_year(date / 100, date % 100, clock)?;
        Some((t, scan.0.split_once("] ").map_or(scan.0, |(_, rest)| rest)))
    }

    /// `1255:M 14 Oct 2026 03:00:46.069 # ..`: Redis, before version 4 without the year.
    fn redis<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line.strip_prefix('[').unwrap_or(line));
        scan.number()?;
        if let Some(rest) = scan.0.strip_prefix(':') {
            scan.0 = rest.strip_prefix(|c: char| c.is_ascii_uppercase())?;
        } else {
            scan.eat("]")?;
        }
        let day = scan.eat(" ")?.number()?;
        let month = scan.eat(" ")?.month()?;
        let year = scan.year();
        let clock = scan.eat(" ")?.clock()?;
        let t = match year {
            Some(year) => self.unix(year, month, day, clock, None)?,
            None => self.of_no_year(month, day, clock)?,
        };
        Some((t, scan.0.trim_start_matches([' ', '#', '*', '-', '.'])))
    }

    /// `  8550:20140714:180316.484 ..`: Zabbix.
    fn zabbix<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line.trim_start());
        scan.number()?;
        let date = scan.eat(":")?.digits(8)?;
        let clock = scan.eat(":")?.digits(6)?;
        let rest = scan
            .0
            .strip_prefix('.')
            .map_or(scan.0, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let clock = (clock / 10_000, clock / 100 % 100, (clock % 100) as f64);
        Some((self.unix(date / 10_000, date / 100 % 100, date % 100, clock, None)?, rest))
    }

    /// `150126 22:31:29 ..`: MySQL to 5.5, MariaDB to 10.0.
    fn mysql_5_5<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let date = scan.digits(6)?;
        let clock = scan.blanks()?.clock()?;
        let t = self.unix(2000 + date / 10_000, date / 100 % 100, date % 100, clock, None)?;
        Some((t, scan.0))
    }

    /// `1795514400.123 ..`: Squid, journalctl's short-unix.
    fn epoch<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (word, rest) = line.split_once(' ')?;
        let whole = word.split('.').next()?;
        let is_time = whole.len() == 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        Some((word.parse().ok().filter(|_| is_time)?, rest))
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

    /// As syslog has it, with a T.
    fn iso_t<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        self.iso(line).filter(|_| line.as_bytes().get(10) == Some(&b'T'))
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
            _ => scan.blanks()?.clock()?,
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

/// A line without RFC 5424's "<34>1 ", or the "<34>" that some keep of a priority.
fn without_priority(line: &str) -> &str {
    let bare = line.strip_prefix('<').and_then(|line| line.split_once('>'));
    match bare {
        Some((priority, rest)) if priority.parse::<u8>().is_ok() => {
            rest.strip_prefix("1 ").unwrap_or(rest)
        }
        _ => line,
    }
}

/// Names of zones in stamps, apart from UTC's; the machine's own zone counts.
const ZONES: [&str; 24] = [
    "CET", "CEST", "MET", "MEST", "EET", "EEST", "WET", "WEST", "BST", "IST", "MSK", "EST", "EDT",
    "CST", "CDT", "MST", "MDT", "PST", "PDT", "JST", "KST", "AEST", "AEDT", "SAST",
];

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

    /// A number of exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let before = self.0;
        let number = self.number()?;
        (before.len() - self.0.len() == count).then_some(number)
    }

    /// A year behind a blank, if there is one.
    fn year(&mut self) -> Option<i64> {
        let mut ahead = Scan(self.0.strip_prefix(' ')?);
        let year = ahead.digits(4).filter(|year| (1970..2200).contains(year))?;
        self.0 = ahead.0;
        Some(year)
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
        // pm2 leaves out the seconds.
        let mut second = match self.eat(":") {
            Some(scan) => scan.number()? as f64,
            None => 0.0,
        };
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
        let utc = ["UTC", "GMT"].iter().find_map(|name| text.strip_prefix(name));
        let utc = utc.or_else(|| self.0.strip_prefix('Z'));
        if let Some(rest) = utc {
            self.0 = rest;
            return Some(0);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            // "CET", as PostgreSQL has it: the machine's own.
            b'A'..=b'Z' => {
                let name = text.split(' ').next()?;
                if (3..=5).contains(&name.len()) && ZONES.contains(&name) {
                    self.0 = text.get(name.len()..)?;
                }
                return None;
            }
            _ => return None,
        };
        // "+03" is PostgreSQL's too.
        if text.get(1..3)?.bytes().all(|b| b.is_ascii_digit())
            && matches!(text.get(3..4), None | Some(" "))
        {
            self.0 = text.get(3..)?;
            return Some(sign * 3600 * text.get(1..3)?.parse::<i64>().ok()?);
        }
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
            "[2026-11-24 10:00:00,000] x",
            "[24/Nov/2026:10:00:00 +0000] x",
            "[Nov 24 10:00:00] x",
            "24-Nov-2026 10:00:00.000 x",
            "Nov 24, 2026 10:00:00 AM x",
            "Nov 24 2026 10:00:00 x",
            "Tue Nov 24 10:00:00 UTC 2026 x",
            "Tue 2026-11-24 10:00:00 UTC x",
            "E1124 10:00:00.000000    1234 file.go:12] x",
            "1255:M 24 Nov 10:00:00.000 # x",
            "1255:M 24 Nov 2026 10:00:00.000 # x",
            "[1255] 24 Nov 10:00:00 # x",
            "  8550:20261124:100000.484 x",
            "261124 10:00:00 x",
            "2026-11-24 10:00:00.000 CET x",
            "2026-11-24 12:00:00.000 +02 x",
            "2026-11-24 10:00 +00:00: x",
            "2026-11-24T10:00:00: x",
            "<34>1 2026-11-24T10:00:00Z x",
            "1795514400 x",
            "Log started: 2026-11-24  10:00:00 x",
        ] {
            let Stamped { t, rest, .. } = stamps.split(line);
            assert_eq!((t, rest), (Some(T), "x"), "{line}");
        }
    }

    #[test]
    fn a_day_of_one_digit_is_padded() {
        let Stamped { t, rest, .. } = stamps("UTC0").split("Nov  4 10:00:00 x");
        assert_eq!((t, rest), (Some(T - 20.0 * 86_400.0), "x"));
    }

    #[test]
    fn without_a_zone_it_is_the_machines_time_summer_time_included() {
        let berlin = stamps("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(berlin.split("Nov 24 11:00:00 x").t, Some(T));
        // 24 July, 12:00 in Berlin is 10:00 UTC.
        assert_eq!(berlin.split("Jul 24 12:00:00 x").t, Some(T - 123.0 * 86_400.0));
        assert_eq!(berlin.split("2026-11-24 10:00:00 UTC x").t, Some(T));
    }

    #[test]
    fn a_line_of_december_read_in_november_is_of_last_year() {
        let t = stamps("UTC0").split("Dec 24 10:00:00 x").t;
        assert_eq!(t, Some(T - 335.0 * 86_400.0));
    }

    #[test]
    fn what_is_no_stamp_stays_with_the_line() {
        for line in [
            "DAMN ! worker 1",
            "[notice] x",
            "[60765] x",
            "[60765.5] x",
            "12:34 x",
            "Now 24",
            "99:99:99 x",
            "2026-99-99 10:00:00 x",
        ] {
            let Stamped { t, rest, .. } = stamps("UTC0").split(line);
            assert_eq!((t, rest), (None, line));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in ".{0,60}") {
            let rest = stamps("UTC0").split(&line).rest;
            prop_assert!(line.ends_with(rest));
        }

        #[test]
        fn almost_a_stamp_is_borne(line in r"[\[NovTueZ0-9:,.+ /-]{0,40}") {
            stamps("UTC0").split(&line);
        }
    }
}
