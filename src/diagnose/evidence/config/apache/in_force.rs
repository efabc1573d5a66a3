//! What is in force once all files are read, as a [`Setup`].

use super::super::files::real;
use super::super::{setup, with_log_formats};
use super::conf::Conf;
use crate::core::servers::{Server, ServerSetting};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, LogFormat, Setup, StatusPage};
use std::path::Path;

impl Conf<'_> {
    /// A directive's number, if it is set, where that is, and the how manieth directive.
    fn number(&self, name: &str) -> Option<(u64, FileLine, usize)> {
        let (value, place, nth) = self.settings.get(&name.to_ascii_lowercase())?;
        let value = value.split_whitespace().next()?.trim_matches('"').parse().ok()?;
        Some((value, place.clone(), *nth))
    }

    /// The directive of a row that is set; of both its names, which mean the same, the later one counts.
    /// Where none is, the default of the newest one holds; of the
    /// last one, if the server is old.
    fn setting(&self, row: &'static [ServerSetting], old: bool) -> Option<ConfiguredSetting> {
        let set = row.iter().filter_map(|of| {
            let (value, place, nth) = self.number(of.name())?;
            let place = Some(place);
            Some((nth, ConfiguredSetting { of, value, place, computed: None }))
        });
        let set = set.max_by_key(|(nth, _)| *nth).map(|(_, setting)| setting);
        let usual = if old { row.last() } else { row.first() };
        set.or_else(|| Some(ConfiguredSetting::unset(usual?)))
    }

    /// The options of the daemon process group that is meant, or of the first one.
    fn daemon(&self, server: &'static Server, pool: &str) -> Option<[ConfiguredSetting; 2]> {
        let name = pool.split([')', ' ']).next().unwrap_or_default();
        let is_named =
            |(words, _): &&(Vec<String>, FileLine)| words.first().is_some_and(|w| w == name);
        let (words, place) = self.daemons.iter().find(is_named).or_else(|| self.daemons.first())?;
        let option = |of: &'static ServerSetting| {
            let value =
                words.iter().find_map(|word| word.strip_prefix(of.name())?.strip_prefix('='));
            let value = value.and_then(|value| value.parse().ok()).unwrap_or(of.default_value());
            ConfiguredSetting { of, value, place: Some(place.clone()), computed: None }
        };
        Some([option(server.recycle.first()?), option(server.cap.first()?)])
    }

    /// The formats of access logs. A macro could set others.
    fn log_formats(&self, server: &Server) -> Vec<LogFormat> {
        let of = server.advice.and_then(|advice| advice.pid_in_log);
        let Some(of) = of.filter(|_| !self.has_macros) else { return Vec::new() };
        let files = self.access_logs.each().filter(|(.., place)| place.line > 0);
        let format = |(path, format, place): (&str, &str, &FileLine)| {
            let log = real(self.running, &self.root.join(path)).display().to_string();
            LogFormat { log, place: place.clone(), is_default: false, has_pid: of.is_in(format) }
        };
        files.map(format).collect()
    }

    pub(super) fn setup(self, server: &'static Server, main: &Path, pool: &str) -> Option<Setup> {
        // mod_authz_core came with 2.3, as did the better names.
        let old = !self.modules.contains("authz_core")
            && ["authz_default", "authz_host"].iter().any(|module| self.modules.contains(*module));
        let daemon_options = server.recycle.first().is_some_and(|of| of.is_option());
        let [recycle, mut cap] = if daemon_options {
            self.daemon(server, pool)?
        } else {
            [self.setting(server.recycle, old)?, self.setting(server.cap, old)?]
        };
        // Apache lowers what is above the other limit, and says so at its start.
        if !self.threaded && !daemon_options {
            let limit = self.number("serverlimit").map_or(256, |(limit, ..)| limit);
            cap.value = cap.value.min(limit);
        }
        let value = |name: &str| {
            let (value, ..) = self.settings.get(name)?;
            Some(value.to_ascii_lowercase())
        };
        let keep_alive = value("keepalive").is_none_or(|value| value != "off");
        let posixsem = ["mutex", "acceptmutex"]
            .iter()
            .any(|name| value(name).is_some_and(|value| value.starts_with("posixsem")));
        let warning = "`Mutex posixsem` is set: a child that is killed while it holds the mutex hangs the whole server; take another kind";
        let end =
            FileLine { file: real(self.running, main).display().to_string(), line: usize::MAX };
        let beside = recycle.place.clone().or_else(|| cap.place.clone());
        let beside = beside.or_else(|| Some(self.number("serverlimit")?.1));
        let insert = beside.or(self.mpm_end.clone()).unwrap_or(end);
        let log = self.settings.get("errorlog").map(|(log, ..)| log.trim_matches('"').to_owned());
        let log = log.filter(|log| !log.starts_with(['|', 's']));
        let status = self.status.as_ref().and_then(|path| {
            let address = self.listens.iter().find_map(|listen| loopback(listen))?;
            Some(StatusPage { address, path: path.clone() })
        });
        let base = setup(self.running, server, recycle, cap, Some(insert));
        let formats = self.log_formats(server);
        let running = self.running;
        let setup = Setup {
            keep_alive,
            options: self.running.chosen(&["-d", "-f", "-D"]),
            status,
            logs: log.map(|log| self.root.join(log).display().to_string()).into_iter().collect(),
            warnings: posixsem
                .then(|| warning.to_owned())
                .into_iter()
                .chain(base.warnings.clone())
                .collect(),
            notes: self.notes,
            ..base
        };
        Some(with_log_formats(running, setup, formats))
    }
}

/// An address on loopback at which a `Listen` answers plain HTTP.
fn loopback(listen: &str) -> Option<String> {
    let (host, port) = match listen.rsplit_once(':') {
        Some((host, port)) => (host.trim_matches(['[', ']']), port),
        None => ("", listen),
    };
    let port: u16 = port.parse().ok().filter(|port| ![443, 8443].contains(port))?;
    match host {
        "" | "*" | "0.0.0.0" | "::" | "localhost" => Some(format!("127.0.0.1:{port}")),
        "::1" => Some(format!("[::1]:{port}")),
        host if host.starts_with("127.") => Some(format!("{host}:{port}")),
        _ => None,
    }
}
