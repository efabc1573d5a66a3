//! Which processes the user means, by pgrep's rules and the executable's name.

use crate::core::model::process::Comm;
use crate::core::origin;
use crate::system::origin::OriginNames;
use anyhow::{Context, Result, anyhow, bail, ensure};
use glob::Pattern;
use regex_lite::Regex;
use std::path::Path;

/// What the user typed to pick processes. With nothing picked, every process is meant.
#[derive(Clone, Debug)]
pub struct Selection {
    patterns: Vec<Regex>,
    full: bool,
    users: Vec<u32>,
    pids: Vec<u32>,
    units: Vec<Pattern>,
    containers: Vec<Pattern>,
    most: usize,
}

/// Processes that are watched at once where nothing else is asked for: with what is kept of each
/// they come to 16 MiB.
pub const MOST: u32 = 4096;

/// The words of a [`Selection`], as typed.
#[derive(Clone, Debug, Default)]
pub struct SelectionArgs {
    /// Extended regular expressions; one of them must match.
    pub patterns: Vec<String>,
    /// Match against the command line instead of the name.
    pub full: bool,
    /// The expression must match the whole of it.
    pub exact: bool,
    /// Effective users, by name or number; one of them must be the owner.
    pub users: Vec<String>,
    /// Pids; one of them, whatever its name.
    pub pids: Vec<u32>,
    /// Systemd units, with wildcards; a name without a type is that of a service.
    pub units: Vec<String>,
    /// Containers by name or number, with wildcards.
    pub containers: Vec<String>,
    /// Processes watched at once; [`MOST`] by default.
    pub most: Option<u32>,
}

/// A process as the selection sees it. `cmdline`, `exe` and `euid` are only read when asked for.
pub(crate) struct ProcessToMatch<'a> {
    /// Absent once the pids of the selection have no meaning any more.
    pub(crate) pid: Option<u32>,
    pub(crate) comm: &'a [u8],
    pub(crate) cmdline: &'a dyn Fn() -> Vec<u8>,
    pub(crate) exe: &'a dyn Fn() -> Vec<u8>,
    pub(crate) euid: &'a dyn Fn() -> Option<u32>,
    /// Its units and containers; none where [`Selection::is_by_origin`] says no.
    pub(crate) origin: OriginNames,
}

impl Selection {
    /// Compiles what was typed. User names are looked up in `passwd` (an /etc/passwd), not through
    /// the name service: that may hang or, in a static binary, crash.
    ///
    /// # Errors
    /// A bad expression, an unknown user, or a pattern that can never match.
    pub fn new(words: &SelectionArgs, passwd: &Path) -> Result<Self> {
        let patterns = words.patterns.iter().map(|p| compile(p, words)).collect::<Result<_>>()?;
        let users = words.users.iter().map(|u| user_id(u, passwd)).collect::<Result<_>>()?;
        let most = words.most.unwrap_or(MOST) as usize;
        let units = words.units.iter().map(|name| wildcards(&origin::unit_name(name)));
        let containers = words.containers.iter().map(|name| wildcards(name));
        Ok(Self {
            patterns,
            full: words.full,
            users,
            pids: words.pids.clone(),
            units: units.collect::<Result<_>>()?,
            containers: containers.collect::<Result<_>>()?,
            most,
        })
    }

    /// Nothing was picked: every process is meant, and none may be signalled.
    pub fn is_everything(&self) -> bool {
        self.patterns.is_empty()
            && self.users.is_empty()
            && self.pids.is_empty()
            && !self.is_by_origin()
    }

    /// Whether it asks for processes by their pids.
    pub(crate) fn is_by_pid(&self) -> bool {
        !self.pids.is_empty()
    }

    /// Whether it asks for units or containers.
    pub(crate) fn is_by_origin(&self) -> bool {
        !self.units.is_empty() || !self.containers.is_empty()
    }

    /// Processes watched at once.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether the patterns, which are meant for names, match a command line.
    pub(crate) fn matches_title(&self, title: &str) -> bool {
        !self.full && self.patterns.iter().any(|pattern| pattern.is_match(title))
    }

    pub(crate) fn matches(&self, candidate: &ProcessToMatch<'_>) -> bool {
        if !self.pids.is_empty() && !candidate.pid.is_some_and(|pid| self.pids.contains(&pid)) {
            return false;
        }
        let has = |wanted: &[Pattern], names: &[String]| {
            wanted.is_empty() || names.iter().any(|name| wanted.iter().any(|p| p.matches(name)))
        };
        let OriginNames { units, containers } = &candidate.origin;
        if !has(&self.units, units) || !has(&self.containers, containers) {
            return false;
        }
        if !self.patterns.is_empty() {
            let is_meant = |text: &[u8]| {
                let text = String::from_utf8_lossy(text);
                self.patterns.iter().any(|p| p.is_match(&text))
            };
            let meant = match self.full.then(|| (candidate.cmdline)()) {
                Some(cmdline) if !cmdline.is_empty() => is_meant(&cmdline),
                // Under mod_perl, Apache is called `/usr/sbin/apach`: the name alone would miss
                // the very server of the story, so the executable's name counts as well.
                _ => is_meant(candidate.comm) || is_meant(&(candidate.exe)()),
            };
            if !meant {
                return false;
            }
        }
        self.users.is_empty() || (candidate.euid)().is_some_and(|uid| self.users.contains(&uid))
    }
}

