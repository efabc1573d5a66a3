//! Assemble: from what was observed to the services and their verdicts.

use super::movement::Movement;
use super::service::{JudgedBy, SeenEarlier, Service, ServiceVerdict};
use super::urgency;
use super::weigh::{Sides, figures, weigh};
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::process_state::ProcessState;
use crate::core::engine::Engine;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::{Evidence, Verdict};
use crate::core::servers::{Server, UNKNOWN, is_batch};
use crate::diagnose::earlier::knowledge::{EarlierKnowledge, LiveMembers, contradicts};
use crate::diagnose::earlier::series::EarlierSeries;
use crate::diagnose::grouping::{TreeGroup, bytes_beyond_parent, groups, server};
use crate::diagnose::leak_figures::{LeakFigures, SteadyGrowth, first_end};
use crate::diagnose::leak_per_request::{Basis, PerWork};
use crate::diagnose::size_growth::{SizeGrowth, growth, settled_s, slows, span_s};
use crate::diagnose::size_history::{Point, TreeSizes};
use crate::diagnose::work_readings::WorkReadings;
use std::collections::{BTreeMap, BTreeSet};

/// A job such as a compiler is born, grows and ends. What is younger than a minute, or was seen to grow
/// for less than half of one, is not accused of a leak unless memory ends within two minutes. Met once:
/// two of the 13 processes of a build on a busy machine (not known which) were accused after 13
/// seconds. A made-up pair that grows steadily was too, after 51: tests/end_to_end/diagnose_cli.rs has
/// it. The bounds are a judgement.
const JOB_S: f64 = 60.0;
const JOB_GROWS_S: f64 = 30.0;
const IMMINENT_S: f64 = 120.0;
/// What belongs to a batch (a compiler) ends by itself, and grows until then for as long as its input is
/// large: a step of a build may take minutes.
const STEP_S: f64 = 900.0;
/// Command names that are kept of a service.
const MOST_NAMES: usize = 32;

/// What was observed.
pub struct Observation<'a> {
    /// Unix time of the last sample.
    pub t: f64,
    /// The engine that has seen all samples.
    pub engine: &'a Engine,
    /// The sizes over time.
    pub history: &'a TreeSizes,
    /// What was seen before the live samples.
    pub earlier: &'a [EarlierSeries],
    /// The units of processes that have one.
    pub units: &'a BTreeMap<ProcId, String>,
    /// The names of executables whose processes' own names are no help.
    pub programs: &'a BTreeMap<ProcId, String>,
    /// The work of workers.
    pub readings: &'a [WorkReadings],
}

impl Observation<'_> {
    /// All services, the most urgent first.
    pub fn services(&self) -> Vec<Service> {
        let groups = groups(self.engine, self.units, self.programs);
        let mut services: Vec<Service> =
            groups.into_iter().map(|group| self.service(group)).collect();
        add_pids_to_shared_names(&mut services);
        urgency::sort(&mut services);
        services
    }

    fn service(&self, group: TreeGroup<'_>) -> Service {
        let detector = self.engine.detector();
        let trees = trees_by_size(self.engine, &group);
        let size = trees.iter().map(|(_, size)| size).sum();
        let roots: Vec<ProcId> = trees.into_iter().map(|(root, _)| root).collect();
        let members: Vec<&ProcessState> = group.members.iter().map(|(member, _)| *member).collect();
        let age_s = members.iter().map(|member| member.age_s).fold(0.0, f64::max);
        let root = roots.first().and_then(|root| detector.process_state(*root));
        let root = root.or(members.first().copied());
        let live = self.history.together(&roots);
        let live_s = span_s(&live);
        let known = EarlierKnowledge::of(
            self.earlier,
            &LiveMembers { members: &members, roots: &roots, now_t: self.t, live_s },
        );
        let accused = Accused::of(self.engine, &members);
        let limits = Limits::of(self.engine, &members);
        let server = server_of(self.engine, &members);
        let (per_work, compared) = self.work(server, &members, &roots);
        let movement = Movement {
            size,
            age_s,
            left: limits.headroom.left as f64,
            growth: growth(&live),
            slows: slows(&live),
            as_before: members.iter().any(|member| member.as_earlier_run),
        };
        let sizes = Sizes::join(live, &known, self.t, size);
        let sides = Sides {
            live: accused.verdict(compared, &movement),
            compared,
            earlier_proves: known.proves(),
            earlier_leaks: known.is_leak,
            earlier_suspects: !known.suspects.is_empty(),
            is_larger: known.is_larger(size),
            earlier: sizes.earlier.map(|_| earlier_verdict(&known, &sizes, &movement)),
        };
        let (verdict, judge) = weigh(&sides);
        let live_figures = LeakFigures { forecast: limits.forecast, ..accused.figures };
        let LeakFigures { steady, tasks, forecast } =
            figures(&sides, (verdict, judge), live_figures, &known.figures);
        Service {
            comm: root.map_or(Comm::default(), |root| root.comm),
            program: root.and_then(|root| self.programs.get(&root.id)).cloned().unwrap_or_default(),
            names: names(&members),
            uids: uids(&members),
            server,
            processes: members.len() as u32,
            workers: group.members.iter().filter(|(m, root)| m.id != *root).count() as u32,
            leaking: accused.leaking_with(&known),
            suspects: accused.suspects_with(&known, (verdict, judge)),
            earlier: sizes.earlier.map(|earlier| SeenEarlier { judge, ..earlier }),
            watched_s: sizes.watched_s,
            growth: sizes.growth,
            points: sizes.points,
            headroom: limits.headroom,
            name: group.name,
            is_unit: group.is_unit,
            roots,
            size,
            age_s,
            verdict,
            steady,
            tasks,
            forecast,
            per_work,
        }
    }

    /// What a request costs by the work of the workers, and the verdict where comparing them shows a leak.
    fn work(
        &self,
        server: &Server,
        members: &[&ProcessState],
        roots: &[ProcId],
    ) -> (Option<PerWork>, Option<ServiceVerdict>) {
        let readings = self.readings.iter().find(|readings| roots.contains(&readings.root));
        let per_work = readings.and_then(WorkReadings::per_work);
        let compared = readings.zip(per_work).filter(|(readings, per_work)| {
            is_compared(server, per_work)
                && !contradicts(self.earlier, members, &readings.after, per_work)
        });
        let likely =
            |(readings, _): (&WorkReadings, _)| ServiceVerdict::Likely { rate: readings.rate() };
        (per_work, compared.map(likely))
    }
}

