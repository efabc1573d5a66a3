//! Top: connects the samples, of this machine or of a recording, and the keys with the
//! [live view](live_view).

mod ending;
mod live;
pub mod live_view;
pub mod playback;
mod recorder;
mod source;

use crate::cli::options::TopOptions;
use crate::command::terminal;
use crate::command::top::live_view::keys::{Decoder, Key};
use crate::command::top::live_view::log::EventLog;
use crate::command::top::live_view::scene::Scene;
use crate::command::top::live_view::view::{Clock, Request, TimeRequest, View};
use crate::command::top::live_view::{ScreenSize, ScreenStyle, draw};
use crate::core::model::event::Severity;
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::report::explain;
use crate::report::explain::ExplainedAt;
use crate::report::words::{Style, Subject, TimeOfDay};
use crate::store::recording;
use crate::system::rights;
use crate::system::terminal::Terminal;
use crate::system::wait::{Waiter, Wake};
use anyhow::{Result, ensure};
use live::Live;
use playback::Playback;
use source::SampleSource;

/// Seconds within which the rest of a key follows its first byte.
const KEY_S: f64 = 0.05;

/// Shows the live view until the user quits.
///
/// # Errors
/// Bad options, no terminal, a procfs or a recording that cannot be read.
pub fn run(options: &TopOptions) -> Result<Severity> {
    Terminal::check()?;
    let look =
        ScreenStyle { colour: terminal::colour(options.color), unicode: terminal::unicode() };
    let mut log = EventLog::default();
    let (waiter, source) = match &options.file {
        Some(file) => {
            let name = file.display().to_string();
            ensure!(
                name != "-",
                "top cannot play standard input, where the keys come from\n  hint: write it to a file and name that"
            );
            let file = recording::open(file)?;
            // Whoever made it chose what is in it.
            rights::keep_open_files_and(None);
            // Before signals are taken over, so that Ctrl-C ends the reading of a long file.
            let playback = Playback::of(file, name, &options.judge, options.speed)?;
            (Waiter::of_screen()?, SampleSource::Recording(Box::new(playback)))
        }
        None => {
            let waiter = Waiter::of_screen()?;
            let live = Live::open(options, &waiter, &mut log)?;
            (waiter, SampleSource::Live(Box::new(live)))
        }
    };
    LiveScreen::open(waiter, look, source, log)?.run()?;
    Ok(Severity::Fine)
}

/// The terminal, and what it shows.
struct LiveScreen<'o> {
    waiter: Waiter,
    terminal: Terminal,
    decoder: Decoder,
    /// When a key that has begun is taken for what came of it.
    key_due_s: f64,
    look: ScreenStyle,
    view: View,
    scene: Scene,
    source: SampleSource<'o>,
    /// When the source last went on, and when it is to go on.
    advanced_s: f64,
    due_s: f64,
}

impl<'o> LiveScreen<'o> {
    fn open(
        waiter: Waiter,
        look: ScreenStyle,
        source: SampleSource<'o>,
        log: EventLog,
    ) -> Result<Self> {
        let terminal = Terminal::open()?;
        let now_s = waiter.uptime_s();
        let due_s = match source.clock() {
            Clock::Live { next_s, .. } => now_s + next_s,
            Clock::Recording { .. } => now_s,
        };
        Ok(Self {
            view: View::new(source.clock(), size(&terminal), log),
            scene: source.scene(),
            waiter,
            terminal,
            decoder: Decoder::default(),
            key_due_s: f64::INFINITY,
            look,
            source,
            advanced_s: now_s,
            due_s,
        })
    }

    fn run(mut self) -> Result<()> {
        loop {
            self.view.set_clock(self.source.clock());
            self.terminal.show(draw(&self.view, &self.scene, self.look))?;
            let until_s = self.due_s.min(self.key_due_s);
            let mut keys = Vec::new();
            match self.waiter.wait_for_input(until_s, self.terminal.input()) {
                Wake::Stop | Wake::HangUp => return self.end(),
                Wake::Input => match self.terminal.read() {
                    Some(bytes) => keys = self.decoder.feed(&bytes),
                    None => return self.end(),
                },
                Wake::Tick => {}
                Wake::Continued => self.terminal.take_over()?,
                Wake::Suspend => self.suspend()?,
                Wake::Resized | Wake::ShowState => self.terminal.forget(),
            }
            let now_s = self.waiter.uptime_s();
            if now_s >= self.key_due_s {
                keys.extend(self.decoder.flush());
            }
            self.key_due_s = if self.decoder.is_waiting() { now_s + KEY_S } else { f64::INFINITY };
            self.view.set_size(size(&self.terminal));
            for key in keys {
                if self.press(key)? {
                    return self.end();
                }
            }
            self.advance_if_due()?;
        }
    }

