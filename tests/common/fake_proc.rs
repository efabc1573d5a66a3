//! FakeProc: a /proc tree made of files, for `--procfs DIR`.
//!
//! Its pids lie just below the kernel's largest possible one (2^22), where no machine's own are
//! likely to be, and its files can be wrong in ways that a real /proc is only for a moment.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A pid of a fixture: the nth below 2^22.
pub fn pid(nth: u32) -> u32 {
    (1 << 22) - 1 - nth
}

const PAGE_KIB: u64 = 4;

/// A /proc tree in a directory of its own, removed on drop.
pub struct FakeProc {
    dir: TempDir,
}

impl FakeProc {
    /// A machine of that size with half of it free and no process yet.
    pub fn with_memory_kib(total: u64) -> Self {
        Self::at(tempfile::tempdir().expect("a temporary directory"), total)
    }

    /// The same, itself in memory where that can be: a busy disk made ten thousand looks at it take
    /// two minutes.
    pub fn in_memory(total: u64) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::at(dir.expect("a temporary directory"), total)
    }

    fn at(dir: TempDir, total: u64) -> Self {
        let proc = Self { dir };
        let half = total / 2;
        proc.write(
            "meminfo",
            format!(
                "MemTotal:       {total:>8} kB\nMemFree:        {half:>8} kB\n\
                 MemAvailable:   {half:>8} kB\nBuffers:               0 kB\nCached:                0 kB\n\
                 SwapCached:            0 kB\nActive:                0 kB\nInactive:              0 kB\n\
                 SwapTotal:             0 kB\nSwapFree:              0 kB\nDirty:                 0 kB\n\
                 Writeback:             0 kB\nAnonPages:      {half:>8} kB\nMapped:                0 kB\n\
                 Shmem:                 0 kB\nSlab:                  0 kB\nSReclaimable:          0 kB\n\
                 SUnreclaim:            0 kB\nKernelStack:           0 kB\nPageTables:            0 kB\n\
                 CommitLimit:    {half:>8} kB\nCommitted_AS:   {half:>8} kB\n\
                 VmallocTotal:   34359738367 kB\nVmallocUsed:           0 kB\nVmallocChunk:          0 kB\n"
            ),
        );
        let cpu = "4705 356 584 3699176 23060 1277 438 0 0 0";
        proc.write(
            "stat",
            format!(
                "cpu  {cpu}\ncpu0 {cpu}\nintr 114930548 113199788\nctxt 1990473\nbtime 1700000000\n\
                 processes 2915\nprocs_running 1\nprocs_blocked 0\nsoftirq 183433 0 21755 12 39\n"
            ),
        );
        proc.write("uptime", "100000.00 190000.00\n");
        proc.write("loadavg", "0.10 0.20 0.30 1/3 4194303\n");
        proc.write("sys/vm/overcommit_memory", "0\n");
        proc.write("sys/kernel/pid_max", "4194304\n");
        proc.write("sys/kernel/threads-max", "15000\n");
        proc.write("pressure/memory", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        proc.write("vmstat", "pgfault 1\noom_kill 0\n");
        proc.write("sys/kernel/osrelease", "6.1.0-fixture\n");
        proc
    }

    /// The service of all its processes has limits of its own: files under `sys` (see
    /// [`sysfs`](Self::sysfs)) as cgroup version 2 has them.
    pub fn with_cgroups(self) -> Self {
        let mount = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        self.write("self/mountinfo", mount);
        self.write("self/cgroup", "0::/\n");
        let slice = "fake-sys/fs/cgroup/system.slice";
        for (file, text) in [
            ("fixture.service/pids.max", "100\n"),
            ("fixture.service/pids.current", "21\n"),
            ("fixture.service/pids.events", "max 0\n"),
            ("pids.max", "max\n"),
            ("pids.current", "400\n"),
            ("pids.events", "max 0\n"),
            ("memory.max", "536870912\n"),
            ("memory.current", "134217728\n"),
            ("memory.stat", "anon 134217728\ninactive_file 0\n"),
            ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
        ] {
            self.write(&format!("{slice}/{file}"), text);
        }
        self
    }

    /// What stands for /sys.
    pub fn sysfs(&self) -> PathBuf {
        self.path().join("fake-sys")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes any file below the root.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("it is below the root"))
            .expect("a writable fixture");
        fs::write(path, content).expect("a writable fixture");
    }

    /// Adds a process, or shows a known one anew.
    pub fn show(&self, process: &Fake) {
        let dir = process.pid.to_string();
        self.write(&format!("{dir}/stat"), process.stat());
        self.write(&format!("{dir}/statm"), process.statm());
        self.write(&format!("{dir}/status"), process.status());
        self.write(&format!("{dir}/comm"), [process.comm(), b"\n"].concat());
        self.write(&format!("{dir}/cmdline"), &process.cmdline);
        self.write(&format!("{dir}/cgroup"), "0::/system.slice/fixture.service\n");
        self.write(&format!("{dir}/oom_score_adj"), "0\n");
        let exe = self.path().join(dir).join("exe");
        if fs::symlink_metadata(&exe).is_err() {
            symlink("/usr/sbin/fixture", exe).expect("a writable fixture");
        }
    }

    /// What changes as a process that was shown grows.
    pub fn grow(&self, process: &Fake) {
        for (file, text) in [
            ("stat", process.stat()),
            ("statm", process.statm().into_bytes()),
            ("status", process.status()),
        ] {
            fs::write(self.file(process.pid, file), text).expect("it was shown");
        }
    }

    /// The process has ended.
    pub fn hide(&self, pid: u32) {
        fs::remove_dir_all(self.path().join(pid.to_string())).expect("it was shown");
    }

    /// The process ends while it is read: its directory is there, its files are not.
    pub fn leave_an_empty_directory(&self, pid: u32) {
        fs::create_dir_all(self.path().join(pid.to_string())).expect("a writable fixture");
    }

    /// One of its files is gone.
    pub fn without(&self, pid: u32, file: &str) {
        fs::remove_file(self.file(pid, file)).expect("it was shown");
    }

    /// One of its files cannot be read. A directory in its place stops root too; modes do not.
    pub fn unreadable(&self, pid: u32, file: &str) {
        self.without(pid, file);
        fs::create_dir(self.file(pid, file)).expect("a writable fixture");
    }

    /// One of its files holds something else.
    pub fn with(&self, pid: u32, file: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("{pid}/{file}"), content);
    }

    fn file(&self, pid: u32, file: &str) -> PathBuf {
        self.path().join(pid.to_string()).join(file)
    }
}

