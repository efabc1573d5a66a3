//! Leftover: reads what proves that a process left behind is of no use to anybody.
//!
//! Only under `--reap`, of a few processes, and rarely. What cannot be read is absent, and so not proven.

mod ends;
mod ties;
mod timeless;

use crate::core::model::process::{Comm, ProcId};
use crate::core::piles::useless::{RunMark, Standing, Ties};
use crate::system::origin::{OriginNames, Origins, cgroup_path};
use crate::system::proc::Selection;
use crate::system::proc::parse::{self, Stat};
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::select::ProcessToMatch;
use anyhow::Result;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::Path;

/// Names that process 1 has where it starts others and adopts orphans, and nothing else.
const INITS: [&[u8]; 10] = [
    b"systemd",
    b"init",
    b"tini",
    b"dumb-init",
    b"docker-init",
    b"catatonit",
    b"s6-svscan",
    b"runit",
    b"openrc-init",
    b"procd",
];
/// A user's service manager, which adopts too.
const MANAGER: &[u8] = b"systemd";
/// SIGHUP in the masks of /proc/PID/status.
const HANGUP: u64 = 1;
/// Bytes of a command line; what has more is not proven.
const MOST_TITLE: usize = 4096;
/// Threads looked at; what has more is not proven.
const MOST_THREADS: usize = 256;

/// Reads processes of our own procfs.
#[derive(Debug)]
pub struct LeftoverReader {
    proc: ProcDir,
    selection: Selection,
    origins: Origins,
    clock_ticks: f64,
    page_size: u64,
    /// Descriptors that turned out to be no pipe or socket: to close one could wait for its server.
    unwanted: u32,
}

impl LeftoverReader {
    /// For the processes of that selection.
    ///
    /// # Errors
    /// When /proc cannot be opened.
    pub fn new(selection: Selection) -> Result<Self> {
        let procfs = Path::new("/proc");
        Ok(Self {
            proc: ProcDir::open(procfs)?,
            selection,
            origins: Origins::new(procfs),
            clock_ticks: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
            unwanted: 0,
        })
    }

    /// Whether a process adopts orphans: an init, or a user's service manager.
    pub fn is_init(&self, pid: u32) -> bool {
        let mut buffer = [0; 1024];
        let Some(stat) = self.proc.read(pid, "stat", &mut buffer).ok().and_then(Stat::parse) else {
            return false;
        };
        let mut buffer = [0; 4096];
        let status = self.proc.read(pid, "status", &mut buffer).unwrap_or_default();
        let pids = parse::lines(status).find_map(|line| line.strip_prefix(b"NSpid:"));
        let own = pids.and_then(|pids| pids.split(u8::is_ascii_whitespace).next_back());
        INITS.contains(&stat.comm) && own == Some(b"1")
            || stat.comm == MANAGER && self.exe(pid) == "systemd"
    }

