//! The values of options: what each accepts, and how it is parsed.

use crate::core::model::signal::Signal;
use crate::core::servers::UserServer;
use clap::ValueEnum;
use strum::VariantArray;

/// Formats of whole reports. Those of events are in [`report::events`](crate::report::events).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people.
    Text,
    /// JSON: one object.
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A process in a recording: a pid and, where the pid was reused, a start time in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pid.
    pub pid: u32,
    /// The start time, in the unit that recordings and JSON use.
    pub start: Option<u64>,
}

/// A process: `2291`, or `2291:51773` with its start time.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let (pid, start) = match text.split_once(':') {
        Some((pid, start)) => (pid, Some(start.parse::<u64>())),
        None => (text, None),
    };
    match (pid.parse(), start.transpose()) {
        (Ok(pid), Ok(start)) => Ok(Target { pid, start }),
        _ => Err("write PID or PID:START, such as 2291:51773".to_owned()),
    }
}

/// A time without running that may be proof, in seconds.
pub(super) fn rest(text: &str) -> Result<f64, String> {
    match time(text)? {
        seconds if seconds >= 60.0 => Ok(seconds),
        _ => Err("what has not run for less than 1m may go on any moment".to_owned()),
    }
}

/// A time in seconds: `30s`, `5m`, `1h30m`, or a bare number of seconds.
pub(super) fn time(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() && seconds >= 0.0 {
            Ok(seconds)
        } else {
            Err("a time cannot be negative or infinite".to_owned())
        };
    }
    let duration = humantime::parse_duration(text);
    duration.map(|d| d.as_secs_f64()).map_err(|e| format!("{e}; write 30s, 5m or 1h30m"))
}

/// An interval: a time between bounds that make sense for sampling.
pub(super) fn interval(text: &str) -> Result<f64, String> {
    match time(text)? {
        s if (0.05..=86400.0).contains(&s) => Ok(s),
        _ => Err("an interval is between 0.05s and 1day".to_owned()),
    }
}

/// Bytes that no machine has: 2^60, an exbibyte.
const LARGEST: f64 = (1_u64 << 60) as f64;

/// A size in bytes: a number with K, M, G or T for powers of 1024, as `free` and systemd use them.
///
/// # Errors
///
/// What to write, where this is no number, less than a byte or an exbibyte and more.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write 512M or 1.5G".to_owned();
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or("").to_ascii_uppercase();
    let factor = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0_f64.powi(2),
        "G" => 1024.0_f64.powi(3),
        "T" => 1024.0_f64.powi(4),
        _ => return Err(wrong()),
    };
    match digits.trim().parse::<f64>() {
        Ok(n) if n.is_finite() && n * factor >= LARGEST => {
            Err("that is more than any machine has; write 512M or 1.5G".to_owned())
        }
        Ok(n) if n.is_finite() && n * factor >= 1.0 => Ok((n * factor) as u64),
        _ => Err(wrong()),
    }
}

/// The name of a signal, such as `USR1`.
pub(super) fn signal(text: &str) -> Result<Signal, String> {
    Signal::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Signal::VARIANTS.iter().map(|signal| signal.name()).collect();
        format!("write one of {}", names.join(", "))
    })
}

/// How many times its observed time a growth may be extrapolated.
pub(super) fn max_extrapolation(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(k) if (1.0..=32.0).contains(&k) => Ok(k),
        _ => Err("max-extrapolation is a number from 1 to 32".to_owned()),
    }
}

/// A name of a unit or a container, which may have wildcards.
pub(super) fn name_pattern(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("write a name, such as php8.2-fpm".to_owned());
    }
    let pattern = glob::Pattern::new(text).map(|_| text.to_owned());
    pattern.map_err(|error| format!("{error}; put what stands for itself in brackets, as in [*]"))
}

/// How many times as fast a recording is played.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 1 to 1000".to_owned()),
    }
}

/// A server described by the user: `match=appd,signal=USR1,grace=20s`.
pub(super) fn server_row(text: &str) -> Result<UserServer, String> {
    UserServer::parse(text, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_units_or_is_a_number_of_seconds() {
        assert_eq!((time("30"), time("1h30m"), time("0.5")), (Ok(30.0), Ok(5400.0), Ok(0.5)));
        assert!(time("-1").is_err() && time("inf").is_err() && time("soon").is_err());
        assert!(interval("0.01").is_err() && interval("2days").is_err());
    }

    #[test]
    fn a_target_is_a_pid_with_or_without_a_start_time() {
        assert_eq!(target("2291"), Ok(Target { pid: 2291, start: None }));
        assert_eq!(target("2291:7"), Ok(Target { pid: 2291, start: Some(7) }));
        assert!(target("apache2").is_err() && target("1:").is_err() && target("-1").is_err());
    }

    #[test]
    fn a_size_counts_in_powers_of_1024() {
        assert_eq!(
            (size("512M"), size("1.5GiB"), size("4096")),
            (Ok(512 << 20), Ok(3 << 29), Ok(4096))
        );
        for wrong in ["80%", "0", "0.5", "M", "-1G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signal_goes_by_its_name_and_an_extrapolation_is_between_1_and_32() {
        assert_eq!(signal("USR1"), Ok(Signal::Usr1));
        assert!(signal("SEGV").unwrap_err().starts_with("write one of HUP, "));
        assert_eq!(max_extrapolation("1.5"), Ok(1.5));
        assert!(max_extrapolation("0.9").is_err() && max_extrapolation("33").is_err());
    }

    #[test]
    fn a_name_may_have_wildcards_but_is_never_empty() {
        assert_eq!(name_pattern("php*-fpm"), Ok("php*-fpm".to_owned()));
        assert!(name_pattern("").is_err() && name_pattern("a[").is_err());
    }
}
