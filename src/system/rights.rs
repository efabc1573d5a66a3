//! Rights: whose rights a process has, and how to have no others from now on.

use crate::system::seccomp;
use anyhow::{Context, Result, ensure};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// The user and the group of nobody, as the kernel has them for what it cannot tell (overflowuid).
const NOBODY: u32 = 65534;
/// The capabilities for files of others.
const FILES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// User, group and further groups of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The further groups.
    pub groups: Vec<u32>,
}

impl Rights {
    /// Those of a process; none where they are mixed, as those of a set-user-ID program are: what it
    /// says may then be another's word.
    pub fn of(procfs: &Path, pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(procfs.join(format!("{pid}/status"))).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let numbers = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let words = line.split_ascii_whitespace().map(|word| word.parse::<u32>().ok());
            words.collect::<Option<Vec<u32>>>()
        };
        // Real, effective, saved, and that of the file system.
        let same = |ids: Vec<u32>| match ids.as_slice() {
            [first, rest @ ..] if rest.iter().all(|id| id == first) => Some(*first),
            _ => None,
        };
        let (uid, gid) = (same(numbers("Uid:")?)?, same(numbers("Gid:")?)?);
        Some(Self { uid, gid, groups: numbers("Groups:").unwrap_or_default() })
    }

    /// Gives up all others for good, and ends with its parent.
    ///
    /// # Errors
    /// The kernel refuses, or says that some are left.
    pub fn keep_only(&self) -> Result<()> {
        self.give_up_others()?;
        end_with_parent()
    }

    fn give_up_others(&self) -> Result<()> {
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        setgroups(&groups).context("cannot give up groups")?;
        setresgid(gid, gid, gid).context("cannot give up its group")?;
        setresuid(uid, uid, uid).context("cannot give up its user")?;
        let (users, all) = (getresuid()?, getresgid()?);
        let is_user = [users.real, users.effective, users.saved] == [uid; 3];
        let is_group = [all.real, all.effective, all.saved] == [gid; 3];
        ensure!(is_user && is_group, "some rights are left");
        // Root reads what its servers read, also where they have given files away.
        let kept = match self.uid {
            0 => {
                CapabilitySet::DAC_OVERRIDE
                    | CapabilitySet::DAC_READ_SEARCH
                    | CapabilitySet::SYS_PTRACE
            }
            _ => CapabilitySet::empty(),
        };
        let now = rustix::thread::capabilities(None).context("cannot tell its capabilities")?;
        let left = CapabilitySets {
            effective: kept & now.permitted,
            permitted: kept & now.permitted,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, left).context("cannot give up capabilities")?;
        set_no_new_privs(true).context("cannot refuse new rights")
    }
}

/// What holds a helper that reads what others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fences {
    /// It has nobody's rights.
    pub is_nobody: bool,
    /// It opens no file (Landlock).
    pub landlock: bool,
    /// It makes no system call but a few (seccomp).
    pub seccomp: bool,
}

impl Fences {
    /// What is missing, in words; none where nothing is.
    pub fn missing(self) -> Option<String> {
        let all = [
            (self.is_nobody, "a user of its own"),
            (self.landlock, "Landlock (Linux 5.13)"),
            (self.seccomp, "seccomp"),
        ];
        let missing: Vec<&str> =
            all.iter().filter(|(has, _)| !has).map(|(_, what)| *what).collect();
        (!missing.is_empty()).then(|| missing.join(" and without "))
    }
}

/// Gives up everything but the files that are open already: user and groups where this is root, all
/// capabilities, opening, running, connecting.
///
/// # Errors
/// Capabilities are left.
pub fn keep_open_files_only() -> Result<Fences> {
    let nobody = Rights { uid: NOBODY, gid: NOBODY, groups: Vec::new() };
    // A container may have no such user.
    let is_nobody = !rustix::process::geteuid().is_root() || nobody.keep_only().is_ok();
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).context("cannot give up capabilities")?;
    set_no_new_privs(true).context("cannot refuse new rights")?;
    end_with_parent()?;
    let rules = || {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V5))?
            .scope(Scope::from_all(ABI::V6))?;
        rules.create()?.restrict_self()
    };
    let landlock = rules().is_ok_and(|done| done.ruleset != RulesetStatus::NotEnforced);
    Ok(Fences { is_nobody, landlock, seccomp: seccomp::only_reads_what_is_open() })
}

