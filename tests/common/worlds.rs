//! Worlds: labelled recordings of small machines that never were.
//!
//! Each family is one way in which memory grows, or only seems to. A family and a seed give the
//! same recording for ever: sizes, speeds, intervals and lengths are drawn from a small generator of
//! its own. Nothing here is taken from what the detector was developed on, but those who wrote
//! these families knew the detector; `tests/recordings` has what real programs did.

use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use std::f64::consts::TAU;

const MIB: f64 = 1_048_576.0;
const PAGE: f64 = 4096.0;

/// What the detector is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It leaks, and is to be found.
    Found,
    /// It is healthy, and no leak is to be named.
    Quiet,
    /// It is healthy, but known to be named a leak at times: for a while it is the same curve.
    Hard,
}

/// One way in which memory grows.
pub struct Family {
    pub name: &'static str,
    pub expect: Expect,
    make: fn(&mut World),
}

/// All families; the hard ones say why.
pub const FAMILIES: [Family; 29] = [
    Family::leak("linear", linear),
    Family::leak("late", late),
    Family::leak("saw-rise", saw_rise),
    Family::leak("load", load),
    Family::leak("accelerating", accelerating),
    Family::leak("steps", steps),
    Family::leak("sibling", sibling),
    Family::leak("pool", pool),
    Family::leak("pile-up", pile_up),
    Family::leak("swap-out", swap_out),
    Family::healthy("noise", noise),
    Family::healthy("warm-up", warm_up),
    Family::healthy("slow-warm-up", slow_warm_up),
    Family::healthy("gc-saw", gc_saw),
    Family::healthy("high-water", high_water),
    Family::healthy("load-ramp", load_ramp),
    Family::healthy("daily-load", daily_load),
    Family::healthy("recycling", recycling),
    Family::healthy("pid-reuse", pid_reuse),
    Family::healthy("gaps", gaps),
    Family::healthy("clock-step", clock_step),
    Family::healthy("file-pages", file_pages),
    Family::healthy("huge-pages", huge_pages),
    Family::healthy("inherited", inherited),
    // Straight lines until the day they stop, at a tenth to a half of memory.
    Family::hard("cache-fill", cache_fill),
    Family::hard("giveback", giveback),
    // The same to within a few percent of the end of memory.
    Family::hard("full-pool", full_pool),
    Family::hard("full-cache", full_cache),
    // One report after the other, each growing to its end, as a leak in short-lived children does.
    Family::hard("batch", batch),
];

impl Family {
    const fn leak(name: &'static str, make: fn(&mut World)) -> Self {
        Self { name, expect: Expect::Found, make }
    }

    const fn healthy(name: &'static str, make: fn(&mut World)) -> Self {
        Self { name, expect: Expect::Quiet, make }
    }

    const fn hard(name: &'static str, make: fn(&mut World)) -> Self {
        Self { name, expect: Expect::Hard, make }
    }

    /// The recording of that seed.
    pub fn recording(&self, seed: u64) -> Labelled {
        let world = self.world(seed, &[1.0, 2.0, 5.0, 15.0]);
        world.run(format!("{}-{seed:02}", self.name))
    }

    fn world(&self, seed: u64, intervals_s: &[f64]) -> World {
        let name = self.name.bytes().fold(0_u64, |hash, byte| hash * 31 + u64::from(byte));
        let mut world = World::new(Rng(name ^ (seed << 32)), intervals_s);
        (self.make)(&mut world);
        world
    }

    /// Lets the world of that seed live to its end, with one of these intervals in seconds, before eyes
    /// that are made for its header and tell after each sample in how many seconds, an interval at
    /// most, the next one is due. Returns how many seconds it lived.
    pub fn live<E: FnMut(&Sample) -> f64>(
        &self,
        seed: u64,
        intervals_s: &[f64],
        eyes: impl FnOnce(&Header) -> E,
    ) -> f64 {
        let mut world = self.world(seed, intervals_s);
        let mut see = eyes(&world.header());
        let (mut at, mut step, taken) = (0.0, 1.0, world.taken());
        while at < world.length {
            if !(world.gap)(at, world.length) {
                let sample = world.sample(at, step, taken);
                step = (see(&sample) / world.interval_s).min(1.0);
            }
            at += step;
        }
        world.length * world.interval_s
    }
}

