//! Leaks, mixtures and limits that the note does not have.

use super::{CONSTANT, by_request, linear, saturating, short_lived};
use crate::growth::Growth::Logarithmic;
use crate::scenario::{Class, Scenario, group};
use crate::server::Server;

/// Many workers, little left, slow exits, late looks, and programs that nobody knows.
pub fn leaks() -> Vec<Scenario> {
    let of = |name: &str, size, groups| Scenario::new(name, Class::Leak, size, groups);
    let apache = || vec![group(6, by_request(15.0, 0.25)).start(5.0)];
    let apache = |name: &str| {
        of(name, 200.0, apache()).base(25.0).seconds(75.0).respawn(0.2, 1.3).requests(0.5, 0.08)
    };
    let unknown = |count, growth| group(count, growth).server(Server::Unknown);
    vec![
        apache("apache-15-exits-3x-200M").slow_exits(3.0),
        apache("apache-15-late-50ms-200M").late_looks(0.05),
        apache("apache-15-late-150ms-200M").late_looks(0.15),
        of(
            "leak-1000-1of64-64G",
            65536.0,
            vec![group(1, linear(1000.0)).start(50.0), group(63, CONSTANT).start(400.0)],
        )
        .seconds(60.0),
        // 64 MB are left as the watch begins.
        of(
            "leak-1-1of16-little-left-1G",
            1024.0,
            vec![group(1, linear(1.0)).start(20.0), group(15, CONSTANT).start(40.0)],
        )
        .base(340.0)
        .seconds(120.0),
        of("leak-4-all64-2G", 2048.0, vec![group(64, by_request(4.0, 0.25)).start(12.0)])
            .base(900.0)
            .seconds(150.0),
        of("unknown-8-all4-512M", 512.0, vec![unknown(4, by_request(8.0, 0.25)).start(20.0)])
            .seconds(120.0),
        of(
            "unknown-30-1of6-1G",
            1024.0,
            vec![unknown(1, linear(30.0)), unknown(5, CONSTANT).start(60.0)],
        )
        .seconds(60.0),
        // A quarter of them ignore TERM for good.
        of("unknown-15-stuck-512M", 512.0, vec![unknown(6, by_request(15.0, 0.5)).start(15.0)])
            .seconds(75.0)
            .stuck(0.5),
        // Few requests: most workers are idle for seconds.
        of("quiet-apache-4-all8-256M", 256.0, vec![group(8, by_request(4.0, 0.5)).start(8.0)])
            .seconds(120.0)
            .requests(0.1, 0.5),
        of("quiet-unknown-4-all8-256M", 256.0, vec![unknown(8, by_request(4.0, 0.5)).start(8.0)])
            .seconds(120.0)
            .requests(0.1, 0.5),
        of(
            "php-20-all8-512M",
            512.0,
            vec![group(8, by_request(20.0, 0.5)).start(14.0).server(Server::PhpFpm)],
        )
        .seconds(75.0)
        .requests(0.6, 0.5),
    ]
}

/// Leaks beside batches, deployments and caches.
pub fn mixtures() -> Vec<Scenario> {
    let of = |name: &str, groups| Scenario::new(name, Class::Mixture, 1024.0, groups);
    let cache = Logarithmic { size: 300.0, at_s: 100.0, tau_s: 2.0 };
    let jobs = || group(4, short_lived(56.0, 2.8, 22.0)).start(4.0).server(Server::Xargs).tree(1);
    vec![
        of("mix-leak8+xargs-1G", vec![group(4, by_request(8.0, 0.25)).start(20.0), jobs()])
            .seconds(150.0),
        of(
            "mix-leak30+late-big-worker-1G",
            vec![
                group(2, by_request(30.0, 0.5)).start(12.0),
                group(1, super::fill(300.0, 100.0)).onset(12.0),
                group(4, CONSTANT).start(20.0),
            ],
        )
        .seconds(60.0),
        of("mix-leak8+cache-log-1G", vec![group(1, linear(8.0)), group(2, cache)]).seconds(100.0),
    ]
}

/// Limits within limits, limits whose sum is more than the machine, and children that may not end.
pub fn limits() -> Vec<Scenario> {
    let of = |name: &str, class, size, groups| Scenario::new(name, class, size, groups);
    let each = |limit| group(3, linear(5.0)).start(10.0).below(limit);
    vec![
        of(
            "nested-cgroups-15+warm",
            Class::Limits,
            4096.0,
            vec![
                group(5, by_request(15.0, 0.25)).start(6.0).below_both(1, 2),
                group(4, saturating(50.0, 8.0)).start(6.0).below_both(1, 3),
            ],
        )
        .base(400.0)
        .cgroups(&[420.0, 220.0, 260.0])
        .seconds(60.0),
        of(
            "nested-cgroups-outer-first",
            Class::Limits,
            4096.0,
            vec![
                group(4, by_request(10.0, 0.25)).start(6.0).below_both(1, 2),
                group(4, by_request(10.0, 0.25)).start(6.0).below_both(1, 3),
            ],
        )
        .base(400.0)
        .cgroups(&[300.0, 220.0, 220.0])
        .seconds(60.0),
        of("overcommitted-cgroups-1G", Class::Limits, 1024.0, vec![each(1), each(2), each(3)])
            .cgroups(&[400.0, 400.0, 400.0])
            .seconds(75.0),
        // Nobody would start these again: the kernel has to do it.
        of(
            "pool-leaks-15-512M",
            Class::Hopeless,
            512.0,
            vec![group(4, linear(4.0)).server(Server::ProcessPool)],
        )
        .seconds(60.0),
        of(
            "only-job-leaks-10-cgroup",
            Class::Hopeless,
            2048.0,
            vec![group(1, linear(10.0)).server(Server::Xargs).below(1)],
        )
        .cgroups(&[200.0])
        .seconds(60.0),
    ]
}
