//! What each event says to people: one sentence an event, all in this file.
//!
//! To change a wording, edit the text between quotes. A name in braces stands for a value that is
//! already in words ("41 MiB", "12 min", "pids.max of cgroup /web"). The test at the end lists every
//! sentence as it is printed; `cargo test --lib sentences` shows what an edit changed.

use crate::core::model::ceiling::{MemoryFailure, MemoryFailureKind, Unit};
use crate::core::model::event::{Cause, Event};
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{
    MissingProof, NotEnded, Order, OrderReason, Outcome, OutcomeResult, Regret, RegretReason,
};
use crate::core::model::signal::{SignalFailure, Step};
use crate::core::model::units::{Amount, Bytes, Rate, Seconds};
use crate::core::model::verdict::{
    ClearedReason, Evidence, Finding, FindingReason, FindingScope, PROOF_SAMPLES, Verdict,
};
use crate::core::unit_names::UnitNames;
use crate::report::words::{NamedCeiling, plural};
use std::fmt;
use std::io;

/// The sentence of an event, without its subject.
pub(super) struct Sentence<'a>(pub(super) &'a Event, pub(super) &'a UnitNames);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.1;
        match self.0 {
            Event::Leak(finding) => leak(f, finding),
            Event::Growing(finding) => growing(f, finding),
            Event::VerdictCleared { was, why, .. } => verdict_cleared(f, *was, *why),
            Event::Forecast { forecast, cause, .. } => {
                exhaustion(f, forecast, names)?;
                cause.as_ref().map_or(Ok(()), |cause| caused(f, cause))
            }
            Event::ForecastCleared { ceiling, place, .. } => {
                let ceiling = NamedCeiling(*ceiling, *place, names);
                write!(f, "usage of {ceiling} is no longer rising")
            }
            Event::MemoryFailure(failure) => memory_failure(f, failure, names),
            Event::NotEnded { why: NotEnded::NotUseless(missing), .. } => {
                write!(f, "left behind, but not proven useless: {}", missing_proof(*missing))
            }
            Event::NotEnded { why, .. } => {
                write!(f, "growing and memory is running out, but {}", WhyNotEnded(*why))
            }
            Event::Order(order) => ordered(f, order),
            Event::SignalFailed { order, why } => signal_failed(f, order, *why),
            Event::Outcome(outcome) => outcome_of(f, outcome),
            Event::Regretted(regret) => regretted(f, regret),
        }
    }
}

fn leak(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let (size, tasks) = (Bytes(finding.footprint), finding.tasks);
    match (finding.why, finding.evidence) {
        (FindingReason::PileUp, Some(Evidence { slope, unit, .. })) => {
            let rate = Rate(slope, unit);
            write!(f, "its children never exit: {tasks} now, {size} together, {rate}")
        }
        (FindingReason::PileUp, None) => {
            write!(f, "its children never exit: {tasks} now, {size} together, and growing")
        }
        (FindingReason::Threads, Some(Evidence { growth, window_s, slope, unit, .. })) => {
            let (window, rate) = (Seconds(window_s), Rate(slope, unit));
            write!(f, "its threads never exit: {tasks} now, {growth:.0} more in {window} ({rate})")
        }
        (FindingReason::Pool, Some(evidence)) => {
            write!(f, "{}, {size} now, as its siblings do until they exit", GrowthText(evidence))
        }
        (FindingReason::Pool, None) if finding.scope == FindingScope::Tree => {
            write!(f, "its children grow until they exit, each too briefly to be judged alone")
        }
        (FindingReason::Pool, None) => {
            write!(f, "{size} now, growing as its siblings do until they exit")
        }
        (why, Some(evidence)) => write!(f, "{}, {size} now{}", GrowthText(evidence), proof(why)),
        (why, None) => write!(f, "{size} now, and growing{}", proof(why)),
    }?;
    lasts(f, finding.forecast.as_ref())
}

