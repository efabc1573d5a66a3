//! What each event holds: the fields of its record, for programs to read.
//!
//! Schema 1. Every object has `schema`, `event` and `t` (seconds since the epoch). Then, by event:
//!
//! - `leak`, `growing`: `scope` (`process` or `tree`), `pid`, `start`, `comm`, `root` (`pid`,
//!   `start`), `why` (`growing`: `urgent`, `patient`, `pool`; `leak`: `after-settling`,
//!   `unlike-siblings`, `beyond-declared`, `near-end`, `long-steady`, `day-long`, `outgrown`, `pool`, `pile-up`, `threads`),
//!   `footprint_bytes`, `tasks`, `declared_bytes` (what its command line allows it, where it says so);
//!   with evidence `growth_bytes`, `from_bytes`, `window_s`, `samples` (taken in that time; below 24 nothing is
//!   proven but that it grows), `slope_bytes_per_s`, `at_equal_load` (of
//!   tasks `growth_tasks` and so on, as everywhere below); with a forecast
//!   the fields of one. `leak` says that it is proven, `growing` that a limit comes nearer, whatever the
//!   cause. Both are repeated (`is_update`: true) when the forecast changed.
//! - forecast fields: `exhaust_t` (likely) and `exhaust` (`earliest`, `likely`, `latest`), absolute
//!   times; `reliable` (false: the evidence is too short for numbers to be shown to people),
//!   `ceiling`, `place` (a cgroup's path, a user), `effect` (`oom-kill`, `enomem`, `eagain`,
//!   `throttled`, `over-budget`), `headroom_bytes`, `limit_bytes`, `consumption_bytes_per_s`.
//! - `forecast`: `pid` and `start` of the tree's root, `comm` (all three absent where the ceiling is
//!   over several trees), forecast fields.
//! - `memory_failure` (memory or tasks ran out): `kind` (`oom-kill`, `refused`, `stalled`), `count` (of `stalled`
//!   percent of ten seconds), `root`, `ceiling`, `place`, `effect`.
//! - `cleared` (an earlier statement no longer holds): `scope` (`process`, `tree` or `ceiling`), `was` (a
//!   verdict; of a ceiling `forecast`), `pid`, `start`, `comm`; of a verdict also `root` and `why`; of a
//!   ceiling `ceiling`, `place`, `effect`.
//! - `order`: `pid`, `start`, `comm`, `root`, `step` (`restart`, `reload`, `gentle`, `term`, `kill`), `signal`,
//!   `target` (`pid`, `start`: the master, where it gets the signal instead of that process), `grace_s`, `then` (the
//!   signal that follows, if one does), `reason`; at `restart` systemd sends what the unit says,
//!   `footprint_bytes`, `expected_bytes`, forecast fields.
//! - `outcome`: `pid`, `start`, `comm`, `root`, `step`, `result` (`gone`, `stayed`), `after_s`; if gone
//!   `headroom_before_bytes`, `headroom_after_bytes`, `reclaimed_bytes`; forecast fields.
//!
//! - `not_ended` (growing and memory is running out, but it must not be ended): `pid`, `start`, `comm`, `root`, `why`.
//!   Under `--reap` also of what was left behind and is not proven useless: `why` then begins with `useful-` and
//!   names the proof that is missing; an `order` on what is proven has `reason` `useless`.
//! - `signal_failed` (live only): the fields of the order, and `why`.
//!
//! - `sample_delayed` (live only: a sample was a second late or more, once an episode; not for `--on-event`): `delay_s`,
//!   `why` (`memory`, `io`, `cpu`, `paused`, `unknown`) and, where the kernel has them,
//!   `memory_pressure_percent`, `cpu_pressure_percent`, `io_pressure_percent` (of ten seconds).
//! - `self` (live only; at SIGUSR1 and at the end of a watch; not for `--on-event`): `anon_bytes`,
//!   `file_bytes`, `cpu_s`, `cpu_share` (of one processor), `age_s`, `samples`, `delay_s` (of the last sample),
//!   `delay_max_s`.
//!
//! - `check` (of `leakwatch check`, before the events of its sample): `state` (`ok`, `warning`, `critical`,
//!   `unknown`), `text`, `processes`, `leaking`, `growing`, `footprint_bytes`, `samples`, `watched_s`.
//!
//! Each event about a process has its `unit` or its `container`, where it belongs to one, and each that
//! names a cgroup's limit `place_name`, whose limit it is ("container shop-php"). A `forecast` that no
//! process explains has `cause` (a line of `leakwatch memory`, such as `shared-memory`), `cause_part` (a
//! mount) and `cause_bytes_per_s`.
//!
//! New fields may be added to schema 1; none changes its meaning.

use crate::core::model::ceiling::{CeilingKind, Place, Unit};
use crate::core::model::event::{Cause, Event};
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{Order, Outcome, OutcomeResult, Regret};
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::{Evidence, Finding, FindingScope};
use crate::core::unit_names::UnitNames;
use crate::report::fields::Fields;
use std::io::{self, Write};