/// A recording and its truth.
pub struct Labelled {
    pub name: String,
    pub header: Header,
    pub samples: Vec<Sample>,
    /// Which processes leak, from when, and when memory runs out.
    pub leaking: Vec<(ProcId, f64)>,
    pub exhaust_t: Option<f64>,
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// As likely in each octave.
    fn octave(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    fn pick(&mut self, of: &[f64]) -> f64 {
        of[self.next() as usize % of.len()]
    }

    /// About normal, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// What a process holds at a sample, in bytes.
#[derive(Clone, Copy, Default)]
struct Held {
    anon: f64,
    /// Of `anon`, what it shares with its parent since its fork.
    shared: f64,
    swap: f64,
    file: f64,
    /// CPU use in cores.
    cpu: f64,
}

fn anon(bytes: f64) -> Held {
    Held { anon: bytes, file: 3.0 * MIB, cpu: 0.02, ..Held::default() }
}

/// When a process is asked what it holds: in samples, since the recording's begin and its own.
struct Now {
    at: f64,
    age: f64,
    /// The machine's load, 0 to 1.
    load: f64,
}

type Size = Box<dyn FnMut(&Now, &mut Rng) -> Held>;

struct Actor {
    id: ProcId,
    parent: u32,
    name: &'static str,
    /// In samples since the begin; negative for those that are there already.
    born: f64,
    ends: f64,
    leaks_from: Option<f64>,
    size: Size,
    cpu_s: f64,
    told: bool,
}

/// A machine and what will run on it.
struct World {
    rng: Rng,
    interval_s: f64,
    /// Samples in the recording.
    length: f64,
    total: f64,
    swap_total: f64,
    /// Free for what the family is about, when it begins.
    free: f64,
    actors: Vec<Actor>,
    next_pid: u32,
    load: fn(f64, f64) -> f64,
    /// Samples that are left out.
    gap: fn(f64, f64) -> bool,
    /// Seconds by which the wall clock was set, and when.
    step: Option<(f64, f64)>,
}

const UPTIME_S: f64 = 2_000_000.0;
const BEGIN_T: f64 = 1_750_000_000.0;
const ROOT: f64 = -5000.0;

impl World {
    fn new(mut rng: Rng, intervals_s: &[f64]) -> Self {
        let total = rng.pick(&[384.0, 512.0, 1024.0, 2048.0]) * MIB;
        let mut world = Self {
            interval_s: rng.pick(intervals_s),
            length: rng.between(500.0, 1100.0).round(),
            total,
            swap_total: 0.0,
            free: total * rng.between(0.4, 0.6),
            actors: Vec::new(),
            next_pid: 700,
            load: |at, length| 0.5 + 0.3 * (TAU * at / length).sin(),
            gap: |_, _| false,
            step: None,
            rng,
        };
        for name in ["sshd", "cron", "postgres"] {
            let own = world.rng.octave(2.0, 20.0) * MIB;
            let size = world.flat(own, 0.01);
            world.lone(name, size);
        }
        world
    }

    /// Bytes a sample at which what is free ends after that many lengths of the recording.
    fn pace(&mut self) -> f64 {
        self.free / (self.length * self.rng.between(0.6, 1.8))
    }

    fn own(&mut self) -> f64 {
        self.rng.octave(0.01, 0.06) * self.total
    }

    fn push(&mut self, name: &'static str, parent: u32, life: [f64; 2], size: Size) -> &mut Actor {
        let [born, ends] = life;
        // Actors of a family are made in the order of their birth, so pids and starts agree.
        self.next_pid += 1 + (self.rng.next() % 3) as u32;
        let start = ((UPTIME_S + born * self.interval_s) * 100.0) as u64;
        let id = ProcId { pid: self.next_pid, start };
        let (leaks_from, cpu_s, told) = (None, 0.0, false);
        self.actors.push(Actor { id, parent, name, born, ends, leaks_from, size, cpu_s, told });
        self.actors.last_mut().expect("one was pushed")
    }

    fn lone(&mut self, name: &'static str, size: Size) -> &mut Actor {
        self.push(name, 1, [ROOT, f64::INFINITY], size)
    }

    /// A master that only waits; its pid.
    fn master(&mut self, bytes: f64) -> u32 {
        let size = self.flat(bytes, 0.0);
        self.lone("appd", size).id.pid
    }

    fn worker(&mut self, parent: u32, size: Size) -> &mut Actor {
        self.push("appd", parent, [ROOT, f64::INFINITY], size)
    }

    /// Slots that are filled again as soon as a child ends, until long after the recording.
    fn slots(
        &mut self,
        parent: u32,
        slots: usize,
        life: [f64; 2],
        size: impl Fn(f64) -> Size,
        leak: bool,
    ) {
        let mut lives = Vec::new();
        for _ in 0..slots {
            let mut born = -self.rng.between(1.0, life[0]);
            while born < self.length {
                let ends = born + self.rng.between(life[0], life[1]);
                lives.push([born, ends]);
                born = ends + 1.0;
            }
        }
        lives.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for [born, ends] in lives {
            let size = size(born);
            let child = self.push("appd", parent, [born, ends], size);
            child.leaks_from = leak.then_some(born);
        }
    }

    /// Noise about a level; `wander` is its spread as a share.
    fn flat(&self, bytes: f64, wander: f64) -> Size {
        let mut off = 0.0;
        Box::new(move |_, rng| {
            off = 0.9 * off + 0.4 * rng.normal();
            anon(bytes * (1.0 + wander * off))
        })
    }

    fn header(&self) -> Header {
        Header {
            interval_s: self.interval_s,
            clock_ticks: 100,
            page_size: 4096,
            hostname: "vps1".to_owned(),
        }
    }

    /// What is taken besides by processes: what runs already when the recording begins is no part of what
    /// was free.
    fn taken(&mut self) -> f64 {
        let taken = self.total - self.free;
        let left = self.sample(0.0, 1.0, taken).memory.headroom() as f64;
        for actor in &mut self.actors {
            (actor.cpu_s, actor.told) = (0.0, false);
        }
        taken - taken.min(self.total - left + self.swap_total - taken)
    }

    fn run(mut self, name: String) -> Labelled {
        let header = self.header();
        let leaks = self.actors.iter().any(|actor| actor.leaks_from.is_some());
        let (mut samples, mut exhaust_t, mut at) = (Vec::new(), None, 0.0);
        let taken = self.taken();
        // Exhaustion is searched beyond the recording's own end.
        let until = if leaks { 4.0 * self.length } else { self.length };
        while at < until {
            let sample = self.sample(at, 1.0, taken);
            exhaust_t = Some(sample.t).filter(|_| leaks && sample.memory.headroom() == 0);
            if at < self.length && !(self.gap)(at, self.length) {
                samples.push(sample);
            }
            if exhaust_t.is_some() {
                break;
            }
            at += 1.0;
        }
        let from_t = |samples: f64| BEGIN_T + samples.max(0.0) * self.interval_s;
        let leaking = self.actors.iter().filter(|actor| actor.born < self.length);
        let leaking =
            leaking.filter_map(|actor| Some((actor.id, from_t(actor.leaks_from?)))).collect();
        Labelled { name, header, samples, leaking, exhaust_t }
    }

    /// The sample at that time, so many samples after the one before.
    fn sample(&mut self, at: f64, step: f64, taken: f64) -> Sample {
        let (length, interval_s) = (self.length, self.interval_s);
        let load = ((self.load)(at, length) + 0.03 * self.rng.normal()).clamp(0.0, 1.0);
        let jitter = 0.01 * interval_s * step * self.rng.unit();
        let passed = at * interval_s + jitter;
        let mut t = BEGIN_T + passed;
        if let Some((when, by)) = self.step
            && at >= when
        {
            // Set back, t creeps on until the clock has caught up.
            t = (t + by).max(BEGIN_T + when * interval_s + 1e-3 * (at - when));
        }
        let (mut used, mut swapped) = (taken, 0.0);
        let (mut procs, mut programs) = (Vec::new(), Vec::new());
        for actor in self.actors.iter_mut().filter(|a| a.born <= at && at < a.ends) {
            let held = (actor.size)(&Now { at, age: at - actor.born, load }, &mut self.rng);
            let pages = |bytes: f64| ((bytes / PAGE).max(0.0).round() * PAGE) as u64;
            let (anon, file, swap) = (pages(held.anon), pages(held.file), pages(held.swap));
            actor.cpu_s += held.cpu * interval_s * step;
            used += anon as f64 - held.shared.min(held.anon);
            swapped += swap as f64;
            let (id, comm) = (actor.id, Comm::new(actor.name.as_bytes()));
            let rss = anon + file;
            let cpu_s = (actor.cpu_s * 100.0).round() / 100.0;
            procs.push(Proc {
                id,
                ppid: actor.parent,
                comm,
                rss,
                anon: Some(anon),
                swap,
                cpu_s,
                threads: 1,
            });
            if !actor.told {
                actor.told = true;
                programs.push(Program {
                    id,
                    exe: format!("/usr/sbin/{}", actor.name),
                    title: actor.name.to_owned(),
                    threads: 1,
                    forked: actor.parent != 1,
                    permitted: Some(true),
                    uid: None,
                    unit: None,
                });
            }
        }
        let memory = Memory {
            total: self.total as u64,
            available: (self.total - used).max(0.0) as u64,
            swap_total: self.swap_total as u64,
            swap_free: (self.swap_total - swapped).max(0.0) as u64,
            commit: None,
        };
        let uptime_s = Some(UPTIME_S + passed);
        Sample { t, uptime_s, memory, procs, programs, ..Sample::default() }
    }
}

fn linear(w: &mut World) {
    let (own, pace) = (w.own(), w.pace());
    let size: Size =
        Box::new(move |now, rng| anon(own + pace * now.at + 0.02 * own * rng.normal()));
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn late(w: &mut World) {
    let onset = (w.length * w.rng.between(0.3, 0.55)).round();
    let (own, pace) = (w.own(), w.pace() * 2.0);
    let size: Size = Box::new(move |now, rng| {
        anon(own + pace * (now.at - onset).max(0.0) + 0.02 * own * rng.normal())
    });
    w.lone("appd", size).leaks_from = Some(onset);
}

fn saw(bytes: f64, rng: &mut Rng) -> impl FnMut(f64) -> f64 + use<> {
    let (height, period, phase) =
        (bytes * rng.between(0.3, 1.2), rng.between(8.0, 30.0), rng.unit());
    move |at| bytes + height * (at / period + phase).fract()
}

fn saw_rise(w: &mut World) {
    let (own, pace) = (w.own(), w.pace());
    let mut teeth = saw(own, &mut w.rng);
    let size: Size = Box::new(move |now, _| anon(teeth(now.at) + pace * now.at));
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn load(w: &mut World) {
    let (own, pace) = (w.own(), w.pace() * 2.0);
    w.load = |at, length| 0.5 + 0.3 * (TAU * 3.0 * at / length).sin();
    let mut leaked = 0.0;
    let size: Size = Box::new(move |now, _| {
        leaked += pace * now.load;
        Held { cpu: 0.7 * now.load, ..anon(own + leaked) }
    });
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn accelerating(w: &mut World) {
    let (own, length) = (w.own(), w.length);
    let all = w.pace() * length;
    let size: Size = Box::new(move |now, rng| {
        anon(own * (1.0 + 0.01 * rng.normal()) + all * (now.at / length).powf(1.7))
    });
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn steps(w: &mut World) {
    let (own, pace, every) = (w.own(), w.pace(), w.rng.between(5.0, 15.0).round());
    let size: Size = Box::new(move |now, rng| {
        anon(own * (1.0 + 0.01 * rng.normal()) + pace * every * (now.at / every).floor())
    });
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn sibling(w: &mut World) {
    let own = w.own() / 3.0;
    let pace = w.pace();
    let master = w.master(own);
    for nth in 0..6 {
        if nth == 3 {
            let size: Size =
                Box::new(move |now, rng| anon(own * (1.5 + 0.02 * rng.normal()) + pace * now.at));
            w.worker(master, size).leaks_from = Some(0.0);
        } else {
            let size = w.flat(own * 1.5, 0.02);
            w.worker(master, size);
        }
    }
}

fn pool(w: &mut World) {
    let own = w.own() / 2.0;
    let pace = w.rng.between(0.05, 0.2) * MIB;
    let master = w.master(own);
    let size =
        |_| -> Size { Box::new(move |now, _| Held { shared: own, ..anon(own + pace * now.age) }) };
    let short = w.rng.between(25.0, 50.0);
    w.slots(master, 5, [short, 1.6 * short], size, true);
}

fn pile_up(w: &mut World) {
    let every = w.rng.between(8.0, 16.0);
    let each = w.pace() * every;
    let own = w.own() / 3.0;
    let master = w.master(own);
    if let Some(root) = w.actors.last_mut() {
        root.leaks_from = Some(0.0);
    }
    let mut born = 0.0;
    while born < 3.0 * w.length {
        born += every * w.rng.between(0.7, 1.3);
        let size: Size = Box::new(move |_, _| Held { cpu: 0.0, ..anon(each) });
        w.push("appd", master, [born.round(), f64::INFINITY], size);
    }
}

fn swap_out(w: &mut World) {
    w.swap_total = w.total * 0.5;
    let swap_total = w.swap_total;
    let (own, pace) = (w.own(), w.pace() * 1.5);
    let room = w.free * w.rng.between(0.2, 0.5);
    let size: Size = Box::new(move |now, _| {
        let all = own + pace * now.at;
        // What was not touched for longest goes out.
        let swap = (0.8 * (all - room)).clamp(0.0, swap_total);
        Held { swap, ..anon(all - swap) }
    });
    w.lone("appd", size).leaks_from = Some(0.0);
}

fn noise(w: &mut World) {
    for _ in 0..4 {
        let (own, wander) = (w.own(), w.rng.between(0.005, 0.05));
        let size = w.flat(own, wander);
        w.lone("appd", size);
    }
}

/// An exponential approach to `gain` times the first size.
fn settling(own: f64, gain: f64, constant: f64) -> Size {
    Box::new(move |now, rng| {
        anon(own * (1.0 + 0.005 * rng.normal()) + own * gain * (1.0 - (-now.at / constant).exp()))
    })
}

fn warm_up(w: &mut World) {
    let own = w.own();
    // Up to half of what is free: enough to seem urgent while it lasts.
    let gain = w.free * w.rng.octave(0.05, 0.5) / own;
    let constant = w.length * w.rng.between(0.03, 0.15);
    w.lone("appd", settling(own, gain, constant));
}

fn slow_warm_up(w: &mut World) {
    let (own, gain) = (w.own(), w.rng.between(1.0, 3.0));
    let constant = w.length * w.rng.between(0.3, 1.0);
    w.lone("appd", settling(own, gain, constant));
}

fn gc_saw(w: &mut World) {
    for _ in 0..2 {
        let own = w.own();
        let mut teeth = saw(own, &mut w.rng);
        let size: Size =
            Box::new(move |now, rng| anon(teeth(now.at) * (1.0 + 0.01 * rng.normal())));
        w.lone("appd", size);
    }
}

fn high_water(w: &mut World) {
    let own = w.own();
    let mut level = own;
    let size: Size = Box::new(move |_, rng| {
        if rng.unit() < 0.03 {
            level = f64::max(level, own * rng.between(1.0, 2.5));
        }
        anon(level + 0.01 * own * rng.normal())
    });
    w.lone("appd", size);
}

fn loaded(w: &mut World, gain: f64) {
    let own = w.own();
    let size: Size = Box::new(move |now, rng| Held {
        cpu: 0.8 * now.load,
        ..anon(own * (1.0 + gain * now.load + 0.01 * rng.normal()))
    });
    w.lone("appd", size);
}

fn load_ramp(w: &mut World) {
    w.load = |at, length| 0.1 + 0.8 * at / length;
    let gain = w.rng.between(0.3, 0.9);
    loaded(w, gain);
}

fn daily_load(w: &mut World) {
    w.load = |at, length| 0.5 - 0.4 * (TAU * 1.5 * at / length).cos();
    let gain = w.rng.between(0.3, 0.9);
    loaded(w, gain);
}

fn batch(w: &mut World) {
    let master = w.master(MIB);
    let mut born = 20.0;
    while born < w.length {
        let life = w.rng.between(20.0, 90.0).round();
        let grown = w.free * w.rng.between(0.05, 0.3);
        let size: Size = Box::new(move |now, _| Held {
            cpu: 0.9,
            ..anon(2.0 * MIB + grown * (now.age / life).powf(0.8))
        });
        w.push("report", master, [born, born + life], size);
        born += life + w.rng.between(20.0, 80.0).round();
    }
}

fn cache_fill(w: &mut World) {
    let (own, limit) = (w.own(), w.free * w.rng.between(0.1, 0.5));
    let full = w.length * w.rng.between(0.1, 0.5);
    let size: Size = Box::new(move |now, rng| {
        anon(own * (1.0 + 0.01 * rng.normal()) + limit * (now.at / full).min(1.0))
    });
    w.lone("appd", size);
}

/// Bytes that healthy growth leaves of the machine in the end.
fn spared(w: &mut World) -> f64 {
    w.free - w.total * w.rng.between(0.06, 0.2)
}

/// Workers that warm up together.
fn full_pool(w: &mut World) {
    let workers = w.rng.between(2.0, 9.0).floor();
    let each = spared(w) / workers;
    let constant = w.length * w.rng.between(0.03, 0.2);
    let master = w.master(4.0 * MIB);
    for _ in 0..workers as usize {
        let (own, share) = (w.own() / 4.0, w.rng.between(0.8, 1.0));
        w.worker(master, settling(own, each * share / own, constant));
    }
}

fn full_cache(w: &mut World) {
    let (own, limit) = (w.own(), spared(w));
    let full = w.length * w.rng.between(0.2, 0.7);
    let master = w.master(4.0 * MIB);
    for _ in 0..2 {
        let size: Size = Box::new(move |now, rng| {
            let filled = 0.5 * limit * (now.at / full).min(1.0);
            anon(own * (1.0 + 0.01 * rng.normal()) + filled)
        });
        w.worker(master, size);
    }
}

fn giveback(w: &mut World) {
    let (own, height) = (w.own(), w.free * w.rng.between(0.1, 0.4));
    let period = w.length * w.rng.between(0.15, 0.5);
    let size: Size = Box::new(move |now, _| {
        let phase = (now.at / period).fract();
        anon(own + height * (phase / 0.8).min(1.0) * if phase < 0.9 { 1.0 } else { 0.1 })
    });
    w.lone("appd", size);
}

fn recycling(w: &mut World) {
    let own = w.own() / 2.0;
    let (warm, gain) = (w.rng.between(3.0, 8.0), w.rng.between(0.2, 0.8));
    let master = w.master(own);
    let size = |_| -> Size {
        Box::new(move |now, rng| {
            let grown = own * gain * (1.0 - (-now.age / warm).exp());
            Held { shared: own, ..anon(own + grown + 0.01 * own * rng.unit()) }
        })
    };
    w.slots(master, 5, [40.0, 90.0], size, false);
}

fn pid_reuse(w: &mut World) {
    let (own, pid) = (w.own() / 4.0, 650);
    let (mut born, mut nth) = (-1.0, 0.0);
    while born < w.length {
        let ends = born + w.rng.between(5.0, 15.0).round();
        // Each is a little larger than the one that had its pid before.
        nth += 1.0;
        let size = w.flat(own * (1.0 + 0.02 * nth), 0.005);
        w.push("appd", 1, [born, ends], size).id.pid = pid;
        born = ends;
    }
}

fn gaps(w: &mut World) {
    gc_saw(w);
    warm_up(w);
    w.gap = |at, length| {
        let phase = (7.0 * at / length).fract();
        phase > 0.7 || (0.3..0.31).contains(&phase)
    };
}

fn clock_step(w: &mut World) {
    gc_saw(w);
    warm_up(w);
    let when = (w.length * w.rng.between(0.2, 0.6)).round();
    let by = w.rng.pick(&[-300.0, -20.0, 900.0, 86_400.0]);
    w.step = Some((when, by));
}

fn file_pages(w: &mut World) {
    let (own, pace) = (w.own(), w.pace());
    let size: Size = Box::new(move |now, rng| Held {
        file: 8.0 * MIB + pace * now.at,
        ..anon(own * (1.0 + 0.005 * rng.normal()))
    });
    w.lone("appd", size);
}

fn huge_pages(w: &mut World) {
    let (own, count, constant) = (w.own(), w.rng.between(4.0, 20.0), w.rng.between(20.0, 80.0));
    let size: Size = Box::new(move |now, _| {
        anon(own + 2.0 * MIB * (count * (1.0 - (-now.at / constant).exp())).round())
    });
    w.lone("appd", size);
}

fn inherited(w: &mut World) {
    let own = w.own();
    let constant = w.length * 0.05;
    let parents = move |at: f64| own * (1.0 + 0.5 * (1.0 - (-at.max(0.0) / constant).exp()));
    let size: Size = Box::new(move |now, _| anon(parents(now.at)));
    let master = w.lone("appd", size).id.pid;
    let size = |born: f64| -> Size {
        let got = parents(born);
        Box::new(move |now, rng| Held {
            shared: got * (1.0 - (now.age / 100.0).min(0.5)),
            ..anon(got + 0.05 * MIB * rng.unit())
        })
    };
    w.slots(master, 4, [60.0, 200.0], size, false);
}
