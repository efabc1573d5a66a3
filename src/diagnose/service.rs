//! Service: the trees that belong together, and what is to be said of them.

use super::Observation;
use super::history::{Point, SizeGrowth, growth};
use super::leak_per_request::{Basis, PerWork};
use super::weigh::{denies, join, known, notable};
use crate::core::detect::ceilings::series::Headroom;
use crate::core::detect::process_state::ProcessState;
use crate::core::engine::Engine;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::{Evidence, Verdict};
use crate::core::servers::{Server, UNKNOWN};
use std::collections::BTreeMap;

/// What is to be said of a service, worst last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    /// It holds so little for its age that it cannot be it: even if all of its footprint had leaked,
    /// memory would last so many seconds more.
    TooSlow(f64),
    /// It neither grew nor fell to speak of.
    Flat,
    /// It grew, and has kept its size for so many seconds since.
    Settled(f64),
    /// It fell.
    Shrank,
    /// It grew a little; at that pace memory would last so many seconds more.
    Slight(f64),
    /// It grows, but more and more slowly, or as it did before it settled.
    Warming,
    /// It grows as its CPU use does.
    WithLoad,
    /// Too little was seen to say anything.
    Unclear,
    /// It grows steadily, but was watched too short to tell a leak from warming up.
    Suspect,
    /// Its workers hold the more the more they have worked; so much work a second, where known.
    Likely {
        /// Work a second.
        rate: Option<f64>,
    },
    /// It leaks.
    Leaks,
}

impl Case {
    fn rank(self) -> u8 {
        match self {
            Self::Leaks => 4,
            Self::Likely { .. } => 3,
            Self::Suspect => 2,
            Self::Unclear => 1,
            _ => 0,
        }
    }

    /// Whether it says that the service is the culprit.
    pub fn accuses(self) -> bool {
        matches!(self, Self::Leaks | Self::Likely { .. })
    }

    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooSlow(_) => "too-slow",
            Self::Flat => "flat",
            Self::Settled(_) => "settled",
            Self::Shrank => "shrank",
            Self::Slight(_) => "slight",
            Self::Warming => "warming",
            Self::WithLoad => "load-coupled",
            Self::Unclear => "unclear",
            Self::Suspect => "suspect",
            Self::Likely { .. } => "likely-leaking",
            Self::Leaks => "leaking",
        }
    }
}

/// The trees of one systemd unit or container, or one tree that has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The unit's name, else the root's; as it was found.
    pub name: String,
    /// Whether that is a systemd unit.
    pub is_unit: bool,
    /// The processes at the top of it, that with the largest tree first.
    pub roots: Vec<ProcId>,
    /// The name of the largest one's root.
    pub comm: Comm,
    /// The executable's name, where its own is no help; else empty.
    pub program: String,
    /// Names of its processes, each once.
    pub names: Vec<Comm>,
    /// What server it is; [`UNKNOWN`] if none that is known.
    pub server: &'static Server,
    /// Its processes.
    pub processes: u32,
    /// Those that are children of another of them.
    pub workers: u32,
    /// Bytes of all of them, what children inherited counted once.
    pub own: f64,
    /// Seconds since the first of its roots started.
    pub age_s: f64,
    /// Seconds that it was watched.
    pub watched_s: f64,
    /// Its size over time.
    pub points: Vec<Point>,
    /// How that moved.
    pub growth: Option<SizeGrowth>,
    /// What is to be said of it.
    pub case: Case,
    /// Its processes that leak, and those that are suspect.
    pub leaking: u32,
    /// Suspects.
    pub suspects: u32,
    /// Growth that convicts or makes suspect: bytes a second together, and the longest window.
    pub steady: Option<(f64, f64)>,
    /// It starts threads, or children, that never end: how many a second.
    pub tasks: Option<f64>,
    /// When its first ceiling is reached.
    pub forecast: Option<Forecast>,
    /// What is left below its nearest ceiling on memory.
    pub headroom: Headroom,
    /// What a unit of work leaves behind, where work can be read.
    pub per_work: Option<PerWork>,
    /// What was seen of it before the look, where that was long enough to judge it.
    pub before: Option<Before>,
}

