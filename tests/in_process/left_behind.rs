//! No recording of a machine without orphans has a pile, whatever part of it a look would have seen.

use leakwatch::core::origin::folded;
use leakwatch::core::piles::{Census, Kind, Piles, Seen};
use leakwatch::store::recording::Reader;
use std::path::Path;

/// Censuses in a look.
const CENSUSES: usize = 40;

/// All samples as censuses: what a look at all processes would have seen of the recorded ones.
fn censuses(path: &Path) -> Vec<Census> {
    let mut reader = Reader::open(path).unwrap();
    let mut sample = Default::default();
    let mut all = Vec::new();
    while reader.read(&mut sample).unwrap() {
        let kind = |program: &leakwatch::core::model::process::Program| Kind {
            exe: program.exe.clone(),
            title: folded(&program.title),
            uid: program.uid.unwrap_or(0),
            origin: String::new(),
        };
        let seen = |proc: &leakwatch::core::model::process::Proc| Seen {
            id: proc.id,
            ppid: proc.ppid,
            comm: proc.comm,
            is_zombie: false,
            footprint: proc.footprint(),
            cpu_s: proc.cpu_s,
            files: 0,
        };
        all.push(Census {
            t: sample.t,
            procs: sample.procs.iter().map(seen).collect(),
            kinds: sample.programs.iter().map(|program| (program.id, kind(program))).collect(),
        });
    }
    all
}

#[test]
fn servers_and_builds_are_no_piles() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let (mut looks, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        let all = censuses(&path);
        // Looks of 40 samples in a row, and one over the whole recording.
        let step = (all.len() / CENSUSES).max(1);
        let whole: Vec<&Census> = all.iter().step_by(step).collect();
        let parts = all.chunks(CENSUSES).map(|part| part.iter().collect::<Vec<_>>());
        for look in parts.chain([whole]) {
            let [first, .., last] = &look[..] else { continue };
            looks += 1;
            let mut piles = Piles::new((last.t - first.t) / look.len() as f64);
            // Programs are told once in a recording, and by the first census of a look.
            let told = all.iter().take_while(|census| census.t <= last.t);
            let kinds: Vec<_> = told.flat_map(|census| census.kinds.clone()).collect();
            for (nth, census) in look.iter().enumerate() {
                let kinds = if nth == 0 { kinds.clone() } else { census.kinds.clone() };
                piles.push(&Census { kinds, ..(*census).clone() });
            }
            wrong.extend(piles.piles().into_iter().map(|pile| (path.clone(), first.t, pile)));
        }
    }
    assert!(looks > 50, "{looks}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
