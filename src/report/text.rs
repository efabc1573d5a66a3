//! Text: one line an event, for people.
//!
//! A line holds the time, one word for what it is, the process, and a sentence with units and
//! intervals; it can be read without colour. Names are escaped by [`Comm`].

use super::words::{CeilingName, Style, Subject, TimeOfDay};
use crate::core::model::ceiling::{MemoryFailure, MemoryFailureKind, Unit};
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{NotEnded, Order, OrderReason, Outcome, OutcomeResult};
use crate::core::model::signal::{SignalFailure, Step};
use crate::core::model::units::{Amount, Bytes, Rate, Seconds};
use crate::core::model::verdict::{
    ClearedReason, Evidence, Finding, FindingReason, FindingScope, Verdict,
};
use std::fmt;
use std::io::{self, Write};

/// Writes one event as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_event(out: &mut impl Write, t: f64, event: &Event, style: Style) -> io::Result<()> {
    if is_said_otherwise(event) {
        return Ok(());
    }
    write!(out, "{}  ", TimeOfDay(t))?;
    write_message(out, event, style)
}

/// Whether other lines tell that: FORECAST, and OUTCOME.
fn is_said_otherwise(event: &Event) -> bool {
    matches!(
        event,
        Event::Leak(Finding { is_update: true, .. })
            | Event::VerdictCleared { why: ClearedReason::Ended, .. }
    )
}

/// The same without the time, for where each line gets one anyway.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_message(out: &mut impl Write, event: &Event, style: Style) -> io::Result<()> {
    if is_said_otherwise(event) {
        return Ok(());
    }
    let (word, colour) = match event {
        Event::Outcome(_) => ("OUTCOME", GREEN),
        Event::Order(_) if style.dry_run => ("DRY RUN", RED),
        Event::Order(_) => ("ORDER", RED),
        Event::SignalFailed { .. } => ("FAILED", RED),
        Event::NotEnded { .. } => ("SPARED", RED),
        Event::Leak(_) => ("LEAK", RED),
        Event::Forecast { .. } => ("FORECAST", YELLOW),
        Event::Suspect(_) => ("SUSPECT", YELLOW),
        Event::VerdictCleared { .. } | Event::ForecastCleared { .. } => ("CLEARED", GREEN),
        Event::MemoryFailure(_) => ("FAILING", RED),
    };
    let (on, off) = if style.colour { (colour, RESET) } else { ("", "") };
    let sentence = Sentence(event);
    writeln!(
        out,
        "{on}{word:<8}{off}  {:<18}  {sentence}",
        subject(event).map_or("machine".to_owned(), |subject| subject.to_string())
    )
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

/// Whom an event is about; nobody where it is the machine.
fn subject(event: &Event) -> Option<Subject> {
    Some(match *event {
        Event::Suspect(Finding { id, comm, scope, .. })
        | Event::Leak(Finding { id, comm, scope, .. })
        | Event::VerdictCleared { id, comm, scope, .. } => Subject::of(comm, id, scope),
        Event::Forecast { root, comm, .. } | Event::ForecastCleared { root, comm, .. } => {
            Subject::tree(comm, root?)
        }
        Event::MemoryFailure(_) => return None,
        Event::NotEnded { id, comm, .. } => Subject::process(comm, id),
        Event::Order(Order { victim, comm, .. })
        | Event::Outcome(Outcome { order: Order { victim, comm, .. }, .. })
        | Event::SignalFailed { order: Order { victim, comm, .. }, .. } => {
            Subject::process(comm, victim)
        }
    })
}

/// What a line says after its subject.
struct Sentence<'a>(&'a Event);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Leak(finding) => leak(f, finding),
            Event::Suspect(finding) => suspect(f, finding),
            Event::VerdictCleared { was, why, .. } => cleared(f, *was, *why),
            Event::Forecast { forecast, .. } => write!(f, "{}", InWords(forecast)),
            Event::NotEnded { why, .. } => spared(f, *why),
            Event::Order(order) => ordered(f, order),
            Event::SignalFailed { order, why } => signal_failed(f, order, *why),
            Event::Outcome(outcome) => ended(f, outcome),
            Event::ForecastCleared { ceiling, place, .. } => {
                write!(f, "{} comes no nearer", CeilingName(*ceiling, *place))
            }
            Event::MemoryFailure(sign) => failing(f, sign),
        }
    }
}

