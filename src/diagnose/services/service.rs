//! Service: the processes that belong together, and the verdict on them.

use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::servers::Server;
use crate::diagnose::grouping::is_interpreter;
use crate::diagnose::leak_figures::SteadyGrowth;
use crate::diagnose::leak_per_request::PerWork;
use crate::diagnose::size_growth::SizeGrowth;
use crate::diagnose::size_history::Point;

/// The verdict on a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServiceVerdict {
    /// It holds so little for its age that it cannot be the culprit: even if all of its footprint had
    /// leaked, memory would last so many seconds more.
    TooSlow(f64),
    /// It neither grew nor shrank noticeably.
    Flat,
    /// It grew, and has kept its size for so many seconds since.
    Settled(f64),
    /// It shrank.
    Shrank,
    /// It grew a little; at that rate memory would last so many seconds more.
    Slight(f64),
    /// It grows, but more and more slowly.
    Warming,
    /// It grows as earlier runs of its program did, which came to their end.
    AsBefore,
    /// It grows as its CPU use does.
    WithLoad,
    /// There are too few samples for a verdict.
    Unclear,
    /// It grows steadily, but was watched too briefly to tell a leak from warming up.
    Suspect,
    /// Its workers hold the more memory the more they have worked.
    Likely {
        /// Requests, or waits, a second, where known.
        rate: Option<f64>,
    },
    /// It grows steadily, on evidence long enough to act on: it may leak, or fill a cache.
    Grows,
    /// It leaks.
    Leaks,
}

impl ServiceVerdict {
    /// The order of verdicts in a report: the highest comes first.
    pub fn rank(self) -> u8 {
        match self {
            Self::Leaks => 5,
            Self::Likely { .. } => 4,
            Self::Grows => 3,
            Self::Suspect => 2,
            Self::Unclear => 1,
            _ => 0,
        }
    }

    /// Whether it names the service as the culprit.
    pub fn accuses(self) -> bool {
        matches!(self, Self::Leaks | Self::Likely { .. } | Self::Grows)
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooSlow(_) => "too-slow",
            Self::Flat => "flat",
            Self::Settled(_) => "settled",
            Self::Shrank => "shrank",
            Self::Slight(_) => "slight",
            Self::Warming => "warming",
            Self::AsBefore => "as-before",
            Self::WithLoad => "load-coupled",
            Self::Unclear => "unclear",
            Self::Suspect => "suspect",
            Self::Likely { .. } => "likely-leaking",
            Self::Grows => "growing",
            Self::Leaks => "leaking",
        }
    }
}

/// The trees of one systemd unit or container, or one tree that belongs to none.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The unit's name, else the root's; as it was found.
    pub name: String,
    /// Whether that is a systemd unit or a container.
    pub is_unit: bool,
    /// The roots of its trees, the largest tree first.
    pub roots: Vec<ProcId>,
    /// The command name of the first root.
    pub comm: Comm,
    /// The users that its processes belong to, each once, as far as they are known.
    pub uids: Vec<u32>,
    /// The name of the first root's executable, where the command name is no help; else empty.
    pub program: String,
    /// The command names of its processes, each once.
    pub names: Vec<Comm>,
    /// The server that it is; [`UNKNOWN`](crate::core::servers::UNKNOWN) if none that is known.
    pub server: &'static Server,
    /// The number of its processes.
    pub processes: u32,
    /// How many of them are children of another.
    pub workers: u32,
    /// Bytes of all of them; memory that workers inherited counts once.
    pub size: f64,
    /// Seconds since its oldest process started.
    pub age_s: f64,
    /// Seconds that it was watched.
    pub watched_s: f64,
    /// Its size over time.
    pub points: Vec<Point>,
    /// How its size moved.
    pub growth: Option<SizeGrowth>,
    /// The verdict on it.
    pub verdict: ServiceVerdict,
    /// How many of its processes leak.
    pub leaking: u32,
    /// How many of them are suspect.
    pub suspects: u32,
    /// The growth of the processes that leak or are suspect.
    pub steady: Option<SteadyGrowth>,
    /// Threads or children that never end: how many it starts a second.
    pub tasks: Option<f64>,
    /// When it reaches its first ceiling.
    pub forecast: Option<Forecast>,
    /// What is left below its nearest memory ceiling.
    pub headroom: Headroom,
    /// What a unit of work leaves behind, where work can be read.
    pub per_work: Option<PerWork>,
    /// How earlier series saw it, where one is long enough to judge it.
    pub earlier: Option<SeenEarlier>,
}

