//! Text: a diagnosis for a terminal or a mail, the finding first.

use super::{
    Times, growth, headline, is_bounded, left, matters, meaning, meanwhile, next, no_trace,
    per_work, processes, proposal, reason, seen, verdict, when,
};
use crate::assessment::Status;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::earlier::LEAST;
use crate::diagnosis::history::Point;
use crate::diagnosis::service::{Case, Service, is_known};
use crate::report::escape::Plain;
use crate::units::{Bytes, Seconds};
use std::io::{self, Write};

/// How it is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Columns.
    pub width: usize,
    /// Colours.
    pub colour: bool,
    /// Whether the terminal has more than ASCII.
    pub unicode: bool,
}

/// Services listed one by one.
const MOST: usize = 12;
/// Traces listed.
const MOST_TRACES: usize = 10;
/// Columns of a sparkline.
const SPARK: usize = 10;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

struct Paper<'w, W> {
    out: &'w mut W,
    layout: Layout,
}

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
    let mut paper = Paper { out, layout };
    paper.head(diagnosis, times)?;
    paper.services(diagnosis, times)?;
    paper.ceilings(diagnosis)?;
    paper.logs(diagnosis, times)?;
    paper.advice(diagnosis)?;
    paper.unseen(diagnosis)?;
    let status = match diagnosis.status {
        Status::Fine => "nothing leaks",
        Status::Leak => "a leak was found",
        Status::Critical => "memory is about to end",
    };
    paper.line("", &format!("Exit status {}: {status}.", diagnosis.status as u8))
}

