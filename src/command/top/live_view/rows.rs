//! Which services and processes are listed, and in which order.

use super::scene::{ProcessRow, Scene};
use crate::core::model::process::ProcId;
use crate::diagnose::report::pace;
use crate::diagnose::services::service::Service;
use std::cmp::Ordering;

/// An order of the services; their processes follow it as far as it makes sense for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The end that comes first, then the surer verdict, then the faster growth.
    #[default]
    Urgency,
    /// The faster growth, proven or not.
    Growth,
    /// The larger size.
    Size,
    /// The name.
    Name,
}

impl Sort {
    /// The one that follows.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Urgency => Self::Growth,
            Self::Growth => Self::Size,
            Self::Size => Self::Name,
            Self::Name => Self::Urgency,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Urgency => "urgency",
            Self::Growth => "growth",
            Self::Size => "size",
            Self::Name => "name",
        }
    }
}

/// By what a service is known again in the next sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServiceKey {
    /// The name of its unit or container.
    Unit(String),
    /// Its root.
    Tree(Option<ProcId>),
}

impl ServiceKey {
    pub(super) fn of(service: &Service) -> Self {
        match service.is_unit {
            true => Self::Unit(service.name.clone()),
            false => Self::Tree(service.roots.first().copied()),
        }
    }
}

/// Bytes a second by which a service grows: what accuses it, else what was seen so far.
fn rate(service: &Service) -> f64 {
    let seen = service.growth.map_or(0.0, |growth| growth.rate);
    pace(service).map_or(seen, |(rate, ..)| rate)
}

/// The services that match, in that order, each with its index in the scene.
pub(super) fn services<'s>(
    scene: &'s Scene,
    filter: &str,
    sort: Sort,
) -> Vec<(usize, &'s Service)> {
    let wanted = filter.to_lowercase();
    let matches = |service: &Service| {
        let named = |name: &str| name.to_lowercase().contains(&wanted);
        named(&service.name)
            || named(service.server.name)
            || service.names.iter().any(|comm| named(&comm.to_string()))
    };
    let mut rows: Vec<(usize, &Service)> =
        scene.services.iter().enumerate().filter(|(_, service)| matches(service)).collect();
    // Stable: what is alike stays in the order of urgency, which the scene has.
    let order = |a: &Service, b: &Service| match sort {
        Sort::Urgency => Ordering::Equal,
        Sort::Growth => rate(b).total_cmp(&rate(a)),
        Sort::Size => b.size.total_cmp(&a.size),
        Sort::Name => a.name.cmp(&b.name),
    };
    rows.sort_by(|(_, a), (_, b)| order(a, b));
    rows
}

/// The processes of a service, in that order.
pub(super) fn processes(scene: &Scene, service: usize, sort: Sort) -> Vec<&ProcessRow> {
    let mut rows: Vec<&ProcessRow> =
        scene.processes.iter().filter(|row| row.service == service).collect();
    let slope = |row: &ProcessRow| row.growth.map_or(0.0, |(slope, _)| slope);
    let by_size = |a: &ProcessRow, b: &ProcessRow| b.footprint.cmp(&a.footprint);
    rows.sort_by(|a, b| {
        let first = match sort {
            Sort::Urgency => b
                .verdict
                .cmp(&a.verdict)
                .then(b.endangers.cmp(&a.endangers))
                .then(slope(b).total_cmp(&slope(a))),
            Sort::Growth => slope(b).total_cmp(&slope(a)),
            Sort::Size => Ordering::Equal,
            Sort::Name => a.comm.as_bytes().cmp(b.comm.as_bytes()),
        };
        first.then_with(|| by_size(a, b)).then(a.id.cmp(&b.id))
    });
    rows
}
