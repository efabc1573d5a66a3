//! Every file that a sample reads is garbled, for a moment or for good: no panic, no healthy process is
//! flagged, no order without a reason, and the leak is still found.
//!
//! In process and on a clock of its own. Some of the cases in every run; all of them, 1920, with
//! LEAKWATCH_FAULTS=all, those of some files with a part of their path for `all`.

use std::fs;
use std::path::Path;

use crate::fake_proc::{Fake, FakeProc, pid};
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::event::Event;
use leakwatch::core::model::sample::Sample;
use leakwatch::system::machine;
use leakwatch::system::proc::{Selection, SelectionArgs};
use leakwatch::system::sampler::Sampler;

const MASTER: u32 = 0;
const LEAKY: u32 = 4;
/// Samples of a case, one a second; the leak is known after some hundred.
const SAMPLES: u32 = 260;
/// The first that the garbage is there for: the leak is not known yet.
const FROM: u32 = 60;

/// A server with three healthy workers and one that leaks 1 MiB a second, on a machine of 4 GiB that
/// swaps, in a cgroup with limits.
fn server() -> FakeProc {
    let proc = FakeProc::with_memory_kib(4 << 20).with_cgroups();
    let meminfo = fs::read_to_string(proc.path().join("meminfo")).unwrap();
    let swaps = meminfo
        .replace("SwapTotal:             0 kB", "SwapTotal:       2097152 kB")
        .replace("SwapFree:              0 kB", "SwapFree:        1048576 kB");
    assert_ne!(meminfo, swaps);
    proc.write("meminfo", swaps);
    proc.write("self/limits", "");
    let parent = Fake::new(pid(MASTER), "app").holding_kib(20 << 10);
    proc.show(&parent);
    for nth in 1..=LEAKY {
        proc.show(&Fake { pid: pid(nth), ppid: pid(MASTER), ..parent.clone() });
    }
    for nth in MASTER..=LEAKY {
        let head = "Limit                     Soft Limit           Hard Limit           Units\n";
        let limits = format!(
            "{head}Max processes             31000                31000                processes\n"
        );
        proc.with(pid(nth), "limits", limits);
        proc.with(pid(nth), "maps", "7f0000000000-7f0100000000 rw-p 00000000 00:00 0 [heap]\n");
    }
    proc.write(
        "user_beancounters",
        "Version: 2.5\n       uid  resource           held    maxheld    barrier      limit    failcnt\n      \
         101:  kmemsize        2752512    2932736 1433600000 1479016400          0\n            \
         privvmpages       49152      50176    1048576    1048576         12\n            \
         numproc              24         31       2400       2400          0\n",
    );
    proc
}

/// The files that are read; of processes those of the master, of a healthy and of the leaking worker.
fn files() -> Vec<String> {
    let slice = "fake-sys/fs/cgroup/system.slice";
    let machine = [
        "meminfo",
        "stat",
        "loadavg",
        "vmstat",
        "pressure/memory",
        "sys/vm/overcommit_memory",
        "sys/kernel/pid_max",
        "sys/kernel/threads-max",
        "user_beancounters",
        "self/mountinfo",
        "self/cgroup",
    ];
    let group = ["memory.max", "memory.current", "memory.stat", "memory.events", "pids.max"];
    let service = ["pids.max", "pids.current", "pids.events"];
    let process = ["stat", "statm", "status", "cmdline", "cgroup", "limits", "maps"];
    let all = machine.map(str::to_owned).into_iter();
    let all = all.chain(group.map(|name| format!("{slice}/{name}")));
    let all = all.chain(service.map(|name| format!("{slice}/fixture.service/{name}")));
    all.chain(
        [MASTER, 1, LEAKY]
            .into_iter()
            .flat_map(|nth| process.map(|name| format!("{}/{name}", pid(nth)))),
    )
    .collect()
}

/// Makes something else of a file's text.
type Garble = fn(&str) -> Vec<u8>;

/// What takes the place of a file's text.
const GARBAGE: [(&str, Garble); 12] = [
    ("nothing", |_| Vec::new()),
    ("an empty line", |_| b"\n".to_vec()),
    ("one byte", |text| text.bytes().take(1).collect()),
    ("half of it", |text| text.bytes().take(text.len() / 2).collect()),
    ("two thirds of it", |text| text.bytes().take(text.len() * 2 / 3).collect()),
    ("all but its end", |text| text.bytes().take(text.len() - 2).collect()),
    ("noise", |_| (0_u32..512).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
    ("a megabyte without a line", |_| vec![b'7'; 1 << 20]),
    ("a megabyte of itself", |text| text.repeat((1 << 20) / text.len()).into_bytes()),
    ("negative numbers", |text| numbers(text, "-1")),
    ("huge numbers", |text| numbers(text, "18446744073709551615")),
    ("numbers that are none", |text| numbers(text, "99999999999999999999999")),
];

/// The text with another number for each, but for the pid at its start.
fn numbers(text: &str, other: &str) -> Vec<u8> {
    let mut out = String::new();
    let mut digits = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !digits {
            out += other;
        }
        digits = c.is_ascii_digit();
    }
    out.into_bytes()
}