fn leak(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    match (finding.why, &finding.evidence) {
        (FindingReason::PileUp, evidence) => {
            let (n, size) = (finding.tasks, Bytes(finding.footprint));
            write!(f, "children pile up and never end: {n} now, together {size}, ")?;
            match evidence {
                Some(evidence) => write!(f, "{}", Rate(evidence.slope, evidence.unit))?,
                None => write!(f, "and growing")?,
            }
        }
        (FindingReason::Threads, Some(evidence)) => write!(
            f,
            "starts threads that never end: {} now, {:.0} more in {} ({})",
            finding.tasks,
            evidence.growth,
            Seconds(evidence.window_s),
            Rate(evidence.slope, evidence.unit)
        )?,
        (FindingReason::Pool, Some(evidence)) => {
            write!(f, "{}, as its siblings do until they end", Grew(evidence, finding.footprint))?
        }
        (FindingReason::Pool, None) => match finding.scope {
            FindingScope::Tree => write!(
                f,
                "its children grow for as long as they live, each too briefly to be judged alone"
            )?,
            FindingScope::Process => write!(
                f,
                "{} now; grows as its siblings do until they end",
                Bytes(finding.footprint)
            )?,
        },
        (_, Some(evidence)) => write!(f, "{}", Grew(evidence, finding.footprint))?,
        (_, None) => write!(f, "{} now, and growing", Bytes(finding.footprint))?,
    }
    match &finding.forecast {
        Some(forecast) if forecast.is_reliable() => {
            let Forecast { likely_s, earliest_s, latest_s, .. } = *forecast;
            let verb = match forecast.ceiling.unit() {
                Unit::Bytes => "memory for another",
                Unit::Tasks => "forks for another",
            };
            write!(
                f,
                "; {verb} {} ({} to {})",
                Seconds(likely_s),
                Seconds(earliest_s),
                Seconds(latest_s)
            )
        }
        Some(forecast) => {
            let what = match forecast.ceiling.unit() {
                Unit::Bytes => "memory lasts",
                Unit::Tasks => "forks go on",
            };
            write!(f, "; {what} over 8 times the {} it was watched", Seconds(forecast.window_s))
        }
        None => Ok(()),
    }
}

/// "grew steadily 41 MiB in 12 min (+3.4 MiB/min), 88 MiB now"
struct Grew<'a>(&'a Evidence, u64);

impl fmt::Display for Grew<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Evidence { unit, growth, window_s, slope, at_equal_load, .. }, footprint) = self;
        let steadily = if *at_equal_load { "at equal load" } else { "steadily" };
        write!(
            f,
            "grew {steadily} {} in {} ({}), {} now",
            Amount(*growth as u64, *unit),
            Seconds(*window_s),
            Rate(*slope, *unit),
            Bytes(*footprint)
        )
    }
}

fn suspect(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    match &finding.evidence {
        Some(evidence) => write!(
            f,
            "grew {} in {} ({}); not long enough to tell a leak from warming up",
            Amount(evidence.growth as u64, evidence.unit),
            Seconds(evidence.window_s),
            Rate(evidence.slope, evidence.unit)
        ),
        None => write!(f, "{} and growing; too early to call it a leak", Bytes(finding.footprint)),
    }
}

fn cleared(f: &mut fmt::Formatter<'_>, was: Verdict, why: ClearedReason) -> fmt::Result {
    let was = was.name();
    match why {
        ClearedReason::GrowthEnded => write!(f, "no longer {was}: its growth is no longer steady"),
        ClearedReason::Exited => write!(f, "no longer {was}: it exited"),
        ClearedReason::Ended => write!(f, "no longer {was}: it was ended"),
    }
}