/// How a service was seen before the live samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeenEarlier {
    /// The index of the earlier series that saw it longest.
    pub index: usize,
    /// Seconds that this series saw it.
    pub span_s: f64,
    /// Seconds of the live samples.
    pub live_s: f64,
    /// The side that gave the verdict.
    pub judge: JudgedBy,
}

/// The side that gave the verdict on a service which was seen earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedBy {
    /// The earlier series.
    Earlier,
    /// The live samples.
    Live,
    /// The live samples alone, because the service is larger now than the earlier series ever saw it.
    LiveSinceLarger,
}

impl JudgedBy {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Earlier => "earlier",
            Self::Live | Self::LiveSinceLarger => "live",
        }
    }
}

/// Growth that proves nothing yet is worth a longer look only if memory would end within two days.
const SOON_S: f64 = 2.0 * 86_400.0;
/// A ceiling that is reached within so many seconds comes before all else.
pub(super) const HOUR_S: f64 = 3600.0;
/// A service below this many bytes is not worth a longer look.
const SMALL: f64 = 4e6;

impl Service {
    /// Whether its name is only that of an interpreter.
    pub fn is_interpreted(&self) -> bool {
        is_interpreter(self.comm)
    }

    /// Whether a longer look could still accuse it: it is suspect, was seen too briefly for its size,
    /// or warms up at a rate at which memory would end within days. A verdict by an earlier series is
    /// final.
    pub fn is_open(&self) -> bool {
        match self.verdict {
            ServiceVerdict::Suspect | ServiceVerdict::Unclear => self.size > SMALL,
            ServiceVerdict::Warming | ServiceVerdict::AsBefore => {
                let rate = self.growth.map_or(0.0, |growth| growth.rate);
                self.is_judged_live() && self.headroom.left as f64 / rate.max(1e-9) < SOON_S
            }
            _ => false,
        }
    }

    /// Whether only the live samples accuse it and there is time for a longer look: memory ends in
    /// more than an hour, or later than a forecast reaches.
    pub fn is_far(&self) -> bool {
        let soon = |forecast: &Forecast| forecast.is_reliable() && forecast.likely_s < HOUR_S;
        self.is_judged_live()
            && matches!(self.verdict, ServiceVerdict::Leaks | ServiceVerdict::Grows)
            && !self.forecast.as_ref().is_some_and(soon)
    }

    fn is_judged_live(&self) -> bool {
        self.earlier.is_none_or(|earlier| earlier.judge != JudgedBy::Earlier)
    }

    /// Whether a process of this user may have been one of its own: only of another user than root is that
    /// denied, since a server's workers were root's before they were what they are now.
    pub fn may_be_of(&self, uid: u32) -> bool {
        uid == 0 || self.uids.is_empty() || self.uids.contains(&uid)
    }

    /// Whether a log that writes `who` means this service.
    pub fn is_called(&self, who: &str) -> bool {
        let wanted = usual_name(who);
        // A name that the kernel cut: "prometheus-node" is prometheus-node-exporter.
        let is_cut = |comm: &Comm| {
            let kept = comm.as_bytes();
            kept.len() == Comm::MAX && who.as_bytes().starts_with(kept)
        };
        let names = self.names.iter().map(|comm| comm.to_string());
        let others = [self.name.clone(), self.program.clone(), self.server.name.to_owned()];
        names.chain(others).any(|name| !name.is_empty() && usual_name(&name) == wanted)
            || self.names.iter().any(is_cut)
            || (!wanted.is_empty() && wanted == self.server.log_name)
    }
}

/// Names that distributions and versions give to one program: the usual one and the others.
const ALIASES: [(&str, &[&str]); 4] = [
    ("apache2", &["httpd", "httpd2", "httpd-prefork"]),
    ("mysqld", &["mariadbd", "mariadb", "mysql"]),
    ("postgres", &["postmaster", "postgresql"]),
    ("sshd", &["ssh", "sshd-session"]),
];

