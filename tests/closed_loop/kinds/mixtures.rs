//! Mixtures: leaks beside healthy growth, several limits, and what no watchdog can hold.

use super::{CONSTANT, big_request, by_request, linear, saturating, saw, short_lived};
use crate::scenario::{Class, Group, Scenario, group};

fn mixture(name: &str, size: f64, groups: Vec<Group>) -> Scenario {
    Scenario::new(name, Class::Mixture, size, groups)
}

/// A leak beside warm-ups, collectors, big siblings, big requests and jobs.
pub fn mixtures() -> Vec<Scenario> {
    let half = 468.0 * 0.5;
    let warm = |share: f64, tau_s| group(1, saturating(half * share, tau_s)).start(6.0);
    vec![
        mixture(
            "mix-leak4+warm-512M",
            468.0,
            vec![group(1, linear(4.0)), warm(0.4, 9.0), warm(0.3, 5.0), warm(0.3, 12.0)],
        )
        .seconds(75.0),
        mixture(
            "mix-leak15+warm-1G",
            1024.0,
            vec![group(1, linear(15.0)), group(3, saturating(180.0, 10.0)).start(6.0)],
        )
        .seconds(75.0),
        mixture(
            "mix-leak60+saw-1G",
            1024.0,
            vec![group(1, linear(60.0)), group(6, saw(60.0, 5.0))],
        )
        .seconds(45.0),
        mixture(
            "mix-S1b-leak4x2+big-468M",
            468.0,
            vec![
                group(2, linear(4.0)).start(10.0).onset(5.0),
                group(1, CONSTANT).start(160.0),
                group(5, CONSTANT).start(12.0),
            ],
        )
        .seconds(60.0),
        mixture(
            "mix-leak15+bigreq-512M",
            512.0,
            vec![
                group(1, linear(15.0)),
                group(1, big_request(120.0, 9.0, 1.0, 1.5)),
                group(3, CONSTANT).start(15.0),
            ],
        )
        .seconds(60.0)
        .requests(0.7, 1.5),
        mixture(
            "mix-leak30of8+short-1G",
            1024.0,
            vec![
                group(4, by_request(30.0, 0.5)).start(12.0),
                group(12, short_lived(8.0, 3.0, 2.0)).start(1.0),
            ],
        )
        .seconds(60.0)
        .respawn(0.05, 0.3),
        mixture(
            "mix-leak15+late-warm-512M",
            512.0,
            vec![
                group(2, by_request(15.0, 0.5)).start(12.0),
                group(2, saturating(60.0, 4.0)).start(6.0).onset(16.0),
            ],
        )
        .seconds(60.0),
    ]
}

/// Limits of cgroups beside the machine's.
pub fn limits() -> Vec<Scenario> {
    let limits = |name: &str, size, base, cgroups: &[f64], groups| {
        Scenario::new(name, Class::Limits, size, groups).base(base).cgroups(cgroups)
    };
    let leaking = |limit| group(5, by_request(15.0, 0.25)).start(6.0).below(limit);
    let three = [1, 2, 3].map(|limit| group(4, linear(5.0)).start(6.0).below(limit));
    vec![
        limits("two-cgroups-15+15", 4096.0, 400.0, &[200.0, 200.0], vec![leaking(1), leaking(2)])
            .seconds(60.0),
        limits(
            "two-cgroups-warm+leak",
            4096.0,
            400.0,
            &[200.0, 180.0],
            vec![
                group(4, saturating(40.0, 8.0)).start(6.0).below(1),
                group(4, by_request(12.0, 0.25)).start(6.0).below(2),
            ],
        )
        .seconds(60.0),
        limits("three-cgroups-20-each", 8192.0, 400.0, &[220.0, 260.0, 300.0], three.to_vec())
            .seconds(60.0),
        limits(
            "machine+cgroup-leaks",
            1024.0,
            100.0,
            &[240.0, 4096.0],
            vec![
                group(4, by_request(12.0, 0.5)).start(10.0).below(1),
                group(3, linear(10.0)).start(10.0).below(2),
            ],
        )
        .seconds(75.0),
    ]
}

/// A plateau that does not fit, a request that does not, a leak as fast as any exit.
pub fn hopeless() -> Vec<Scenario> {
    let plateau = (468.0 * 1.03 - 42.0 - 24.0) / 4.0;
    vec![
        Scenario::new(
            "warm-over-3%-512M",
            Class::Hopeless,
            468.0,
            vec![group(4, saturating(plateau, 7.0)).start(6.0)],
        )
        .seconds(60.0)
        .respawn(0.2, 1.0),
        Scenario::new(
            "big-request-over-512M",
            Class::Hopeless,
            512.0,
            vec![group(1, big_request(320.0, 12.0, 1.0, 2.0)), group(3, CONSTANT).start(60.0)],
        )
        .seconds(30.0)
        .requests(0.9, 2.0),
        Scenario::new(
            "leak-1000-1of4-512M",
            Class::Hopeless,
            512.0,
            vec![group(1, linear(1000.0)).start(20.0), group(3, CONSTANT).start(40.0)],
        )
        .seconds(15.0)
        .finely(0.002),
    ]
}
