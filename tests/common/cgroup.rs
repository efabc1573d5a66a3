//! Cgroup: a limit on memory or on tasks as on a small machine, as a cgroup of the test's own, v1 or v2.
//!
//! It lies below the cgroup the test runs in (v2: below the nearest ancestor that may hand the
//! controller on, since a v2 cgroup with processes cannot). Whatever runs in it was started
//! by the test, so its end may end all of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A cgroup with one limit; removed on drop with all that runs in it.
pub struct Cgroup {
    v2: bool,
    dir: PathBuf,
}

impl Cgroup {
    /// A new cgroup with that memory limit in bytes and no swap, or in one line why there can be none.
    pub fn with_memory(limit: u64) -> Result<Self, String> {
        let cgroup = Self::below_own("memory")?;
        cgroup.limit_memory(limit).map_err(|e| cgroup.cannot_limit(&e))?;
        Ok(cgroup)
    }

    /// The same by a name of one's own, for what people are shown; one at a time.
    pub fn called(name: &str, limit: u64) -> Result<Self, String> {
        let cgroup = Self::below_own_as(name.to_owned(), "memory")?;
        cgroup.limit_memory(limit).map_err(|e| cgroup.cannot_limit(&e))?;
        Ok(cgroup)
    }

    /// A new cgroup in which so many tasks (threads and zombies count) can be, or why there can be none.
    pub fn with_tasks(limit: u64) -> Result<Self, String> {
        let cgroup = Self::below_own("pids")?;
        cgroup.limit_tasks(limit).map_err(|e| cgroup.cannot_limit(&e))?;
        Ok(cgroup)
    }

    pub fn limit_tasks(&self, limit: u64) -> std::io::Result<()> {
        fs::write(self.dir.join("pids.max"), limit.to_string())
    }

    /// One without a limit of its own inside this one, whose limit holds for it. Drop it first.
    pub fn inner(&self) -> Self {
        let dir = self.dir.join("inner");
        fs::create_dir(&dir).expect("one's own cgroup");
        Self { v2: self.v2, dir }
    }

