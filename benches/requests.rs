//! Is the request that leaks named, by real servers under mixed load, and how far off are its bytes?
//!
//! ```text
//! cargo bench --bench requests                              # 20 seeds of each server: an hour
//! cargo bench --bench requests -- 1-6 60s php-fpm,uwsgi     # those seeds, that look, these servers
//! cargo bench --bench requests -- 1-6 60s php-fpm healthy   # nothing leaks: none may be named
//! ```
//!
//! Of 16 paths one leaks 16 to 256 KiB at 5 to 30 % of the hits, one fills a cache and two need buffers of 1 to
//! 6 MiB. Root, and the servers that tests/all installs; mod_php is libapache2-mod-php. Exits with 1 when a
//! wrong path was called sure, or of a server more than one answer in twenty was wrong.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::fmt;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the tests use the rest")]
#[path = "../tests/common"]
mod common {
    pub mod apache;
    pub mod cgroup;
    pub mod claim;
    pub mod cli;
    pub mod lines;
    pub mod load;
    pub mod logged;
    pub mod mod_php;
    pub mod needs;
    pub mod ports;
    pub mod prefork;
    pub mod process;
    pub mod service;
    pub mod small_machine;
    pub mod turn;
    pub mod wait;
}

use common::apache::{Apache, Mode};
use common::cli::Cli;
use common::load::{Load, Plan};
use common::logged::Logged;
use common::mod_php;

