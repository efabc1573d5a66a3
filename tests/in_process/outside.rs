//! Memory that goes where no process has it: the watch says where, and a recording of it says the same.

use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::ceiling::{Ceiling, CeilingKind, Place};
use leakwatch::core::model::event::{Cause, Event};
use leakwatch::core::model::memory_line::LineKind;
use leakwatch::core::model::process::{Comm, Proc, ProcId};
use leakwatch::core::model::sample::{Header, Memory, MemoryUse, Sample};
use leakwatch::store::recording::{Reader, Writer};

const MIB: u64 = 1 << 20;
/// Bytes of the machine, and what is left at first.
const TOTAL: u64 = 2048 * MIB;
const LEFT: u64 = 1600 * MIB;

fn header() -> Header {
    Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: String::new() }
}

fn engine() -> Engine {
    let rules = Rules { act: false, ..Rules::default() };
    Engine::new(&header(), EngineSettings { max_extrapolation: 6.0, rules })
}

/// A machine with one process that stays as it is, after `second` seconds in which 4 MiB each went to
/// that kind, below that limit.
fn sample(second: u64, kind: LineKind, part: &str, group: Option<&str>) -> Sample {
    let grown = 4 * MIB * second;
    let id = ProcId { pid: 70, start: 70 };
    let proc = Proc {
        id,
        ppid: 1,
        comm: Comm::new(b"app"),
        rss: 50 * MIB,
        anon: Some(40 * MIB),
        swap: 0,
        cpu_s: 0.0,
        threads: 1,
    };
    let place = group.map_or(Place::NONE, Place::new);
    let of = |kind, part, bytes| MemoryUse { place, kind, part, bytes };
    let mut uses = vec![
        of(LineKind::Anonymous, Place::NONE, 300 * MIB),
        of(LineKind::Arc, Place::NONE, 5 * MIB),
        of(kind, Place::NONE, 10 * MIB + grown),
    ];
    if !part.is_empty() {
        uses.push(of(kind, Place::new("tmpfs /dev/shm"), 9 * MIB));
        uses.push(of(kind, Place::new(part), MIB + grown));
    }
    let available = if group.is_some() { 100 * LEFT } else { LEFT - grown };
    let total = if group.is_some() { 100 * TOTAL } else { TOTAL };
    let used = TOTAL - LEFT + grown;
    let kind = CeilingKind::CgroupMemory;
    let ceiling = Ceiling { kind, root: Some(id), place, used, limit: TOTAL };
    Sample {
        t: 1e9 + second as f64,
        memory: Memory { total, available, ..Memory::default() },
        ceilings: group.map(|_| ceiling).into_iter().collect(),
        procs: vec![proc],
        uses,
        ..Sample::default()
    }
}

/// The causes of the forecasts that an engine gives, with what was left then.
fn causes(engine: &mut Engine, sample: &Sample) -> Vec<(Option<Cause>, u64)> {
    let events = engine.observe(sample).events();
    let forecasts = events.filter_map(|event| match event {
        Event::Forecast { forecast, cause, .. } => Some((cause, forecast.headroom)),
        _ => None,
    });
    forecasts.collect()
}

/// The causes of a run live, after it was shown that its recording gives the same.
fn told(kind: LineKind, part: &str, group: Option<&str>) -> Vec<(Option<Cause>, u64)> {
    let mut live = engine();
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    let mut told = Vec::new();
    for second in 0..380 {
        let sample = sample(second, kind, part, group);
        writer.write(&sample).unwrap();
        told.extend(causes(&mut live, &sample));
    }
    let recording = writer.into_inner();
    let mut reader = Reader::new(&recording[..], "r".to_owned()).unwrap();
    let (mut replayed, mut sample, mut again) = (engine(), Sample::default(), Vec::new());
    while reader.read(&mut sample).unwrap() {
        again.extend(causes(&mut replayed, &sample));
    }
    assert_eq!(told, again);
    told
}

#[test]
fn what_grows_outside_processes_is_named_while_three_tenths_are_left() {
    for (kind, part) in [
        (LineKind::SharedMemory, "tmpfs /run/shop"),
        (LineKind::SharedMemory, ""),
        (LineKind::SlabUnreclaimable, ""),
        (LineKind::PageTables, ""),
        (LineKind::KernelStacks, ""),
        (LineKind::Vmalloc, ""),
        (LineKind::Percpu, ""),
        (LineKind::HugePages, ""),
        (LineKind::Sockets, ""),
        (LineKind::Zswap, ""),
    ] {
        let told = told(kind, part, None);
        let (cause, left) = told.first().expect("a forecast");
        let cause = cause.expect("a cause");
        let part = if part.is_empty() { Place::NONE } else { Place::new(part) };
        assert_eq!((cause.kind, cause.part), (kind, part));
        assert!((cause.rate / MIB as f64 - 4.0).abs() < 0.2, "{cause:?}");
        assert!(*left > 3 * LEFT / 10, "{left} of {LEFT} left when {} was named", kind.name());
    }
}

#[test]
fn what_stops_growing_at_a_quarter_of_the_way_or_comes_back_under_pressure_is_not_named() {
    let mut engine = engine();
    for second in 0..2000 {
        let at = |second| sample(second, LineKind::SharedMemory, "tmpfs /run/shop", None);
        let now = Sample { t: 1e9 + second as f64, ..at(second.min(100)) };
        assert_eq!(causes(&mut engine, &now), [], "a store that fills the size it was given");
    }
    let told = told(LineKind::PageCache, "", None);
    assert!(told.iter().all(|(cause, _)| cause.is_none()), "{told:?}");
}

#[test]
fn what_grows_below_the_limit_of_a_cgroup_is_named_too() {
    let told = told(LineKind::Sockets, "", Some("/system.slice/shop.service"));
    let (cause, _) = told.first().expect("a forecast");
    assert_eq!(cause.map(|cause| cause.kind), Some(LineKind::Sockets));
}

#[test]
fn a_recording_of_version_1_is_read_and_has_no_causes() {
    let text = "{\"format\":\"leakwatch-recording\",\"version\":1,\"interval_s\":1}\n\
        {\"t\":1,\"mem\":{\"total\":2,\"available\":1},\"procs\":[]}\n";
    let mut reader = Reader::new(text.as_bytes(), "r".to_owned()).unwrap();
    let mut sample = Sample::default();
    assert!(reader.read(&mut sample).unwrap());
    assert_eq!((sample.uses.len(), sample.places.len()), (0, 0));
}
