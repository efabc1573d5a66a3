//! Who holds memory: programs with their private memory, and files in memory that have no name any
//! more (memfd, deleted files, shared anonymous mappings) with the processes that keep them.

use super::cut;
use super::mounts::MemoryMount;
use crate::core::balance::{Details, Part};
use crate::core::model::memory_line::LineKind;
use crate::core::model::units::MIB;
use crate::core::origin::folded;
use crate::system::proc::parse::{self, kib_line, named_line};
use crate::system::proc::procdir::ProcDir;
use rustix::fs::{
    AtFlags, CWD, FileType, MemfdFlags, StatxFlags, fstat, makedev, memfd_create, statx,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Processes, open files of each, and mappings of each that are looked at.
const MOST_PROCESSES: usize = 20_000;
const MOST_FILES: usize = 65_536;
const MAPS_MAX: usize = 8 << 20;
/// Bytes of a status: 2 KiB, and up to 11 for each further group.
const STATUS_MAX: usize = 64 << 10;
/// A process with less shared memory than this has no mappings worth a look.
const LEAST_SHARED: u64 = MIB;
/// Files and programs below this are not told.
const LEAST_FILE: u64 = 64 << 10;
const LEAST_PROGRAM: u64 = MIB;
/// Bytes of a block in st_blocks, and of a kernel stack (THREAD_SIZE of x86-64 and arm64).
const BLOCK: u64 = 512;
const STACK: u64 = 16 << 10;

/// A file without a name.
#[derive(Debug)]
struct Nameless {
    name: String,
    bytes: u64,
    uid: u32,
    /// A process that has it, and how many do.
    holder: String,
    holders: u32,
    last: u32,
}

/// A program's processes and their private memory.
#[derive(Debug, Default)]
struct ProgramSum {
    processes: u32,
    bytes: u64,
    page_tables: u64,
    threads: u64,
}

/// Reads it from all processes.
pub(super) fn read(
    procfs: &Path,
    mounts: &[MemoryMount],
    go_on: &mut dyn FnMut() -> bool,
    details: &mut Details,
) {
    let Ok(proc) = ProcDir::open(procfs) else { return };
    let mut pids = Vec::new();
    // Of a list that breaks off, what there is.
    let _ = proc.pids(|pid| pids.push(pid));
    pids.sort_unstable();
    let kernels = kernels_device();
    let mut scan = HolderScan {
        proc,
        status: vec![0; STATUS_MAX],
        mounts,
        kernels,
        files: BTreeMap::new(),
        programs: BTreeMap::new(),
        refused: 0,
    };
    for (nth, pid) in pids.iter().enumerate() {
        if nth >= MOST_PROCESSES || !go_on() {
            let left = pids.len() - nth;
            details.notes.push(format!("{left} processes were not looked at: it took too long"));
            break;
        }
        scan.process(&procfs.join(pid.to_string()), *pid);
    }
    if scan.refused > 0 {
        details.notes.push(format!(
            "the open files of {} processes cannot be read: files in memory that they alone hold are not named",
            scan.refused
        ));
    }
    details.parts.extend(scan.parts());
}

struct HolderScan<'a> {
    proc: ProcDir,
    /// Room for a status.
    status: Vec<u8>,
    mounts: &'a [MemoryMount],
    /// The device of the kernel's own tmpfs, on which memfds and shared mappings lie.
    kernels: Option<u64>,
    files: BTreeMap<(u64, u64), Nameless>,
    programs: BTreeMap<String, ProgramSum>,
    refused: u32,
}