const KINDS: [&str; 5] = ["mod_perl", "mod_php", "php-fpm", "gunicorn", "uwsgi"];
const AT_ONCE: usize = 2;
const PER_SECOND: f64 = 40.0;
const WORKERS: f64 = 3.0;
/// Requests of which a mix has each path as often as its share says.
const MIX: f64 = 400.0;
const APACHE: &str = r#"%h %l %u %t \"%r\" %>s %b %P"#;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let word = |nth: usize, usual: &str| words.get(nth).cloned().unwrap_or_else(|| usual.into());
    let (seeds, look, kinds) = (word(0, "1-20"), word(1, "60s"), word(2, &KINDS.join(",")));
    let is_healthy = word(3, "leaking") == "healthy";
    let (first, last) = seeds.split_once('-').expect("seeds as in 1-20");
    let seeds = first.parse::<u64>().expect("a seed")..=last.parse().expect("a seed");
    let kinds: Vec<&str> = kinds.split(',').collect();

    let jobs = seeds.flat_map(|seed| kinds.iter().map(move |kind| (*kind, seed)));
    let (jobs, tallies) = (Mutex::new(jobs), Mutex::new(vec![Tally::default(); kinds.len()]));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // The next one is taken out of the lock before it runs.
                let next = || jobs.lock().expect("nobody panicked").next();
                while let Some((kind, seed)) = next() {
                    let scene = Scene::draw(seed, is_healthy);
                    let found = run(kind, &scene, &look);
                    let Scene { share, kib, .. } = scene;
                    println!(
                        "{kind} {seed}: {:.0} % of the hits keep {kib} KiB: {found}",
                        100.0 * share
                    );
                    let nth = kinds.iter().position(|of| *of == kind).expect("it is one of them");
                    tallies.lock().expect("nobody panicked")[nth].add(found);
                }
            });
        }
    });
    let tallies = tallies.into_inner().expect("nobody panicked");
    for (kind, tally) in kinds.iter().zip(&tallies) {
        println!("{kind}: {}", tally.summary());
    }
    if tallies.iter().all(Tally::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What one server is asked for.
struct Scene {
    /// Paths behind that of the application.
    mix: Vec<String>,
    /// The leak: its share of the hits, and what each keeps.
    share: f64,
    kib: u32,
}

impl Scene {
    fn draw(seed: u64, is_healthy: bool) -> Self {
        // SplitMix64.
        let mut state = seed;
        let mut random = |low: f64, high: f64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut drawn = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            low + (high - low) * ((drawn ^ (drawn >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let share = random(0.05, 0.30);
        let leak = 16.0 * 16.0_f64.powf(random(0.0, 1.0));
        let kib = if is_healthy { 0 } else { leak.round() as u32 };
        let weights: Vec<f64> = (0..15).map(|_| random(0.3, 1.7)).collect();
        let all: f64 = weights.iter().sum();
        let share_of = |nth: usize| (1.0 - share) * weights[nth] / all;
        let times = |share: f64| (share * MIX).round().max(1.0) as usize;
        // The cache fills by three quarters or more within a minute.
        let asked = PER_SECOND / WORKERS * 60.0 * share_of(0);
        let keys = (asked * random(0.1, 0.8)).max(1.0) as usize;
        // Each key as often as the others.
        let many = times(share_of(0));
        let rounds = keys.div_ceil(many).max(1);
        let mut mix = vec![format!("/cart?kib={kib}"); times(share) * rounds];
        mix.extend((0..many * rounds).map(|nth| format!("/item/{0}?key={0}&kib=0", nth % keys)));
        for (nth, name) in [(1, "report"), (2, "export")] {
            let path = format!("/{name}?buffer={:.0}&kib=0", random(1024.0, 6144.0));
            mix.extend(std::iter::repeat_n(path, times(share_of(nth)) * rounds));
        }
        for nth in 3..15 {
            let path = format!("/page-{}?kib=0", char::from(b'a' + nth as u8));
            mix.extend(std::iter::repeat_n(path, times(share_of(nth)) * rounds));
        }
        // Other seeds draw in another order.
        for nth in (1..mix.len()).rev() {
            mix.swap(nth, random(0.0, nth as f64) as usize);
        }
        Self { mix, share, kib }
    }
}

/// A running server, which ends when it is dropped.
enum Server {
    Apache(Apache),
    Logged(Logged),
}

impl Server {
    fn start(kind: &str) -> Self {
        match kind {
            "mod_perl" => {
                let apache = Apache::that(Mode::Leak { kib: 0 });
                Self::Apache(apache.with_access_log(APACHE).start())
            }
            "mod_php" => Self::Logged(mod_php::start(APACHE)),
            "php-fpm" => Self::Logged(Logged::php_fpm(
                r#"access.format = "%R - %u %t %p \"%m %{REQUEST_URI}e\" %s""#,
            )),
            "gunicorn" => Self::Logged(Logged::gunicorn(
                r#"access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s %(p)s'"#,
            )),
            "uwsgi" => Self::Logged(Logged::uwsgi("")),
            _ => panic!("{kind}: none of {KINDS:?}"),
        }
    }

    /// Its master's pid, its port, and where its application is.
    fn at(&self) -> (u32, u16, &'static str) {
        match self {
            Self::Apache(apache) => (apache.master().pid, apache.port(), Apache::PATH),
            Self::Logged(logged) => (logged.master().pid, logged.port(), ""),
        }
    }
}

/// What was said of a server.
enum Found {
    /// The reason.
    NotYet(String),
    Wrong {
        request: String,
        is_sure: bool,
    },
    /// By how much its bytes are too large, as a share of the true ones.
    Right {
        is_sure: bool,
        error: f64,
        is_within: bool,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |is_sure: &bool| if *is_sure { "sure" } else { "likely" };
        match self {
            Self::NotYet(why) => write!(f, "not yet: {why}"),
            Self::Wrong { request, is_sure } => write!(f, "{} and wrong: {request}", word(is_sure)),
            Self::Right { is_sure, error, is_within } => {
                let outside = if *is_within { "" } else { ", outside of its interval" };
                write!(f, "{} and right, {:+.1} %{outside}", word(is_sure), 100.0 * error)
            }
        }
    }
}

fn run(kind: &str, scene: &Scene, look: &str) -> Found {
    let server = Server::start(kind);
    let (pid, port, at) = server.at();
    let mix = scene.mix.iter().map(|path| format!("{at}{path}")).collect();
    let _load = Load::start(Plan { mix, ..Plan::of(port, "/", PER_SECOND) });
    let pid = pid.to_string();
    let args = ["diagnose", "--for", look, "--no-state", "--format", "json", "--pid", &pid];
    let ended = Cli::leakwatch(args).end(Duration::from_secs(300));
    let diagnosis: serde_json::Value = serde_json::from_str(&ended.out.text()).expect("JSON");
    let found = &diagnosis["requests"][0];
    let (answer, leaks) = (&found["answer"], &found["leaks"]);
    let is_sure = answer == "sure";
    let Some(request) = leaks["request"].as_str() else {
        return Found::NotYet(format!("{} of {}", found["reason"], found["requests"]));
    };
    if request != format!("GET {at}/cart") || scene.kib == 0 {
        return Found::Wrong { request: request.to_owned(), is_sure };
    }
    let truth = f64::from(scene.kib) * 1024.0;
    let bytes = |name: &str| leaks[name].as_f64().unwrap();
    let is_within = (bytes("low")..=bytes("high")).contains(&truth);
    Found::Right { is_sure, error: bytes("bytes") / truth - 1.0, is_within }
}

/// What was said in all.
#[derive(Clone, Default)]
struct Tally {
    sure: usize,
    likely: usize,
    not_yet: usize,
    wrong_sure: usize,
    wrong_likely: usize,
    /// True bytes that were not in the interval.
    outside: usize,
    /// Errors of the sure ones, without sign.
    errors: Vec<f64>,
}

impl Tally {
    fn add(&mut self, found: Found) {
        match found {
            Found::NotYet(_) => self.not_yet += 1,
            Found::Wrong { is_sure: true, .. } => self.wrong_sure += 1,
            Found::Wrong { .. } => self.wrong_likely += 1,
            Found::Right { is_sure, error, is_within } => {
                self.outside += usize::from(!is_within);
                self.likely += usize::from(!is_sure);
                if is_sure {
                    self.sure += 1;
                    self.errors.push(error.abs());
                }
            }
        }
    }

    fn is_good(&self) -> bool {
        let all = self.sure + self.likely + self.not_yet + self.wrong_likely;
        self.wrong_sure == 0 && 20 * self.wrong_likely <= all
    }

    fn summary(&self) -> String {
        let Self { sure, likely, not_yet, wrong_sure, wrong_likely, outside, errors } = self;
        let mut sorted = errors.clone();
        sorted.sort_by(f64::total_cmp);
        let percent = |nth: usize| sorted.get(nth).map_or(0.0, |error| 100.0 * error);
        let far = errors.iter().filter(|error| **error > 0.2).count();
        let errors = match sorted.len() {
            0 => String::new(),
            all => format!(
                "; error of the sure {:.1} % (median), {:.1} % (worst), beyond 20 % {far}; truth outside of the \
                 interval {outside}",
                percent(all / 2),
                percent(all - 1)
            ),
        };
        format!(
            "sure {sure}, likely {likely}, not yet {not_yet}, wrong and sure {wrong_sure}, wrong and likely \
             {wrong_likely}{errors}"
        )
    }
}
