//! A process whose files in /proc make whoever reads them hang: a user can have that, and `ps` then hangs.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::hanging_file::HangingFile;
use crate::common::needs::{Need, require};
use crate::common::wait;

/// A pool of which one worker hangs, and a watch of it. The file goes first: who hangs at it cannot end.
struct Scene {
    hanging: HangingFile,
    cli: Cli,
    stat: Vec<u8>,
    _proc: FakeProc,
}

impl Scene {
    fn start() -> Self {
        require(&[Need::Root, Need::Fuse]);
        let proc = FakeProc::with_memory_kib(1 << 20);
        proc.show(&Fake::new(pid(0), "app").holding_kib(10_000));
        for nth in 1..4 {
            proc.show(&Fake::new(pid(nth), "app").child_of(pid(0)).holding_kib(5000));
        }
        let file = proc.path().join(format!("{}/stat", pid(2)));
        let stat = std::fs::read(&file).unwrap();
        let hanging = HangingFile::over(&file);
        let procfs = proc.path().to_str().unwrap();
        let cli = Cli::leakwatch(["--procfs", procfs, "--interval", "1s", "--pattern", "app"]);
        Self { hanging, cli, stat, _proc: proc }
    }

    fn said(&self) -> String {
        self.cli.out.text() + &self.cli.err.text()
    }

    /// A note with these words comes.
    fn says(&self, words: &str) {
        self.cli.err.expect_line(PROMPTLY, "with that note", |line| line.contains(words));
    }

    /// The state that it prints when asked has so many workers.
    fn watches(&self, workers: usize) {
        let state = format!("{workers} workers");
        self.cli.signal(Signal::SIGUSR1);
        assert!(wait::until(PROMPTLY, || self.said().contains(&state)), "{}", self.said());
    }
}

#[test]
#[ignore = "needs root and FUSE"]
fn a_process_whose_reading_hangs_is_left_out_until_it_hangs_no_more() {
    let scene = Scene::start();
    scene.says(&format!("process {} cannot be read", pid(2)));
    scene.watches(2);
    assert_eq!(scene.hanging.readers(), 1, "it is not read a second time");
    scene.hanging.release(&scene.stat);
    scene.says("can be read again");
    scene.watches(3);
}

#[test]
#[ignore = "needs root and FUSE"]
fn a_signal_is_heard_while_a_process_hangs() {
    let scene = Scene::start();
    assert!(wait::until(PROMPTLY, || scene.hanging.readers() == 1), "it was never read");
    let began = Instant::now();
    scene.cli.signal(Signal::SIGTERM);
    // Its own end it may have to wait for: such a file holds who reads it, unlike the kernel's lock.
    let ends = || scene.said().contains("stopped");
    assert!(wait::until(Duration::from_secs(2), ends), "{:?}: {}", began.elapsed(), scene.said());
}
