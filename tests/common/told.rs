//! Told: a diagnosis asked of the real command, its verdicts, and its advice followed as
//! its reader would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cgroup::Cgroup;
use super::cli::{Cli, Ended};
use super::load::{Load, Tally};
use super::process::Id;

/// A diagnosis takes a minute, and reads logs for a few seconds.
pub const WITHIN: Duration = Duration::from_secs(120);

/// A reload is over by then.
const RELOADED: Duration = Duration::from_secs(10);

/// How long the advised values are tried; LEAKWATCH_E2E_SECONDS makes it longer.
pub fn seconds(usual: u64) -> Duration {
    let longer = std::env::var("LEAKWATCH_E2E_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(longer.unwrap_or(usual))
}

/// Whether they are tried for long: only then a time is worth an assertion.
pub fn is_long() -> bool {
    std::env::var_os("LEAKWATCH_E2E_SECONDS").is_some()
}

/// What a diagnosis told, and the advice that it saved.
pub struct Told {
    pub report: Value,
    pub ended: Ended,
    /// What `--write-advice` wrote.
    pub advice: String,
    pub from: Instant,
    pub to: Instant,
}

impl Told {
    /// Asks `leakwatch diagnose` with these options, and the logs of that directory alone.
    pub fn by(args: &[&str], logs: &Path) -> Self {
        let from = Instant::now();
        let saved = tempfile::tempdir().expect("a temporary directory");
        let fix = saved.path().join("fix.patch");
        let mut words = vec!["diagnose", "--format", "json", "--logs", logs.to_str().unwrap()];
        words.extend(["--write-advice", fix.to_str().unwrap()]);
        words.extend(args);
        let ended = Cli::leakwatch(words).end(WITHIN);
        let line = ended.out.all().into_iter().next().map(|line| line.text().to_owned());
        let line = line.unwrap_or_else(|| panic!("no report; stderr:\n{}", ended.err.text()));
        let report = serde_json::from_str(&line).unwrap();
        Self { report, ended, advice: fs::read_to_string(fix).unwrap(), from, to: Instant::now() }
    }

    /// The service to which a process is the top.
    pub fn service(&self, id: Id) -> &Value {
        let services = self.report["services"].as_array().unwrap();
        let is_of = |service: &&Value| {
            service["roots"].as_array().unwrap().iter().any(|root| root["pid"] == id.pid)
        };
        let found = services.iter().find(is_of);
        found.unwrap_or_else(|| panic!("{id:?} is in no service of {:#}", self.report))
    }

    /// Whether it accuses the service of that process: it leaks, or grows for long.
    pub fn flags(&self, id: Id) -> bool {
        let verdict = self.service(id)["verdict"].as_str().unwrap();
        ["leaking", "likely-leaking", "growing"].contains(&verdict)
    }

    /// Whether it finds nothing against it.
    pub fn clears(&self, id: Id) -> bool {
        !self.flags(id) && self.service(id)["verdict"] != "suspect"
    }

    /// What it advises for the service of that process.
    pub fn remedy(&self, id: Id) -> &Value {
        let remedies = self.report["remedies"].as_array().unwrap();
        let found = remedies.iter().find(|remedy| remedy["root"]["pid"] == id.pid);
        found.unwrap_or_else(|| panic!("no advice for {id:?}: {:#}", self.report))
    }

    /// Patches the files of that server, which all lie in `dir`, and types what puts them into
    /// force.
    pub fn follow(&self, id: Id, dir: &Path) {
        let remedy = self.remedy(id);
        let (diff, apply) = (remedy["diff"].as_str().unwrap(), remedy["apply"].as_str().unwrap());
        // Of this server and no other: what is typed in here is really done.
        let of_ours = format!("{}/", dir.display());
        let mut files = diff.lines().filter_map(|line| line.strip_prefix("+++ ")).peekable();
        assert!(files.peek().is_some() && files.all(|file| file.starts_with(&of_ours)), "{diff}");
        assert!(apply.contains(&of_ours), "{apply}");
        assert!(apply.ends_with(&format!(" {}", id.pid)), "{apply}");
        assert!(self.advice.contains(diff), "what was saved is not what was told: {}", self.advice);
        let only: PathBuf = dir.join("only.patch");
        fs::write(&only, diff).unwrap();
        type_in(&format!("patch -s -p1 -d / <'{}'", only.display()));
        type_in(apply);
    }
}

/// Runs what the report says to type, as its reader would.
fn type_in(command: &str) {
    let ended = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// What was seen after an advice was followed.
pub struct Held {
    /// All requests, those from before as well.
    pub tally: Tally,
    /// The most that the cgroup held once the reload was over, in bytes. While workers end they copy
    /// what they have in common with their master; whether that fits the OOM killer tells.
    pub peak: u64,
    /// The 99th percentile during the diagnosis, and afterwards.
    pub p99_ms: (u128, u128),
    /// What those of a healthy twin took afterwards, if there is one.
    pub twin_p99_ms: Option<u128>,
    /// When it was watched.
    from: Instant,
    to: Instant,
}

impl Held {
    /// Lets the load go on for so long.
    pub fn watch(told: &Told, memory: &Cgroup, load: Load, time: Duration) -> Self {
        let (applied, mut peak) = (Instant::now(), 0);
        while applied.elapsed() < time {
            std::thread::sleep(Duration::from_millis(500));
            if applied.elapsed() > RELOADED {
                peak = peak.max(memory.usage());
            }
        }
        let after = Instant::now();
        let tally = load.finish();
        let p99_ms = (p99_ms(&tally, told.from, told.to), p99_ms(&tally, applied, after));
        Self { tally, peak, p99_ms, twin_p99_ms: None, from: applied, to: after }
    }

    /// What a healthy twin under the same load took meanwhile: a busy machine slows both.
    pub fn beside(self, twin: Load) -> Self {
        let twin_p99_ms = Some(p99_ms(&twin.finish(), self.from, self.to));
        Self { twin_p99_ms, ..self }
    }

    /// Workers hold what was promised: so many of them, so large at their end. A fifth more is what
    /// the master holds, and the kernel for them.
    pub fn assert_promised(&self, remedy: &Value) {
        let number = |name: &str| remedy["computed"][name].as_f64().unwrap();
        let promised = number("workers") * number("full_bytes");
        let most = 1.2 * promised + (32 << 20) as f64;
        assert!((self.peak as f64) < most, "{} of {most}: {remedy:#}", self.peak);
    }

    /// No request failed, the kernel killed nothing, and answers are as fast as before.
    pub fn assert_holds(&self, memory: &Cgroup) {
        assert!(self.tally.failures().is_empty(), "{}", self.tally.summary());
        assert_eq!(memory.oom_kills(), 0);
        // No timing is asserted where a busy machine decides it.
        if is_long() {
            let (before, after) = self.p99_ms;
            let before = before.max(self.twin_p99_ms.unwrap_or(0));
            // Of a few milliseconds the scheduler takes more than half.
            let most = (before * 3 / 2).max(before + 20);
            assert!(after <= most, "p99 {:?}, twin {:?} ms", self.p99_ms, self.twin_p99_ms);
        }
    }
}

/// The latency of the requests that were due within a time.
fn p99_ms(tally: &Tally, from: Instant, to: Instant) -> u128 {
    let within = tally.0.iter().filter(|r| (from..to).contains(&r.due)).cloned();
    Tally(within.collect()).percentile_ms(99)
}
