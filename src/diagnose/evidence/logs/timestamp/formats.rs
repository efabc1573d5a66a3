//! The ways to say when: a reader for each, of the stamp at the beginning of a line.
//!
//! Each returns Unix time and what follows, or nothing where the line begins otherwise.

use super::scan::Scan;
use super::{ReadStamp, Stamps};

/// Days of the week at the beginning of a stamp.
const WEEKDAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];

/// Levels that some write before the time.
const LEVELS: [&str; 9] =
    ["DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "SEVERE"];
/// What MySQL writes behind its time.
const OF_MYSQL: [&str; 4] = ["[ERROR] ", "[Warning] ", "[Note] ", "mysqld_safe "];
/// The most levels and names in brackets before a time.
const MOST_NAMES: usize = 3;

impl Stamps {
    /// `[Tue Nov 24 10:00:00.123456 2026]` (Apache), `[24-Nov-2026 10:00:00 UTC]` (php-fpm),
    /// `[2026-11-24 10:00:00 +0000]` (gunicorn), `[  123.456789]` (dmesg).
    pub(super) fn bracketed<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        // Ruby's logger puts the level before it: `E, [2026-11-24T10:00:00.123456 #1234]`.
        let line = match line.as_bytes() {
            [b'A'..=b'Z', b',', b' ', ..] => line.get(3..)?,
            _ => line,
        };
        let inside = line.strip_prefix('[')?;
        let (inside, rest) = inside.split_once(']')?;
        // Passenger: `[ E 2026-11-24 10:00:00.1234 5197/To App/Implementation.cpp:221 ]: `.
        let inside = match inside.as_bytes() {
            [b' ', b'A'..=b'Z', b' ', ..] => inside.get(3..)?,
            _ => inside,
        };
        // The kernel's seconds have a fraction of six digits; "[60765]" is a pid.
        let is_kernels = |text: &str| text.split_once('.').is_some_and(|(_, part)| part.len() == 6);
        let t = if let Some(seconds) =
            inside.trim().parse::<f64>().ok().filter(|_| is_kernels(inside.trim()))
        {
            self.boot_t + seconds
        } else if inside.len() == 10 && inside.bytes().all(|byte| byte.is_ascii_digit()) {
            // Nagios: `[1795514400]`.
            inside.parse().ok()?
        } else {
            // Monit: `[CET Nov 24 10:00:00]`, in the machine's zone.
            let inside = match inside.split_once(' ') {
                Some((zone, rest)) if Scan::is_zone(zone) => rest,
                _ => inside,
            };
            // Tornado: `[E 261124 10:00:00 web:1]`, Jupyter: `[E 2026-11-24 10:00:00.123 App]`.
            let (inside, of_six) = match inside.as_bytes() {
                [b'A'..=b'Z', b' ', ..] => (inside.get(2..)?, Self::year_first as ReadStamp),
                _ => (inside, Self::mysql_5_5 as ReadStamp),
            };
            let known: [ReadStamp; 6] =
                [Self::ctime, Self::iso, Self::syslog, Self::slashed, Self::civil, of_six];
            known.into_iter().find_map(|read| read(self, inside))?.0
        };
        Some((t, rest))
    }

    /// `24-Nov-2026 10:00:00[ Zone]` (PHP, Tomcat), `24/Nov/2026:10:00:00 +0000` (access logs).
    pub(super) fn civil<'a>(&self, text: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(text);
        let day = scan.number()?;
        let by = if scan.0.starts_with('/') { "/" } else { "-" };
        let month = scan.eat(by)?.month()?;
        let (year, digits) = scan.eat(by)?.counted()?;
        let year = if digits == 2 { 2000 + year } else { year };
        let between = if scan.0.starts_with(':') { ":" } else { " " };
        let clock = scan.eat(between)?.clock()?;
        let zone = scan.zone();
        Some((self.unix(year, month, day, clock, zone)?, scan.0))
    }

    /// `Nov 24 10:00:00 `: RFC 3164, local time without a year. Of two months of one name the older time counts.
    pub(super) fn syslog<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let months = scan.months()?;
        let day = scan.blanks()?.number()?;
        // Java's logging: "Nov 24, 2026 10:00:00 AM"; others: "Nov 24 2026 10:00:00".
        scan.0 = scan.0.strip_prefix(',').unwrap_or(scan.0);
        let year = scan.year();
        let clock = scan.eat(" ")?.clock_of_halves()?;
        let rest = if scan.0.is_empty() {
            scan.0
        } else {
            scan.eat(" ").map(|scan| scan.0).or_else(|| scan.eat(":").map(|scan| scan.0))?
        };
        let read = |month| match year {
            Some(year) => self.unix(year, month, day, clock, None),
            None => self.of_no_year(month, day, clock),
        };
        Some((months.into_iter().filter_map(read).reduce(f64::min)?, rest))
    }

    /// `Tue Nov 24 10:00:00 2026`, with a fraction in Apache's logs.
    pub(super) fn ctime<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(WEEKDAYS.iter().find_map(|day| line.strip_prefix(day))?);
        let month = scan.month()?;
        let day = scan.blanks()?.number()?;
        let clock = scan.eat(" ")?.clock()?;
        // "Tue Nov 24 10:00:00 UTC 2026", as date(1) has it.
        let zone = scan.zone();
        let year = scan.eat(" ")?.number()?;
        Some((self.unix(year, month, day, clock, zone)?, scan.0))
    }

    /// `level=error ts=2026-11-24T10:00:00Z ..`: Prometheus, Loki and their kin.
    pub(super) fn logfmt<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (_, rest) = line.strip_prefix("level=")?.split_once(' ')?;
        let time = rest.strip_prefix("ts=").or_else(|| rest.strip_prefix("time="))?;
        let (t, rest) = self.iso_t(time.trim_start_matches('"'))?;
        Some((t, rest.trim_start_matches('"')))
    }

    /// `Tue 2026-11-24 10:00:00 UTC host ..`: journalctl's short-full.
    pub(super) fn short_full<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        self.iso(WEEKDAYS.iter().find_map(|day| line.strip_prefix(day))?)
    }

    /// `@4000000069b9c2c60c8b4ad4 ..`: multilog, s6-log. Labels of TAI64N are ten seconds ahead of Unix time.
    pub(super) fn tai64n<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (label, rest) = line.strip_prefix('@')?.split_at_checked(24)?;
        let (seconds, nanos) = label.split_at_checked(16)?;
        let seconds = u64::from_str_radix(seconds, 16).ok()?.checked_sub((1 << 62) + 10)?;
        let nanos = u32::from_str_radix(nanos, 16).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        let t = seconds as f64 + f64::from(nanos) * 1e-9;
        (t < 8e9).then_some((t, rest))
    }

    /// `E1124 10:00:00.123456    1234 file.go:12] ..`: kubelet; `E20261124 ..`: glog.
    pub(super) fn klog<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line.strip_prefix(['I', 'W', 'E', 'F'])?);
        let before = scan.0.len();
        let date = scan.number()?;
        let digits = before - scan.0.len();
        let clock = scan.eat(" ")?.clock()?;
        let t = match digits {
            4 => self.of_no_year(date / 100, date % 100, clock)?,
            // glog since 0.5.
            8 => self.unix(date / 10_000, date / 100 % 100, date % 100, clock, None)?,
            _ => return None,
        };
        Some((t, scan.0.split_once("] ").map_or(scan.0, |(_, rest)| rest)))
    }

    /// `1255:M 14 Oct 2026 03:00:46.069 # ..`: Redis, before version 4 without the year.
    pub(super) fn redis<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
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
    pub(super) fn zabbix<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
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

    /// `150126 22:31:29 [ERROR] ..`: MySQL to 5.5, MariaDB to 10.0. Behind it others may mean the day first.
    pub(super) fn mysql_5_5<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (date, clock, rest) = of_six_digits(line)?;
        if OF_MYSQL.iter().any(|begin| rest.trim_start().starts_with(begin)) {
            return self.year_first(line);
        }
        Some((self.of_two_digits(date, clock, None)?, rest))
    }

    /// The same where the year is known to be first.
    fn year_first<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let ([year, month, day], clock, rest) = of_six_digits(line)?;
        Some((self.unix(2000 + year, month, day, clock, None)?, rest))
    }

    /// The time of a date whose year has two digits and is first or last. Of two readings that are not to
    /// come the older counts: an old line that looks new would be false evidence.
    fn of_two_digits(
        &self,
        [first, month, last]: [i64; 3],
        clock: (i64, i64, f64),
        zone: Option<i64>,
    ) -> Option<f64> {
        let read = |year: i64, day| self.unix(2000 + year, month, day, clock, zone);
        let readings = [read(first, last), read(last, first)].into_iter().flatten();
        readings.filter(|t| !self.is_to_come(*t)).reduce(f64::min)
    }

    /// `lxc shop 20261124100000.123 ..`, `lxc-start 20261124100000.123 ..`: LXC.
    pub(super) fn lxc<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (_, rest) = line.split_once(' ').filter(|(word, _)| word.starts_with("lxc"))?;
        let is_time = |text: &str| text.starts_with("20") && text.as_bytes().get(14) == Some(&b'.');
        let rest = if is_time(rest) { rest } else { rest.split_once(' ')?.1 };
        let (time, rest) = rest.split_once(' ').filter(|_| is_time(rest))?;
        let (date, clock) = time.split_once('.')?.0.split_at_checked(8)?;
        let (date, clock) = (Scan(date).digits(8)?, Scan(clock).digits(6)?);
        let clock = (clock / 10_000, clock / 100 % 100, (clock % 100) as f64);
        Some((self.unix(date / 10_000, date / 100 % 100, date % 100, clock, None)?, rest))
    }

    /// `1795514400.123 ..`: Squid, journalctl's short-unix.
    pub(super) fn epoch<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let (word, rest) = line.split_once(' ')?;
        let whole = word.split('.').next()?;
        let is_time = whole.len() == 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        Some((word.parse().ok().filter(|_| is_time)?, rest))
    }

    /// `2026.11.24 10:00:00.123456 ..`: ClickHouse; `24.11.2026 10:00:00`.
    pub(super) fn dotted<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let (first, of_first) = scan.counted()?;
        let month = scan.eat(".")?.digits(2)?;
        let (last, of_last) = scan.eat(".")?.counted()?;
        let (year, day) = if first > 31 { (first, last) } else { (last, first) };
        let clock = scan.eat(" ")?.clock()?;
        let t = match (of_first, of_last) {
            (1 | 2, 2) => self.of_two_digits([first, month, last], clock, None)?,
            _ => self.unix(year, month, day, clock, None)?,
        };
        Some((t, scan.0))
    }

    /// `11-24 10:00:00 ..`: Logback, Android; `24-Nov 10:00 ..`: Bacula.
    pub(super) fn yearless<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let first = scan.digits(2)?;
        scan.eat("-")?;
        let (month, day) = match scan.month() {
            Some(month) => (month, first),
            None => (first, scan.digits(2)?),
        };
        let clock = scan.eat(" ")?.clock()?;
        Some((self.of_no_year(month, day, clock)?, scan.0))
    }

    /// `11/24/2026 10:00:00`: Akka, Windows. Where that would be to come, or no date, the day is first.
    pub(super) fn american<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let month = scan.number()?;
        let day = scan.eat("/")?.number()?;
        let year = scan.eat("/")?.digits(4)?;
        let clock = scan.eat(" ")?.clock_of_halves()?;
        let t = self.unix(year, month, day, clock, None).filter(|t| !self.is_to_come(*t));
        Some((t.or_else(|| self.unix(year, day, month, clock, None))?, scan.0))
    }

    /// A time behind levels and names in brackets: `ERROR 2026-11-24 10:00:00,123 ..`, `[notice]
    /// 2026-11-24T10:00:00Z ..`, `[ERROR] [11/24/2026 10:00:00.123] ..`, `ERROR [main] 2026-11-24 ..`.
    pub(super) fn behind_level<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut rest = line;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:#-".contains(&byte);
        for _ in 0..MOST_NAMES {
            if let Some((inside, behind)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
                if let Some((t, _)) = self.of_digits(inside) {
                    return Some((t, behind));
                }
                if !inside.trim_end().bytes().all(plain) {
                    return None;
                }
                rest = behind.trim_start();
            } else {
                let (level, behind) = rest.split_at_checked(rest.find([' ', ':', '\t'])?)?;
                if !LEVELS.contains(&level) {
                    return None;
                }
                rest = behind.trim_start_matches([' ', ':', '\t']);
            }
            if let Some(found) = self.of_digits(rest) {
                return Some(found);
            }
        }
        None
    }

    fn of_digits<'a>(&self, text: &'a str) -> Option<(f64, &'a str)> {
        let known: [ReadStamp; 4] = [Self::iso, Self::slashed, Self::american, Self::yearless];
        known.into_iter().find_map(|read| read(self, text))
    }

    /// `2026/11/24 10:00:00`: nginx, Go; `26/11/24 10:00:00`: Hadoop, Spark.
    pub(super) fn slashed<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let (year, digits) = scan.counted()?;
        let month = scan.eat("/")?.number()?;
        let day = scan.eat("/")?.number()?;
        // Net::Server: `2026/11/24-10:00:00`.
        let between = if scan.0.starts_with('-') { "-" } else { " " };
        let clock = scan.eat(between)?.clock()?;
        let t = match digits {
            2 => self.of_two_digits([year, month, day], clock, None)?,
            _ => self.unix(year, month, day, clock, None)?,
        };
        Some((t, scan.0))
    }

    /// As syslog has it, with a T.
    pub(super) fn iso_t<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        self.iso(line).filter(|_| line.as_bytes().get(10) == Some(&b'T'))
    }

    /// `2026-11-24T10:00:00.123456+01:00`, or a blank for the T, a comma for the point, and a zone
    /// by offset, by `Z`, by `UTC` or local. Home Assistant wrote two digits of the year.
    pub(super) fn iso<'a>(&self, line: &'a str) -> Option<(f64, &'a str)> {
        let mut scan = Scan(line);
        let (year, digits) = scan.counted()?;
        let month = scan.eat("-")?.number()?;
        let day = scan.eat("-")?.number()?;
        let clock = match scan.0.as_bytes().first() {
            Some(b'T') => scan.eat("T")?.clock()?,
            // svlogd: `2026-11-24_10:00:00.12345`; Airflow: `[2026-11-24, 10:00:00 UTC]`.
            Some(b'_') => scan.eat("_")?.clock()?,
            Some(b',') => scan.eat(", ")?.clock()?,
            _ => scan.blanks()?.clock()?,
        };
        let zone = scan.zone();
        let t = match digits {
            2 => self.of_two_digits([year, month, day], clock, zone)?,
            _ => self.unix(year, month, day, clock, zone)?,
        };
        Some((t, scan.0))
    }
}

/// Date, clock and what follows.
type SixDigits<'a> = ([i64; 3], (i64, i64, f64), &'a str);

/// `261124 10:00:00` taken apart: the date, the clock and what follows.
fn of_six_digits(line: &str) -> Option<SixDigits<'_>> {
    let mut scan = Scan(line);
    let date = scan.digits(6)?;
    let clock = scan.blanks()?.clock()?;
    Some(([date / 10_000, date / 100 % 100, date % 100], clock, scan.0))
}
