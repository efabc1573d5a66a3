//! Log formats: which format each access log has.

use crate::core::servers::after_word;
use crate::diagnose::findings::FileLine;
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

    /// The path of each log, its format, and where that stands.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &str, &FileLine)> {
        self.logs.iter().filter_map(|(path, rest, place)| match rest.starts_with('"') {
            true => Some((path.as_str(), rest.as_str(), place)),
            false => {
                let nickname = rest.split_whitespace().next()?;
                let (format, place) = self.formats.get(nickname)?.as_ref()?;
                Some((path.as_str(), format.as_str(), place))
            }
        })
    }
}
