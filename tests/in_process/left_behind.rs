//! No recording of a machine without orphans has a pile, whatever part of it a look would have seen.

use leakwatch::core::origin::folded;
use leakwatch::core::piles::{Listing, PileKind, Piles, Seen};
use leakwatch::store::recording::Reader;
use std::path::Path;

/// Listings in a look.
const LISTINGS: usize = 40;

/// All samples as listings: what a look at all processes would have seen of the recorded ones.
fn listings(path: &Path) -> Vec<Listing> {
    let mut reader = Reader::open(path).unwrap();
    let mut sample = Default::default();
    let mut all = Vec::new();
    while reader.read(&mut sample).unwrap() {
        let kind = |program: &leakwatch::core::model::process::Program| PileKind {
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
        all.push(Listing {
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
        let all = listings(&path);
        // Looks of 40 samples in a row, and one over the whole recording.
        let step = (all.len() / LISTINGS).max(1);
        let whole: Vec<&Listing> = all.iter().step_by(step).collect();
        let parts = all.chunks(LISTINGS).map(|part| part.iter().collect::<Vec<_>>());
        for look in parts.chain([whole]) {
            let [first, .., last] = &look[..] else { continue };
            looks += 1;
            let mut piles = Piles::new((last.t - first.t) / look.len() as f64);
            // Programs are told once in a recording, and by the first listing of a look.
            let told = all.iter().take_while(|listing| listing.t <= last.t);
            let kinds: Vec<_> = told.flat_map(|listing| listing.kinds.clone()).collect();
            for (nth, listing) in look.iter().enumerate() {
                let kinds = if nth == 0 { kinds.clone() } else { listing.kinds.clone() };
                piles.push(&Listing { kinds, ..(*listing).clone() });
            }
            wrong.extend(piles.piles().into_iter().map(|pile| (path.clone(), first.t, pile)));
        }
    }
    assert!(looks > 50, "{looks}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A machine made at random: what works on it, and launchers that leave children behind.
pub(crate) struct Machine {
    random: u64,
    next_pid: u32,
    pub(crate) procs: Vec<Actor>,
    pub(crate) groups: Vec<Program>,
}

/// A process of the group with that index.
pub(crate) struct Actor {
    pub(crate) seen: Seen,
    pub(crate) group: usize,
    /// The listing in which it ends.
    until: u32,
    told: bool,
}

/// What one program does on the machine.
pub(crate) struct Program {
    pub(crate) name: String,
    /// Its processes are left behind, by one in so many listings.
    pub(crate) leaves: Option<u32>,
    pub(crate) kind: Healthy,
    master: Option<u32>,
}

/// Kinds of programs that are as they should be.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Healthy {
    /// A master whose workers are replaced.
    Pool,
    /// Workers that become more below one living master.
    Growing,
    /// Detached jobs that end: nohup, at, cron.
    Jobs,
    /// Detached processes that stay: tmux, screen, daemons, user services.
    Stay,
    /// Many that are started at once, as containers are, and stay.
    Burst,
    /// Steps of a build.
    Build,
}

const KINDS: [Healthy; 6] =
    [Healthy::Pool, Healthy::Growing, Healthy::Jobs, Healthy::Stay, Healthy::Burst, Healthy::Build];

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut machine = Self { random, next_pid: 100, procs: Vec::new(), groups: Vec::new() };
        for nth in 0..3 + machine.below(8) {
            let kind = KINDS[machine.below(KINDS.len() as u32) as usize];
            let leaves = (machine.below(4) == 0).then(|| 1 + machine.below(4));
            machine.groups.push(Program { name: format!("p{nth}"), leaves, kind, master: None });
        }
        machine
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 33) % u64::from(bound)) as u32
    }

    fn start(&mut self, group: usize, ppid: u32, until: u32, mib: u32) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        let id = leakwatch::core::model::process::ProcId { pid, start: u64::from(pid) };
        let name = &self.groups[group].name;
        let seen = Seen {
            id,
            ppid,
            comm: leakwatch::core::model::process::Comm::new(name.as_bytes()),
            is_zombie: false,
            footprint: u64::from(mib) << 20,
            cpu_s: 0.0,
            files: 0,
        };
        self.procs.push(Actor { seen, group, until, told: false });
        pid
    }

    /// One listing later.
    pub(crate) fn step(&mut self, nth: u32) -> Listing {
        self.procs.retain(|actor| actor.until > nth);
        for group in 0..self.groups.len() {
            match self.groups[group].leaves {
                Some(every) => self.leave(group, nth, every),
                None => self.work(group, nth),
            }
        }
        for actor in &mut self.procs {
            let group = &self.groups[actor.group];
            if group.kind == Healthy::Build && group.leaves.is_none() {
                actor.seen.cpu_s += 1.2;
            }
        }
        let groups = &self.groups;
        let new = self.procs.iter_mut().filter_map(|actor| {
            let exe = groups[actor.group].name.clone();
            let kind = PileKind { exe, title: String::new(), uid: 0, origin: String::new() };
            (!std::mem::replace(&mut actor.told, true)).then_some((actor.seen.id, kind))
        });
        let kinds = new.collect();
        let procs = self.procs.iter().map(|actor| actor.seen).collect();
        Listing { t: 1000.0 + 1.5 * f64::from(nth), procs, kinds }
    }

    fn leave(&mut self, group: usize, nth: u32, every: u32) {
        let before = if nth == 0 { self.below(20) } else { 0 };
        let now = u32::from(nth.is_multiple_of(every));
        (0..before + now).for_each(|_| {
            self.start(group, 1, u32::MAX, 17);
        });
    }

    fn work(&mut self, group: usize, nth: u32) {
        let kind = self.groups[group].kind;
        if nth == 0 {
            if matches!(kind, Healthy::Pool | Healthy::Growing | Healthy::Build) {
                self.groups[group].master = Some(self.start(group, 1, u32::MAX, 30));
            }
            let many = 2 + self.below(30);
            let ppid = self.groups[group].master.unwrap_or(1);
            if matches!(kind, Healthy::Pool | Healthy::Stay) {
                for _ in 0..many {
                    let until = if kind == Healthy::Stay { u32::MAX } else { 1 + self.below(60) };
                    self.start(group, ppid, until, 20);
                }
            }
        }
        let ppid = self.groups[group].master.unwrap_or(1);
        match kind {
            Healthy::Pool | Healthy::Jobs | Healthy::Build => {
                for _ in 0..self.below(3) {
                    let until = nth + 1 + self.below(if kind == Healthy::Build { 4 } else { 20 });
                    self.start(group, ppid, until, 25);
                }
            }
            Healthy::Growing => {
                self.start(group, ppid, u32::MAX, 20);
            }
            Healthy::Burst => {
                let begun = 10 + (self.random % 2) as u32;
                if (begun..begun + 14).contains(&nth) {
                    self.start(group, 1, u32::MAX, 12);
                }
            }
            Healthy::Stay => {}
        }
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures of a run, shown with --nocapture")]
fn of_a_thousand_machines_made_at_random_nothing_useful_is_called_left_behind() {
    let (mut left, mut found, mut useful, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 1..=1000 {
        let mut machine = Machine::new(seed);
        let mut piles = Piles::new(1.5);
        (0..LISTINGS as u32).for_each(|nth| piles.push(&machine.step(nth)));
        let named: Vec<String> = piles.piles().into_iter().map(|pile| pile.kind.exe).collect();
        for group in &machine.groups {
            let is_named = named.contains(&group.name);
            match group.leaves {
                Some(_) => (left, found) = (left + 1, found + u32::from(is_named)),
                None => {
                    useful += 1;
                    if is_named {
                        wrong.push((seed, group.name.clone()));
                    }
                }
            }
        }
    }
    println!("{found} of {left} left behind named; {} of {useful} useful ones", wrong.len());
    assert!(left > 1000 && useful > 3000, "{left} {useful}");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(f64::from(found) >= 0.95 * f64::from(left), "{found} of {left}");
}
