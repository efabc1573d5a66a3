//! Text: one line an event, for people.
//!
//! A line holds the time, one word for what it is, the process, and a sentence with units and
//! intervals; it can be read without colour. Names are escaped by [`Comm`].

use crate::assessment::{
    Cleared, End, Event, Evidence, Finding, Forecast, Order, Outcome, Reason, Scope, Spared, Step,
    Unsent, Verdict, Why,
};
use crate::sample::{Comm, ProcId};
use crate::units::{Bytes, BytesPerSecond, Seconds};
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// How lines are dressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Colour the word that says what a line is.
    pub colour: bool,
    /// Nothing is signalled: orders say so.
    pub dry_run: bool,
}

/// Writes one event as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_event(out: &mut impl Write, t: f64, event: &Event, style: Style) -> io::Result<()> {
    let (word, colour) = match event {
        // Other lines tell that: FORECAST, and OUTCOME.
        Event::Leak(Finding { again: true, .. }) | Event::Cleared { why: Cleared::Ended, .. } => {
            return Ok(());
        }
        Event::Outcome(_) => ("OUTCOME", GREEN),
        Event::Order(_) if style.dry_run => ("DRY RUN", RED),
        Event::Order(_) => ("ORDER", RED),
        Event::Unsent { .. } => ("FAILED", RED),
        Event::Spared { .. } => ("SPARED", RED),
        Event::Leak(_) => ("LEAK", RED),
        Event::Forecast { .. } => ("FORECAST", YELLOW),
        Event::Suspect(_) => ("SUSPECT", YELLOW),
        Event::Cleared { .. } => ("CLEARED", GREEN),
    };
    let (on, off) = if style.colour { (colour, RESET) } else { ("", "") };
    let sentence = Sentence(event);
    writeln!(
        out,
        "{}  {on}{word:<8}{off}  {:<18}  {sentence}",
        Clock(t),
        subject(event).to_string()
    )
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

/// A Unix time as RFC 3339, UTC, whole seconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock(pub f64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // humantime refuses times after the year 9999.
        let seconds = self.0.clamp(0.0, 253_402_300_799.0);
        let time = UNIX_EPOCH + Duration::from_secs_f64(seconds);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

/// A process as `apache2[2291]`, a tree as `apache2(812)`, by its root.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    comm: Comm,
    id: ProcId,
    scope: Scope,
}

impl Subject {
    /// The tree below a root.
    pub fn tree(comm: Comm, id: ProcId) -> Self {
        Self { comm, id, scope: Scope::Tree }
    }

    /// One process.
    pub fn process(comm: Comm, id: ProcId) -> Self {
        Self { comm, id, scope: Scope::Process }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Process => write!(f, "{}[{}]", self.comm, self.id.pid),
            Scope::Tree => write!(f, "{}({})", self.comm, self.id.pid),
        }
    }
}

fn subject(event: &Event) -> Subject {
    match *event {
        Event::Suspect(Finding { id, comm, scope, .. })
        | Event::Leak(Finding { id, comm, scope, .. })
        | Event::Cleared { id, comm, scope, .. } => Subject { comm, id, scope },
        Event::Forecast { root, comm, .. } => Subject::tree(comm, root),
        Event::Spared { id, comm, .. } => Subject::process(comm, id),
        Event::Order(Order { victim, comm, .. })
        | Event::Outcome(Outcome { order: Order { victim, comm, .. }, .. })
        | Event::Unsent { order: Order { victim, comm, .. }, .. } => Subject::process(comm, victim),
    }
}

/// What a line says after its subject.
struct Sentence<'a>(&'a Event);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Leak(finding) => leak(f, finding),
            Event::Suspect(finding) => suspect(f, finding),
            Event::Cleared { was, why, .. } => cleared(f, *was, *why),
            Event::Forecast { forecast, .. } => write!(f, "{}", InWords(forecast)),
            Event::Spared { why, .. } => spared(f, *why),
            Event::Order(order) => ordered(f, order),
            Event::Unsent { order, why } => unsent(f, order, *why),
            Event::Outcome(outcome) => ended(f, outcome),
        }
    }
}