/// A service before the look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Before {
    /// Which of the earlier series saw it longest.
    pub index: usize,
    /// Seconds that it was seen there.
    pub span_s: f64,
    /// Seconds of the look itself.
    pub look_s: f64,
    /// What judged it.
    pub judge: JudgedBy,
}

/// What judged a service that was seen before the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedBy {
    /// The series from before.
    Earlier,
    /// The look.
    Look,
    /// The look alone, because it is larger now than the earlier series ever saw it.
    Larger,
}

impl JudgedBy {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Earlier => "earlier",
            Self::Look | Self::Larger => "look",
        }
    }
}

impl Service {
    /// Whether its name is only that of an interpreter.
    pub fn is_interpreted(&self) -> bool {
        is_interpreter(self.comm)
    }

    /// Whether a longer look could still accuse it: it is suspect, was seen too briefly for its size,
    /// or warms up at a pace at which memory would end within days. What an earlier series judged is
    /// settled by that.
    pub fn is_open(&self) -> bool {
        let by_look = self.before.is_none_or(|before| before.judge != JudgedBy::Earlier);
        match self.case {
            Case::Suspect | Case::Unclear => self.own > SMALL,
            Case::Warming => {
                let rate = self.growth.map_or(0.0, |growth| growth.rate);
                by_look && self.headroom.left as f64 / rate.max(1e-9) < SOON_S
            }
            _ => false,
        }
    }

    /// Whether it is accused by a look alone, and memory ends so late that there is time for another:
    /// later than can be told, or in more than an hour.
    pub fn is_far(&self) -> bool {
        let by_look = self.before.is_none_or(|before| before.judge != JudgedBy::Earlier);
        let soon = |forecast: &Forecast| forecast.is_reliable() && forecast.likely_s < HOUR_S;
        by_look && self.case == Case::Leaks && !self.forecast.as_ref().is_some_and(soon)
    }

    /// Whether a log means it by that name.
    pub fn is_called(&self, who: &str) -> bool {
        let stem = |name: &str| {
            let name = name.trim_end_matches(".service").to_ascii_lowercase();
            match name.as_str() {
                "httpd" | "apache2" | "httpd2" | "httpd-prefork" => "apache2".to_owned(),
                "mariadbd" | "mysqld" | "mariadb" | "mysql" => "mysqld".to_owned(),
                "postmaster" | "postgres" | "postgresql" => "postgres".to_owned(),
                "ssh" | "sshd-session" => "sshd".to_owned(),
                n if n.starts_with("php") && n.contains("fpm") => "php-fpm".to_owned(),
                n if n.starts_with("postgresql@") => "postgres".to_owned(),
                _ => name,
            }
        };
        let base = |name: &str| stem(name.rsplit('/').next().unwrap_or(name));
        let wanted = base(who);
        // One that the kernel cut: "prometheus-node" is prometheus-node-exporter.
        let cut = |comm: &Comm| {
            let kept = comm.as_bytes();
            kept.len() == Comm::MAX && who.as_bytes().starts_with(kept)
        };
        let names = self.names.iter().map(|comm| comm.to_string());
        let others = [self.name.clone(), self.program.clone(), self.server.name.to_owned()];
        names.chain(others).any(|name| !name.is_empty() && base(&name) == wanted)
            || self.names.iter().any(cut)
            || (!wanted.is_empty() && wanted == self.server.log_name)
    }
}

/// How far up a chain of parents is followed.
const DEEPEST: usize = 64;

/// Whether a name says only in which language a program is written.
fn is_interpreter(comm: Comm) -> bool {
    let names: [&[u8]; 6] = [b"python", b"ruby", b"perl", b"node", b"java", b"php"];
    names.iter().any(|name| match comm.as_bytes().strip_prefix(*name) {
        Some(rest) => rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        None => false,
    })
}

/// At a pace at which memory ends later than this, growth that proves nothing is not worth a longer
/// look (two days).
const SOON_S: f64 = 2.0 * 86_400.0;
const HOUR_S: f64 = 3600.0;
/// Bytes below which nobody looks for longer.
const SMALL: f64 = 4e6;
/// Memory ends beyond so many seconds: nobody's concern (30 days).
const FAR_S: f64 = 30.0 * 86_400.0;

