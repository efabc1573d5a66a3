//! Scene: what one sample shows of the machine.

use crate::core::detect::process_state::ProcessState;
use crate::core::engine::Engine;
use crate::core::model::ceiling::{Ceiling, Unit};
use crate::core::model::event::Severity;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::Verdict;
use crate::diagnose::nearest;
use crate::diagnose::observer::Observer;
use crate::diagnose::services::service::Service;
use crate::report::summary;
use std::collections::HashMap;

/// What one sample shows.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its time.
    pub t: f64,
    /// The machine's name.
    pub host: String,
    /// The nearest ceilings: first those that are reached, the soonest first.
    pub ceilings: Vec<CeilingEnd>,
    /// The services, the most urgent first.
    pub services: Vec<Service>,
    /// The processes.
    pub processes: Vec<ProcessRow>,
    /// How it stands.
    pub status: Severity,
    /// The same in words.
    pub summary: String,
}

/// A ceiling, and when it is reached.
#[derive(Clone, Copy, Debug)]
pub struct CeilingEnd {
    /// The ceiling.
    pub ceiling: Ceiling,
    /// When it is reached, if it comes nearer.
    pub forecast: Option<Forecast>,
}

/// A process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessRow {
    /// The index of its service.
    pub service: usize,
    /// Its identity.
    pub id: ProcId,
    /// Its name.
    pub comm: Comm,
    /// Whether it has a parent in the sample.
    pub is_child: bool,
    /// Its footprint in bytes.
    pub footprint: u64,
    /// Its steady growth: bytes a second, and the seconds for which it was watched.
    pub growth: Option<(f64, f64)>,
    /// What is known of its growth.
    pub verdict: Verdict,
    /// Whether it grows for so long that it endangers its ceiling.
    pub endangers: bool,
    /// Its age in seconds.
    pub age_s: f64,
    /// Its threads.
    pub threads: u32,
}

impl Scene {
    /// What the last sample of an observer shows.
    pub(crate) fn of(observer: &Observer) -> Self {
        let services = observer.services();
        let roots = services.iter().enumerate();
        let roots: HashMap<ProcId, usize> = roots
            .flat_map(|(index, service)| service.roots.iter().map(move |root| (*root, index)))
            .collect();
        let members = observer.service_roots();
        let engine = observer.engine();
        let processes = engine.detector().process_states().filter_map(|state| {
            let service = *roots.get(members.get(&state.id)?)?;
            Some(ProcessRow::of(state, service))
        });
        Self {
            t: observer.last().t,
            host: observer.host().to_owned(),
            ceilings: ceilings(observer, &services),
            processes: processes.collect(),
            status: engine.status(),
            summary: words(engine),
            services,
        }
    }
}

impl ProcessRow {
    fn of(state: &ProcessState, service: usize) -> Self {
        let evidence = state.evidence.filter(|evidence| evidence.unit == Unit::Bytes);
        Self {
            service,
            id: state.id,
            comm: state.comm,
            is_child: state.parent.is_some(),
            footprint: state.footprint,
            growth: evidence.map(|evidence| (evidence.slope, evidence.window_s)),
            verdict: if state.leaks() { Verdict::Leaking } else { state.verdict },
            endangers: state.endangers,
            age_s: state.age_s,
            threads: state.threads,
        }
    }
}

fn ceilings(observer: &Observer, services: &[Service]) -> Vec<CeilingEnd> {
    let with_forecast = |ceiling: Ceiling| {
        let of = services.iter().filter_map(|service| service.forecast);
        let same = of.filter(|f| (f.ceiling, f.place) == (ceiling.kind, ceiling.place));
        let forecast = same.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s));
        CeilingEnd { ceiling, forecast }
    };
    let mut rows: Vec<CeilingEnd> =
        nearest(observer.last()).into_iter().map(with_forecast).collect();
    let end_s = |row: &CeilingEnd| row.forecast.map_or(f64::INFINITY, |f| f.likely_s);
    // Stable: the rest stay in the order of the share that is left.
    rows.sort_by(|a, b| end_s(a).total_cmp(&end_s(b)));
    rows
}

/// "2 LEAKING in 7 processes"
fn words(engine: &Engine) -> String {
    let mut text = Vec::new();
    // Into memory nothing fails.
    let _ = summary::write_summary(&mut text, engine);
    let text = String::from_utf8_lossy(&text);
    // What is left stands below.
    text.split("; ").next().unwrap_or_default().to_owned()
}
