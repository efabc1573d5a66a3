//! Prometheus: from a leak through the metrics file, node_exporter and Prometheus to a firing alert,
//! with Debian's packages; and nothing in rules or dashboard that is not there.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::needs::{self, Need};
use crate::common::ports;
use crate::common::prefork::Prefork;
use serde_json::Value;

const PROMETHEUS: Need = Need::Program("prometheus", "prometheus");
const PROMTOOL: Need = Need::Program("promtool", "prometheus");
const AMTOOL: Need = Need::Program("amtool", "prometheus-alertmanager");
const EXPORTER: Need = Need::Program("prometheus-node-exporter", "prometheus-node-exporter");

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The metrics in a file, once `done` says that they are as awaited.
fn metrics(file: &Path, done: impl Fn(&str) -> bool, within: Duration) -> String {
    let end = Instant::now() + within;
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if done(&text) {
            return text;
        }
        assert!(Instant::now() < end, "the metrics never say it:\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn watch(server: &Prefork, file: &Path, more: &[&str]) -> Cli {
    let (master, file) = (server.master().pid.to_string(), file.display().to_string());
    let args = ["--pid", &master, "--textfile", &file, "--interval", "1s"];
    Cli::leakwatch([&args[..], more].concat())
}

fn promtool(args: &[&str], input: &str) {
    let mut promtool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "promtool {args:?}:\n{text}");
    // `check metrics` lints without failing.
    assert!(args[0] != "check" || args[1] != "metrics" || text.trim().is_empty(), "{text}");
}

#[test]
#[ignore = "needs promtool"]
fn the_rules_do_what_their_own_tests_say() {
    needs::require(&[PROMTOOL]);
    let path = |name: &str| example(name).display().to_string();
    promtool(&["check", "rules", &path("prometheus/leakwatch.rules.yml")], "");
    promtool(&["test", "rules", &path("prometheus/leakwatch.rules.test.yml")], "");
}

#[test]
#[ignore = "needs amtool"]
fn alertmanager_takes_its_route_and_no_alert_in_it_is_unknown() {
    needs::require(&[AMTOOL]);
    let (route, rules) =
        (example("prometheus/alertmanager.yml"), example("prometheus/leakwatch.rules.yml"));
    let said = Command::new("amtool").arg("check-config").arg(&route).output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "{text}");

    let [route, rules] = [route, rules].map(|file| std::fs::read_to_string(file).unwrap());
    let words = route.split(|c: char| !c.is_ascii_alphanumeric());
    let alerts: BTreeSet<&str> =
        words.filter(|word| word.starts_with("Leakwatch") && *word != "Leakwatch").collect();
    assert!(alerts.len() >= 4, "{alerts:?}");
    for alert in alerts {
        assert!(rules.contains(&format!("alert: {alert}\n")), "no rule raises {alert}");
    }
}

/// The words in a text that look like metrics of ours.
fn names(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_word(c)).filter(|word| word.starts_with("leakwatch_"));
    words.map(str::to_owned).collect()
}