    fn below_own(controller: &str) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::below_own_as(format!("leakwatch-test-{}-{nth}", std::process::id()), controller)
    }

    fn below_own_as(name: String, controller: &str) -> Result<Self, String> {
        let hint = "run as root outside a container, or in one with a writable /sys/fs/cgroup \
                    (docker run --privileged)";
        let (parent, v2) = parent(controller)
            .ok_or_else(|| format!("no {controller} cgroup can be made here: {hint}"))?;
        let dir = parent.join(name);
        fs::create_dir(&dir)
            .map_err(|e| format!("cannot make '{}': {e}; {hint}", dir.display()))?;
        Ok(Self { v2, dir })
    }

    fn cannot_limit(&self, error: &std::io::Error) -> String {
        format!("cannot limit '{}': {error}", self.dir.display())
    }

    pub fn limit_memory(&self, limit: u64) -> std::io::Result<()> {
        let limit = limit.to_string();
        if self.v2 {
            fs::write(self.dir.join("memory.max"), limit)?;
            fs::write(self.dir.join("memory.swap.max"), "0").or_else(ignore_absent)
        } else {
            // Memory may never be more than memory and swap: up goes the one first, down the other.
            let set = |file: &str| fs::write(self.dir.join(file), &limit);
            let (memory, both) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
            match set(memory) {
                Ok(()) => set(both).or_else(ignore_absent),
                Err(_) => set(both).or_else(ignore_absent).and_then(|()| set(memory)),
            }
        }
    }

    /// A command that will run inside. The test and leakwatch stay outside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]);
        command.arg(self.dir.join("cgroup.procs")).arg(program);
        command
    }

    /// Processes of this cgroup that the kernel's OOM killer has ended so far.
    pub fn oom_kills(&self) -> u64 {
        self.counter(if self.v2 { "memory.events" } else { "memory.oom_control" }, "oom_kill")
    }

    /// The most that was ever charged, in bytes, where the kernel tells (v2: Linux 5.19).
    ///
    /// Not failcnt: kernel 6.18 leaves it at 0 even when the OOM killer strikes.
    pub fn peak(&self) -> Option<u64> {
        let file = if self.v2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        fs::read_to_string(self.dir.join(file)).ok()?.trim().parse().ok()
    }

    /// Threads and zombies inside now.
    pub fn tasks(&self) -> u64 {
        self.number("pids.current")
    }

    /// Bytes charged now.
    pub fn usage(&self) -> u64 {
        self.number(if self.v2 { "memory.current" } else { "memory.usage_in_bytes" })
    }

    fn read(&self, file: &str) -> String {
        let path = self.dir.join(file);
        fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("cannot read '{}': {e}", path.display()))
    }

    fn number(&self, file: &str) -> u64 {
        self.read(file).trim().parse().expect("a number")
    }

    fn counter(&self, file: &str, key: &str) -> u64 {
        let text = self.read(file);
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no '{key}' in {file}:\n{text}"))
    }

    fn members(&self) -> Vec<Pid> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
    }

    /// Ends a member. The pidfd pins the process, then a second read proves that it is ours.
    fn end(&self, member: Pid) {
        if let Ok(pidfd) = pidfd_open(member, PidfdFlags::empty())
            && self.members().contains(&member)
        {
            pidfd_send_signal(pidfd, Signal::KILL).ok();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(10);
        // Busy (EBUSY) until the last member is gone, for which the kernel has no event to await.
        while fs::remove_dir(&self.dir).is_err() && Instant::now() < end {
            self.members().into_iter().for_each(|member| self.end(member));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn ignore_absent(error: std::io::Error) -> std::io::Result<()> {
    // Without swap accounting the file is not there (v2: NotFound; sysfs may say PermissionDenied).
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    }
}

/// The directory below which a cgroup of that controller can be made, and whether it is of v2.
fn parent(controller: &str) -> Option<(PathBuf, bool)> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // "4:memory:/path" is v1, "0::/path" is v2.
    let field = |line: &str, n| line.splitn(3, ':').nth(n).map(str::to_owned);
    let v1 = own
        .lines()
        .find(|line| field(line, 1).is_some_and(|c| c.split(',').any(|c| c == controller)));
    if let Some(line) = v1 {
        let (mount, root) = mount_of(&mounts, "cgroup", controller)?;
        return Some((below(&mount, &root, &field(line, 2)?)?, false));
    }
    let (mount, root) = mount_of(&mounts, "cgroup2", "")?;
    let own = below(&mount, &root, &field(own.lines().find(|line| line.starts_with("0::"))?, 2)?)?;
    let hands_on = |dir: &&Path| {
        let control = dir.join("cgroup.subtree_control");
        let on = |text: String| text.split_whitespace().any(|c| c == controller);
        fs::read_to_string(&control).is_ok_and(on)
            || fs::write(&control, format!("+{controller}")).is_ok()
    };
    let dir = own.ancestors().take_while(|dir| dir.starts_with(&mount)).find(hands_on)?;
    Some((dir.to_owned(), true))
}

/// Where a hierarchy is mounted and which of its cgroups is the top there.
fn mount_of(mounts: &str, kind: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let is_kind = after.next()? == kind;
        let has = controller.is_empty() || after.nth(1)?.split(',').any(|c| c == controller);
        let mut before = before.split(' ').skip(3);
        let (root, place) = (before.next()?, before.next()?);
        (is_kind && has).then(|| (place.into(), root.into()))
    })
}

/// A cgroup's path in the hierarchy as a directory below its mount.
fn below(mount: &Path, root: &Path, cgroup: &str) -> Option<PathBuf> {
    // In a container that sees the host's paths the mount's root is the container's own cgroup.
    let rest =
        Path::new(cgroup).strip_prefix(root).ok().or(Path::new(cgroup).strip_prefix("/").ok())?;
    let dir = mount.join(rest);
    Some(if dir.is_dir() { dir } else { mount.to_owned() })
}
