//! Urgency: which service an admin must see to first.

use std::cmp::Ordering;

use super::service::{HOUR_S, Service, ServiceVerdict};
use crate::core::model::ceiling::{CeilingKind, Place};

/// A ceiling and the place where it stands.
type PlacedCeiling = (CeilingKind, Place);

/// Puts the most urgent service first: those that take a ceiling within the hour by the ceiling that
/// ends first, then the rest; of one ceiling the surer verdict, the faster growth, the larger size.
///
/// Growth alone does not do: a server that grew by 4 MiB/s on a machine with 18 GiB left stood before
/// one whose container of 169 MiB ended within 47 s, which then got no advice at all.
pub(super) fn sort(services: &mut [Service]) {
    let mut ends: Vec<(PlacedCeiling, f64)> = Vec::new();
    for (limit, end_s) in services.iter().filter_map(soon) {
        match ends.iter_mut().find(|(of, _)| *of == limit) {
            Some((_, first_s)) => *first_s = first_s.min(end_s),
            None => ends.push((limit, end_s)),
        }
    }
    // Services below one ceiling end with it, whatever each forecast says alone.
    let end_s = |service: &Service| {
        let limit = soon(service).map(|(limit, _)| limit);
        ends.iter().find(|(of, _)| Some(*of) == limit).map_or(f64::INFINITY, |(_, s)| *s)
    };
    let key = |service: &Service| {
        let rate = service.steady.map_or(0.0, |steady| steady.rate);
        [end_s(service), -f64::from(service.verdict.rank()), -rate, -service.size]
    };
    services.sort_by(|a, b| {
        let pairs = key(a).into_iter().zip(key(b));
        pairs.map(|(a, b)| a.total_cmp(&b)).fold(Ordering::Equal, Ordering::then)
    });
}

/// The ceiling that a service which grows steadily reaches within the hour, and in how many seconds.
/// It may be watched too briefly to be accused: a container whose end was 20 s away stood fifth then.
fn soon(service: &Service) -> Option<(PlacedCeiling, f64)> {
    let grows = service.verdict.rank() >= ServiceVerdict::Suspect.rank();
    let forecast = service.forecast.as_ref().filter(|_| grows)?;
    let is_soon = forecast.is_reliable() && forecast.likely_s < HOUR_S;
    is_soon.then_some(((forecast.ceiling, forecast.place), forecast.likely_s))
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::service;
    use super::*;
    use crate::core::model::forecast::Forecast;
    use crate::diagnose::leak_figures::SteadyGrowth;

    fn growing(name: &str, mib_s: f64, ends: Option<(&str, f64)>) -> Service {
        let forecast = ends.map(|(place, likely_s)| Forecast {
            ceiling: CeilingKind::CgroupMemory,
            place: Place::new(place),
            headroom: 80 << 20,
            limit: 169 << 20,
            slope: mib_s * 1048576.0,
            earliest_s: likely_s * 0.8,
            likely_s,
            latest_s: likely_s * 1.2,
            window_s: 60.0,
        });
        let steady = Some(SteadyGrowth { rate: mib_s * 1048576.0, window_s: 60.0 });
        Service { verdict: ServiceVerdict::Grows, steady, forecast, ..service(name) }
    }

    fn sorted(mut services: Vec<Service>) -> Vec<String> {
        sort(&mut services);
        services.into_iter().map(|service| service.name).collect()
    }

    #[test]
    fn the_container_that_ends_within_a_minute_comes_before_faster_growth_with_room_left() {
        let small = growing("small", 1.9, Some(("/shop", 47.0)));
        assert_eq!(sorted(vec![growing("fast", 4.0, None), small]), ["small", "fast"]);
    }

    #[test]
    fn one_that_was_watched_too_briefly_to_be_accused_comes_first_where_it_ends_first() {
        let suspect = |of| Service { verdict: ServiceVerdict::Suspect, ..of };
        let small = suspect(growing("small", 1.9, Some(("/shop", 20.0))));
        let fast = suspect(growing("fast", 4.0, None));
        let grows = growing("grows", 4.0, Some(("/blog", 900.0)));
        assert_eq!(sorted(vec![fast, grows, small]), ["small", "grows", "fast"]);
    }

    #[test]
    fn below_one_ceiling_the_fastest_comes_first_whatever_each_forecast_says() {
        let fast = growing("fast", 4.0, Some(("/shop", 48.0)));
        let slow = growing("slow", 0.1, Some(("/shop", 47.0)));
        let other = growing("other", 9.0, Some(("/blog", 900.0)));
        assert_eq!(sorted(vec![slow, other, fast]), ["fast", "slow", "other"]);
    }

    #[test]
    fn where_nothing_ends_within_the_hour_the_surer_verdict_comes_first() {
        let leaks =
            Service { verdict: ServiceVerdict::Leaks, ..growing("leaks", 0.1, Some(("/a", 9e3))) };
        assert_eq!(sorted(vec![growing("grows", 4.0, None), leaks]), ["leaks", "grows"]);
    }
}
