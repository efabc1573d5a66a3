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

mod reasons;
mod sentence;
mod table;

use super::languages;
use super::languages::in_english;
use super::prefixes::heads;
use crate::core::origin;
use crate::diagnose::findings::{Failure, MissingResource};
use crate::system::kernel_lines::{ChosenVictim, KernelLine, Victim};
use reasons::{missing_at_end, missing_before};
use table::WORDINGS;

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

/// A row: what a line looks like, what it proves, and whose failure it was.
struct Wording {
    kind: Kind,
    /// The message begins, goes on and ends like this; empty texts match everything.
    begins: &'static str,
    has: &'static str,
    ends: &'static str,
    proves: Proof,
    who: Who,
}

/// Where a wording stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// At the head of a message.
    Message,
    /// The same, also behind a client's address: a module's own words on what it did for the client.
    AlsoOfClients,
    /// In systemd's message on a unit: "a.service: Failed to fork: ..".
    Unit,
}

/// What a wording proves.
#[derive(Clone, Copy)]
enum Proof {
    /// A fork failed, for the reason that the message gives, if it gives one.
    ForkFailed,
    /// A fork failed, if the message says that it was for lack of memory or tasks.
    ForkBecause,
    /// The program was refused memory, if the message ends with that; in a traceback of a fork, a fork
    /// failed.
    OutOfMemory,
    /// This failure.
    Of(Failure),
    /// The service went down, which counts after another failure of the same program.
    DownAfter,
    /// A kill, which counts unless a killer told of it.
    KilledUnlessTold,
    /// A fork failed, and is tried again.
    ForkRetried,
    /// The program's own master kills it, since it was too slow.
    OwnKill,
    /// Nothing: a later row must not match.
    Nothing,
}

/// Whose failure it was.
#[derive(Clone, Copy)]
enum Who {
    /// The program of the syslog tag, or of the log file.
    Tag,
    /// That program, or a shell where the line has no tag.
    Shell,
    /// This program, whatever its processes are called.
    Program(&'static str),
    /// The word behind the beginning: "exited: NAME (terminated by SIGKILL".
    NextWord,
    /// What stands in double quotes.
    InQuotes,
    /// What stands in brackets, without a number: "App [NAME:0]".
    InBrackets,
    /// The container whose number the line has.
    Container,
    /// The unit that systemd names.
    Unit,
}

const fn has(has: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins: "", has, ends: "", proves, who }
}

const fn begins(begins: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins, has: "", ends: "", proves, who }
}

const fn ends(ends: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins: "", has: "", ends, proves, who }
}

/// Begins, whoever is named before it.
const fn of(begins: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::AlsoOfClients, begins, has: "", ends: "", proves, who }
}

const fn unit(begins: &'static str, has: &'static str, proves: Proof) -> Wording {
    Wording { kind: Kind::Unit, begins, has, ends: "", proves, who: Who::Unit }
}

/// What every kernel line that proves something has, in the words of [`KernelLine`].
const KERNEL: [&str; 9] = [
    "fork rejected",
    "page allocation failure",
    "illed process",
    "Kill process",
    " killing process",
    "kill process",
    "Kernel panic - not syncing",
    "Fatal resource shortage",
    "oom-kill:constraint=",
];

/// A message that ends in "Cannot fork" is a shell's only if it is short.
const LONGEST_END: usize = 200;

impl Wording {
    /// What the search looks for: a rare part of it, else its longest text.
    fn needle(&self) -> &'static str {
        let texts = [self.begins, self.has, self.ends];
        let is_part = |part: &&str| texts.iter().any(|text| text.contains(part));
        let longest = || texts.into_iter().max_by_key(|text| text.len());
        RARE_PARTS.into_iter().find(is_part).or_else(longest).unwrap_or_default()
    }

    fn matches(&self, text: &str) -> bool {
        text.starts_with(self.begins)
            && text.contains(self.has)
            && (self.ends.is_empty() || (text.ends_with(self.ends) && text.len() < LONGEST_END))
    }
}

/// Part of the words for EAGAIN, which the search looks for also where no row has it.
const UNAVAILABLE: &str = "rily unavailable";

