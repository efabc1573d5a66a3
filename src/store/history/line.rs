//! Line: a sample of a history, with what was done about it then.

use std::io::Write;

use serde::Deserialize;

use crate::core::model::ceiling::Unit;
use crate::core::model::order::EarlierAction;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::Signal;
use crate::store::recording::{Writer, parse_sample};

/// Parses a line into `sample` and `past`; false where it is none.
pub(super) fn parse(line: &[u8], sample: &mut Sample, past: &mut Vec<EarlierAction>) -> bool {
    past.clear();
    if !line.ends_with(b"\n") || parse_sample(line, sample).is_err() || !sample.t.is_finite() {
        return false;
    }
    // Nearly all lines have none, and reading one twice takes time.
    if line.starts_with(MARK)
        && let Ok(Done { done }) = serde_json::from_slice(line)
    {
        past.extend(done.into_iter().filter_map(Raw::past));
    }
    true
}

/// Writes the line of a sample, newline included.
pub(super) fn write(
    out: &mut Vec<u8>,
    sample: &Sample,
    past: &[EarlierAction],
) -> std::io::Result<()> {
    let start = out.len();
    for (index, past) in past.iter().enumerate() {
        out.extend_from_slice(if index == 0 { MARK } else { b"," });
        let ProcId { pid, start } = past.victim();
        write!(out, "{{\"pid\":{pid},\"start\":{start}")?;
        match past {
            EarlierAction::Ordered { step, signal, grace_s, reason, unit, .. } => {
                let (step, reason) = (step.name(), reason.name());
                write!(out, ",\"what\":\"ordered\",\"step\":\"{step}\",\"reason\":\"{reason}\"")?;
                write!(out, ",\"signal\":\"{}\",\"grace_s\":{grace_s}", signal.name())?;
                write!(out, ",\"tasks\":{}}}", *unit == Unit::Tasks)?;
            }
            EarlierAction::GivenUp(_) => out.extend_from_slice(b",\"what\":\"given-up\"}"),
            EarlierAction::DryRun(_) => out.extend_from_slice(b",\"what\":\"dry-run\"}"),
        }
    }
    if !past.is_empty() {
        out.extend_from_slice(b"],");
    }
    let sample_at = out.len();
    Writer::resume(&mut *out).write(sample)?;
    if sample_at > start {
        // Both are one object.
        out.remove(sample_at);
    }
    Ok(())
}

/// What was done comes first in a line, so that it is seen at once whether there was anything.
const MARK: &[u8] = b"{\"done\":[";

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    pid: u32,
    start: u64,
    what: String,
    step: Option<String>,
    signal: Option<String>,
    reason: Option<String>,
    grace_s: Option<f64>,
    #[serde(default)]
    tasks: bool,
}

impl Raw {
    /// What a newer leakwatch may have written is passed over.
    fn past(self) -> Option<EarlierAction> {
        let victim = ProcId { pid: self.pid, start: self.start };
        match self.what.as_str() {
            "given-up" => Some(EarlierAction::GivenUp(victim)),
            "dry-run" => Some(EarlierAction::DryRun(victim)),
            "ordered" => Some(EarlierAction::Ordered {
                victim,
                step: self.step?.parse().ok()?,
                signal: Signal::from_name(&self.signal?)?,
                reason: self.reason?.parse().ok()?,
                grace_s: self.grace_s.filter(|s| s.is_finite() && *s >= 0.0)?,
                unit: if self.tasks { Unit::Tasks } else { Unit::Bytes },
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::order::OrderReason;
    use crate::core::model::process::{Comm, Proc};
    use crate::core::model::signal::Step;

    #[test]
    fn what_was_done_comes_back_with_the_sample() {
        let victim = ProcId { pid: 7, start: 9 };
        let proc = Proc {
            id: victim,
            ppid: 1,
            comm: Comm::new(b"{\"done\":["),
            rss: 1,
            anon: None,
            swap: 0,
            cpu_s: 0.5,
            threads: 1,
        };
        let sample = Sample { t: 5.5, procs: vec![proc], ..Sample::default() };
        let (step, signal, reason) = (Step::Gentle, Signal::Usr1, OrderReason::Danger);
        let ordered = EarlierAction::Ordered {
            victim,
            step,
            signal,
            grace_s: 70.0,
            reason,
            unit: Unit::Tasks,
        };
        for past in [
            vec![],
            vec![ordered, EarlierAction::GivenUp(victim)],
            vec![EarlierAction::DryRun(victim)],
        ] {
            let mut line = Vec::new();
            write(&mut line, &sample, &past).unwrap();
            let (mut back, mut back_past) =
                (Sample::default(), vec![EarlierAction::GivenUp(victim)]);
            assert!(parse(&line, &mut back, &mut back_past));
            assert_eq!((back, back_past), (sample.clone(), past));
            for cut in 0..line.len() {
                assert!(!parse(&line[..cut], &mut Sample::default(), &mut Vec::new()));
            }
        }
    }
}