impl HolderScan<'_> {
    fn process(&mut self, dir: &Path, pid: u32) {
        let Ok(status) = self.proc.read(pid, "status", &mut self.status) else { return };
        let of = |name: &str| kib_line(status, name.as_bytes()).unwrap_or(0);
        let Some(comm) = parse::name(status) else { return };
        let shared = of("RssShmem");
        let sum = self.programs.entry(comm.clone()).or_default();
        sum.processes += 1;
        sum.bytes = sum.bytes.saturating_add(of("RssAnon"));
        sum.page_tables = sum.page_tables.saturating_add(of("VmPTE"));
        sum.threads = sum.threads.saturating_add(named_line(status, b"Threads").unwrap_or(0));
        let holder = format!("{comm}[{pid}]");
        match std::fs::read_dir(dir.join("fd")) {
            Ok(files) => {
                for file in files.flatten().take(MOST_FILES) {
                    let Ok(link) = std::fs::read_link(file.path()) else { continue };
                    self.file(&link.to_string_lossy(), &holder, pid, &file.path());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => self.refused += 1,
            Err(_) => {}
        }
        if shared >= LEAST_SHARED {
            self.mappings(dir, &holder, pid);
        }
    }

    /// Mappings whose file no descriptor may keep any more.
    fn mappings(&mut self, dir: &Path, holder: &str, pid: u32) {
        let Ok(text) = std::fs::read(dir.join("maps")) else { return };
        let text = text.get(..text.len().min(MAPS_MAX)).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            // range, rights, offset, device, inode, then blanks and the name, which may have blanks.
            let mut fields = line.splitn(6, ' ');
            let (Some(range), Some(name)) = (fields.next(), fields.nth(4)) else { continue };
            let file = dir.join("map_files").join(range);
            let name = name.trim_start();
            self.file(name, holder, pid, &file);
        }
    }

    /// Takes in a file that a process has, if it lies in memory and no directory has it. Where it lies
    /// is told by its device, which nobody chooses; its name, even "/memfd:", is what others say.
    fn file(&mut self, name: &str, holder: &str, pid: u32, place: &Path) {
        let Some(path) = name.strip_suffix(" (deleted)") else { return };
        let Some(found) = known_of(place) else { return };
        let mount = self.mounts.iter().find(|mount| mount.device == found.device);
        // Segments of System V have lines of their own.
        let is_kernels = self.kernels == Some(found.device) && !path.starts_with("/SYSV");
        if !is_kernels && mount.is_none() {
            return;
        }
        let memfd = path.strip_prefix("/memfd:").filter(|_| is_kernels);
        let file = self.files.entry((found.device, found.inode)).or_insert_with(|| {
            let name = match (memfd, mount) {
                (Some(memfd), _) => format!("memfd {}", folded(memfd)),
                (None, Some(_)) => format!("deleted {}", folded(path)),
                (None, None) => "shared anonymous mapping".to_owned(),
            };
            Nameless {
                name: cut(&name),
                bytes: found.blocks.saturating_mul(BLOCK),
                uid: found.uid,
                holder: holder.to_owned(),
                holders: 0,
                last: 0,
            }
        });
        if file.last != pid {
            (file.last, file.holders) = (pid, file.holders + 1);
        }
    }

    fn parts(self) -> Vec<Part> {
        // Many small files of one name, as browsers have them, are one part.
        let mut named: BTreeMap<String, (u64, u32, Nameless)> = BTreeMap::new();
        for file in self.files.into_values() {
            let key = format!("{} of {}", file.name, file.holder);
            match named.get_mut(&key) {
                Some((bytes, count, _)) => {
                    *bytes = bytes.saturating_add(file.bytes);
                    *count += 1;
                }
                None => {
                    named.insert(key, (file.bytes, 1, file));
                }
            }
        }
        let files = named.into_iter().filter(|(_, (bytes, ..))| *bytes >= LEAST_FILE).map(
            |(name, (bytes, count, file))| {
                let many = if count > 1 { format!("{count} files, ") } else { String::new() };
                let more = match file.holders {
                    0 | 1 => String::new(),
                    n => format!(", {} more processes have it", n - 1),
                };
                let note = format!("{many}of user {}{more}", file.uid);
                Part { of: LineKind::SharedMemory, name, bytes, limit: None, note }
            },
        );
        let programs = self.programs.into_iter().flat_map(|(name, sum)| program(&cut(&name), &sum));
        files.chain(programs).collect()
    }
}

/// What is known of a file without asking anybody.
#[derive(Clone, Copy, Debug)]
struct KnownFile {
    device: u64,
    inode: u64,
    blocks: u64,
    uid: u32,
}

/// What the kernel knows of a regular file. A server (NFS, FUSE) is not asked: whoever runs it may never
/// answer, and such a file is none in memory.
fn known_of(place: &Path) -> Option<KnownFile> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = statx(CWD, place, flags, StatxFlags::BASIC_STATS).ok()?;
    let is_file = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
    is_file.then(|| KnownFile {
        device: makedev(found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        blocks: found.stx_blocks,
        uid: found.stx_uid,
    })
}

/// The device of the kernel's own tmpfs, by a file of our own on it.
fn kernels_device() -> Option<u64> {
    let own = memfd_create("leakwatch", MemfdFlags::CLOEXEC).ok()?;
    Some(fstat(own).ok()?.st_dev)
}

/// What the processes of one program are of each line.
fn program(name: &str, sum: &ProgramSum) -> [Part; 3] {
    let processes = match sum.processes {
        1 => "1 process".to_owned(),
        n => format!("{n} processes"),
    };
    let shared = if sum.processes > 1 { "; pages that they share count for each" } else { "" };
    let part = |of, bytes, note| Part { of, name: name.to_owned(), bytes, limit: None, note };
    let told = |bytes: u64| if bytes >= LEAST_PROGRAM { bytes } else { 0 };
    [
        part(LineKind::Anonymous, told(sum.bytes), format!("{processes}{shared}")),
        part(LineKind::PageTables, told(sum.page_tables), processes.clone()),
        part(
            LineKind::KernelStacks,
            told(sum.threads.saturating_mul(STACK)),
            format!("{processes}, {} threads", sum.threads),
        ),
    ]
}