/// Parts of wordings that are rare in logs: searched for in place of a wording that has one. A wording
/// that has none is searched for as it is. They make the search fast: whole wordings are two to three
/// times slower (300 instead of 800 MB/s), since many begin like common words ("error", "code").
const RARE_PARTS: [&str; 56] = [
    "fork",
    "Fork",
    "FORK",
    "ut of memory",
    "ut Of Memory",
    "annot allocate ",
    UNAVAILABLE,
    "rrno 12",
    "(12: ",
    "ailed to allocate ",
    "emory allocation",
    "insufficient memory",
    "memory exhausted",
    "oom-kill",
    "oom_kill event",
    "oomd killed",
    "allocation failure",
    "MemoryError",
    "bad_alloc",
    "rror=12",
    "rrno=12",
    "rror=11",
    "ENOMEM",
    "EAGAIN",
    "child process: 1",
    "pawn ",
    "clone",
    "posix_spawn",
    "pthread_create",
    "thread_create",
    "hread creation",
    "create a new thread",
    "reate thread",
    "reate Thread",
    "reate process",
    "reate new process",
    "create new OS thread",
    "start new thread",
    "native thread",
    "worker thread",
    "signal 9",
    "signal=9",
    "signal:9",
    "SIGKILL",
    "9/KILL",
    "Killed",
    " killing",
    "code 137",
    "server reached ",
    "FATAL state",
    "in process table",
    "unable to change to uid",
    "scheduler thread",
    "evict pod(s)",
    "return code -9",
    "OutOfMemoryException",
];

/// The texts of which every line that matters has one: what the search looks for.
pub(super) fn needles() -> Vec<&'static str> {
    let proving = WORDINGS.iter().filter(|wording| !matches!(wording.proves, Proof::Nothing));
    let kernel = KERNEL.map(|text| has(text, Proof::Nothing, Who::Tag).needle());
    let mut needles: Vec<&str> = proving.map(Wording::needle).chain(kernel).collect();
    needles.push(UNAVAILABLE);
    needles.extend(languages::NEEDLES);
    needles.sort_unstable();
    needles.dedup();
    // What has another needle in it is found by that one.
    let all = needles.clone();
    needles.retain(|needle| !all.iter().any(|other| other != needle && needle.contains(other)));
    needles
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
    let failure = heads.iter().find_map(|head| {
        let prefixes = text.get(..text.len().checked_sub(head.len())?)?;
        sentence::failure(head, prefixes.ends_with(['"', '\'']), tag)
    })?;
    let (who, only) = (who.to_owned(), Only::Always);
    Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: false })
}

