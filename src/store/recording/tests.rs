//! What is written must come back, and what is broken must be said.

use std::io::{self, Write as _};

use proptest::prelude::*;

use super::*;
use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure, MemoryFailureKind, Place};
use crate::core::model::memory_line::LineKind;
use crate::core::model::process::{Comm, Proc, ProcId, Program};
use crate::core::model::sample::{CommitCharge, Header, Memory, MemoryUse, PlaceName, Sample};

fn header() -> Header {
    Header { interval_s: 2.5, clock_ticks: 100, page_size: 4096, hostname: "a \"b\"".to_owned() }
}

fn write(samples: &[Sample]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    samples.iter().for_each(|sample| writer.write(sample).unwrap());
    writer.into_inner()
}

fn read(bytes: &[u8]) -> anyhow::Result<(Vec<Sample>, bool)> {
    let mut reader = Reader::new(bytes, "r.jsonl".to_owned())?;
    let (mut samples, mut sample) = (Vec::new(), Sample::default());
    while reader.read(&mut sample)? {
        samples.push(sample.clone());
    }
    Ok((samples, reader.is_torn()))
}

fn error(lines: &str) -> String {
    format!("{:#}", read(lines.as_bytes()).unwrap_err())
}

const HEADER: &str = r#"{"format":"leakwatch-recording","version":1,"interval_s":1}"#;
const LINE: &str = r#"{"t":2,"mem":{"total":9,"available":8},"procs":[]}"#;

/// Times in clock ticks, as the kernel tells them; JSON keeps 15 digits of a number exactly.
fn seconds() -> impl Strategy<Value = f64> {
    (0..1_000_000_000_000_u64).prop_map(|ticks| ticks as f64 / 100.0)
}

prop_compose! {
    fn any_id()(pid in any::<u32>(), start in any::<u64>()) -> ProcId {
        ProcId { pid, start }
    }
}

prop_compose! {
    fn any_proc()(
        id in any_id(),
        ppid in any::<u32>(),
        name in prop::collection::vec(any::<u8>(), 0..16),
        rss in any::<u64>(),
        anon in any::<Option<u64>>(),
        swap in any::<u64>(),
        cpu_s in seconds(),
        threads in 1_u32..,
    ) -> Proc {
        Proc { id, ppid, comm: Comm::new(&name), rss, anon, swap, cpu_s, threads }
    }
}

prop_compose! {
    fn any_sample()(
        span_s in prop::option::of(seconds()),
        uptime_s in prop::option::of(seconds()),
        cpu_s in prop::option::of(seconds()),
        sizes in any::<[u64; 4]>(),
        commit in any::<Option<(u64, u64)>>(),
        limits in prop::collection::vec((prop::option::of(any_id()), ".{0,99}", any::<u64>(), any::<u64>()), 0..3),
        struck in prop::collection::vec((prop::option::of(any_id()), ".{0,9}", any::<u64>()), 0..3),
        procs in prop::collection::vec(any_proc(), 0..6),
        used in prop::collection::vec((".{0,9}", ".{0,9}", any::<u64>()), 0..3),
        named in prop::collection::vec((".{0,99}", ".{0,9}"), 0..3),
        titles in prop::collection::vec((".{0,9}", any::<bool>(), any::<Option<bool>>()), 0..6),
    ) -> Sample {
        let [total, available, swap_total, swap_free] = sizes;
        let commit = commit.map(|(limit, used)| CommitCharge { limit, used });
        let memory = Memory { total, available, swap_total, swap_free, commit };
        let kind = CeilingKind::CgroupMemory;
        let ceilings = limits.into_iter()
            .map(|(root, place, used, limit)| {
                Ceiling { kind, root, place: Place::new(&place), used, limit }
            })
            .collect();
        let memory_failures = struck.into_iter()
            .map(|(root, place, count)| {
                let (kind, ceiling) = (MemoryFailureKind::Refused, CeilingKind::Pids);
                MemoryFailure { kind, ceiling, root, place: Place::new(&place), count }
            })
            .collect();
        let programs = procs.iter().zip(titles)
            .map(|(proc, (title, forked, permitted))| {
                let threads = proc.threads;
                Program { id: proc.id, exe: "/bin/x".to_owned(), title, threads, forked, permitted, uid: permitted.map(|_| 33), unit: permitted.map(|_| "container \"a".to_owned()) }
            })
            .collect();
        let uses = used.into_iter()
            .map(|(place, part, bytes)| {
                let kind = LineKind::SharedMemory;
                MemoryUse { place: Place::new(&place), kind, part: Place::new(&part), bytes }
            })
            .collect();
        let places = named.into_iter()
            .map(|(place, name)| PlaceName { place: Place::new(&place), name })
            .collect();
        Sample { t: 0.0, span_s, uptime_s, cpu_s, memory, ceilings, memory_failures, procs, programs, uses, places, signal_failure: None }
    }
}

