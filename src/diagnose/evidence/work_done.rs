//! Work: how much a server's processes have done. From its status page on loopback where it has
//! one, else from the kernel's count of their waits, and of the connections that it closed.

mod connections;
mod fastcgi;
mod http;

pub use connections::{closed_per_s, ensure_listens};

use crate::core::servers::StatusProtocol;
use crate::diagnose::findings::{StatusPage, WorkDone, WorkUnit};
use crate::system::foreign_file;
use serde::Deserialize;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A status page answers within this time or is not asked again.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// Bytes of a worker's resident memory up to which its pages are looked at one by one: a tenth of a second.
const LARGEST_WORKER: u64 = 16 << 30;
/// Bytes of an answer: a page of 1000 workers has 300 kB.
const LONGEST: u64 = 4 << 20;

/// Who must listen at the address that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a> {
    /// Where its files are.
    pub root: &'a Path,
    /// Its pid.
    pub pid: u32,
}

/// Asks the status page of a server for the work of its processes. Asking needs a free worker of
/// Apache's and php-fpm's and is itself counted by them as a request.
///
/// # Errors
/// In words: no page, none on loopback, no answer.
pub fn ask(
    protocol: StatusProtocol,
    page: &StatusPage,
    at: &Listener<'_>,
) -> Result<WorkDone, String> {
    let StatusPage { address, path } = page;
    match protocol {
        StatusProtocol::ModStatus => {
            let page = exchange(address, &http::request(path), at)?;
            let page = http::body(&page)?;
            let done = http::server_status(&page);
            let source = format!("http://{address}{path}");
            let totals = http::connections(&page);
            counted(source, done, totals)
        }
        StatusProtocol::FpmStatus => {
            let answer = exchange(address, &fastcgi::request(path, "json&full"), at)?;
            let body = fastcgi::body(&answer).ok_or("its answer is no FastCGI")?;
            let page: FpmPage =
                serde_json::from_str(&body).map_err(|e| format!("its answer is strange: {e}"))?;
            let done = page.processes.iter().map(|p| (p.pid, p.requests)).collect();
            counted(format!("{address} {path}"), done, None)
        }
        StatusProtocol::UwsgiStats => {
            let answer = exchange(address, &[], at)?;
            let text = String::from_utf8_lossy(&answer);
            let page: UwsgiPage =
                serde_json::from_str(&text).map_err(|e| format!("its answer is strange: {e}"))?;
            let done = page.workers.iter().map(|w| (w.pid, w.delta_requests)).collect();
            counted(format!("stats server {address}"), done, None)
        }
        StatusProtocol::PumaControl => {
            let answer = exchange(address, &http::request(path), at)?;
            let page: PumaPage = serde_json::from_str(&http::body(&answer)?)
                .map_err(|e| format!("its answer is strange: {e}"))?;
            // A worker that has just started has not reported yet.
            let done = |worker: &PumaWorker| Some((worker.pid, worker.last_status.requests_count?));
            let done = page.worker_status.iter().filter_map(done).collect();
            // Not its path: that has the token.
            counted(format!("control server {address}"), done, None)
        }
    }
}

fn counted(
    source: String,
    done: Vec<(u32, u64)>,
    totals: Option<(u64, u64)>,
) -> Result<WorkDone, String> {
    match done.is_empty() {
        true => Err("its answer names no worker".to_owned()),
        false => Ok(WorkDone { unit: WorkUnit::Requests, source, done, totals }),
    }
}

#[derive(Deserialize)]
struct FpmPage {
    processes: Vec<FpmProcess>,
}

#[derive(Deserialize)]
struct FpmProcess {
    pid: u32,
    requests: u64,
}

#[derive(Deserialize)]
struct UwsgiPage {
    workers: Vec<UwsgiWorker>,
}

#[derive(Deserialize)]
struct UwsgiWorker {
    pid: u32,
    delta_requests: u64,
}