/// The event's name.
pub fn name(event: &Event) -> &'static str {
    match event {
        Event::Leak(_) => "leak",
        Event::Growing(_) => "growing",
        Event::VerdictCleared { .. } | Event::ForecastCleared { .. } => "cleared",
        Event::Forecast { .. } => "forecast",
        Event::Order(_) => "order",
        Event::Outcome(_) => "outcome",
        Event::Regretted(_) => "regretted",
        Event::SignalFailed { .. } => "signal_failed",
        Event::NotEnded { .. } => "not_ended",
        Event::MemoryFailure(_) => "memory_failure",
    }
}

/// Writes what an event of the sample at `t` holds.
pub(super) fn write_fields<W: Write>(
    out: &mut Fields<'_, W>,
    t: f64,
    event: &Event,
    names: &UnitNames,
) -> io::Result<()> {
    write_event(out, t, event)?;
    if let Some(name) = event.subject().and_then(|id| names.of(id)) {
        name.unit().map_or(Ok(()), |unit| out.text("unit", unit))?;
        name.container().map_or(Ok(()), |container| out.text("container", container))?;
    }
    let place = event.place().and_then(|place| names.at(place));
    place.map_or(Ok(()), |name| out.text("place_name", name))
}

fn write_event<W: Write>(out: &mut Fields<'_, W>, t: f64, event: &Event) -> io::Result<()> {
    match event {
        Event::Leak(finding) | Event::Growing(finding) => write_finding(out, t, finding),
        Event::VerdictCleared { id, comm, root, scope, was, why } => {
            out.word("scope", scope_name(*scope))?;
            write_process(out, *id, *comm)?;
            out.id("root", *root)?;
            out.word("was", was.name())?;
            out.word("why", why.name())
        }
        Event::Forecast { root, comm, forecast, cause } => {
            write_tree(out, *root, *comm)?;
            write_forecast(out, t, forecast)?;
            cause.as_ref().map_or(Ok(()), |cause| write_cause(out, cause))
        }
        Event::ForecastCleared { root, comm, ceiling, place } => {
            out.word("scope", "ceiling")?;
            out.word("was", "forecast")?;
            write_tree(out, *root, *comm)?;
            write_ceiling(out, *ceiling, *place)
        }
        Event::MemoryFailure(failure) => {
            out.word("kind", failure.kind.name())?;
            out.value("count", failure.count)?;
            if let Some(root) = failure.root {
                out.id("root", root)?;
            }
            write_ceiling(out, failure.ceiling, failure.place)
        }
        Event::Order(order) => write_order(out, t, order),
        Event::Outcome(outcome) => write_outcome(out, t, outcome),
        Event::Regretted(Regret { order, after_s, why }) => {
            write_process(out, order.victim, order.comm)?;
            out.id("root", order.root)?;
            out.value("after_s", after_s)?;
            out.word("why", why.name())
        }
        Event::SignalFailed { order, why } => {
            write_order(out, t, order)?;
            out.word("why", why.name())
        }
        Event::NotEnded { id, comm, root, why } => {
            write_process(out, *id, *comm)?;
            out.id("root", *root)?;
            out.word("why", why.name())
        }
    }
}

fn write_finding<W: Write>(out: &mut Fields<'_, W>, t: f64, finding: &Finding) -> io::Result<()> {
    let Finding {
        id,
        comm,
        root,
        scope,
        why,
        footprint,
        tasks,
        evidence,
        forecast,
        declared,
        is_update,
    } = finding;
    out.word("scope", scope_name(*scope))?;
    write_process(out, *id, *comm)?;
    out.id("root", *root)?;
    out.word("why", why.name())?;
    out.value("is_update", is_update)?;
    out.value("footprint_bytes", footprint)?;
    out.value("tasks", tasks)?;
    if let Some(declared) = declared {
        out.value("declared_bytes", declared)?;
    }
    if let Some(Evidence { unit, growth, from, window_s, slope, samples, at_equal_load }) = evidence
    {
        out.amount("growth", *unit, format_args!("{growth:.0}"))?;
        out.amount("from", *unit, format_args!("{from:.0}"))?;
        out.value("window_s", window_s)?;
        out.value("samples", samples)?;
        out.rate("slope", *unit, *slope)?;
        out.value("at_equal_load", at_equal_load)?;
    }
    forecast.as_ref().map_or(Ok(()), |forecast| write_forecast(out, t, forecast))
}

fn write_order<W: Write>(out: &mut Fields<'_, W>, t: f64, order: &Order) -> io::Result<()> {
    write_process(out, order.victim, order.comm)?;
    out.id("root", order.root)?;
    out.word("step", order.step.name())?;
    out.word("signal", order.signal.name())?;
    out.value("grace_s", order.grace_s)?;
    out.word("reason", order.reason.name())?;
    if order.target != order.victim {
        out.id("target", order.target)?;
    }
    if let Some(then) = order.then {
        out.word("then", then.name())?;
    }
    out.value("footprint_bytes", order.footprint)?;
    out.amount("expected", order_unit(order), order.expected)?;
    order.forecast.as_ref().map_or(Ok(()), |forecast| write_forecast(out, t, forecast))
}

