//! Conditions on modules, definitions, versions and files: whether what is in a section counts.

use super::super::files::exists;
use super::conf::Conf;
use super::section::Section;

impl Conf<'_> {
    pub(super) fn section(&self, inside: &str, open: &[Section]) -> Section {
        let (name, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let argument = argument.trim().trim_matches('"').to_owned();
        let name = name.to_ascii_lowercase();
        let (not, what) = match argument.strip_prefix('!') {
            Some(what) => (true, what),
            None => (false, argument.as_str()),
        };
        let holds = match name.as_str() {
            "ifmodule" => self.has_module(what),
            "ifdefine" => self.defined.contains(what),
            // All that use <IfVersion> have 2.4.
            "ifversion" => version_holds(what),
            "iffile" => exists(self.running, &self.root.join(self.expand(what))),
            "ifdirective" => self.settings.contains_key(&what.to_ascii_lowercase()),
            _ => !not,
        };
        let counts = open.iter().all(|section| section.counts) && holds != not;
        Section { name, argument, counts }
    }

    /// By the module's name or its source file. Static modules are not listed, but the processes
    /// show which MPM they have.
    fn has_module(&self, what: &str) -> bool {
        let what = what.to_ascii_lowercase();
        let bare =
            what.trim_end_matches(".c").trim_start_matches("mod_").trim_end_matches("_module");
        if self.is_mpm(&what) {
            return true;
        }
        let of_mpm =
            ["prefork", "worker", "event", "itk"].contains(&bare.trim_start_matches("mpm_"));
        // Compiled in everywhere.
        let fixed = ["core", "so", "http", "http_core", "log_config", "unixd", "version"];
        !of_mpm && (self.modules.contains(bare) || fixed.contains(&bare))
    }

    /// Whether a module's name is that of the MPM that runs.
    pub(super) fn is_mpm(&self, what: &str) -> bool {
        let what = what.to_ascii_lowercase();
        let bare =
            what.trim_end_matches(".c").trim_start_matches("mod_").trim_end_matches("_module");
        match bare.trim_start_matches("mpm_") {
            "prefork" | "itk" => !self.threaded,
            "event" => self.threaded && self.modules.contains("mpm_event"),
            "worker" => self.threaded && !self.modules.contains("mpm_event"),
            _ => false,
        }
    }
}

fn version_holds(condition: &str) -> bool {
    let (operator, version) = condition.split_once(char::is_whitespace).unwrap_or(("=", condition));
    let mut parts = version.trim().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let wanted = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match operator {
        ">=" | ">" => (2, 4) >= wanted,
        "<=" | "<" => (2, 4) < wanted,
        _ => wanted == (2, 4),
    }
}
