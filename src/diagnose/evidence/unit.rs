//! Unit: which systemd unit or container a process belongs to, by its cgroup's path.

use std::path::Path;

/// The service, or the container, of a process; none for users' sessions and plain processes.
pub fn of(procfs: &Path, pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(procfs.join(format!("{pid}/cgroup"))).ok()?;
    // v2 has one line, "0::/path"; of v1 systemd's own hierarchy tells.
    let path =
        |mark: &str| text.lines().find_map(|line| line.split_once(mark).map(|(_, path)| path));
    of_path(path("name=systemd:").or_else(|| path("0::"))?)
}

/// The same by the cgroup's path. Within a service, and below a user's own manager, others than root may
/// name groups as they like: what they name never passes for what root does.
pub fn of_path(path: &str) -> Option<String> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let mut service: Option<&str> = None;
    while let Some(part) = parts.next() {
        if let Some(container) = container(part) {
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

/// What a user runs: a container, or the innermost service.
fn innermost<'p>(parts: impl Iterator<Item = &'p str>) -> Option<String> {
    let mut service = None;
    for part in parts {
        if let Some(container) = container(part) {
            return Some(container);
        }
        service = Some(part).filter(|part| part.ends_with(".service")).or(service);
    }
    service.map(str::to_owned)
}

/// "docker-<64 hex>.scope" by systemd, "/docker/<64 hex>" by cgroupfs, likewise podman.
fn container(part: &str) -> Option<String> {
    let id = part.trim_end_matches(".scope").rsplit('-').next().unwrap_or(part);
    if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(format!("container {}", id.get(..12).unwrap_or(id)));
    }
    part.strip_prefix("lxc.payload.").map(|name| format!("container {name}"))
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
            (
                &format!("/user.slice/user-1000.slice/user@1000.service/docker-{id}.scope"),
                Some("container 0123456789ab of user 1000".to_owned()),
            ),
            (
                &format!("/system.slice/app.service/docker-{id}.scope"),
                Some("container 0123456789ab in app.service".to_owned()),
            ),
            ("/lxc.payload.web/system.slice/cron.service", Some("container web".to_owned())),
            ("/", None),
        ] {
            assert_eq!(of_path(path), unit, "{path}");
        }
    }
}