fn leak(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    match (finding.why, &finding.evidence) {
        (Why::PileUp, _) => write!(
            f,
            "children pile up and never end; together {}, and growing",
            Bytes(finding.footprint)
        )?,
        (Why::Pool, Some(evidence)) => {
            write!(f, "{}, as its siblings do until they end", Grew(evidence, finding.footprint))?
        }
        (Why::Pool, None) => match finding.scope {
            Scope::Tree => write!(
                f,
                "its children grow for as long as they live, each too briefly to be judged alone"
            )?,
            Scope::Process => write!(
                f,
                "{} now; grows as its siblings do until they end",
                Bytes(finding.footprint)
            )?,
        },
        (_, Some(evidence)) => write!(f, "{}", Grew(evidence, finding.footprint))?,
        (_, None) => write!(f, "{} now, and growing", Bytes(finding.footprint))?,
    }
    match &finding.forecast {
        Some(forecast) if forecast.is_founded() => {
            let Forecast { likely_s, earliest_s, latest_s, .. } = *forecast;
            write!(
                f,
                "; memory for another {} ({} to {})",
                Seconds(likely_s),
                Seconds(earliest_s),
                Seconds(latest_s)
            )
        }
        Some(forecast) => {
            write!(
                f,
                "; memory lasts over 8 times the {} it was watched",
                Seconds(forecast.window_s)
            )
        }
        None => Ok(()),
    }
}

/// "grew steadily 41 MiB in 12 min (+3.4 MiB/min), 88 MiB now"
struct Grew<'a>(&'a Evidence, u64);

impl fmt::Display for Grew<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Evidence { growth, window_s, slope, at_equal_load, .. }, footprint) = self;
        let steadily = if *at_equal_load { "at equal load" } else { "steadily" };
        write!(
            f,
            "grew {steadily} {} in {} ({}), {} now",
            Bytes(*growth as u64),
            Seconds(*window_s),
            BytesPerSecond(*slope),
            Bytes(*footprint)
        )
    }
}

fn suspect(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    match &finding.evidence {
        Some(evidence) => write!(
            f,
            "grew {} in {} ({}); not long enough to tell a leak from warming up",
            Bytes(evidence.growth as u64),
            Seconds(evidence.window_s),
            BytesPerSecond(evidence.slope)
        ),
        None => write!(f, "{} and growing; too early to call it a leak", Bytes(finding.footprint)),
    }
}

fn cleared(f: &mut fmt::Formatter<'_>, was: Verdict, why: Cleared) -> fmt::Result {
    let was = was.name();
    match why {
        Cleared::GrowthEnded => write!(f, "no longer {was}: its growth is no longer steady"),
        Cleared::Exited => write!(f, "no longer {was}: it exited"),
        Cleared::Ended => write!(f, "no longer {was}: it was ended"),
    }
}

/// "memory ends in 25 min (19 min to 33 min): 412 MiB left of RAM, then the OOM killer strikes"
struct InWords<'a>(&'a Forecast);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast { ceiling, headroom, slope, earliest_s, likely_s, latest_s, window_s } =
            *self.0;
        if self.0.is_founded() {
            write!(
                f,
                "memory ends in {} ({} to {})",
                Seconds(likely_s),
                Seconds(earliest_s),
                Seconds(latest_s)
            )?;
        } else {
            write!(f, "memory will end, but not within 8 times the {} watched", Seconds(window_s))?;
        }
        write!(
            f,
            ": {} left of {}, going at {}; {}",
            Bytes(headroom),
            ceiling.title(),
            BytesPerSecond(slope),
            ceiling.at_zero()
        )
    }
}

fn spared(f: &mut fmt::Formatter<'_>, why: Spared) -> fmt::Result {
    let text = match why {
        Spared::Root => {
            "leaks and memory is in danger, but nobody is known to start it again; restart its service, or allow it with --allow-root"
        }
        Spared::HasChildren => {
            "leaks and memory is in danger, but it has children; restart its service"
        }
        Spared::Orphan => {
            "leaks and memory is in danger, but its master is dead and would not replace it; restart the service"
        }
        Spared::Protected => "leaks and memory is in danger, but --protect names it",
        Spared::NotPermitted => {
            "leaks and memory is in danger, but this user may not signal it; run leakwatch as root"
        }
        Spared::Unknown => "leaks and memory is in danger, but its program could not be looked at",
        Spared::PoolHalved => "leaks and memory is in danger, but its pool is down to half already",
        Spared::Server(why) => return write!(f, "leaks and memory is in danger, but {why}"),
    };
    f.write_str(text)
}

