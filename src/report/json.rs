//! JSON report: one object a line for every event, for programs to read.
//!
//! Schema 1. Every object has `schema`, `event` and `t` (seconds since the epoch). Then, by event:
//!
//! - `leak`, `suspect`: `scope` (`process` or `tree`), `pid`, `start`, `comm`, `root` (`pid`,
//!   `start`), `why` (`urgent`, `patient`, `pool`, `child_leak-up`, `threads`), `footprint_bytes`, `tasks`;
//!   with evidence `growth_bytes`, `from_bytes`, `window_s`, `slope_bytes_per_s`, `at_equal_load` (of
//!   tasks `growth_tasks` and so on, as everywhere below); with a forecast
//!   the fields of one. A `leak` is repeated (`is_update`: true) when its forecast changed.
//! - forecast fields: `exhaust_t` (likely) and `exhaust` (`earliest`, `likely`, `latest`), absolute
//!   times; `reliable` (false: the evidence is too short for numbers to be shown to people),
//!   `ceiling`, `place` (a cgroup's path, a user), `effect` (`oom-kill`, `enomem`, `eagain`,
//!   `throttled`, `over-budget`), `headroom_bytes`, `limit_bytes`, `consumption_bytes_per_s`.
//! - `forecast`: `pid` and `start` of the tree's root, `comm` (all three absent where the ceiling is
//!   over several trees), forecast fields.
//! - `memory_failure` (it has begun): `kind` (`oom-kill`, `refused`, `stalled`), `count` (of `stalled`
//!   percent of ten seconds), `root`, `ceiling`, `place`, `effect`.
//! - `cleared` (an earlier statement no longer holds): `scope` (`process`, `tree` or `ceiling`), `was` (a
//!   verdict; of a ceiling `forecast`), `pid`, `start`, `comm`; of a verdict also `root` and `why`; of a
//!   ceiling `ceiling`, `place`, `effect`.
//! - `order`: `pid`, `start`, `comm`, `root`, `step` (`reload`, `gentle`, `term`, `kill`), `signal`,
//!   `target` (`pid`, `start`: who gets it, if not that process but its master), `grace_s`, `then` (the
//!   signal that follows, if one does), `reason`,
//!   `footprint_bytes`, `expected_bytes`, forecast fields.
//! - `outcome`: `pid`, `start`, `comm`, `root`, `step`, `result` (`gone`, `stayed`), `after_s`; if gone
//!   `headroom_before_bytes`, `headroom_after_bytes`, `reclaimed_bytes`; forecast fields.
//!
//! - `not_ended` (leaks, memory is in danger, but must not be ended): `pid`, `start`, `comm`, `root`, `why`.
//! - `signal_failed` (live only): the fields of the order, and `why`.
//!
//! - `sample_delayed` (live only; a look came a second late or more, once an episode; not for `--on-event`): `delay_s`,
//!   `why` (`memory`, `io`, `cpu`, `paused`, `unknown`) and, where the kernel tells them,
//!   `memory_pressure_percent`, `cpu_pressure_percent`, `io_pressure_percent` (of ten seconds).
//! - `self` (live only; at SIGUSR1 and at the end of a watch; not for `--on-event`): `anon_bytes`,
//!   `file_bytes`, `cpu_s`, `cpu_share` (of one processor), `age_s`, `samples`, `delay_s` (the last look),
//!   `delay_max_s`.
//!
//! - `check` (of `leakwatch check`, before the events of its look): `state` (`ok`, `warning`, `critical`,
//!   `unknown`), `text`, `processes`, `leaking`, `suspects`, `footprint_bytes`, `samples`, `watched_s`.
//!
//! New fields may be added to schema 1; none changes its meaning.

use std::io::{self, Write};

use crate::core::model::ceiling::{CeilingKind, Place, Unit};
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::json_text::{write_comm, write_text};
use crate::core::model::order::{Order, Outcome, OutcomeResult};
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::{ClearedReason, Finding, FindingScope, Verdict};