/// What makes growth a leak: no cache, job or warm-up does that.
fn proof(why: FindingReason) -> &'static str {
    match why {
        FindingReason::AfterSettling => ": it had settled before, and has no more work than then",
        FindingReason::UnlikeSiblings => ", while siblings at the same work do not grow",
        FindingReason::BeyondDeclared => ", beyond the size that its command line allows it",
        FindingReason::NearEnd => ": it has used four fifths of the memory there was, and grows on",
        FindingReason::LongSteady => ", over much of the way, without slowing down",
        FindingReason::DayLong => ", for more than a day, without slowing down",
        FindingReason::Outgrown => ": several times what it was, without slowing down",
        _ => "",
    }
}

/// How long memory, or the tasks, last by a finding's forecast.
fn lasts(f: &mut fmt::Formatter<'_>, forecast: Option<&Forecast>) -> fmt::Result {
    match forecast {
        Some(forecast) if forecast.is_reliable() => {
            let lasts = match forecast.ceiling.unit() {
                Unit::Bytes => "memory lasts another",
                Unit::Tasks => "forks work for another",
            };
            write!(f, "; {lasts} {}", WithInterval(forecast))
        }
        Some(Forecast { window_s, .. }) => {
            let window = Seconds(*window_s);
            write!(f, "; no forecast yet: exhaustion is more than 8x the {window} observed")
        }
        None => Ok(()),
    }
}

/// How much a process grew, of a finding.
struct GrowthText(Evidence);

impl fmt::Display for GrowthText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evidence { unit, growth, window_s, slope, at_equal_load, .. } = self.0;
        let (growth, rate) = (Amount(growth as u64, unit), Rate(slope, unit));
        let window = Seconds(window_s);
        if at_equal_load {
            write!(f, "grew at equal load by {growth} in {window} ({rate})")
        } else {
            write!(f, "grew steadily by {growth} in {window} ({rate})")
        }
    }
}

/// "25 min (19 min to 33 min)"
struct WithInterval<'a>(&'a Forecast);

impl fmt::Display for WithInterval<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast { likely_s, earliest_s, latest_s, .. } = *self.0;
        let (likely, earliest, latest) =
            (Seconds(likely_s), Seconds(earliest_s), Seconds(latest_s));
        write!(f, "{likely} ({earliest} to {latest})")
    }
}

fn growing(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let size = Bytes(finding.footprint);
    match (finding.why, finding.evidence) {
        (FindingReason::Pool, None) if finding.scope == FindingScope::Tree => {
            write!(f, "its children grow until they exit, but as tasks that come to an end")
        }
        (_, Some(evidence)) => write!(f, "{}, {size} now", GrowthText(evidence)),
        (_, None) => write!(f, "{size} now, and growing"),
    }?;
    match finding.declared {
        Some(declared) => {
            write!(f, "; its command line allows it {}", Bytes(declared))?;
        }
        None if finding.scope == FindingScope::Process => {
            write!(f, "; a leak, or a cache that fills")?;
            let few = finding.evidence.filter(|evidence| evidence.samples < PROOF_SAMPLES);
            if let Some(Evidence { samples, .. }) = few {
                write!(f, ": too few samples to tell ({samples} of {PROOF_SAMPLES})")?;
            }
        }
        None => {}
    }
    lasts(f, finding.forecast.as_ref())
}

fn verdict_cleared(f: &mut fmt::Formatter<'_>, was: Verdict, why: ClearedReason) -> fmt::Result {
    let was = was.name();
    match why {
        ClearedReason::GrowthEnded => write!(f, "no longer {was}: it stopped growing steadily"),
        ClearedReason::Exited => write!(f, "no longer {was}: it exited"),
        ClearedReason::Ended => write!(f, "no longer {was}: it was ended"),
    }
}

