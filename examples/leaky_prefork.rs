//! A small pre-forking server whose workers leak, to see leakwatch's main job in a minute.
//!
//! ```text
//! cargo run --release --example leaky_prefork -- --leaky 2 --rate 1M/s --healthy 2 --cache 1
//! ```
//!
//! One master holds a listening socket on loopback and keeps a number of workers alive, as Apache
//! prefork does: a worker that ended is replaced within a second. Each worker is this executable
//! run again with the socket as its standard input (safe Rust has no `fork`). On SIGUSR1, SIGTERM
//! and SIGINT a worker finishes the request it is in, then exits. Leaking goes by time and needs
//! no requests, so nothing else has to run.
//!
//! Memory is not the only thing that runs out: with `--threads 3/s` the leaking workers start threads
//! that never end instead, with `--hang 2/s` the master starts children that never end, as a cron
//! job that hangs would. Run it where few tasks are allowed:
//!
//! ```text
//! systemd-run --scope -p TasksMax=200 cargo run --example leaky_prefork -- --threads 3/s
//! ```
//!
//! It cannot hurt the machine: `--max` bounds every worker's memory, 500 its threads and the hung
//! children, `--for` bounds the run, and a worker whose master is gone ends within a tick.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use leakwatch::cli::options::size;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};

/// How often a worker grows and checks that its master runs; the 64 KiB chunks follow from it at 640 KiB/s.
const TICK: Duration = Duration::from_millis(100);
/// Apache prefork too refills once a second, not at once.
const REFILL: Duration = Duration::from_secs(1);
const CHUNK: usize = 64 << 10;
/// A worker has no more threads, a master no more hung children.
const MAX_TASKS: usize = 500;

/// A pre-forking server on loopback whose workers leak as much as you choose.
#[derive(Parser)]
#[command(subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    /// Workers that leak without end
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    leaky: u16,
    /// Workers that stay flat
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    healthy: u16,
    /// Workers that fill a cache of --cache-size, then stop growing
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    cache: u16,
    /// Start so many children a second that do nothing and never end
    #[arg(long, default_value = "0/s", value_name = "N/s", value_parser = count_rate)]
    hang: f64,
    /// No workers: this process itself leaks (leakwatch reports it and leaves it alone)
    #[arg(long, conflicts_with_all = ["leaky", "healthy", "cache", "hang"])]
    alone: bool,
    /// TCP port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The whole run ends after this time
    #[arg(long = "for", default_value = "5m", value_name = "TIME", value_parser = humantime::parse_duration)]
    run_for: Duration,
    #[command(flatten)]
    growth: Growth,
}

/// How a worker grows.
#[derive(Args, Clone)]
struct Growth {
    /// Growth of each leaking or cache-filling worker
    #[arg(long, default_value = "1M/s", value_name = "SIZE/s", value_parser = rate)]
    rate: u64,
    /// A worker that holds this much stops growing
    #[arg(long, default_value = "256M", value_name = "SIZE", value_parser = size)]
    max: u64,
    /// Where the cache-filling workers stop
    #[arg(long, default_value = "24M", value_name = "SIZE", value_parser = size)]
    cache_size: u64,
    /// Leaking workers start so many threads a second that never end, and keep no memory
    #[arg(long, default_value = "0/s", value_name = "N/s", value_parser = count_rate)]
    threads: f64,
}

#[derive(Subcommand)]
enum Hidden {
    /// What the master runs; standard input is the listening socket
    #[command(hide = true)]
    Worker {
        kind: Kind,
        #[command(flatten)]
        growth: Growth,
        #[arg(long = "for", value_parser = humantime::parse_duration)]
        run_for: Duration,
    },
}

/// What a worker does with memory.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Leaky,
    Healthy,
    Cache,
    Hung,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Leaky => "leaky",
            Self::Healthy => "healthy",
            Self::Cache => "cache",
            Self::Hung => "hung",
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leaky_prefork: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let Some(Hidden::Worker { kind, growth, run_for }) = cli.hidden {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        return Worker::new(kind, &growth).serve(&TcpListener::from(socket), run_for);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, cli.port))
        .with_context(|| format!("cannot listen on 127.0.0.1:{}", cli.port))?;
    let port = listener.local_addr()?.port();
    let ends = humantime::format_duration(cli.run_for);
    let me = std::process::id();
    println!("leaky_prefork: master {me} on http://127.0.0.1:{port}/ ends by itself in {ends}");
    if cli.alone {
        println!(
            "  it leaks {} itself and has no workers; now type in another terminal:",
            per_second(cli.growth.rate)
        );
        println!("    leakwatch --pattern leaky_prefork --budget 100M --allow leaky_prefork");
        return Worker::new(Kind::Leaky, &cli.growth).serve(&listener, cli.run_for);
    }
    println!(
        "  {} leaking {} each (up to {} MiB), {} healthy, {} filling a cache of {} MiB",
        cli.leaky,
        per_second(cli.growth.rate),
        cli.growth.max >> 20,
        cli.healthy,
        cli.cache,
        cli.growth.cache_size >> 20,
    );
    println!("  now type in another terminal (add --dry-run to only watch):");
    println!("    leakwatch --pattern leaky_prefork --budget 300M --allow leaky_prefork");
    Master::new(listener, &cli).keep_alive(cli.run_for)
}