/// Adds the pid to the name of a server, or of something accused, that is no unit and shares its name.
fn add_pids_to_shared_names(services: &mut [Service]) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for service in services.iter() {
        *names.entry(service.name.clone()).or_default() += 1;
    }
    for service in services.iter_mut().filter(|service| !service.is_unit) {
        let matters =
            service.server.is_known() || service.verdict.rank() >= ServiceVerdict::Suspect.rank();
        let is_shared = names.get(&service.name).is_some_and(|count| *count > 1);
        if matters
            && is_shared
            && let Some(root) = service.roots.first()
        {
            service.name = format!("{} {}", service.name, root.pid);
        }
    }
}

/// The roots of a group with the bytes below each, the largest first.
fn trees_by_size(engine: &Engine, group: &TreeGroup<'_>) -> Vec<(ProcId, f64)> {
    let mut trees: BTreeMap<ProcId, f64> = BTreeMap::new();
    for (member, root) in &group.members {
        *trees.entry(*root).or_default() += bytes_beyond_parent(engine, member);
    }
    let mut trees: Vec<(ProcId, f64)> = trees.into_iter().collect();
    trees.sort_by(|a, b| b.1.total_cmp(&a.1));
    trees
}

fn names(members: &[&ProcessState]) -> Vec<Comm> {
    let mut names: Vec<Comm> = Vec::new();
    for member in members {
        if !names.contains(&member.comm) && names.len() < MOST_NAMES {
            names.push(member.comm);
        }
    }
    names
}

fn uids(members: &[&ProcessState]) -> Vec<u32> {
    let uids: BTreeSet<u32> = members.iter().filter_map(|member| member.owner.uid()).collect();
    uids.into_iter().collect()
}

/// The server that some processes are, workers first.
fn server_of(engine: &Engine, members: &[&ProcessState]) -> &'static Server {
    let workers_first = members.iter().filter(|m| m.parent.is_some()).chain(members);
    let mut servers = workers_first.map(|member| server(engine, member.id));
    servers.find(|server| server.is_known()).unwrap_or(&UNKNOWN)
}

/// Whether workers of a known server were compared. Compilers and batch jobs too hold more the longer
/// they run: only of a server is one request like another.
fn is_compared(server: &Server, per_work: &PerWork) -> bool {
    server.is_known() && matches!(per_work.basis, Basis::Compared(..))
}

/// What the detector says of the processes of a service that are not jobs.
struct Accused<'a> {
    members: &'a [&'a ProcessState],
    judged: Vec<&'a ProcessState>,
    /// Without a forecast.
    figures: LeakFigures,
}

