//! Servers whose one child is the service, leaking under load until their memory is used up: that child
//! never ends by an order. HAProxy's master is asked to replace it where a reload is allowed.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::lines::Lines;
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::ports;
use crate::common::process::{self, Id};
use crate::common::wait;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const PER_SECOND: f64 = 60.0;
/// What a request makes the server keep: 7.5 MiB/s.
const KIB: usize = 128;
/// What the server may hold, of which it has some 10 MiB at its start.
const BUDGET: &str = "120M";

/// How one of them is started in a directory on a port, and what it needs.
struct Server {
    name: &'static str,
    need: Need,
    lay_out: fn(&Path, u16) -> String,
}

const HAPROXY: Server = Server {
    name: "HAProxy",
    need: Need::Program("haproxy", "haproxy"),
    lay_out: |dir, port| {
        let place = dir.display();
        fs::write(
            dir.join("leak.lua"),
            format!(
                "local kept = {{}}\n\
                 core.register_service('leak', 'http', function(applet)\n\
                 kept[#kept + 1] = string.rep(tostring(#kept % 10), {} * 1024)\n\
                 local body = 'pid=1 held_kib=0'\n\
                 applet:set_status(200)\n\
                 applet:add_header('content-length', tostring(#body))\n\
                 applet:start_response()\n\
                 applet:send(body)\nend)\n",
                KIB
            ),
        )
        .unwrap();
        let conf = format!(
            "global\nlua-load {place}/leak.lua\n\
             stats socket {place}/socket mode 600 expose-fd listeners\n\
             log stderr format raw local0 notice\n\
             defaults\nmode http\ntimeout client 10s\ntimeout server 10s\ntimeout connect 5s\n\
             frontend all\nbind 127.0.0.1:{port}\nhttp-request use-service lua.leak\n"
        );
        fs::write(dir.join("haproxy.cfg"), conf).unwrap();
        format!("haproxy -W -db -f {place}/haproxy.cfg")
    },
};

/// Every path is made up by itself, and kept in storage without a limit.
const VARNISH: Server = Server {
    name: "Varnish",
    need: Need::Program("varnishd", "varnish"),
    lay_out: |dir, port| {
        let place = dir.display();
        let conf = format!(
            "vcl 4.1;\nbackend default none;\nsub vcl_backend_error {{\nset beresp.status = 200;\n\
             set beresp.ttl = 1h;\nset beresp.http.Content-Type = \"text/plain\";\n\
             synthetic(\"pid=1 held_kib=0 {}\");\nreturn (deliver);\n}}\n",
            "x".repeat(KIB * 1024)
        );
        fs::write(dir.join("all.vcl"), conf).unwrap();
        format!(
            "varnishd -F -j none -n {place}/varnish -a 127.0.0.1:{port} -T none -s malloc -f \
             {place}/all.vcl"
        )
    },
};

/// One of them, running under load.
struct Running {
    master: Child,
    worker: Id,
    log: Lines,
    load: Load,
    memory: Cgroup,
    _dir: TempDir,
}

impl Running {
    fn start(server: &Server) -> Self {
        needs::require(&[Need::Root, Need::Cgroup, server.need]);
        let dir = tempfile::tempdir().unwrap();
        let port = ports::own();
        let words = (server.lay_out)(dir.path(), port);
        let memory = Cgroup::with_memory(1 << 30).unwrap();
        let mut command = memory.command("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .args(words.split_whitespace())
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut master = command.spawn().unwrap();
        let log = Lines::of(master.stderr.take().unwrap());
        let up = wait::until(Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                && process::children(master.id()).len() == 1
        });
        assert!(up, "{} does not start: {}", server.name, log.text());
        let worker = process::children(master.id())[0];
        let mix = (0..100_000).map(|n| format!("/{n}")).collect();
        let load = Load::start(Plan { mix, ..Plan::of(port, "/", PER_SECOND) });
        Self { master, worker, log, load, memory, _dir: dir }
    }

    fn watch(&self, more: &[&str]) -> Cli {
        let pid = self.master.id().to_string();
        let args = ["--interval", "1s", "--budget", BUDGET, "--format", "json", "--pid", &pid];
        let cli = Cli::leakwatch([&args[..], more].concat());
        cli.err
            .expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
        cli
    }

    /// Ends the load: no request was lost, and the service is up.
    fn assert_served(self, cli: &Cli) {
        let said = || format!("{}{}{}", cli.out.text(), cli.err.text(), self.log.text());
        assert!(Id::of(self.master.id()).is_some(), "the master is gone:\n{}", said());
        assert_eq!(self.memory.oom_kills(), 0);
        let (log, mut master) = (self.log, self.master);
        let tally = self.load.finish();
        println!("{}", tally.summary());
        let served = tally.failures().is_empty() && tally.0.len() > 100;
        process::signal(&master, Signal::SIGTERM);
        if !log.wait_closed(Duration::from_secs(10)) {
            process::kill_group(&master);
        }
        master.wait().ok();
        assert!(served, "{}\n{}{}", tally.summary(), cli.out.text(), log.text());
    }
}

/// Over its budget, and yet nothing is ended.
fn its_child_is_only_reported(server: &Server) {
    let running = Running::start(server);
    let cli = running.watch(&[]);

    let spared = |line: &str| events::is(line, "not_ended") && line.contains("\"server\"");
    cli.out.expect_line(Duration::from_secs(60), "that spares its child", spared);

    assert!(events::named(&cli.out, "order").is_empty(), "{}", cli.out.text());
    assert!(running.worker.runs(), "{}", running.log.text());
    running.assert_served(&cli);
    cli.stop();
}

#[test]
#[ignore = "needs HAProxy, root and a memory cgroup"]
fn haproxys_worker_is_only_reported() {
    its_child_is_only_reported(&HAPROXY);
}

#[test]
#[ignore = "needs Varnish, root and a memory cgroup"]
fn varnishs_cache_is_only_reported() {
    its_child_is_only_reported(&VARNISH);
}

#[test]
#[ignore = "needs HAProxy, root and a memory cgroup"]
fn haproxys_worker_is_replaced_by_a_reload_and_no_request_is_lost() {
    let running = Running::start(&HAPROXY);
    let cli = running.watch(&["--reload"]);

    cli.out.expect_line(Duration::from_secs(60), "with an outcome", |l| events::is(l, "outcome"));

    let order = events::named(&cli.out, "order").remove(0);
    assert_eq!((order.pid(), order.text("signal")), (running.worker.pid, "USR2"), "{}", order.json);
    assert_eq!(events::named(&cli.out, "outcome").remove(0).text("result"), "gone");
    assert!(!running.worker.runs());
    running.assert_served(&cli);
    cli.stop();
}
