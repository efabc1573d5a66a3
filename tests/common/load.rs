//! Load: a steady stream of HTTP requests on loopback, and what became of each.
//!
//! Open loop: request n is due at n / rate whether or not the earlier ones were answered, and its
//! latency counts from then, so a server that stalls cannot make its figures better by stalling.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What to send.
#[derive(Clone)]
pub struct Plan {
    pub port: u16,
    pub path: String,
    /// Instead of the path each time one of these, by a draw that is the same in every run.
    pub mix: Vec<String>,
    pub per_second: f64,
    /// The load ends after this time at the latest.
    pub at_most: Duration,
    /// Use connections again. The server's right to close an idle one then costs a request.
    pub keep_alive: bool,
}

impl Plan {
    pub fn of(port: u16, path: impl Into<String>, per_second: f64) -> Self {
        let at_most = Duration::from_secs(900);
        Self { port, path: path.into(), mix: Vec::new(), per_second, at_most, keep_alive: false }
    }
}

impl Plan {
    /// The path of a request.
    fn path_of(&self, nth: usize) -> &str {
        // SplitMix64.
        let mut drawn = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = (drawn ^ (drawn >> 31)) as usize;
        let of_mix = self.mix.get(drawn % self.mix.len().max(1));
        of_mix.map_or(&self.path, String::as_str)
    }
}

/// A request that was not answered as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    Refused,
    Reset,
    /// Closed before the first byte of an answer.
    Empty,
    /// Closed within the answer.
    Short,
    Timeout,
    /// A status of 400 and above.
    Status(u16),
    Other(String),
}

/// What a worker said of itself.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub pid: u32,
    pub held_kib: u64,
}

/// One request from its due time to its end.
#[derive(Clone, Debug)]
pub struct Request {
    pub due: Instant,
    pub done: Instant,
    pub result: Result<Answer, Failure>,
}

/// A running load; stopped on drop.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<Request>>>,
    clients: Vec<JoinHandle<()>>,
}

/// As many requests can be under way at once.
const CLIENTS: usize = 32;
/// A request unanswered for so long has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Load {
    pub fn start(plan: Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::default();
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let clients = (0..CLIENTS)
            .map(|_| {
                let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
                let (plan, done) = (plan.clone(), Arc::clone(&done));
                std::thread::spawn(move || client(&plan, start, &stop, &next, &done))
            })
            .collect();
        Self { stop, done, clients }
    }

    /// What has ended so far.
    pub fn so_far(&self) -> Tally {
        Tally(self.done.lock().expect("no client panicked").clone())
    }

    /// Sends no more, waits for what is under way and says what became of all.
    pub fn finish(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("no client panicked");
        }
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(
    plan: &Plan,
    start: Instant,
    stop: &AtomicBool,
    next: &AtomicUsize,
    done: &Mutex<Vec<Request>>,
) {
    let mut kept = None;
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let after = Duration::from_secs_f64(nth as f64 / plan.per_second);
        let due = start + after;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) || after > plan.at_most {
            return;
        }
        let result = get(plan, plan.path_of(nth), &mut kept).map_err(|error| error.0);
        let request = Request { due, done: Instant::now(), result };
        done.lock().expect("no client panicked").push(request);
    }
}

/// Sends one request and reads its answer, over `kept` when that connection is still good.
fn get(plan: &Plan, path: &str, kept: &mut Option<TcpStream>) -> Result<Answer, Error> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, plan.port).into(), TIMEOUT)?,
    };
    stream.set_read_timeout(Some(TIMEOUT))?;
    let connection = if plan.keep_alive { "keep-alive" } else { "close" };
    // In one piece: a server that answered the first and closed would reset the connection.
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())?;

    let reply = read_reply(&mut stream)?;
    if reply.status >= 400 {
        return Err(Error(Failure::Status(reply.status)));
    }
    if plan.keep_alive && !reply.closes {
        *kept = Some(stream);
    }
    parse(&reply.body)
        .ok_or_else(|| Error(Failure::Other(format!("strange answer: {}", reply.body))))
}

struct Reply {
    status: u16,
    closes: bool,
    body: String,
}

/// Reads an answer as long as its Content-Length says.
fn read_reply(stream: &mut TcpStream) -> Result<Reply, Error> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines().filter_map(|line| line.split_once(": ")).find_map(|(key, value)| {
                    key.eq_ignore_ascii_case(name).then(|| value.to_owned())
                })
            };
            let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            if let (Some(length), Some(status)) = (length, status)
                && body.len() >= length
            {
                let closes = header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
                return Ok(Reply { status, closes, body: body.to_owned() });
            }
        }
        match stream.read(&mut part)? {
            0 if bytes.is_empty() => return Err(Error(Failure::Empty)),
            0 => return Err(Error(Failure::Short)),
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

/// "pid=1 held_kib=3", and what else a server says
fn parse(body: &str) -> Option<Answer> {
    let value = |name: &str| {
        body.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    Some(Answer { pid: value("pid")?.try_into().ok()?, held_kib: value("held_kib")? })
}

struct Error(Failure);

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self(match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Reset,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::Timeout,
            _ => Failure::Other(error.to_string()),
        })
    }
}

/// What became of a load's requests.
pub struct Tally(pub Vec<Request>);

impl Tally {
    /// How many requests failed, by kind.
    pub fn failures(&self) -> BTreeMap<Failure, usize> {
        let mut kinds = BTreeMap::new();
        for failure in self.0.iter().filter_map(|request| request.result.as_ref().err()) {
            *kinds.entry(failure.clone()).or_default() += 1;
        }
        kinds
    }

    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.0.iter().filter_map(|request| request.result.clone().ok())
    }

    /// How many requests each worker answered.
    pub fn workers(&self) -> BTreeMap<u32, usize> {
        let mut workers = BTreeMap::new();
        for answer in self.answers() {
            *workers.entry(answer.pid).or_default() += 1;
        }
        workers
    }

    /// The most that a worker said it holds.
    pub fn held_kib(&self, pid: u32) -> u64 {
        self.answers().filter(|a| a.pid == pid).map(|a| a.held_kib).max().unwrap_or(0)
    }

    /// The latency that so many percent of the answered requests stayed within, in milliseconds.
    pub fn percentile_ms(&self, percent: usize) -> u128 {
        let answered = self.0.iter().filter(|request| request.result.is_ok());
        let mut times: Vec<_> =
            answered.map(|r| r.done.duration_since(r.due).as_millis()).collect();
        times.sort_unstable();
        times
            .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    }

    /// One line for the test's output.
    pub fn summary(&self) -> String {
        format!(
            "{} requests, failed {:?}, {} workers, p50 {} ms, p99 {} ms",
            self.0.len(),
            self.failures(),
            self.workers().len(),
            self.percentile_ms(50),
            self.percentile_ms(99)
        )
    }
}
