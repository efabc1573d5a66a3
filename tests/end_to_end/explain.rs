//! A verdict explains itself: `replay --explain` as a user meets it.

use std::path::Path;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use leakwatch::core::model::process::{Comm, Proc, ProcId};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use leakwatch::store::recording::Writer;

const MIB: u64 = 1 << 20;

/// A recording of 300 samples a second apart: pid 9 leaks 1 MiB/s and exits after 200 samples,
/// another process gets its pid; pid 8 is flat.
fn record(path: &Path) {
    let header =
        Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: "vps1".to_owned() };
    let mut writer = Writer::new(std::fs::File::create(path).unwrap(), &header).unwrap();
    for k in 0..300_u64 {
        let proc = |pid, start, mib| Proc {
            id: ProcId { pid, start },
            ppid: 1,
            comm: Comm::new(b"app"),
            rss: mib * MIB,
            anon: Some(mib * MIB),
            swap: 0,
            cpu_s: 0.0,
            threads: 1,
        };
        let (start, grown) = if k < 200 { (9, k) } else { (20_000, 0) };
        let available = 4096 * MIB - grown * MIB;
        writer
            .write(&Sample {
                t: 1e9 + k as f64,
                memory: Memory { total: 8192 * MIB, available, ..Memory::default() },
                procs: vec![proc(8, 8, 50), proc(9, start, 100 + grown)],
                ..Sample::default()
            })
            .unwrap();
    }
}

fn explain(target: &str) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    record(&file);
    Cli::leakwatch(["replay", "--explain", target, file.to_str().unwrap()]).end(PROMPTLY)
}

/// The heads of the blocks, without their times.
fn heads(ended: &Ended) -> Vec<String> {
    let lines = ended.out.all().iter().map(|line| line.text()).collect::<Vec<_>>();
    let head = |line: &String| Some(line.split_once("Z  ")?.1.to_owned());
    lines.iter().filter_map(head).collect()
}

#[test]
fn every_change_of_verdict_is_explained_and_the_exit_and_the_end() {
    let ended = explain("9");

    assert_eq!(
        heads(&ended),
        [
            "app[9] started 9: new -> stable",
            "app[9] started 9: stable -> growing",
            "app[9] started 9: gone, was growing",
            "app[9] started 20000: new -> stable",
            "app[9] started 20000: stable at the end of the recording",
        ],
        "{}",
        ended.out.text()
    );
    let text = ended.out.text();
    for words in [
        "=> growing: on the way to patient",
        "for patient, small for its own size",
        "=> stable: growth is too small, also in ",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert_eq!(ended.code, Some(0), "memory lasts for more than two days");
}

#[test]
fn a_start_time_distinguishes_processes_with_one_pid() {
    let ended = explain("9:20000");

    assert_eq!(heads(&ended).len(), 2, "{}", ended.out.text());
}

#[test]
fn a_process_that_is_not_in_the_recording_cannot_be_explained() {
    let ended = explain("77");

    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("no such process 77"), "{}", ended.err.text());
}
