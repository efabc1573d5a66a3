//! Rules: what the user allows, and so how the workers of each server are ended.

use crate::core::model::signal::{Signal, Step};
use crate::core::servers::{FailedFork, Server, Termination, WorkerPolicy};
use regex_lite::Regex;

/// How many times earlier workers are ended whose master does not outlive a failed fork: at the usual
/// time there may be too little left for the fork that replaces one.
const EARLIER: f64 = 2.0;

/// What the user allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether orders are given at all.
    pub act: bool,
    /// Orders are given, but not carried out.
    pub dry_run: bool,
    /// Act when memory may end within so many seconds.
    pub lead_s: f64,
    /// The next sample follows as soon as it is wanted, though this one may have come late. Otherwise the
    /// next one may come as late again, and what ends before that is acted on now.
    pub stays: bool,
    /// Grace of the first signal in seconds, instead of the server's own.
    pub grace_s: Option<f64>,
    /// The first signal, instead of the server's own.
    pub signal: Option<Signal>,
    /// No process is ended by KILL.
    pub no_kill: bool,
    /// A master may be asked to replace all its workers, where its workers obey no signal.
    pub reload: bool,
    /// Keys of servers whose workers may be ended although that costs something.
    pub allow: Vec<String>,
    /// A standalone process, which nothing would start again, may be ended too when it leaks.
    pub allow_standalone: bool,
    /// The unit of a standalone process may be restarted when it leaks.
    pub restart_unit: bool,
    /// Names and titles that are never signalled.
    pub protect: Vec<Regex>,
    /// The user's own rows of the table of servers.
    pub servers: Vec<&'static Server>,
}

impl Default for Rules {
    /// As the command line has them: acts, 30 s ahead, on workers only.
    fn default() -> Self {
        Self {
            act: true,
            dry_run: false,
            lead_s: 30.0,
            stays: false,
            grace_s: None,
            signal: None,
            no_kill: false,
            reload: false,
            allow: Vec::new(),
            allow_standalone: false,
            restart_unit: false,
            protect: Vec::new(),
            servers: Vec::new(),
        }
    }
}

/// How the workers of a server are ended under the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// By these signals to the worker.
    Signals(Termination),
    /// By this signal to the master, which replaces all workers gently.
    Reload(Signal),
    /// By a restart of its unit.
    Restart,
    /// Not at all; the words say why.
    Never(&'static str),
}

impl Rules {
    /// How the workers of `server` are ended.
    pub fn method(&self, server: &Server) -> Method {
        let mut termination = match server.workers {
            WorkerPolicy::Reload(signal, _) if self.reload => return Method::Reload(signal),
            WorkerPolicy::Reload(_, why) | WorkerPolicy::Report(why) => return Method::Never(why),
            WorkerPolicy::Allow(_, why) if !self.allows(server) => return Method::Never(why),
            WorkerPolicy::End(termination) | WorkerPolicy::Allow(termination, _) => termination,
        };
        if let Some(signal) = self.signal.filter(|signal| *signal != termination.first.1) {
            let step = match signal {
                Signal::Kill => Step::Kill,
                Signal::Term => Step::Term,
                _ => Step::Gentle,
            };
            let kills = termination.then.contains(&Step::Kill);
            // What is harder than the user's signal stays, the server's own first one included.
            let then: &[Step] = match step {
                Step::Kill => &[],
                Step::Term if kills => &[Step::Kill],
                Step::Term => &[],
                _ if termination.first.1 != Signal::Term => termination.then,
                _ if kills => &[Step::Term, Step::Kill],
                _ => &[Step::Term],
            };
            termination = Termination { first: (step, signal), then, ..termination };
        }
        if self.no_kill {
            let before = termination.then.iter().position(|then| *then == Step::Kill);
            let then = before.and_then(|at| termination.then.get(..at)).unwrap_or(termination.then);
            termination = Termination { then, ..termination };
        }
        Method::Signals(Termination {
            grace_s: self.grace_s.unwrap_or(termination.grace_s),
            ..termination
        })
    }

    /// How long before the end workers of `server` are ended, in seconds.
    pub fn lead_s(&self, server: &Server) -> f64 {
        match server.failed_fork {
            FailedFork::Ends(_) => EARLIER * self.lead_s,
            FailedFork::Survives | FailedFork::Unknown => self.lead_s,
        }
    }

    fn allows(&self, server: &Server) -> bool {
        self.allow.iter().any(|key| key == server.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::TABLE;

    fn steps(rules: &Rules, key: &str) -> Vec<Signal> {
        let server = TABLE.iter().find(|server| server.key == key).unwrap();
        match rules.method(server) {
            Method::Signals(termination) => {
                let then = termination.then.iter().map(|step| step.signal());
                [termination.first.1].into_iter().chain(then).collect()
            }
            Method::Reload(signal) => vec![signal],
            Method::Restart | Method::Never(_) => Vec::new(),
        }
    }

    use Signal::{Int, Kill, Term, Usr1};

    #[test]
    fn the_users_signal_comes_first_and_weaker_ones_are_left_out() {
        let with = |signal| Rules { signal: Some(signal), ..Rules::default() };
        assert_eq!(steps(&with(Int), "apache-prefork"), [Int, Term, Kill]);
        assert_eq!(steps(&with(Term), "apache-prefork"), [Term, Kill]);
        assert_eq!(steps(&with(Kill), "apache-prefork"), [Kill]);
        assert_eq!(steps(&with(Usr1), "apache-prefork"), [Usr1, Term, Kill]);
        assert_eq!(steps(&with(Usr1), "gunicorn"), [Usr1, Term, Kill]);
        let without_kill = Rules { no_kill: true, ..with(Usr1) };
        assert_eq!(steps(&without_kill, "gunicorn"), [Usr1, Term]);
        assert_eq!(steps(&with(Usr1), "unknown"), [Usr1, Term], "never KILL");
        assert_eq!(steps(&with(Int), "sshd"), []);
    }

    #[test]
    fn under_no_kill_no_process_gets_kill() {
        let rules = Rules { no_kill: true, ..Rules::default() };
        assert_eq!(steps(&rules, "apache-prefork"), [Usr1, Term]);
        assert_eq!(steps(&rules, "unknown"), [Term]);
        assert_eq!(steps(&rules, "gunicorn"), [Term]);
    }

    #[test]
    fn workers_of_some_servers_end_only_where_that_is_allowed() {
        assert_eq!(steps(&Rules::default(), "postgres"), []);
        let allowed = Rules { allow: vec!["postgres".to_owned()], ..Rules::default() };
        assert_eq!(steps(&allowed, "postgres"), [Term], "never KILL");
        assert_eq!(steps(&Rules::default(), "apache-event"), []);
        assert_eq!(steps(&Rules { reload: true, ..Rules::default() }, "apache-event"), [Usr1]);
    }
}
