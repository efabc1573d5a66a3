//! Wordings: which lines prove that a fork failed or memory ran out, and whose failure it was.
//!
//! The wordings are those of the programs' sources and binaries, each seen or read: httpd 2.2 and 2.4,
//! php-fpm and PHP 5 to 8, systemd 219 to 255, the crons, OpenSSH, mail servers, gunicorn, uWSGI, puma,
//! unicorn, PostgreSQL, MySQL, Redis, supervisord, HAProxy, Varnish, Kamailio, Zabbix, Java, node, Go,
//! Erlang, Squid, Passenger, Net::Server, Asterisk, git, earlyoom, systemd-oomd, containerd, kubelet,
//! Linux 2.6 to 6; and of public reports of their failures: Ceph, rspamd, amavis, fluentd, collectd,
//! Icinga, Telegraf, pm2, ClamAV. A new wording is one row of the table and one line of the test. Each
//! begins a message (see `prefixes`) or belongs to a form that its program alone writes, for what a
//! client sent may stand further on in a line. What no row has is read by its sentence (`sentence`).

mod ended;
mod needles;
mod prove;
mod reasons;
mod sentence;
mod system;
mod table;
mod wording;

pub(super) use needles::needles;

use super::languages::in_english;
use super::prefixes::heads;
use crate::diagnose::findings::Failure;
use prove::{pid, prove, who};
use system::{kernel, kubelet, of_systemd_to_kernel, of_unit, oomd};
use table::WORDINGS;
use wording::{Kind, Proof, Wording};

/// A line without its time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogEntry<'a> {
    /// The syslog tag, or what else names the program.
    pub(super) tag: &'a str,
    /// The message.
    pub(super) body: &'a str,
    /// The machine that syslog says it came from; empty where it says none.
    pub(super) host: &'a str,
    /// Whether a client is named before the message, which may thus be the client's own words.
    pub(super) of_client: bool,
    /// The few lines before it, where they are at hand: a traceback says in them what it was about.
    pub(super) above: &'a str,
}

/// What a line proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proved {
    /// What failed.
    pub(super) failure: Failure,
    /// Whose failure it was; empty where the line has no name.
    pub(super) who: String,
    /// The user of the process that the kernel ended, where it says that.
    pub(super) uid: Option<u32>,
    /// The process that was ended, where that is said.
    pub(super) pid: Option<u32>,
    /// Whether another line decides if it counts.
    pub(super) only: Only,
    /// Whether it says it is the kernel's.
    pub(super) by_kernel: bool,
}

/// When a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    /// In any case.
    Always,
    /// If the same program failed shortly before: a service that goes down for another reason says the
    /// same.
    After,
    /// Unless a killer told of the same end.
    UnlessTold,
    /// In any case, as a kill at a cgroup's limit if the line before announced that.
    KillSomewhere,
    /// Unless the kill that it announces is told as well.
    Announces,
    /// Unless the same program gave up shortly before or after: it tried again.
    Retries,
    /// Not at all: the program's own master ended it, for another reason than memory.
    Excuses,
}

/// What the line proves and whose failure it is.
pub(super) fn read(entry: &LogEntry<'_>) -> Option<Proved> {
    let LogEntry { tag, body, .. } = *entry;
    if tag == "kernel" {
        return match of_systemd_to_kernel(body) {
            Some((tag, body)) => read(&LogEntry { tag, body, ..*entry }),
            None => kernel(body),
        };
    }
    let text = in_english(body);
    if tag == "systemd-oomd" {
        return oomd(&text);
    }
    let (kind, unit, text) = match tag {
        "systemd" => match of_unit(&text) {
            Some((unit, rest)) => (Kind::Unit, unit, rest),
            None => (Kind::Message, "", &*text),
        },
        _ => (Kind::Message, "", &*text),
    };
    let fits = |wording: &&Wording| match wording.kind {
        Kind::Unit => kind == Kind::Unit,
        Kind::AlsoOfClients => kind == Kind::Message,
        Kind::Message => kind == Kind::Message && !entry.of_client,
    };
    let heads: Vec<&str> = heads(text).collect();
    if tag == "kubelet"
        && let Some(proved) = heads.iter().find_map(|head| kubelet(head))
    {
        return Some(proved);
    }
    // A row that proves nothing counts wherever it stands.
    let barred = |wording: &&Wording| {
        matches!(wording.proves, Proof::Nothing)
            && (wording.matches(text) || heads.iter().any(|head| wording.matches(head)))
    };
    if WORDINGS.iter().any(|wording| barred(&wording)) {
        return None;
    }
    let known = WORDINGS.iter().filter(fits).find_map(|wording| {
        let head = heads.iter().find(|head| wording.matches(head))?;
        Some((*head, wording))
    });
    let Some((head, wording)) = known else {
        let who = if unit.is_empty() { tag } else { unit };
        return by_sentence(text, &heads, tag, who).filter(|_| !entry.of_client);
    };
    let (failure, only) = prove(wording.proves, head, text, entry.above)?;
    let who = who(wording, head, text, tag, unit);
    let pid = pid(head).filter(|_| failure == Failure::Killed);
    Some(Proved { failure, who, uid: None, pid, only, by_kernel: false })
}

/// What a sentence proves that no row has.
fn by_sentence(text: &str, heads: &[&str], tag: &str, who: &str) -> Option<Proved> {
    let prefixes = |head: &str| text.get(..text.len().checked_sub(head.len())?);
    let (who, only) = (who.to_owned(), Only::Always);
    let failed = heads
        .iter()
        .find_map(|head| sentence::failure(head, prefixes(head)?.ends_with(['"', '\'']), tag));
    if let Some(failure) = failed {
        return Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: false });
    }
    if heads.iter().any(|head| ended::is_killed_for_memory(head)) {
        let failure = Failure::OomDaemonKill;
        return Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: false });
    }
    let ended = heads.iter().find(|head| {
        prefixes(head).is_some_and(|before| ended::is_killed(head, before.ends_with('"')))
    });
    let (failure, pid) = (Failure::Killed, pid(ended?));
    Some(Proved { failure, who, uid: None, pid, only, by_kernel: false })
}

#[cfg(test)]
mod tests;
