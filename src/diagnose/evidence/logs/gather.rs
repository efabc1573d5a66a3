//! Takes in lines that prove something. Most count by themselves, some only beside others.

use super::above::{Above, of_its_container, of_its_writer};
use super::budget::Budget;
use super::counted_lines::CountedLines;
use super::hit::{Hit, hit, hit_in, record};
use super::hosts::Hosts;
use super::kept::KeptLines;
use super::kills::{Kills, ONE_KILL_S, are_near};
use super::lines::{Search, split, split_inner};
use super::output_parts::OutputParts;
use super::prefixes::is_answer_of_ansible;
use super::timestamp::Stamps;
use super::wordings;
use super::wordings::{LogEntry, Only, Proved};
use super::wrapped::of_docker;
use crate::diagnose::findings::{Failure, Logs, Witness};

/// Notes on what could not be read.
const MOST_NOTES: usize = 8;
/// Seconds in which bash tries a fork again: 1, 2, 4 and 8.
const RETRIES_S: f64 = 16.0;
/// Seconds in which a service goes down over what failed.
const DOWN_S: f64 = 120.0;

/// What was found so far.
pub struct LogEventCounts<'s> {
    pub(super) search: Search,
    stamps: &'s Stamps,
    pub(super) budget: Budget,
    counted: CountedLines,
    hosts: Hosts,
    /// Lines that count only beside others.
    open: KeptLines<Hit>,
    kills: Kills,
    /// Programs that failed, and when.
    failed: KeptLines<(String, Option<f64>)>,
    /// Services that a daemon killed for lack of memory, and when.
    killed_by_daemon: KeptLines<(String, Option<f64>)>,
}

impl<'s> LogEventCounts<'s> {
    /// Nothing yet.
    pub fn new(stamps: &'s Stamps, since_t: f64) -> Self {
        Self {
            search: Search::new(),
            stamps,
            budget: Budget::new(),
            counted: CountedLines::since(since_t),
            hosts: Hosts::of(""),
            open: KeptLines::default(),
            kills: Kills::default(),
            failed: KeptLines::default(),
            killed_by_daemon: KeptLines::default(),
        }
    }

    /// The same on the machine of that name: what others log there says nothing of it.
    pub fn of_machine(self, name: &str) -> Self {
        Self { hosts: Hosts::of(name), ..self }
    }

