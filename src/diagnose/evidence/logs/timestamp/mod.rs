//! Stamp: when a line was written. A dozen programs have a dozen ways to say so.

mod formats;
mod months;
mod scan;

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

/// Reads a stamp: Unix time and what follows.
type ReadStamp = for<'s, 'l> fn(&'s Stamps, &'l str) -> Option<(f64, &'l str)>;

impl Stamps {
    /// Stamps of logs of this machine, which is in `zone` and was booted at `boot_t`.
    pub fn new(zone: TimeZone, now_t: f64, boot_t: f64) -> Self {
        Self { zone, now_t, boot_t }
    }

    /// The time at the beginning of a line, and the rest of the line after it and blanks.
    pub fn split<'a>(&self, line: &'a str) -> Stamped<'a> {
        let known: [(ReadStamp, bool); 20] = [
            (Self::bracketed, false),
            (Self::syslog, true),
            (Self::ctime, false),
            (Self::slashed, false),
            (Self::civil, false),
            (Self::iso_t, true),
            (Self::iso, false),
            (Self::short_full, true),
            (Self::klog, false),
            (Self::tai64n, false),
            (Self::redis, false),
            (Self::zabbix, false),
            (Self::mysql_5_5, false),
            (Self::epoch, true),
            (Self::logfmt, false),
            (Self::dotted, false),
            (Self::yearless, false),
            (Self::american, false),
            (Self::behind_level, false),
            (Self::lxc, false),
        ];
        // RFC 5424's priority and version, and what apt writes when it begins.
        let bare = without_priority(line.trim_start());
        let bare = bare.strip_prefix("Log started: ").unwrap_or(bare);
        for (read, by_syslog) in known {
            if let Some((t, rest)) = read(self, bare) {
                let rest = rest.trim_start_matches([' ', ',', '-', ':', '|']);
                return Stamped { t: Some(t), rest, by_syslog };
            }
        }
        Stamped { t: None, rest: line, by_syslog: false }
    }

    /// Microseconds since boot, as the kernel counts.
    pub fn since_boot(&self, micros: u64) -> f64 {
        self.boot_t + micros as f64 * 1e-6
    }

    /// Whether a time is still to come, by more than clocks differ.
    pub(super) fn is_to_come(&self, t: f64) -> bool {
        t > self.now_t + 86_400.0
    }

    /// A time without a year: what would be tomorrow or later was last year.
    fn of_no_year(&self, month: i64, day: i64, clock: (i64, i64, f64)) -> Option<f64> {
        let year = Timestamp::from_second(self.now_t as i64).ok()?;
        let year = i64::from(year.to_zoned_datetime(self.zone.clone()).year());
        let this = self.unix(year, month, day, clock, None);
        let t = this.filter(|t| *t <= self.now_t + 86_400.0);
        t.or_else(|| self.unix(year - 1, month, day, clock, None))
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
            "level=info ts=2026-11-24T10:00:00.000Z x",
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
            "2026/11/24 10:00:00| x",
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
            "2026-11-24 10:00:00.000 CET x",
            "2026-11-24 12:00:00.000 +02 x",
            "2026-11-24 10:00 +00:00: x",
            "2026-11-24T10:00:00: x",
            "<34>1 2026-11-24T10:00:00Z x",
            "1795514400 x",
            "[1795514400] x",
            "[ E 2026-11-24 10:00:00.0000 5197/To App/Implementation.cpp:221 ]: x",
            "[2026-11-24, 10:00:00 UTC] x",
            "2026-11-24_10:00:00.00000 x",
            "2026/11/24-10:00:00 x",
            "@400000006b05602a00000000 x",
            "E20261124 10:00:00.000000 1234 file.cc:12] x",
            "Log started: 2026-11-24  10:00:00 x",
            "2026.11.24 10:00:00.000000 x",
            "24.11.2026 10:00:00 x",
            "24-Nov-26 10:00:00 x",
            "[E 261124 10:00:00 web:1] x",
            "[E 2026-11-24 10:00:00.000 App] x",
            "ERROR 2026-11-24 10:00:00,000 x",
            "INFO:2026-11-24 10:00:00,000:x",
            "[notice] 2026-11-24T10:00:00.000000Z x",
            "[roslaunch.pmon][ERROR] 2026-11-24 10:00:00,000: x",
            "11-24 10:00:00 x",
            "24-Nov 10:00 x",
            "11/24/2026 10:00:00 AM: x",
            "24/11/2026 10:00:00 x",
            "[ERROR] [11/24/2026 10:00:00.000] x",
            "ERROR [main:1] 2026-11-24 10:00:00,000 x",
            "[UTC Nov 24 10:00:00] x",
            "lxc shop 20261124100000.000 x",
            "lxc-start 20261124100000.000 x",
        ] {
            let Stamped { t, rest, .. } = stamps.split(line);
            assert_eq!((t, rest), (Some(T), "x"), "{line}");
        }
    }

    #[test]
    fn a_year_of_two_digits_never_makes_a_line_newer_than_it_may_be() {
        let stamps = stamps("UTC0");
        let day = |year, month, day| stamps.unix(year, month, day, (10, 0, 0.0), None);
        for (line, t) in [
            // Hadoop's and Home Assistant's order where the other would be to come.
            ("26/10/30 10:00:00 x", day(2026, 10, 30)),
            ("26-10-30 10:00:00 x", day(2026, 10, 30)),
            ("261030 10:00:00 x", day(2026, 10, 30)),
            ("30/11/24 10:00:00 x", day(2024, 11, 30)),
            ("28/03/19 10:00:00 x", day(2019, 3, 28)),
            ("[28-03-23 10:00:00] x", day(2023, 3, 28)),
            ("ERROR 31-12-24 10:00:00 x", day(2024, 12, 31)),
            ("300323 10:00:00 x", day(2023, 3, 30)),
            ("30-Nov-25 10:00:00 x", day(2025, 11, 30)),
            ("30.11.25 10:00:00 x", day(2025, 11, 30)),
            // Both may be: the older.
            ("26/11/25 10:00:00 x", day(2025, 11, 26)),
            ("26/11/24 10:00:00 x", day(2024, 11, 26)),
            ("26-11-24 10:00:00 x", day(2024, 11, 26)),
            ("261124 10:00:00 x", day(2024, 11, 26)),
        ] {
            let Stamped { t: got, rest, .. } = stamps.split(line);
            assert_eq!((got, rest), (t, "x"), "{line}");
        }
        // October in Croatian, November in Polish; June or July.
        assert_eq!(stamps.split("lis 23 10:00:00 x").t, day(2026, 10, 23));
        assert_eq!(stamps.split("lis 24 2026 10:00:00 x").t, day(2026, 10, 24));
        assert_eq!(stamps.split("lip 23 10:00:00 x").t, day(2026, 6, 23));
        assert_eq!(stamps.split("srp 23 10:00:00 x").t, day(2026, 7, 23));
        assert_eq!(stamps.split("stu 23 10:00:00 x").t, None);
        // MySQL's and Tornado's own forms have the year first.
        assert_eq!(stamps.split("261124 10:00:00 [ERROR] x").t, Some(T));
        for line in [
            "30/11/30 10:00:00 x",
            "301130 10:00:00 x",
            "[E 301124 10:00:00 web:1] x",
            "300323 10:00:00 [ERROR] x",
            "30-Nov-26 10:00:00 x",
            "2030/11/24 10:00:00 x",
        ] {
            assert!(stamps.split(line).t.is_none_or(|t| stamps.is_to_come(t)), "{line}");
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
            "[a b] 2026-11-24 10:00:00 x",
            "GET 2026-11-24 10:00:00 x",
            "1.2.3.4 10:00:00 x",
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
