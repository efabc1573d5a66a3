//! Which pids a sample has to read.

use crate::system::proc::procdir::ProcDir;
use crate::system::proc::watched::KnownProcess;
use rustix::io::Errno;
use std::collections::BTreeMap;

/// All processes are listed at least in every so many samples: unwatched ones may have gone.
const LIST: u32 = 8;

/// The pids of a sample, and what makes a partial list possible.
#[derive(Debug, Default)]
pub(super) struct PidList {
    /// The pids, in ascending order.
    pub(super) pids: Vec<u32>,
    /// The pid given out last, as of the last sample.
    last_pid: Option<u64>,
    /// How far positions in the directory are ahead of the pids that lie at them.
    ahead: Option<u64>,
}

impl PidList {
    /// Lists the pids to look at; true when these are all that exist.
    ///
    /// A list of all costs 0.5 µs a process, half of what reading one does. New processes have pids
    /// above the one that was given out last, until those go round, so the list can begin there.
    /// Known processes are looked at again in their turn, and a watched one that is gone is noticed
    /// by its own files. `own`: whether it is the procfs of our pid namespace.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub(super) fn list(
        &mut self,
        proc: &ProcDir,
        known: &mut BTreeMap<u32, KnownProcess>,
        last_pid: Option<u64>,
        tick: u32,
        own: bool,
    ) -> Result<bool, Errno> {
        let before = std::mem::replace(&mut self.last_pid, last_pid);
        let Self { pids, ahead, .. } = self;
        pids.clear();
        let goes_on = before.zip(last_pid).filter(|(before, last)| before <= last);
        let partly = goes_on.zip(*ahead).filter(|_| own && tick % LIST != 1);
        if let Some(((before, last), ahead)) = partly {
            if before < last {
                proc.pids_after(before, ahead, |pid| pids.push(pid))?;
            }
            for pid in &*pids {
                // The process that had this pid before is gone.
                if let Some(known) = known.get_mut(pid).filter(|known| known.watch.is_none()) {
                    known.looks = 0;
                }
            }
            let due = known.iter().filter(|(pid, known)| known.is_due(**pid, tick));
            pids.extend(due.map(|(pid, _)| *pid));
            return Ok(false);
        }
        *ahead = proc.pids(|pid| pids.push(pid))?.filter(|_| proc.is_procfs());
        // Leakwatch itself exists, so an empty list is a failed read.
        if own && pids.is_empty() {
            return Err(Errno::IO);
        }
        Ok(true)
    }
}