fn exhaustion(f: &mut fmt::Formatter<'_>, forecast: &Forecast, names: &UnitNames) -> fmt::Result {
    let Forecast { ceiling, place, headroom, limit, slope, window_s, .. } = *forecast;
    let (unit, effect) = (ceiling.unit(), ceiling.effect());
    let runs_out = effect.verb();
    if forecast.is_reliable() {
        write!(f, "{runs_out} in {}", WithInterval(forecast))?;
    } else {
        write!(f, "{runs_out}, but not within 8x the {} observed", Seconds(window_s))?;
    }
    let left = match unit {
        Unit::Bytes => Bytes(headroom).to_string(),
        Unit::Tasks => headroom.to_string(),
    };
    let (limit, rate) = (Amount(limit, unit), Rate(slope, unit));
    let name = NamedCeiling(ceiling, place, names);
    let then = effect.sentence();
    write!(f, ": {left} of {limit} left of {name}, usage {rate}; {then}")
}

/// What uses the memory up, behind a forecast.
fn caused(f: &mut fmt::Formatter<'_>, cause: &Cause) -> fmt::Result {
    let Cause { kind, part, rate } = *cause;
    let (what, rate) = (kind.title(), Rate(rate, Unit::Bytes));
    write!(f, "; what grows is {what}, {rate}")?;
    if !part.is_none() {
        write!(f, ", most of it in {part}")?;
    }
    write!(f, " (`leakwatch memory` tells more)")
}

fn memory_failure(
    f: &mut fmt::Formatter<'_>,
    failure: &MemoryFailure,
    names: &UnitNames,
) -> fmt::Result {
    let MemoryFailure { kind, ceiling, place, count, .. } = *failure;
    let (name, errno) = (NamedCeiling(ceiling, place, names), ceiling.effect().errno());
    let times = if count == 1 { "once".to_owned() } else { plural(count, "time") };
    match (kind, ceiling.unit()) {
        (MemoryFailureKind::OomKill, _) => {
            let processes = plural(count, "process");
            write!(f, "the OOM killer ended {processes}: nothing was left of {name}")
        }
        (MemoryFailureKind::Refused, Unit::Tasks) => {
            write!(f, "fork failed {times} at {name}: {errno}")
        }
        (MemoryFailureKind::Refused, Unit::Bytes) => {
            write!(f, "memory was refused {times} at {name}: {errno}")
        }
        (MemoryFailureKind::Stalled, _) => {
            write!(
                f,
                "all processes waited for memory {count} % of the last 10 s: nothing was left of {name}"
            )
        }
    }
}

/// Why a process is not ended, in words, with what helps.
pub(crate) struct WhyNotEnded(pub(crate) NotEnded);

impl fmt::Display for WhyNotEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NotEnded::NotAWorker => f.write_str(
                "nothing would restart it: restart its service, or allow that with --restart-unit (ending alone: --allow-standalone)",
            ),
            NotEnded::Restarted => f.write_str(
                "its unit was restarted within the hour, or a restart gave back less than half of what was expected: bound it (MemoryHigh=, MemoryMax=, RuntimeMaxSec= of the unit), or restart it by hand",
            ),
            NotEnded::Helper => {
                f.write_str("it is a helper of its master and not a worker: restart its service")
            }
            NotEnded::HasChildren => f.write_str("it has children: restart its service"),
            NotEnded::Orphan => {
                f.write_str("its master has exited and cannot replace it: restart its service")
            }
            NotEnded::Protected => f.write_str("--protect names it"),
            NotEnded::NotPermitted => f.write_str(
                "this user may not signal it: that takes CAP_KILL, which root has",
            ),
            NotEnded::Unknown => f.write_str("its program could not be read"),
            NotEnded::Unproven => f.write_str(
                "leakwatch does not know its program, and has not seen its parent replace a child that ended; if it does, allow it with --allow NAME",
            ),
            NotEnded::GivesBack => f.write_str("its worker pool gave as much back before, and it still fits"),
            NotEnded::SameRise => f.write_str(
                "two workers of its pool were ended for the same rise: this one shows whether it is given back",
            ),
            NotEnded::PoolHalved => f.write_str("its worker pool is down to half already"),
            NotEnded::ForkFails(what) => write!(
                f,
                "forks fail already, and when a fork fails its master {what}: free memory by other means"
            ),
            NotEnded::Server(why) => write!(f, "{why}"),
            NotEnded::NotUseless(missing) => f.write_str(missing_proof(missing)),
        }
    }
}

