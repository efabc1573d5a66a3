//! Heaps: censuses of the largest workers during a look, so that a report can say whether what grows is
//! in use or kept by the allocator, and blocks of which size.

use crate::core::census::{Census, CensusFinding, GrowthCause, Looks};
use crate::core::detect::process_state::ProcessState;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::units::MIB;
use crate::system::heap_census::{CensusHelper, CensusTarget, Refusal};
use std::cmp::Reverse;

/// Looks at a process during the live samples.
pub const LOOKS: u32 = 5;
/// Processes that are looked at, of one user while others have some, and of one service.
const MOST: usize = 8;
const MOST_OF_USER: usize = MOST / 2;
const MOST_OF_ONE: usize = 2;
/// Smaller processes endanger nothing.
const SMALL: u64 = 8 * MIB;
/// Free bytes that are worth a word where nothing is accused.
const MUCH: u64 = 32 * MIB;

/// A process that may be looked at.
#[derive(Clone, Copy)]
struct Candidate {
    root: ProcId,
    id: ProcId,
    comm: Comm,
    uid: Option<u32>,
    footprint: u64,
}

/// The largest, but of each service few, and of each user half as long as others have any: whoever starts
/// many large processes hides no leak of another's.
fn chosen(mut all: Vec<Candidate>) -> Vec<Candidate> {
    all.sort_by_key(|candidate| Reverse(candidate.footprint));
    let mut chosen: Vec<Candidate> = Vec::with_capacity(MOST);
    for most_of_user in [MOST_OF_USER, MOST] {
        for of in &all {
            let is_new = chosen.iter().all(|other| other.id != of.id);
            let of_service = chosen.iter().filter(|other| other.root == of.root).count();
            let of_user = chosen.iter().filter(|other| other.uid == of.uid).count();
            let is_fair = of_service < MOST_OF_ONE && of_user < most_of_user;
            if is_new && is_fair && chosen.len() < MOST {
                chosen.push(*of);
            }
        }
    }
    chosen
}

/// What was found in the heap of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapFinding {
    /// The root of its service.
    pub root: ProcId,
    /// The process.
    pub id: ProcId,
    /// Its command name.
    pub comm: Comm,
    /// How often it was looked at.
    pub looks: u32,
    /// What was found.
    pub finding: CensusFinding,
    /// The last census.
    pub last: Census,
}

impl HeapFinding {
    /// Whether it is worth a word about a service; `accused` if that service may leak.
    pub fn matters(&self, accused: bool) -> bool {
        match self.finding.cause {
            GrowthCause::Kept(_) => accused || self.last.idle_in_memory() >= MUCH,
            GrowthCause::Leak => accused,
            GrowthCause::Unknown(_) => accused && self.looks > 1,
        }
    }
}

struct WatchedHeap {
    root: ProcId,
    comm: Comm,
    subject: CensusTarget,
    looks: Looks,
    many: u32,
    is_over: bool,
}

/// The processes that are looked at.
#[derive(Default)]
pub(super) struct Heaps {
    watched: Vec<WatchedHeap>,
    helper: CensusHelper,
    refused: u32,
    /// Those whose memory gave no answer.
    silent: Vec<u32>,
    /// Why there was no helper.
    failed: Option<String>,
}

