//! Hosts: where a machine collects the logs of others, theirs say nothing of it.
//!
//! A line counts as another's only in a log in which this machine writes too, under the name that it has now:
//! a machine that was renamed, a container and a copy of somebody's logs have one name, and none of them is
//! this machine's.

use aho_corasick::AhoCorasick;

/// Other machines that are named in a note.
const MOST_NAMES: usize = 4;
/// Bytes of a name: a label of DNS has no more.
const LONGEST: usize = 63;

/// This machine's name, and those of others that were met.
pub(super) struct Hosts {
    own: String,
    /// Finds the own name as a word begins; none where there is no name to tell machines apart by.
    search: Option<AhoCorasick>,
    others: Vec<String>,
}

impl Hosts {
    /// Of the machine that has this name.
    pub(super) fn of(name: &str) -> Self {
        let own = short(name).to_ascii_lowercase();
        let is_name = !own.is_empty() && own != "localhost" && own.len() <= LONGEST;
        let search = || {
            let builder = &mut AhoCorasick::builder();
            builder.ascii_case_insensitive(true).build([format!(" {own}")]).ok()
        };
        Self { search: is_name.then(search).flatten(), own, others: Vec::new() }
    }

    /// What tells whose the lines of a text are.
    pub(super) fn beside<'h>(&'h mut self, text: &'h [u8]) -> Beside<'h> {
        Beside { hosts: self, text, has_own: None }
    }

    /// What to say of lines that did not count.
    pub(super) fn note(&self) -> Option<String> {
        let names = self.others.join(", ");
        (!names.is_empty()).then(|| format!("what other machines log here ({names})"))
    }

    fn writes_in(&self, text: &[u8]) -> bool {
        let is_whole = |end: usize| matches!(text.get(end), Some(b' ' | b'.'));
        let mut found = self.search.iter().flat_map(|search| search.find_iter(text));
        found.any(|found| is_whole(found.end()))
    }
}

/// Tells whose the lines of one text are.
pub(super) struct Beside<'h> {
    hosts: &'h mut Hosts,
    text: &'h [u8],
    /// Whether this machine writes in it, once that was asked.
    has_own: Option<bool>,
}

impl Beside<'_> {
    /// Whether the line of that host, if it names one, is another machine's.
    pub(super) fn is_of_another(&mut self, host: &str) -> bool {
        let name = short(host);
        if name.is_empty() || name.eq_ignore_ascii_case(&self.hosts.own) {
            return false;
        }
        let (hosts, text) = (&*self.hosts, self.text);
        if !*self.has_own.get_or_insert_with(|| hosts.writes_in(text)) {
            return false;
        }
        let others = &mut self.hosts.others;
        if others.len() < MOST_NAMES && !others.iter().any(|other| other == name) {
            others.push(name.chars().take(LONGEST).collect());
        }
        true
    }
}

/// The first label of a name; what is no name of a machine but an address, whole.
fn short(name: &str) -> &str {
    match name.split_once('.') {
        Some((first, _)) if !first.bytes().all(|byte| byte.is_ascii_digit()) => first,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_another(own: &str, text: &str, host: &str) -> bool {
        Hosts::of(own).beside(text.as_bytes()).is_of_another(host)
    }

    #[test]
    fn lines_of_other_machines_are_told_where_this_one_writes_too() {
        let both = "Nov 24 10:00:00 web1 sshd[1]: x\nNov 24 10:00:01 db2.lan kernel: y\n";
        for (own, host, is_another) in [
            ("web1", "db2.lan", true),
            ("WEB1.example.org", "db2.lan", true),
            ("web1", "Web1.example.org", false),
            ("db2", "db2.lan", false),
            ("web1", "", false),
            // It was renamed, or these are another machine's logs.
            ("web", "db2.lan", false),
            ("vps9", "web1", false),
            ("localhost", "db2.lan", false),
        ] {
            assert_eq!(of_another(own, both, host), is_another, "{own} and {host}");
        }
    }

    #[test]
    fn an_address_is_no_name_of_this_machine() {
        let text = "Nov 24 10:00:00 10 x: x\nNov 24 10:00:00 web1 sshd[1]: x\n";
        assert!(of_another("web1", text, "10.0.0.7"));
        assert!(!of_another("10.0.0.8", text, "10.0.0.7"), "it does not write here");
    }
}