proptest! {
    #[test]
    fn what_is_written_comes_back(mut samples in prop::collection::vec(any_sample(), 1..4)) {
        for (index, sample) in samples.iter_mut().enumerate() {
            sample.t = 1_700_000_000.25 + index as f64;
        }
        let bytes = write(&samples);
        prop_assert!(std::str::from_utf8(&bytes).is_ok());
        prop_assert_eq!(read(&bytes).unwrap(), (samples, false));
    }

    #[test]
    fn a_recording_cut_anywhere_is_read_up_to_there(mut samples in prop::collection::vec(any_sample(), 1..4), cut in any::<prop::sample::Index>()) {
        samples.iter_mut().enumerate().for_each(|(index, sample)| sample.t = index as f64);
        let bytes = write(&samples);
        let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        let cut = first + cut.index(bytes.len() - first);
        let (read, torn) = read(&bytes[..cut]).unwrap();
        prop_assert_eq!(&read[..], &samples[..read.len()]);
        prop_assert_eq!(torn, cut > first && bytes[cut - 1] != b'\n' && bytes.get(cut) != Some(&b'\n'));
    }
}

#[test]
fn usual_lines_are_read_quickly_and_spaced_ones_too() {
    let bytes = include_bytes!("../../../tests/recordings/prefork-leak.jsonl.gz");
    let text = io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap();
    let spaced = text.replace(':', ": ").replace(',', ", ");
    let (mut sample, mut slow) = (Sample::default(), Sample::default());
    for line in text.lines().skip(1).chain(spaced.lines().skip(1)) {
        fast_parse::read(line.as_bytes(), &mut sample).expect(line);
        read::parse_any(line.as_bytes(), &mut slow).unwrap();
        assert_eq!(sample, slow);
    }
}

#[test]
fn what_is_no_json_is_not_read_quickly() {
    let mut sample = Sample::default();
    for (right, wrong) in [
        (LINE, "{LINE}"),
        ("\"t\":2", "\"t\":02"),
        ("\"t\":2", "\"t\":2."),
        ("\"t\":2", "\"t\":2}"),
        ("\"t\":2,", "\"t\":2,,"),
        ("\"t\":2,", ""),
        ("\"procs\":[]", "\"procs\":[,]"),
        ("\"procs\":[]", "\"procs\":[{}]"),
        ("8}", "8]"),
    ] {
        let line = LINE.replace(right, wrong);
        assert!(line != LINE && fast_parse::read(line.as_bytes(), &mut sample).is_none(), "{line}");
        assert!(parse_sample(line.as_bytes(), &mut sample).is_err(), "{line}");
    }
}

#[test]
fn any_name_comes_back() {
    for name in ["\u{f780}".as_bytes(), b"\x80\xff", b"a\"\\\n\x7f", "\u{e9}\u{1f40f}".as_bytes()] {
        let (id, comm) = (ProcId { pid: 1, start: 1 }, Comm::new(name));
        let proc = Proc { id, ppid: 0, comm, rss: 1, anon: None, swap: 0, cpu_s: 0.0, threads: 1 };
        let bytes = write(&[Sample { t: 1.0, procs: vec![proc], ..Sample::default() }]);
        assert_eq!(read(&bytes).unwrap().0[0].procs[0].comm, comm);
    }
}

