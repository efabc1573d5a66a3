use super::*;

const MIB: u64 = 1 << 20;

fn kind(title: &str) -> PileKind {
    let exe = "/usr/bin/node".to_owned();
    PileKind { exe, title: title.to_owned(), uid: 1000, origin: "session of user #".to_owned() }
}

fn seen(pid: u32, ppid: u32, comm: &str, mib: u64) -> Seen {
    let (id, comm) = (ProcId { pid, start: u64::from(pid) }, Comm::new(comm.as_bytes()));
    let (footprint, is_zombie) = (mib * MIB, false);
    Seen { id, ppid, comm, is_zombie, footprint, cpu_s: 0.0, files: 0 }
}

/// Shows listings a second and a half apart; `procs` has those of each.
fn watch(listings: u32, procs: impl Fn(u32) -> Vec<Seen>) -> Piles {
    let mut piles = Piles::new(1.5);
    let mut known: Vec<ProcId> = Vec::new();
    for nth in 0..listings {
        let procs = procs(nth);
        let new = procs.iter().filter(|seen| !known.contains(&seen.id) && !seen.is_zombie);
        let kinds: Vec<_> = new.map(|seen| (seen.id, kind(&seen.comm.to_string()))).collect();
        known.extend(kinds.iter().map(|(id, _)| *id));
        piles.push(&Listing { t: 1000.0 + 1.5 * f64::from(nth), procs, kinds });
    }
    piles
}

#[test]
fn orphans_that_are_left_behind_one_after_another_are_a_pile() {
    let piles = watch(40, |nth| {
        let orphans = (0..4 + nth / 2).map(|n| seen(100 + n, 1, "mcp-server", 17));
        orphans.chain([seen(1, 0, "init", 5), seen(9, 1, "agent", 200)]).collect()
    });
    let found = piles.piles();
    assert_eq!(found.len(), 1, "{found:?}");
    let pile = &found[0];
    assert_eq!((pile.processes, pile.orphans, pile.bytes), (23, 23, 23 * 17 * MIB));
    assert!((pile.number.rate * 3.0 - 1.0).abs() < 0.1, "one in three seconds: {pile:?}");
    let lasts_s = pile.lasts_s(1000 * MIB, Some(10_000)).unwrap();
    assert!((150.0..220.0).contains(&lasts_s), "{lasts_s}");
    assert_eq!(pile.pids[0], 100);
}

#[test]
fn orphans_that_grow_together_are_a_pile() {
    let piles = watch(40, |nth| {
        (0..26)
            .map(|n| Seen {
                footprint: (17 * MIB) + u64::from(nth) * MIB,
                ..seen(100 + n, 1, "a", 0)
            })
            .collect()
    });
    let found = piles.piles();
    assert_eq!((found.len(), found[0].processes), (1, 26));
    assert!((found[0].size.rate / (26.0 * MIB as f64 / 1.5) - 1.0).abs() < 0.05);
}

#[test]
fn what_works_ends_or_has_one_living_parent_is_no_pile() {
    let jobs = watch(40, |nth| (nth..nth + 8).map(|n| seen(100 + n, 1, "job", 50)).collect());
    assert!(jobs.piles().is_empty(), "they end");
    let pool = |nth: u32| {
        let workers = (0..2 + nth).map(|n| seen(100 + n, 50, "worker", 20));
        workers.chain([seen(50, 1, "master", 20)]).collect()
    };
    assert!(watch(40, pool).piles().is_empty(), "the detector judges them");
    let busy = |nth: u32| {
        let cpu_s = 0.3 * f64::from(nth);
        (0..2 + nth).map(|n| Seen { cpu_s, ..seen(100 + n, 1, "work", 20) }).collect()
    };
    assert!(watch(40, busy).piles().is_empty(), "they work");
    let flat = watch(40, |_| (0..30).map(|n| seen(100 + n, 1, "getty", 20)).collect());
    assert!(flat.piles().is_empty(), "nothing grows");
}

