//! Unit: what a systemd unit allows its service, and a sandbox that allows the same without systemd.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A unit's text.
pub struct Unit(String);

impl Unit {
    /// One of those in examples/systemd.
    pub fn shipped(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
        Self(std::fs::read_to_string(dir.join(name)).expect("a shipped unit"))
    }

    /// The values of a key, in order.
    pub fn values(&self, key: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    /// The unit with another program in place of the installed one.
    pub fn running(&self, program: &Path) -> String {
        self.0.replace("/usr/bin/leakwatch", &program.display().to_string())
    }

    /// The system calls that SystemCallFilter= allows, by their numbers here.
    fn allowed(&self) -> BTreeSet<u32> {
        let mut allowed = BTreeSet::new();
        for list in self.values("SystemCallFilter") {
            let (denies, list) = match list.strip_prefix('~') {
                Some(list) => (true, list),
                None => (false, list),
            };
            for name in list.split_whitespace() {
                let numbers = expand(name).into_iter().filter_map(|call| number(&call));
                if denies {
                    numbers.for_each(|number| _ = allowed.remove(&number));
                } else {
                    allowed.extend(numbers);
                }
            }
        }
        allowed
    }

    /// The unit's filters as a program for the kernel, in which whatever is not allowed ends the
    /// process at once: a call that is missing must not go unnoticed.
    ///
    /// As systemd does it: other architectures' calls (SystemCallArchitectures=native), sockets of
    /// other families than AF_UNIX (RestrictAddressFamilies=), and memory made executable later
    /// (MemoryDenyWriteExecute=) are denied too.
    fn filter(&self) -> Vec<u8> {
        const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
        const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
        const IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
        const RETURN: u16 = 0x06; // BPF_RET | BPF_K
        const KILL: u32 = 0x8000_0000; // SECCOMP_RET_KILL_PROCESS
        const ALLOW: u32 = 0x7fff_0000;
        const NATIVE: u32 = if cfg!(target_arch = "aarch64") { 0xC000_00B7 } else { 0xC000_003E };
        // Offsets in struct seccomp_data: 0 the call's number, 4 the architecture, 16 + 8 n the
        // lower half of argument n.
        let mut program: Vec<(u16, u8, u8, u32)> =
            vec![(LOAD, 0, 0, 4), (IF_EQUAL, 1, 0, NATIVE), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)];
        assert_eq!(self.values("RestrictAddressFamilies"), ["AF_UNIX"]);
        assert_eq!(self.values("MemoryDenyWriteExecute"), ["yes"]);
        let call = |name: &str| number(name).expect("known everywhere");
        let (af_unix, prot_exec) = (1, 4);
        program.extend([
            (IF_EQUAL, 0, 3, call("socket")),
            (LOAD, 0, 0, 16),
            (IF_EQUAL, 1, 0, af_unix),
            (RETURN, 0, 0, KILL),
            (LOAD, 0, 0, 0),
            (IF_EQUAL, 0, 3, call("mprotect")),
            (LOAD, 0, 0, 32),
            (IF_SET, 0, 1, prot_exec),
            (RETURN, 0, 0, KILL),
            (LOAD, 0, 0, 0),
        ]);
        for number in self.allowed() {
            program.extend([(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]);
        }
        program.push((RETURN, 0, 0, KILL));
        let bytes = |(code, jt, jf, k): (u16, u8, u8, u32)| {
            [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat()
        };
        program.into_iter().flat_map(bytes).collect()
    }

    /// Runs `program` with the unit's system calls, capabilities, devices and network, and no way
    /// to write anywhere but below `writable`. The words before it are a shell's, for variables.
    pub fn sandbox(&self, dir: &Path, program: &Path, writable: &[&Path]) -> Sandbox {
        let filter = dir.join("filter.bpf");
        std::fs::write(&filter, self.filter()).expect("a writable directory");
        let mut words: Vec<String> = [
            "bwrap",
            "--die-with-parent",
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--tmpfs",
            "/run",
        ]
        .map(String::from)
        .to_vec();
        for path in writable {
            let path = path.display().to_string();
            words.extend(["--bind".to_owned(), path.clone(), path]);
        }
        if self.values("PrivateNetwork") == ["yes"] {
            words.push("--unshare-net".to_owned());
        }
        words.extend(["--cap-drop", "ALL"].map(String::from));
        for name in self.values("CapabilityBoundingSet").join(" ").split_whitespace() {
            words.extend(["--cap-add".to_owned(), name.to_owned()]);
        }
        let score = self.values("OOMScoreAdjust").join("");
        Sandbox { words, filter, program: program.to_owned(), score }
    }
}

/// A command inside a unit's limits.
pub struct Sandbox {
    words: Vec<String>,
    filter: PathBuf,
    program: PathBuf,
    /// OOMScoreAdjust=, which systemd sets before it takes the right to.
    score: String,
}

impl Sandbox {
    /// Shows `from` at `to` inside.
    pub fn with_bind(mut self, from: &Path, to: &str) -> Self {
        self.words.extend(["--bind".into(), from.display().to_string(), to.into()]);
        self
    }

    /// The command; its standard output counts as the journal's, as under systemd.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        // JOURNAL_STREAM names the very pipe that is standard output.
        let script = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/1)
                      echo \"$1\" 2>/dev/null >/proc/self/oom_score_adj || :; filter=$2; shift 2
                      exec \"$@\" 9<\"$filter\"";
        command.args(["-c", script, "sh", &self.score]).arg(&self.filter).args(&self.words);
        command.args(["--seccomp", "9"]).arg(&self.program).args(args);
        command
    }
}

/// A group's calls (`@file-system`), or the one call that is named.
fn expand(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let said = Command::new("systemd-analyze")
        .args(["syscall-filter", "--no-pager", name])
        .output()
        .expect("systemd-analyze is there");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    // The first line repeats the name; a comment says what the group is for.
    let members = said.lines().skip(1).map(str::trim);
    let members = members.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Vec<String> = members.flat_map(expand).collect();
    assert!(!found.is_empty(), "systemd-analyze knows no {name}");
    found
}

/// The call's number on this architecture, if it has it.
fn number(name: &str) -> Option<u32> {
    let said = Command::new("scmp_sys_resolver").arg(name).output().expect("it is there");
    String::from_utf8_lossy(&said.stdout).trim().parse().ok()
}