#[test]
fn a_recording_may_be_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.gz");
    let file = std::fs::File::create(&path).unwrap();
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gz.write_all(format!("{HEADER}\n{LINE}\n").as_bytes()).unwrap();
    gz.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut sample = Sample::default();
    assert!(reader.read(&mut sample).unwrap());
    assert_eq!((sample.t, sample.memory.total), (2.0, 9));
    assert!(!reader.read(&mut sample).unwrap());
}

#[test]
fn commit_counts_only_where_the_kernel_enforces_it() {
    let with = |mode: &str| {
        let mem = format!(r#""total":9,"available":8,"commit_limit":7,"committed":6{mode}"#);
        let line = format!(r#"{{"t":2,"mem":{{{mem}}},"procs":[]}}"#);
        read(format!("{HEADER}\n{line}\n").as_bytes()).unwrap().0[0].memory.commit
    };
    assert_eq!(with(""), None);
    assert_eq!(with(r#","overcommit":0"#), None);
    assert_eq!(with(r#","overcommit":2"#), Some(CommitCharge { limit: 7, used: 6 }));
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    for (lines, expected) in [
        (String::new(), "r.jsonl: is empty"),
        ("{}\n".to_owned(), "r.jsonl, line 1: is not a recording's header: missing field `format`"),
        (HEADER.replace(":1,", ":3,"), "r.jsonl, line 1: version 3 is newer than 2"),
        (HEADER.replace("s\":1", "s\":0"), "r.jsonl, line 1: interval_s is 0; it must be"),
        (
            format!("{HEADER}\n{LINE}\n{LINE}\n"),
            "r.jsonl, line 3: t is 2 after 2, but t must increase",
        ),
        (format!("{HEADER}\n{{\"t\":1}}\n"), "r.jsonl, line 2: missing field `mem`"),
        (format!("{HEADER}\n{LINE}{LINE}\n"), "r.jsonl, line 2: trailing characters"),
        (format!("{HEADER}\n{{\"t\":\n{LINE}\n"), "r.jsonl, line 2: EOF while parsing a value"),
    ] {
        let error = error(&lines);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn fuzz_recordings() {
    let bytes = include_bytes!("../../../tests/recordings/prefork-leak.jsonl.gz");
    let text = io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap();
    let full = r#"{"t":2,"span_s":4,"uptime":8.5,"cpu":1,"mem":{"total":9,"available":8,"commit_limit":7,"committed":6,"overcommit":2},"ceilings":[{"kind":"pids","root":[8,9],"place":"/a","used":1,"limit":2}],"memory_failures":[{"kind":"refused","ceiling":"pids","root":[8,9],"count":1}],"procs":[{"pid":8,"ppid":1,"start":9,"comm":"a\uf780","rss":1,"anon":1,"swap":0,"cpu":1.5,"exe":"/x","title":"x","threads":2,"forked":true,"permitted":true}]}"#;
    let mut corpus: Vec<&[u8]> = text.lines().take(3).map(str::as_bytes).collect();
    corpus.extend([HEADER, LINE, full].map(str::as_bytes));
    let mut sample = Sample::default();
    crate::core::fuzz::fuzz("recording lines", 4, &corpus, |line| {
        let _ = parse_header(line);
        // What is read quickly is read rightly.
        if fast_parse::read(line, &mut sample).is_some() {
            let mut slow = Sample::default();
            read::parse_any(line, &mut slow).unwrap();
            assert_eq!(sample, slow);
        }
        // What can be read can be written, and reads the same.
        if parse_sample(line, &mut sample).is_ok() {
            let mut out = Vec::new();
            Writer::resume(&mut out).write(&sample).unwrap();
            let mut again = Sample::default();
            parse_sample(&out, &mut again).unwrap();
            assert_eq!(again.procs.len(), sample.procs.len());
        }
    });
    let whole = format!("{HEADER}\n{LINE}\n{full}\n");
    crate::core::fuzz::fuzz("recordings", 4, &[whole.as_bytes(), bytes], |bytes| drop(read(bytes)));
}
