//! Log formats: which format each access log has.

use super::super::files::real;
use super::conf::Conf;
use crate::core::servers::{Server, after_word};
use crate::diagnose::findings::{FileLine, LogFormat};
use std::collections::BTreeMap;

/// Access logs that are kept: hosts have one for each site.
const MOST: usize = 500;

/// What the files say of access logs.
#[derive(Default)]
pub(super) struct AccessLogs {
    /// The formats by their nicknames; nothing where a site has one of its own by that name.
    formats: BTreeMap<String, Option<(String, FileLine)>>,
    /// The path of each log, what follows it, and where.
    logs: Vec<(String, String, FileLine)>,
}

impl AccessLogs {
    /// Takes in a `LogFormat`. Of several by one name the last counts.
    pub(super) fn name(&mut self, arguments: &str, place: FileLine, is_inside: bool) {
        let nickname = after_word(arguments).trim_matches('"').to_owned();
        let is_sites_own = is_inside || self.formats.get(&nickname).is_some_and(Option::is_none);
        if self.formats.len() < MOST {
            let format = (!is_sites_own).then(|| (arguments.to_owned(), place));
            self.formats.insert(nickname, format);
        }
    }

    /// Takes in a `CustomLog`, unless it is written by a program.
    pub(super) fn log(&mut self, arguments: &str, place: FileLine) {
        let rest = after_word(arguments);
        let path = arguments.strip_suffix(rest).unwrap_or_default().trim().trim_matches('"');
        let is_file =
            !path.is_empty() && !path.starts_with(['|', '$']) && !path.starts_with("syslog:");
        if is_file && self.logs.len() < MOST {
            self.logs.push((path.to_owned(), rest.to_owned(), place));
        }
    }
}

impl Conf<'_> {
    /// The formats that are in force. A macro could set others.
    pub(super) fn log_formats(&self, server: &Server) -> Vec<LogFormat> {
        let Some(of) = server.advice.and_then(|advice| advice.pid_in_log) else {
            return Vec::new();
        };
        if self.has_macros {
            return Vec::new();
        }
        let format = |(path, rest, place): &(String, String, FileLine)| {
            let (format, place) = match rest.starts_with('"') {
                true => (rest, place),
                false => {
                    let nickname = rest.split_whitespace().next()?;
                    let (format, place) = self.access_logs.formats.get(nickname)?.as_ref()?;
                    (format, place)
                }
            };
            let log = real(self.running, &self.root.join(path)).display().to_string();
            let (place, has_pid) = (place.clone(), of.is_in(format));
            (place.line > 0).then_some(LogFormat { log, place, is_default: false, has_pid })
        };
        self.access_logs.logs.iter().filter_map(format).collect()
    }
}
