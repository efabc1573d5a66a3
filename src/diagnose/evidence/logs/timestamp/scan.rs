//! What is still to be read of a stamp, field by field.

use super::months;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Names of zones in stamps, apart from UTC's; the machine's own zone counts.
const ZONES: [&str; 24] = [
    "CET", "CEST", "MET", "MEST", "EET", "EEST", "WET", "WEST", "BST", "IST", "MSK", "EST", "EDT",
    "CST", "CDT", "MST", "MDT", "PST", "PDT", "JST", "KST", "AEST", "AEDT", "SAST",
];

/// What is still to be read of a stamp.
pub(super) struct Scan<'a>(pub(super) &'a str);

impl Scan<'_> {
    pub(super) fn number(&mut self) -> Option<i64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        // Ten digits are more than any field has.
        (1..=9).contains(&digits).then(|| number.parse().ok())?
    }

    /// A number and how many digits it has.
    pub(super) fn counted(&mut self) -> Option<(i64, usize)> {
        let before = self.0.len();
        let number = self.number()?;
        Some((number, before - self.0.len()))
    }

    /// A number of exactly so many digits.
    pub(super) fn digits(&mut self, count: usize) -> Option<i64> {
        self.counted().filter(|(_, digits)| *digits == count).map(|(number, _)| number)
    }

    /// A year behind a blank, if there is one.
    pub(super) fn year(&mut self) -> Option<i64> {
        let mut ahead = Scan(self.0.strip_prefix(' ')?);
        let year = ahead.digits(4).filter(|year| (1970..2200).contains(year))?;
        self.0 = ahead.0;
        Some(year)
    }

    pub(super) fn eat(&mut self, text: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(text)?;
        Some(self)
    }

    /// One blank or two: days under ten are padded.
    pub(super) fn blanks(&mut self) -> Option<&mut Self> {
        self.eat(" ")?;
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
        Some(self)
    }

    /// A month; of a name that is two months' the first.
    pub(super) fn month(&mut self) -> Option<i64> {
        self.months().map(|[first, _]| first)
    }

    /// The two months that have a name, or one twice.
    pub(super) fn months(&mut self) -> Option<[i64; 2]> {
        let known = self.0.split_at_checked(3).and_then(|(name, rest)| {
            Some(([(1..).zip(MONTHS).find(|(_, month)| *month == name)?.0; 2], rest))
        });
        let (months, rest) = known.or_else(|| months::months(self.0))?;
        self.0 = rest;
        Some(months)
    }

    /// `10:00:00`, with a fraction behind a point or a comma or without.
    pub(super) fn clock(&mut self) -> Option<(i64, i64, f64)> {
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

    /// The same of twelve hours twice: `10:00:00 PM`.
    pub(super) fn clock_of_halves(&mut self) -> Option<(i64, i64, f64)> {
        let (hour, minute, second) = self.clock()?;
        let hour = match (self.eat(" PM").is_some(), self.eat(" AM").is_some()) {
            (true, _) => hour % 12 + 12,
            (_, true) => hour % 12,
            _ => hour,
        };
        Some((hour, minute, second))
    }

    /// Whether that is the name of a zone, or UTC.
    pub(super) fn is_zone(word: &str) -> bool {
        word == "UTC" || ZONES.contains(&word)
    }

    /// Seconds east of UTC, if the stamp tells.
    pub(super) fn zone(&mut self) -> Option<i64> {
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
