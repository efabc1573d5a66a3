//! Origin: what a cgroup's path says of a process: its systemd unit, its container, its session.

/// The service, or the container, of a cgroup; none for users' sessions and plain processes.
///
/// Within a service, and below a user's own manager, others than root may name groups as they like:
/// what they name never passes for what root does, and it counts only if it is plain.
pub fn unit(path: &str) -> Option<String> {
    let mut parts = path.split('/').filter(|part| !part.is_empty() && is_plain(part));
    let mut service: Option<&str> = None;
    while let Some(part) = parts.next() {
        if let Some(container) = container_name(part) {
            return Some(match service {
                Some(service) => format!("{container} in {service}"),
                None => container,
            });
        }
        let user = part.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
        if let (Some(user), None) = (user, service) {
            return Some(format!("{} of user {user}", innermost(parts)?));
        }
        service = service.or(Some(part).filter(|part| part.ends_with(".service")));
    }
    service.map(str::to_owned)
}

/// Types of units that processes can be in.
const TYPES: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

/// The units that a process in a cgroup belongs to, outermost first: its slices, and its service or
/// scope. Below a user's own manager only those of `user`: anybody else's may have any name.
pub fn units(path: &str, user: Option<u32>) -> Vec<&str> {
    let mut found = Vec::new();
    for part in path.split('/').filter(|part| is_unit(part)) {
        found.push(part);
        let of = part.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
        let is_own = of.is_some_and(|of| user.is_some_and(|user| of.parse() == Ok(user)));
        // Below a service or a scope are groups that it made itself.
        if !is_own && !part.ends_with(".slice") {
            break;
        }
    }
    found
}

fn is_unit(part: &str) -> bool {
    is_plain(part) && TYPES.iter().any(|of| part.ends_with(of))
}

/// Services whose restart ends what others do: sessions, the bus that everything talks by, and leakwatch.
const NEVER_RESTARTED: [&str; 19] = [
    "dbus",
    "dbus-broker",
    "systemd-logind",
    "user@",
    "user-runtime-dir@",
    "getty@",
    "serial-getty@",
    "console-getty",
    "container-getty@",
    "debug-shell",
    "display-manager",
    "gdm",
    "lightdm",
    "sddm",
    "greetd",
    "lxdm",
    "xdm",
    "ly",
    "leakwatch",
];

/// Whether a unit by that name is a service of the system's manager that may be restarted.
pub fn is_restartable(unit: &str) -> bool {
    let Some(name) = unit.strip_suffix(".service").filter(|_| is_plain(unit)) else { return false };
    let template = name.split_inclusive('@').next().unwrap_or(name);
    !NEVER_RESTARTED.contains(&name) && !NEVER_RESTARTED.contains(&template)
}

/// The full name of a unit, as typed: what has no type is a service, as for systemctl(1).
pub fn unit_name(typed: &str) -> String {
    match TYPES.iter().any(|of| typed.ends_with(of)) || typed.ends_with('*') {
        true => typed.to_owned(),
        false => format!("{typed}.service"),
    }
}

/// Whether a part of a path has only such characters as the names of units and containers have.
fn is_plain(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@+".contains(&byte))
}

/// What a user runs: a container, or the innermost service.
fn innermost<'p>(parts: impl Iterator<Item = &'p str>) -> Option<String> {
    let mut service = None;
    for part in parts {
        if let Some(container) = container_name(part) {
            return Some(container);
        }
        service = Some(part).filter(|part| part.ends_with(".service")).or(service);
    }
    service.map(str::to_owned)
}

/// A container by a part of a path.
fn container_name(part: &str) -> Option<String> {
    if let Some(id) = container_id(part) {
        return Some(format!("container {}", id.get(..12).unwrap_or(id)));
    }
    machine_name(part).map(|name| format!("container {name}"))
}

/// The name of a container of LXC or systemd-nspawn.
fn machine_name(part: &str) -> Option<&str> {
    let nspawn = || part.strip_prefix("machine-")?.strip_suffix(".scope");
    part.strip_prefix("lxc.payload.").or_else(nspawn)
}

/// The name that LXC or systemd-nspawn of root's gave a container.
pub fn machine(path: &str) -> Option<&str> {
    roots_own(path).find_map(machine_name)
}

