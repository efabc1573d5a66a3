//! What a tick costs, beside what it could cost at least and what the crates cost.
//!
//! ```text
//! cargo bench --bench tick            # 20, 100 and 1000 workers
//! cargo bench --bench tick -- 10000   # or so many
//! ```
//!
//! Real sleepers under one master. All columns come from one run and are the best of many rounds,
//! in microseconds a process: *floor*, a bare loop of pread on kept statm files; *sample*, the
//! probe's tick; *tick*, the same with the engine's judgement; *procfs*, stat and status by that
//! crate; *sysinfo*, its refresh of memory and CPU of these processes. *glance* is a look between samples
//! at what is left, in microseconds for all: the limits of this machine and of the workers' cgroup.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use leakwatch::core::decide::glances::Glances;
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::sample::Sample;
use leakwatch::system::machine;
use leakwatch::system::proc::{Selection, SelectionArgs};
use leakwatch::system::sampler::Sampler;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// A master with sleeping workers, all killed on drop.
struct Sleepers {
    starter: Child,
    pids: Vec<u32>,
    _dir: tempfile::TempDir,
}

impl Sleepers {
    fn new(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [shell, sleep] = ["lwbench-master", "lwbench"].map(|name| dir.path().join(name));
        fs::copy("/bin/sh", &shell).unwrap();
        fs::copy("/bin/sleep", &sleep).unwrap();
        let master = format!(
            "i=0; while [ $i -lt {count} ]; do {} 10000 & i=$((i+1)); done; echo $$; wait",
            sleep.display()
        );
        // A child of this process would pass for leakwatch's own helper and not be watched.
        let script = format!("{} -c '{master}' & wait", shell.display());
        let mut starter = Command::new("/bin/sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = starter.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", line.trim());
        let is_started = |pid: &u32| {
            fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == b"lwbench\n")
        };
        // Each has made its exec when it has its own name.
        let pids = loop {
            let text = fs::read_to_string(&children).unwrap();
            let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
            if pids.len() == count && pids.iter().all(is_started) {
                break pids;
            }
        };
        Self { starter, pids, _dir: dir }
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(-self.starter.id().cast_signed());
        let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.starter.wait();
    }
}

/// Microseconds a round, best of many.
fn best(rounds: u32, mut round: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64() * 1e6
        })
        .fold(f64::INFINITY, f64::min)
}

fn floor(pids: &[u32], rounds: u32) -> f64 {
    let files: Vec<File> =
        pids.iter().map(|pid| File::open(format!("/proc/{pid}/statm")).unwrap()).collect();
    let mut sum = 0;
    let cost = best(rounds, || {
        for file in &files {
            let mut buffer = [0; 128];
            let n = file.read_at(&mut buffer, 0).unwrap();
            let mut fields = buffer[..n].split(|b| *b == b' ').skip(1);
            let mut field =
                || fields.next().unwrap().iter().fold(0_u64, |v, b| v * 10 + u64::from(b - b'0'));
            sum += field() - field();
        }
    });
    std::hint::black_box(sum);
    cost
}

/// The probe's tick alone, and with the engine; and a glance.
fn ours(count: usize, rounds: u32) -> (f64, f64, f64) {
    // Ten thousand are more than are watched unless it is asked for.
    let (patterns, most) = (vec!["lwbench".to_owned()], Some(count as u32 + 1));
    let words = SelectionArgs { patterns, most, ..SelectionArgs::default() };
    let selection = Selection::new(&words, Path::new("/etc/passwd")).unwrap();
    let mut probe = Sampler::new(Path::new("/proc"), None, selection, None).unwrap();
    let rules = Rules::default();
    let mut engine =
        Engine::new(&machine::header(5.0), EngineSettings { max_extrapolation: 6.0, rules });
    let mut sample = Sample::default();
    let mut t = 1e9;
    let mut tick = |judge: bool| {
        t += 5.0;
        probe.sample(t, Some(t - 1e9), &mut sample).unwrap();
        if judge {
            engine.observe(&sample);
        }
    };
    // Young processes are read more closely: an hour's worth of samples.
    (0..640).for_each(|_| tick(true));
    // A round is 16 ticks, so that all that is done now and then is in it.
    let whole = best(rounds, || (0..16).for_each(|_| tick(true))) / 16.0;
    let sample_only = best(rounds, || (0..16).for_each(|_| tick(false))) / 16.0;
    assert_eq!(sample.procs.len(), count + 1);
    let (mut glances, mut glanced) = (Glances::default(), Vec::new());
    let near_s = engine.policy().near_s();
    let mut at_s = 0.0;
    let glance = best(rounds, || {
        for _ in 0..16 {
            at_s += 1.0;
            probe.glance(&mut glanced).unwrap();
            std::hint::black_box(glances.observe(at_s, glanced.iter().copied(), near_s));
        }
    });
    (sample_only, whole, glance / 16.0)
}

fn by_procfs(pids: &[u32], rounds: u32) -> f64 {
    best(rounds, || {
        for pid in pids {
            let process = procfs::process::Process::new(pid.cast_signed()).unwrap();
            std::hint::black_box((process.stat().unwrap(), process.status().unwrap()));
        }
    })
}

fn by_sysinfo(pids: &[u32], rounds: u32) -> f64 {
    let pids: Vec<Pid> = pids.iter().map(|pid| Pid::from_u32(*pid)).collect();
    let mut system = System::new().unwrap();
    let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
    best(rounds, || {
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
    })
}

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let counts = if asked.is_empty() { vec![20, 100, 1000] } else { asked };
    println!(
        "µs a process   floor  sample    tick  procfs  sysinfo   tick/floor  procfs/tick  glance"
    );
    for count in counts {
        let sleepers = Sleepers::new(count);
        let rounds = (20_000 / count).clamp(5, 400) as u32;
        let n = count as f64;
        let floor = floor(&sleepers.pids, rounds * 4) / n;
        let (sample, tick, glance) = ours(count, rounds);
        let (sample, tick) = (sample / n, tick / n);
        let procfs = by_procfs(&sleepers.pids, rounds.min(40)) / n;
        let sysinfo = by_sysinfo(&sleepers.pids, rounds.min(40)) / n;
        println!(
            "{count:>8} procs {floor:>7.2} {sample:>7.2} {tick:>7.2} {procfs:>7.1} {sysinfo:>8.1} {:>12.2} {:>12.1} {glance:>7.1}",
            tick / floor,
            procfs / tick
        );
    }
}
