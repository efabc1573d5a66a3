//! Text: a diagnosis for a terminal or a mail, the finding first.

use super::spark::spark;
use super::wrapped::{BOLD, DIM, GREEN, RED, WrappedText, YELLOW, wrap};
use super::{
    Times, elsewhere, find_it, growth, headline, heap, is_bounded, left, lesser, matters, meaning,
    meanwhile, next, no_trace, others, outcome, per_work, processes, proposal, reason, request,
    seen, sentence, verdict, when,
};
use crate::core::model::event::Severity;
use crate::core::model::units::{Bytes, Seconds};
use crate::diagnose::Diagnosis;
use crate::diagnose::earlier::series::LEAST_SAMPLES;
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::report::balance;
use crate::report::escape::Plain;
use std::io::{self, Write};

pub use super::wrapped::Layout;

/// Services listed one by one.
const MOST: usize = 12;
/// Traces listed.
const MOST_TRACES: usize = 10;
/// Columns of a sparkline.
const SPARK: usize = 10;
/// Lines of a log's own words.
const QUOTED: usize = 2;
/// The column at which the text about a service begins, on the lines below its name.
const DETAILS: &str = "           ";
/// Columns that are worth writing into: in fewer, the text about a service stands below its name.
const NARROWEST: usize = 32;

/// Writes the report.
///
/// # Errors
/// When `out` cannot be written.
pub fn write<W: Write>(
    out: &mut W,
    diagnosis: &Diagnosis,
    times: &Times,
    layout: Layout,
) -> io::Result<()> {
    let mut paper = WrappedText { out, layout };
    paper.head(diagnosis, times)?;
    paper.services(diagnosis, times)?;
    paper.left_behind(diagnosis)?;
    paper.balance(diagnosis)?;
    paper.ceilings(diagnosis)?;
    paper.logs(diagnosis, times)?;
    paper.advice(diagnosis)?;
    paper.unseen(diagnosis)?;
    paper.hang("", &format!("Exit status {}: {}.", diagnosis.status as u8, outcome(diagnosis)))
}