/// The number, 64 digits, that a runtime of root's gave a container. A user's own manager may name
/// groups as it likes, so none below that counts.
pub fn container(path: &str) -> Option<&str> {
    roots_own(path).find_map(container_id)
}

/// The parts of a path that root named.
fn roots_own(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/').filter(|part| is_plain(part));
    parts.take_while(|part| may_hold(part) && !part.starts_with("user@"))
}

/// Whether containers may lie below a part of a path: a service that is none of their runtimes may
/// name groups as it likes.
fn may_hold(part: &str) -> bool {
    let Some(service) = part.strip_suffix(".service") else { return true };
    service.starts_with("user@") || RUNTIMES.contains(&service)
}

/// Services below which containers lie.
const RUNTIMES: [&str; 9] = [
    "containerd",
    "docker",
    "crio",
    "podman",
    "kubelet",
    "k3s",
    "k3s-agent",
    "rke2-server",
    "rke2-agent",
];

/// The whole number of a container in a part of a path: "docker-<64 hex>.scope" by systemd,
/// "/docker/<64 hex>" by cgroupfs, likewise podman, CRI-O and containerd.
fn container_id(part: &str) -> Option<&str> {
    let id = part.trim_end_matches(".scope").rsplit(['-', ':']).next().unwrap_or(part);
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// In which unit, container or session a process was born, in words: "apache2.service", "session 3 of
/// user 1000"; else the path.
pub fn born_in(path: &str) -> String {
    if let Some(unit) = unit(path) {
        return unit;
    }
    let part = |prefix: &str, suffix: &str| {
        let mut parts = path.split('/');
        parts.find_map(|part| part.strip_prefix(prefix)?.strip_suffix(suffix))
    };
    let user = part("user-", ".slice").map_or(String::new(), |user| format!(" of user {user}"));
    if let Some(session) = part("session-", ".scope") {
        return format!("session {session}{user}");
    }
    let scope = path.split('/').rev().find(|part| part.ends_with(".scope"));
    match scope {
        Some(scope) => format!("{scope}{user}"),
        None if user.is_empty() => path.to_owned(),
        None => format!("a session{user}"),
    }
}

/// A text with each number in it as `#`, so that what differs in numbers alone is the same.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut words = text.split(|c: char| !c.is_alphanumeric()).peekable();
    let mut at = 0;
    while let Some(word) = words.next() {
        // Names in hexadecimal (temporary files, commits) count as numbers; words do not.
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_hex = word.len() >= 8 && digits >= 2 && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex {
            folded.push('#');
        } else {
            let mut in_number = false;
            for c in word.chars() {
                if !c.is_ascii_digit() {
                    folded.push(c);
                } else if !in_number {
                    folded.push('#');
                }
                in_number = c.is_ascii_digit();
            }
        }
        at += word.len();
        if words.peek().is_some() {
            let between = text.get(at..).and_then(|rest| rest.chars().next());
            folded.extend(between);
            at += between.map_or(0, char::len_utf8);
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_by_its_cgroup() {
        let id = "0123456789abcdef".repeat(4);
        let container = || Some("container 0123456789ab".to_owned());
        for (path, wanted) in [
            ("/system.slice/apache2.service", Some("apache2.service".to_owned())),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                Some("getty@tty1.service".to_owned()),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
                Some("a.service of user 1000".to_owned()),
            ),
            ("/system.slice/app.service/apache2.service", Some("app.service".to_owned())),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", None),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            (&format!("/system.slice/docker-{id}.scope"), container()),
            (&format!("/docker/{id}"), container()),
            (&format!("/kubepods.slice/x.slice/cri-containerd-{id}.scope"), container()),
            (
                &format!("/system.slice/containerd.service/x:cri-containerd:{id}"),
                Some("container 0123456789ab in containerd.service".to_owned()),
            ),
            ("/machine.slice/machine-build.scope", Some("container build".to_owned())),
            (
                &format!("/user.slice/user-7.slice/user@7.service/user.slice/libpod-{id}.scope"),
                Some("container 0123456789ab of user 7".to_owned()),
            ),
            (
                &format!("/system.slice/app.service/docker-{id}.scope"),
                Some("container 0123456789ab in app.service".to_owned()),
            ),
            ("/lxc.payload.web/system.slice/cron.service", Some("container web".to_owned())),
            ("/", None),
        ] {
            assert_eq!(unit(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_units_of_a_process_are_its_slices_and_its_service_and_nothing_below() {
        let shell = "/user.slice/user-7.slice/user@7.service/app.slice/a.service/b.service";
        for (path, user, wanted) in [
            ("/system.slice/a.service/b.service", None, vec!["system.slice", "a.service"]),
            ("/system.slice/a\nb.service/c.service", None, vec!["system.slice", "c.service"]),
            ("/a.slice/a-b.slice/x.scope/y.service", None, vec!["a.slice", "a-b.slice", "x.scope"]),
            (shell, None, vec!["user.slice", "user-7.slice", "user@7.service"]),
            (shell, Some(8), vec!["user.slice", "user-7.slice", "user@7.service"]),
            ("/docker/x", None, vec![]),
        ] {
            assert_eq!(units(path, user), wanted, "{path:?}");
        }
        let own = ["user.slice", "user-7.slice", "user@7.service", "app.slice", "a.service"];
        assert_eq!(units(shell, Some(7)), own);
    }

    #[test]
    fn what_sessions_depend_on_is_never_restarted() {
        for name in ["shop", "lyrics", "getty", "xdm-report", "debug-shell2", "shop@1"] {
            assert!(is_restartable(&format!("{name}.service")), "{name}");
        }
        for name in NEVER_RESTARTED {
            let instance = if name.ends_with('@') { "tty1" } else { "" };
            assert!(!is_restartable(&format!("{name}{instance}.service")), "{name}");
        }
        for unit in ["debug-shell.service", "container-getty@1.service", "ly.service", "a.scope"] {
            assert!(!is_restartable(unit), "{unit}");
        }
    }

    #[test]
    fn a_unit_without_a_type_is_a_service() {
        for (typed, wanted) in [
            ("php8.2-fpm", "php8.2-fpm.service"),
            ("a.scope", "a.scope"),
            ("web.slice", "web.slice"),
            ("getty@tty?", "getty@tty?.service"),
            ("php*", "php*"),
        ] {
            assert_eq!(unit_name(typed), wanted);
        }
    }

    #[test]
    fn a_name_that_is_not_plain_names_nothing() {
        let user = "/user.slice/user-7.slice/user@7.service";
        assert_eq!(unit(&format!("{user}/container shop of.service")), None);
        assert_eq!(unit(&format!("{user}/\u{1b}[31m.service")), None);
        assert_eq!(machine("/lxc.payload.mail/x"), Some("mail"));
        assert_eq!(machine("/user.slice/user@7.service/lxc.payload.mail"), None);
        assert_eq!(machine("/system.slice/app.service/lxc.payload.mail"), None);
    }

    #[test]
    fn a_name_is_asked_for_only_where_root_gave_the_number() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(container(&format!("/system.slice/docker-{id}.scope")), Some(&*id));
        assert_eq!(container(&format!("/system.slice/app.service/docker-{id}.scope")), None);
        assert_eq!(container(&format!("/user.slice/user@7.service/libpod-{id}.scope")), None);
    }

    #[test]
    fn where_a_process_was_born_is_told_of_sessions_too() {
        for (path, wanted) in [
            ("/system.slice/cron.service", "cron.service"),
            ("/user.slice/user-1000.slice/session-3.scope", "session 3 of user 1000"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-a-12.scope",
                "app-gnome-a-12.scope of user 1000",
            ),
            ("/", "/"),
        ] {
            assert_eq!(born_in(path), wanted);
        }
    }

    #[test]
    fn what_differs_in_numbers_alone_is_the_same() {
        for (text, wanted) in [
            ("node /tmp/mcp-1234/server.js --port=40123", "node /tmp/mcp-#/server.js --port=#"),
            ("job 6f1ed002ab5595859014ebf0951522d9", "job #"),
            ("python3 decade.py", "python# decade.py"),
            ("naïve 12é", "naïve #é"),
            ("", ""),
        ] {
            assert_eq!(folded(text), wanted);
        }
    }
}