/// The queries of the dashboard's panels, and of its variables.
fn queries(dashboard: &Value) -> Vec<String> {
    match dashboard {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value.as_str().filter(|_| key == "expr") {
                Some(text) => vec![text.to_owned()],
                None => queries(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

#[test]
#[ignore = "needs promtool"]
fn the_metrics_are_well_formed_and_all_that_rules_and_dashboard_use() {
    needs::require(&[PROMTOOL]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leakwatch.prom");
    let server = Prefork::start(&["--leaky", "1", "--healthy", "1", "--cache", "0"]);
    let cli = watch(&server, &file, &["--budget", "1G"]);
    let text = metrics(&file, |text| !text.is_empty(), PROMPTLY);
    cli.stop();

    promtool(&["check", "metrics"], &text);
    assert!(text.ends_with('\n') && !text.contains("pid=\""), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#'));
    for line in series {
        assert!(line.contains("{watch=\"pid\""), "no watch: {line}");
    }
    assert!(text.contains("leakwatch_ceiling_limit_bytes{watch=\"pid\",ceiling=\"budget\",place=\"\",tree=\"leaky_prefork\"} 1073741824\n"), "{text}");
    let written = names(&text.lines().filter(|l| l.starts_with("# TYPE")).collect::<String>());
    let rules = std::fs::read_to_string(example("prometheus/leakwatch.rules.yml")).unwrap();
    let exprs: String = rules.lines().filter(|line| line.contains("expr:")).collect();
    let dashboard = std::fs::read_to_string(example("grafana/leakwatch.json")).unwrap();
    for name in names(&exprs).union(&names(&dashboard)) {
        assert!(written.contains(name), "{name} is never written");
    }
    // And nothing is written that nothing uses.
    let known = names(&(exprs + &dashboard));
    for name in &written {
        assert!(known.contains(name), "neither a rule nor a panel shows {name}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_reported_once_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gone/leakwatch.prom");
    let server = Prefork::start(&["--leaky", "0", "--healthy", "1", "--cache", "0"]);
    let cli = watch(&server, &file, &[]);
    cli.err
        .expect_line(PROMPTLY, "that it cannot be written", |line| line.contains("cannot write"));
    std::fs::create_dir(dir.path().join("gone")).unwrap();
    metrics(&file, |text| text.contains("leakwatch_status"), Duration::from_secs(40));
    let ended = cli.stop();
    let said = ended.err.text();
    assert_eq!((ended.code, said.matches("cannot write").count()), (Some(0), 1), "{said}");

    let ended = watch(&server, &dir.path().join("leakwatch.txt"), &[]).end(PROMPTLY);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("hint: "), "{}", ended.err.text());
}

/// What Prometheus answers; `None` while it does not listen or is not ready.
fn ask(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PROMPTLY)).ok()?;
    // 1.0: the answer comes in one piece and the connection is closed.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn query(port: u16, query: &str) -> Option<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = ask(port, &format!("/api/v1/query?query={encoded}"))?;
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    Some(answer["data"]["result"].clone())
}

/// node_exporter on a directory and Prometheus on node_exporter, both on ports of their own.
struct Chain {
    port: u16,
    metrics_exporter: Cli,
    prometheus: Cli,
}

impl Chain {
    fn start(dir: &Path) -> Self {
        let (exported, port) = (ports::own(), ports::own());
        let mut metrics_exporter = Command::new("prometheus-node-exporter");
        metrics_exporter.args(["--collector.disable-defaults", "--collector.textfile"]);
        metrics_exporter.arg(format!("--collector.textfile.directory={}", dir.display()));
        metrics_exporter.arg(format!("--web.listen-address=127.0.0.1:{exported}"));
        // The shipped rules, without the minutes that they wait.
        let rules = std::fs::read_to_string(example("prometheus/leakwatch.rules.yml")).unwrap();
        let rules: String = rules
            .lines()
            .filter(|line| !line.trim_start().starts_with("for:"))
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(dir.join("rules.yml"), rules).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\n\
             scrape_configs:\n- job_name: node\n  static_configs: [{{targets: ['127.0.0.1:{exported}']}}]\n"
        );
        std::fs::write(dir.join("prometheus.yml"), config).unwrap();
        let mut prometheus = Command::new("prometheus");
        prometheus.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
        prometheus.arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()));
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self {
            port,
            metrics_exporter: Cli::start(&mut metrics_exporter),
            prometheus: Cli::start(&mut prometheus),
        }
    }

    /// Waits until an alert of that name fires.
    fn wait_for_alert(&self, name: &str, within: Duration) -> Value {
        let end = Instant::now() + within;
        loop {
            let answer = ask(self.port, "/api/v1/alerts").unwrap_or_default();
            let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
            let fires =
                |alert: &&Value| alert["state"] == "firing" && alert["labels"]["alertname"] == name;
            if let Some(alert) = alerts.iter().find(fires) {
                return alert.clone();
            }
            assert!(
                Instant::now() < end,
                "{name} does not fire: {answer}\n{}\n{}",
                self.metrics_exporter.err.text(),
                self.prometheus.err.text()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
#[ignore = "needs Prometheus and node_exporter"]
fn a_leak_becomes_a_firing_alert_and_every_query_of_the_dashboard_has_an_answer() {
    needs::require(&[PROMETHEUS, EXPORTER]);
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::start(dir.path());
    let server = Prefork::start(&["--leaky", "2", "--healthy", "1", "--cache", "0"]);
    let watch =
        watch(&server, &dir.path().join("leakwatch.prom"), &["--budget", "300M", "--dry-run"]);

    let alert = chain.wait_for_alert("LeakwatchExhaustionImminent", Duration::from_secs(120));

    let labels = &alert["labels"];
    assert_eq!((&labels["tree"], &labels["ceiling"]), (&"leaky_prefork".into(), &"budget".into()));
    assert!(labels.get("pid").is_none(), "{labels}");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert!(summary.contains("leaky_prefork on 127.0.0.1"), "{summary}");
    let growing = query(chain.port, "leakwatch_tree_growing_processes").unwrap();
    assert_eq!(growing[0]["value"][1], "2", "{growing}");
    let text = std::fs::read_to_string(example("grafana/leakwatch.json")).unwrap();
    let queries = queries(&serde_json::from_str(&text).unwrap());
    assert!(queries.len() > 15, "{queries:?}");
    for expr in queries {
        let expr = expr.replace("$instance", ".*").replace("$watch", ".*");
        let answer = query(chain.port, &expr).expect("Prometheus answers");
        assert!(answer.as_array().is_some_and(|list| !list.is_empty()), "nothing for {expr}");
    }
    watch.stop();
}
