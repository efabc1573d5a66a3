//! Lists all processes: which there are, what they run, where they were born, and which have ended
//! without being waited for.

use crate::core::model::masked::masked;
use crate::core::model::process::{Comm, ProcId};
use crate::core::origin::{born_in, folded};
use crate::core::piles::{Listing, PileKind, Seen};
use crate::system::origin::cgroup_path;
use crate::system::proc::parse::{self, Stat};
use crate::system::proc::procdir::ProcDir;
use anyhow::Result;
use std::collections::HashMap;
use std::path::Path;

/// The longest path and command line that tell programs apart, in bytes.
const TEXT_MAX: usize = 160;
/// Open files listed of a process where their number must be counted.
const FILES_MAX: usize = 1 << 16;

/// Reads listings from a procfs.
#[derive(Debug)]
pub struct ListingReader {
    proc: ProcDir,
    /// The command name under which each process's program was told.
    told: HashMap<ProcId, Comm>,
    pids: Vec<u32>,
    clock_ticks: f64,
    page_size: u64,
}

impl ListingReader {
    /// Of the procfs at that place.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new(procfs: &Path) -> Result<Self> {
        Ok(Self {
            proc: ProcDir::open(procfs)?,
            told: HashMap::new(),
            pids: Vec::new(),
            clock_ticks: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
        })
    }

    /// Takes one at Unix time `t`. What cannot be read is left out.
    pub fn read(&mut self, t: f64) -> Listing {
        let mut listing = Listing { t, ..Listing::default() };
        self.pids.clear();
        let pids = &mut self.pids;
        if self.proc.pids(|pid| pids.push(pid)).is_err() {
            return listing;
        }
        for index in 0..self.pids.len() {
            let Some(pid) = self.pids.get(index).copied() else { break };
            let Some(seen) = self.seen(pid) else { continue };
            // The name changes at exec.
            if !seen.is_zombie && self.told.get(&seen.id) != Some(&seen.comm) {
                self.told.insert(seen.id, seen.comm);
                listing.kinds.push((seen.id, self.kind(&seen)));
            }
            listing.procs.push(seen);
        }
        if self.told.len() > 2 * listing.procs.len() {
            let there: std::collections::HashSet<ProcId> =
                listing.procs.iter().map(|seen| seen.id).collect();
            self.told.retain(|id, _| there.contains(id));
        }
        listing
    }

    fn seen(&self, pid: u32) -> Option<Seen> {
        let mut buffer = [0; 1024];
        let stat = Stat::parse(self.proc.read(pid, "stat", &mut buffer).ok()?)?;
        if stat.is_kernel_thread() {
            return None;
        }
        let is_zombie = !stat.is_alive();
        let (comm, id) = (Comm::new(stat.comm), ProcId { pid, start: stat.start });
        let (ppid, cpu_s) = (stat.ppid, stat.cpu_ticks as f64 / self.clock_ticks);
        let mut buffer = [0; 256];
        let statm = (!is_zombie).then(|| self.proc.read(pid, "statm", &mut buffer).ok()).flatten();
        let pages = statm.and_then(parse::statm);
        let pages = pages.map_or(0, |pages| pages.resident.saturating_sub(pages.shared));
        let footprint = pages.saturating_mul(self.page_size);
        let files = if is_zombie { 0 } else { self.files(pid) };
        Some(Seen { id, ppid, comm, is_zombie, footprint, cpu_s, files })
    }

    /// The open files of a process. Since Linux 6.2 the directory's size is their number: one stat(2) a
    /// process; before, they are listed, which takes its owner's rights.
    fn files(&self, pid: u32) -> u32 {
        let dir = self.proc.path().join(format!("{pid}/fd"));
        let size = std::fs::metadata(&dir).map_or(0, |found| found.len());
        let listed =
            || std::fs::read_dir(&dir).map_or(0, |files| files.take(FILES_MAX).count() as u64);
        let files = if size > 0 && self.proc.is_procfs() { size } else { listed() };
        u32::try_from(files).unwrap_or(u32::MAX)
    }

    /// What a process runs, and where it was born.
    fn kind(&self, seen: &Seen) -> PileKind {
        let pid = seen.id.pid;
        let dir = self.proc.path().join(pid.to_string());
        let exe = std::fs::read_link(dir.join("exe")).ok();
        let exe =
            exe.map_or_else(|| seen.comm.to_string(), |exe| exe.to_string_lossy().into_owned());
        let mut buffer = [0; 4096];
        let title = self.proc.read(pid, "cmdline", &mut buffer).unwrap_or_default();
        let title: Vec<u8> = title.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        let title = String::from_utf8_lossy(title.trim_ascii_end()).into_owned();
        let mut buffer = [0; 2048];
        let status = self.proc.read(pid, "status", &mut buffer).unwrap_or_default();
        let mut buffer = [0; 4096];
        let cgroup = self.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default();
        PileKind {
            exe: cut(exe.trim_end_matches(" (deleted)")),
            title: cut(&folded(&masked(&title))),
            uid: parse::uids(status).map_or(0, |uids| uids.real),
            origin: cut(&folded(&born_in(cgroup_path(&String::from_utf8_lossy(cgroup))))),
        }
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_this_process_and_its_zombie() {
        let mut reader = ListingReader::new(Path::new("/proc")).unwrap();
        // Ended at once, and not waited for until the end of the test.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let own = std::process::id();
        let found = loop {
            let listing = reader.read(1.0);
            let zombie = |seen: &&Seen| seen.id.pid == child.id() && seen.is_zombie;
            if let Some(zombie) = listing.procs.iter().find(zombie) {
                break *zombie;
            }
            std::thread::yield_now();
        };
        assert_eq!((found.ppid, found.footprint), (own, 0));
        child.wait().unwrap();
        let mut reader = ListingReader::new(Path::new("/proc")).unwrap();
        let listing = reader.read(2.0);
        let of_own = listing.kinds.iter().find(|(id, _)| id.pid == own);
        let kind = &of_own.unwrap().1;
        assert!(kind.exe.contains("leakwatch"), "{kind:?}");
        let itself = listing.procs.iter().find(|seen| seen.id.pid == own).unwrap();
        assert!(itself.footprint > 100_000 && itself.files > 2, "{itself:?}");
        assert!(reader.read(3.0).kinds.iter().all(|(id, _)| id.pid != own), "told once");
    }
}