/// The parent: keeps one worker in every slot.
struct Master {
    listener: TcpListener,
    growth: Growth,
    slots: Vec<Slot>,
    /// Children that hang.
    hung: Vec<Child>,
    /// How many of them to start a second, how many were, since when.
    hang: f64,
    hangs: usize,
    begun: Instant,
}

struct Slot {
    kind: Kind,
    worker: Option<Child>,
}

impl Master {
    fn new(listener: TcpListener, cli: &Cli) -> Self {
        let slots =
            [(Kind::Leaky, cli.leaky), (Kind::Healthy, cli.healthy), (Kind::Cache, cli.cache)]
                .into_iter()
                .flat_map(|(kind, n)| (0..n).map(move |_| Slot { kind, worker: None }))
                .collect();
        let (growth, begun) = (cli.growth.clone(), Instant::now());
        Self { listener, growth, slots, hung: Vec::new(), hang: cli.hang, hangs: 0, begun }
    }

    fn keep_alive(mut self, run_for: Duration) -> anyhow::Result<()> {
        let stop = signals(&[Signal::SIGINT, Signal::SIGTERM])?;
        let end = Instant::now() + run_for;
        while Instant::now() < end {
            self.refill(end)?;
            let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, timeout(REFILL.min(end - Instant::now())))? > 0 {
                break;
            }
        }
        self.dismiss()
    }

    /// Replaces the workers that ended, and starts the hung children that are due.
    fn refill(&mut self, end: Instant) -> anyhow::Result<()> {
        for nth in 0..self.slots.len() {
            let Slot { kind, worker } = &mut self.slots[nth];
            let kind = *kind;
            if let Some(worker) = worker {
                let Some(status) = worker.try_wait()? else { continue };
                println!("worker {} {} ended: {status}", worker.id(), kind.name());
            }
            self.slots[nth].worker = self.start(kind, end)?;
        }
        self.hung.retain_mut(|worker| match worker.try_wait() {
            Ok(Some(status)) => {
                println!("worker {} hung ended: {status}", worker.id());
                false
            }
            _ => true,
        });
        let due = (self.begun.elapsed().as_secs_f64() * self.hang) as usize;
        while self.hangs < due && self.hung.len() < MAX_TASKS {
            let Some(worker) = self.start(Kind::Hung, end)? else { break };
            self.hung.push(worker);
            self.hangs += 1;
        }
        Ok(())
    }

    /// A new worker; none, like Apache, when the fork fails: that is said, and tried again later.
    fn start(&self, kind: Kind, end: Instant) -> anyhow::Result<Option<Child>> {
        let left = end.saturating_duration_since(Instant::now()).as_secs() + 1;
        // Not /proc/self/exe: a worker's comm would then be "exe".
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["worker", kind.name(), "--for", &format!("{left}s")])
            .args(["--rate", &format!("{}/s", self.growth.rate)])
            .args(["--max", &self.growth.max.to_string()])
            .args(["--cache-size", &self.growth.cache_size.to_string()])
            .args(["--threads", &format!("{}/s", self.growth.threads)])
            .stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)));
        Ok(match command.spawn() {
            Ok(worker) => {
                println!("worker {} {} started", worker.id(), kind.name());
                Some(worker)
            }
            Err(error) => {
                eprintln!("leaky_prefork: cannot start a worker: {error}");
                None
            }
        })
    }

    /// Asks every worker to end and waits. They are unreaped children: the pids are still theirs.
    fn dismiss(self) -> anyhow::Result<()> {
        let mut workers: Vec<Child> =
            self.slots.into_iter().filter_map(|slot| slot.worker).chain(self.hung).collect();
        for worker in &workers {
            kill(Pid::from_raw(worker.id().try_into()?), Signal::SIGTERM).ok();
        }
        for worker in &mut workers {
            worker.wait()?;
        }
        Ok(())
    }
}

