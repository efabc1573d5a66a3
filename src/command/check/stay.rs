//! A check that stays: while something may end before the next check sees it, it goes on as a watch does.
//!
//! A check that does not stay must act on growth that may end memory before the check after the next, and so
//! ends workers of a pool that fills in a straight line and stops with a tenth of memory left. One that
//! stays need not act before it must.

use super::Check;
use crate::command::sample_schedule::SampleSchedule;
use crate::command::tolerant::Tolerant;
use crate::core::alerting::{CheckState, is_always_news, worse};
use crate::core::model::event::Event;
use crate::core::model::units::Seconds;
use crate::report::events::write_event;
use crate::report::messages;
use crate::store::history::lock::SelectionLock;
use crate::system::prepare;
use crate::system::wait::{Waiter, Wake};
use anyhow::{Error, Result};
use std::io::Write;

/// It stays where something may end within so many intervals: the next check may come late.
const INTERVALS: f64 = 2.0;
/// The longest time between its samples, in seconds.
const LONGEST_S: f64 = 1.0;
/// It leaves so many seconds before the next check, which could not take the lock otherwise.
const LEAVES_S: f64 = 2.0;
/// While the end is near it does not leave, but so many intervals after its beginning it does.
const MOST_INTERVALS: f64 = 2.0;

/// Lets checks stay as long as each is to; returns the exit status of the worst state.
///
/// # Errors
/// The kernel has no signalfd, or what happened cannot be written.
pub(super) fn stay(
    checks: Vec<Check<'_>>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8> {
    let mut status = CheckState::Ok as u8;
    if checks.is_empty() {
        return Ok(status);
    }
    let waiter = Waiter::new()?;
    let acts = checks.iter().any(|check| !check.options.judge.dry_run);
    let (out, err) = (&mut Tolerant::new(out, acts), &mut Tolerant::new(err, acts));
    // What was found so far does not wait for the end.
    out.flush()?;
    if acts {
        let notes = prepare::prepare();
        if checks.iter().any(|check| check.options.output.verbose) {
            messages::notes(err, &notes)?;
        }
    }
    for check in checks.iter().filter(|check| super::is_talkative(check.options)) {
        let most_s = MOST_INTERVALS * check.interval_s;
        let note = format!(
            "something may end before the next check: watching on, for {} at most",
            Seconds(most_s)
        );
        messages::notes(err, &[note])?;
    }
    let mut staying: Vec<(Check<'_>, SampleSchedule)> =
        checks.into_iter().map(|check| (check, SampleSchedule::new(waiter.uptime_s()))).collect();
    loop {
        let due_s = staying.iter().map(|(_, schedule)| schedule.due_s());
        let due_s = due_s.fold(f64::INFINITY, f64::min);
        match waiter.wait_until(due_s) {
            Wake::Stop | Wake::HangUp => break,
            _ => {}
        }
        for (check, schedule) in &mut staying {
            status = worse(status, check.sample_if_due(schedule, &waiter, out, err)?);
        }
        let leave = |(check, _): &mut (Check<'_>, SampleSchedule)| check.is_over(waiter.uptime_s());
        for (mut check, _) in staying.extract_if(.., leave) {
            check.leave(err)?;
        }
        if staying.is_empty() {
            break;
        }
    }
    for (check, _) in &mut staying {
        check.leave(err)?;
    }
    Ok(status)
}

impl Check<'_> {
    /// Whether something may end before the next check acts on it, or was told to exit.
    pub(super) fn wants_to_stay(&self) -> bool {
        let engine = &self.acting.engine;
        let is_ending = engine.nearest_end_s() < INTERVALS * self.interval_s;
        self.options.stay && self.may_order && (is_ending || engine.policy().has_order_under_way())
    }

    /// Whether it need not or must not stay any longer at an uptime. It leaves only right before a check is
    /// due: nobody would watch until then.
    fn is_over(&self, now_s: f64) -> bool {
        let policy = self.acting.engine.policy();
        let is_near = policy.next_s().is_some() || policy.has_order_under_way();
        let stayed_s = now_s - self.began.0;
        let left_s = |intervals: f64| intervals * self.interval_s - LEAVES_S - stayed_s;
        let is_due = (-LEAVES_S..=0.0).contains(&left_s(1.0));
        let (dir, name) = &self.watch_lock;
        !self.wants_to_stay()
            || (is_due && !is_near)
            || left_s(MOST_INTERVALS) <= 0.0
            || SelectionLock::is_held(dir, name)
    }

    /// Takes a sample if one is due, acts on it, and writes what was done. Returns the exit status of
    /// that sample.
    fn sample_if_due(
        &mut self,
        schedule: &mut SampleSchedule,
        waiter: &Waiter,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<u8> {
        let now_s = waiter.uptime_s();
        let near_s = self.acting.engine.policy().near_s();
        if now_s < schedule.due_s() || !schedule.wants_sample(now_s, &mut self.sampler, near_s) {
            return Ok(CheckState::Ok as u8);
        }
        let t = self.began.1 + now_s - self.began.0;
        let (mut next_s, mut state) = (LONGEST_S, CheckState::Ok);
        match self.sampler.sample(t, Some(now_s), &mut self.sample) {
            Ok(()) => {
                self.act();
                let unkept = self.keep_actions();
                self.complain(unkept, err)?;
                self.write_news(out)?;
                state = CheckState::of(&self.acting.engine, !self.sample.procs.is_empty());
                next_s = next_s.min(self.acting.engine.assessment().next_s);
            }
            // The next one may succeed.
            Err(error) => self.complain(Some(error), err)?,
        }
        schedule.sampled(now_s, waiter.uptime_s(), next_s, true);
        Ok(state as u8)
    }

    /// Keeps a sample on which something was done, or that shows what came of it, for later checks.
    fn keep_actions(&mut self) -> Option<Error> {
        self.unkept.extend(self.sample.programs.iter().cloned());
        let actions = self.actions();
        let is_outcome = |event: Event| matches!(event, Event::Outcome(_));
        if actions.is_empty() && !self.events().any(is_outcome) {
            return None;
        }
        let mut kept = self.sample.clone();
        kept.programs = std::mem::take(&mut self.unkept);
        let mut kept = self.programs.without_known(&kept);
        self.programs.learn(&kept);
        kept.span_s = Some(kept.t - self.kept_t);
        self.kept_t = kept.t;
        self.history.add(&kept, &actions, self.options.history_size).err()
    }

    /// Writes a problem, once.
    fn complain(&mut self, problem: Option<Error>, err: &mut impl Write) -> Result<()> {
        let Some(problem) = problem.map(|problem| format!("{problem:#}")) else { return Ok(()) };
        if !self.options.output.quiet && !self.notes.0.contains(&problem) {
            messages::notes(err, std::slice::from_ref(&problem))?;
            self.notes.0.push(problem);
        }
        Ok(())
    }

    /// Writes at once what no later check tells of.
    fn write_news(&self, out: &mut impl Write) -> Result<()> {
        let style = super::terminal::style(&self.options.output, self.options.judge.dry_run);
        let format = self.options.output.format;
        for event in self.events().filter(is_always_news) {
            write_event(out, self.sample.t, &event, self.acting.engine.names(), format, style)?;
            out.flush()?;
        }
        Ok(())
    }

    /// Saves what was learnt, at its end.
    fn leave(&mut self, err: &mut impl Write) -> Result<()> {
        let unsaved = self.profile_saver.save(&self.acting.engine);
        self.complain(unsaved, err)
    }
}
