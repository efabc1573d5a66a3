//! What is ended of what is left behind: on machines made at random nothing useful, and in the end nearly
//! all that is useless; and how one is ended.

use crate::left_behind::{Healthy, Machine};
use leakwatch::core::model::event::Event;
use leakwatch::core::model::order::{OrderReason, OutcomeResult};
use leakwatch::core::model::process::{Comm, Proc, ProcId};
use leakwatch::core::model::signal::{Signal, Step};
use leakwatch::core::piles::reaper::Reaper;
use leakwatch::core::piles::useless::{FileEnd, ReapRules, RunMark, Standing, Ties};
use std::collections::{BTreeMap, BTreeSet};

/// Seconds between two samples, and between two steps of a machine.
const SAMPLE_S: f64 = 5.0;
const SAMPLES_A_STEP: u32 = 6;
/// Steps in which machines start processes; then they only stand.
const STEPS: u32 = 20;
/// Samples of each machine: half an hour, and longer while a useless one is there.
const LEAST_SAMPLES: u32 = 360;
const MOST_SAMPLES: u32 = 1200;

fn rules() -> ReapRules {
    let (idle_s, age_s, grace_s) = (300.0, 600.0, 10.0);
    ReapRules { idle_s, age_s, grace_s, no_kill: false, dry_run: false, protect: Vec::new() }
}

fn useless(id: ProcId, age_s: f64) -> Standing {
    Standing {
        id,
        comm: Comm::new(b"agent"),
        exe: "agent".to_owned(),
        title: "agent --stdio".to_owned(),
        is_meant: true,
        ppid: 1,
        parent_is_init: true,
        session: 50,
        leader_is_there: false,
        has_terminal: false,
        is_held: false,
        ignores_hangup: false,
        has_children: false,
        cgroup: "/user.slice/user-7.slice/session-1.scope".to_owned(),
        age_s,
        footprint: 17 << 20,
        run: RunMark { cpu_ticks: 3, switches: 40, threads: 1 },
    }
}

fn gone() -> Ties {
    Ties {
        files: vec![(0, FileEnd::Gone), (1, FileEnd::Gone), (2, FileEnd::Nothing)],
        ..Ties::default()
    }
}

/// Ties a useful process to somebody by one thing alone; `n` chooses which.
fn tie(n: u32, now_s: f64, standing: &mut Standing, ties: &mut Ties) {
    match n % 14 {
        0 => standing.leader_is_there = true,
        1 => standing.has_terminal = true,
        2 => standing.ignores_hangup = true,
        3 => standing.cgroup = "/system.slice/cron.service".to_owned(),
        4 => standing.exe = "tmux".to_owned(),
        5 => standing.session = 0,
        6 => ties.files.push((5, FileEnd::Listening)),
        7 => ties.files.push((5, FileEnd::Open)),
        8 => ties.files.push((5, FileEnd::Waking)),
        9 => ties.waits = true,
        10 => ties.holds_lock = true,
        11 => ties.files = vec![(0, FileEnd::Nothing), (1, FileEnd::Written)],
        12 => ties.shares_memory = true,
        // It runs for a moment every four minutes.
        _ => standing.run.switches += (now_s / 240.0) as u64,
    }
}