impl<W: Write> Paper<'_, W> {
    fn on(&self, colour: &'static str) -> &'static str {
        if self.layout.colour { colour } else { "" }
    }

    fn off(&self) -> &'static str {
        if self.layout.colour { RESET } else { "" }
    }

    /// A paragraph, broken at blanks, each line behind `indent`.
    fn line(&mut self, indent: &str, text: &str) -> io::Result<()> {
        for line in wrap(text, self.layout.width.saturating_sub(indent.chars().count())) {
            writeln!(self.out, "{indent}{line}")?;
        }
        Ok(())
    }

    fn title(&mut self, text: &str) -> io::Result<()> {
        let (on, off) = (self.on(BOLD), self.off());
        writeln!(self.out, "\n{on}{text}{off}")
    }

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
            Status::Fine => BOLD,
            _ => RED,
        };
        let (on, off) = (self.on(colour), self.off());
        for line in wrap(&headline(diagnosis, times), self.layout.width) {
            writeln!(self.out, "{on}{line}{off}")?;
        }
        Ok(())
    }

    fn services(&mut self, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
        self.title("WHO HAS THE MEMORY")?;
        let listed: Vec<&Service> =
            diagnosis.services.iter().filter(|s| matters(s)).take(MOST).collect();
        let widest = listed.iter().map(|s| Plain(&s.name).to_string().chars().count()).max();
        let widest = widest.unwrap_or(0).clamp(8, if self.layout.width < 100 { 22 } else { 34 });
        for service in &listed {
            self.service(diagnosis, service, widest, times)?;
        }
        let rest =
            || diagnosis.services.iter().filter(|s| !listed.iter().any(|l| l.roots == s.roots));
        let (count, sum) = rest().fold((0, 0.0), |(n, sum), s| (n + 1, sum + s.own));
        if count > 0 {
            let unclear =
                rest().filter(|s| matches!(s.case, Case::Unclear | Case::Suspect)).count();
            let how = match unclear {
                0 => "none of them grows to speak of".to_owned(),
                n => format!("{n} of them seen too briefly to say"),
            };
            let name = if count == 1 { "1 other".to_owned() } else { format!("{count} others") };
            let (on, off) = (self.on(GREEN), self.off());
            writeln!(
                self.out,
                "  {on}{:<7}{off}  {name:<widest$}  {:>8}  {how}",
                "ok",
                Bytes(sum as u64).to_string()
            )?;
        }
        Ok(())
    }

    fn service(
        &mut self,
        diagnosis: &Diagnosis,
        service: &Service,
        widest: usize,
        times: &Times,
    ) -> io::Result<()> {
        let colour = match service.case {
            Case::Leaks | Case::Likely { .. } => RED,
            Case::Suspect | Case::Unclear => YELLOW,
            _ => GREEN,
        };
        let (on, off) = (self.on(colour), self.off());
        let name: String = Plain(&service.name).to_string().chars().take(widest).collect();
        let spark = spark(&service.points, SPARK, self.layout.unicode);
        let head = format!(
            "{name:<widest$}  {:>8}  {spark:<SPARK$}  ",
            Bytes(service.own as u64).to_string()
        );
        let column = 2 + 7 + 2 + head.chars().count();
        let accused = service.case.accuses() || service.case == Case::Suspect;
        let first = if accused { growth(service) } else { reason(service) };
        let mut lines = wrap(&first, self.layout.width.saturating_sub(column).max(20)).into_iter();
        let begin = lines.next().unwrap_or_default();
        writeln!(self.out, "  {on}{:<7}{off}  {head}{begin}", verdict(service.case))?;
        for line in lines {
            writeln!(self.out, "{:column$}{line}", "")?;
        }
        if !accused {
            return Ok(());
        }
        let indent = "           ";
        let kind = match service.server {
            server if is_known(server) => format!(" ({server})"),
            _ => String::new(),
        };
        let mut text = format!(
            "{}{kind}, up {}: {}",
            processes(service),
            Seconds(service.age_s),
            reason(service)
        );
        if let Some(per_work) = per_work(service) {
            text += &format!("; {per_work}");
        }
        self.line(indent, &(text + "."))?;
        let traces: Vec<_> = diagnosis.traces_of(service).take(2).collect();
        for trace in traces {
            let text = format!(
                "{} {}, {}",
                times_word(trace.count),
                trace.failure.title(),
                when(trace, times)
            );
            self.line(indent, &format!("In the logs: {text}."))?;
        }
        Ok(())
    }

    fn ceilings(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        self.title("WHAT IS LEFT, NEAREST LIMIT FIRST")?;
        for ceiling in &diagnosis.ceilings {
            self.item("  - ", &format!("{}.", left(ceiling)))?;
        }
        self.line("  ", "All of them, and where each is set: leakwatch ceilings")
    }

    fn logs(&mut self, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
        let logs = &diagnosis.logs;
        if logs.since_t == 0.0 {
            return Ok(());
        }
        let days = ((diagnosis.t - logs.since_t) / 86_400.0).round();
        self.title(&format!("WHAT THE LOGS SAY OF THE LAST {days:.0} DAYS"))?;
        if logs.traces.is_empty() {
            self.line("  ", no_trace(logs))?;
        }
        let widest = logs.traces.iter().map(|t| Plain(&t.who).to_string().chars().count()).max();
        let widest = widest.unwrap_or(0).min(20);
        for trace in logs.traces.iter().take(MOST_TRACES) {
            let who: String = Plain(&trace.who).to_string().chars().take(20).collect();
            let text = format!(
                "{who:<widest$}  {:>5}  {}, {}",
                times_word(trace.count),
                trace.failure.title(),
                when(trace, times)
            );
            self.line("  ", &text)?;
            let quote = format!("{}: {}", Plain(&trace.source), Plain(&trace.text));
            let room = self.layout.width.saturating_sub(6);
            let (on, off) = (self.on(DIM), self.off());
            writeln!(self.out, "      {on}{}{off}", cut(&quote, room))?;
        }
        if logs.traces.len() > MOST_TRACES {
            self.line("  ", &format!("and {} more kinds", logs.traces.len() - MOST_TRACES))?;
        }
        let text = format!(
            "Read: {} logs, {} in {}.",
            logs.sources,
            Bytes(logs.bytes),
            Seconds(logs.took_s)
        );
        self.line("  ", &text)
    }

    fn advice(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let next = next(diagnosis);
        let culprits: Vec<&Service> = diagnosis.culprits().collect();
        if diagnosis.cures.is_empty() && next.is_none() && culprits.is_empty() {
            return Ok(());
        }
        self.title("WHAT TO DO")?;
        let mut step = 0;
        let mut number = || {
            step += 1;
            format!("  {step}. ")
        };
        for cure in &diagnosis.cures {
            let several = if diagnosis.cures.len() > 1 {
                format!("{}: ", Plain(&cure.service))
            } else {
                String::new()
            };
            self.item(&number(), &format!("{several}{}", proposal(cure)))?;
            if let Some(meaning) = meaning(cure) {
                self.line("     ", &meaning)?;
            }
            if !cure.diff.is_empty() {
                self.line(
                    "     ",
                    "By hand, or saved by --write-advice FILE and applied by patch -p1 -d / <FILE:",
                )?;
                writeln!(self.out)?;
                self.diff(&cure.diff)?;
                writeln!(self.out)?;
            }
            if !cure.apply.is_empty() {
                self.line("     ", "Check it and put it into force:")?;
                writeln!(self.out, "       {}", Plain(&cure.apply))?;
            }
            for note in &cure.notes {
                self.line("     ", &format!("Note: {}.", Plain(note)))?;
            }
        }
        if let Some(first) = culprits.first().filter(|first| !is_bounded(diagnosis, first)) {
            let command = meanwhile(first);
            self.item(&number(), "Until then have leakwatch end its leaking workers gently, in time (first see what it would do):")?;
            writeln!(self.out, "       {command} --dry-run")?;
            self.item(&number(), "Recycling bounds a leak, it does not cure it. To find it: note which requests make a worker grow (its size before and after, in the access log's order), switch off modules or extensions one by one, and update them first.")?;
        }
        if let Some(next) = next {
            self.item(&number(), "Look longer, so that more can be said:")?;
            writeln!(self.out, "       {next}")?;
        }
        Ok(())
    }

    /// A numbered paragraph with a hanging indent.
    fn item(&mut self, number: &str, text: &str) -> io::Result<()> {
        let indent = " ".repeat(number.len());
        let lines = wrap(text, self.layout.width.saturating_sub(number.len()));
        for (nth, line) in lines.into_iter().enumerate() {
            writeln!(self.out, "{}{line}", if nth == 0 { number } else { &indent })?;
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
            self.item("  - ", &Plain(&what.replace("\n  hint: ", "; ")).to_string())?;
        }
        writeln!(self.out)
    }
}

