//! When a watch or a check reads and saves what it has learnt of programs.

use crate::core::engine::Engine;
use crate::core::model::event::Severity;
use crate::store::profiles;
use anyhow::{Error, Result};
use std::path::PathBuf;

/// Seconds between two saves.
const EVERY_S: f64 = 600.0;

/// Saves what an engine learns of programs to a directory, if there is one.
pub(super) struct ProfileSaver {
    dir: Option<PathBuf>,
    /// How much had been learnt at the last save.
    saved: u64,
    due_s: f64,
    /// Whether a failure to save was reported.
    is_reported: bool,
}

impl ProfileSaver {
    /// Gives the engine what the directory holds. With an error, the engine learns from scratch.
    pub(super) fn open(
        dir: Option<PathBuf>,
        engine: &mut Engine,
        uptime_s: f64,
    ) -> (Self, Option<Error>) {
        let mut error = None;
        if let Some(dir) = &dir {
            match profiles::read(dir) {
                Ok(known) => engine.load_profiles(&known),
                Err(e) => {
                    error =
                        Some(e.context("cannot read program profiles; learning them from scratch"))
                }
            }
        }
        let saved = engine.profile_updates();
        (Self { dir, saved, due_s: uptime_s + EVERY_S, is_reported: false }, error)
    }

    /// After a sample: saves when it is time and nothing more urgent is going on. An error is returned
    /// once.
    pub(super) fn tick(&mut self, engine: &Engine, uptime_s: f64) -> Option<Error> {
        let has_order = engine.assessment().order.is_some();
        if uptime_s < self.due_s || engine.status() == Severity::Critical || has_order {
            return None;
        }
        self.due_s = uptime_s + EVERY_S;
        self.save(engine)
    }

    /// Saves what is new. An error is returned once; the next save tries again.
    pub(super) fn save(&mut self, engine: &Engine) -> Option<Error> {
        let dir = self.dir.as_ref().filter(|_| engine.profile_updates() != self.saved)?;
        let written: Result<()> = profiles::write(dir, &engine.profiles(profiles::MOST));
        match written {
            Ok(()) => {
                self.saved = engine.profile_updates();
                self.is_reported = false;
                None
            }
            Err(_) if std::mem::replace(&mut self.is_reported, true) => None,
            Err(e) => Some(e.context("cannot save program profiles; they will be lost at exit")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Comm;
    use crate::core::model::profile::{Profile, RunKey, RunOwner};

    fn profile(peak: u64) -> Profile {
        let (comm, parent) = (Comm::new(b"job"), Comm::new(b"cron"));
        let key = RunKey { comm, parent, owner: RunOwner::default() };
        Profile { key, peak, longest_s: 60.0 }
    }

    #[test]
    fn profiles_are_saved_every_ten_minutes_if_something_was_learnt() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut engine = Engine::that_only_reports();
        let (mut profile_saver, error) =
            ProfileSaver::open(Some(state.clone()), &mut engine, 100.0);
        assert!(error.is_none(), "a missing directory is no error");
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
    fn a_failure_to_save_is_reported_once_and_the_save_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut engine = Engine::that_only_reports();
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