/// What one machine comes to: useless ones that there were, those ended of them, and useful ones ended.
fn live(seed: u64) -> (usize, usize, Vec<(u64, String)>) {
    let mut machine = Machine::new(seed);
    let mut reaper = Reaper::new(rules());
    let (mut born, mut useless_ones, mut ended) =
        (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut wrong = Vec::new();
    for nth in 0..MOST_SAMPLES {
        let now_s = f64::from(nth) * SAMPLE_S;
        if nth % SAMPLES_A_STEP == 0 && nth / SAMPLES_A_STEP < STEPS {
            machine.step(nth / SAMPLES_A_STEP);
        }
        machine.procs.retain(|actor| !ended.contains(&actor.seen.id));
        if nth >= LEAST_SAMPLES && useless_ones.iter().all(|id| ended.contains(id)) {
            break;
        }
        let parents: BTreeSet<u32> = machine.procs.iter().map(|actor| actor.seen.ppid).collect();
        let mut procs = Vec::new();
        let mut states = BTreeMap::new();
        for actor in &machine.procs {
            let (seen, group) = (actor.seen, &machine.groups[actor.group]);
            let born_s = *born.entry(seen.id).or_insert(now_s);
            let mut standing = useless(seen.id, now_s - born_s);
            (standing.ppid, standing.parent_is_init) = (seen.ppid, seen.ppid == 1);
            standing.has_children = parents.contains(&seen.id.pid);
            let mut ties = Some(gone());
            if group.leaves.is_some() {
                useless_ones.insert(seen.id);
                // Some cannot be read at times.
                ties = ties.filter(|_| (nth + seen.id.pid) % 25 != 0);
            } else if seen.ppid == 1 && !standing.has_children {
                tie(seen.id.pid, now_s, &mut standing, ties.as_mut().unwrap());
            } else if group.kind == Healthy::Build {
                standing.run.cpu_ticks += u64::from(nth);
            }
            procs.push(Proc {
                id: seen.id,
                ppid: seen.ppid,
                comm: seen.comm,
                rss: seen.footprint,
                anon: None,
                swap: 0,
                cpu_s: seen.cpu_s,
                threads: 1,
            });
            states.insert(seen.id, (standing, ties));
        }
        reaper.observe(&procs);
        let mut events = Vec::new();
        if let Some(victim) = reaper.victim() {
            let state = states.get(&victim);
            let proof = || {
                let (standing, ties) = state.cloned().unzip();
                (ties.flatten(), standing)
            };
            events.extend(reaper.follow(
                now_s,
                state.map(|(standing, _)| standing),
                proof,
                1 << 30,
            ));
        } else if reaper.is_due(now_s) {
            let candidates = reaper.candidates(|_| false);
            let standings: Vec<Standing> =
                candidates.iter().map(|id| states[id].0.clone()).collect();
            for id in reaper.look(now_s, &standings) {
                let (standing, ties) = &states[&id];
                events.extend(reaper.judge(now_s, standing, ties.as_ref(), 1 << 30));
                if matches!(events.last(), Some(Event::Order(_))) {
                    break;
                }
            }
        }
        for event in events {
            let Event::Order(order) = event else { continue };
            // One in seven does not obey TERM.
            if order.step == Step::Kill || order.victim.pid % 7 != 0 {
                ended.insert(order.victim);
            }
            if !useless_ones.contains(&order.victim) {
                let actor = machine.procs.iter().find(|actor| actor.seen.id == order.victim);
                wrong.push((seed, machine.groups[actor.unwrap().group].name.clone()));
            }
        }
    }
    (useless_ones.len(), ended.intersection(&useless_ones).count(), wrong)
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures of a run, shown with --nocapture")]
fn of_a_thousand_machines_nothing_useful_is_ended_and_nearly_all_that_is_useless() {
    let (mut useless, mut ended, mut wrong) = (0, 0, Vec::new());
    for seed in 1..=1000 {
        let (of_machine, ended_there, wrong_there) = live(seed);
        (useless, ended) = (useless + of_machine, ended + ended_there);
        wrong.extend(wrong_there);
    }
    println!("{ended} of {useless} useless ones ended; {} useful ones", wrong.len());
    assert!(useless > 20_000, "{useless}");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(ended as f64 >= 0.95 * useless as f64, "{ended} of {useless}");
}

/// A reaper that ordered the end of one process at that second.
struct Scene {
    reaper: Reaper,
    standing: Standing,
    now_s: f64,
}

impl Scene {
    fn new(rules: ReapRules) -> (Self, Option<Event>) {
        let id = ProcId { pid: 4711, start: 9 };
        let standing = useless(id, 700.0);
        let mut reaper = Reaper::new(rules);
        let (ppid, comm) = (1, standing.comm);
        let proc = Proc { id, ppid, comm, rss: 0, anon: None, swap: 0, cpu_s: 0.0, threads: 1 };
        reaper.observe(&[proc]);
        assert_eq!(reaper.look(0.0, std::slice::from_ref(&standing)), []);
        assert_eq!(reaper.look(299.0, std::slice::from_ref(&standing)), []);
        assert_eq!(reaper.look(301.0, std::slice::from_ref(&standing)), [id]);
        let order = reaper.judge(301.0, &standing, Some(&gone()), 100);
        (Self { reaper, standing, now_s: 301.0 }, order)
    }

    fn after(&mut self, s: f64, ties: Option<Ties>) -> Option<Event> {
        self.now_s += s;
        let standing = self.standing.clone();
        self.reaper.follow(self.now_s, Some(&self.standing), || (ties, Some(standing)), 100)
    }
}

fn is_left_alone(event: Option<Event>) -> bool {
    matches!(event, Some(Event::Outcome(outcome)) if outcome.result == OutcomeResult::Stayed)
}

#[test]
fn kill_follows_only_if_it_is_still_proven_after_a_grace_without_running() {
    let (mut scene, order) = Scene::new(rules());
    let Some(Event::Order(term)) = order else { panic!("{order:?}") };
    assert_eq!((term.signal, term.reason), (Signal::Term, OrderReason::Useless));
    assert_eq!(scene.after(1.0, Some(gone())), None);
    // TERM made it run: it may be at its end.
    scene.standing.run.cpu_ticks += 1;
    assert_eq!(scene.after(8.0, Some(gone())), None);
    assert_eq!(scene.after(9.0, Some(gone())), None);
    let kill = scene.after(2.0, Some(gone()));
    let Some(Event::Order(kill)) = kill else { panic!("{kill:?}") };
    assert_eq!((kill.signal, kill.step, kill.victim), (Signal::Kill, Step::Kill, term.victim));
    let gone_now = scene.reaper.follow(scene.now_s + 1.0, None, || (None, None), 200);
    let Some(Event::Outcome(outcome)) = gone_now else { panic!("{gone_now:?}") };
    let headroom = (100, 200, None);
    let OutcomeResult::Gone { headroom_before, headroom_after, reclaimed } = outcome.result else {
        panic!("{outcome:?}")
    };
    assert_eq!((headroom_before, headroom_after, reclaimed), headroom);
    assert_eq!(scene.reaper.victim(), None);
}

#[test]
fn what_is_not_proven_any_more_after_term_is_left_alone() {
    let (mut tied, _) = Scene::new(rules());
    let ties = Ties { files: vec![(0, FileEnd::Open)], ..Ties::default() };
    assert_eq!(tied.after(1.0, Some(gone())), None);
    assert!(is_left_alone(tied.after(10.0, Some(ties))));
    let (mut unread, _) = Scene::new(rules());
    assert!(is_left_alone(unread.after(11.0, None)));
    let (mut found, _) = Scene::new(rules());
    found.standing.leader_is_there = true;
    assert!(is_left_alone(found.after(11.0, Some(gone()))));
    let (mut without, order) = Scene::new(ReapRules { no_kill: true, ..rules() });
    assert!(matches!(order, Some(Event::Order(order)) if order.then.is_none()));
    assert!(is_left_alone(without.after(11.0, Some(gone()))));
    let (mut busy, _) = Scene::new(rules());
    let events: Vec<_> = (0..40)
        .filter_map(|_| {
            busy.standing.run.switches += 1;
            busy.after(6.0, Some(gone()))
        })
        .collect();
    assert_eq!(events.len(), 1);
    assert!(is_left_alone(events.first().copied()));
}

#[test]
fn what_ran_since_the_look_is_not_ordered_and_a_dry_run_follows_nothing() {
    let (scene, order) = Scene::new(ReapRules { dry_run: true, ..rules() });
    assert!(matches!(order, Some(Event::Order(_))));
    assert_eq!(scene.reaper.victim(), None);
    let id = ProcId { pid: 9, start: 9 };
    let standing = useless(id, 700.0);
    let comm = standing.comm;
    let of = |ppid| Proc { id, ppid, comm, rss: 0, anon: None, swap: 0, cpu_s: 0.0, threads: 1 };
    let mut reaper = Reaper::new(rules());
    reaper.observe(&[of(70)]);
    assert_eq!(reaper.candidates(|_| false), [], "its parent is no init");
    reaper.observe(&[of(60)]);
    assert_eq!(reaper.candidates(|_| false), [id], "it was adopted");
    reaper.look(0.0, std::slice::from_ref(&standing));
    assert_eq!(reaper.look(300.0, std::slice::from_ref(&standing)), [id]);
    let mut ran = standing.clone();
    ran.run.switches += 1;
    assert_eq!(reaper.judge(300.0, &ran, Some(&gone()), 0), None);
    let missing = reaper.judge(300.0, &standing, None, 0);
    assert!(matches!(missing, Some(Event::NotEnded { .. })), "{missing:?}");
    assert_eq!(reaper.judge(300.0, &standing, None, 0), None, "told once");
}
