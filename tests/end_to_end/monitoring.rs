//! The examples for monitoring systems do what those take: run, or read by the system's own reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::cli::Cli;
use crate::common::needs::{self, Need};
use crate::common::process;

const ICINGA: Need = Need::Program("icinga2", "icinga2-bin icinga2-common");
const ZABBIX: Need = Need::Program("zabbix_agentd", "zabbix-agent");

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring").join(name)
}

/// The example with the program and the directory of this test in place of those of a machine.
fn text(name: &str, dir: &Path) -> String {
    let program = Cli::program().into_string().unwrap();
    let text = fs::read_to_string(example(name)).unwrap();
    text.replace("/usr/bin/leakwatch", &program)
        .replace("=$(leakwatch ", &format!("=$({program} "))
        .replace("/var/lib/", &format!("{}/", dir.display()))
}

#[test]
fn checkmk_gets_a_line_of_a_local_check() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("check");
    fs::write(&script, text("checkmk", dir.path())).unwrap();
    let run = |pid: u32| {
        let options = format!("--pid {pid}");
        let said =
            Command::new("sh").arg(&script).env("LEAKWATCH_OPTIONS", options).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    };

    let mut subject = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let ours = run(subject.id());
    drop(subject.stdin.take());
    subject.wait().unwrap();
    let gone = run(subject.id());

    // Status, name, metrics, text.
    let rest =
        ours.strip_prefix("0 \"Memory leaks\" processes=").unwrap_or_else(|| panic!("{ours}"));
    let (metrics, words) = rest.split_once(' ').unwrap();
    let is_metric = |metric: &str| {
        let (name, value) = metric.split_once('=').unwrap_or(("processes", metric));
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && value.parse::<f64>().is_ok()
    };
    assert!(metrics.split('|').count() >= 4 && metrics.split('|').all(is_metric), "{ours}");
    assert!(words.starts_with("LEAKWATCH OK - ") && !words.contains('|'), "{ours}");
    assert!(gone.starts_with("3 \"Memory leaks\" processes=0|"), "{gone}");
    assert!(gone.contains(" LEAKWATCH UNKNOWN - no process matches "), "{gone}");
}

#[test]
#[ignore = "needs icinga2 and root"]
fn icinga_takes_the_command_and_its_service() {
    needs::require(&[Need::Root, ICINGA]);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("icinga2.conf");
    let host = "\nobject Host \"vps1\" {\n check_command = \"leakwatch\"\n \
                vars.leakwatch_pattern = \"apache2\"\n}\n";
    fs::write(&config, text("icinga2.conf", dir.path()) + host).unwrap();
    let data = ["DataDir", "CacheDir", "LogDir", "SpoolDir", "InitRunDir"].map(|name| {
        let dir = dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        format!("-D{name}={}", dir.display())
    });
    let said = Command::new("icinga2")
        .args(["daemon", "-C", "-c"])
        .arg(&config)
        .args(data)
        .env("ICINGA2_USER", "root")
        .env("ICINGA2_GROUP", "root")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && text.contains("1 Service"), "{text}");
}

#[test]
#[ignore = "needs zabbix-agent"]
fn zabbix_gets_json_and_passes_no_command_on() {
    needs::require(&[ZABBIX]);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("zabbix.conf");
    let base = format!("LogFile={}/log\nPidFile={0}/pid\n", dir.path().display());
    fs::write(&config, base + &text("zabbix.conf", dir.path())).unwrap();
    let ask = |pattern: &str| {
        let item = format!("leakwatch.check[{pattern}]");
        let said =
            Command::new("zabbix_agentd").arg("-c").arg(&config).args(["-t", &item]).output();
        let said = said.unwrap();
        String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned()
    };

    // A name of its own: the agent lets no expression through that could anchor one.
    let subject = dir.path().join("for_zabbix");
    process::install(Path::new("/bin/cat"), &subject);
    let mut subject = Command::new(subject).stdin(Stdio::piped()).spawn().unwrap();
    let ours = ask("for_zabbix");
    drop(subject.stdin.take());
    subject.wait().unwrap();
    let hostile = ask("x'; touch pwned; '");

    let json = ours.split_once("[t|").unwrap_or_else(|| panic!("{ours}")).1;
    let json = json.trim_end().strip_suffix(']').unwrap();
    let check: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!((&check["event"], &check["state"]), (&"check".into(), &"ok".into()), "{check}");
    assert!(check["processes"].as_u64() >= Some(1), "{check}");
    assert!(hostile.contains("NOTSUPPORTED"), "{hostile}");
}