/// How long was looked, in words.
pub fn looked(diagnosis: &Diagnosis) -> String {
    let looked = diagnosis.looked;
    let samples = looked.samples;
    if diagnosis.earlier.iter().any(|about| about.samples >= LEAST) {
        return format!("Judged by {}", seen(diagnosis));
    }
    match (looked.history_s > 0.0, looked.live_s > 0.0) {
        (true, _) => {
            format!("From a recording of {} ({samples} samples)", Seconds(looked.history_s))
        }
        (false, true) => format!("Looked for {} ({samples} samples)", Seconds(looked.live_s)),
        (false, false) => "Looked once".to_owned(),
    }
}

fn times_word(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} x"),
    }
}

/// Breaks text at blanks; what has none is not broken.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 || !line.is_empty() {
            line.push(' ');
            length += 1;
        }
        line += word;
        length += word_length;
    }
    lines.push(line);
    lines
}

fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

/// A line of bars, from the least to the most in it; flat where that is less than 2 % of the size.
pub fn spark(points: &[Point], columns: usize, unicode: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const PLAIN: [char; 8] = ['_', '_', '.', '.', '-', '-', '=', '^'];
    let bars = if unicode { BARS } else { PLAIN };
    if points.len() < 4 {
        return String::new();
    }
    let low = points.iter().map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
    let columns = columns.min(points.len());
    let bar = |column: usize| {
        let at = (points.len() - 1) * column / (columns - 1).max(1);
        let bytes = points.get(at).map_or(0.0, |(_, bytes)| *bytes);
        let height =
            if high - low < 0.02 * high { 3.0 } else { (bytes - low) / (high - low) * 7.0 };
        bars.get(height.round() as usize).copied().unwrap_or(' ')
    };
    (0..columns).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flat_line_is_flat_and_a_rise_rises() {
        let points = |f: fn(i32) -> f64| (0..50).map(|n| (f64::from(n), f(n))).collect::<Vec<_>>();
        assert_eq!(spark(&points(|_| 1e6), 5, true), "▄▄▄▄▄");
        assert_eq!(spark(&points(f64::from), 8, true), "▁▂▃▄▅▆▇█");
        assert_eq!(spark(&points(f64::from)[..3], 8, true), "");
    }

    proptest! {
        #[test]
        fn words_come_through_in_order_and_lines_are_short(text in "[a-z ]{0,200}", width in 10..100_usize) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width.max(line.len()) && (line.len() <= width || !line.trim().contains(' '))));
            let words = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&lines.join(" ")), words(&text));
        }
    }
}