    /// What was found: the kernel's own words first, of each witness the latest first.
    pub fn finish(mut self) -> Logs {
        let open = self.open.take();
        self.begin(1);
        let (after, others): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|hit| hit.proved.only == Only::After);
        others.into_iter().for_each(|hit| self.settle(hit));
        for hit in self.kills.only_announced() {
            self.count(hit);
        }
        // What goes down over a failure does so over any of those.
        after.into_iter().for_each(|hit| self.settle(hit));
        if let Some(note) = self.hosts.note() {
            self.unread(note);
        }
        self.counted.finish()
    }

    /// Begins a log; there are `left` of them that are not read, this one included.
    pub(super) fn begin(&mut self, left: usize) {
        self.budget.begin(left);
        self.kills.begin(left);
        self.open.begin(left);
        self.failed.begin(left);
        self.killed_by_daemon.begin(left);
    }

    /// Ends the log of that name.
    pub(super) fn end(&mut self, name: &str) {
        let lists = [self.open.is_over(), self.failed.is_over(), self.killed_by_daemon.is_over()];
        let is_over = self.kills.is_over() || lists.contains(&true);
        // Of one that was read in part that is said.
        if is_over && !self.budget.is_over() {
            self.unread(format!("{name}: some of its lines that count only beside others"));
        }
    }

    pub(super) fn stamps(&self) -> &Stamps {
        self.stamps
    }

    /// Takes note of a log that is now read.
    pub(super) fn source(&mut self) {
        self.counted.logs.sources += 1;
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.counted.logs.bytes += bytes as u64;
        self.budget.read(bytes);
    }

    /// Says what was not read.
    pub(super) fn unread(&mut self, what: String) {
        if self.counted.logs.unread.len() < MOST_NOTES {
            self.counted.logs.unread.push(what);
        }
    }

    /// Whether a line of that time is older than what matters.
    pub(super) fn is_old(&self, t: f64) -> bool {
        self.counted.is_old(t)
    }

    /// Takes in the lines of a piece of a log, of too many the last ones. `file` is the program that writes it.
    pub(super) fn text(&mut self, text: &[u8], file: &str, source: &str) {
        let Self { search, stamps, budget, hosts, .. } = self;
        let (mut found, mut lines_above) = (Vec::new(), Above::new(text));
        let (mut hosts, mut parts) = (hosts.beside(text), OutputParts::new(text));
        let mut lines = Vec::new();
        search.lines(text, |at, line| lines.push((at, line)));
        let within = lines.iter().rev().take_while(|(_, line)| budget.line(line)).count();
        lines.drain(..lines.len() - within);
        for (at, line) in lines {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\r');
            if parts.goes_on(at) {
                continue;
            }
            let of_docker = of_docker(line, stamps);
            let (t, entry) = match &of_docker {
                Some((t, inner)) => {
                    let (own_t, entry) = split_inner(inner, file, stamps);
                    (own_t.or(*t), entry)
                }
                None => split(line, file, stamps),
            };
            let witness = (source, Witness::SaidToBeKernel);
            if let Some(record) = record(line, &entry, stamps) {
                let own_t = record.t.or(t);
                let t = match own_t {
                    // A time that cannot be read is not that of the line above.
                    None if !record.has_time => lines_above.of(at, stamps).0,
                    own_t => own_t,
                };
                let hit = hit_in(record, t, &entry, witness);
                found.extend(hit.filter(|_| !hosts.is_of_another(entry.host)));
                continue;
            }
            if t.is_some() {
                let above = of_its_writer(text, at, line);
                let entry = LogEntry { above: &above, ..entry };
                let hit = hit(t, &entry, witness);
                found.extend(hit.filter(|_| !hosts.is_of_another(entry.host)));
                continue;
            }
            // A traceback has the time of its first line.
            let (t, above) = lines_above.of(at, stamps);
            let dated_line = lines_above.dated_line();
            let (_, dated) = split(&dated_line, file, stamps);
            if is_answer_of_ansible(dated.body) {
                continue;
            }
            let own_above = of_its_container(above.clone(), line);
            let entry = LogEntry { above: &own_above, ..entry };
            let hit = hit(t, &entry, witness);
            found.extend(hit.filter(|hit| !is_told(&above, &hit.proved, file, stamps)));
        }
        found.into_iter().for_each(|hit| self.take(hit));
    }

    /// Counts a line, or keeps it until the others are known.
    pub(super) fn take(&mut self, mut hit: Hit) {
        // What is to come in every reading is no time.
        hit.t = hit.t.filter(|t| !self.stamps.is_to_come(*t));
        let Some(hit) = self.kills.take(hit) else { return };
        let Proved { failure, only, .. } = hit.proved;
        if only == Only::Always && failure != Failure::Killed {
            self.count(hit);
        } else if let Some(hit) = self.open.push(hit).filter(|_| only == Only::Always) {
            self.count(hit);
        }
    }

    /// Counts a line that was kept, if the others let it count.
    fn settle(&mut self, mut hit: Hit) {
        let near = |other: &KeptLines<(String, Option<f64>)>, seconds| {
            let is_same = |who: &String| *who == hit.proved.who;
            other.iter().any(|(who, t)| is_same(who) && are_near(hit.t, *t, seconds))
        };
        let counts = match hit.proved.only {
            Only::KillSomewhere => {
                if self.kills.is_of_cgroup(&hit) {
                    hit.proved.failure = Failure::OomKillInCgroup;
                }
                true
            }
            Only::After => self.failed.iter().any(|(who, t)| {
                (*who == hit.proved.who || *who == hit.tag) && are_near(hit.t, *t, DOWN_S)
            }),
            Only::Retries => !near(&self.failed, RETRIES_S),
            Only::UnlessTold => {
                !near(&self.killed_by_daemon, ONE_KILL_S)
                    && !self.kills.is_kernels(&hit)
                    && !self.kills.is_own(&hit)
            }
            Only::Always | Only::Announces | Only::Excuses => !self.kills.is_own(&hit),
        };
        if counts {
            self.count(hit);
        }
    }

    fn count(&mut self, hit: Hit) {
        let Hit { t, ref proved, .. } = hit;
        if proved.failure == Failure::OomDaemonKill {
            // Both the daemon and systemd log it, and TERM may be followed by KILL.
            let near = |other: &Option<f64>| match (t, *other) {
                (Some(a), Some(b)) => (a - b).abs() <= ONE_KILL_S,
                _ => false,
            };
            if self.killed_by_daemon.iter().any(|(who, other)| *who == proved.who && near(other)) {
                return;
            }
            self.killed_by_daemon.push((proved.who.clone(), t));
        } else if !matches!(proved.failure, Failure::CapReached | Failure::Down) {
            self.failed.push((proved.who.clone(), t));
        }
        self.counted.add(hit);
    }
}