/// "memory runs out in 25 min (19 min to 33 min): 412 MiB of 2.0 GiB left of RAM and swap, going at ..."
struct InWords<'a>(&'a Forecast);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast { ceiling, place, headroom, limit, slope, .. } = *self.0;
        let Forecast { earliest_s, likely_s, latest_s, window_s, .. } = *self.0;
        let (verb, unit) = (ceiling.effect().verb(), ceiling.unit());
        if self.0.is_reliable() {
            write!(
                f,
                "{verb} in {} ({} to {})",
                Seconds(likely_s),
                Seconds(earliest_s),
                Seconds(latest_s)
            )?;
        } else {
            write!(f, "{verb}, but not within 8 times the {} watched", Seconds(window_s))?;
        }
        write!(
            f,
            ": {} of {} left of {}, going at {}; {}",
            match unit {
                Unit::Bytes => Bytes(headroom).to_string(),
                Unit::Tasks => headroom.to_string(),
            },
            Amount(limit, unit),
            CeilingName(ceiling, place),
            Rate(slope, unit),
            ceiling.effect().sentence()
        )
    }
}

/// "fork was refused 3 times by pids.max of cgroup /x: Resource temporarily unavailable (EAGAIN)"
fn failing(f: &mut fmt::Formatter<'_>, sign: &MemoryFailure) -> fmt::Result {
    let MemoryFailure { kind, ceiling, place, count, .. } = *sign;
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let where_ = CeilingName(ceiling, place);
    match (kind, ceiling.unit()) {
        (MemoryFailureKind::OomKill, _) => {
            let n = if count == 1 { "a process".to_owned() } else { format!("{count} processes") };
            write!(f, "the OOM killer ended {n}: {where_} is used up")
        }
        (MemoryFailureKind::Refused, Unit::Tasks) => {
            write!(f, "fork failed {times} at {where_}: {}", ceiling.effect().errno())
        }
        (MemoryFailureKind::Refused, Unit::Bytes) => {
            write!(f, "memory was refused {times} at {where_}: {}", ceiling.effect().errno())
        }
        (MemoryFailureKind::Stalled, _) => {
            write!(f, "everybody waited for memory {count} % of the last 10 s: {where_} is used up")
        }
    }
}

fn spared(f: &mut fmt::Formatter<'_>, why: NotEnded) -> fmt::Result {
    let text = match why {
        NotEnded::NotAWorker => {
            "leaks and memory is in danger, but nobody is known to start it again; restart its service, or allow it with --allow-standalone"
        }
        NotEnded::Helper => {
            "leaks and memory is in danger, but it helps its master and is none of its workers; restart its service"
        }
        NotEnded::HasChildren => {
            "leaks and memory is in danger, but it has children; restart its service"
        }
        NotEnded::Orphan => {
            "leaks and memory is in danger, but its master is dead and would not replace it; restart the service"
        }
        NotEnded::Protected => "leaks and memory is in danger, but --protect names it",
        NotEnded::NotPermitted => {
            "leaks and memory is in danger, but this user may not signal it; run leakwatch as root or give it CAP_KILL"
        }
        NotEnded::Unknown => {
            "leaks and memory is in danger, but its program could not be looked at"
        }
        NotEnded::PoolHalved => {
            "leaks and memory is in danger, but its pool is down to half already"
        }
        NotEnded::ForkFails(what) => {
            return write!(
                f,
                "leaks and memory is in danger, but forks fail already, and then its master {what}; free memory by other means"
            );
        }
        NotEnded::Server(why) => return write!(f, "leaks and memory is in danger, but {why}"),
    };
    f.write_str(text)
}

fn ordered(f: &mut fmt::Formatter<'_>, order: &Order) -> fmt::Result {
    let Order { signal, step, grace_s, reason, footprint, forecast, .. } = order;
    let (signal, grace) = (signal.name(), Seconds(*grace_s));
    match step {
        Step::Reload => {
            write!(
                f,
                "{signal} to its master {} (to replace all workers gently)",
                order.target.pid
            )?;
        }
        Step::Gentle => write!(f, "{signal} (finish the request, then exit)")?,
        Step::Term | Step::Kill => write!(f, "{signal}")?,
    }
    if let Some(then) = order.then {
        write!(f, "; {} if still there in {grace}", then.name())?;
    }
    match reason {
        OrderReason::Danger => write!(f, ": leaking, {}", Bytes(*footprint))?,
        OrderReason::Hung => write!(f, ": hung, one of those that pile up")?,
        OrderReason::Emergency => write!(
            f,
            ": grows fastest, {}, and memory goes too fast for a longer look",
            Bytes(*footprint)
        )?,
        OrderReason::Stayed => return write!(f, ": it did not go"),
    }
    match forecast {
        Some(forecast) => write!(
            f,
            "; {} in {} (earliest {})",
            forecast.ceiling.effect().verb(),
            Seconds(forecast.likely_s),
            Seconds(forecast.earliest_s)
        ),
        None => Ok(()),
    }
}

