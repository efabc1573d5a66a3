//! Shape: which word of a log's lines is the pid of the worker, learned from the lines.

use super::line::{LONGEST, parse};
use super::{LogNature, Served};
use crate::core::requests::fold;
use std::collections::{BTreeMap, BTreeSet};

/// Requests from which a shape is learned, and after which there is none.
const LEAST_LINES: u32 = 5;
const MOST_LINES: u32 = 50;
/// Of the lines so many in a hundred have a pid there: others may be of workers that ended.
const IN_A_HUNDRED: u32 = 60;
/// Distinct requests of all workers in one reading; further ones are one.
const MOST_SERVED: usize = 4096;
/// What they are called.
const OTHERS: &str = "other requests";

/// What is known of a log.
#[derive(Debug, Default)]
pub(super) struct Shape {
    place: Option<i8>,
    lines: u32,
    /// How often each place had a pid, until that is known.
    seen: BTreeMap<i8, u32>,
}

impl Shape {
    pub(super) fn nature(&self) -> LogNature {
        match self.place {
            Some(_) => LogNature::WithPid,
            None if self.lines >= MOST_LINES => LogNature::WithoutPid,
            None => LogNature::Unknown,
        }
    }

    /// Takes in whole lines. Whether they are done with: before the shape is known they are to be shown
    /// again, with what follows.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        pids: &BTreeSet<u32>,
        served: &mut RequestCounts,
    ) -> bool {
        let lines = || text.split(|byte| *byte == b'\n').filter(|line| line.len() <= LONGEST);
        if self.place.is_none() && self.lines < MOST_LINES {
            (self.lines, self.seen) = (0, BTreeMap::new());
            lines().filter_map(parse).for_each(|line| {
                self.lines += 1;
                for (place, _) in line.numbers.iter().filter(|(_, pid)| pids.contains(pid)) {
                    *self.seen.entry(*place).or_default() += 1;
                }
            });
            self.learn();
        }
        let Some(place) = self.place else { return self.lines >= MOST_LINES };
        for line in lines().filter_map(parse) {
            let at_place = line.numbers.iter().find(|(at, _)| *at == place);
            if let Some((_, pid)) = at_place.filter(|(_, pid)| pids.contains(pid))
                && let Some(request) = fold(line.method, line.target)
            {
                served.count(*pid, request);
            }
        }
        true
    }

    fn learn(&mut self) {
        let most = self.seen.iter().max_by_key(|(_, count)| **count);
        if let Some((place, count)) = most
            && self.lines >= LEAST_LINES
            && count.saturating_mul(100) >= self.lines.saturating_mul(IN_A_HUNDRED)
        {
            self.place = Some(*place);
        }
    }
}

/// Who served what.
#[derive(Debug, Default)]
pub(super) struct RequestCounts(BTreeMap<(u32, String), u32>);

impl RequestCounts {
    fn count(&mut self, pid: u32, request: String) {
        let is_new = !self.0.contains_key(&(pid, request.clone()));
        let request =
            if is_new && self.0.len() >= MOST_SERVED { OTHERS.to_owned() } else { request };
        let count = self.0.entry((pid, request)).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn served(self) -> Vec<Served> {
        let served = |((pid, request), count)| Served { pid, request, count };
        self.0.into_iter().map(served).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::LINES;
    use super::*;
    use crate::core::fuzz::fuzz;

    fn read(shape: &mut Shape, text: &str) -> (bool, Vec<Served>) {
        let mut counts = RequestCounts::default();
        let pids = BTreeSet::from([4711, 4712]);
        let is_done = shape.read(text.as_bytes(), &pids, &mut counts);
        (is_done, counts.served())
    }

    #[test]
    fn the_place_of_the_pid_is_learned_and_requests_are_counted_by_it() {
        for (line, place) in LINES {
            let mut shape = Shape::default();
            // Of a worker that ended, and of two that live.
            let text = [line.replace("4711", "99"), line.to_owned()].join("\n");
            let text = format!("{text}\n{line}\n{line}\n{}\n", line.replace("4711", "4712"));
            let (is_done, served) = read(&mut shape, &text);
            assert!(is_done && shape.place == Some(place), "{shape:?} {line}");
            let counts: Vec<_> =
                served.iter().map(|s| (s.pid, s.request.as_str(), s.count)).collect();
            assert_eq!(counts, [(4711, "GET /cart", 3), (4712, "GET /cart", 1)]);
        }
    }

    #[test]
    fn lines_are_kept_until_the_shape_is_known_or_there_is_none() {
        let (line, _) = LINES[0];
        let mut shape = Shape::default();
        let text = format!("{line}\n").repeat(3);
        assert_eq!(read(&mut shape, &text), (false, Vec::new()));
        assert_eq!(shape.nature(), LogNature::Unknown);
        let (is_done, served) = read(&mut shape, &text.repeat(2));
        assert!(is_done && served[0].count == 6 && shape.nature() == LogNature::WithPid);
        let mut without = Shape::default();
        let text = format!("{}\n", line.replace("4711", "-")).repeat(60);
        assert_eq!(read(&mut without, &text), (true, Vec::new()));
        assert_eq!(without.nature(), LogNature::WithoutPid);
    }

    #[test]
    fn counts_are_bounded() {
        let mut counts = RequestCounts::default();
        (0..10_000).for_each(|nth| counts.count(7, format!("GET /{nth}")));
        let served = counts.served();
        assert_eq!(served.len(), MOST_SERVED + 1);
        assert_eq!(served.iter().map(|served| served.count).sum::<u32>(), 10_000);
    }

    #[test]
    fn fuzz_access_logs() {
        let logs: Vec<String> =
            LINES.iter().map(|(line, _)| format!("{line}\n").repeat(6)).collect();
        let corpus: Vec<&[u8]> = logs.iter().map(|log| log.as_bytes()).collect();
        let pids = BTreeSet::from([1, 7, 4711]);
        fuzz("access logs", 4, &corpus, |text| {
            let (mut shape, mut counts) = (Shape::default(), RequestCounts::default());
            shape.read(text, &pids, &mut counts);
            let served = counts.served();
            assert!(served.iter().all(|served| pids.contains(&served.pid)));
            assert!(served.len() <= text.len());
        });
    }
}