/// The event's name.
pub fn name(event: &Event) -> &'static str {
    match event {
        Event::Leak(_) => "leak",
        Event::Suspect(_) => "suspect",
        Event::VerdictCleared { .. } => "cleared",
        Event::Forecast { .. } => "forecast",
        Event::Order(_) => "order",
        Event::Outcome(_) => "outcome",
        Event::SignalFailed { .. } => "signal_failed",
        Event::NotEnded { .. } => "not_ended",
        Event::ForecastCleared { .. } => "cleared",
        Event::MemoryFailure(_) => "memory_failure",
    }
}

/// Writes an event that belongs to the sample at `t`, with its newline.
pub fn write_event(out: &mut impl Write, t: f64, event: &Event) -> io::Result<()> {
    let name = name(event);
    write!(out, "{{\"schema\":1,\"event\":\"{name}\",\"t\":{t}")?;
    match event {
        Event::Leak(finding) | Event::Suspect(finding) => write_finding(out, t, finding)?,
        Event::VerdictCleared { id, comm, root, scope, was, why } => {
            write_cleared(out, *scope, (*id, *comm, *root), (*was, *why))?;
        }
        Event::Forecast { root, comm, forecast } => {
            if let Some(root) = root {
                write_id(out, *root, *comm)?;
            }
            write_forecast(out, t, Some(forecast))?;
        }
        Event::ForecastCleared { root, comm, ceiling, place } => {
            out.write_all(b",\"scope\":\"ceiling\",\"was\":\"forecast\"")?;
            if let Some(root) = root {
                write_id(out, *root, *comm)?;
            }
            write_ceiling(out, *ceiling, *place)?;
        }
        Event::MemoryFailure(sign) => {
            write!(out, ",\"kind\":\"{}\",\"count\":{}", sign.kind.name(), sign.count)?;
            if let Some(root) = sign.root {
                write_root(out, root)?;
            }
            write_ceiling(out, sign.ceiling, sign.place)?;
        }
        Event::Order(order) => write_order(out, t, order)?,
        Event::Outcome(outcome) => write_outcome(out, t, outcome)?,
        Event::SignalFailed { order, why } => {
            write_order(out, t, order)?;
            write!(out, ",\"why\":\"{}\"", why.name())?;
        }
        Event::NotEnded { id, comm, root, why } => {
            write_id(out, *id, *comm)?;
            write_root(out, *root)?;
            write!(out, ",\"why\":\"{}\"", why.name())?;
        }
    }
    out.write_all(b"}\n")
}

fn write_finding(out: &mut impl Write, t: f64, finding: &Finding) -> io::Result<()> {
    let Finding { id, comm, root, scope, why, footprint, tasks, evidence, forecast, is_update } =
        finding;
    write!(out, ",\"scope\":\"{}\"", scope_name(*scope))?;
    write_id(out, *id, *comm)?;
    write_root(out, *root)?;
    write!(out, ",\"why\":\"{}\",\"is_update\":{is_update}", why.name())?;
    write!(out, ",\"footprint_bytes\":{footprint},\"tasks\":{tasks}")?;
    if let Some(evidence) = evidence {
        let unit = evidence.unit.name();
        write!(
            out,
            ",\"growth_{unit}\":{:.0},\"from_{unit}\":{:.0}",
            evidence.growth, evidence.from
        )?;
        write!(out, ",\"window_s\":{}", evidence.window_s)?;
        write!(out, ",\"slope_{unit}_per_s\":{:.3}", evidence.slope)?;
        write!(out, ",\"at_equal_load\":{}", evidence.at_equal_load)?;
    }
    write_forecast(out, t, forecast.as_ref())
}

