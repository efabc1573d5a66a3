//! Servers of which a child is a part of the whole or a user's session, leaking under load until their
//! memory is used up, with orders allowed: none is given, no request is lost and no session is cut.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::cli::PROMPTLY;
use crate::common::events;
use crate::common::foreground::Foreground;
use crate::common::needs::{self, Need};
use crate::common::ports;
use crate::common::process::Id;
use crate::common::wait;

/// What each request makes the server keep, and how often one is asked: up to 12.5 MiB/s.
const KIB: usize = 128;
const PAUSE: Duration = Duration::from_millis(10);
/// What the server may hold, of which it has 10 to 50 MiB at its start.
const BUDGET: &str = "150M";

/// One request after another, until one fails or the test has seen enough.
struct Load {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<()>>,
}

impl Load {
    fn start(mut ask: impl FnMut(usize) -> io::Result<()> + Send + 'static) -> Self {
        let (ends, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (told, counted) = (Arc::clone(&ends), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                ask(counted.load(Ordering::Relaxed))?;
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
            Ok(())
        });
        Self { ends, answered, thread }
    }

    /// Waits until so many more were answered, or one was not.
    fn go_on(&self, more: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        let is_enough = || self.answered.load(Ordering::Relaxed) >= enough;
        wait::until(PROMPTLY, || is_enough() || self.thread.is_finished());
        assert!(is_enough() || self.thread.is_finished(), "{more} answers take too long");
    }
}

/// Over its budget and yet nothing is ended: neither these children nor what is told to leak.
fn is_only_reported(server: &Foreground, children: &[Id], load: Load) {
    let cli = server.watch(BUDGET, &[]);
    let spared = |line: &str| events::is(line, "not_ended") && line.contains("\"server\"");
    let decided = |line: &str| spared(line) || events::is(line, "order");
    cli.out.expect_line(Duration::from_secs(60), "that spares a child", decided);
    load.go_on(100);

    let said = cli.stop().out;
    let id = |event: &events::Event| Id {
        pid: event.pid(),
        start: event.json["start"].as_u64().expect("a start"),
    };
    let leaking: Vec<Id> = events::named(&said, "not_ended").iter().map(id).collect();
    let run_on = children.iter().chain(&leaking).all(|id| id.runs());
    assert!(run_on, "{children:?} {leaking:?}\n{}{}", said.text(), server.log.text());
    assert!(events::named(&said, "order").is_empty(), "{}", said.text());
    server.assert_runs();
    load.ends.store(true, Ordering::Relaxed);
    let failed = load.thread.join().expect("no client panicked");
    println!("{} requests answered", load.answered.load(Ordering::Relaxed));
    assert!(failed.is_ok(), "{failed:?}\n{}{}", said.text(), server.log.text());
}

/// An answer that is none is an error.
fn check(is_right: bool, answer: &[u8]) -> io::Result<()> {
    is_right.then_some(()).ok_or_else(|| io::Error::other(String::from_utf8_lossy(answer)))
}

/// A shared object in C in which keep() leaks.
fn compile(dir: &Path, source: &str) -> String {
    let (code, object) = (dir.join("leak.c"), dir.join("leak.so"));
    let size = KIB * 1024;
    let keep = format!(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdint.h>\n#include <stdlib.h>\n\
         #include <string.h>\n#include <sys/socket.h>\n#include <sys/uio.h>\n\
         static void keep(void) {{ char *p = malloc({size}); if (p) memset(p, 1, {size}); }}\n"
    );
    fs::write(&code, keep + source).unwrap();
    let mut compiler = Command::new("gcc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&code).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    object.to_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs Zabbix's agent, gcc, root and a memory cgroup"]
fn zabbix_agents_listeners_are_only_reported() {
    let agent = Need::Program("zabbix_agentd", "zabbix-agent");
    needs::require(&[Need::Root, Need::Cgroup, Need::Program("gcc", "gcc"), agent]);
    let (dir, port) = (tempfile::tempdir().unwrap(), ports::own());
    // A module with one item, "leak".
    compile(
        dir.path(),
        "typedef struct { char *key; unsigned flags; int (*function)(); char *test; } METRIC;\n\
         typedef struct { uint64_t size, ui64; double dbl; char *str, *text, *msg; void *log; int type; } RESULT;\n\
         static int leak(void *request, RESULT *result) { keep(); result->type |= 1; result->ui64 = 1; return 0; }\n\
         static METRIC keys[] = { {\"leak\", 0, leak, NULL}, {NULL} };\n\
         int zbx_module_api_version(void) { return 2; }\n\
         int zbx_module_init(void) { return 0; }\n\
         METRIC *zbx_module_item_list(void) { return keys; }\n",
    );
    let place = dir.path().display().to_string();
    let conf = format!(
        "LogType=console\nPidFile={place}/pid\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\n\
         StartAgents=4\nAllowRoot=1\nLoadModulePath={place}\nLoadModule=leak.so\n"
    );
    fs::write(dir.path().join("agent.conf"), conf).unwrap();
    let ask = move |_| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PROMPTLY))?;
        stream.write_all(b"ZBXD\x01\x04\0\0\0\0\0\0\0leak")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        check(answer.starts_with(b"ZBXD") && answer.ends_with(b"1"), &answer)
    };
    let words = format!("zabbix_agentd -f -c {place}/agent.conf");
    // The collector and the listeners.
    let is_up = |children: &[Id]| children.len() == 5 && ask(0).is_ok();
    let server = Foreground::start(dir, &words, "", is_up);

    is_only_reported(&server, &server.children(), Load::start(ask));
}

