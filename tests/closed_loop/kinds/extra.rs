//! Healthy kinds that the note does not have: batches whose parent replaces nobody, reports below a
//! budget, and growth of shapes that occur.

use super::healthy::room;
use super::{CONSTANT, big_request, fill, saturating, saw, short_lived};
use crate::growth::Growth::{Logarithmic, Steps};
use crate::scenario::{Class::Healthy, Scenario, group};
use crate::server::Server;

/// Growth of other shapes, of other sizes, and looked at late.
pub fn healthy() -> Vec<Scenario> {
    let of = |name: &str, size, groups| Scenario::new(name, Healthy, size, groups);
    let cache = Logarithmic { size: room(512.0, 10.0, 2, 8.0) / 2.0, at_s: 100.0, tau_s: 1.0 };
    let steps = Steps { plateau: room(1024.0, 12.0, 4, 8.0) / 4.0, step: 24.0, every_s: 5.0 };
    let many = room(16384.0, 6.0, 64, 20.0) / 64.0;
    let late = room(512.0, 5.0, 4, 6.0) / 4.0;
    vec![
        of("cache-log-10%-512M", 512.0, vec![group(2, cache)]).seconds(100.0),
        of("steps-12%-1G", 1024.0, vec![group(4, steps)]).seconds(75.0),
        // A second generation starts and overlaps the first: a deployment.
        of(
            "deploy-overlap-9%-1G",
            1024.0,
            vec![
                group(4, CONSTANT).start(105.0),
                group(4, big_request(105.0, 60.0, 3.0, 5.0)).start(0.0).in_step(),
            ],
        )
        .seconds(60.0),
        // Workers that their master replaces after some requests, leak or not: pm.max_requests.
        of(
            "recycled-8-workers-512M",
            512.0,
            vec![group(8, short_lived(50.0, 1.25, 40.0)).start(6.0)],
        )
        .seconds(90.0),
        of("warm-6%-64-workers-16G", 16384.0, vec![group(64, saturating(many, 10.0)).start(20.0)])
            .seconds(60.0),
        of("fill-1MBs-stops-4%-128M", 128.0, vec![group(1, fill(room(128.0, 4.0, 1, 8.0), 1.0))])
            .seconds(115.0),
        of("warm-5%-late-150ms-512M", 512.0, vec![group(4, saturating(late, 5.0)).start(6.0)])
            .seconds(45.0)
            .late_looks(0.15),
        // A cache that fills and stops, and a job of 150 MB every 15 s.
        of(
            "cache-and-job-10%-512M",
            512.0,
            vec![
                group(1, fill(150.0, 8.0)),
                group(1, short_lived(146.0, 30.0, 7.0)).start(4.0),
                group(2, CONSTANT).start(50.0),
            ],
        )
        .seconds(75.0)
        .respawn(8.0, 8.5),
        of(
            "import-1000MBs-9%-64G",
            65536.0,
            vec![
                group(1, short_lived(25000.0, 1000.0, 40.0)).tree(1).server(Server::Xargs),
                group(16, CONSTANT).start(1800.0),
            ],
        )
        .base(6000.0)
        .seconds(50.0)
        .respawn(20.0, 30.0),
    ]
}

/// Jobs and tasks that end by themselves, and reports of which each may take its share.
pub fn batches() -> Vec<Scenario> {
    // Each works on its one job all the time.
    let of = |name: &str, groups| {
        Scenario::new(name, Healthy, 4096.0, groups).base(400.0).requests(1.0, 20.0)
    };
    let jobs = || {
        group(4, short_lived(56.0, 1.2, 50.0)).start(4.0).server(Server::Xargs).below(1).in_step()
    };
    let tasks =
        || group(4, saw(60.0, 40.0)).start(10.0).server(Server::ProcessPool).below(1).in_step();
    let reports = |server| {
        let report = big_request(60.0, 400.0, 50.0, 1.0);
        // Four of 72 MiB each at the peak: 90 % of 320.
        group(4, report).start(12.0).server(server).below(1).in_step()
    };
    vec![
        of("xargs-4x60-budget-340M", vec![jobs()]).budget(340.0).seconds(150.0),
        of("xargs-4x60-cgroup-340M", vec![jobs()]).cgroups(&[340.0]).seconds(150.0),
        of("xargs-4x60-cgroup-270M", vec![jobs()]).cgroups(&[270.0]).seconds(150.0),
        of("pool-4x60-budget-320M", vec![tasks()]).budget(320.0).seconds(120.0),
        of("pool-4x60-cgroup-320M", vec![tasks()]).cgroups(&[320.0]).seconds(120.0),
        of("php-4-reports-budget-90%", vec![reports(Server::PhpFpm).onset(-295.0)])
            .budget(320.0)
            .seconds(75.0),
        of("php-4-reports-cgroup-90%", vec![reports(Server::PhpFpm).onset(-295.0)])
            .cgroups(&[320.0])
            .seconds(75.0),
        of(
            "gunicorn-models-budget-90%",
            vec![group(4, fill(52.0, 1.3)).start(20.0).server(Server::Gunicorn).below(1).in_step()],
        )
        .budget(320.0)
        .seconds(75.0),
    ]
}
