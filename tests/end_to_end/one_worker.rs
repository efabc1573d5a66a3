//! Servers whose one child is the service, leaking under load until their memory is used up: that child
//! never ends by an order. HAProxy's master is asked to replace it where a reload is allowed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::foreground::Foreground;
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::ports;
use crate::common::process::Id;
use crate::common::wait;

const PER_SECOND: f64 = 60.0;
/// What a request makes the server keep: 7.5 MiB/s.
const KIB: usize = 128;
/// What the server may hold, of which it has some 10 MiB at its start (Squid 20).
const BUDGET: &str = "120M";

/// How one of them is started in a directory on a port, and what it needs.
struct Server {
    need: Need,
    lay_out: fn(&Path, u16) -> String,
}

const HAPROXY: Server = Server {
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

/// It keeps all answers of its origin in memory.
const SQUID: Server = Server {
    need: Need::Program("squid", "squid"),
    lay_out: |dir, port| {
        let (place, origin) = (dir.display(), origin());
        let conf = format!(
            "http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1 no-vhost vport={origin}\n\
             http_access allow all\nalways_direct allow all\ncache_mem 1024 MB\n\
             maximum_object_size_in_memory 1 MB\nshutdown_lifetime 1 second\n\
             access_log none\ncache_log stdio:/dev/null\npid_filename none\npinger_enable off\n"
        );
        fs::write(dir.join("squid.conf"), conf).unwrap();
        format!("squid --foreground -f {place}/squid.conf")
    },
};

/// The port of a web server that answers all the same to everybody, as long as the tests run.
fn origin() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = format!("pid=1 held_kib=0 {}", "x".repeat(KIB * 1024));
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            lines.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    port
}

/// One of them, running under load.
struct Running {
    server: Foreground,
    worker: Id,
    load: Load,
}

impl Running {
    fn start(server: &Server) -> Self {
        needs::require(&[Need::Root, Need::Cgroup, server.need]);
        let dir = tempfile::tempdir().unwrap();
        let port = ports::own();
        let words = (server.lay_out)(dir.path(), port);
        let server = Foreground::start(dir, &words, "", |children| {
            children.len() == 1 && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        let worker = server.children()[0];
        let mix = (0..100_000).map(|n| format!("/{n}")).collect();
        let load = Load::start(Plan { mix, ..Plan::of(port, "/", PER_SECOND) });
        Self { server, worker, load }
    }

    /// Ends the load: no request was lost, and the service is up.
    fn assert_served(self, cli: &Cli) {
        self.server.assert_runs();
        let tally = self.load.finish();
        println!("{}", tally.summary());
        let served = tally.failures().is_empty() && tally.0.len() > 100;
        assert!(served, "{}\n{}{}", tally.summary(), cli.out.text(), self.server.log.text());
    }
}

/// Over its budget, and yet nothing is ended.
fn its_child_is_only_reported(server: &Server) {
    let running = Running::start(server);
    let cli = running.server.watch(BUDGET, &[]);

    let spared = |line: &str| events::is(line, "not_ended") && line.contains("\"server\"");
    cli.out.expect_line(Duration::from_secs(60), "that spares its child", spared);

    assert!(events::named(&cli.out, "order").is_empty(), "{}", cli.out.text());
    assert!(running.worker.runs(), "{}", running.server.log.text());
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
#[ignore = "needs Squid, root and a memory cgroup"]
fn squids_kid_is_only_reported() {
    its_child_is_only_reported(&SQUID);
}

#[test]
#[ignore = "needs HAProxy, root and a memory cgroup"]
fn haproxys_worker_is_replaced_by_a_reload_and_no_request_is_lost() {
    let running = Running::start(&HAPROXY);
    let cli = running.server.watch(BUDGET, &["--reload"]);

    cli.out.expect_line(Duration::from_secs(60), "with an outcome", |l| events::is(l, "outcome"));

    let order = events::named(&cli.out, "order").remove(0);
    assert_eq!((order.pid(), order.text("signal")), (running.worker.pid, "USR2"), "{}", order.json);
    assert_eq!(events::named(&cli.out, "outcome").remove(0).text("result"), "gone");
    // Its memory has gone already.
    assert!(wait::until(PROMPTLY, || !running.worker.runs()), "{}", running.server.log.text());
    running.assert_served(&cli);
    cli.stop();
}