impl Heaps {
    /// Chooses the largest processes of the largest services, each given with its service's root.
    pub(super) fn choose<'p>(&mut self, all: impl Iterator<Item = (ProcId, &'p ProcessState)>) {
        let own = std::process::id();
        let large = all.filter(|(_, s)| s.footprint >= SMALL && s.id.pid != own);
        let candidate = |(root, s): (ProcId, &ProcessState)| Candidate {
            root,
            id: s.id,
            comm: s.comm,
            uid: s.owner.uid(),
            footprint: s.footprint,
        };
        for Candidate { root, id, comm, .. } in chosen(large.map(candidate).collect()) {
            let subject = CensusTarget::of(id.pid).ok().filter(|subject| subject.id() == id);
            let watched = |subject| WatchedHeap {
                root,
                comm,
                subject,
                looks: Looks::default(),
                many: 0,
                is_over: false,
            };
            self.watched.extend(subject.map(watched));
        }
    }

    /// Looks at each once more, in the order of their sizes.
    pub(super) fn look(&mut self, go_on: &mut dyn FnMut() -> bool) {
        for watched in self.watched.iter_mut().filter(|watched| !watched.is_over) {
            if !go_on() {
                return;
            }
            match self.helper.census(&watched.subject, go_on) {
                Ok(census) => {
                    watched.looks.push(census);
                    watched.many += 1;
                    continue;
                }
                Err(Refusal::Forbidden) => self.refused += 1,
                Err(Refusal::NoAnswer) => self.silent.push(watched.subject.id().pid),
                Err(Refusal::NoHelper(why)) => self.failed = Some(why),
                Err(Refusal::Gone | Refusal::NoMemory | Refusal::Failed(_)) => {}
            }
            watched.is_over = true;
        }
    }

    /// What was found.
    pub(super) fn findings(&self) -> Vec<HeapFinding> {
        let of = |watched: &WatchedHeap| {
            Some(HeapFinding {
                root: watched.root,
                id: watched.subject.id(),
                comm: watched.comm,
                looks: watched.many,
                finding: watched.looks.judge()?,
                last: watched.looks.last()?.clone(),
            })
        };
        self.watched.iter().filter_map(of).collect()
    }

    /// What was not seen, and why.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let unknown = "whether a growth is in use or kept by the allocator, and blocks of which size grow, is not known there";
        let which = match self.refused {
            0 => None,
            1 => Some("the heap of 1 large process".to_owned()),
            many => Some(format!("the heaps of {many} large processes")),
        };
        let refused = which.map(|which| {
            format!("{which} could not be read, which needs root with CAP_SYS_PTRACE: {unknown}")
        });
        let silent = self.silent.iter().map(move |pid| {
            format!(
                "the memory of process {pid} gave no answer, as where a file system or another process \
                 is to deliver a page and does not: {unknown}"
            )
        });
        let failed = self.failed.iter().map(|why| format!("heaps could not be read: {why}"));
        refused.into_iter().chain(silent).chain(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::census::{Cure, Unknown};

    #[test]
    fn one_user_hides_no_other_users_processes_and_gets_what_they_leave() {
        let candidate = |pid: u32, uid: u32, footprint: u64| {
            let id = ProcId { pid, start: 1 };
            Candidate { root: id, id, comm: Comm::new(b"x"), uid: Some(uid), footprint }
        };
        let many = (0..20).map(|pid| candidate(pid, 1000, 1000 - u64::from(pid)));
        let few = (100..102).map(|pid| candidate(pid, 33, 10));
        let pids = |all: Vec<Candidate>| chosen(all).iter().map(|of| of.id.pid).collect::<Vec<_>>();
        assert_eq!(pids(many.clone().chain(few).collect()), [0, 1, 2, 3, 100, 101, 4, 5]);
        assert_eq!(pids(many.collect()), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    fn finding(cause: GrowthCause, looks: u32, free: u64) -> HeapFinding {
        let id = ProcId { pid: 1, start: 1 };
        let finding =
            CensusFinding { cause, footprint: 0, in_use: 0, elsewhere: 0, grown: Vec::new() };
        let last = Census { in_heaps: free, free, ..Census::default() };
        HeapFinding { root: id, id, comm: Comm::new(b"x"), looks, finding, last }
    }

    #[test]
    fn what_is_worth_a_word_depends_on_the_verdict_on_its_service() {
        let kept = || GrowthCause::Kept(Cure::None);
        for (heap, accused, otherwise) in [
            (finding(GrowthCause::Leak, 5, 0), true, false),
            (finding(kept(), 5, 5 * MIB), true, false),
            (finding(kept(), 1, 50 * MIB), true, true),
            (finding(GrowthCause::Unknown(Unknown::Unsteady), 5, 0), true, false),
            (finding(GrowthCause::Unknown(Unknown::OneLook), 1, 0), false, false),
        ] {
            assert_eq!((heap.matters(true), heap.matters(false)), (accused, otherwise), "{heap:?}");
        }
    }

    #[test]
    fn what_was_not_read_is_told() {
        assert_eq!(Heaps::default().notes().count(), 0);
        let failed = Some("none".to_owned());
        let heaps = Heaps { refused: 2, silent: vec![7], failed, ..Heaps::default() };
        let notes: Vec<String> = heaps.notes().collect();
        for (note, start) in notes.iter().zip([
            "the heaps of 2 large processes could not be read",
            "the memory of process 7 gave no answer",
            "heaps could not be read: none",
        ]) {
            assert!(note.starts_with(start), "{note}");
        }
        assert_eq!(notes.len(), 3);
    }
}
