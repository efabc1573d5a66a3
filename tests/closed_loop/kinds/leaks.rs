//! Leaks: what grows without end, and nothing else that does.

use super::{CONSTANT, by_request, linear};
use crate::growth::Growth::Accelerating;
use crate::scenario::{Class::Leak, Group, Scenario, group};

fn leak(name: &str, size: f64, groups: Vec<Group>) -> Scenario {
    Scenario::new(name, Leak, size, groups)
}

/// One leaker of that rate beside constant workers.
fn one(rate: f64, start: f64, others: usize, each: f64) -> Vec<Group> {
    vec![group(1, linear(rate)).start(start), group(others, CONSTANT).start(each)]
}

/// Constant rates, from 1 MB/s to 1 GB/s.
pub fn plain() -> Vec<Scenario> {
    vec![
        leak("leak-1-1of4-128M", 128.0, one(1.0, 6.0, 3, 6.0)).seconds(110.0),
        leak("leak-4-1of8-512M", 468.0, one(4.0, 10.0, 7, 25.0)).seconds(90.0),
        leak("leak-4-all4-256M", 256.0, vec![group(4, linear(1.0))]).seconds(90.0),
        leak("leak-15-1of4-512M", 512.0, one(15.0, 8.0, 3, 40.0)).seconds(60.0),
        leak("apache-15-3to8-200M", 200.0, vec![group(6, by_request(15.0, 0.25)).start(5.0)])
            .base(25.0)
            .seconds(75.0)
            .respawn(0.2, 1.3)
            .requests(0.5, 0.08),
        leak("gunicorn-10-4-250M", 250.0, vec![group(4, by_request(10.0, 0.25)).start(25.0)])
            .base(40.0)
            .seconds(75.0)
            .respawn(0.1, 0.5)
            .load(0.8)
            .requests(0.6, 0.12),
        leak(
            "S6-60-1of4-468M",
            468.0,
            vec![
                group(1, linear(60.0)).start(10.0).onset(8.0),
                group(1, CONSTANT).start(20.0),
                group(1, CONSTANT).start(80.0),
                group(1, CONSTANT).start(10.0),
            ],
        )
        .seconds(40.0),
        leak("leak-60-all16-2G", 2048.0, vec![group(16, by_request(60.0, 0.5)).start(20.0)])
            .seconds(75.0),
        leak("leak-200-1of8-2G", 2048.0, one(200.0, 20.0, 7, 80.0)).seconds(40.0),
        leak("leak-200-all32-8G", 8192.0, vec![group(32, by_request(200.0, 1.0)).start(20.0)])
            .seconds(80.0),
        leak("leak-200-all64-64G", 65536.0, vec![group(64, by_request(200.0, 1.0)).start(50.0)])
            .base(52000.0)
            .seconds(90.0),
        leak("leak-500-1of4-2G", 2048.0, one(500.0, 20.0, 3, 100.0)).seconds(25.0).finely(0.005),
        leak("leak-1000-1of4-8G", 8192.0, one(1000.0, 20.0, 3, 200.0)).seconds(40.0).finely(0.005),
        leak("leak-1000-all16-64G", 65536.0, vec![group(16, linear(62.5)).start(50.0)])
            .base(50000.0)
            .seconds(60.0)
            .finely(0.005),
    ]
}

/// Slow masters, long requests, workers that ignore signals, bursts, and leaks that accelerate.
pub fn special() -> Vec<Scenario> {
    let eight = |rate, chunk| vec![group(8, by_request(rate, chunk)).start(15.0)];
    vec![
        leak("leak-60-slow-respawn-1G", 1024.0, vec![group(8, by_request(60.0, 0.5)).start(20.0)])
            .seconds(60.0)
            .respawn(3.0, 10.0),
        leak("leak-15-long-requests-512M", 512.0, eight(15.0, 0.5))
            .seconds(75.0)
            .requests(0.8, 5.0),
        leak("leak-30-2s-requests-1G", 1024.0, eight(30.0, 0.5)).seconds(75.0).requests(0.8, 2.0),
        leak("leak-15-stuck-512M", 512.0, vec![group(6, by_request(15.0, 0.5)).start(15.0)])
            .seconds(75.0)
            .stuck(0.5),
        leak("leak-bursts-15x4-512M", 512.0, vec![group(8, by_request(15.0, 0.5)).start(10.0)])
            .seconds(75.0)
            .bursts(4.0, 2.0, 8.0),
        leak("leak-20MB-requests-1G", 1024.0, eight(30.0, 20.0)).seconds(75.0).requests(0.6, 0.4),
        leak(
            "leak-accel-tau8-1G",
            1024.0,
            vec![
                group(1, Accelerating { rate: 1.0, tau_s: 8.0 }).start(10.0),
                group(5, CONSTANT).start(40.0),
            ],
        )
        .seconds(75.0),
        leak(
            "leak-accel-tau2-512M",
            512.0,
            vec![
                group(1, Accelerating { rate: 0.5, tau_s: 2.0 }).start(10.0),
                group(3, CONSTANT).start(40.0),
            ],
        )
        .seconds(45.0),
    ]
}