/// A job such as a compiler is born, grows and ends. What is neither old nor was seen to grow for so
/// long is not accused of a leak, if memory does not end within two minutes either. Met once: two of the 13
/// processes of a build on a busy machine (not known which) were accused after 13 seconds. A made-up
/// pair that grows steadily was too, after 51: tests/end_to_end/diagnose_cli.rs has it. The bounds are a judgement.
const JOB_S: f64 = 60.0;
const JOB_GROWS_S: f64 = 30.0;
const IMMINENT_S: f64 = 120.0;

/// The process at the top of what a process belongs to: its highest ancestor in the same unit that
/// was not started by a shell, cron or the like.
pub fn top(engine: &Engine, units: &BTreeMap<ProcId, String>, of: &ProcessState) -> ProcId {
    let detector = engine.detector();
    let mut top = of;
    for _ in 0..DEEPEST {
        let Some(parent) = top.parent.and_then(|parent| detector.process_state(parent)) else {
            break;
        };
        if units.get(&parent.id) != units.get(&top.id) || is_apart(engine, top, parent) {
            break;
        }
        top = parent;
    }
    top.id
}

/// Whether a process is a service by itself and no part of what started it.
pub(super) fn is_apart(engine: &Engine, of: &ProcessState, parent: &ProcessState) -> bool {
    let eligibility = engine.policy().eligibility();
    let server = |id| eligibility.server(id).unwrap_or(&UNKNOWN);
    let (own, above) = (server(of.id), server(parent.id));
    // A server that something else started, a wrapper or a script.
    let apart = above.runs_others || (own.is_known() && own != above);
    apart && parent.comm != of.comm
}

/// Whether a process is a worker of its parent: of the same name, or of the same server (mod_perl
/// renames Apache's children). What it has in common with its parent counts for the parent.
pub fn is_worker(engine: &Engine, of: &ProcessState, parent: &ProcessState) -> bool {
    let server = |id| engine.policy().eligibility().server(id);
    of.comm == parent.comm
        || server(of.id).is_some_and(|own| own.is_known() && Some(own) == server(parent.id))
}

/// What a process has to itself: without what a worker still has in common with its parent, which
/// counts for the parent. It understates by what copy-on-write has made private since.
pub fn own(engine: &Engine, standing: &ProcessState) -> f64 {
    let parent = standing.parent.and_then(|parent| engine.detector().process_state(parent));
    let inherited = match parent {
        Some(parent) if is_worker(engine, standing, parent) => {
            standing.footprint.min(parent.footprint)
        }
        _ => 0,
    };
    (standing.footprint - inherited) as f64
}

/// All services, worst first.
pub fn all(gathered: &Observation<'_>) -> Vec<Service> {
    let detector = gathered.engine.detector();
    let mut groups: Vec<TreeGroup<'_>> = Vec::new();
    for standing in detector.process_states() {
        let unit = gathered.units.get(&standing.id);
        let own_top = top(gathered.engine, gathered.units, standing);
        let known = groups.iter().position(|group| match unit {
            Some(unit) => group.is_unit && group.name == *unit,
            None => !group.is_unit && group.members.iter().any(|(_, top)| *top == own_top),
        });
        match known.and_then(|index| groups.get_mut(index)) {
            Some(group) => group.members.push((standing, own_top)),
            None => {
                let first = detector.process_state(own_top).unwrap_or(standing);
                let program = || gathered.programs.get(&first.id).cloned();
                let eligibility = gathered.engine.policy().eligibility();
                let server = || {
                    let known = eligibility.server(standing.id).filter(|s| s.is_known());
                    known.filter(|_| is_interpreter(first.comm)).map(|s| s.name.to_owned())
                };
                let name = unit.cloned().or_else(program).or_else(server);
                let name = name.unwrap_or_else(|| first.comm.to_string());
                let members = vec![(standing, own_top)];
                groups.push(TreeGroup { name, is_unit: unit.is_some(), members });
            }
        }
    }
    let mut services: Vec<Service> = groups.into_iter().map(|group| of(gathered, group)).collect();
    tell_apart(&mut services);
    services.sort_by(|a, b| {
        let pace = |s: &Service| s.steady.map_or(0.0, |(rate, _)| rate);
        let key = b.case.rank().cmp(&a.case.rank());
        key.then(pace(b).total_cmp(&pace(a))).then(b.own.total_cmp(&a.own))
    });
    services
}