/// How long the garbage stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Once,
    EveryThird,
    FromThenOn,
    FromTheStart,
}

impl When {
    fn is_now(self, sample: u32) -> bool {
        match self {
            Self::Once => sample == FROM,
            Self::EveryThird => sample >= FROM && sample.is_multiple_of(3),
            Self::FromThenOn => sample >= FROM,
            Self::FromTheStart => true,
        }
    }
}

/// What came of a case.
#[derive(Debug, Default)]
struct Found {
    leak: bool,
    /// Samples that could not be taken.
    failed: u32,
    wrong: Vec<String>,
}

fn run(file: &str, garbage: Garble, when: When) -> Found {
    let proc = server();
    let path = proc.path().join(file);
    let words = SelectionArgs { patterns: vec!["^app$".to_owned()], ..SelectionArgs::default() };
    let selection = Selection::new(&words, Path::new("/etc/passwd")).unwrap();
    let mut found = Found::default();
    let (mut kept, mut is_there) = (fs::read_to_string(&path).unwrap(), false);
    let change = |kept: &str, there: bool| {
        fs::write(&path, if there { garbage(kept) } else { kept.as_bytes().to_vec() }).unwrap();
    };
    let of_leaky = path.parent() == Some(&proc.path().join(pid(LEAKY).to_string()));
    let grows = of_leaky && ["stat", "statm", "status"].iter().any(|name| path.ends_with(name));
    if when == When::FromTheStart {
        change(&kept, true);
        is_there = true;
    }
    let budget = Some(2 << 30);
    let Ok(mut probe) = Sampler::new(proc.path(), Some(&proc.sysfs()), selection, budget) else {
        found.failed = SAMPLES;
        return found;
    };
    let mut engine = Engine::new(
        &machine::header(1.0),
        EngineSettings { max_extrapolation: 6.0, rules: Rules::default() },
    );
    let mut sample = Sample::default();
    let mut said = Vec::new();
    for nth in 0..SAMPLES {
        let leaky = Fake::new(pid(LEAKY), "app").child_of(pid(MASTER));
        proc.grow(&leaky.holding_kib((20 << 10) + u64::from(nth) * 1024));
        if grows {
            (kept, is_there) = (fs::read_to_string(&path).unwrap(), false);
        }
        if when.is_now(nth) != is_there {
            is_there = when.is_now(nth);
            change(&kept, is_there);
        }
        let t = f64::from(nth);
        if probe.sample(1e9 + t, Some(1e6 + t), &mut sample).is_err() {
            found.failed += 1;
            continue;
        }
        for program in &mut sample.programs {
            program.permitted = Some(true);
        }
        for event in engine.observe(&sample).events() {
            match event {
                Event::Leak(finding) if finding.id.pid == pid(LEAKY) => found.leak = true,
                Event::Growing(finding) if finding.id.pid == pid(LEAKY) => {}
                Event::Leak(_) | Event::Growing(_) | Event::Order(_) => {
                    found.wrong.push(format!("sample {nth}: {event:?}"));
                }
                _ => {}
            }
        }
        for note in probe.take_notes() {
            if said.contains(&note) {
                found.wrong.push(format!("said again: {note}"));
            }
            said.push(note);
        }
    }
    found
}

/// Runs the cases that `chosen` picks by their number, on both processors.
fn all_of(cases: &[(String, usize, When)]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((file, garbage, when)) = cases.get(index) else { return };
                    let (name, make) = GARBAGE[*garbage];
                    let case = format!("{file}: {name}, {when:?}");
                    let made = std::panic::catch_unwind(|| run(file, make, *when));
                    let Ok(found) = made else {
                        wrong.lock().unwrap().push(format!("{case}: panicked"));
                        continue;
                    };
                    let mut wrong = wrong.lock().unwrap();
                    wrong.extend(found.wrong.iter().take(2).map(|what| format!("{case}: {what}")));
                    let brief = matches!(when, When::Once | When::EveryThird);
                    if brief && !found.leak {
                        wrong.push(format!("{case}: the leak was not found: {found:?}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} in {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn garbled_files_hide_no_leak_and_flag_no_healthy_process() {
    let whens = [When::Once, When::EveryThird, When::FromThenOn, When::FromTheStart];
    let mut cases = Vec::new();
    for file in files() {
        for garbage in 0..GARBAGE.len() {
            cases.extend(whens.map(|when| (file.clone(), garbage, when)));
        }
    }
    let asked = std::env::var("LEAKWATCH_FAULTS").unwrap_or_default();
    // 23 has no factor in common with the numbers of garbage and moments: every pair of them comes.
    let is_chosen = |n: usize, file: &str| match asked.as_str() {
        "" => n.is_multiple_of(23),
        "all" => true,
        part => file.contains(part),
    };
    let chosen = cases.into_iter().enumerate().filter(|(n, (file, ..))| is_chosen(*n, file));
    let chosen: Vec<_> = chosen.map(|(_, case)| case).collect();
    all_of(&chosen);
}
