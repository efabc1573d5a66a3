//! Healthy kinds: all of it fits, however it looks on the way.

use super::{CONSTANT, big_request, fill, saturating, saw, short_lived};
use crate::scenario::{Class::Healthy, Scenario, group};

/// What is left for growth on a machine of that size, if so many percent are to remain and so many
/// workers have started with so much each.
pub fn room(size: f64, left_percent: f64, workers: usize, start: f64) -> f64 {
    size * (1.0 - left_percent / 100.0) - 0.09 * size - workers as f64 * start
}

/// Exponential warm-ups that leave a share of the machine.
pub fn warm_ups() -> Vec<Scenario> {
    let four = [2.0, 5.0, 8.0, 12.0, 20.0, 30.0].into_iter().map(|left| {
        // Shapes and shares of a real warm-up: four workers on 512 MB.
        let room = room(468.0, left, 4, 6.0);
        let workers = [(0.4, 9.0), (0.15, 5.0), (0.15, 7.0), (0.3, 12.0)];
        let groups =
            workers.map(|(share, tau_s)| group(1, saturating(room * share, tau_s)).start(6.0));
        Scenario::new(format!("warm-{left}%-512M"), Healthy, 468.0, groups.to_vec())
            .seconds(60.0)
            .respawn(0.2, 0.3)
    });
    let others = [
        (2.0, 8192.0, 8, 1.5),
        (5.0, 512.0, 4, 1.0),
        (5.0, 65536.0, 32, 8.0),
        (12.0, 128.0, 2, 2.0),
        (3.0, 2048.0, 16, 30.0),
    ];
    let others = others.into_iter().map(|(left, size, count, tau_s)| {
        let each = room(size, left, count, 6.0) / count as f64;
        let groups = vec![group(count, saturating(each, tau_s)).start(6.0)];
        Scenario::new(format!("warm-{left}%-tau{tau_s}-{size}M"), Healthy, size, groups)
            .seconds(if tau_s > 9.0 { 60.0 } else { 40.0 })
    });
    four.chain(others).collect()
}

/// Fills in a straight line that stop.
pub fn fills() -> Vec<Scenario> {
    let fills = [
        (3.0, 512.0, 2, 20.0),
        (8.0, 512.0, 1, 60.0),
        (15.0, 512.0, 4, 60.0),
        (2.0, 8192.0, 4, 200.0),
        (5.0, 8192.0, 1, 500.0),
        (1.0, 65536.0, 16, 1000.0),
        (5.0, 128.0, 1, 4.0),
        (1.5, 512.0, 1, 60.0),
    ];
    let of = |(left, size, count, rate): (f64, f64, usize, f64)| {
        let each = room(size, left, count, 8.0) / count as f64;
        let groups = vec![group(count, fill(each, rate / count as f64))];
        Scenario::new(format!("fill-{rate}MBs-stops-{left}%-{size}M"), Healthy, size, groups)
            .seconds((0.9 * size / rate + 15.0).min(60.0))
    };
    fills.into_iter().map(of).collect()
}

/// Collectors, jobs, big requests, databases.
pub fn others() -> Vec<Scenario> {
    let saws = [(5.0, 512.0, 8, 6.0), (12.0, 512.0, 4, 2.0), (4.0, 4096.0, 16, 15.0)];
    let saws = saws.into_iter().map(|(left, size, count, period_s)| {
        let each = room(size, left, count, 8.0) / count as f64;
        let groups = vec![group(count, saw(each, period_s))];
        Scenario::new(format!("saw-{left}%-T{period_s}-{size}M"), Healthy, size, groups)
            .seconds(45.0)
    });
    let jobs = [
        Scenario::new(
            "short-lived-512M",
            Healthy,
            512.0,
            vec![group(20, short_lived(8.0, 2.0, 2.0)).start(1.0), group(2, CONSTANT).start(120.0)],
        )
        .seconds(40.0)
        .respawn(0.02, 0.05),
        Scenario::new(
            "batch-job-10%-512M",
            Healthy,
            512.0,
            vec![
                group(1, short_lived(196.0, 30.0, 8.0)).start(4.0),
                group(3, CONSTANT).start(60.0),
            ],
        )
        .respawn(5.0, 7.0),
        Scenario::new(
            "batch-4x-6%-2G",
            Healthy,
            2048.0,
            vec![
                group(4, short_lived(330.0, 90.0, 4.0)).start(4.0),
                group(3, CONSTANT).start(120.0),
            ],
        )
        .seconds(40.0)
        .respawn(1.0, 4.0),
    ];
    let requests = [(5.0, 512.0, 2.0), (10.0, 512.0, 0.7), (10.0, 8192.0, 2.0)];
    let requests = requests.into_iter().map(|(left, size, rise_s)| {
        let taken = size * 0.91 * 0.45;
        let others = 8.0 + (room(size, left, 4, 8.0) - taken) / 3.0;
        let groups =
            vec![group(1, big_request(taken, 14.0, rise_s, 2.0)), group(3, CONSTANT).start(others)];
        Scenario::new(format!("big-request-{left}%-{size}M"), Healthy, size, groups)
            .seconds(45.0)
            .requests(0.9, 2.0)
    });
    let databases = [
        ("db-start-half-512M", 512.0, fill(200.0, 300.0), 8.0, (3, 20.0), 25.0),
        ("db-start-half-64G", 65536.0, fill(25000.0, 1500.0), 8.0, (8, 1200.0), 40.0),
        ("db-start-to-4%-2G", 2048.0, fill(800.0, 300.0), 5.0, (4, 240.0), 25.0),
    ];
    let databases =
        databases.into_iter().map(|(name, size, growth, onset_s, (count, start), length_s)| {
            let groups = vec![group(1, growth).onset(onset_s), group(count, CONSTANT).start(start)];
            Scenario::new(name, Healthy, size, groups).seconds(length_s)
        });
    saws.chain(jobs).chain(requests).chain(databases).collect()
}
