//! Limits of a process that its children inherit (setrlimit(2)), as /proc/PID/limits shows them.
//!
//! Another such limit is a field here, read in [`Ulimits::parse`] and turned into a ceiling in
//! [`Ulimits::ceilings`], and a row in `core::model::ceiling::kinds`.

use super::SamplerView;
use super::cgroup::CgroupLimit;
use super::users;
use super::users::Owner;
use crate::core::model::ceiling::{CeilingKind, Place};
use crate::system::proc::parse::{lines, number};

/// The limits of a tree's forker that can fail a fork; none where a limit does not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::system) struct Ulimits {
    /// RLIMIT_NPROC: tasks of its user.
    pub(in crate::system) max_tasks: Option<u64>,
}

impl Ulimits {
    /// From the text of /proc/PID/limits and the owner of that process.
    pub(in crate::system) fn parse(limits: &[u8], owner: Option<Owner>) -> Self {
        let exempt = owner.is_none_or(|owner| owner.exempt);
        Self { max_tasks: soft_limit(limits, b"Max processes").filter(|_| !exempt) }
    }

    /// The limits of a tree's forker as ceilings.
    pub(in crate::system) fn ceilings(
        self,
        owner: Option<Owner>,
        user: Place,
        view: &SamplerView<'_>,
    ) -> impl Iterator<Item = CgroupLimit> + use<> {
        let tasks = self.max_tasks.zip(owner).map(|(limit, owner)| CgroupLimit {
            kind: CeilingKind::UserTasks,
            place: user,
            used: users::tasks(view.known, owner.uid),
            limit,
        });
        tasks.into_iter()
    }
}

/// The soft limit of that name; none if it is "unlimited".
fn soft_limit(limits: &[u8], name: &[u8]) -> Option<u64> {
    let line = lines(limits).find_map(|line| line.strip_prefix(name))?;
    number(line.split(u8::is_ascii_whitespace).find(|field| !field.is_empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_counts() {
        let text = b"Limit            Soft Limit  Hard Limit  Units\nMax processes    12  100  processes\n";
        assert_eq!(soft_limit(text, b"Max processes"), Some(12));
        let unlimited = b"Max processes   unlimited  unlimited  processes\n";
        assert_eq!(soft_limit(unlimited, b"Max processes"), None);
    }
}