fn missing_proof(missing: MissingProof) -> &'static str {
    match missing {
        MissingProof::NotMeant => "the selection does not name it",
        MissingProof::Protected => "--protect names it",
        MissingProof::RunsAlone => "its program runs on its own, as tmux, sshd and cron do",
        MissingProof::Parent => "its parent may be the one that started it",
        MissingProof::Children => "it has children, or that cannot be told",
        MissingProof::Session => "the leader of its session is still there",
        MissingProof::Terminal => "it has a terminal",
        MissingProof::Detached => "it ignores SIGHUP, as under nohup",
        MissingProof::Service => "it belongs to a service or a container",
        MissingProof::Held => "it is stopped, traced or waiting for a device",
        MissingProof::Age => "it is too young",
        MissingProof::Listening => "it listens for connections",
        MissingProof::Peer => "a pipe or a socket of it may have another end",
        MissingProof::Waking => {
            "it has a device, a named pipe, a timer, a watch for changes or a file of a network open"
        }
        MissingProof::Waiting => "it waits for a time, a signal or a lock",
        MissingProof::Lock => "it holds a lock",
        MissingProof::SharedMemory => "it shares memory",
        MissingProof::Namespace => "it is in a namespace that its parent is not in",
        MissingProof::Output => "it prints into a file",
        MissingProof::NobodyGone => {
            "none of its standard streams is a pipe or a socket whose other end is gone"
        }
        MissingProof::Unread => {
            "what it has open could not be read, which takes CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and Linux 5.6"
        }
    }
}

fn ordered(f: &mut fmt::Formatter<'_>, order: &Order) -> fmt::Result {
    let (signal, size) = (order.signal.name(), Bytes(order.footprint));
    match order.step {
        Step::Restart => write!(f, "restart of its unit by systemd"),
        Step::Reload => {
            let master = order.target.pid;
            write!(f, "{signal} to its master {master}, which replaces all workers gently")
        }
        Step::Gentle => write!(f, "{signal} (finish the request, then exit)"),
        Step::Term | Step::Kill => write!(f, "{signal}"),
    }?;
    if let Some(then) = order.then {
        let (then, grace) = (then.name(), Seconds(order.grace_s));
        write!(f, "; {then} if still there in {grace}")?;
    }
    match order.reason {
        OrderReason::Danger => write!(f, ": growing, {size}"),
        OrderReason::Hung => write!(f, ": hung, one of the children that never exit"),
        OrderReason::Emergency => {
            write!(
                f,
                ": holds most of what grew, {size}, and ending it takes as long as memory lasts"
            )
        }
        OrderReason::Stayed => write!(f, ": it did not exit"),
        OrderReason::ByHand => write!(f, ": by hand, {size}"),
        OrderReason::Useless if order.step == Step::Kill => {
            write!(f, ": it did not exit, and is still proven useless")
        }
        OrderReason::Useless => write!(f, ": left behind and proven useless, {size}"),
    }?;
    // The order before said how memory stands.
    match order.forecast.filter(|_| order.reason != OrderReason::Stayed) {
        Some(Forecast { ceiling, likely_s, earliest_s, .. }) => {
            let (likely, earliest) = (Seconds(likely_s), Seconds(earliest_s));
            write!(f, "; {} in {likely} (earliest {earliest})", ceiling.effect().verb())
        }
        None => Ok(()),
    }
}

fn signal_failed(f: &mut fmt::Formatter<'_>, order: &Order, why: SignalFailure) -> fmt::Result {
    if order.step == Step::Restart {
        return restart_failed(f, why);
    }
    let signal = order.signal.name();
    match why {
        SignalFailure::Gone => write!(f, "{signal} was not sent: it had already exited"),
        SignalFailure::NotPermitted => {
            write!(f, "{signal} was not sent: not permitted; that takes CAP_KILL, which root has")
        }
        SignalFailure::Protected => write!(
            f,
            "{signal} was not sent: by its current name or title it is protected, or not a worker"
        ),
        SignalFailure::Refused => write!(
            f,
            "{signal} was not sent: leakwatch never signals process 1, itself or its ancestors"
        ),
        SignalFailure::Taken => write!(
            f,
            "{signal} was not sent: another watch ends the workers of this master; have one watch for it"
        ),
        SignalFailure::NoService | SignalFailure::RunsOnce | SignalFailure::NotAlone => {
            write!(f, "{signal} was not sent: it is no service")
        }
        SignalFailure::Failed(errno) => {
            write!(f, "{signal} was not sent: {}", io::Error::from_raw_os_error(errno))
        }
    }
}