/// Gives up all that reading another process's memory does not take: of the capabilities those are left
/// that it may take, no file is written, no program run, no process signalled, no socket opened.
///
/// # Errors
/// The kernel refuses.
pub fn keep_reading_memory() -> Result<()> {
    let now = rustix::thread::capabilities(None).context("cannot tell its capabilities")?;
    // Without CAP_SYS_PTRACE a process may be read that has no capability more than its reader.
    let kept = match now.permitted.contains(CapabilitySet::SYS_PTRACE) {
        true => {
            CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH
        }
        false => CapabilitySet::all(),
    };
    let left = CapabilitySets {
        effective: kept & now.effective,
        permitted: kept & now.permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, left).context("cannot give up capabilities")?;
    set_no_new_privs(true).context("cannot refuse new rights")?;
    // Landlock would forbid to read processes outside of it.
    seccomp::only_reads_memory();
    Ok(())
}

/// Gives up all that a command does not need that reads what is open, prints, and writes into that directory
/// at most: it opens no other file (Landlock), has no capabilities and is nobody, if it writes none, runs no
/// program, reaches no process and opens no socket (seccomp). What the kernel does not have is done without.
pub fn keep_open_files_and(directory: Option<BorrowedFd<'_>>) {
    match directory {
        None => {
            if rustix::process::geteuid().is_root() {
                // A container may have no such user.
                let _ = Rights { uid: NOBODY, gid: NOBODY, groups: Vec::new() }.give_up_others();
            }
            keep_capabilities(CapabilitySet::empty());
        }
        // Root's own directory may be closed to root: /root has mode 0550 on some systems.
        Some(_) => keep_capabilities(FILES),
    }
    let _ = set_no_new_privs(true);
    let writing =
        AccessFs::ReadDir | AccessFs::MakeReg | AccessFs::WriteFile | AccessFs::RemoveFile;
    let rules = || -> Result<(), RulesetError> {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V5))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?;
        let beneath = directory.map(|directory| PathBeneath::new(directory, writing));
        rules.add_rules(beneath.into_iter().map(Ok::<_, RulesetError>))?.restrict_self()?;
        Ok(())
    };
    let _ = rules();
    seccomp::forbid_reaching();
}

/// Gives up all that a command does not need that reads and writes files and nothing else: of the
/// capabilities only those for files are left, and no program is run, no process reached, no socket
/// opened. The files may come from anywhere. What the kernel does not have is done without.
pub fn keep_files_only() {
    keep_capabilities(FILES);
    let _ = set_no_new_privs(true);
    seccomp::forbid_reaching();
}

/// Gives up all that a helper does not need that reads other processes and keeps what it read: of the
/// capabilities those for that are left, and no program is run, no signal sent, no socket opened. It has
/// no Landlock, behind which the kernel lets nobody look at another process. What the kernel does not have
/// is done without.
pub fn keep_reading_processes() {
    let needed = CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::IPC_LOCK;
    keep_capabilities(needed);
    let _ = set_no_new_privs(true);
    seccomp::forbid_reaching();
}

fn keep_capabilities(wanted: CapabilitySet) {
    if let Ok(now) = rustix::thread::capabilities(None) {
        let left = CapabilitySets {
            effective: wanted & now.effective,
            permitted: wanted & now.permitted,
            inheritable: CapabilitySet::empty(),
        };
        let _ = set_capabilities(None, left);
    }
}

/// Ends this process with its parent. A change of user undoes that.
fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot end with its parent")
}

/// Limits what this process may use: so many bytes of address space and seconds of a processor, no
/// file written, no core. It ends with its parent.
///
/// # Errors
/// The kernel refuses.
pub fn limit(memory: u64, cpu_s: u64) -> Result<()> {
    for (resource, most) in
        [(Resource::As, memory), (Resource::Cpu, cpu_s), (Resource::Fsize, 0), (Resource::Core, 0)]
    {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .context("cannot limit itself")?;
    }
    end_with_parent()
}

