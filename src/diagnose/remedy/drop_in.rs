//! Drop-in: a file for the service's systemd unit, with settings for its server or a memory limit.

use super::apply::quoted;
use super::edits::Planned;
use super::{Remedy, RemedyReason, Service, Subject};
use crate::core::model::units::MIB;
use crate::core::servers::Environment;
use crate::diagnose::advice::diff::{Edit, unified};

/// Shares of the memory left that MemoryHigh= and MemoryMax= give to the service on top of its size.
const HIGH: f64 = 0.4;
const MAX: f64 = 0.6;

impl Subject<'_> {
    /// A drop-in with settings that the server takes from its environment too, and what applies it.
    /// What is on the command line stays out: it overrides the environment.
    pub(super) fn by_environment(&self, planned: &[Planned<'_>]) -> Option<(String, String)> {
        let free = || planned.iter().filter(|planned| planned.setting.place.is_none());
        let is_unit = self.service.is_unit && self.service.name.ends_with(".service");
        if !is_unit || free().next().is_none() {
            return None;
        }
        let assigned = |word: fn(&str, &Planned<'_>) -> String, prefix: &str| {
            free().map(|planned| word(prefix, planned)).collect::<Vec<_>>().join(" ")
        };
        let line = match self.advice.environment? {
            Environment::Options(variable) => {
                let options = assigned(|_, planned| option(planned), "");
                format!("Environment=\"{variable}={options}\"")
            }
            Environment::Prefix(prefix) => format!("Environment={}", assigned(variable, prefix)),
        };
        Some(drop_in(self.service, &["[Service]", &line], true))
    }
}

/// A setting as an option: `--max-requests 500`.
pub(super) fn option(planned: &Planned<'_>) -> String {
    format!("--{} {}", planned.setting.name().replace('_', "-"), planned.now)
}

/// A setting as a variable: `UWSGI_MAX_REQUESTS=500`.
fn variable(prefix: &str, planned: &Planned<'_>) -> String {
    let name = planned.setting.name().replace('-', "_").to_ascii_uppercase();
    format!("{prefix}{name}={}", planned.now)
}

/// A drop-in for the service's unit as a diff, and how to put it into force.
fn drop_in(service: &Service, lines: &[&str], restart: bool) -> (String, String) {
    let file = format!("/etc/systemd/system/{}.d/50-memory.conf", service.name);
    let edit = |text: &&str| Edit {
        line: 1,
        text: (*text).to_owned(),
        insert: true,
        beside_setting: false,
    };
    let diff = unified(&file, "", &lines.iter().map(edit).collect::<Vec<_>>());
    let unit = quoted(service.name.trim_end_matches(".service"));
    let apply = if restart {
        format!("systemctl daemon-reload && systemctl restart {unit}")
    } else {
        "systemctl daemon-reload".to_owned()
    };
    (diff, apply)
}

/// What bounds a service whose own settings are not known.
pub(super) fn of_unit(service: &Service) -> Remedy {
    let mut remedy = Remedy::blank(service, RemedyReason::Unmeasured);
    let is_unit = service.is_unit && service.name.ends_with(".service");
    if is_unit {
        let left = service.headroom.left as f64;
        let limit = |name: &str, share: f64| {
            format!("{name}={:.0}M", (service.size + share * left) / MIB as f64)
        };
        let (high, max) = (limit("MemoryHigh", HIGH), limit("MemoryMax", MAX));
        let lines = ["[Service]", &high, &max, "OOMPolicy=continue", "Restart=on-failure"];
        (remedy.diff, remedy.apply) = drop_in(service, &lines, false);
        let note = "with this the OOM killer meets only this service, and not the whole machine";
        remedy.notes.push(note.to_owned());
    }
    if service.workers == 0 {
        let unit = quoted(service.name.trim_end_matches(".service"));
        remedy.notes.push(if is_unit {
            format!("a restart gives the memory back: `systemctl restart {unit}`, at a quiet hour")
        } else {
            "a restart gives the memory back; do it at a quiet hour".to_owned()
        });
    }
    remedy
}
