//! Names: whom a log means by a name that the kernel cut.
//!
//! The kernel keeps 15 bytes of a process's name (`TASK_COMM_LEN` of linux/sched.h less its NUL), and
//! of that its log tells. A program that sets its name to its path, as mod_perl has Apache's children
//! do, is logged as `/usr/sbin/apach`; prometheus-node-exporter as `prometheus-node`.

use crate::core::model::process::{Comm, Program};
use crate::core::servers::{RecognisedBy, TABLE};
use crate::diagnose::findings::LogEvent;
use std::collections::BTreeSet;

/// Programs remembered: more than run on a small machine, and a hundred bytes each.
const MOST: usize = 4096;
/// Words of a title that may be its program or its script.
const WORDS: usize = 3;
/// Bytes of a name without which too much begins with it.
const LEAST: usize = 3;

/// What runs here, by the paths or names of executables and scripts.
#[derive(Debug, Default)]
pub struct Names {
    known: BTreeSet<String>,
}

impl Names {
    /// Takes note of a program.
    pub fn add(&mut self, program: &Program) {
        let exe = program.exe.trim_end_matches(" (deleted)");
        let words = program.title.split_ascii_whitespace().take(WORDS);
        // "nginx: worker", "[kthread]"
        let words = words.map(|word| word.trim_matches(['[', ']', ':']));
        for name in words.chain([exe]).filter(|name| name.len() > LEAST) {
            if self.known.len() < MOST && !self.known.contains(name) {
                self.known.insert(name.to_owned());
            }
        }
    }

    /// The name of what a log calls so, without its path: where the kernel may have cut it that of
    /// the only program that begins so and runs here, else that of the only known server; else `None`.
    pub fn whole(&self, logged: &str) -> Option<&str> {
        if logged.len() != Comm::MAX || base(logged).len() < LEAST {
            return None;
        }
        if let Some(exact) = self.known.get(logged) {
            return Some(base(exact));
        }
        let running = || self.known.iter().map(String::as_str);
        // Where the path is logged it has to fit; a name without one may be of a program anywhere.
        let fits = |name: &str| match logged.contains('/') {
            true => name.strip_prefix(logged).is_some_and(|rest| !rest.contains('/')),
            false => base(name).starts_with(logged),
        };
        only(running().filter(|name| fits(name)).map(base)).or_else(|| {
            let servers = TABLE.iter().flat_map(|server| server.by);
            let names = servers.flat_map(|by| match by {
                // Of several names of one row that fit, the first is the usual one.
                RecognisedBy::Exe(names) | RecognisedBy::Title(names) => {
                    names.iter().find(|name| name.starts_with(base(logged)))
                }
                RecognisedBy::Dir(_) | RecognisedBy::TitleBegins(_) | RecognisedBy::Fork => None,
            });
            only(names.copied())
        })
    }

    /// Gives the traces the names of the programs that they mean. Those of one failure that turn out
    /// to be of one program become one; the latest remains first.
    pub fn give(&self, log_events: &mut Vec<LogEvent>) {
        let mut named: Vec<LogEvent> = Vec::with_capacity(log_events.len());
        for mut log_event in log_events.drain(..) {
            if let Some(whole) = self.whole(&log_event.who) {
                whole.clone_into(&mut log_event.who);
            }
            let same = |known: &&mut LogEvent| {
                (known.failure, known.witness, &known.who, known.uid)
                    == (log_event.failure, log_event.witness, &log_event.who, log_event.uid)
            };
            match named.iter_mut().find(same) {
                Some(known) => join(known, log_event),
                None => named.push(log_event),
            }
        }
        *log_events = named;
    }
}

/// Adds a trace to one that is as late or later.
fn join(to: &mut LogEvent, other: LogEvent) {
    to.count += other.count;
    to.first_t = match (to.first_t, other.first_t) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    to.last_t = to.last_t.or(other.last_t);
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name that all of these are.
fn only<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = names.next()?;
    names.all(|name| name == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::findings::{Failure, Witness};

    fn names(running: &[(&str, &str)]) -> Names {
        let mut names = Names::default();
        for (exe, title) in running {
            let (exe, title) = ((*exe).to_owned(), (*title).to_owned());
            names.add(&Program { exe, title, ..Program::unknown() });
        }
        names
    }

    #[test]
    fn a_cut_name_is_that_of_the_program_that_runs_here() {
        let names = names(&[
            ("/usr/sbin/apache2", "/usr/sbin/apache2 -k start"),
            ("/usr/bin/prometheus-node-exporter", ""),
            (
                "/usr/bin/python3.11",
                "/usr/bin/python3 /usr/share/unattended-upgrades/unattended-upgrade-shutdown --wait",
            ),
            ("", "/opt/shop/bin/worker-queue"),
        ]);
        for (logged, whole) in [
            ("/usr/sbin/apach", "apache2"),
            ("prometheus-node", "prometheus-node-exporter"),
            ("unattended-upgr", "unattended-upgrade-shutdown"),
            ("/opt/shop/bin/w", ""),
        ] {
            // A letter is too little.
            let whole = Some(whole).filter(|whole| !whole.is_empty());
            assert_eq!(names.whole(logged), whole, "{logged}");
        }
    }

    #[test]
    fn a_server_that_is_known_has_its_name_also_when_it_runs_no_more() {
        let none = names(&[]);
        assert_eq!(none.whole("/usr/sbin/apach"), Some("apache2"));
        assert_eq!(none.whole("/usr/bin/gunico"), Some("gunicorn"));
    }

    #[test]
    fn what_was_not_cut_or_could_be_several_keeps_the_name_that_was_logged() {
        let names = names(&[
            ("/usr/lib/postfix/sbin/postfix-longname-a", ""),
            ("/usr/lib/postfix/sbin/postfix-longname-b", ""),
            ("/usr/sbin/apache2", ""),
        ]);
        for logged in
            ["apach", "apache2", "postfix-longnam", "/usr/local/bin/", "some-other-prog", ""]
        {
            assert_eq!(names.whole(logged), None, "{logged}");
        }
    }

    #[test]
    fn traces_of_one_program_under_two_names_are_counted_together() {
        let log_event = |who: &str, failure, count, first_t, last_t| LogEvent {
            failure,
            witness: Witness::Kernel,
            who: who.to_owned(),
            uid: None,
            count,
            first_t: Some(first_t),
            last_t: Some(last_t),
            source: "syslog".to_owned(),
            text: who.to_owned(),
        };
        let mut log_events = vec![
            log_event("/usr/sbin/apach", Failure::OomKill, 3, 50.0, 90.0),
            log_event("sshd", Failure::OomKill, 1, 80.0, 80.0),
            log_event("apache2", Failure::OomKill, 2, 10.0, 70.0),
            log_event("apache2", Failure::NoMemory, 1, 60.0, 60.0),
        ];

        names(&[("/usr/sbin/apache2", "")]).give(&mut log_events);

        let told = |t: &LogEvent| (t.who.clone(), t.count, t.first_t, t.last_t, t.text.clone());
        let both = ("apache2".to_owned(), 5, Some(10.0), Some(90.0), "/usr/sbin/apach".to_owned());
        assert_eq!(told(&log_events[0]), both);
        assert_eq!(log_events.len(), 3);
        log_events[2].failure = Failure::OomKill;
        log_events[2].witness = Witness::SaidToBeKernel;
        names(&[("/usr/sbin/apache2", "")]).give(&mut log_events);
        assert_eq!(log_events.len(), 3, "on another's word");
    }
}
