//! Rules: what the user allows, and so how the workers of each server are ended.

use crate::core::model::signal::{Signal, Step};
use crate::core::servers::{FailedFork, Server, Termination, WorkerPolicy};
use regex_lite::Regex;

/// How many times earlier the workers of a server are ended whose master does not outlive a failed
/// fork: at the usual time there may be too little left for the fork that replaces one.
const EARLIER: f64 = 2.0;

/// What the user allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether orders are given at all.
    pub act: bool,
    /// Orders are given, but nobody will carry them out.
    pub dry_run: bool,
    /// Act when memory may end within so many seconds.
    pub lead_s: f64,
    /// Grace of the first signal in seconds, instead of the server's own.
    pub grace_s: Option<f64>,
    /// The first signal, instead of the server's own.
    pub signal: Option<Signal>,
    /// Nobody is ended by KILL.
    pub no_kill: bool,
    /// A master may be told to replace all its workers, where its workers obey no signal.
    pub reload: bool,
    /// Keys of servers whose workers may be ended although that costs something.
    pub allow: Vec<String>,
    /// A lone leaking process, one that nobody would start again, may be ended too.
    pub allow_standalone: bool,
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
            grace_s: None,
            signal: None,
            no_kill: false,
            reload: false,
            allow: Vec::new(),
            allow_standalone: false,
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
    /// Not at all; the words say why.
    Never(&'static str),
}

impl Rules {
    /// How the workers of `server` are ended.
    pub fn method(&self, server: &Server) -> Method {
        let mut ending = match server.workers {
            WorkerPolicy::Reload(signal, _) if self.reload => return Method::Reload(signal),
            WorkerPolicy::Reload(_, why) | WorkerPolicy::Report(why) => return Method::Never(why),
            WorkerPolicy::Allow(_, why) if !self.allows(server) => return Method::Never(why),
            WorkerPolicy::End(ending) | WorkerPolicy::Allow(ending, _) => ending,
        };
        if let Some(signal) = self.signal.filter(|signal| *signal != ending.first.1) {
            let step = match signal {
                Signal::Kill => Step::Kill,
                Signal::Term => Step::Term,
                _ => Step::Gentle,
            };
            let later = ending.then.iter().position(|then| *then > step);
            let then = later.and_then(|at| ending.then.get(at..)).unwrap_or_default();
            ending = Termination { first: (step, signal), then, ..ending };
        }
        if self.no_kill {
            let before = ending.then.iter().position(|then| *then == Step::Kill);
            let then = before.and_then(|at| ending.then.get(..at)).unwrap_or(ending.then);
            ending = Termination { then, ..ending };
        }
        Method::Signals(Termination { grace_s: self.grace_s.unwrap_or(ending.grace_s), ..ending })
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
            Method::Signals(ending) => {
                let then = ending.then.iter().map(|step| step.signal());
                [ending.first.1].into_iter().chain(then).collect()
            }
            Method::Reload(signal) => vec![signal],
            Method::Never(_) => Vec::new(),
        }
    }

    use Signal::{Int, Kill, Term, Usr1};

    #[test]
    fn the_users_signal_comes_first_and_what_is_weaker_no_more() {
        let with = |signal| Rules { signal: Some(signal), ..Rules::default() };
        assert_eq!(steps(&with(Int), "apache-prefork"), [Int, Term, Kill]);
        assert_eq!(steps(&with(Term), "apache-prefork"), [Term, Kill]);
        assert_eq!(steps(&with(Kill), "apache-prefork"), [Kill]);
        assert_eq!(steps(&with(Usr1), "apache-prefork"), [Usr1, Term, Kill]);
        assert_eq!(steps(&with(Int), "sshd"), []);
    }

    #[test]
    fn without_kill_nobody_is_killed() {
        let rules = Rules { no_kill: true, ..Rules::default() };
        assert_eq!(steps(&rules, "apache-prefork"), [Usr1, Term]);
        assert_eq!(steps(&rules, "unknown"), [Term]);
        assert_eq!(steps(&rules, "gunicorn"), [Term]);
    }

    #[test]
    fn some_servers_want_to_be_allowed() {
        assert_eq!(steps(&Rules::default(), "postgres"), []);
        let allowed = Rules { allow: vec!["postgres".to_owned()], ..Rules::default() };
        assert_eq!(steps(&allowed, "postgres"), [Term], "never KILL");
        assert_eq!(steps(&Rules::default(), "apache-event"), []);
        assert_eq!(steps(&Rules { reload: true, ..Rules::default() }, "apache-event"), [Usr1]);
    }
}
