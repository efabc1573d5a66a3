//! Source: where what is shown comes from, this machine or a recording.

use super::live::Live;
use super::playback::Playback;
use crate::command::top::live_view::scene::Scene;
use crate::command::top::live_view::view::{Clock, View};
use crate::diagnose::observer::Observer;
use crate::system::wait::Waiter;
use anyhow::Result;

/// Seconds between two pictures of a recording that is played.
const PICTURE_S: f64 = 0.1;
/// Seconds that samples are judged for before keys are looked at again.
const PATIENCE_S: f64 = 0.05;

/// Where what is shown comes from.
pub(super) enum SampleSource<'o> {
    /// This machine.
    Live(Box<Live>),
    /// A recording.
    Recording(Box<Playback<'o>>),
}

impl SampleSource<'_> {
    /// Where its time comes from.
    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Live(live) => live.clock(),
            Self::Recording(playback) => playback.clock(),
        }
    }

    /// What its last sample shows.
    pub(super) fn scene(&self) -> Scene {
        match self {
            Self::Live(live) => live.scene(),
            Self::Recording(playback) => playback.scene(),
        }
    }

    /// What has seen the samples.
    pub(super) fn observer(&self) -> &Observer {
        match self {
            Self::Live(live) => live.observer(),
            Self::Recording(playback) => playback.observer(),
        }
    }

    /// Goes on, `passed_s` seconds after it last did. Returns the seconds until it is to go on again.
    ///
    /// # Errors
    /// A recording cannot be read any more.
    pub(super) fn advance(
        &mut self,
        passed_s: f64,
        waiter: &Waiter,
        view: &mut View,
    ) -> Result<f64> {
        let began_s = waiter.uptime_s();
        match self {
            Self::Live(live) => {
                // lxcfs has an empty meminfo now and then; the next sample may be whole.
                if let Err(error) = live.sample(waiter, view.log()) {
                    view.say(format!("cannot look this time: {error:#}"));
                }
                Ok(live.next_s())
            }
            Self::Recording(playback) => {
                if !view.is_paused() && !playback.is_seeking() {
                    playback.play(passed_s);
                }
                let go_on = || waiter.uptime_s() < began_s + PATIENCE_S;
                playback.catch_up(view.log(), go_on)?;
                Ok(if playback.is_seeking() { 0.0 } else { PICTURE_S })
            }
        }
    }
}