fn restart_failed(f: &mut fmt::Formatter<'_>, why: SignalFailure) -> fmt::Result {
    f.write_str("its unit was not restarted: ")?;
    match why {
        SignalFailure::Gone => f.write_str("it had already exited"),
        SignalFailure::NotPermitted => f.write_str("systemd allows that to root alone"),
        SignalFailure::Protected => f.write_str("by its current name or title it is protected"),
        SignalFailure::Refused => f.write_str("leakwatch runs below it"),
        SignalFailure::Taken => f.write_str("another watch restarts it"),
        SignalFailure::NoService => f.write_str(
            "systemd has it as no service's main process; `systemctl status PID` tells whose it is",
        ),
        SignalFailure::RunsOnce => f.write_str(
            "it runs once only (Type=oneshot, or a transient unit); restart it by hand if it may run again",
        ),
        SignalFailure::NotAlone => f.write_str(
            "that would end more than this process: other processes of the unit, or units that depend on it; `systemctl restart UNIT` does it by hand",
        ),
        SignalFailure::Failed(errno) => {
            write!(f, "systemd did not do it: {}", io::Error::from_raw_os_error(errno))
        }
    }
}

fn regretted(f: &mut fmt::Formatter<'_>, regret: &Regret) -> fmt::Result {
    let Regret { order, after_s, why } = regret;
    let (grown, after) = (Bytes(order.expected), Seconds(*after_s));
    match why {
        RegretReason::OthersStopped => write!(
            f,
            "need not have ended: within {after} the others that had grown like it stopped"
        ),
        RegretReason::GivenBack => write!(
            f,
            "need not have ended: after {after} another of its pool gave back as much, {grown}"
        ),
        RegretReason::Lasted => {
            write!(f, "would not have had to end: memory lasted for the next {after}")
        }
    }
}

/// What was done last against a victim: its signal, in words a restart.
fn done(order: &Order) -> &'static str {
    if order.step == Step::Restart { "the restart of its unit" } else { order.signal.name() }
}