/// Forbids this thread, as far as the kernel has Landlock (Linux 5.13), to change or run any file, to bind or
/// connect to any TCP port but that one (6.7), and to reach sockets without a file and other processes'
/// signals (6.12); by seccomp also all calls that reading never takes. These are fences behind the rights
/// that were given up, so a kernel without them is none to stop at.
pub fn enclose(asks: bool, port: Option<u16>) {
    let rules = || -> Result<(), RulesetError> {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_write(ABI::V5) | AccessFs::Execute)?
            .handle_access(AccessNet::from_all(ABI::V5))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?;
        let ports = port.map(|port| NetPort::new(port, AccessNet::ConnectTcp)).into_iter();
        rules.add_rules(ports.map(Ok::<_, RulesetError>))?.restrict_self()?;
        Ok(())
    };
    let _ = rules();
    // Where it is missing, the rights that were given up hold.
    seccomp::forbid_harmful(asks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::new_file::NewFile;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn an_enclosed_thread_writes_nothing_runs_nothing_and_connects_to_one_port() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "x").unwrap();
        let allowed = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = allowed.local_addr().unwrap().port();
        let enclosed = std::thread::spawn(move || {
            enclose(true, Some(port));
            assert!(
                std::fs::read(&file).is_ok() && TcpStream::connect(("127.0.0.1", port)).is_ok()
            );
            let writes = std::fs::write(&file, "y").is_ok();
            let removes = std::fs::remove_file(&file).is_ok();
            let runs = std::process::Command::new("/bin/true").status().is_ok();
            let port = other.local_addr().unwrap().port();
            (writes, removes, runs, TcpStream::connect(("127.0.0.1", port)).is_ok())
        });
        let (writes, removes, runs, connects) = enclosed.join().unwrap();
        // All of it, or nothing on a kernel without Landlock; connections since Linux 6.7.
        assert!((writes, removes, runs) == (false, false, false) || writes);
        assert!(
            !connects
                || writes
                || !std::path::Path::new("/proc/sys/kernel/ostype").exists()
                || !has_ports()
        );
    }

    #[test]
    fn what_writes_into_one_directory_replaces_files_there_and_opens_none_elsewhere() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (page, file) = (dir.path().join("page"), other.path().join("a"));
        std::fs::write(&page, "before").unwrap();
        std::fs::write(&file, "x").unwrap();
        let new = NewFile::at(&page).unwrap();
        let thread = std::thread::spawn(move || {
            keep_open_files_and(Some(new.directory()));
            let written = new.write(b"after");
            let reads = std::fs::read(&file).is_ok();
            let makes = std::fs::write(file.with_file_name("b"), "y").is_ok();
            let runs = std::process::Command::new("/bin/true").status().is_ok();
            (written.is_ok(), reads, makes, runs)
        });
        let (writes, reads, makes, runs) = thread.join().unwrap();
        assert!(writes && std::fs::read_to_string(&page).unwrap() == "after");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        // Both, or neither on a kernel without Landlock.
        assert_eq!(reads, makes);
        assert!(!reads || has_no_landlock());
        assert!(!runs || has_no_landlock());
    }

    fn has_no_landlock() -> bool {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        rules.handle_access(AccessFs::Execute).and_then(Ruleset::create).is_err()
    }

    /// Whether the kernel's Landlock knows of ports.
    fn has_ports() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(7))
    }

    const STATUS: &str = "Name:\tx\nUid:\t33\t33\t33\t33\nGid:\t34\t34\t34\t34\nFDSize:\t64\nGroups:\t4 33 \nNStgid:\t7\n";

    #[test]
    fn the_rights_of_a_process_are_read_and_mixed_ones_are_none() {
        let read = Rights::parse(STATUS).unwrap();
        assert_eq!(read, Rights { uid: 33, gid: 34, groups: vec![4, 33] });
        for (is, was) in [("33\t0\t33\t33", "33\t33\t33\t33"), ("34\t34\t0\t34", "34\t34\t34\t34")]
        {
            assert_eq!(Rights::parse(&STATUS.replace(was, is)), None);
        }
        assert_eq!(Rights::parse(""), None);
        assert_eq!(Rights::parse("Uid:\tx\nGid:\t1\n"), None);
    }
}