/// A worker: answers one request at a time and grows by the clock.
struct Worker {
    kind: Kind,
    rate: u64,
    bound: u64,
    /// Threads to start a second, and those that were.
    threads: f64,
    started: usize,
    hoard: Vec<Vec<u8>>,
    served: u64,
}

impl Worker {
    fn new(kind: Kind, growth: &Growth) -> Self {
        let threads = if matches!(kind, Kind::Leaky) { growth.threads } else { 0.0 };
        let bound = match kind {
            Kind::Leaky if threads == 0.0 => growth.max,
            Kind::Leaky | Kind::Healthy | Kind::Hung => 0,
            Kind::Cache => growth.cache_size.min(growth.max),
        };
        let rate = growth.rate;
        Self { kind, rate, bound, threads, started: 0, hoard: Vec::new(), served: 0 }
    }

    fn serve(mut self, listener: &TcpListener, run_for: Duration) -> anyhow::Result<()> {
        let stop = signals(&[Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGINT])?;
        let (start, master) = (Instant::now(), getppid());
        // Workers race for each connection; the one that comes too late must not block.
        listener.set_nonblocking(true)?;
        if matches!(self.kind, Kind::Hung) {
            // It does nothing at all, so it cannot check its master either.
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            poll(&mut [PollFd::new(stop.as_fd(), PollFlags::POLLIN)], timeout(run_for))?;
            return Ok(());
        }
        while start.elapsed() < run_for && getppid() == master {
            self.grow(start.elapsed());
            self.start_threads(start.elapsed());
            let mut fds = [
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
                PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            ];
            poll(&mut fds, timeout(TICK))?;
            if fds[0].any() == Some(true) {
                break;
            }
            if let Ok((client, _)) = listener.accept() {
                // A client that hangs up early is its own loss.
                self.answer(client).ok();
            }
        }
        Ok(())
    }

    /// Holds what `rate` gives by now, at most `bound`. Filling the chunk touches its pages. Where
    /// none is to be had it goes on with what it has, as a server in C does.
    fn grow(&mut self, age: Duration) {
        let due = (self.rate as f64 * age.as_secs_f64()) as u64;
        while self.held() + CHUNK as u64 <= due.min(self.bound) {
            let mut chunk = Vec::new();
            if self.hoard.try_reserve(1).is_err() || chunk.try_reserve_exact(CHUNK).is_err() {
                return;
            }
            chunk.resize(CHUNK, 0x5a);
            self.hoard.push(chunk);
        }
    }

    /// Starts the threads that are due by now. They end with the process.
    fn start_threads(&mut self, age: Duration) {
        let due = (self.threads * age.as_secs_f64()) as usize;
        while self.started < due.min(MAX_TASKS) {
            let thread = std::thread::Builder::new().stack_size(CHUNK);
            if let Err(error) = thread.spawn(|| {
                loop {
                    std::thread::park()
                }
            }) {
                eprintln!("leaky_prefork: cannot start a thread: {error}");
                break;
            }
            self.started += 1;
        }
    }

    fn held(&self) -> u64 {
        (self.hoard.len() * CHUNK) as u64
    }

    fn answer(&mut self, mut client: TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut request = Vec::new();
        let mut part = [0; 1024];
        while !request.windows(4).any(|w| w == b"\r\n\r\n") && request.len() < 8192 {
            match client.read(&mut part)? {
                0 => break,
                n => request.extend_from_slice(&part[..n]),
            }
        }
        self.served += 1;
        let (pid, served, kib) = (std::process::id(), self.served, self.held() >> 10);
        let body = format!("pid={pid} served={served} held_kib={kib}\n");
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
        client.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
    }
}

/// Takes these signals out of their usual way and makes them readable.
fn signals(of: &[Signal]) -> anyhow::Result<SignalFd> {
    let set: SigSet = of.iter().copied().collect();
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The same span for poll, rounded up so that a rest below 1 ms does not spin.
fn timeout(span: Duration) -> PollTimeout {
    PollTimeout::try_from(span.as_millis() + 1).unwrap_or(PollTimeout::MAX)
}

/// A size and "/s".
fn rate(text: &str) -> Result<u64, String> {
    size(text.strip_suffix("/s").ok_or("write a size per second, such as 1M/s or 0.5M/s")?)
}

/// A number and "/s".
fn count_rate(text: &str) -> anyhow::Result<f64> {
    let number = text.strip_suffix("/s").and_then(|number| number.parse().ok());
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .context("write a number up to 100 per second, such as 2/s")
}

fn per_second(rate: u64) -> String {
    format!("{:.1} MiB/s", rate as f64 / f64::from(1 << 20))
}