fn signal_failed(f: &mut fmt::Formatter<'_>, order: &Order, why: SignalFailure) -> fmt::Result {
    write!(f, "{} was not sent: ", order.signal.name())?;
    match why {
        SignalFailure::Gone => write!(f, "it had exited by itself"),
        SignalFailure::NotPermitted => {
            write!(f, "not permitted; run leakwatch as root or give it CAP_KILL")
        }
        SignalFailure::Protected => {
            write!(f, "by its present name or title it is protected, or no worker of its master")
        }
        SignalFailure::Refused => {
            write!(f, "leakwatch never signals process 1, itself or those that started it")
        }
        SignalFailure::Failed(errno) => write!(f, "{}", io::Error::from_raw_os_error(errno)),
    }
}

fn ended(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { order, after_s, result, forecast } = outcome;
    match result {
        OutcomeResult::Stayed => {
            return write!(
                f,
                "still there after {}, last signal {}; leaving it alone",
                Seconds(*after_s),
                order.signal.name()
            );
        }
        OutcomeResult::Gone { reclaimed, headroom_after, .. } => {
            let unit = order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit());
            let amount = |n| Amount(n, unit);
            write!(f, "gone after {} by {}; ", Seconds(*after_s), order.signal.name())?;
            match reclaimed {
                Some(n) => write!(
                    f,
                    "{} expected, {} came back, {} left now",
                    amount(order.expected),
                    amount(*n),
                    amount(*headroom_after)
                )?,
                None => write!(f, "{} left now below another limit", amount(*headroom_after))?,
            }
        }
    }
    match forecast {
        Some(forecast) if forecast.is_reliable() => {
            write!(f, "; {} in {}", forecast.ceiling.effect().verb(), Seconds(forecast.likely_s))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::process::{Comm, ProcId};
    use crate::core::model::signal::Signal;
    use crate::core::model::units::MIB;

    const ID: ProcId = ProcId { pid: 2291, start: 5 };
    const ROOT: ProcId = ProcId { pid: 812, start: 1 };

    fn line(event: Event) -> String {
        let mut out = Vec::new();
        write_event(&mut out, 1_700_000_000.0, &event, Style::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn forecast(likely_s: f64) -> Forecast {
        Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 412 * MIB,
            limit: 2048 * MIB,
            slope: 412.0 * MIB as f64 / likely_s,
            earliest_s: likely_s * 0.75,
            likely_s,
            latest_s: likely_s * 1.32,
            window_s: 720.0,
        }
    }

    fn finding() -> Finding {
        Finding {
            id: ID,
            comm: Comm::new(b"apache2"),
            root: ROOT,
            scope: FindingScope::Process,
            why: FindingReason::Urgent,
            footprint: 88 * MIB,
            tasks: 1,
            evidence: Some(Evidence {
                unit: Unit::Bytes,
                growth: 41.0 * MIB as f64,
                from: 40.0 * MIB as f64,
                window_s: 720.0,
                slope: 41.0 * MIB as f64 / 720.0,
                at_equal_load: false,
            }),
            forecast: Some(forecast(1500.0)),
            is_update: false,
        }
    }

    #[test]
    fn a_leak_is_one_line_with_units_and_an_interval() {
        assert_eq!(
            line(Event::Leak(finding())),
            "2023-11-14T22:13:20Z  LEAK      apache2[2291]       grew steadily 41 MiB in 12 min \
             (+3.4 MiB/min), 88 MiB now; memory for another 25 min (19 min to 33 min)\n"
        );
    }

    #[test]
    fn beyond_eight_times_the_evidence_there_are_words_instead_of_a_number() {
        let text = line(Event::Leak(Finding { forecast: Some(forecast(9000.0)), ..finding() }));
        assert!(text.contains("memory lasts over 8 times the 12 min it was watched"), "{text}");
    }

    #[test]
    fn an_order_says_what_is_sent_what_follows_and_why() {
        let order = Order {
            victim: ID,
            target: ID,
            comm: Comm::new(b"apache2"),
            root: ROOT,
            step: Step::Gentle,
            signal: Signal::Usr1,
            grace_s: 70.0,
            then: Some(Signal::Term),
            helpers: &[],
            reason: OrderReason::Danger,
            footprint: 88 * MIB,
            expected: 80 * MIB,
            forecast: Some(forecast(28.0)),
        };
        let text = line(Event::Order(order));
        assert!(text.ends_with(
            "USR1 (finish the request, then exit); TERM if still there in 70 s: leaking, 88 MiB; memory runs out in 28 s (earliest 21 s)\n"
        ), "{text}");
        let result = OutcomeResult::Gone {
            headroom_before: 0,
            headroom_after: 99 * MIB,
            reclaimed: Some(79 * MIB),
        };
        let text = line(Event::Outcome(Outcome { order, after_s: 0.4, result, forecast: None }));
        assert!(
            text.ends_with(
                "gone after 0.4 s by USR1; 80 MiB expected, 79 MiB came back, 99 MiB left now\n"
            ),
            "{text}"
        );
    }

    /// 88 of 512 tasks left.
    fn in_tasks(likely_s: f64) -> Forecast {
        Forecast {
            ceiling: CeilingKind::Pids,
            place: Place::new("/system.slice/app.service"),
            headroom: 88,
            limit: 512,
            slope: 88.0 / likely_s,
            ..forecast(likely_s)
        }
    }

    #[test]
    fn a_limit_on_tasks_is_named_with_its_place_and_what_fork_will_say() {
        let (comm, forecast) = (Comm::new(b"app"), in_tasks(750.0));
        let text = line(Event::Forecast { root: Some(ROOT), comm, forecast });
        assert!(
            text.ends_with(
                "FORECAST  app(812)            fork fails in 12 min (9 min to 16 min): 88 of 512 \
                 tasks left of pids.max of cgroup /system.slice/app.service, going at +7/min; \
                 then fork says: Resource temporarily unavailable (EAGAIN)\n"
            ),
            "{text}"
        );
        let text = line(Event::Forecast { root: None, comm: Comm::default(), forecast });
        assert!(text.contains("FORECAST  machine             fork fails"), "{text}");
        let (ceiling, place) = (forecast.ceiling, forecast.place);
        let text = line(Event::ForecastCleared { root: None, comm, ceiling, place });
        assert!(text.ends_with("pids.max of cgroup /system.slice/app.service comes no nearer\n"));
    }

    #[test]
    fn threads_and_children_that_never_end_are_counted() {
        let evidence = Evidence {
            unit: Unit::Tasks,
            growth: 60.0,
            from: 4.0,
            window_s: 120.0,
            slope: 0.5,
            at_equal_load: false,
        };
        let (evidence, forecast) = (Some(evidence), Some(in_tasks(176.0)));
        let threads =
            Finding { why: FindingReason::Threads, tasks: 64, evidence, forecast, ..finding() };
        let text = line(Event::Leak(threads));
        assert!(
            text.ends_with(
                "starts threads that never end: 64 now, 60 more in 2 min (+30/min); forks for another 3 min (2 min to 4 min)\n"
            ),
            "{text}"
        );
        let child_leak =
            Finding { why: FindingReason::PileUp, scope: FindingScope::Tree, ..threads };
        let text = line(Event::Leak(child_leak));
        assert!(
            text.contains("children pile up and never end: 64 now, together 88 MiB, +30/min;"),
            "{text}"
        );
    }

    #[test]
    fn what_has_begun_is_said_with_its_limit() {
        let failing = |kind, ceiling, place: &str, count| {
            let (root, place) = (None, Place::new(place));
            line(Event::MemoryFailure(MemoryFailure { kind, ceiling, root, place, count }))
        };
        for (text, expected) in [
            (
                failing(MemoryFailureKind::OomKill, CeilingKind::Ram, "", 1),
                "FAILING   machine             the OOM killer ended a process: RAM and swap is used up\n",
            ),
            (
                failing(MemoryFailureKind::Refused, CeilingKind::Pids, "/x", 3),
                "fork failed 3 times at pids.max of cgroup /x: Resource temporarily unavailable (EAGAIN)\n",
            ),
            (
                failing(MemoryFailureKind::Refused, CeilingKind::Commit, "", 1),
                "memory was refused once at the commit limit: Cannot allocate memory (ENOMEM)\n",
            ),
        ] {
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