fn write_outcome<W: Write>(out: &mut Fields<'_, W>, t: f64, outcome: &Outcome) -> io::Result<()> {
    let Outcome { order, after_s, result, forecast } = outcome;
    write_process(out, order.victim, order.comm)?;
    out.id("root", order.root)?;
    out.word("step", order.step.name())?;
    out.value("after_s", after_s)?;
    match result {
        OutcomeResult::Stayed => out.word("result", "stayed")?,
        OutcomeResult::Gone { headroom_before, headroom_after, reclaimed } => {
            let unit = order_unit(order);
            out.word("result", "gone")?;
            out.amount("headroom_before", unit, headroom_before)?;
            out.amount("headroom_after", unit, headroom_after)?;
            if let Some(reclaimed) = reclaimed {
                out.amount("reclaimed", unit, reclaimed)?;
            }
        }
    }
    forecast.as_ref().map_or(Ok(()), |forecast| write_forecast(out, t, forecast))
}

fn write_process<W: Write>(out: &mut Fields<'_, W>, id: ProcId, comm: Comm) -> io::Result<()> {
    out.value("pid", id.pid)?;
    out.value("start", id.start)?;
    out.comm("comm", comm)
}

/// The root of a tree; nothing for a ceiling over several.
fn write_tree<W: Write>(
    out: &mut Fields<'_, W>,
    root: Option<ProcId>,
    comm: Comm,
) -> io::Result<()> {
    root.map_or(Ok(()), |root| write_process(out, root, comm))
}

fn write_forecast<W: Write>(
    out: &mut Fields<'_, W>,
    t: f64,
    forecast: &Forecast,
) -> io::Result<()> {
    let Forecast { ceiling, place, headroom, limit, slope, earliest_s, likely_s, latest_s, .. } =
        forecast;
    if latest_s.is_finite() {
        let at = |s: &f64| t + s;
        let (earliest, likely, latest) = (at(earliest_s), at(likely_s), at(latest_s));
        out.value("exhaust_t", format_args!("{likely:.1}"))?;
        out.group(
            "exhaust",
            &[
                ("earliest", &format_args!("{earliest:.1}")),
                ("likely", &format_args!("{likely:.1}")),
                ("latest", &format_args!("{latest:.1}")),
            ],
        )?;
        out.value("reliable", forecast.is_reliable())?;
    }
    write_ceiling(out, *ceiling, *place)?;
    let unit = ceiling.unit();
    out.amount("headroom", unit, headroom)?;
    out.amount("limit", unit, limit)?;
    out.rate("consumption", unit, *slope)
}

fn write_cause<W: Write>(out: &mut Fields<'_, W>, cause: &Cause) -> io::Result<()> {
    out.word("cause", cause.kind.name())?;
    if !cause.part.is_none() {
        out.text("cause_part", cause.part.plain())?;
    }
    out.rate("cause", Unit::Bytes, cause.rate)
}

fn write_ceiling<W: Write>(
    out: &mut Fields<'_, W>,
    ceiling: CeilingKind,
    place: Place,
) -> io::Result<()> {
    out.word("ceiling", ceiling.name())?;
    if !place.is_none() {
        out.text("place", place.plain())?;
    }
    out.word("effect", ceiling.effect().name())
}

/// The unit that an order's amounts are in.
fn order_unit(order: &Order) -> Unit {
    order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit())
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
    use crate::core::model::verdict::FindingReason;
    use crate::report::events::{EventFormat, write_event};
    use crate::report::words::Style;

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
        let names = UnitNames::default();
        write_event(&mut out, 1000.0, event, &names, EventFormat::Json, Style::default()).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_leak_has_its_evidence_and_its_forecast() {
        let (growth, from, window_s, slope) = (4096.4, 100.0, 60.0, 68.3);
        let unit = Unit::Bytes;
        let (samples, at_equal_load) = (32, false);
        let evidence =
            Some(Evidence { unit, growth, from, window_s, slope, samples, at_equal_load });
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
            declared: None,
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
            ("samples", 32.into()),
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
    fn an_order_and_its_outcome_have_amounts_in_bytes() {
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
        let object = line(&Event::Order(order));
        assert_eq!((&object["signal"], &object["reason"]), (&"USR1".into(), &"danger".into()));
        assert_eq!((&object["expected_bytes"], &object["exhaust_t"]), (&8.into(), &().into()));
        let result =
            OutcomeResult::Gone { headroom_before: 1, headroom_after: 9, reclaimed: Some(8) };
        let outcome = Outcome { order, after_s: 2.5, result, forecast: forecast() };
        let object = line(&Event::Outcome(outcome));
        assert_eq!((&object["result"], &object["reclaimed_bytes"]), (&"gone".into(), &8.into()));
    }
}