/// The tag and message of what a part of systemd wrote to the kernel's log, as it does early and late:
/// "systemd-journald[5681]: Failed ..". No line of the kernel's own begins so and ends in an error's words.
fn of_systemd_to_kernel(body: &str) -> Option<(&str, &str)> {
    let (tag, message) = body.strip_prefix("systemd-").and_then(|_| body.split_once("]: "))?;
    let (name, pid) = tag.split_once('[')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (is_name && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some((name, message))
}

/// The number behind "pid": "Worker (pid:7) ..", "#<Process::Status: pid 7 SIGKILL ..", "PID:7".
fn pid(text: &str) -> Option<u32> {
    let at = text.find("pid").or_else(|| text.find("PID"))?;
    let number = text.get(at + 3..)?.trim_start_matches([' ', ':']);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    number.get(..digits)?.parse().ok()
}

fn prove(proof: Proof, head: &str, text: &str, above: &str) -> Option<(Failure, Only)> {
    let reason = || missing_at_end(head).or_else(|| missing_before(text, head));
    let failure = match proof {
        Proof::ForkFailed => Failure::ForkFailed(reason().unwrap_or(MissingResource::Unsaid)),
        Proof::ForkBecause => Failure::ForkFailed(reason()?),
        Proof::OutOfMemory => {
            let missing = missing_at_end(head)?;
            let prefixes = text.get(..text.len() - head.len()).unwrap_or_default();
            let of_fork =
                ["fork", "_execute_child", "spawn"].iter().any(|word| above.contains(word))
                    || head.contains(" (fork/exec /")
                    || sentence::is_called_before(prefixes);
            // What std::thread throws where a thread cannot be made.
            let of_thread =
                missing == MissingResource::Tasks && above.contains("'std::system_error'");
            match missing {
                _ if of_fork || of_thread => Failure::ForkFailed(missing),
                MissingResource::Memory => Failure::NoMemory,
                // A call that would wait says the same, and means no harm.
                _ => return None,
            }
        }
        Proof::Of(failure) => failure,
        Proof::DownAfter => return Some((Failure::Down, Only::After)),
        Proof::KilledUnlessTold => return Some((Failure::Killed, Only::UnlessTold)),
        Proof::ForkRetried => return Some((Failure::ForkFailed(reason()?), Only::Retries)),
        Proof::OwnKill => return Some((Failure::Killed, Only::Excuses)),
        Proof::Nothing => return None,
    };
    Some((failure, Only::Always))
}

/// The unit that a message of systemd is about, and the rest: "a.service: Failed ..", and before
/// version 220 also "a.service failed ..".
fn of_unit(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    let unit = word.trim_end_matches(':');
    let kinds = ["service", "scope", "socket", "mount", "timer", "slice", "swap", "path", "target"];
    let kind = unit.rsplit_once('.')?.1;
    kinds.contains(&kind).then_some((unit, rest))
}

/// "Killed /system.slice/httpd.service due to memory pressure for /system.slice being 64.15% > ..".
fn oomd(text: &str) -> Option<Proved> {
    let (path, _) = text.strip_prefix("Killed ")?.split_once(" due to ")?;
    let (failure, only) = (Failure::OomDaemonKill, Only::Always);
    Some(Proved { failure, who: of_cgroup(path), uid: None, pid: None, only, by_kernel: false })
}

/// Whose cgroup that is. Below a user's own manager or in a container others choose the names, so the
/// last part alone could pass for a service of the machine's.
fn of_cgroup(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    let user =
        || path.split('/').find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service"));
    origin::unit(path).unwrap_or_else(|| match user() {
        Some(user) => format!("{last} of user {user}"),
        None => last.to_owned(),
    })
}

fn who(wording: &Wording, head: &str, text: &str, tag: &str, unit: &str) -> String {
    let behind = head.get(wording.begins.len()..).unwrap_or_default();
    let found = match wording.who {
        Who::Program(name) => Some(name),
        Who::Unit => Some(unit),
        Who::Shell if tag.is_empty() => shell(text),
        Who::Tag | Who::Shell => None,
        Who::NextWord => behind.trim_start().split([' ', ',', ':', '(', ')']).next(),
        Who::InQuotes => head.split('"').nth(1),
        Who::InBrackets => {
            head.split(['[', ']']).nth(1).and_then(|inside| inside.split(':').next())
        }
        Who::Container => return container(text).unwrap_or_else(|| tag.to_owned()),
    };
    found.unwrap_or(tag).to_owned()
}

/// The container of `ContainerID:0123..` or `container_id:\"0123..`.
fn container(text: &str) -> Option<String> {
    let at = ["ContainerID:", "container_id:", "containerID="]
        .iter()
        .find_map(|key| Some(text.split_once(key)?.1.trim_start_matches(['\\', '"', '\''])))?;
    let id: String = at.chars().take_while(char::is_ascii_hexdigit).take(12).collect();
    (!id.is_empty()).then(|| format!("container {id}"))
}

/// The shell that wrote a line without a tag: "-bash: fork: ..".
fn shell(body: &str) -> Option<&str> {
    match body.trim_start_matches('-').split_once(": ") {
        _ if body.ends_with(": Cannot fork") => Some("sh"),
        Some((name @ ("bash" | "sh" | "zsh" | "ksh" | "ash"), _)) => Some(name),
        _ => None,
    }
}

/// What a line of the kernel proves.
fn kernel(body: &str) -> Option<Proved> {
    let proved = |failure, who: &str| {
        let (who, only) = (who.to_owned(), Only::Always);
        Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: true })
    };
    let killed = |failure, victim: Victim<'_>| {
        let (uid, pid) = (victim.uid(), victim.pid());
        Some(Proved { uid, pid, ..proved(failure, victim.name()?)? })
    };
    let announced =
        |failure, victim| Some(Proved { only: Only::Announces, ..killed(failure, victim)? });
    match KernelLine::parse(body)? {
        KernelLine::Killed(victim) => killed(Failure::OomKill, victim),
        KernelLine::KilledInCgroup(victim) => killed(Failure::OomKillInCgroup, victim),
        // Before 5.0; the other line of the same kill is not counted.
        KernelLine::KilledSomewhere(victim) => {
            Some(Proved { only: Only::KillSomewhere, ..killed(Failure::OomKill, victim)? })
        }
        KernelLine::WillKill(victim) => announced(Failure::OomKill, victim),
        KernelLine::WillKillInCgroup(victim) => announced(Failure::OomKillInCgroup, victim),
        KernelLine::Chosen(ChosenVictim { name, pid, uid, in_cgroup }) => {
            let failure = if in_cgroup { Failure::OomKillInCgroup } else { Failure::OomKill };
            let (uid, pid, only) = (Some(uid), Some(pid), Only::Announces);
            Some(Proved { uid, pid, only, ..proved(failure, name)? })
        }
        KernelLine::CommitRefused => None,
        KernelLine::ForkRejected(path) => {
            proved(Failure::ForkFailed(MissingResource::Tasks), &of_cgroup(path))
        }
        KernelLine::NoPage(name) => proved(Failure::NoMemory, name),
        KernelLine::Panicked => proved(Failure::Down, "kernel"),
        KernelLine::BeancounterShort { resource: "numproc", container } => {
            proved(Failure::ForkFailed(MissingResource::Tasks), container)
        }
        KernelLine::BeancounterShort { container, .. } => proved(Failure::NoMemory, container),
    }
}

#[cfg(test)]
mod tests;
