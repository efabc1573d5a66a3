//! puma's control server, which counts the requests of each worker: where it listens, and its token.
//!
//! The master's title replaces its command line, so both are read where puma's documentation and
//! Rails put them: the state file, which a running puma keeps, else the configuration.

use super::RunningServer;
use super::files::owned_text;
use crate::diagnose::findings::StatusPage;

const CONFIGS: [&str; 3] = ["config/puma.rb", "config/puma/production.rb", "puma.rb"];
const STATES: [&str; 3] = ["tmp/pids/puma.state", "puma.state", "tmp/puma.state"];

/// The page with the requests of each worker; none where none is configured.
pub(super) fn control(running: &RunningServer) -> Option<StatusPage> {
    let read = |path: &str| {
        let read = owned_text(running, &running.cwd.join(path)).ok()?;
        Some(read.text).filter(|_| !read.is_foreign)
    };
    let config: Vec<String> = CONFIGS.iter().filter_map(|path| read(path)).collect();
    let set = |name| config.iter().flat_map(|text| text.lines()).find_map(|line| call(line, name));
    let state = set("state_path").and_then(|line| quoted(line));
    let states = state.into_iter().chain(STATES);
    let kept = states.filter_map(read).find_map(|state| {
        let of = |name: &str| {
            let value =
                state.lines().find_map(|line| line.strip_prefix(name))?.strip_prefix(':')?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        Some((of("control_url")?, of("control_auth_token").unwrap_or_default()))
    });
    let (url, token) = kept.or_else(|| {
        let line = set("activate_control_app")?;
        let token = match line.split_once("auth_token") {
            Some((_, rest)) => quoted(rest)?,
            // A random token stands in the state file alone.
            None => line.contains("no_token").then_some("")?,
        };
        Some((quoted(line)?.to_owned(), token.to_owned()))
    })?;
    let address = match url.strip_prefix("tcp://") {
        // What listens on every address listens on loopback too.
        Some(at) => match at.rsplit_once(':')? {
            ("localhost" | "0.0.0.0", port) => format!("127.0.0.1:{port}"),
            _ => at.to_owned(),
        },
        None => url.strip_prefix("unix://")?.to_owned(),
    };
    let path = if token.is_empty() { "/stats".to_owned() } else { format!("/stats?token={token}") };
    Some(StatusPage { address, path })
}

/// What follows the name of a method at the beginning of a line.
fn call<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim_start().strip_prefix(name)?;
    rest.starts_with([' ', '(']).then_some(rest)
}

/// The first text in quotes.
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(['"', '\''])?;
    Some(rest.split_once(['"', '\''])?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn of(files: &[(&str, &str)]) -> Option<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join("app").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        if files.iter().any(|(name, _)| *name == "0666") {
            let everybodys = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(dir.path().join("app/config/puma.rb"), everybodys).unwrap();
        }
        let running = RunningServer {
            cwd: "/app".into(),
            root: dir.path().to_owned(),
            ..RunningServer::default()
        };
        control(&running).map(|StatusPage { address, path }| (address, path))
    }

    #[test]
    fn the_state_file_or_the_configuration_names_the_control_server() {
        let page = |address: &str, path: &str| Some((address.to_owned(), path.to_owned()));
        let with_token =
            "workers 2\nactivate_control_app 'tcp://localhost:9293', { auth_token: 'abc' }\n";
        assert_eq!(
            of(&[("config/puma.rb", with_token)]),
            page("127.0.0.1:9293", "/stats?token=abc")
        );
        let without = "activate_control_app(\"unix:///run/c.sock\", { no_token: true })";
        assert_eq!(of(&[("puma.rb", without)]), page("/run/c.sock", "/stats"));
        // As Debian's puma 5.6.5 writes it.
        let state = "---\npid: 10257\ncontrol_url: tcp://127.0.0.1:19293\ncontrol_auth_token: d1\nrunning_from: \"/app\"\n";
        let drawn = "state_path 'run/s'\nactivate_control_app 'auto'\n";
        let files = [("config/puma.rb", drawn), ("run/s", state)];
        assert_eq!(of(&files), page("127.0.0.1:19293", "/stats?token=d1"));
        assert_eq!(of(&files[..1]), None);
        let open = [("config/puma.rb", without), ("0666", "")];
        assert_eq!(of(&open), None, "anybody may have written it");
        assert_eq!(
            of(&[("config/puma.rb", "# activate_control_app 'tcp://h:1'\nworkers 2\n")]),
            None
        );
    }
}
