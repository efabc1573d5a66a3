//! The example of a container: its arguments and capabilities, on a root with nothing but the program, are
//! enough to see the host's processes and limits, and to end what leaks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::needs::{self, Need};
use crate::common::prefork::{self, Prefork};
use crate::common::process;

/// The list after a key of the example that stands on one line.
fn list(yaml: &str, key: &str) -> Vec<String> {
    let value = yaml.lines().find_map(|line| line.trim_start().strip_prefix(key)).unwrap();
    serde_json::from_str(value).unwrap()
}

#[test]
#[ignore = "needs bubblewrap, root and a memory cgroup"]
fn the_daemon_sets_rights_and_arguments_are_enough() {
    needs::require(&[Need::Root, Need::Cgroup, Need::Program("bwrap", "bubblewrap")]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/container/daemonset.yaml");
    let yaml = fs::read_to_string(path).unwrap();
    let mut args = list(&yaml, "args: ");
    let pattern = args.iter().position(|arg| arg == "--pattern").unwrap() + 1;
    "leaky_prefork".clone_into(&mut args[pattern]);

    // Another user's server, so that the capability is what lets it signal.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("leaky_prefork");
    process::install(&prefork::program(), &copy);
    let memory = Cgroup::with_memory(120 << 20).unwrap();
    let mut command = memory.command("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(copy);
    let server = Prefork::start_by(command.args(["--leaky", "2", "--rate", "2M/s"]));
    server.wait_started("healthy", 2);
    let mut command = Command::new("bwrap");
    command.arg("--ro-bind").arg(Cli::program()).arg("/leakwatch");
    // The static binary needs none of these.
    for libraries in ["/usr", "/lib", "/lib64"].into_iter().filter(|dir| Path::new(dir).exists()) {
        command.args(["--ro-bind", libraries, libraries]);
    }
    command.args([
        "--proc",
        "/proc",
        "--ro-bind",
        "/sys",
        "/host/sys",
        "--tmpfs",
        "/var/lib/leakwatch",
    ]);
    command.args(["--die-with-parent", "--cap-drop", "ALL"]);
    for capability in list(&yaml, "add: ") {
        command.args(["--cap-add", &format!("CAP_{capability}")]);
    }
    let master = server.master().pid.to_string();
    command.arg("/leakwatch").args(&args).args(["--interval", "1s", "--pid", &master]);
    let cli = Cli::start(command.env("LEAKWATCH_SERVER", prefork::ROW));

    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    let order = |line: &str| events::is(line, "order");
    let ordered = cli.out.expect_line(Duration::from_secs(120), "that orders an end", order);
    assert!(ordered.text().contains("cgroup"), "by the limit of its cgroup: {}", ordered.text());
    let gone = |line: &str| events::is(line, "outcome") && line.contains("\"gone\"");
    cli.out.expect_line(Duration::from_secs(60), "that it is gone", gone);
    assert!(server.ended("healthy").is_empty() && server.master().runs(), "{}", cli.out.text());
}