impl<'a> Accused<'a> {
    fn of(engine: &Engine, members: &'a [&'a ProcessState]) -> Self {
        let detector = engine.detector();
        let judged: Vec<&ProcessState> =
            members.iter().copied().filter(|member| !is_job(engine, member)).collect();
        let grows = judged.iter().filter(|state| state.verdict >= Verdict::Growing);
        let evidence = grows.filter_map(|state| state.evidence);
        let evidence: Vec<Evidence> = evidence.filter(|e| e.unit == Unit::Bytes).collect();
        let rate: f64 = evidence.iter().map(|e| e.slope.max(0.0)).sum();
        let window_s = evidence.iter().map(|e| e.window_s).fold(0.0, f64::max);
        let children = detector.child_leaks();
        let ids: BTreeSet<ProcId> = members.iter().map(|member| member.id).collect();
        let children = children.filter(|(id, ..)| ids.contains(id));
        let children: f64 = children.map(|(_, evidence, _)| evidence.slope).sum();
        let threads: f64 = members.iter().filter_map(|m| m.thread_leak).map(|e| e.slope).sum();
        let tasks = children + threads;
        let figures = LeakFigures {
            steady: (rate > 0.0).then_some(SteadyGrowth { rate, window_s }),
            tasks: (tasks > 0.0).then_some(tasks),
            forecast: None,
        };
        Self { members, judged, figures }
    }

    /// The verdict by the live samples.
    fn verdict(&self, compared: Option<ServiceVerdict>, movement: &Movement) -> ServiceVerdict {
        let has = |verdict| self.judged.iter().any(|state| state.verdict == verdict);
        let grows = self.judged.iter().any(|state| state.endangers);
        if self.figures.tasks.is_some() || self.judged.iter().any(|state| state.leaks()) {
            ServiceVerdict::Leaks
        } else if let Some(likely) = compared {
            // Grown for long, and the more the more it has worked: either alone may be a cache.
            if grows { ServiceVerdict::Leaks } else { likely }
        } else if grows {
            ServiceVerdict::Grows
        } else if has(Verdict::Growing) {
            ServiceVerdict::Suspect
        } else {
            movement.verdict(has)
        }
    }

    /// How many processes leak, or grow for long, by either side.
    fn leaking_with(&self, known: &EarlierKnowledge) -> u32 {
        let grows = |state: &&&ProcessState| state.leaks() || state.endangers;
        let live: BTreeSet<ProcId> = self.judged.iter().filter(grows).map(|s| s.id).collect();
        let leaks = |id: &ProcId| live.contains(id) || known.leaking.contains(id);
        self.members.iter().filter(|member| leaks(&member.id)).count() as u32
    }

    /// How many are suspect by the side that gave the verdict.
    fn suspects_with(&self, known: &EarlierKnowledge, judged: (ServiceVerdict, JudgedBy)) -> u32 {
        let live = self.judged.iter().filter(|state| state.verdict == Verdict::Growing).count();
        let earlier = known.suspects.len();
        let by_earlier = judged == (ServiceVerdict::Suspect, JudgedBy::Earlier);
        (if by_earlier { live.max(earlier) } else { live }) as u32
    }
}

fn is_job(engine: &Engine, state: &ProcessState) -> bool {
    let window_s = state.evidence.map_or(f64::INFINITY, |evidence| evidence.window_s);
    let server = server(engine, state.id);
    let is_step = is_batch(server);
    let most_s = if is_step { STEP_S } else { JOB_S };
    let is_brief = state.age_s < most_s || window_s < JOB_GROWS_S;
    let is_server = !server.is_unknown() && !is_step;
    let end_s = engine.detector().forecast(state.root).map_or(f64::INFINITY, |f| f.likely_s);
    is_brief && !is_server && end_s > IMMINENT_S
}

/// The ceilings of the trees that a service belongs to.
struct Limits {
    forecast: Option<Forecast>,
    headroom: Headroom,
}

impl Limits {
    fn of(engine: &Engine, members: &[&ProcessState]) -> Self {
        let detector = engine.detector();
        // Ceilings are known by the tree as a whole.
        let mut trees: Vec<ProcId> = members.iter().map(|member| member.root).collect();
        trees.sort_unstable();
        trees.dedup();
        let headrooms = trees.iter().map(|root| detector.headroom(*root));
        let nearest = headrooms.min_by_key(|headroom| headroom.left);
        Self {
            forecast: first_end(trees.iter().filter_map(|root| detector.forecast(*root))),
            headroom: nearest.unwrap_or_else(|| detector.headroom(ProcId { pid: 0, start: 0 })),
        }
    }
}

/// The sizes of a service over time: those of the longest earlier series, and its size now.
#[derive(Debug)]
struct Sizes {
    points: Vec<Point>,
    growth: Option<SizeGrowth>,
    watched_s: f64,
    /// How it was seen earlier; its judge is not known yet.
    earlier: Option<SeenEarlier>,
}