fn compile(pattern: &str, words: &SelectionArgs) -> Result<Regex> {
    ensure!(
        !pattern.is_empty(),
        "the pattern is empty and would match every process\n  hint: leave --pattern out to look at everything without signalling anything"
    );
    if !words.full
        && let Some(literal) = impossible_literal(pattern)
    {
        let cut: String = literal.chars().take(Comm::MAX).collect();
        bail!(
            "the pattern '{pattern}' can never match: the kernel keeps only the first {} bytes of a process name\n  hint: use --pattern '{cut}', or add -f to match the whole command line",
            Comm::MAX
        );
    }
    let whole = if words.exact { format!("^(?:{pattern})$") } else { pattern.to_owned() };
    Regex::new(&whole).map_err(|e| anyhow!("the pattern '{pattern}' is not a regular expression: {e}\n  hint: quote special characters with a backslash, e.g. 'c\\+\\+'"))
}

/// A pattern without any special character is a literal; over 15 bytes it fits no name.
fn impossible_literal(pattern: &str) -> Option<&str> {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let literal =
        !inner.contains(['.', '[', ']', '(', ')', '{', '}', '*', '+', '?', '|', '\\', '^', '$']);
    (literal && inner.len() > Comm::MAX).then_some(inner)
}

fn wildcards(name: &str) -> Result<Pattern> {
    Pattern::new(name).map_err(|error| {
        anyhow!(
            "'{}' is no name of a unit or container: {error}\n  hint: put what stands for itself in brackets, as in [*]",
            name.escape_debug()
        )
    })
}

fn user_id(user: &str, passwd: &Path) -> Result<u32> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let text = std::fs::read(passwd).with_context(|| {
        format!("cannot look up the user '{user}': cannot read {}", passwd.display())
    })?;
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
        .ok_or_else(|| {
            anyhow!(
                "there is no user '{user}' in {}\n  hint: give the number, as in `-u 33`",
                passwd.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pattern: &str) -> SelectionArgs {
        SelectionArgs { patterns: vec![pattern.to_owned()], ..SelectionArgs::default() }
    }

    fn matches(words: &SelectionArgs, comm: &str, cmdline: &str) -> bool {
        let selection = Selection::new(words, Path::new("/nonexistent")).unwrap();
        selection.matches(&ProcessToMatch {
            pid: Some(7),
            comm: comm.as_bytes(),
            cmdline: &|| cmdline.as_bytes().to_vec(),
            exe: &|| b"apache2".to_vec(),
            euid: &|| Some(33),
            origin: OriginNames {
                units: vec!["system.slice".to_owned(), "php8.2-fpm.service".to_owned()],
                containers: vec!["shop-php".to_owned(), "0123456789ab".to_owned()],
            },
        })
    }

    #[test]
    fn a_pattern_is_looked_for_anywhere_in_the_name() {
        assert!(matches(&words("apache"), "apache2", ""));
        assert!(matches(&words("^(apache2|httpd)$"), "httpd", ""));
        assert!(!matches(&words("nginx"), "httpd", "nginx"));
    }

    #[test]
    fn a_renamed_server_is_found_by_its_executable() {
        assert!(matches(&words("^apache2$"), "/usr/sbin/apach", ""));
    }

    #[test]
    fn a_unit_and_a_container_are_meant_by_their_whole_names_or_by_wildcards() {
        let by = |units: &[&str], containers: &[&str]| {
            let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let words = SelectionArgs {
                units: all(units),
                containers: all(containers),
                ..SelectionArgs::default()
            };
            matches(&words, "php-fpm", "")
        };
        for unit in ["php8.2-fpm", "php8.2-fpm.service", "php*", "system.slice", "php?.?-fpm"] {
            assert!(by(&[unit], &[]), "{unit}");
        }
        for unit in ["php8.2", "fpm", "php8.2-fpm.scope", "shop-php"] {
            assert!(!by(&[unit], &[]), "{unit}");
        }
        assert!(by(&[], &["shop-php"]) && by(&[], &["shop-*"]) && by(&[], &["0123456789ab"]));
        assert!(!by(&[], &["shop"]) && !by(&[], &["php8.2-fpm.service"]));
        assert!(by(&["cron", "php*"], &["shop-php"]) && !by(&["cron"], &["shop-php"]));
    }

    #[test]
    fn exact_wants_the_whole_name_and_full_the_command_line() {
        let exact = SelectionArgs { exact: true, ..words("apache|httpd") };
        assert!(matches(&exact, "httpd", "") && !matches(&exact, "httpd2", ""));
        let full = SelectionArgs { full: true, ..words("myapp:app --workers") };
        assert!(matches(&full, "python3", "python3 gunicorn myapp:app --workers 4"));
        assert!(matches(&SelectionArgs { full: true, ..words("kthread") }, "kthreadd", ""));
    }

    #[test]
    fn a_pattern_that_can_never_match_is_refused_with_the_way_out() {
        let error = |w: &SelectionArgs| Selection::new(w, Path::new("/")).unwrap_err().to_string();
        let text = error(&words("unattended-upgrades"));
        assert!(
            text.contains("can never match") && text.contains("--pattern 'unattended-upgr'"),
            "{text}"
        );
        assert!(
            Selection::new(
                &SelectionArgs { full: true, ..words("unattended-upgrades") },
                Path::new("/")
            )
            .is_ok()
        );
        assert!(error(&words("")).contains("empty"));
        assert!(error(&words("a(")).contains("not a regular expression"));
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let passwd = dir.path().join("passwd");
        std::fs::write(&passwd, "root:x:0:0:::\nwww-data:x:33:33:::\n").unwrap();
        let select = |user: &str| {
            Selection::new(
                &SelectionArgs { users: vec![user.to_owned()], ..SelectionArgs::default() },
                &passwd,
            )
        };
        assert_eq!(select("www-data").unwrap().users, [33]);
        assert_eq!(select("4242").unwrap().users, [4242]);
        assert!(select("nobody-here").unwrap_err().to_string().contains("no user 'nobody-here'"));
    }
}