/// Whether the line with a time that a traceback follows says the same: Celery's log ends with the error that it
/// began with.
fn is_told(above: &str, proved: &Proved, file: &str, stamps: &Stamps) -> bool {
    let (t, first) = split(above.lines().next().unwrap_or_default(), file, stamps);
    t.is_some() && wordings::read(&first).is_some_and(|first| first == *proved)
}

#[cfg(test)]
mod tests {
    use super::super::counted_lines;
    use super::*;
    use crate::diagnose::findings::{LogEvent, MissingResource};
    use jiff::tz::TimeZone;

    fn gather(texts: &[(&str, &str)]) -> Logs {
        // 2026-11-24 12:00:00 UTC
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 1_795_521_600.0 - 7.0 * 86_400.0);
        for (text, source) in texts {
            found.text(text.as_bytes(), "x", source);
        }
        found.finish()
    }

    const KILL: &str = "Out of memory: Killed process 7 (apache2) total-vm:1kB, anon-rss:74512kB";

    #[test]
    fn lines_of_one_kind_are_counted_with_first_and_last() {
        let fork =
            |at: &str| format!("Nov 24 {at} h sshd[1]: error: fork: Cannot allocate memory\n");
        let logs =
            gather(&[(&(fork("10:00:05") + &fork("10:00:09") + &fork("09:00:00")), "auth.log")]);
        let [log_event] = &logs.log_events[..] else { panic!("{logs:?}") };
        assert_eq!(
            (log_event.failure, log_event.who.as_str()),
            (Failure::ForkFailed(MissingResource::Memory), "sshd")
        );
        let t = 1_795_514_400.0;
        assert_eq!(
            (log_event.count, log_event.first_t, log_event.last_t),
            (3, Some(t - 3600.0), Some(t + 9.0))
        );
    }

    #[test]
    fn a_traceback_has_the_time_of_its_first_line_and_tells_what_it_was_about() {
        let text = "[2026-11-24 10:00:00 +0000] [7] [ERROR] Exception in worker\nTraceback\n    pid = os.fork()\nOSError: [Errno 12] Cannot allocate memory\n";
        let logs = gather(&[(text, "gunicorn.log")]);
        let [event] = &logs.log_events[..] else { panic!("{logs:?}") };
        assert_eq!(event.failure, Failure::ForkFailed(MissingResource::Memory));
        assert_eq!(event.last_t, Some(1_795_514_400.0));
    }

    #[test]
    fn of_two_users_processes_of_one_name_each_has_its_own_kills() {
        let line = |uid: u32| {
            format!("Nov 24 10:00:0{} h kernel: {KILL}, UID:{uid} pgtables:9kB\n", uid % 7)
        };
        let logs = gather(&[(&(line(33) + &line(1000) + &line(1001)), "kern.log")]);
        let mut uids: Vec<_> =
            logs.log_events.iter().map(|event| (event.uid, event.count)).collect();
        uids.sort_unstable();
        assert_eq!(uids, [(Some(33), 1), (Some(1000), 1), (Some(1001), 1)]);
        assert!(logs.log_events.iter().all(|event| event.who == "apache2"));
    }

    #[test]
    fn of_a_kill_before_linux_5_the_first_line_tells_whose_limit_it_was() {
        let text = "Nov 24 10:00:00 h kernel: Memory cgroup out of memory: Kill process 7 (php) score 1004 or sacrifice child\nNov 24 10:00:00 h kernel: Killed process 7 (php) total-vm:1kB\n";
        let logs = gather(&[(text, "messages")]);
        let [event] = &logs.log_events[..] else { panic!("{logs:?}") };
        assert_eq!((event.failure, event.count), (Failure::OomKillInCgroup, 1));
    }

    #[test]
    fn a_kill_by_a_daemon_counts_once_and_a_service_goes_down_only_over_a_failure() {
        let text = "Nov 24 10:00:00 h systemd-oomd[3]: Killed /system.slice/httpd.service due to memory pressure for /system.slice being 64% > 1%\nNov 24 10:00:00 h systemd[1]: httpd.service: systemd-oomd killed 2 process(es) in this unit.\nNov 24 10:00:00 h systemd[1]: httpd.service: Main process exited, code=killed, status=9/KILL\nNov 24 10:00:01 h supervisord[7]: INFO gave up: web entered FATAL state, too many start retries\n";
        let logs = gather(&[(text, "messages")]);
        let [event] = &logs.log_events[..] else { panic!("{logs:?}") };
        assert_eq!((event.failure, event.count), (Failure::OomDaemonKill, 1));
        assert_eq!(event.who, "httpd.service");
    }

    #[test]
    fn what_other_machines_log_here_counts_as_theirs() {
        let line = |host: &str| format!("Nov 24 10:00:00 {host} kernel: {KILL}\n");
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let logs = |text: &str| {
            let mut found = LogEventCounts::new(&stamps, 0.0).of_machine("web1.example.org");
            found.text(text.as_bytes(), "x", "syslog");
            found.finish()
        };
        let central = line("db2") + "Nov 24 10:00:01 web1 sshd[7]: all is well\n" + &line("db3");
        let found = logs(&central);
        assert_eq!(found.log_events, []);
        assert_eq!(found.unread, ["what other machines log here (db2, db3)"]);
        assert_eq!(logs(&(central + &line("web1"))).log_events[0].count, 1);
        // Of a machine that was renamed.
        let old = logs(&line("web"));
        assert_eq!((old.log_events[0].count, old.unread), (1, Vec::new()));
    }

    #[test]
    fn the_same_line_in_two_logs_counts_once() {
        let a = format!("Nov 24 10:00:00 h kernel: [ 12.34] {KILL}\n");
        let b = format!("2026-11-24T10:00:00.9+00:00 h kernel: {KILL}\n");
        let logs = gather(&[(&a, "kern.log"), (&b, "syslog")]);
        assert_eq!(logs.log_events.len(), 1);
        assert_eq!(logs.log_events[0].count, 1);
    }

    #[test]
    fn a_line_of_a_text_file_is_the_kernels_by_its_own_word_alone() {
        let told = |logs: &Logs| {
            let of = |event: &LogEvent| (event.who.clone(), event.witness, event.count);
            logs.log_events.iter().map(of).collect::<Vec<_>>()
        };
        let forged = format!("Nov 24 10:00:00 h kernel: {KILL}\n");
        let other = "Nov 24 11:00:00 h sshd[1]: error: fork: Cannot allocate memory\n";
        let logs = gather(&[(&forged, "syslog"), (other, "auth.log")]);
        let wanted = [
            ("sshd".to_owned(), Witness::Program, 1),
            ("apache2".to_owned(), Witness::SaidToBeKernel, 1),
        ];
        assert_eq!(told(&logs), wanted);
        // Beside the kernel's own word it adds nothing.
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        let entry = LogEntry { tag: "kernel", body: KILL, ..LogEntry::default() };
        found.take(hit(Some(1.0), &entry, ("journal", Witness::Kernel)).unwrap());
        found.text(forged.as_bytes(), "x", "syslog");
        assert_eq!(told(&found.finish()), [("apache2".to_owned(), Witness::Kernel, 1)]);
    }

    #[test]
    fn a_flood_of_forged_lines_drowns_no_word_of_the_kernel() {
        let forged: String = (0..500)
            .map(|n| {
                format!("Nov 24 11:00:00 h kernel: {}\n", KILL.replace("apache2", &format!("p{n}")))
            })
            .collect();
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        found.text(forged.as_bytes(), "x", "syslog");
        let entry = LogEntry { tag: "kernel", body: KILL, ..LogEntry::default() };
        found.take(hit(Some(1.0), &entry, ("journal", Witness::Kernel)).unwrap());
        let logs = found.finish();
        assert_eq!(
            (logs.log_events.len(), &*logs.log_events[0].who),
            (counted_lines::MOST_TRACES + 1, "apache2")
        );
    }

    #[test]
    fn a_flood_of_lines_that_count_beside_others_takes_no_other_logs_place() {
        let killed = |who: &str, n: usize| {
            format!(
                "Nov 24 {:02}:{:02}:00 h systemd[1]: {who}.service: Main process exited, code=killed, status=9/KILL\n",
                n / 60 % 24,
                n % 60
            )
        };
        let flood: String = (0..5000).map(|n| killed(&format!("p{n}"), n)).collect();
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        for (left, text, source) in [(2, &flood, "a/error.log"), (1, &killed("db", 1), "syslog")] {
            found.begin(left);
            found.text(text.as_bytes(), "x", source);
            found.end(source);
        }
        let logs = found.finish();
        assert!(logs.log_events.iter().any(|event| event.who == "db.service"), "{logs:?}");
        assert_eq!(logs.unread, ["a/error.log: some of its lines that count only beside others"]);
    }

    #[test]
    fn a_flood_of_failures_in_one_log_drowns_none_of_another() {
        let line =
            |tag: &str| format!("Nov 24 11:00:00 h {tag}: error: fork: Cannot allocate memory\n");
        let flood: String = (0..500).map(|n| line(&format!("p{n}"))).collect();
        let logs = gather(&[(&flood, "a/error.log"), (&line("sshd"), "auth.log")]);
        let sshd: Vec<_> = logs.log_events.iter().filter(|event| event.who == "sshd").collect();
        assert!(sshd.len() == 1 && sshd[0].source == "auth.log", "{logs:?}");
        assert_eq!(logs.log_events.len(), counted_lines::MOST_TRACES + 1);
    }

    #[test]
    fn a_cgroup_that_a_user_named_like_a_service_is_that_users() {
        let line = |path: &str| {
            format!(
                "Nov 24 10:00:00 h kernel: cgroup: fork rejected by pids controller in {path}\n"
            )
        };
        for (path, who) in [
            ("/system.slice/apache2.service", "apache2.service"),
            (
                "/user.slice/user-7.slice/user@7.service/apache2.service",
                "apache2.service of user 7",
            ),
            ("/user.slice/user-7.slice/user@7.service/app.slice/apache2", "apache2 of user 7"),
        ] {
            assert_eq!(gather(&[(&line(path), "syslog")]).log_events[0].who, who);
        }
    }

    #[test]
    fn what_is_older_than_asked_for_does_not_count() {
        let line = format!("Nov 10 10:00:00 h kernel: {KILL}\n");
        assert_eq!(gather(&[(&line, "kern.log")]).log_events, []);
    }

    #[test]
    fn the_traces_are_bounded_whatever_is_logged() {
        let line = |n| format!("Nov 24 10:00:00 h p{n}[1]: error: fork: Cannot allocate memory\n");
        let text: String = (0..500).map(line).collect();
        assert_eq!(gather(&[(&text, "x")]).log_events.len(), counted_lines::MOST_TRACES);
    }
}