#[derive(Deserialize)]
struct PumaPage {
    #[serde(default)]
    worker_status: Vec<PumaWorker>,
}

#[derive(Deserialize)]
struct PumaWorker {
    pid: u32,
    last_status: PumaStatus,
}

#[derive(Deserialize)]
struct PumaStatus {
    requests_count: Option<u64>,
}

/// Sends the question and reads the whole answer.
fn exchange(address: &str, question: &[u8], at: &Listener<'_>) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("{address}: {error}");
    let mut answer = Vec::new();
    if address.starts_with('/') {
        let mut stream = unix(Path::new(address), at).map_err(told)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(told)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(told)?;
        stream.write_all(question).map_err(told)?;
        stream.take(LONGEST).read_to_end(&mut answer).map_err(told)?;
    } else {
        let to: SocketAddr = address.parse().map_err(|_| format!("{address}: no address"))?;
        if !to.ip().is_loopback() {
            return Err(format!("{address}: is not on loopback"));
        }
        let mut stream = TcpStream::connect_timeout(&to, TIMEOUT).map_err(told)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(told)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(told)?;
        stream.write_all(question).map_err(told)?;
        stream.take(LONGEST).read_to_end(&mut answer).map_err(told)?;
    }
    Ok(answer)
}

/// Connects without waiting, since a socket whose queue is full would be waited for without end. The
/// socket is found before it is connected to, so that no link leads out of a container; nothing is sent
/// unless the very process listens there.
fn unix(path: &Path, at: &Listener<'_>) -> std::io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let found = foreign_file::find_below(at.root, path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let name = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::net::connect(&socket, &SocketAddrUnix::new(name)?)?;
    let listener = rustix::net::sockopt::socket_peercred(&socket)?.pid.as_raw_nonzero().get();
    if listener.cast_unsigned() != at.pid {
        return Err(std::io::Error::other("another process listens there"));
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// How often these processes waited for something since they started, all their threads together.
/// Those that cannot be read are left out.
pub fn waits(procfs: &Path, pids: impl Iterator<Item = u32>) -> WorkDone {
    let of = |pid: u32| {
        let tasks = std::fs::read_dir(procfs.join(format!("{pid}/task"))).ok()?;
        let waits = tasks.flatten().take(4096).filter_map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        });
        Some((pid, waits.fold(0, u64::saturating_add)))
    };
    let done = pids.filter_map(of).collect();
    let source = "voluntary context switches".to_owned();
    WorkDone { unit: WorkUnit::Waits, source, done, totals: None }
}