fn write_cleared(
    out: &mut impl Write,
    scope: FindingScope,
    (id, comm, root): (ProcId, Comm, ProcId),
    (was, why): (Verdict, ClearedReason),
) -> io::Result<()> {
    write!(out, ",\"scope\":\"{}\"", scope_name(scope))?;
    write_id(out, id, comm)?;
    write_root(out, root)?;
    write!(out, ",\"was\":\"{}\",\"why\":\"{}\"", was.name(), why.name())
}

fn write_order(out: &mut impl Write, t: f64, order: &Order) -> io::Result<()> {
    write_id(out, order.victim, order.comm)?;
    write_root(out, order.root)?;
    write!(out, ",\"step\":\"{}\",\"signal\":\"{}\"", order.step.name(), order.signal.name())?;
    write!(out, ",\"grace_s\":{},\"reason\":\"{}\"", order.grace_s, order.reason.name())?;
    if order.target != order.victim {
        write!(out, ",\"target\":{{\"pid\":{}", order.target.pid)?;
        write!(out, ",\"start\":{}}}", order.target.start)?;
    }
    if let Some(then) = order.then {
        write!(out, ",\"then\":\"{}\"", then.name())?;
    }
    write!(out, ",\"footprint_bytes\":{}", order.footprint)?;
    write!(out, ",\"expected_{}\":{}", order_unit(order), order.expected)?;
    write_forecast(out, t, order.forecast.as_ref())
}

fn write_outcome(out: &mut impl Write, t: f64, outcome: &Outcome) -> io::Result<()> {
    let Outcome { order, after_s, result, forecast } = outcome;
    write_id(out, order.victim, order.comm)?;
    write_root(out, order.root)?;
    write!(out, ",\"step\":\"{}\",\"after_s\":{after_s}", order.step.name())?;
    match result {
        OutcomeResult::Stayed => out.write_all(b",\"result\":\"stayed\"")?,
        OutcomeResult::Gone { headroom_before, headroom_after, reclaimed } => {
            let unit = order_unit(order);
            write!(out, ",\"result\":\"gone\",\"headroom_before_{unit}\":{headroom_before}")?;
            write!(out, ",\"headroom_after_{unit}\":{headroom_after}")?;
            if let Some(amount) = reclaimed {
                write!(out, ",\"reclaimed_{unit}\":{amount}")?;
            }
        }
    }
    write_forecast(out, t, forecast.as_ref())
}

fn write_id(out: &mut impl Write, id: ProcId, comm: Comm) -> io::Result<()> {
    write!(out, ",\"pid\":{},\"start\":{},\"comm\":", id.pid, id.start)?;
    write_comm(out, comm)
}

fn write_root(out: &mut impl Write, root: ProcId) -> io::Result<()> {
    write!(out, ",\"root\":{{\"pid\":{},\"start\":{}}}", root.pid, root.start)
}

fn write_forecast(out: &mut impl Write, t: f64, forecast: Option<&Forecast>) -> io::Result<()> {
    let Some(forecast) = forecast else { return Ok(()) };
    let Forecast { ceiling, place, headroom, limit, slope, earliest_s, likely_s, latest_s, .. } =
        forecast;
    let (earliest, likely, latest) = (t + earliest_s, t + likely_s, t + latest_s);
    if latest.is_finite() {
        write!(out, ",\"exhaust_t\":{likely:.1},\"exhaust\":{{\"earliest\":{earliest:.1}")?;
        write!(out, ",\"likely\":{likely:.1},\"latest\":{latest:.1}}}")?;
        write!(out, ",\"reliable\":{}", forecast.is_reliable())?;
    }
    write_ceiling(out, *ceiling, *place)?;
    let unit = ceiling.unit().name();
    write!(out, ",\"headroom_{unit}\":{headroom},\"limit_{unit}\":{limit}")?;
    write!(out, ",\"consumption_{unit}_per_s\":{slope:.3}")
}

