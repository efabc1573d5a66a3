//! Left out: processes that cannot be read without hanging, and what else is not read because of them.

use super::hint;
use crate::core::model::process::ProcId;
use crate::system::aside::Hanging;
use crate::system::proc::parse;
use crate::system::proc::procdir::ProcDir;

/// Processes of one user, other than root, that may hang before all of that user's are left out. Each costs
/// a second without a sample, and a user may start any number of them.
const MOST_OF_A_USER: usize = 2;
/// Reads that may hang at once; each keeps a thread and the files that it had open.
const MOST: usize = 16;

/// What a reader does not read.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    pids: Vec<u32>,
    users: Vec<u32>,
    /// What the pids of the selection meant at first, once it is no more at first.
    pub(super) meant: Option<Vec<ProcId>>,
}

impl LeftOut {
    /// Whether a process is not to be read.
    pub(super) fn has(&self, proc: &ProcDir, pid: u32) -> bool {
        self.pids.contains(&pid)
            || !self.users.is_empty()
                && user_of(proc, pid).is_some_and(|user| self.users.contains(&user))
    }

    /// Whether the pids of the selection may mean that process.
    pub(super) fn may_mean(&self, id: ProcId) -> bool {
        self.meant.as_ref().is_none_or(|meant| meant.contains(&id))
    }
}

/// The reads that hang.
#[derive(Debug, Default)]
pub(super) struct HangingReads(Vec<HangingRead>);

#[derive(Debug)]
struct HangingRead {
    pid: u32,
    user: Option<u32>,
    read: Hanging,
    /// Files that its reader keeps open.
    files: u64,
}

impl HangingReads {
    /// Takes in one more; none where there are too many.
    pub(super) fn add(
        &mut self,
        proc: &ProcDir,
        pid: u32,
        read: Hanging,
        files: u64,
    ) -> Option<String> {
        let user = user_of(proc, pid);
        self.0.push(HangingRead { pid, user, read, files });
        let of_user = self.of(user);
        let note = match user {
            Some(user) if user > 0 && of_user == MOST_OF_A_USER => format!(
                "process {pid} hangs too: no process of user {user} is watched until that ends{}",
                hint(
                    "kill -9 the processes that hang and the server of the file system that they wait for"
                )
            ),
            _ => format!(
                "process {pid} hangs while it starts another program, and whoever reads its files in /proc hangs as well, also ps: it is not watched until that ends{}",
                hint(
                    "it waits for the server of a file that it had open (FUSE, NFS); kill -9 that server"
                )
            ),
        };
        (self.0.len() < MOST).then_some(note)
    }

    /// Forgets those that are over: their pids.
    pub(super) fn forget_over(&mut self) -> Vec<u32> {
        let over = self.0.iter().filter(|hanging| hanging.read.is_over());
        let over = over.map(|hanging| hanging.pid).collect();
        self.0.retain(|hanging| !hanging.read.is_over());
        over
    }

    /// What a reader must not read.
    pub(super) fn left_out(&self, meant: Option<Vec<ProcId>>) -> LeftOut {
        let users = self.0.iter().filter_map(|hanging| hanging.user.filter(|user| *user > 0));
        LeftOut {
            pids: self.0.iter().map(|hanging| hanging.pid).collect(),
            users: users.filter(|user| self.of(Some(*user)) >= MOST_OF_A_USER).collect(),
            meant,
        }
    }

    /// Files that their readers keep open.
    pub(super) fn files(&self) -> u64 {
        self.0.iter().map(|hanging| hanging.files).sum()
    }

    fn of(&self, user: Option<u32>) -> usize {
        self.0.iter().filter(|hanging| hanging.user == user).count()
    }
}

/// Who started a process, also one that now has the rights of another. To read this never hangs.
fn user_of(proc: &ProcDir, pid: u32) -> Option<u32> {
    Some(parse::uids(proc.read(pid, "status", &mut [0; 4096]).ok()?)?.real)
}
