//! Left out: processes that cannot be read without hanging, and what else is not read because of them.

use super::hint;
use crate::core::model::process::{Proc, ProcId};
use crate::system::aside::Hanging;
use crate::system::proc::parse;
use crate::system::proc::procdir::ProcDir;
use std::time::{Duration, Instant};

/// Processes of one user, other than root, that may hang before all of that user's are left out. Each costs
/// a second without a sample, and a user may start any number of them, one after the other.
const MOST_OF_A_USER: usize = 2;
/// For how long one that hung counts after it can be read again.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Reads that hang at once before nothing new is read any more, and before there are no more samples: each
/// keeps a thread and the files that it had open, and there are users with many numbers (subuid).
const MANY: usize = 8;
const MOST: usize = 16;

/// What a reader does not read.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    pids: Vec<u32>,
    users: Vec<u32>,
    /// The processes of the last sample, in ascending order, where no others are to be read.
    only: Option<Vec<u32>>,
    /// What the pids of the selection meant at first, once it is no more at first.
    meant: Option<Vec<ProcId>>,
}

impl LeftOut {
    /// Whether a process is not to be read.
    pub(super) fn has(&self, proc: &ProcDir, pid: u32) -> bool {
        self.pids.contains(&pid)
            || self.only.as_ref().is_some_and(|only| only.binary_search(&pid).is_err())
            || !self.users.is_empty()
                && user_of(proc, pid).is_some_and(|user| self.users.contains(&user))
    }

    /// Whether the pids of the selection may mean that process.
    pub(super) fn may_mean(&self, id: ProcId, at_first: bool) -> bool {
        self.meant.as_ref().map_or(at_first, |meant| meant.contains(&id))
    }

    /// Whether that is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.users.is_empty() && self.only.is_none()
    }
}

/// The reads that hang, or did until lately.
#[derive(Debug, Default)]
pub(super) struct HangingReads(Vec<HangingRead>);

#[derive(Debug)]
struct HangingRead {
    pid: u32,
    user: Option<u32>,
    read: Hanging,
    /// When it was seen to be over.
    over: Option<Instant>,
    /// Files that its reader keeps open.
    files: u64,
}

impl HangingReads {
    /// Takes in one more, and what is to be said of it; none where there are too many.
    pub(super) fn add(
        &mut self,
        proc: &ProcDir,
        pid: u32,
        read: Hanging,
        files: u64,
    ) -> Option<String> {
        let user = user_of(proc, pid);
        self.0.push(HangingRead { pid, user, read, over: None, files });
        let note = match user {
            Some(user) if user > 0 && self.of(Some(user)) == MOST_OF_A_USER => format!(
                "process {pid} cannot be read either: of user {user} no process is read until ten minutes after that ends{}",
                hint("kill -9 the server of the file system that they wait for")
            ),
            _ => format!(
                "process {pid} cannot be read: whoever reads its files in /proc hangs, also ps; until that ends it counts as it was last seen{}",
                hint(
                    "most likely it starts another program, and a file that it had open waits for its server (FUSE, NFS): kill -9 that server"
                )
            ),
        };
        (self.hanging().count() < MOST).then_some(note)
    }

    /// The pids of those that are over now; true as well where what they stood for is forgotten.
    pub(super) fn look(&mut self) -> (Vec<u32>, bool) {
        let mut over = Vec::new();
        for hanging in self.0.iter_mut().filter(|hanging| hanging.over.is_none()) {
            if hanging.read.is_over() {
                hanging.over = Some(Instant::now());
                over.push(hanging.pid);
            }
        }
        let before = self.0.len();
        self.0.retain(|hanging| hanging.over.is_none_or(|over| over.elapsed() < REMEMBERED));
        let is_forgotten = self.0.len() < before;
        (over, is_forgotten)
    }

    /// What a reader must not read, where these were in the last sample.
    pub(super) fn left_out(&self, last: &[Proc], meant: Option<Vec<ProcId>>) -> LeftOut {
        let users = self.0.iter().filter_map(|hanging| hanging.user.filter(|user| *user > 0));
        let is_crowded = self.hanging().count() >= MANY;
        LeftOut {
            pids: self.hanging().map(|hanging| hanging.pid).collect(),
            users: users.filter(|user| self.of(Some(*user)) >= MOST_OF_A_USER).collect(),
            only: is_crowded.then(|| last.iter().map(|proc| proc.id.pid).collect()),
            meant,
        }
    }

    /// Files that their readers keep open.
    pub(super) fn files(&self) -> u64 {
        self.hanging().map(|hanging| hanging.files).sum()
    }

    fn hanging(&self) -> impl Iterator<Item = &HangingRead> {
        self.0.iter().filter(|hanging| hanging.over.is_none())
    }

    fn of(&self, user: Option<u32>) -> usize {
        self.0.iter().filter(|hanging| hanging.user == user).count()
    }
}

/// Who started a process, also one that now has the rights of another. Measured, to read this does not hang.
fn user_of(proc: &ProcDir, pid: u32) -> Option<u32> {
    Some(parse::uids(proc.read(pid, "status", &mut [0; 4096]).ok()?)?.real)
}