impl Sizes {
    fn join(live: Vec<Point>, known: &EarlierKnowledge, t: f64, size: f64) -> Self {
        let live_s = span_s(&live);
        let Some(longest) = &known.longest else {
            return Self { growth: growth(&live), points: live, watched_s: live_s, earlier: None };
        };
        let seen_s = span_s(&longest.points);
        let mut points = longest.points.clone();
        let now_t = live.last().map_or(t, |(t, _)| *t);
        if points.last().is_some_and(|(last_t, _)| *last_t < now_t) {
            points.push((now_t, size));
        }
        // The time between the two is not counted where it is long.
        let watched_s = if longest.is_recent { span_s(&points) } else { seen_s + live_s };
        let span_s = (watched_s - live_s).max(seen_s);
        let judge = JudgedBy::Earlier;
        let earlier = Some(SeenEarlier { index: longest.index, span_s, live_s, judge });
        Self { growth: growth(&points), points, watched_s, earlier }
    }
}

/// The verdict by how the service moved in the longest earlier series and until now.
fn earlier_verdict(known: &EarlierKnowledge, sizes: &Sizes, live: &Movement) -> ServiceVerdict {
    if let Some(flat_s) = settled_s(&sizes.points) {
        return ServiceVerdict::Settled(flat_s);
    }
    let has = |verdict| match verdict {
        Verdict::Warming => known.warms_up,
        Verdict::LoadCoupled => known.with_load,
        _ => false,
    };
    let (growth, slows) = (sizes.growth, slows(&sizes.points));
    match (Movement { growth, slows, as_before: known.as_before, ..*live }).verdict(has) {
        ServiceVerdict::Flat if known.is_smaller(live.size) => ServiceVerdict::Shrank,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::{by_key, service};
    use super::*;
    use crate::diagnose::earlier::knowledge::LongestSeries;

    const MIB: f64 = 1024.0 * 1024.0;

    fn line(from_t: f64, sizes: &[f64]) -> Vec<Point> {
        sizes.iter().enumerate().map(|(n, mib)| (from_t + n as f64, mib * MIB)).collect()
    }

    fn known(points: Vec<Point>, is_recent: bool) -> EarlierKnowledge {
        let longest = Some(LongestSeries { index: 3, points, is_recent });
        EarlierKnowledge { longest, ..EarlierKnowledge::default() }
    }

    #[test]
    fn sizes_without_an_earlier_series_are_the_live_ones() {
        let sizes = Sizes::join(line(0.0, &[1.0; 10]), &EarlierKnowledge::default(), 9.0, MIB);
        assert_eq!((sizes.points.len(), sizes.watched_s, sizes.earlier), (10, 9.0, None));
    }

    #[test]
    fn the_time_between_an_earlier_series_and_now_counts_only_where_it_is_short() {
        let live = || line(1000.0, &[2.0; 11]);
        let recent = Sizes::join(live(), &known(line(0.0, &[1.0; 101]), true), 1010.0, 2.0 * MIB);
        assert_eq!(recent.points.len(), 102, "the live samples are one point");
        assert_eq!((recent.watched_s, recent.earlier.unwrap().span_s), (1010.0, 1000.0));
        let old = Sizes::join(live(), &known(line(0.0, &[1.0; 101]), false), 1010.0, 2.0 * MIB);
        assert_eq!((old.watched_s, old.earlier.unwrap().span_s), (110.0, 100.0));
        assert_eq!(old.earlier.unwrap().index, 3);
    }

    #[test]
    fn a_service_smaller_than_ever_before_has_shrunk() {
        let verdict = |size_mib: f64| {
            let size = size_mib * MIB;
            let known = known(line(0.0, &[100.0; 101]), true);
            let sizes = Sizes::join(line(101.0, &[size_mib]), &known, 101.0, size);
            let live = Movement {
                size,
                age_s: 1e6,
                left: 1e9,
                growth: None,
                slows: false,
                as_before: false,
            };
            earlier_verdict(&known, &sizes, &live)
        };
        assert_eq!((verdict(99.0), verdict(90.0)), (ServiceVerdict::Flat, ServiceVerdict::Shrank));
    }

    #[test]
    fn only_servers_and_suspects_that_share_a_name_get_their_pids() {
        let mut services = [
            Service { server: by_key("nginx"), ..service("nginx") },
            Service { server: by_key("nginx"), is_unit: true, ..service("nginx") },
            service("sh"),
            service("sh"),
            Service { verdict: ServiceVerdict::Suspect, ..service("sh") },
            Service { server: by_key("sshd"), ..service("sshd") },
        ];
        add_pids_to_shared_names(&mut services);
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["nginx 10", "nginx", "sh", "sh", "sh 10", "sshd"]);
    }
}
