//! User row: a server that the user describes, by `--server` or `[[server]]`. It goes before the
//! table.

use super::recognise::is_version_of;
use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, TABLE, Termination, WorkerPolicy};
use crate::core::model::signal::{Signal, Step};

/// The keys of a description.
const KEYS: [&str; 7] =
    ["match", "name", "signal", "grace", "no-kill", "protect", "survives-failed-fork"];

/// A server as the user describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct UserServer {
    /// Names of its executables or, of an interpreter, of its scripts.
    names: Vec<String>,
    name: String,
    signal: Signal,
    grace_s: f64,
    no_kill: bool,
    protect: bool,
    survives: Option<bool>,
}

impl UserServer {
    /// Parses `match=appd,signal=USR1,grace=20s`; `|` joins several names. `time` parses a duration
    /// into seconds.
    ///
    /// # Errors
    /// An unknown key, an invalid value, no `match`.
    pub fn parse(text: &str, time: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let mut row = Self {
            names: Vec::new(),
            name: String::new(),
            signal: Signal::Term,
            grace_s: 10.0,
            no_kill: false,
            protect: false,
            survives: None,
        };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            let (key, value) = (key.trim(), value.trim());
            let switch = || match value {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(format!("{key} is true or false, not {value:?}")),
            };
            match key {
                "match" => row.names.extend(value.split('|').map(str::to_owned)),
                "name" => value.clone_into(&mut row.name),
                "signal" => row.signal = signal(value)?,
                "grace" => row.grace_s = time(value)?,
                "no-kill" => row.no_kill = switch()?,
                "protect" => row.protect = switch()?,
                "survives-failed-fork" => row.survives = Some(switch()?),
                _ => return Err(format!("a server has no {key:?}; it has {}", KEYS.join(", "))),
            }
        }
        row.names.retain(|name| !name.is_empty());
        let Some(first) = row.names.first() else {
            return Err("a server needs match=NAME, the name of its executable".to_owned());
        };
        if row.name.is_empty() {
            row.name.clone_from(first);
        }
        Ok(row)
    }

    /// The row for it. It lives until leakwatch exits, as the table's rows do, so that all rows have
    /// one type: each reading of the configuration (start, SIGHUP) costs a few hundred bytes a row.
    /// After a thousand reloads that is less than a megabyte; a cache would need global state.
    pub fn keep(&self) -> &'static Server {
        let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let names: Vec<&'static str> = self.names.iter().map(|name| text(name)).collect();
        let names: &'static [&'static str] = Box::leak(names.into_boxed_slice());
        let by: &'static [RecognisedBy] =
            Box::leak(Box::new([RecognisedBy::Exe(names), RecognisedBy::Title(names)]));
        let first = if self.signal == Signal::Term { Step::Term } else { Step::Gentle };
        let then: &'static [Step] = match (first, self.no_kill) {
            (Step::Gentle, false) => TERM_KILL,
            (Step::Gentle, true) => &[Step::Term],
            (_, false) => &[Step::Kill],
            (_, true) => &[],
        };
        // The rest of the table's row still holds: above all which children are no workers.
        let is_it = |by: &RecognisedBy| match by {
            RecognisedBy::Exe(of) | RecognisedBy::Title(of) => {
                names.iter().any(|name| of.iter().any(|known| is_version_of(name, known)))
            }
            RecognisedBy::Dir(_) | RecognisedBy::TitleBegins(_) | RecognisedBy::Fork => false,
        };
        let known = TABLE.iter().copied().find(|server| server.by.iter().any(is_it));
        let known = known.unwrap_or(&BLANK);
        let ending = Termination { first: (first, self.signal), grace_s: self.grace_s, then };
        Box::leak(Box::new(Server {
            name: text(&self.name),
            key: text(&self.name.to_lowercase().replace(' ', "-")),
            by,
            workers: if self.protect {
                WorkerPolicy::Report("your configuration protects it")
            } else {
                WorkerPolicy::End(ending)
            },
            failed_fork: match self.survives {
                None => known.failed_fork,
                Some(true) => FailedFork::Survives,
                Some(false) => {
                    FailedFork::Ends("as you configured, its master ends at a failed fork")
                }
            },
            ..*known
        }))
    }
}

fn signal(name: &str) -> Result<Signal, String> {
    let short = name.strip_prefix("SIG").unwrap_or(name);
    // Not KILL: no worker finishes anything at it, and it follows as the last step anyway.
    let all = [Signal::Hup, Signal::Quit, Signal::Usr1, Signal::Usr2, Signal::Term];
    let found = all.into_iter().find(|signal| signal.name() == short);
    found.ok_or_else(|| format!("signal is one of HUP, QUIT, USR1, USR2, TERM, not {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::{Comm, Program};
    use crate::core::servers::recognise;

    fn row(text: &str) -> Result<UserServer, String> {
        UserServer::parse(text, |time| {
            time.trim_end_matches('s').parse().map_err(|_| "no time".into())
        })
    }

    #[test]
    fn a_user_row_goes_before_the_table() {
        let own = [row("match=appd|apache2,signal=USR1,grace=20s,no-kill").unwrap().keep()];
        let program = |exe: &str| Program { exe: exe.to_owned(), ..Program::unknown() };
        let name = |exe: &str| recognise(&program(exe), Comm::new(b"x"), &own).name;
        assert_eq!((name("/opt/appd"), name("/usr/sbin/apache2")), ("appd", "appd"));
        assert_eq!(name("/usr/sbin/nginx"), "nginx");
        let WorkerPolicy::End(ending) = own[0].workers else { panic!("{:?}", own[0]) };
        assert_eq!((ending.first, ending.grace_s), ((Step::Gentle, Signal::Usr1), 20.0));
        assert_eq!(ending.then, [Step::Term]);
    }

    #[test]
    fn the_rest_of_the_tables_row_still_holds() {
        let nginx = row("match=nginx,signal=TERM").unwrap().keep();
        let known = TABLE.iter().find(|server| server.key == "nginx").unwrap();
        assert!(!nginx.helpers.is_empty() && nginx.helpers == known.helpers);
        assert_eq!(nginx.failed_fork, known.failed_fork);
        let fpm = row("match=php-fpm8.2,grace=5s").unwrap().keep();
        assert_eq!(fpm.pool_title, TABLE.iter().find(|s| s.key == "php-fpm").unwrap().pool_title);
        assert!(row("match=appd").unwrap().keep().helpers.is_empty());
    }

    #[test]
    fn fuzz_rows() {
        let texts: [&[u8]; 2] =
            [b"match=appd|apache2,signal=USR1,grace=20s,no-kill", b"match=a,name=x,protect=false"];
        crate::core::fuzz::fuzz("rows", 1, &texts, |text| {
            let text = String::from_utf8_lossy(text);
            let _ = (row(&text), signal(&text));
        });
    }

    #[test]
    fn a_protected_server_is_only_reported() {
        let row = row("match=appd,protect").unwrap();
        assert!(matches!(row.keep().workers, WorkerPolicy::Report(_)));
    }

    #[test]
    fn a_wrong_description_is_refused_with_a_reason() {
        for (text, wanted) in [
            ("signal=USR1", "needs match=NAME"),
            ("match=a,sginal=USR1", "a server has no \"sginal\"; it has match, name, signal"),
            ("match=a,signal=WINCH", "signal is one of HUP"),
            ("match=a,signal=KILL,no-kill", "signal is one of HUP"),
            ("match=a,protect=perhaps", "protect is true or false"),
        ] {
            assert!(row(text).unwrap_err().contains(wanted), "{text}");
        }
    }
}
