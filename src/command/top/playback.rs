//! Playback: a recording as the source of what is shown. Time goes back by judging from the beginning
//! again, since an engine only goes forward.

use crate::cli::options::JudgeOptions;
use crate::cli::resolve;
use crate::command::top::live_view::log::EventLog;
use crate::command::top::live_view::scene::Scene;
use crate::command::top::live_view::view::{Clock, TimeRequest};
use crate::core::engine::Engine;
use crate::core::model::sample::Sample;
use crate::diagnose::observer::Observer;
use crate::store::recording::Reader;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Seek;

/// The speeds that keys choose.
const SPEEDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// A recording that is played.
pub struct Playback<'o> {
    file: File,
    name: String,
    judge: &'o JudgeOptions,
    reader: Reader,
    observer: Observer,
    sample: Sample,
    /// The times of its samples.
    times: Vec<f64>,
    /// Samples judged so far.
    judged: usize,
    /// Samples to be judged before time goes on.
    wanted: usize,
    /// The time that is played, in seconds of the recording.
    t: f64,
    /// How many times as fast as it was made.
    speed: f64,
}

impl<'o> Playback<'o> {
    /// Judges the first sample of an open recording; `name` is what errors call it.
    ///
    /// # Errors
    /// It cannot be read, is no recording, or has no sample; bad rules.
    pub fn of(file: File, name: String, judge: &'o JudgeOptions, speed: f64) -> Result<Self> {
        let mut all = from_its_beginning(&file, &name)?;
        let (mut sample, mut times) = (Sample::default(), Vec::new());
        while all.read(&mut sample)? {
            times.push(sample.t);
        }
        let Some(t) = times.first().copied() else {
            bail!("{name}: has no sample");
        };
        let reader = from_its_beginning(&file, &name)?;
        let engine = Engine::new(reader.header(), resolve::engine(judge, true)?);
        let observer = Observer::recorded(engine, reader.header());
        let (judged, wanted) = (0, 1);
        let mut playback =
            Self { file, name, judge, reader, observer, sample, times, judged, wanted, t, speed };
        playback.judge_next(&mut EventLog::default())?;
        Ok(playback)
    }

    /// What its last judged sample shows.
    pub fn scene(&self) -> Scene {
        Scene::of(&self.observer)
    }

    /// What has seen the samples.
    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// The times of its first and last sample.
    pub fn span(&self) -> (f64, f64) {
        let ends = self.times.first().zip(self.times.last());
        ends.map_or((0.0, 0.0), |(first, last)| (*first, *last))
    }

    /// How its time stands.
    pub fn clock(&self) -> Clock {
        let (span, speed, is_seeking) = (self.span(), self.speed, self.is_seeking());
        Clock::Recording { span, speed, is_seeking }
    }

    /// Whether a time was asked for that is not reached yet.
    pub fn is_seeking(&self) -> bool {
        self.judged < self.wanted
    }

    /// Whether all is judged.
    pub fn is_at_end(&self) -> bool {
        self.judged >= self.times.len()
    }

    /// Lets so many seconds go by, and wants the samples that lie in them.
    pub fn play(&mut self, seconds: f64) {
        self.t = (self.t + seconds * self.speed).min(self.span().1);
        self.wanted = self.times.partition_point(|t| *t <= self.t).max(1);
    }

    /// Judges samples that are wanted, until none is or `go_on` says no. Events go to `log`.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub fn catch_up(&mut self, log: &mut EventLog, mut go_on: impl FnMut() -> bool) -> Result<()> {
        if self.judged > self.wanted {
            self.rewind(log)?;
        }
        while self.is_seeking() && go_on() {
            self.judge_next(log)?;
        }
        Ok(())
    }

    /// Moves time.
    pub fn move_time(&mut self, request: TimeRequest) {
        let last = self.times.len();
        let by_samples = |by: i32| self.judged.saturating_add_signed(by as isize).clamp(1, last);
        let at = |t: f64| self.times.partition_point(|time| *time <= t).clamp(1, last);
        let wanted = match request {
            TimeRequest::Faster => return self.change_speed(1),
            TimeRequest::Slower => return self.change_speed(-1),
            TimeRequest::Samples(by) => by_samples(by),
            TimeRequest::Seconds(by) => at(self.t + by),
            TimeRequest::First => 1,
            TimeRequest::Last => last,
        };
        self.wanted = wanted;
        self.t = self.times.get(wanted - 1).copied().unwrap_or(self.t);
    }

    fn change_speed(&mut self, by: isize) {
        let at = SPEEDS.iter().position(|speed| *speed >= self.speed).unwrap_or(SPEEDS.len());
        let next = SPEEDS.get(at.saturating_add_signed(by));
        self.speed = next.copied().unwrap_or(self.speed);
    }

    fn rewind(&mut self, log: &mut EventLog) -> Result<()> {
        self.reader = from_its_beginning(&self.file, &self.name)?;
        let engine = Engine::new(self.reader.header(), resolve::engine(self.judge, true)?);
        self.observer = Observer::recorded(engine, self.reader.header());
        self.judged = 0;
        log.clear();
        Ok(())
    }

    fn judge_next(&mut self, log: &mut EventLog) -> Result<()> {
        if !self.reader.read(&mut self.sample)? {
            // It became shorter since.
            self.times.truncate(self.judged.max(1));
            self.wanted = self.judged;
            return Ok(());
        }
        self.judged += 1;
        self.observer.observe(&self.sample);
        for event in self.observer.engine().assessment().events() {
            log.event(self.sample.t, &event, self.observer.engine().names(), self.judge.dry_run);
        }
        Ok(())
    }
}

/// Reads a recording again, which may not be opened again. All readers of it share one position.
fn from_its_beginning(file: &File, name: &str) -> Result<Reader> {
    let again = file.try_clone().and_then(|mut again| again.rewind().map(|()| again));
    Reader::of(again.with_context(|| format!("{name}: cannot be read again"))?, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::{Cli, Command};
    use clap::Parser;

    fn options(file: &str) -> crate::cli::options::TopOptions {
        match Cli::parse_from(["leakwatch", "top", file]).command {
            Some(Command::Top(options)) => options,
            _ => panic!("it is top"),
        }
    }

    #[test]
    fn time_goes_forward_back_and_to_both_ends() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/prefork-leak.jsonl.gz");
        let options = options(file);
        let mut playback =
            Playback::of(File::open(file).unwrap(), file.to_owned(), &options.judge, 10.0).unwrap();
        let (first_t, last_t) = playback.span();
        let mut log = EventLog::default();
        let mut at = |playback: &mut Playback<'_>, request| {
            playback.move_time(request);
            playback.catch_up(&mut log, || true).unwrap();
            (playback.scene().t - first_t).round()
        };
        let after_60 = at(&mut playback, TimeRequest::Seconds(60.0));
        assert!((59.0..=61.0).contains(&after_60), "{after_60}");
        assert_eq!(at(&mut playback, TimeRequest::Samples(-1)), after_60 - 1.0);
        assert_eq!(at(&mut playback, TimeRequest::Last), (last_t - first_t).round());
        assert!(playback.is_at_end());
        assert_eq!(at(&mut playback, TimeRequest::First), 0.0);
        playback.play(1.0);
        playback.catch_up(&mut log, || true).unwrap();
        let played_s = playback.scene().t - first_t;
        assert!((8.0..=11.0).contains(&played_s), "10 s in one: {played_s}");
    }
}