fn outcome_of(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { order, after_s, result, forecast } = outcome;
    let (signal, after) = (done(order), Seconds(*after_s));
    let unit = order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit());
    match *result {
        OutcomeResult::Stayed => {
            return match order.step {
                Step::Restart => write!(f, "still there {after} after {signal}; leaving it alone"),
                _ => write!(f, "still there after {after}, last signal {signal}; leaving it alone"),
            };
        }
        OutcomeResult::Gone { .. } if order.reason == OrderReason::Useless => {
            write!(f, "gone after {after} by {signal}; it held {}", Bytes(order.footprint))?;
        }
        OutcomeResult::Gone { reclaimed: Some(reclaimed), headroom_after, .. } => {
            let expected = Amount(order.expected, unit);
            let (reclaimed, left) = (Amount(reclaimed, unit), Amount(headroom_after, unit));
            write!(
                f,
                "gone after {after} by {signal}; {expected} expected, {reclaimed} reclaimed, {left} left now"
            )?;
        }
        OutcomeResult::Gone { reclaimed: None, headroom_after, .. } => {
            let left = Amount(headroom_after, unit);
            write!(f, "gone after {after} by {signal}; {left} left now of another limit")?;
        }
    }
    match forecast {
        Some(forecast) if forecast.is_reliable() => {
            let likely = Seconds(forecast.likely_s);
            write!(f, "; {} in {likely}", forecast.ceiling.effect().verb())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::memory_line::LineKind;
    use crate::core::model::process::{Comm, ProcId};
    use crate::core::model::signal::Signal;
    use crate::core::model::units::MIB;
    use crate::report::events::text::{write_event, write_message};
    use crate::report::words::Style;
    use strum::VariantArray;

    const ID: ProcId = ProcId { pid: 2291, start: 5 };
    const ROOT: ProcId = ProcId { pid: 812, start: 1 };

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

    /// 88 of 512 tasks are left.
    fn in_tasks(likely_s: f64) -> Forecast {
        Forecast {
            ceiling: CeilingKind::Pids,
            place: Place::new("/web"),
            headroom: 88,
            limit: 512,
            slope: 88.0 / likely_s,
            ..forecast(likely_s)
        }
    }

    fn evidence() -> Evidence {
        Evidence {
            unit: Unit::Bytes,
            growth: 41.0 * MIB as f64,
            from: 40.0 * MIB as f64,
            window_s: 720.0,
            slope: 41.0 * MIB as f64 / 720.0,
            samples: 144,
            at_equal_load: false,
        }
    }

    fn in_threads() -> Evidence {
        Evidence {
            unit: Unit::Tasks,
            growth: 60.0,
            from: 4.0,
            window_s: 120.0,
            slope: 0.5,
            ..evidence()
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
            tasks: 64,
            evidence: Some(evidence()),
            forecast: Some(forecast(1500.0)),
            declared: None,
            is_update: false,
        }
    }

    fn order(step: Step, reason: OrderReason) -> Order {
        let gentle = matches!(step, Step::Gentle | Step::Reload);
        Order {
            victim: ID,
            target: if step == Step::Reload { ROOT } else { ID },
            comm: Comm::new(b"apache2"),
            root: ROOT,
            step,
            signal: if gentle { Signal::Usr1 } else { step.signal() },
            grace_s: 70.0,
            then: gentle.then_some(Signal::Term),
            helpers: &[],
            reason,
            footprint: 88 * MIB,
            expected: 80 * MIB,
            forecast: Some(forecast(28.0)),
        }
    }

    fn outcome(result: OutcomeResult, now: Option<Forecast>) -> Event {
        let order = order(Step::Gentle, OrderReason::Danger);
        Event::Outcome(Outcome { order, after_s: 0.4, result, forecast: now })
    }

    fn regretted(after_s: f64, why: RegretReason) -> Event {
        let order = order(Step::Gentle, OrderReason::Danger);
        Event::Regretted(Regret { order, after_s, why })
    }

    fn left_behind(step: Step) -> Order {
        let then = (step == Step::Term).then_some(Signal::Kill);
        Order { then, forecast: None, ..order(step, OrderReason::Useless) }
    }

    /// One of every sentence.
    fn all() -> Vec<Event> {
        let comm = Comm::new(b"apache2");
        let useless = |step| Event::Order(left_behind(step));
        let leak = |finding| Event::Leak(finding);
        let (pool, tree) = (FindingReason::Pool, FindingScope::Tree);
        let bare = Finding { evidence: None, forecast: None, ..finding() };
        let tasks = |why, scope| Finding {
            why,
            scope,
            evidence: Some(in_threads()),
            forecast: Some(in_tasks(176.0)),
            ..finding()
        };
        let even = Evidence { at_equal_load: true, ..evidence() };
        let few = Evidence { samples: 16, ..evidence() };
        let cleared = |was, why| Event::VerdictCleared {
            id: ID,
            comm,
            root: ROOT,
            scope: FindingScope::Process,
            was,
            why,
        };
        let failure = |kind, ceiling, place: &str, count| {
            let (root, place) = (None, Place::new(place));
            Event::MemoryFailure(MemoryFailure { kind, ceiling, root, place, count })
        };
        let cause = |part: &str| {
            let (kind, part) = (LineKind::SharedMemory, Place::new(part));
            Some(Cause { kind, part, rate: MIB as f64 / 4.0 })
        };
        let not_ended = |why| Event::NotEnded { id: ID, comm, root: ROOT, why };
        let gentle = order(Step::Gentle, OrderReason::Danger);
        let failed = |why| Event::SignalFailed { order: gentle, why };
        let restart = order(Step::Restart, OrderReason::Danger);
        let not_restarted = |why| Event::SignalFailed { order: restart, why };
        let restarted = |result| {
            Event::Outcome(Outcome { order: restart, after_s: 0.4, result, forecast: None })
        };
        let gone = |reclaimed| OutcomeResult::Gone {
            headroom_before: 0,
            headroom_after: 99 * MIB,
            reclaimed,
        };
        let (pids, web) = (CeilingKind::Pids, Place::new("/web"));
        vec![
            leak(finding()),
            leak(Finding { evidence: Some(even), forecast: Some(forecast(9000.0)), ..finding() }),
            leak(bare),
            leak(Finding { why: pool, ..finding() }),
            leak(Finding { why: pool, ..bare }),
            leak(Finding { why: pool, scope: tree, ..bare }),
            leak(tasks(FindingReason::Threads, FindingScope::Process)),
            leak(tasks(FindingReason::PileUp, tree)),
            leak(Finding { why: FindingReason::PileUp, scope: tree, ..bare }),
            leak(Finding { why: FindingReason::AfterSettling, ..finding() }),
            leak(Finding { why: FindingReason::UnlikeSiblings, ..finding() }),
            leak(Finding { why: FindingReason::BeyondDeclared, ..finding() }),
            leak(Finding { why: FindingReason::NearEnd, ..finding() }),
            leak(Finding { why: FindingReason::LongSteady, ..finding() }),
            leak(Finding { why: FindingReason::DayLong, ..finding() }),
            leak(Finding { why: FindingReason::Outgrown, ..finding() }),
            Event::Growing(Finding { why: pool, scope: tree, ..bare }),
            Event::Growing(finding()),
            Event::Growing(Finding { evidence: Some(few), ..finding() }),
            Event::Growing(Finding { declared: Some(400 << 20), ..finding() }),
            Event::Growing(bare),
            cleared(Verdict::Growing, ClearedReason::GrowthEnded),
            cleared(Verdict::Leaking, ClearedReason::Exited),
            Event::Forecast { root: Some(ROOT), comm, forecast: forecast(1500.0), cause: None },
            Event::Forecast { root: Some(ROOT), comm, forecast: forecast(9000.0), cause: None },
            Event::Forecast { root: None, comm, forecast: in_tasks(750.0), cause: None },
            Event::Forecast { root: None, comm, forecast: forecast(1500.0), cause: cause("") },
            Event::Forecast {
                root: None,
                comm,
                forecast: forecast(1500.0),
                cause: cause("tmpfs /run/shop"),
            },
            Event::ForecastCleared { root: None, comm, ceiling: pids, place: web },
            failure(MemoryFailureKind::OomKill, CeilingKind::Ram, "", 1),
            failure(MemoryFailureKind::OomKill, CeilingKind::CgroupMemory, "/web", 2),
            failure(MemoryFailureKind::Refused, pids, "/web", 3),
            failure(MemoryFailureKind::Refused, CeilingKind::Commit, "", 1),
            failure(MemoryFailureKind::Stalled, CeilingKind::Ram, "", 34),
            not_ended(NotEnded::NotAWorker),
            not_ended(NotEnded::Helper),
            not_ended(NotEnded::HasChildren),
            not_ended(NotEnded::Orphan),
            not_ended(NotEnded::Protected),
            not_ended(NotEnded::NotPermitted),
            not_ended(NotEnded::Unknown),
            not_ended(NotEnded::Unproven),
            not_ended(NotEnded::PoolHalved),
            not_ended(NotEnded::Restarted),
            not_ended(NotEnded::GivesBack),
            not_ended(NotEnded::SameRise),
            not_ended(NotEnded::ForkFails("exits")),
            not_ended(NotEnded::Server("a session would be lost: restart it at night")),
            Event::Order(gentle),
            Event::Order(order(Step::Reload, OrderReason::Danger)),
            Event::Order(order(Step::Kill, OrderReason::Emergency)),
            Event::Order(order(Step::Term, OrderReason::Hung)),
            Event::Order(order(Step::Kill, OrderReason::Stayed)),
            Event::Order(order(Step::Gentle, OrderReason::ByHand)),
            Event::Order(restart),
            not_restarted(SignalFailure::Gone),
            not_restarted(SignalFailure::NotPermitted),
            not_restarted(SignalFailure::Protected),
            not_restarted(SignalFailure::Refused),
            not_restarted(SignalFailure::NoService),
            not_restarted(SignalFailure::RunsOnce),
            not_restarted(SignalFailure::NotAlone),
            not_restarted(SignalFailure::Taken),
            not_restarted(SignalFailure::Failed(110)),
            restarted(gone(Some(79 * MIB))),
            restarted(OutcomeResult::Stayed),
            failed(SignalFailure::Gone),
            failed(SignalFailure::NotPermitted),
            failed(SignalFailure::Protected),
            failed(SignalFailure::Refused),
            failed(SignalFailure::Taken),
            failed(SignalFailure::Failed(3)),
            outcome(gone(Some(79 * MIB)), None),
            outcome(gone(None), Some(forecast(40.0))),
            outcome(OutcomeResult::Stayed, None),
            useless(Step::Term),
            useless(Step::Kill),
            Event::Outcome(Outcome {
                order: left_behind(Step::Term),
                after_s: 0.4,
                result: gone(None),
                forecast: None,
            }),
            regretted(84.0, RegretReason::OthersStopped),
            regretted(12.0, RegretReason::GivenBack),
            regretted(120.0, RegretReason::Lasted),
        ]
        .into_iter()
        .chain(MissingProof::VARIANTS.iter().map(|proof| not_ended(NotEnded::NotUseless(*proof))))
        .collect()
    }

    #[test]
    fn every_event_is_one_line_that_reads_as_a_sentence() {
        let mut out = Vec::new();
        let names = UnitNames::new();
        for event in all() {
            write_event(&mut out, 1_700_000_000.0, &event, &names, Style::default()).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> =
            text.lines().map(|line| line.strip_prefix("2023-11-14T22:13:20Z  ").unwrap()).collect();
        let expected: Vec<&str> = LINES.lines().collect();
        assert_eq!(lines, expected, "\n{}\n", lines.join("\n"));
    }

    #[test]
    fn units_and_containers_are_named_in_every_line() {
        use crate::core::model::process::Program;
        use crate::core::model::sample::{PlaceName, Sample};
        let program =
            |id, unit: &str| Program { id, unit: Some(unit.into()), ..Program::unknown() };
        let place =
            |place: &str, name: &str| PlaceName { place: Place::new(place), name: name.into() };
        let mut names = UnitNames::new();
        names.observe(&Sample {
            programs: vec![program(ID, "container shop-php"), program(ROOT, "docker.service")],
            places: vec![
                place("/docker/1", "container shop-php"),
                place("/system.slice/php.service", "php.service"),
            ],
            ..Sample::default()
        });
        let comm = Comm::new(b"php");
        let line = |event: Event| {
            let mut out = Vec::new();
            write_message(&mut out, &event, &names, Style::default()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let cleared = |place: &str, ceiling| Event::ForecastCleared {
            root: Some(ROOT),
            comm,
            ceiling,
            place: Place::new(place),
        };
        for (event, wanted) in [
            (
                Event::NotEnded { id: ID, comm, root: ROOT, why: NotEnded::Protected },
                "SPARED    php[2291] of container shop-php  growing",
            ),
            (
                cleared("/docker/1", CeilingKind::CgroupMemory),
                "CLEARED   php(812) of docker.service  usage of the memory limit of container shop-php is",
            ),
            (
                cleared("/system.slice/php.service", CeilingKind::Pids),
                "CLEARED   php(812) of docker.service  usage of pids.max of unit php.service is",
            ),
            (
                cleared("/other", CeilingKind::CgroupHigh),
                "CLEARED   php(812) of docker.service  usage of memory.high of cgroup /other is",
            ),
        ] {
            let line = line(event);
            assert!(line.starts_with(wanted), "{line}");
        }
    }

    const LINES: &str = include_str!("sentences.txt");
}