/// A process of a fixture.
#[derive(Clone)]
pub struct Fake {
    pub pid: u32,
    pub ppid: u32,
    pub name: Vec<u8>,
    pub cmdline: Vec<u8>,
    pub state: char,
    pub anon_kib: u64,
    pub start: u64,
}

impl Fake {
    /// A sleeping child of pid 1 called that, with 8 MiB of its own.
    pub fn new(pid: u32, name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref().to_vec();
        let cmdline = [&name[..], b"\0--flag\0"].concat();
        Self { pid, ppid: 1, name, cmdline, state: 'S', anon_kib: 8192, start: 9_000_000 }
    }

    pub fn child_of(self, ppid: u32) -> Self {
        Self { ppid, ..self }
    }

    pub fn holding_kib(self, anon_kib: u64) -> Self {
        Self { anon_kib, ..self }
    }

    pub fn with_cmdline(self, cmdline: impl AsRef<[u8]>) -> Self {
        Self { cmdline: cmdline.as_ref().to_vec(), ..self }
    }

    pub fn zombie(self) -> Self {
        Self { state: 'Z', anon_kib: 0, cmdline: Vec::new(), ..self }
    }

    /// The name as the kernel keeps it: 15 bytes.
    fn comm(&self) -> &[u8] {
        &self.name[..self.name.len().min(15)]
    }

    /// Raw, where newer kernels escape newlines and backslashes: the reader must bear both.
    fn stat(&self) -> Vec<u8> {
        let Self { pid, ppid, state, start, .. } = self;
        let rss = self.anon_kib / PAGE_KIB;
        let head = format!("{pid} (");
        let tail = format!(
            ") {state} {ppid} {pid} {pid} 0 -1 4194560 500 0 0 0 12 34 0 0 20 0 1 0 {start} 90000000 {rss} \
             18446744073709551615 94000000000000 94000000400000 140720000000000 0 0 0 0 4096 0 0 0 0 17 \
             0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        [head.as_bytes(), self.comm(), tail.as_bytes()].concat()
    }

    fn statm(&self) -> String {
        let anon = self.anon_kib / PAGE_KIB;
        format!("{} {anon} 0 100 0 {anon} 0\n", anon + 10_000)
    }

    fn status(&self) -> Vec<u8> {
        let Self { pid, ppid, state, anon_kib, .. } = self;
        let head = b"Name:\t";
        let mut tail = format!(
            "\nUmask:\t0022\nState:\t{state} (sleeping)\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\n\
             PPid:\t{ppid}\nTracerPid:\t0\nUid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33\nFDSize:\t64\n\
             Groups:\t33 \nNStgid:\t{pid}\nNSpid:\t{pid}\nNSpgid:\t{pid}\nNSsid:\t{pid}\n"
        );
        // A zombie has no memory lines at all.
        if *state != 'Z' {
            tail += &format!(
                "VmPeak:\t{anon_kib} kB\nVmSize:\t{anon_kib} kB\nVmLck:\t0 kB\nVmPin:\t0 kB\n\
                 VmHWM:\t{anon_kib} kB\nVmRSS:\t{anon_kib} kB\nRssAnon:\t{anon_kib} kB\n\
                 RssFile:\t0 kB\nRssShmem:\t0 kB\nVmData:\t{anon_kib} kB\nVmStk:\t132 kB\n\
                 VmExe:\t400 kB\nVmLib:\t4000 kB\nVmPTE:\t80 kB\nVmSwap:\t0 kB\n"
            );
        }
        tail += "Threads:\t1\nSigQ:\t0/63000\n\
                 SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n\
                 SigIgn:\t0000000000001000\nSigCgt:\t0000000000000000\nCapInh:\t0000000000000000\n\
                 CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n\
                 voluntary_ctxt_switches:\t10\n\
                 nonvoluntary_ctxt_switches:\t1\n";
        [head, &escaped(self.comm())[..], tail.as_bytes()].concat()
    }
}

/// status escapes these two in a name.
fn escaped(name: &[u8]) -> Vec<u8> {
    name.iter()
        .flat_map(|byte| match byte {
            b'\n' => b"\\n".to_vec(),
            b'\\' => b"\\\\".to_vec(),
            byte => vec![*byte],
        })
        .collect()
}
