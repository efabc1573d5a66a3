//! System calls: which ones a helper may still make (seccomp). A fence behind the rights that it gave
//! up: who takes it over finds few doors into the kernel. What is refused fails with EPERM.

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// What reading open files, answering and ending take, by a Rust program on glibc or musl.
const READING: [i64; 34] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_ppoll,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
];
/// The same, of old architectures alone.
#[cfg(target_arch = "x86_64")]
const READING_OLD: [i64; 1] = [libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const READING_OLD: [i64; 0] = [];
/// Mapping memory, unless it may be run.
const MAPPING: [i64; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

/// What would change the machine or reach another process.
const REACHING: [i64; 50] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_fsconfig,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_open_by_handle_at,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];
/// What would change files.
const CHANGING: [i64; 13] = [
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_setxattr,
];
/// The same, of old architectures alone.
#[cfg(target_arch = "x86_64")]
const REACHING_OLD: [i64; 2] = [libc::SYS_fork, libc::SYS_vfork];
#[cfg(target_arch = "x86_64")]
const CHANGING_OLD: [i64; 10] = [
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
];
#[cfg(not(target_arch = "x86_64"))]
const REACHING_OLD: [i64; 0] = [];
#[cfg(not(target_arch = "x86_64"))]
const CHANGING_OLD: [i64; 0] = [];
/// Families of sockets at which a status page may be asked.
const ASKED: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// A system call, and when it is meant: always without a rule.
type SeccompRules = BTreeMap<i64, Vec<SeccompRule>>;

/// Lets this thread do nothing from now on but read what is open, write to it, and end; whether the
/// kernel and this architecture have that.
pub(super) fn only_reads_what_is_open() -> bool {
    reading().is_some_and(|rules| apply(rules, SeccompAction::Allow, refusal()))
}

/// Lets this thread also open files to read them, and read other processes' memory.
pub(super) fn only_reads_memory() -> bool {
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let rules = || {
        let mut rules = reading()?;
        let to_read = argument(2, SeccompCmpOp::MaskedEq(writing as u64), libc::O_RDONLY as u64)?;
        rules.insert(libc::SYS_openat, vec![rule(&[to_read])?]);
        rules.insert(libc::SYS_readlinkat, Vec::new());
        Some(rules)
    };
    rules().is_some_and(|rules| apply(rules, SeccompAction::Allow, refusal()))
}

/// The rules for who reads what is open.
fn reading() -> Option<SeccompRules> {
    let harmless = || rule(&[argument(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?]);
    let mut rules: SeccompRules =
        READING.into_iter().chain(READING_OLD).map(|call| (call, Vec::new())).collect();
    for call in MAPPING {
        rules.insert(call, vec![harmless()?]);
    }
    Some(rules)
}

/// Forbids this thread what neither reading nor writing files takes. It may stop itself, as the live view
/// of a recording does at Ctrl-Z.
pub(super) fn forbid_reaching() -> bool {
    let other = |nth: u8, than: i32| rule(&[argument(nth, SeccompCmpOp::Ne, than as u64)?]);
    let rules = || {
        let calls = REACHING.into_iter().chain(REACHING_OLD);
        let calls = calls.chain([libc::SYS_socket, libc::SYS_connect]);
        let mut rules: SeccompRules = calls.map(|call| (call, Vec::new())).collect();
        let own = std::process::id().cast_signed();
        // Of glibc and of musl: a thread of this process, and its number, which is the process's.
        rules.insert(libc::SYS_tgkill, vec![other(0, own)?, other(2, libc::SIGTSTP)?]);
        rules.insert(libc::SYS_tkill, vec![other(0, own)?, other(1, libc::SIGTSTP)?]);
        Some(rules)
    };
    rules().is_some_and(|rules| apply(rules, refusal(), SeccompAction::Allow))
}

/// Forbids this thread what reading files never takes; sockets too, unless it is to ask one.
pub(super) fn forbid_harmful(asks: bool) -> bool {
    let other_families = || {
        let is_not = |family: i32| argument(0, SeccompCmpOp::Ne, family as u64);
        rule(&ASKED.into_iter().map(is_not).collect::<Option<Vec<_>>>()?)
    };
    let rules = || {
        let calls = REACHING.into_iter().chain(REACHING_OLD);
        let calls = calls.chain(CHANGING).chain(CHANGING_OLD);
        let mut rules: SeccompRules = calls.map(|call| (call, Vec::new())).collect();
        rules.insert(libc::SYS_socket, if asks { vec![other_families()?] } else { Vec::new() });
        if !asks {
            rules.insert(libc::SYS_connect, Vec::new());
        }
        Some(rules)
    };
    rules().is_some_and(|rules| apply(rules, refusal(), SeccompAction::Allow))
}

fn refusal() -> SeccompAction {
    SeccompAction::Errno(libc::EPERM as u32)
}

fn argument(nth: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompCondition> {
    SeccompCondition::new(nth, SeccompCmpArgLen::Dword, operator, value).ok()
}

fn rule(conditions: &[SeccompCondition]) -> Option<SeccompRule> {
    SeccompRule::new(conditions.to_vec()).ok()
}

fn apply(rules: SeccompRules, to_these: SeccompAction, to_others: SeccompAction) -> bool {
    let filter = || {
        let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        let filter = SeccompFilter::new(rules, to_others, to_these, architecture).ok()?;
        let program: BpfProgram = filter.try_into().ok()?;
        seccompiler::apply_filter(&program).ok()
    };
    filter().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::FileExt;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    fn is_refused<T>(result: std::io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn what_is_open_is_read_and_nothing_else_is_opened_run_or_connected_to() {
        let mut open = File::open("/proc/self/status").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            if !only_reads_what_is_open() {
                return None;
            }
            let mut text = String::new();
            let reads = open.read_to_string(&mut text).is_ok_and(|length| length > 100);
            let large = vec![1_u8; 8 << 20].iter().filter(|byte| **byte == 1).count();
            let refused = [
                is_refused(File::open("/proc/self/stat")),
                is_refused(Command::new("/bin/true").status()),
                is_refused(TcpStream::connect(address)),
                is_refused(UnixDatagram::unbound()),
                is_refused(std::fs::remove_file("/nonexistent")),
            ];
            Some((reads, large, refused))
        });
        // Nothing to see where the kernel has no seccomp.
        if let Some(seen) = thread.join().unwrap() {
            assert_eq!(seen, (true, 8 << 20, [true; 5]));
        }
    }

    #[test]
    fn who_reads_memory_opens_files_to_read_them_and_does_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "x").unwrap();
        let words = vec![7_u8; 100];
        let thread = std::thread::spawn(move || {
            only_reads_memory().then(|| {
                let link = rustix::fs::readlinkat(rustix::fs::CWD, "/proc/self/exe", Vec::new());
                let opens = File::open(&file).is_ok() && link.is_ok();
                let mut read = vec![0; 100];
                let memory = File::open("/proc/self/mem").unwrap();
                let reads = memory.read_at(&mut read, words.as_ptr() as u64).ok();
                let refused = [
                    is_refused(File::create(&file)),
                    is_refused(File::options().append(true).open(&file)),
                    is_refused(std::fs::remove_file(&file)),
                    is_refused(Command::new("/bin/true").status()),
                    is_refused(UnixDatagram::unbound()),
                ];
                (opens, reads, read == words, refused)
            })
        });
        if let Some(seen) = thread.join().unwrap() {
            assert_eq!(seen, (true, Some(100), true, [true; 5]));
        }
    }

    #[test]
    fn who_reads_a_recording_writes_files_and_reaches_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let thread = std::thread::spawn(move || {
            forbid_reaching().then(|| {
                let writes = std::fs::write(&file, "x").and_then(|()| std::fs::remove_file(&file));
                let runs = is_refused(Command::new("/bin/true").status());
                // One that nobody heeds.
                let signals = nix::sys::signal::raise(nix::sys::signal::Signal::SIGURG).is_err();
                (writes.is_ok(), runs, is_refused(UnixDatagram::unbound()), signals)
            })
        });
        if let Some(seen) = thread.join().unwrap() {
            assert_eq!(seen, (true, true, true, true));
        }
    }

    #[test]
    fn a_helper_that_opens_files_runs_nothing_and_changes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = [true, false].map(|asks| {
            let thread = std::thread::spawn(move || {
                forbid_harmful(asks).then(|| {
                    let opens = File::open("/proc/self/stat").is_ok();
                    let refused = [
                        is_refused(Command::new("/bin/true").status()),
                        is_refused(std::fs::remove_file("/nonexistent")),
                        is_refused(TcpListener::bind("127.0.0.1:0")),
                    ];
                    (opens, refused, TcpStream::connect(address).is_ok())
                })
            });
            thread.join().unwrap()
        });
        if let [Some(asks), Some(reads)] = seen {
            assert_eq!(asks, (true, [true; 3], true));
            assert_eq!(reads, (true, [true; 3], false));
        }
    }
}
