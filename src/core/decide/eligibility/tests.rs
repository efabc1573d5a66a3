//! Laws of eligibility.

use super::{Eligibility, NEAR_S};
use crate::core::decide::rules::Rules;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::process::Proc;
use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::model::sample::Header;
use crate::core::model::sample::Sample;
use crate::core::model::units::MIB;
use proptest::prelude::*;
use regex_lite::Regex;

const MASTER: u32 = 10;

/// A process as a row: pid, parent, title, whether it is a fork, whether it may be signalled.
type Row = (u32, u32, &'static str, bool, Option<bool>);

fn sample(t: f64, rows: &[Row]) -> Sample {
    let id = |pid: u32| ProcId { pid, start: pid.into() };
    let procs = rows.iter().map(|(pid, ppid, ..)| Proc {
        id: id(*pid),
        ppid: *ppid,
        comm: Comm::new(b"app"),
        rss: MIB,
        anon: Some(MIB),
        swap: 0,
        cpu_s: 0.0,
        threads: 1,
    });
    let programs = rows.iter().map(|(pid, _, title, forked, permitted)| Program {
        id: id(*pid),
        exe: "/srv/app".to_owned(),
        title: (*title).to_owned(),
        threads: 1,
        forked: *forked,
        permitted: *permitted,
        uid: None,
        unit: None,
    });
    Sample { t, procs: procs.collect(), programs: programs.collect(), ..Sample::default() }
}

fn detector() -> Detector {
    let header =
        Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: String::new() };
    Detector::new(&header, 6.0)
}

fn eligibility() -> Eligibility {
    let protect = vec![Regex::new("keep").unwrap()];
    // Nothing is known of this program, so that its children need the admin's word.
    let allow = vec!["app".to_owned()];
    Eligibility::new(Rules { protect, allow, ..Rules::default() })
}

#[test]
fn what_was_ordered_already_has_the_same_obstacles() {
    let rows: [Row; 3] = [
        (MASTER, 0, "work", false, None),
        (MASTER + 1, MASTER, "work", true, None),
        (MASTER + 2, MASTER, "keep", true, None),
    ];
    let (mut detector, mut eligibility) = (detector(), eligibility());
    let sample = sample(1.0, &rows);
    detector.observe(&sample, &mut Vec::new());
    eligibility.observe(&sample, &detector);
    for s in detector.process_states() {
        let before = eligibility.obstacle(s, f64::INFINITY, &detector);
        assert_eq!(before.is_none(), s.id.pid == MASTER + 1, "{before:?}");
        eligibility.exclude(s.id);
        // It is reported no more, and still may not be ended.
        assert_eq!(eligibility.not_ended_now(s, f64::INFINITY, &detector), None);
        assert_eq!(eligibility.obstacle(s, f64::INFINITY, &detector), before);
    }
}

proptest! {
    #[test]
    fn only_an_unprotected_permitted_leaf_below_a_living_parent_may_end(
        rows in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<bool>(), any::<bool>(), any::<Option<bool>>()),
            1..12,
        ),
    ) {
        let mut all: Vec<Row> = vec![(1, 0, "init", false, None)];
        for (above, forked, protected, permitted) in rows {
            let (pid, ppid) = (MASTER + all.len() as u32, all[above.index(all.len())].0);
            all.push((pid, ppid, if protected { "keep" } else { "work" }, forked, permitted));
        }
        let (mut detector, mut eligibility) = (detector(), eligibility());
        let sample = sample(1.0, &all);
        detector.observe(&sample, &mut Vec::new());
        eligibility.observe(&sample, &detector);
        for s in detector.process_states() {
            if eligibility.may_end(s, f64::INFINITY, &detector) {
                let row = all.iter().find(|row| row.0 == s.id.pid).unwrap();
                prop_assert!(s.id.pid != 1 && s.parent.is_some() && s.parent_alive);
                prop_assert!(all.iter().all(|other| other.1 != s.id.pid), "it has children");
                prop_assert!(row.2 != "keep" && row.4 != Some(false));
            }
        }
    }

    #[test]
    fn a_pool_that_is_not_refilled_keeps_half_of_itself_or_a_quarter_when_the_end_is_near(
        size in 2..24_u32, is_near in any::<bool>(),
    ) {
        let end_s = if is_near { NEAR_S } else { f64::INFINITY };
        let mut rows: Vec<Row> = vec![(MASTER, 0, "work", false, None)];
        rows.extend((1..=size).map(|nth| (MASTER + nth, MASTER, "work", true, None)));
        let (mut detector, mut eligibility) = (detector(), eligibility());
        for second in 1..100 {
            let sample = sample(f64::from(second), &rows);
            detector.observe(&sample, &mut Vec::new());
            eligibility.observe(&sample, &detector);
            let may_end = |s: &&ProcessState| eligibility.may_end(s, end_s, &detector);
            let Some(victim) = detector.process_states().find(may_end) else { break };
            let pool = victim.pool();
            eligibility.ordered(pool, eligibility.pool_size(pool, &detector), sample.t);
            let pid = victim.id.pid;
            rows.retain(|row| row.0 != pid);
        }
        let share = if is_near { 4 } else { 2 };
        prop_assert_eq!(rows.len() as u32 - 1, size.div_ceil(share).max(1));
    }
}