/// Two servers of one name, or two that are accused, neither a unit: their pids say which is which.
fn tell_apart(services: &mut [Service]) {
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let is_shared = |service: &Service| names.iter().filter(|n| **n == service.name).count() > 1;
    let is_told_of = |s: &Service| s.server.is_known() || s.case.rank() >= Case::Suspect.rank();
    for service in services.iter_mut().filter(|s| !s.is_unit && is_told_of(s)) {
        if is_shared(service)
            && let Some(root) = service.roots.first()
        {
            service.name = format!("{} {}", service.name, root.pid);
        }
    }
}

/// Processes that belong together, each with the top of what it belongs to.
struct TreeGroup<'a> {
    name: String,
    is_unit: bool,
    members: Vec<(&'a ProcessState, ProcId)>,
}

fn of(gathered: &Observation<'_>, group: TreeGroup<'_>) -> Service {
    let TreeGroup { name, is_unit, members: with_tops } = group;
    let members: Vec<&ProcessState> = with_tops.iter().map(|(standing, _)| *standing).collect();
    let detector = gathered.engine.detector();
    let eligibility = gathered.engine.policy().eligibility();
    let own_of = |s: &&ProcessState| own(gathered.engine, s);
    let mut roots: Vec<(ProcId, f64)> = Vec::new();
    for (member, top) in &with_tops {
        let size = own_of(member);
        match roots.iter_mut().find(|(root, _)| root == top) {
            Some((_, sum)) => *sum += size,
            None => roots.push((*top, size)),
        }
    }
    roots.sort_by(|a, b| b.1.total_cmp(&a.1));
    let largest_root = roots.first().map(|(root, _)| *root);
    let root_of = |id: Option<ProcId>| id.and_then(|id| detector.process_state(id));
    let first = root_of(largest_root).or(members.first().copied());
    let mut names: Vec<Comm> = Vec::new();
    for member in &members {
        if !names.contains(&member.comm) && names.len() < 32 {
            names.push(member.comm);
        }
    }
    let sum = roots.iter().map(|(_, size)| size).sum();
    let roots: Vec<ProcId> = roots.into_iter().map(|(root, _)| root).collect();
    let points = gathered.history.together(&roots);
    let look_s = span_s(&points);
    let known = known(gathered.earlier, &members, &roots, (gathered.t, look_s));
    let moved = growth(&points);
    let is_job = |s: &ProcessState| {
        let brief = s.age_s < JOB_S || s.evidence.is_some_and(|e| e.window_s < JOB_GROWS_S);
        let server = eligibility.server(s.id).is_some_and(|server| !server.is_unknown());
        let end_s = detector.forecast(s.root).map_or(f64::INFINITY, |f| f.likely_s);
        brief && !server && end_s > IMMINENT_S
    };
    let judged: Vec<&ProcessState> = members.iter().copied().filter(|s| !is_job(s)).collect();
    let count = |verdict| judged.iter().filter(|s| s.verdict == verdict).count() as u32;
    let grows = |s: &&&ProcessState| s.verdict >= Verdict::Suspect;
    let evidence = || judged.iter().filter(grows).filter_map(|s| s.evidence);
    let bytes = |e: &Evidence| e.unit == Unit::Bytes;
    let rate: f64 = evidence().filter(bytes).map(|e| e.slope.max(0.0)).sum();
    let window = evidence().filter(bytes).map(|e| e.window_s).fold(0.0, f64::max);
    let child_leaks = detector.child_leaks().filter(|(id, ..)| members.iter().any(|m| m.id == *id));
    let child_leak: f64 = child_leaks.map(|(_, e, _)| e.slope).sum();
    let threads: f64 = members.iter().filter_map(|s| s.thread_leak).map(|e| e.slope).sum();
    // Ceilings are known by the tree as a whole.
    let mut trees: Vec<ProcId> = members.iter().map(|member| member.root).collect();
    trees.sort_unstable();
    trees.dedup();
    let forecasts = trees.iter().filter_map(|root| detector.forecast(*root));
    let headrooms = trees.iter().map(|root| detector.headroom(*root));
    let headroom = headrooms.min_by_key(|headroom| headroom.left);
    let readings = gathered.readings.iter().find(|r| roots.contains(&r.root));
    let per_work = readings.and_then(super::Readings::per_work);
    let server = members.iter().filter(|m| m.parent.is_some()).chain(&members);
    let mut server = server.filter_map(|m| eligibility.server(m.id));
    let mut service = Service {
        name,
        is_unit,
        comm: first.map_or(Comm::default(), |s| s.comm),
        program: first.and_then(|s| gathered.programs.get(&s.id)).cloned().unwrap_or_default(),
        names,
        server: server.find(|server| server.is_known()).unwrap_or(&UNKNOWN),
        processes: members.len() as u32,
        workers: with_tops.iter().filter(|(m, top)| m.id != *top).count() as u32,
        own: sum,
        age_s: members.iter().map(|m| m.age_s).fold(0.0, f64::max),
        watched_s: look_s,
        growth: moved,
        case: Case::Unclear,
        leaking: judged.iter().filter(|s| s.leaks()).count() as u32,
        suspects: count(Verdict::Suspect),
        steady: (rate > 0.0).then_some((rate, window)),
        tasks: (child_leak + threads > 0.0).then_some(child_leak + threads),
        forecast: forecasts.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s)),
        headroom: headroom.unwrap_or_else(|| detector.headroom(ProcId { pid: 0, start: 0 })),
        per_work,
        points,
        roots,
        before: None,
    };
    let has = |verdict| judged.iter().any(|s| s.verdict == verdict);
    let rate = readings.and_then(super::Readings::rate);
    let denied = readings.zip(per_work).is_some_and(|(readings, per_work)| {
        denies(gathered.earlier, &members, &readings.after, &per_work)
    });
    let compared = compares(&service) && !denied;
    let by_look = match () {
        () if service.leaking > 0 || service.tasks.is_some() => Case::Leaks,
        () if compared => Case::Likely { rate },
        () if has(Verdict::Suspect) => Case::Suspect,
        () => moved_case(&service, has),
    };
    let leaking = |s: &&&ProcessState| (s.leaks() && !is_job(s)) || known.leaking.contains(&s.id);
    service.leaking = members.iter().filter(leaking).count() as u32;
    join(&mut service, by_look, compared.then_some(Case::Likely { rate }), &known, gathered.t);
    service
}

