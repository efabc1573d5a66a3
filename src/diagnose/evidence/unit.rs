//! Unit: which systemd unit or container a process belongs to, by its cgroup's path.

use std::path::Path;

/// The service, or the container, of a process; none for users' sessions and plain processes.
pub fn of(procfs: &Path, pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(procfs.join(format!("{pid}/cgroup"))).ok()?;
    // v2 has one line, "0::/path"; of v1 systemd's own hierarchy tells.
    let path =
        |mark: &str| text.lines().find_map(|line| line.split_once(mark).map(|(_, path)| path));
    name(path("name=systemd:").or_else(|| path("0::"))?)
}

fn name(path: &str) -> Option<String> {
    let parts = || path.split('/').filter(|part| !part.is_empty());
    for part in parts() {
        // "docker-<64 hex>.scope" by systemd, "/docker/<64 hex>" by cgroupfs, likewise podman.
        let id = part.trim_end_matches(".scope").rsplit('-').next().unwrap_or(part);
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(format!("container {}", id.get(..12).unwrap_or(id)));
        }
        if let Some(name) = part.strip_prefix("lxc.payload.") {
            return Some(format!("container {name}"));
        }
    }
    // The outermost one: below it a service may name groups as it likes. Those of a user's own manager
    // are below user@1000.service and must not pass for the machine's.
    let mut units = parts().filter(|part| part.ends_with(".service"));
    let unit = units.next()?;
    match unit.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service")) {
        Some(user) => units.next_back().map(|unit| format!("{unit} of user {user}")),
        None => Some(unit.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_by_its_cgroup() {
        let id = "0123456789abcdef".repeat(4);
        for (path, unit) in [
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
            (
                &format!("/system.slice/docker-{id}.scope"),
                Some("container 0123456789ab".to_owned()),
            ),
            (&format!("/docker/{id}"), Some("container 0123456789ab".to_owned())),
            ("/lxc.payload.web/system.slice/cron.service", Some("container web".to_owned())),
            ("/", None),
        ] {
            assert_eq!(name(path), unit, "{path}");
        }
    }
}
