//! Keeper: when a watch reads and saves its memory of programs.

use crate::core::engine::Engine;
use crate::core::model::event::Severity;
use crate::store::profiles;
use anyhow::{Error, Result};
use std::path::PathBuf;

/// Seconds between two savings.
const EVERY_S: f64 = 600.0;

/// Keeps what an engine learns of programs in a directory, if there is one.
pub struct ProfileSaver {
    dir: Option<PathBuf>,
    /// How much had been learnt when it was last saved.
    saved: u64,
    due_s: f64,
    /// Whether it was said that it cannot be saved.
    told: bool,
}

impl ProfileSaver {
    /// Hands to the engine what is kept in the directory; the error is only to be told.
    pub fn open(dir: Option<PathBuf>, engine: &mut Engine, uptime_s: f64) -> (Self, Option<Error>) {
        let mut error = None;
        if let Some(dir) = &dir {
            match profiles::read(dir) {
                Ok(known) => engine.load_profiles(&known),
                Err(e) => error = Some(e.context("programs are learnt anew")),
            }
        }
        let saved = engine.profile_updates();
        (Self { dir, saved, due_s: uptime_s + EVERY_S, told: false }, error)
    }

    /// After a tick: saves when it is time and nothing more urgent is going on. The error is only
    /// to be told, and comes once.
    pub fn tick(&mut self, engine: &Engine, uptime_s: f64) -> Option<Error> {
        let has_order = engine.assessment().order.is_some();
        if uptime_s < self.due_s || engine.status() == Severity::Critical || has_order {
            return None;
        }
        self.due_s = uptime_s + EVERY_S;
        self.save(engine)
    }

    /// Saves what is new. The error is only to be told, and comes once.
    pub fn save(&mut self, engine: &Engine) -> Option<Error> {
        let dir = self.dir.as_ref().filter(|_| engine.profile_updates() != self.saved)?;
        let written: Result<()> = profiles::write(dir, &engine.profiles(profiles::MOST));
        match written {
            Ok(()) => {
                (self.saved, self.told) = (engine.profile_updates(), false);
                None
            }
            Err(_) if std::mem::replace(&mut self.told, true) => None,
            Err(e) => Some(e.context("what is learnt of programs is lost at the stop")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decide::policy::Rules;
    use crate::core::engine::EngineSettings;
    use crate::core::model::process::Comm;
    use crate::core::model::profile::Profile;
    use crate::core::model::sample::Header;

    fn engine() -> Engine {
        let rules = Rules { act: false, ..Rules::default() };
        let hostname = String::new();
        let header = Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname };
        Engine::new(&header, EngineSettings { max_extrapolation: 8.0, rules })
    }

    fn profile(peak: u64) -> Profile {
        Profile { comm: Comm::new(b"job"), parent: Comm::new(b"cron"), peak, longest_s: 60.0 }
    }

    #[test]
    fn it_is_saved_every_ten_minutes_and_only_if_something_was_learnt() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut engine = engine();
        let (mut profile_saver, error) =
            ProfileSaver::open(Some(state.clone()), &mut engine, 100.0);
        assert!(error.is_none(), "that nothing is there yet is no error");
        assert!(profile_saver.tick(&engine, 700.0).is_none() && !state.exists(), "nothing to save");
        engine.load_profiles(&[profile(1 << 20)]);
        assert!(profile_saver.tick(&engine, 1200.0).is_none() && !state.exists(), "not yet");
        assert!(profile_saver.tick(&engine, 1300.0).is_none());
        assert_eq!(profiles::read(&state).unwrap(), [profile(1 << 20)]);
        std::fs::remove_dir_all(&state).unwrap();
        engine.load_profiles(&[profile(1 << 10)]);
        assert!(profile_saver.tick(&engine, 2000.0).is_none() && !state.exists(), "nothing new");
    }

    #[test]
    fn that_it_cannot_be_saved_is_told_once_and_tried_on() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut engine = engine();
        let (mut profile_saver, _) = ProfileSaver::open(Some(state.clone()), &mut engine, 0.0);
        std::fs::write(&state, "no directory").unwrap();
        engine.load_profiles(&[profile(1 << 20)]);
        assert!(profile_saver.tick(&engine, 600.0).is_some());
        assert!(profile_saver.tick(&engine, 1200.0).is_none());
        std::fs::remove_file(&state).unwrap();
        assert!(profile_saver.save(&engine).is_none());
        assert_eq!(profiles::read(&state).unwrap(), [profile(1 << 20)]);
    }
}