/// Bytes that only this process has, in RAM and in swap; none without the right to read it (root, or
/// the same user) and before Linux 4.14.
pub fn private(procfs: &Path, pid: u32) -> Option<u64> {
    // The kernel looks at every page, and no signal ends that: a user may map one file a thousand times.
    let statm = std::fs::read_to_string(procfs.join(format!("{pid}/statm"))).ok()?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok())?;
    if pages.saturating_mul(procfs::page_size()) > LARGEST_WORKER {
        return None;
    }
    let text = std::fs::read_to_string(procfs.join(format!("{pid}/smaps_rollup"))).ok()?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let kib = kib("Private_Dirty:")?.saturating_add(kib("Swap:").unwrap_or(0));
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    static HERE: std::sync::LazyLock<Listener<'static>> =
        std::sync::LazyLock::new(|| Listener { root: Path::new("/"), pid: 0 });

    #[test]
    fn a_socket_of_another_process_is_not_spoken_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let own = Listener { root: Path::new("/"), pid: std::process::id() };
        assert!(unix(&path, &own).is_ok());
        assert!(unix(&path, &HERE).unwrap_err().to_string().contains("another process"));
        let inside = Listener { root: dir.path(), ..own };
        assert!(unix(Path::new("/s"), &inside).is_ok());
        drop(listener);
    }

    #[test]
    fn only_loopback_is_asked() {
        assert!(exchange("192.0.2.1:80", b"", &HERE).unwrap_err().contains("not on loopback"));
        assert!(exchange("localhost:80", b"", &HERE).unwrap_err().contains("no address"));
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_a_silent_server_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"workers\":[{\"pid\":7,\"delta_requests\":3}]}").unwrap();
            drop(stream);
            // Accepts, and never says a word.
            listener.accept().unwrap()
        });
        assert!(exchange(&address, b"", &HERE).unwrap().ends_with(b"]}"));
        assert!(exchange(&address, b"", &HERE).is_err());
        server.join().unwrap();
    }

    #[test]
    fn puma_tells_the_requests_of_its_workers_and_its_token_is_not_repeated() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Closing on an unread question would take the answer back.
            let mut question = [0; 512];
            assert!(stream.read(&mut question).unwrap() > 0);
            // As Debian's puma 5.6.5 does; the last worker has not reported yet.
            let body = "{\"workers\":3,\"worker_status\":[{\"pid\":7,\"last_status\":{\"backlog\":0,\"requests_count\":4}},{\"pid\":8,\"last_status\":{\"backlog\":0,\"requests_count\":1}},{\"pid\":9,\"last_status\":{}}]}";
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .unwrap();
        });
        let control = StatusPage { address: address.clone(), path: "/stats?token=abc".to_owned() };
        let work = ask(StatusProtocol::PumaControl, &control, &HERE).unwrap();
        assert_eq!(work.done, [(7, 4), (8, 1)]);
        assert_eq!(work.source, format!("control server {address}"));
        server.join().unwrap();
    }

    #[test]
    fn fuzz_status_pages() {
        let texts: [&[u8]; 4] = [
            b"HTTP/1.0 200 OK\r\na: b\r\n\r\n<table><tr><td><b>0-0</b></td><td>4711</td><td>0/12/99</td><td>W</td></tr>\n<tr><td>1-0</td><td>-</td><td>0/0/7</td></tr>",
            b"\x01\x06\0\x01\0\x2f\x01\0Content-type: x\r\n\r\n{\"processes\":[{\"pid\":7}]}xx",
            b"{\"processes\":[{\"pid\":7,\"requests\":3,\"state\":\"Idle\"}]}",
            b"{\"workers\":[{\"pid\":7,\"delta_requests\":3,\"apps\":[{}]}]}",
        ];
        crate::core::fuzz::fuzz("status pages", 2, &texts, |answer| {
            if let Ok(page) = http::body(answer) {
                let _ = (http::server_status(&page), http::connections(&page));
            }
            let body = fastcgi::body(answer);
            let text = String::from_utf8_lossy(answer);
            let _ = serde_json::from_str::<FpmPage>(body.as_deref().unwrap_or(&text)).is_ok();
            let _ = serde_json::from_str::<UwsgiPage>(&text).is_ok();
        });
    }

    #[test]
    fn the_pages_of_a_process_that_maps_more_than_a_worker_has_are_not_looked_at() {
        let own = std::process::id();
        assert!(private(Path::new("/proc"), own).is_some_and(|bytes| bytes > 0));
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("7");
        std::fs::create_dir(&fake).unwrap();
        std::fs::write(fake.join("smaps_rollup"), "Private_Dirty: 8 kB\n").unwrap();
        for (pages, found) in [(1000_u64, Some(8192)), (1 << 40, None)] {
            std::fs::write(fake.join("statm"), format!("9 {pages} 0 0 0 0 0\n")).unwrap();
            assert_eq!(private(dir.path(), 7), found);
        }
    }

    #[test]
    fn our_own_waits_are_counted() {
        let own = std::process::id();
        let work = waits(Path::new("/proc"), [own, u32::MAX].into_iter());
        assert_eq!(work.done.len(), 1);
        assert_eq!(work.done[0].0, own);
    }
}
