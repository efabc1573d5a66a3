//! Drop-in: a file for the service's systemd unit, with settings for its server or a memory limit.

use super::apply::quoted;
use super::edits::Planned;
use super::{AdvisedService, Remedy, RemedyReason, Service};
use crate::core::model::units::MIB;
use crate::core::servers::{Environment, Runtime};
use crate::diagnose::advice::diff::{Edit, unified};

/// Shares of the memory left that MemoryHigh= and MemoryMax= give to the service on top of its size.
const HIGH: f64 = 0.4;
const MAX: f64 = 0.6;
/// Share of MemoryHigh= that the heap of a runtime gets.
const HEAP: f64 = 0.75;

impl AdvisedService<'_> {
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
    let limit = |share: f64| (service.size + share * service.headroom.left as f64) / MIB as f64;
    let (high, max) = (limit(HIGH), limit(MAX));
    let runtime = runtime(service);
    let options = runtime.map(|row| {
        // The rest of the process (code, stacks, buffers) fits between the heap and the limit.
        row.options.replace('N', &format!("{:.0}", HEAP * high))
    });
    let variable = runtime.zip(options).map(|(row, options)| format!("{}={options}", row.variable));
    if is_unit {
        let limits = [format!("MemoryHigh={high:.0}M"), format!("MemoryMax={max:.0}M")];
        let environment = variable.iter().map(|variable| format!("Environment=\"{variable}\""));
        let rest = ["OOMPolicy=continue", "Restart=on-failure"].map(str::to_owned);
        let lines = ["[Service]".to_owned()].into_iter().chain(environment).chain(limits);
        let lines: Vec<String> = lines.chain(rest).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        (remedy.diff, remedy.apply) = drop_in(service, &lines, variable.is_some());
        let note = "with this the OOM killer meets only this service, and not the whole machine";
        remedy.notes.push(note.to_owned());
    } else if let Some(name) = service.name.strip_prefix("container ") {
        remedy.notes.push(format!(
            "give the container {name} a limit of its own and let it be started again: `--memory {max:.0}m --restart on-failure` of docker and podman, resources.limits.memory of Kubernetes"
        ));
    }
    if let Some(row) = runtime {
        if !is_unit {
            remedy.notes.extend(variable.map(|variable| format!("start it with `{variable}`")));
        }
        remedy.notes.push(row.note.to_owned());
    }
    remedy.notes.extend(own_settings(service));
    if service.workers == 0 {
        remedy.notes.extend(by_restart(service, is_unit, high * MIB as f64));
    }
    remedy
}

/// The runtime of a service whose first root is one.
fn runtime(service: &Service) -> Option<&'static Runtime> {
    let comm = service.comm.to_string();
    // A row by its title: the executable is Ruby.
    let by_server = service.server.is_known().then(|| Runtime::of(service.server.key)).flatten();
    by_server.or_else(|| Runtime::of(&service.program)).or_else(|| Runtime::of(&comm))
}

/// Settings of the server that end its workers in time, where leakwatch cannot change them itself.
fn own_settings(service: &Service) -> Option<String> {
    let server = service.server;
    let setting = server.recycle.iter().find(|of| of.line.contains("memory"));
    let setting = setting.or(server.recycle.first()).filter(|_| server.is_known())?;
    let place = server.files.first().map_or(String::new(), |(_, file)| format!(", in {file}"));
    Some(format!(
        "{} has a setting for that: `{}` ({}){place}",
        server.name, setting.line, setting.counts
    ))
}

/// How a restart gives memory back, now and from now on; `most` is the size that it may reach.
fn by_restart(service: &Service, is_unit: bool, most: f64) -> Vec<String> {
    let unit = quoted(service.name.trim_end_matches(".service"));
    if !is_unit {
        return vec!["a restart gives the memory back; do it at a quiet hour".to_owned()];
    }
    let now =
        format!("a restart gives the memory back: `systemctl restart {unit}`, at a quiet hour");
    let rate = service.steady.map_or(0.0, |steady| steady.rate);
    let hours = (most - service.size) / rate.max(1e-9) / 3600.0;
    let regular = (1.0..=24.0 * 30.0).contains(&hours).then(|| {
        format!("if a restart costs nothing, RuntimeMaxSec={:.0}h beside Restart= makes one before it reaches MemoryHigh=", hours.floor())
    });
    std::iter::once(now).chain(regular).collect()
}