#[test]
fn what_is_started_at_once_and_stays_is_no_pile() {
    for (from, more) in [(5, 20), (12, 15), (20, 12), (8, 4)] {
        let started = |nth: u32| nth.saturating_sub(from).min(more);
        let shims =
            |nth: u32| (0..started(nth)).map(|n| seen(100 + n, 1, "containerd-shim", 12)).collect();
        assert!(watch(40, shims).piles().is_empty(), "{more} from census {from} on");
    }
}

fn zombie(pid: u32, ppid: u32) -> Seen {
    Seen { is_zombie: true, footprint: 0, ..seen(pid, ppid, "git", 0) }
}

#[test]
fn a_parent_that_does_not_reap_is_named_with_its_rate() {
    let piles = watch(40, |nth| {
        let zombies = (0..3 * nth).map(|n| zombie(1000 + n, 50));
        zombies.chain([seen(50, 1, "codex", 100)]).collect()
    });
    let found = piles.unreaped();
    assert_eq!((found.len(), found[0].parent.pid, found[0].zombies), (1, 50, 117));
    assert!((found[0].rate() - 2.0).abs() < 0.05, "{found:?}");
    assert!(found[0].is_finding(Some((1000, 1200))));
    let lasts_s = found[0].lasts_s(Some(1000)).unwrap();
    assert!((lasts_s - 500.0).abs() < 20.0, "{lasts_s}");
    assert_eq!(found[0].children[0].to_string(), "git");
}

#[test]
fn a_heap_of_old_zombies_is_told_and_some_that_come_and_go_are_not() {
    let old = watch(40, |_| {
        (0..300).map(|n| zombie(1000 + n, 50)).chain([seen(50, 1, "a", 1)]).collect()
    });
    let found = old.unreaped();
    assert_eq!((found[0].zombies, found[0].lasting, found[0].grows()), (300, 300, false));
    assert!(found[0].is_finding(None));
    let passing = watch(40, |nth| {
        (0..nth % 7).map(|n| zombie(1000 + 10 * nth + n, 50)).chain([seen(50, 1, "a", 1)]).collect()
    });
    assert!(passing.unreaped().is_empty());
    let one_look =
        watch(1, |_| (0..300).map(|n| zombie(1000 + n, 50)).chain([seen(50, 1, "a", 1)]).collect());
    assert_eq!(one_look.unreaped()[0].zombies, 300);
}

/// A process whose number of open files, and of used cores, is that at each listing.
fn with_files(files: impl Fn(u32) -> u32, cores: impl Fn(u32) -> f64) -> descriptors::OpenFiles {
    let piles = watch(40, |nth| {
        let cpu_s = 1.5 * (0..nth).map(&cores).sum::<f64>();
        vec![Seen { files: files(nth), cpu_s, ..seen(50, 1, "server", 10) }]
    });
    piles.open_files().remove(0)
}

#[test]
fn files_that_are_opened_and_never_closed_are_named_with_their_end() {
    let leak = with_files(|nth| 100 + 3 * nth, |_| 0.1);
    assert!(leak.grows() && (leak.rate() - 2.0).abs() < 0.01, "{leak:?}");
    let lasts_s = leak.lasts_s(1024).unwrap();
    assert!((lasts_s - 403.0).abs() < 10.0, "{lasts_s}");
    assert!(leak.is_finding(1024) && !leak.is_finding(10_000_000));
}

#[test]
fn connections_that_come_and_go_or_follow_the_load_are_no_leak() {
    assert!(!with_files(|nth| 100 + (nth * 37) % 90, |_| 0.1).grows(), "they come and go");
    assert!(!with_files(|nth| 100 + 3 * nth, |nth| 0.1 + 0.02 * f64::from(nth)).grows(), "load");
    assert!(!with_files(|nth| if nth < 6 { 20 * nth } else { 120 }, |_| 0.1).grows(), "a start");
    assert!(!with_files(|nth| 5 + nth / 10, |_| 0.0).grows(), "a few");
    let full = with_files(|_| 1000, |_| 0.1);
    assert!(!full.grows() && full.is_told(1024) && !full.is_told(4096) && !full.is_finding(1024));
}