impl<W: Write> WrappedText<'_, W> {
    fn head(&mut self, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
        let (hostname, machine) = &diagnosis.host;
        let memory = &diagnosis.memory;
        let swap = match memory.swap_total {
            0 => "no swap".to_owned(),
            swap => format!("{} swap", Bytes(swap)),
        };
        let up = diagnosis.uptime_s.map_or(String::new(), |s| format!(", up {}", Seconds(s)));
        let looked = looked(diagnosis);
        let text = format!(
            "leakwatch {} on {}: {}{} RAM, {swap}{up}. {looked}, {}.",
            env!("CARGO_PKG_VERSION"),
            Plain(hostname),
            if machine.is_empty() { String::new() } else { format!("{}, ", Plain(machine)) },
            Bytes(memory.total),
            times.whole(diagnosis.t)
        );
        let (on, off) = (self.on(DIM), self.off());
        for line in wrap(&text, self.layout.width) {
            writeln!(self.out, "{on}{line}{off}")?;
        }
        writeln!(self.out)?;
        let colour = match diagnosis.status {
            Severity::Fine => BOLD,
            _ => RED,
        };
        let (on, off) = (self.on(colour), self.off());
        for line in wrap(&headline(diagnosis, times), self.layout.width) {
            writeln!(self.out, "{on}{line}{off}")?;
        }
        Ok(())
    }

    fn services(&mut self, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
        if diagnosis.services.is_empty() {
            return Ok(());
        }
        self.title("WHAT HOLDS THE MEMORY")?;
        let listed: Vec<&Service> =
            diagnosis.services.iter().filter(|s| matters(s)).take(MOST).collect();
        let widest = listed.iter().map(|s| Plain(&s.name).to_string().chars().count()).max();
        let widest = widest.unwrap_or(0).clamp(9, if self.layout.width < 100 { 20 } else { 34 });
        for service in &listed {
            self.service(diagnosis, service, widest, times)?;
        }
        let rest =
            || diagnosis.services.iter().filter(|s| !listed.iter().any(|l| l.roots == s.roots));
        if let Some(how) = others(rest()) {
            let (count, sum) = rest().fold((0, 0.0), |(n, sum), s| (n + 1, sum + s.size));
            let name = if count == 1 { "1 other".to_owned() } else { format!("{count} others") };
            self.row((verdict(ServiceVerdict::Flat), GREEN), (&name, widest, sum), "", &how)?;
        }
        Ok(())
    }

    /// A line of the table: verdict, name, size, how that went, and what is to be said of it; this
    /// below the others where the line has no room for it.
    fn row(
        &mut self,
        (word, colour): (&str, &'static str),
        (name, widest, own): (&str, usize, f64),
        spark: &str,
        text: &str,
    ) -> io::Result<()> {
        let (on, off) = (self.on(colour), self.off());
        let size = Bytes(own as u64).to_string();
        let head = format!("{name:<widest$}  {size:>8}  {spark:<SPARK$}  ");
        let columns = 2 + 7 + 2 + head.chars().count();
        let lead = format!("  {on}{word:<7}{off}  {head}");
        if self.room(columns) >= NARROWEST {
            return self.hang_behind(&lead, columns, text);
        }
        writeln!(self.out, "{}", lead.trim_end())?;
        self.hang(DETAILS, text)
    }

    fn service(
        &mut self,
        diagnosis: &Diagnosis,
        service: &Service,
        widest: usize,
        times: &Times,
    ) -> io::Result<()> {
        let colour = match service.verdict {
            ServiceVerdict::Leaks | ServiceVerdict::Likely { .. } | ServiceVerdict::Grows => RED,
            ServiceVerdict::Suspect | ServiceVerdict::Unclear => YELLOW,
            _ => GREEN,
        };
        let name: String = Plain(&service.name).to_string().chars().take(widest).collect();
        let spark = spark(&service.points, SPARK, self.layout.unicode);
        let flagged = service.verdict.accuses() || service.verdict == ServiceVerdict::Suspect;
        let first = if flagged { growth(service) } else { reason(service) };
        let verdict = (verdict(service.verdict), colour);
        self.row(verdict, (&name, widest, service.size), &spark, &first)?;
        if !flagged {
            return self.heap(diagnosis, service);
        }
        let server = Some(service.server).filter(|server| server.is_known());
        let kind = server.map_or_else(String::new, |server| format!(" ({})", server.name));
        let mut text = format!(
            "{}{kind}, up {}: {}",
            processes(service),
            Seconds(service.age_s),
            reason(service)
        );
        if let Some(per_work) = per_work(service) {
            text += &format!("; {per_work}");
        }
        self.hang(DETAILS, &(text + "."))?;
        self.heap(diagnosis, service)?;
        let log_events: Vec<_> = diagnosis.log_events_of(service).take(2).collect();
        for log_event in log_events {
            let text = format!(
                "{} {}, {}{}",
                times_word(log_event.count),
                log_event.failure.title(),
                when(log_event, times),
                log_event.witness.reservation()
            );
            self.hang(&format!("{DETAILS}In the logs: "), &(text + "."))?;
        }
        Ok(())
    }

    /// What is left behind without endangering anything yet; the rest is in the headline.
    fn left_behind(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let lesser = lesser(diagnosis);
        if lesser.is_empty() {
            return Ok(());
        }
        self.title("WHAT IS LEFT BEHIND")?;
        lesser.iter().try_for_each(|what| self.hang("  - ", what))
    }

    /// Where all memory is; what grows is marked.
    fn balance(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        for sheet in diagnosis.sheet.iter().chain(&diagnosis.cgroups) {
            match sheet.place.is_empty() {
                true => self.title("WHERE ALL MEMORY IS")?,
                false => self.title(&format!("OF IT IN CGROUP {}", Plain(&sheet.place)))?,
            }
            for row in balance::rows(sheet) {
                let indent = if row.is_part { "  " } else { "" };
                let size = Bytes(row.bytes).to_string();
                let (on, off) = if row.is_growing { (self.on(RED), self.off()) } else { ("", "") };
                let lead = format!("  {size:>8}  {on}{:>10}{off}  {indent}", row.moves);
                self.hang_behind(&lead, 2 + 8 + 2 + 10 + 2 + indent.len(), &row.text)?;
            }
        }
        Ok(())
    }

    fn heap(&mut self, diagnosis: &Diagnosis, service: &Service) -> io::Result<()> {
        let texts = [heap(diagnosis, service), request(diagnosis, service)];
        texts.iter().flatten().try_for_each(|text| self.hang(DETAILS, text))
    }

    fn ceilings(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.title("WHAT IS LEFT, NEAREST LIMIT FIRST")?;
        for ceiling in &diagnosis.ceilings {
            self.hang("  - ", &format!("{}.", left(ceiling)))?;
        }
        self.hang("  ", "All limits, and where each is set: leakwatch ceilings")
    }

    fn logs(&mut self, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
        let logs = &diagnosis.logs;
        if logs.since_t == 0.0 {
            return Ok(());
        }
        let days = ((diagnosis.t - logs.since_t) / 86_400.0).round();
        self.title(&format!("LOGS OF THE LAST {days:.0} DAYS"))?;
        if logs.log_events.is_empty() {
            self.hang("  ", no_trace(logs))?;
        }
        let widest =
            logs.log_events.iter().map(|t| Plain(&t.who).to_string().chars().count()).max();
        let widest = widest.unwrap_or(0).min(if self.layout.width < 80 { 20 } else { 28 });
        for log_event in logs.log_events.iter().take(MOST_TRACES) {
            let who: String = Plain(&log_event.who).to_string().chars().take(widest).collect();
            let lead = format!("  {who:<widest$}  {:>5}  ", times_word(log_event.count));
            self.hang(
                &lead,
                &format!(
                    "{}, {}{}",
                    log_event.failure.title(),
                    when(log_event, times),
                    log_event.witness.reservation()
                ),
            )?;
            let quote = format!("{}: {}", Plain(&log_event.source), Plain(&log_event.text));
            self.quote("      ", &quote, QUOTED)?;
        }
        if logs.log_events.len() > MOST_TRACES {
            self.hang("  ", &format!("and {} more kinds", logs.log_events.len() - MOST_TRACES))?;
        }
        let text = format!(
            "Read: {} logs, {} in {}.",
            logs.sources,
            Bytes(logs.bytes),
            Seconds(logs.took_s)
        );
        self.hang("  ", &text)
    }

    fn advice(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let next = next(diagnosis);
        let culprits: Vec<&Service> = diagnosis.culprits().collect();
        let elsewhere = elsewhere(diagnosis);
        if diagnosis.remedies.is_empty()
            && next.is_empty()
            && culprits.is_empty()
            && elsewhere.is_empty()
        {
            return Ok(());
        }
        self.title("WHAT TO DO")?;
        let mut step = 0;
        let mut number = || {
            step += 1;
            format!("  {step}. ")
        };
        for (what, advice) in elsewhere {
            self.hang(&number(), &format!("{what}. {advice}"))?;
        }
        for remedy in &diagnosis.remedies {
            let several = if diagnosis.remedies.len() > 1 {
                format!("{}: ", Plain(&remedy.service))
            } else {
                String::new()
            };
            self.hang(&number(), &format!("{several}{}", proposal(remedy)))?;
            if let Some(meaning) = meaning(remedy) {
                self.hang("     ", &meaning)?;
            }
            if !remedy.diff.is_empty() {
                self.hang(
                    "     ",
                    "By hand, or saved by --write-advice FILE for patch -p1 -d / <FILE:",
                )?;
                writeln!(self.out)?;
                self.diff(&remedy.diff)?;
                writeln!(self.out)?;
            }
            if !remedy.apply.is_empty() {
                self.hang("     ", "Check it and apply it:")?;
                self.command(Plain(&remedy.apply))?;
            }
            for note in &remedy.notes {
                self.hang("     ", &format!("Note: {}.", Plain(note)))?;
            }
        }
        if let Some(first) = culprits.first().filter(|first| !is_bounded(diagnosis, first)) {
            let command = meanwhile(first);
            let text = "let leakwatch end its leaking workers gently before memory runs out (first as a dry run):";
            let text = match diagnosis.is_bounding_proposed() {
                true => format!("Until then {text}"),
                false => sentence(text),
            };
            self.hang(&number(), &text)?;
            self.command(format_args!("{command} --dry-run"))?;
            self.hang(&number(), &find_it(diagnosis, first))?;
        }
        for (why, command) in next {
            self.hang(&number(), why)?;
            self.command(command)?;
        }
        Ok(())
    }

    fn diff(&mut self, diff: &str) -> io::Result<()> {
        for line in diff.lines() {
            let colour = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                _ => "",
            };
            let (on, off) = match colour {
                "" => ("", ""),
                colour => (self.on(colour), self.off()),
            };
            // Tabs stay: they are no harm, and the lines are for comparing.
            let text: Vec<String> = line.split('\t').map(|part| Plain(part).to_string()).collect();
            writeln!(self.out, "       {on}{}{off}", text.join("\t"))?;
        }
        Ok(())
    }

    fn unseen(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let unread = diagnosis.logs.unread.iter().map(|what| format!("not read: {what}"));
        let all: Vec<String> = diagnosis.unseen.iter().cloned().chain(unread).collect();
        if all.is_empty() {
            return writeln!(self.out);
        }
        self.title("WHAT COULD NOT BE SEEN")?;
        for what in all {
            // A note may have its way out on a line of its own.
            self.hang("  - ", &Plain(&what.replace("\n  hint: ", "; ")).to_string())?;
        }
        writeln!(self.out)
    }
}

/// How long the services were observed, in words.
pub fn looked(diagnosis: &Diagnosis) -> String {
    let looked = diagnosis.looked;
    let samples = looked.samples;
    if diagnosis.earlier.iter().any(|about| about.samples >= LEAST_SAMPLES) {
        return format!("Judged by {}", seen(diagnosis));
    }
    match (looked.history_s > 0.0, looked.live_s > 0.0) {
        (true, _) => {
            format!("From a recording of {} ({samples} samples)", Seconds(looked.history_s))
        }
        (false, true) => format!("Observed for {} ({samples} samples)", Seconds(looked.live_s)),
        (false, false) => "One sample".to_owned(),
    }
}

fn times_word(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} x"),
    }
}
