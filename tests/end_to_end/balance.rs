//! The balance sheet of a small machine in which one line of it grows: that one is named, and the lines add
//! up to the memory there is.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::common::cli::Cli;
use crate::common::events;
use crate::common::needs::Need;
use crate::common::process::Id;
use crate::common::small_machine::SmallMachine;
use crate::common::wait;

/// Grows one line by some mebibytes a second until it is ended.
const GROW: &str = r#"
import ctypes, mmap, os, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
kept = []
def steps(a_second):
    begun, done = time.monotonic(), 0
    while True:
        while done < (time.monotonic() - begun) * a_second:
            done += 1
            yield done
        time.sleep(0.05)
def tmpfs():
    # Full at half of memory, as it is by default, it would not end that.
    os.system('mount -o remount,size=95% /dev/shm')
    os.makedirs('/dev/shm/spool')
    for n in steps(2):
        with open(f'/dev/shm/spool/{n}', 'wb') as file:
            file.write(b'x' * MIB)
def sysv():
    libc.shmat.restype = ctypes.c_void_p
    for n in steps(2):
        shm = libc.shmget(0, MIB, 0o1600)
        ctypes.memset(libc.shmat(shm, None, 0), 1, MIB)
def memfd():
    fd = os.memfd_create('cache')
    for n in steps(2):
        os.write(fd, b'x' * MIB)
def dentries():
    for n in steps(5000):
        # Names that are not there are remembered too, in sysfs among others.
        os.access(f'/sys/kernel/{n:064}', os.F_OK)
def page_tables():
    area = mmap.mmap(-1, 1 << 38, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    for n in steps(512):
        # Reading maps the one page of zeros: what is new is the table for these 2 MiB.
        area[n * 2 * MIB]
def sockets():
    with open('/proc/sys/net/ipv4/tcp_mem', 'w') as limit:
        limit.write('40000 50000 60000')
    server = socket.create_server(('127.0.0.1', 0))
    # SO_RCVBUFFORCE: what comes is never read.
    server.setsockopt(socket.SOL_SOCKET, 33, 8 * MIB)
    for n in steps(16):
        if n % 16 == 1:
            client = socket.create_connection(server.getsockname())
            kept.extend([client, server.accept()[0]])
        client.sendall(b'x' * (128 << 10))
def stacks():
    threading.stack_size(64 << 10)
    for n in steps(60):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
globals()[sys.argv[1]]()
"#;

/// What grows, and the line and the part that must be named.
const LINES: [(&str, &str, &str); 7] = [
    ("tmpfs", "shared-memory", "tmpfs /dev/shm"),
    ("sysv", "shared-memory", "SysV"),
    ("memfd", "shared-memory", "memfd cache"),
    ("dentries", "slab-reclaimable", "dentry"),
    ("page_tables", "page-tables", ""),
    ("sockets", "sockets", ""),
    ("stacks", "kernel-stacks", ""),
];

/// Starts to grow that line.
fn grow(line: &str) -> Cli {
    let script = "/dev/shm/grow.py";
    fs::write(script, GROW).unwrap();
    Cli::start(Command::new("python3").args([script, line]))
}

const PYTHON: Need = Need::Program("python3", "python3");

#[test]
#[ignore = "needs user-mode Linux and python3"]
fn the_line_that_grows_is_named_and_all_add_up() {
    SmallMachine::of_mib(256).play(&[PYTHON], &LINES.map(|(part, ..)| part), |part| {
        let (_, line, of) = LINES.into_iter().find(|(name, ..)| *name == part).unwrap();
        let grower = grow(part);

        let looked = Cli::leakwatch(["memory", "--for", "25s", "--format", "json"]);
        let ended = looked.end(Duration::from_secs(120));

        assert!(Id::of(grower.pid()).is_some_and(|id| id.runs()), "{}", grower.err.text());
        let said = ended.out.text();
        let sheet: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        let machine = &sheet["machine"];
        let lines = machine["lines"].as_array().unwrap();
        let sum: u64 = lines.iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
        let total = machine["total_bytes"].as_u64().unwrap();
        println!("{part}: sum {:.4} of MemTotal", sum as f64 / total as f64);
        for line in lines.iter().filter(|line| line["bytes_per_s"].as_f64() > Some(1e5)) {
            println!("  {} {} {}", line["line"], line["growth"], line["bytes_per_s"]);
        }
        assert!(sum.abs_diff(total) * 100 <= 3 * total, "{sum} of {total}");
        let outside = lines.iter().filter(|line| {
            line["nature"] == "held" || (part == "dentries" && line["nature"] == "reclaimable")
        });
        let rate = |line: &Value| line["bytes_per_s"].as_f64().unwrap_or(0.0);
        let first = outside.max_by(|a, b| rate(a).total_cmp(&rate(b))).unwrap();
        assert_eq!((&first["line"], &first["growth"]), (&line.into(), &"steady".into()), "{said}");
        if !of.is_empty() {
            let name = first["parts"][0]["name"].as_str().unwrap();
            assert!(name.contains(of), "{name}: {said}");
        }
        // What the kernel gives back is no finding.
        assert_eq!(ended.code, Some(if part == "dentries" { 0 } else { 1 }), "{said}");
    });
}

#[test]
#[ignore = "needs user-mode Linux and python3"]
fn a_watch_says_what_ends_memory_where_no_process_does() {
    let parts = ["tmpfs", "memfd", "page_tables"];
    SmallMachine::of_mib(192).play(&[PYTHON], &parts, |part| {
        let (_, line, _) = LINES.into_iter().find(|(name, ..)| *name == part).unwrap();
        let _grower = grow(part);
        let watch = Cli::leakwatch(["--interval", "1s", "--format", "json"]);
        let named =
            |text: &str| events::is(text, "forecast") && text.contains(&format!("\"{line}\""));
        let is_named = || watch.out.all().iter().any(|line| named(&line.text()));
        let failed = |text: &str| events::is(text, "memory_failure");
        let has_failed = || watch.out.all().iter().any(|line| failed(&line.text()));
        wait::until(Duration::from_secs(150), || is_named() || has_failed());
        let said = watch.out.text();
        println!("{said}");
        assert!(is_named() && !has_failed(), "not named before the end:\n{said}");
        watch.stop();
    });
}