    /// Lets the shell have the terminal, until it continues this process.
    fn suspend(&mut self) -> Result<()> {
        self.terminal.give_back();
        self.waiter.suspend();
        self.terminal.take_over()
    }

    /// Ends the recording, if one is made.
    fn end(&mut self) -> Result<()> {
        match &mut self.source {
            SampleSource::Live(live) => live.end_record().map(drop),
            SampleSource::Recording(_) => Ok(()),
        }
    }

    fn advance_if_due(&mut self) -> Result<()> {
        let now_s = self.waiter.uptime_s();
        if now_s < self.due_s {
            return Ok(());
        }
        let passed_s = now_s - std::mem::replace(&mut self.advanced_s, now_s);
        let next_s = self.source.advance(passed_s, &self.waiter, &mut self.view)?;
        self.due_s = (now_s + next_s).max(self.waiter.uptime_s());
        let is_live = matches!(self.source, SampleSource::Live(_));
        if !(is_live && self.view.is_paused()) {
            self.scene = self.source.scene();
        }
        Ok(())
    }

    /// Takes a key; returns whether it ends the view.
    fn press(&mut self, key: Key) -> Result<bool> {
        let Some(request) = self.view.press(key, &self.scene) else { return Ok(false) };
        match request {
            Request::Quit => return Ok(true),
            Request::Suspend => self.suspend()?,
            Request::Explain(id) => self.explain(id),
            Request::Time(request) => self.move_time(request),
            Request::Record(name) => self.record(&name),
            Request::EndRecord => self.end_record(),
            Request::AskToEnd(id) => self.ask_to_end(id),
            Request::End(order) => self.end_process(&order),
        }
        Ok(false)
    }

    fn move_time(&mut self, request: TimeRequest) {
        if let SampleSource::Recording(playback) = &mut self.source {
            playback.move_time(request);
            self.due_s = self.waiter.uptime_s();
        }
    }

    fn record(&mut self, name: &str) {
        let SampleSource::Live(live) = &mut self.source else { return };
        match live.record(name) {
            Ok(()) => self.view.say(format!("recording to {name}; r ends it")),
            Err(error) => self.view.say(format!("{error:#}")),
        }
    }

    fn end_record(&mut self) {
        let SampleSource::Live(live) = &mut self.source else { return };
        match live.end_record() {
            Ok(said) => self.view.say(said.unwrap_or_default()),
            Err(error) => self.view.say(format!("cannot end the recording: {error:#}")),
        }
    }

    /// Asks for the confirmation, or says why the process is not ended.
    fn ask_to_end(&mut self, id: ProcId) {
        let SampleSource::Live(live) = &self.source else { return };
        match live.order_to_end(id) {
            Ok((order, lines)) => self.view.ask(order, lines),
            Err(refusal) => self.view.show_sentence(refusal.title, refusal.why),
        }
    }

    fn end_process(&mut self, order: &Order) {
        let SampleSource::Live(live) = &mut self.source else { return };
        match live.end_process(order, self.view.log()) {
            Ok(said) => self.view.say(said),
            Err(refusal) => self.view.show_sentence(refusal.title, refusal.why),
        }
    }

    /// Shows why a process has its verdict.
    fn explain(&mut self, id: ProcId) {
        let observer = self.source.observer();
        let Some(explanation) = observer.engine().detector().explain(id) else {
            self.view.say(format!("process {} is gone", id.pid));
            return;
        };
        let (mut text, t) = (Vec::new(), observer.last().t);
        // Into memory nothing fails.
        let _ = explain::write(&mut text, t, ExplainedAt::Now, &explanation, Style::default());
        text.push(b'\n');
        let _ = explain::legend(&mut text);
        let text = String::from_utf8_lossy(&text);
        let lines = text.trim_start().lines().map(str::to_owned).collect();
        let subject = Subject::process(explanation.state.comm, id);
        self.view.show_text(format!("why {subject} is judged so, {}", TimeOfDay(t)), lines);
    }
}

fn size(terminal: &Terminal) -> ScreenSize {
    let (columns, rows) = terminal.size();
    ScreenSize { columns, rows }
}
