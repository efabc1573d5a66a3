//! Debian's cron daemon runs `leakwatch check` every minute, and starts a watch every minute, beside
//! a server with a leak: mail comes when something changed, and one of each runs at a time.
//!
//! The daemon has file systems of its own, in which there are no other jobs and a `sendmail` that
//! keeps the mail. It looks at its table each minute, so this takes nearly three.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::cli::Cli;
use crate::common::needs::{self, Need};
use crate::common::past;
use crate::common::prefork::Prefork;
use crate::common::process::Id;
use leakwatch::core::model::process::ProcId;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

const MIB: u64 = 1 << 20;
const LEAKWATCH: &str = env!("CARGO_BIN_EXE_leakwatch");

/// What the daemon starts in: empty tables but one, and its own mailer.
const STAGE: &str = r#"set -e
cp /usr/sbin/cron "$1/cron"
mount -t tmpfs tmpfs /var/spool/cron; mkdir /var/spool/cron/crontabs
mount -t tmpfs tmpfs /etc/cron.d; cp "$1/table" /etc/cron.d/leakwatch
mount -t tmpfs tmpfs /usr/sbin; cp "$1/sendmail" /usr/sbin/sendmail
: > "$1/none"; mount --bind "$1/none" /etc/crontab
printf 'auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession optional pam_permit.so\n' > "$1/pam"
mount --bind "$1/pam" /etc/pam.d/cron
: > "$1/pid"; touch /run/crond.pid; mount --bind "$1/pid" /run/crond.pid
exec "$1/cron" -f"#;

/// Those that the daemon started and that run now: their command lines name the directory.
fn running(dir: &Path, what: &str) -> Vec<Id> {
    let dir = dir.to_str().unwrap();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = text.split(|byte| *byte == 0).collect();
        let is_check = words.get(1) == Some(&b"check".as_slice());
        words.first() == Some(&LEAKWATCH.as_bytes())
            && words.contains(&dir.as_bytes())
            && is_check == (what == "check")
    };
    pids.filter(is_one).filter_map(Id::of).collect()
}

/// Ends the watch that the daemon started, which outlives it.
struct Ending<'a>(&'a Path);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        for id in running(self.0, "watch") {
            let pid = Pid::from_raw(id.pid.cast_signed()).unwrap();
            if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
                && Id::of(id.pid) == Some(id)
            {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
    }
}

#[test]
#[ignore = "needs cron and root"]
fn cron_mails_what_changed_and_runs_one_at_a_time() {
    needs::require(&[Need::Program("cron", "cron"), Need::Root]);
    let (server, id) = Prefork::start_leaked(80);
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let (dir, master) = (state.to_str().unwrap(), server.master().pid.to_string());
    // Far from exhaustion, so that nothing is ended; the leak alone is new.
    let args = ["--pid", &master, "--budget", "150M", "--state-dir", dir];
    let options = past::options(&args);
    let growth = (ProcId { pid: id.pid, start: id.start }, MIB / 2);
    past::forge(&state, &options, 150, 60.0, &[growth]);
    let samples = || {
        let files = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        let mut histories = files.filter(|path| path.to_str().unwrap().ends_with(".history.jsonl"));
        let text = fs::read_to_string(histories.next().unwrap()).unwrap();
        text.lines().filter(|line| !line.contains("span_s")).count()
    };
    let before = samples();
    let options = args.join(" ");
    let table = format!(
        "LEAKWATCH_CONFIG=/dev/null\nMAILTO=root\n\
         * * * * * root {LEAKWATCH} check {options}\n\
         * * * * * root {LEAKWATCH} check {options}\n\
         * * * * * root {LEAKWATCH} -q {options} >> {dir}/watch.log 2>&1\n"
    );
    fs::write(home.path().join("table"), table).unwrap();
    let mail = home.path().join("mail");
    let mailer = format!("#!/bin/sh\n{{ echo '=== mail'; cat; }} >> {}\n", mail.display());
    fs::write(home.path().join("sendmail"), mailer).unwrap();
    fs::set_permissions(home.path().join("sendmail"), fs::Permissions::from_mode(0o755)).unwrap();

    let _ending = Ending(&state);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", STAGE, "sh"]).arg(home.path());
    let cron = Cli::start(&mut unshare);
    let mut watches = BTreeSet::new();
    let end = Instant::now() + Duration::from_secs(200);
    while samples() < before + 3 && Instant::now() < end {
        let now = running(&state, "watch");
        assert!(now.len() <= 2, "a second watch runs on: {now:?}");
        watches.extend(now.into_iter().filter(|id| {
            // Those that ended within a moment were the ones too many.
            std::thread::sleep(Duration::from_secs(1));
            id.runs()
        }));
        std::thread::sleep(Duration::from_millis(200));
    }
    let said = cron.err.text() + &cron.out.text();
    drop(cron);

    let mail = fs::read_to_string(&mail).unwrap_or_default();
    assert!(samples() >= before + 3, "{} checks of 3; {said}\n{mail}", samples() - before);
    assert_eq!(mail.matches("=== mail").count(), 1, "one change, one mail:\n{mail}");
    assert!(mail.contains("LEAKWATCH WARNING - "), "{mail}");
    assert_eq!(watches.len(), 1, "one watch for all that time: {watches:?}");
    assert!(server.ended("leaky").is_empty() && server.ended("healthy").is_empty());
}