pub(super) fn span_s(points: &[Point]) -> f64 {
    match points {
        [first, .., last] => last.0 - first.0,
        _ => 0.0,
    }
}

/// Whether its workers were compared, and hold the more the more they worked.
fn compares(service: &Service) -> bool {
    // Compilers and batch jobs too hold more the longer they run: only of servers is a request like
    // another.
    service.server.is_known()
        && service.per_work.is_some_and(|p| matches!(p.basis, Basis::Compared(..)))
}

/// What is to be said of a service that nothing accuses, by how it moved.
pub(super) fn moved_case(service: &Service, has: impl Fn(Verdict) -> bool) -> Case {
    let left = service.headroom.left as f64;
    // The most that it can have grown by on average since it started.
    let lasts_s = left / (service.own / service.age_s.max(1.0)).max(1e-9);
    let Some(growth) = service.growth.filter(|_| !has(Verdict::New)) else {
        return if lasts_s > FAR_S { Case::TooSlow(lasts_s) } else { Case::Unclear };
    };
    if growth.rise.abs() < notable(service.own) {
        return Case::Flat;
    }
    if growth.rise < 0.0 {
        return Case::Shrank;
    }
    if has(Verdict::Warming) {
        return Case::Warming;
    }
    if has(Verdict::LoadCoupled) {
        return Case::WithLoad;
    }
    let end_s = left / growth.rate.max(1e-9);
    // It grew, though not steadily: what would take days to matter is no finding, and what would
    // take hours deserves a longer look.
    if end_s > SOON_S { Case::Slight(end_s) } else { Case::Unclear }
}
