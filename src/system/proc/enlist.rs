//! Enlist: who is watched, of those that are meant; never more than a stated number.

use super::watched;
use super::watched::WatchedProcess;
use super::{Sampler, parse};
use std::collections::BTreeSet;

/// Where more are meant than may be watched, the largest are picked in one of so many ticks: it
/// costs 3 µs for each that is not watched.
const RANK: u32 = 16;

impl Sampler {
    /// Whether it is time to see again who the largest are.
    pub(in crate::system) fn is_to_rank(&self) -> bool {
        self.crowded && self.tick % RANK == 1
    }

    /// Starts to watch the trees of all that matched: up to the root, down to every descendant.
    pub(in crate::system) fn rewatch(&mut self) {
        let mut tops: Vec<u32> = self
            .known
            .values()
            .filter(|k| k.matched)
            .map(|k| watched::climb(&self.known, k))
            .collect();
        tops.sort_unstable();
        let news: Vec<u32> = self
            .known
            .iter()
            .filter(|(pid, known)| {
                known.watch.is_none() && !known.kernel && !self.is_excluded(**pid, known.ppid)
            })
            .filter(|(pid, _)| watched::is_below(&self.known, &tops, **pid))
            .map(|(pid, _)| *pid)
            .collect();
        let news = self.at_most(news);
        for pid in &news {
            let watch = self.open_watch(*pid);
            if let Some(known) = self.known.get_mut(pid) {
                known.watch = Some(watch);
            }
        }
        // Roots are settled when all newcomers are in, so that a parent with a higher pid than its
        // child (pids wrap) is found all the same.
        for pid in news {
            let root = watched::root_of(&self.known, pid);
            if let Some(watch) = self.known.get_mut(&pid).and_then(|k| k.watch.as_mut()) {
                watch.root = root;
            }
        }
    }

    fn open_watch(&mut self, pid: u32) -> WatchedProcess {
        let mut watch = WatchedProcess::default();
        if self.kept_files_left >= 2 {
            watch.statm = self.proc.open_file(pid, "statm").ok();
            watch.stat = self.proc.open_file(pid, "stat").ok();
            self.kept_files_left -= watch.files();
        } else if !std::mem::replace(&mut self.told_files_short, true) {
            self.notes.push(
                "too many processes to keep their files open; reading them costs four times as much CPU now\n  hint: raise the limit of open files (ulimit -n, LimitNOFILE=)".to_owned(),
            );
        }
        watch
    }

    /// Those of the newcomers that may be watched, and whoever is larger gets a place. Masters have
    /// one first: without them nobody knows whose their workers are.
    fn at_most(&mut self, mut news: Vec<u32>) -> Vec<u32> {
        let most = self.selection.most();
        let watched = self.known.values().filter(|known| known.watch.is_some()).count();
        let free = most.saturating_sub(watched);
        self.crowded = news.len() > free;
        if !self.crowded {
            return news;
        }
        if !std::mem::replace(&mut self.told_crowded, true) {
            self.notes.push(format!(
                "{} processes are meant, more than may be watched at once: only the {most} largest are\n  hint: --max-processes N watches more, at 4 kB of memory each; --pattern picks fewer",
                watched + news.len()
            ));
        }
        if self.tick % RANK != 1 {
            news.truncate(free);
            return news;
        }
        let is_in = |pid: &u32| news.binary_search(pid).is_ok();
        let all = self.known.iter().filter(|(pid, known)| known.watch.is_some() || is_in(pid));
        let masters: BTreeSet<u32> = all.clone().map(|(_, known)| known.ppid).collect();
        let mut ranked: Vec<(bool, u64, u32)> = all
            .map(|(pid, known)| {
                // Who has a place keeps it unless the other is twice as large.
                let size = known.watch.as_ref().map(|watch| 2 * watch.pages.resident);
                (masters.contains(pid), size.unwrap_or_else(|| self.resident(*pid)), *pid)
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let kept: BTreeSet<u32> = ranked.iter().take(most).map(|(.., pid)| *pid).collect();
        for (pid, known) in &mut self.known {
            if !kept.contains(pid) {
                self.kept_files_left += known.watch.take().map_or(0, |watch| watch.files());
            }
        }
        news.retain(|pid| kept.contains(pid));
        news
    }

    /// Its resident pages.
    fn resident(&self, pid: u32) -> u64 {
        let mut buffer = [0; 128];
        let text = self.proc.read(pid, "statm", &mut buffer).unwrap_or_default();
        parse::statm(text).map_or(0, |pages| pages.resident)
    }
}

#[cfg(test)]
mod tests {
    use crate::core::model::sample::Sample;
    use crate::system::proc::{Sampler, Selection, SelectionArgs};
    use std::fs;
    use std::path::Path;

    fn show(root: &Path, pid: u32, ppid: u32, pages: u32) {
        let dir = root.join(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        let stat = format!(
            "{pid} (app) S {ppid} 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {pid} 9000 9 0 4096 2 4096\n"
        );
        fs::write(dir.join("stat"), stat).unwrap();
        fs::write(dir.join("statm"), format!("9000 {pages} 0 1 0 20 0\n")).unwrap();
    }

    #[test]
    fn of_more_than_may_be_watched_the_master_and_the_largest_are() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
        show(dir.path(), 10, 1, 1);
        for (pid, pages) in [(11, 50), (12, 40), (13, 30), (14, 20)] {
            show(dir.path(), pid, 10, pages);
        }
        let words = SelectionArgs {
            patterns: vec!["app".to_owned()],
            most: Some(3),
            ..SelectionArgs::default()
        };
        let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
        let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
        let mut sample = Sample::default();
        let mut t = 0.0;
        let mut watched = |probe: &mut Sampler, ticks: u32| {
            for _ in 0..ticks {
                t += 1.0;
                probe.sample(t, None, &mut sample).unwrap();
            }
            sample.procs.iter().map(|proc| proc.id.pid).collect::<Vec<_>>()
        };

        assert_eq!(watched(&mut probe, 1), [10, 11, 12]);
        let notes = probe.take_notes().join("\n");
        assert!(
            notes.contains("5 processes are meant") && notes.contains("the 3 largest"),
            "{notes}"
        );
        // One that grows gets the place of a smaller one, but not at once, and only if it is worth it.
        show(dir.path(), 13, 10, 60);
        assert_eq!(watched(&mut probe, 32), [10, 11, 12]);
        show(dir.path(), 14, 10, 90);
        assert_eq!(watched(&mut probe, 32), [10, 11, 14]);
        assert!(probe.take_notes().is_empty(), "said once");
        // When one goes, the next has room.
        fs::remove_dir_all(dir.path().join("11")).unwrap();
        assert_eq!(watched(&mut probe, 32), [10, 13, 14]);
    }
}