#[test]
#[ignore = "needs Kamailio with Lua, root and a memory cgroup"]
fn kamailios_children_are_only_reported() {
    let kamailio = Need::Program("kamailio", "kamailio kamailio-lua-modules");
    needs::require(&[Need::Root, Need::Cgroup, kamailio]);
    let (dir, port) = (tempfile::tempdir().unwrap(), ports::own());
    let place = dir.path().display().to_string();
    let script = format!(
        "kept = {{}}\nfunction answer()\n\
         kept[#kept + 1] = string.rep('x', {KIB} * 1024) .. #kept\n\
         KSR.sl.sl_send_reply(200, 'OK')\nend\n"
    );
    fs::write(dir.path().join("leak.lua"), script).unwrap();
    let conf = format!(
        "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nfork=yes\nchildren=4\nauto_aliases=no\n\
         listen=udp:127.0.0.1:{port}\ndisable_tcp=yes\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n\
         loadmodule \"app_lua.so\"\nmodparam(\"app_lua\", \"load\", \"{place}/leak.lua\")\n\
         request_route {{\nlua_run(\"answer\");\nexit;\n}}\n"
    );
    fs::write(dir.path().join("kamailio.cfg"), conf).unwrap();
    let ask = move |nth: usize| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(PROMPTLY))?;
        let from = socket.local_addr()?;
        let request = format!(
            "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{nth}\r\n\
             From: <sip:b@127.0.0.1>;tag={nth}\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {nth}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send(request.as_bytes())?;
        let mut answer = vec![0; 4096];
        let size = socket.recv(&mut answer)?;
        check(answer.starts_with(b"SIP/2.0 200 "), &answer[..size])
    };
    let words = format!("kamailio -DD -E -f {place}/kamailio.cfg -P {place}/pid -Y {place}");
    // Timers too.
    let is_up = |children: &[Id]| children.len() > 4 && ask(0).is_ok();
    let server = Foreground::start(dir, &words, "", is_up);

    is_only_reported(&server, &server.children(), Load::start(ask));
}

#[test]
#[ignore = "needs Samba, its client, gcc, root and a memory cgroup"]
fn a_session_of_samba_is_only_reported() {
    let samba = [Need::Program("smbd", "samba"), Need::Program("smbclient", "smbclient")];
    needs::require(
        &[&samba[..], &[Need::Root, Need::Cgroup, Need::Program("gcc", "gcc")]].concat(),
    );
    let (dir, port) = (tempfile::tempdir().unwrap(), ports::own());
    let place = dir.path().display().to_string();
    // Whatever sends answers leaks.
    let object = compile(
        dir.path(),
        "ssize_t sendmsg(int fd, const struct msghdr *m, int f) { keep();\n\
         return ((ssize_t (*)(int, const struct msghdr *, int)) dlsym(RTLD_NEXT, \"sendmsg\"))(fd, m, f); }\n\
         ssize_t writev(int fd, const struct iovec *v, int n) { keep();\n\
         return ((ssize_t (*)(int, const struct iovec *, int)) dlsym(RTLD_NEXT, \"writev\"))(fd, v, n); }\n",
    );
    const SIZE: usize = 65_536;
    fs::create_dir(dir.path().join("share")).unwrap();
    fs::create_dir(dir.path().join("own")).unwrap();
    fs::write(dir.path().join("share/file"), vec![b'x'; SIZE]).unwrap();
    let own = ["lock directory", "state directory", "cache directory", "private dir"];
    let own = own.map(|name| format!("{name} = {place}/own\n")).concat();
    let conf = format!(
        "[global]\nsmb ports = {port}\ninterfaces = lo\nbind interfaces only = yes\n\
         disable netbios = yes\nserver role = standalone server\nmap to guest = bad user\n\
         guest account = root\nload printers = no\nprinting = bsd\nlogging = file\n\
         log file = {place}/log\npid directory = {place}/own\nncalrpc dir = {place}/own/nc\n{own}\
         [all]\npath = {place}/share\nguest ok = yes\nread only = yes\n"
    );
    fs::write(dir.path().join("smb.conf"), conf).unwrap();
    let words = format!("smbd -F --no-process-group -s {place}/smb.conf");
    let is_up = |_: &[Id]| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let server = Foreground::start(dir, &words, &object, is_up);

    // One session, which fetches the file again and again.
    let mut client = Command::new("smbclient")
        .args(["-N", "-s", "/dev/null", "-p", &port.to_string(), "//127.0.0.1/all"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut commands, copy) = (client.stdin.take().unwrap(), server.dir().join("copy"));
    let load = Load::start(move |_| {
        fs::remove_file(&copy).ok();
        writeln!(commands, "get file {}", copy.display())?;
        let is_whole = || fs::metadata(&copy).is_ok_and(|meta| meta.len() == SIZE as u64);
        check(wait::until(PROMPTLY, is_whole), b"no file came")
    });
    load.go_on(1);

    is_only_reported(&server, &[], load);
    assert!(client.wait().unwrap().success(), "{}", server.log.text());
}