/// The usual name of a program that goes by several: "httpd.service" is apache2.
fn usual_name(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.trim_end_matches(".service").to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(_, others)| others.contains(&name.as_str()));
    match alias {
        Some((usual, _)) => (*usual).to_owned(),
        None if name.starts_with("php") && name.contains("fpm") => "php-fpm".to_owned(),
        None if name.starts_with("postgresql@") => "postgres".to_owned(),
        None => name,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::servers::{TABLE, UNKNOWN};

    /// A service of two workers that holds 100 MiB below a limit of 1 GiB and neither grew nor shrank.
    pub(in crate::diagnose) fn service(name: &str) -> Service {
        let (left, limit) = (924 << 20, 1 << 30);
        Service {
            name: name.to_owned(),
            is_unit: false,
            roots: vec![ProcId { pid: 10, start: 1 }],
            comm: Comm::new(name.as_bytes()),
            program: String::new(),
            uids: Vec::new(),
            names: vec![Comm::new(name.as_bytes())],
            server: &UNKNOWN,
            processes: 3,
            workers: 2,
            size: 100.0 * 1024.0 * 1024.0,
            age_s: 86_400.0,
            watched_s: 60.0,
            points: Vec::new(),
            growth: None,
            verdict: ServiceVerdict::Flat,
            leaking: 0,
            suspects: 0,
            steady: None,
            tasks: None,
            forecast: None,
            headroom: Headroom { kind: CeilingKind::Ram, place: Place::NONE, left, limit },
            per_work: None,
            earlier: None,
        }
    }

    /// The row of a server.
    pub(in crate::diagnose) fn by_key(key: &str) -> &'static Server {
        TABLE.iter().find(|server| server.key == key).unwrap()
    }

    fn seen_earlier(judge: JudgedBy) -> Option<SeenEarlier> {
        Some(SeenEarlier { index: 0, span_s: 86_400.0, live_s: 60.0, judge })
    }

    #[test]
    fn a_process_of_a_third_user_is_not_of_a_service() {
        let mut apache = service("apache2");
        assert!(apache.may_be_of(1000), "whose it is is not known");
        apache.uids = vec![0, 33];
        assert!(apache.may_be_of(33) && !apache.may_be_of(1000));
        apache.uids = vec![33];
        assert!(apache.may_be_of(0));
    }

    #[test]
    fn a_log_means_a_service_by_any_of_its_names() {
        let mut apache = service("apache2");
        apache.names.push(Comm::new(b"/usr/sbin/apach"));
        for who in ["httpd", "apache2.service", "/usr/sbin/apache2", "HTTPD-prefork"] {
            assert!(apache.is_called(who), "{who}");
        }
        assert!(!apache.is_called("apache"), "another program");
        assert!(service("postgres").is_called("postgresql@15-main.service"));
        assert!(service("php-fpm8.2").is_called("php7.4-fpm"));
        let cut = service("prometheus-node-exporter");
        assert!(cut.is_called("prometheus-node-exporter") && !cut.is_called("prometheus"));
    }

    #[test]
    fn a_renamed_worker_of_apache_is_found_by_its_server() {
        let renamed = Service { server: by_key("apache-prefork"), ..service("My::Handler") };
        assert!(renamed.is_called("httpd") && !service("My::Handler").is_called("httpd"));
    }

    #[test]
    fn a_longer_look_is_worth_it_only_while_the_verdict_is_open() {
        let growth =
            |rate| Some(SizeGrowth { rate, between: (rate, rate), rise: 1e7, span_s: 60.0 });
        let mut warming = Service { verdict: ServiceVerdict::Warming, ..service("app") };
        warming.growth = growth(1e5);
        assert!(warming.is_open(), "memory would end in 2.7 hours");
        warming.growth = growth(1e3);
        assert!(!warming.is_open(), "memory would end in eleven days");
        warming.growth = growth(1e5);
        warming.earlier = seen_earlier(JudgedBy::Earlier);
        assert!(!warming.is_open(), "the earlier series has judged it");
        let suspect = Service { verdict: ServiceVerdict::Suspect, ..service("app") };
        assert!(suspect.is_open() && !Service { size: 3e6, ..suspect }.is_open());
    }

    #[test]
    fn a_leak_by_live_samples_alone_leaves_time_unless_memory_ends_within_the_hour() {
        let mut leak = Service { verdict: ServiceVerdict::Leaks, ..service("app") };
        assert!(leak.is_far(), "no forecast yet");
        leak.earlier = seen_earlier(JudgedBy::LiveSinceLarger);
        assert!(leak.is_far());
        leak.earlier = seen_earlier(JudgedBy::Earlier);
        assert!(!leak.is_far(), "days have proved it");
    }
}