fn ordered(f: &mut fmt::Formatter<'_>, order: &Order) -> fmt::Result {
    let Order { signal, step, grace_s, reason, footprint, forecast, .. } = order;
    let (signal, grace) = (signal.name(), Seconds(*grace_s));
    match step {
        Step::Gentle => {
            write!(f, "{signal} (finish the request, then exit); TERM if still there in {grace}")?
        }
        Step::Term => write!(f, "{signal}; KILL if still there in {grace}")?,
        Step::Kill => write!(f, "{signal}")?,
    }
    match reason {
        Reason::Danger => write!(f, ": leaking, {}", Bytes(*footprint))?,
        Reason::Brink => write!(
            f,
            ": grows fastest, {}, and memory goes too fast for a longer look",
            Bytes(*footprint)
        )?,
        Reason::Stayed => return write!(f, ": it did not go"),
    }
    match forecast {
        Some(forecast) => write!(
            f,
            "; memory ends in {} (earliest {})",
            Seconds(forecast.likely_s),
            Seconds(forecast.earliest_s)
        ),
        None => Ok(()),
    }
}

fn unsent(f: &mut fmt::Formatter<'_>, order: &Order, why: Unsent) -> fmt::Result {
    write!(f, "{} was not sent: ", order.signal.name())?;
    match why {
        Unsent::Gone => write!(f, "it had exited by itself"),
        Unsent::NotPermitted => {
            write!(f, "not permitted; run leakwatch as root or give it CAP_KILL")
        }
        Unsent::Refused => {
            write!(f, "leakwatch never signals process 1, itself or those that started it")
        }
        Unsent::Failed(errno) => write!(f, "{}", io::Error::from_raw_os_error(errno)),
    }
}

fn ended(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { order, after_s, end, forecast } = outcome;
    match end {
        End::Stayed => {
            return write!(
                f,
                "still there after {}, KILL included; leaving it alone",
                Seconds(*after_s)
            );
        }
        End::Gone { came_back, headroom_after, .. } => {
            write!(f, "gone after {} by {}; ", Seconds(*after_s), order.signal.name())?;
            match came_back {
                Some(bytes) => write!(
                    f,
                    "{} expected, {} came back, {} left now",
                    Bytes(order.expected),
                    Bytes(*bytes),
                    Bytes(*headroom_after)
                )?,
                None => write!(f, "{} left now below another limit", Bytes(*headroom_after))?,
            }
        }
    }
    match forecast {
        Some(forecast) if forecast.is_founded() => {
            write!(f, "; memory for another {}", Seconds(forecast.likely_s))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assessment::Signal;
    use crate::sample::CeilingKind;
    use crate::units::MIB;

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
            headroom: 412 * MIB,
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
            scope: Scope::Process,
            why: Why::Urgent,
            footprint: 88 * MIB,
            evidence: Some(Evidence {
                growth: 41.0 * MIB as f64,
                from: 40.0 * MIB as f64,
                window_s: 720.0,
                slope: 41.0 * MIB as f64 / 720.0,
                at_equal_load: false,
            }),
            forecast: Some(forecast(1500.0)),
            again: false,
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
            comm: Comm::new(b"apache2"),
            root: ROOT,
            step: Step::Gentle,
            signal: Signal::Usr1,
            grace_s: 70.0,
            reason: Reason::Danger,
            footprint: 88 * MIB,
            expected: 80 * MIB,
            forecast: Some(forecast(28.0)),
        };
        let text = line(Event::Order(order));
        assert!(text.ends_with(
            "USR1 (finish the request, then exit); TERM if still there in 70 s: leaking, 88 MiB; memory ends in 28 s (earliest 21 s)\n"
        ), "{text}");
        let end =
            End::Gone { headroom_before: 0, headroom_after: 99 * MIB, came_back: Some(79 * MIB) };
        let text = line(Event::Outcome(Outcome { order, after_s: 0.4, end, forecast: None }));
        assert!(
            text.ends_with(
                "gone after 0.4 s by USR1; 80 MiB expected, 79 MiB came back, 99 MiB left now\n"
            ),
            "{text}"
        );
    }
}
