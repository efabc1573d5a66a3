//! Edits: where the settings that change stand, and the change as a diff.

use super::compute::Proposal;
use super::{AdvisedService, Change, InFile, RemedyReason};
use crate::core::servers::ConfigSyntax;
use crate::diagnose::advice;
use crate::diagnose::advice::diff::{Edit, indent, unified, with_value};
use crate::diagnose::findings::ConfiguredSetting;

/// A setting and the value that it gets.
pub(super) struct Planned<'a> {
    pub(super) setting: &'a ConfiguredSetting,
    pub(super) was: u64,
    pub(super) now: u64,
}

impl Planned<'_> {
    /// Whether it stands on the command line, and so can only be changed there.
    pub(super) fn is_typed(&self) -> bool {
        self.setting.place.as_ref().is_some_and(|place| place.line == 0)
    }
}

impl AdvisedService<'_> {
    /// The settings that change. Where all is bounded, the recycle setting as it is.
    pub(super) fn plan(&self, proposal: &Proposal) -> Vec<Planned<'_>> {
        let (recycle, cap) = (&self.setup.recycle, &self.setup.cap);
        let keep = |setting| Planned { setting, was: setting.value, now: setting.value };
        if proposal.reason == RemedyReason::Bounded {
            return vec![keep(recycle)];
        }
        let mut planned = Vec::new();
        // A value that already ends workers earlier stays.
        let is_earlier = recycle.value == 0 || proposal.recycle < self.lives_now();
        if is_earlier && proposal.recycle > 0 {
            let jitter = self.setup.jitter.as_ref();
            let drawn = jitter.map_or(0, |_| advice::jitter(proposal.recycle));
            planned.push(Planned { now: proposal.recycle - drawn, ..keep(recycle) });
            planned.extend(jitter.map(|jitter| Planned { now: drawn, ..keep(jitter) }));
            planned.retain(|planned| planned.now != planned.was);
        }
        if proposal.cap < proposal.cap_now {
            planned.push(Planned { setting: cap, was: proposal.cap_now, now: proposal.cap });
        }
        planned
    }

    /// The changes with their places, and one diff of them all.
    pub(super) fn edit(&self, planned: &[Planned<'_>]) -> (Vec<Change>, String) {
        let mut edits: Vec<(String, Edit)> = Vec::new();
        let mut changes = Vec::new();
        for Planned { setting, was, now } in planned {
            let (file, edit) = self.place(setting, *now);
            edits.extend(edit);
            let computed = setting.computed.clone();
            changes.push(Change { name: setting.name(), was: *was, now: *now, file, computed });
        }
        let mut diff = String::new();
        for (file, text) in &self.setup.files {
            let of_file = edits.iter().filter(|(of, _)| of == file).map(|(_, edit)| edit.clone());
            diff += &unified(file, text, &of_file.collect::<Vec<_>>());
        }
        (changes, diff)
    }

    /// Where a setting is changed, and how.
    fn place(
        &self,
        setting: &ConfiguredSetting,
        now: u64,
    ) -> (Option<InFile>, Option<(String, Edit)>) {
        if let Some(place) = setting.in_file() {
            let edit = self.line(&place.file, place.line).map(|line| {
                let text = self.rewritten(line, setting, now);
                (
                    place.file.clone(),
                    Edit { line: place.line, text, insert: false, beside_setting: true },
                )
            });
            return (Some((place.file.clone(), Some(place.line))), edit);
        }
        // A setting of the command line is changed there, and one that stays needs no line.
        let is_new = setting.place.is_none() && setting.value != now;
        let Some(place) = self.setup.insert.as_ref().filter(|_| is_new) else {
            return (None, None);
        };
        let edit = self.text(&place.file).map(|text| {
            let line = place.line.min(text.lines().count());
            let beside = self.line(&place.file, line).unwrap_or_default();
            let text = format!("{}{}", self.indentation(beside), setting.of.with(now));
            let beside_setting = self.is_setting(beside);
            (place.file.clone(), Edit { line, text, insert: true, beside_setting })
        });
        (Some((place.file.clone(), None)), edit)
    }

    /// The line with the new value. Where it has no number, but a variable or what computes it, the
    /// number takes its place; an option that is not there yet is added.
    fn rewritten(&self, line: &str, setting: &ConfiguredSetting, now: u64) -> String {
        if setting.of.is_option() {
            let with = setting.of.with(now);
            let is_it = |word: &&str| {
                word.strip_prefix(setting.name()).is_some_and(|rest| rest.starts_with('='))
            };
            return match line.split_whitespace().find(is_it) {
                Some(word) => line.replacen(word, &with, 1),
                None => format!("{} {with}", line.trim_end()),
            };
        }
        let changed = with_value(line, setting.value, now);
        if changed == line && setting.value != now {
            return format!("{}{}", indent(line), setting.of.with(now));
        }
        changed
    }

    /// The indentation of a new line after `beside`: the same, unless that begins a section, or is
    /// Python of another statement, such as the last line of a function.
    fn indentation<'l>(&self, beside: &'l str) -> &'l str {
        let begins_section = beside.trim_start().starts_with(['[', '<']);
        let is_other_code = self.advice.syntax == ConfigSyntax::Python && !self.is_setting(beside);
        if begins_section || is_other_code { "" } else { indent(beside) }
    }

    /// Whether a line is one of the settings that may change.
    fn is_setting(&self, line: &str) -> bool {
        let begins = |name: &str| line.trim_start().starts_with(name);
        begins(self.setup.recycle.name()) || begins(self.setup.cap.name())
    }

    fn text(&self, file: &str) -> Option<&str> {
        self.setup.files.iter().find(|(name, _)| name == file).map(|(_, text)| text.as_str())
    }

    fn line(&self, file: &str, number: usize) -> Option<&str> {
        self.text(file)?.lines().nth(number.checked_sub(1)?)
    }
}