fn write_ceiling(out: &mut impl Write, ceiling: CeilingKind, place: Place) -> io::Result<()> {
    write!(out, ",\"ceiling\":\"{}\"", ceiling.name())?;
    if !place.is_none() {
        out.write_all(b",\"place\":")?;
        write_text(out, &place.plain())?;
    }
    write!(out, ",\"effect\":\"{}\"", ceiling.effect().name())
}

/// The unit that an order's amounts are in.
fn order_unit(order: &Order) -> &'static str {
    order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit()).name()
}

fn scope_name(scope: FindingScope) -> &'static str {
    match scope {
        FindingScope::Process => "process",
        FindingScope::Tree => "tree",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::order::OrderReason;
    use crate::core::model::signal::{Signal, Step};
    use crate::core::model::verdict::{Evidence, FindingReason};

    const ID: ProcId = ProcId { pid: 812, start: 99 };
    const ROOT: ProcId = ProcId { pid: 800, start: 90 };

    fn forecast() -> Option<Forecast> {
        Some(Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 1 << 30,
            limit: 2 << 30,
            slope: 1024.0,
            earliest_s: 50.0,
            likely_s: 100.0,
            latest_s: 200.0,
            window_s: 60.0,
        })
    }

    fn line(event: &Event) -> serde_json::Value {
        let mut out = Vec::new();
        write_event(&mut out, 1000.0, event).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_leak_says_what_convicts_and_when_memory_ends() {
        let (growth, from, window_s, slope) = (4096.4, 100.0, 60.0, 68.3);
        let unit = Unit::Bytes;
        let evidence = Some(Evidence { unit, growth, from, window_s, slope, at_equal_load: false });
        let comm = Comm::new(b"a\"\x1b\n");
        let (scope, why, forecast) = (FindingScope::Process, FindingReason::Patient, forecast());
        let finding = Finding {
            id: ID,
            comm,
            root: ROOT,
            scope,
            why,
            footprint: 7,
            tasks: 3,
            evidence,
            forecast,
            is_update: false,
        };
        let leak = line(&Event::Leak(finding));
        for (key, value) in [
            ("schema", serde_json::json!(1)),
            ("event", "leak".into()),
            ("t", 1000.into()),
            ("scope", "process".into()),
            ("pid", 812.into()),
            ("start", 99.into()),
            ("comm", "a\"\u{1b}\n".into()),
            ("root", serde_json::json!({"pid": 800, "start": 90})),
            ("why", "patient".into()),
            ("footprint_bytes", 7.into()),
            ("growth_bytes", 4096.into()),
            ("at_equal_load", false.into()),
            ("exhaust_t", 1100.0.into()),
            (
                "exhaust",
                serde_json::json!({"earliest": 1050.0, "likely": 1100.0, "latest": 1200.0}),
            ),
            ("reliable", true.into()),
            ("ceiling", "ram".into()),
            ("headroom_bytes", (1_u64 << 30).into()),
        ] {
            assert_eq!(leak[key], value, "{key} in {leak}");
        }
    }

    #[test]
    fn an_order_and_its_outcome_are_told() {
        let order = Order {
            victim: ID,
            target: ID,
            comm: Comm::new(b"app"),
            root: ROOT,
            step: Step::Gentle,
            signal: Signal::Usr1,
            grace_s: 30.0,
            then: Some(Signal::Term),
            helpers: &[],
            reason: OrderReason::Danger,
            footprint: 9,
            expected: 8,
            forecast: None,
        };
        let told = line(&Event::Order(order));
        assert_eq!((&told["signal"], &told["reason"]), (&"USR1".into(), &"danger".into()));
        assert_eq!((&told["expected_bytes"], &told["exhaust_t"]), (&8.into(), &().into()));
        let result =
            OutcomeResult::Gone { headroom_before: 1, headroom_after: 9, reclaimed: Some(8) };
        let outcome = Outcome { order, after_s: 2.5, result, forecast: forecast() };
        let told = line(&Event::Outcome(outcome));
        assert_eq!((&told["result"], &told["reclaimed_bytes"]), (&"gone".into(), &8.into()));
    }
}