    /// How a process stands; none once it has ended, and where that cannot be read.
    pub fn standing(&mut self, id: ProcId, uptime_s: f64) -> Option<Standing> {
        let pid = id.pid;
        let mut buffer = [0; 4096];
        let status = self.proc.read(pid, "status", &mut buffer).unwrap_or_default();
        let ignores_hangup = mask(status, b"SigIgn:").is_none_or(|mask| mask & HANGUP != 0);
        let user = parse::uids(status).map(|uids| uids.effective);
        let mut buffer = [0; 4096];
        let cgroup = self.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default();
        let cgroup = match cgroup {
            b"" => String::new(),
            text => cgroup_path(&String::from_utf8_lossy(text)).to_owned(),
        };
        let mut buffer = [0; MOST_TITLE];
        let title = self.proc.read(pid, "cmdline", &mut buffer).unwrap_or_default();
        // What is protected by its end must not be ended for a long beginning.
        let is_cut = title.len() == MOST_TITLE;
        let title: Vec<u8> = title.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        let exe = self.exe(pid);
        let mut buffer = [0; 256];
        let pages = self.proc.read(pid, "statm", &mut buffer).ok().and_then(parse::statm);
        let pages = pages.map_or(0, |pages| pages.resident.saturating_sub(pages.shared));
        let tasks = self.tasks(pid);
        // Read last: what all of the above is of is the process that has the pid by then.
        let mut buffer = [0; 1024];
        let text = self.proc.read(pid, "stat", &mut buffer).ok()?;
        let stat = Stat::parse(text).filter(|stat| stat.start == id.start && stat.is_alive())?;
        let (session, terminal) = session_and_terminal(text).unwrap_or((0, 1));
        let is_meant = !stat.is_kernel_thread()
            && !is_cut
            && self.selection.matches(&ProcessToMatch {
                // A pid means a process only at the start.
                pid: None,
                comm: stat.comm.get(..Comm::MAX).unwrap_or(stat.comm),
                cmdline: &|| title.trim_ascii_end().to_vec(),
                exe: &|| exe.clone().into_bytes(),
                euid: &|| user,
                origin: match self.selection.is_by_origin() {
                    true => self.origins.names_of(&cgroup),
                    false => OriginNames::default(),
                },
            });
        Some(Standing {
            id,
            comm: Comm::new(stat.comm),
            exe,
            title: String::from_utf8_lossy(title.trim_ascii_end()).into_owned(),
            is_meant,
            ppid: stat.ppid,
            parent_is_init: self.is_init(stat.ppid),
            session,
            leader_is_there: is_there(session),
            has_terminal: terminal != 0,
            is_held: stat.state != b'S',
            ignores_hangup,
            has_children: tasks.is_none_or(|tasks| tasks.have_children),
            cgroup,
            age_s: uptime_s - stat.start as f64 / self.clock_ticks,
            footprint: pages.saturating_mul(self.page_size),
            run: RunMark {
                cpu_ticks: stat.cpu_ticks,
                switches: tasks.map_or(0, |tasks| tasks.switches),
                threads: stat.threads,
            },
        })
    }

    /// What a process is tied to others by; none where any of it cannot be read.
    pub fn ties(&mut self, standing: &Standing) -> Option<Ties> {
        ties::read(standing.id.pid, standing.ppid, &mut self.unwanted)
    }

    /// The last part of the executable's path; empty where it may not be read.
    fn exe(&self, pid: u32) -> String {
        let link = std::fs::read_link(self.proc.path().join(format!("{pid}/exe")));
        let path = link.unwrap_or_default().to_string_lossy().into_owned();
        let name = path.trim_end_matches(" (deleted)").rsplit('/').next();
        name.unwrap_or_default().to_owned()
    }

    fn tasks(&self, pid: u32) -> Option<Tasks> {
        let mut all = Tasks { switches: 0, have_children: false };
        for (nth, entry) in self.task_dirs(pid)?.enumerate() {
            let dir = entry.ok().filter(|_| nth < MOST_THREADS)?.path();
            let status = std::fs::read(dir.join("status")).ok()?;
            let voluntary = parse::named_line(&status, b"voluntary_ctxt_switches")?;
            let forced = parse::named_line(&status, b"nonvoluntary_ctxt_switches")?;
            all.switches = all.switches.saturating_add(voluntary).saturating_add(forced);
            all.have_children |= !std::fs::read(dir.join("children")).ok()?.is_empty();
        }
        Some(all)
    }

    fn task_dirs(&self, pid: u32) -> Option<std::fs::ReadDir> {
        std::fs::read_dir(self.proc.path().join(format!("{pid}/task"))).ok()
    }
}

/// Whether there is a process of that number, also one that /proc hides (hidepid=2). Of a session that has
/// lost its leader, the number itself is still known, which is no process (EINVAL).
fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let gone = [Errno::SRCH, Errno::INVAL, Errno::NOENT];
    pid.is_none_or(|pid| !pidfd_open(pid, PidfdFlags::empty()).is_err_and(|e| gone.contains(&e)))
}

/// What the threads of a process did.
#[derive(Clone, Copy)]
struct Tasks {
    switches: u64,
    have_children: bool,
}

/// A mask of signals in /proc/PID/status, of the name with its colon.
fn mask(status: &[u8], name: &[u8]) -> Option<u64> {
    let text = parse::lines(status).find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(std::str::from_utf8(text).ok()?.trim(), 16).ok()
}

/// Fields 6 and 7 of /proc/PID/stat.
fn session_and_terminal(stat: &[u8]) -> Option<(u32, u64)> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat.get(close..)?.split(u8::is_ascii_whitespace);
    let session = u32::try_from(parse::number(fields.nth(4)?)?).ok()?;
    Some((session, parse::number(fields.next()?)?))
}
