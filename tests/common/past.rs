//! Past: the history that earlier checks would have left, had there been any.

use std::path::Path;

use super::cli::{Cli as Run, PROMPTLY};
use clap::Parser;
use leakwatch::cli::options::{CheckOptions, Cli, Command};
use leakwatch::cli::resolve;
use leakwatch::core::model::ceiling::{Ceiling, CeilingKind, Place};
use leakwatch::core::model::process::ProcId;
use leakwatch::core::model::sample::Sample;
use leakwatch::store::history::CheckHistory;
use leakwatch::store::history::last_report::LastReport;
use leakwatch::store::history::lock::SelectionLock;
use leakwatch::store::recording::Reader;
use leakwatch::system::machine;

/// The options of `leakwatch check` with these arguments.
pub fn options(args: &[&str]) -> CheckOptions {
    match Cli::parse_from([&["leakwatch", "check"], args].concat()).command {
        Some(Command::Check(check)) => check,
        other => panic!("not a check: {other:?}"),
    }
}

/// What such a check sees now; through another process, because none sees its own children.
pub fn look(options: &CheckOptions) -> Sample {
    let select = &options.select;
    let mut args = vec!["record".to_owned(), "-".to_owned(), "-q".to_owned()];
    args.extend(["--samples".to_owned(), "1".to_owned()]);
    args.push(format!("--procfs={}", select.procfs.display()));
    args.extend(select.patterns.iter().map(|pattern| format!("--pattern={pattern}")));
    args.extend(select.pids.iter().map(|pid| format!("--pid={pid}")));
    let ended = Run::leakwatch(args).end(PROMPTLY);
    let text = ended.out.text();
    let mut reader = Reader::new(text.as_bytes(), "a look".to_owned()).unwrap();
    let mut sample = Sample::default();
    assert!(reader.read(&mut sample).unwrap(), "{}", ended.err.text());
    // That is no matter of recordings.
    if let Some(limit) = options.budget {
        let root = sample.procs.iter().map(|proc| proc.id).min().expect("a process");
        let used = sample.procs.iter().map(|proc| proc.footprint()).sum();
        let (kind, place) = (CeilingKind::Budget, Place::NONE);
        sample.ceilings.push(Ceiling { kind, root: Some(root), place, used, limit });
    }
    sample
}

/// Whose growth it is, and by how many bytes a check it came to what it has now.
pub type Growth = (ProcId, u64);

/// Writes the history of `checks` checks into `dir`, the last one `every_s` ago, by which these
/// processes grew to what they are now, and machine and budget filled as they did.
pub fn forge(dir: &Path, options: &CheckOptions, checks: u32, every_s: f64, growths: &[Growth]) {
    let now = look(options);
    let name = resolve::file_name(&options.select);
    let lock = SelectionLock::take(dir, &format!("{name}.check")).unwrap();
    let boot = machine::boot(&options.select.procfs);
    let (mut history, _) = CheckHistory::open(dir, &name, lock, machine::header(1.0), &boot);
    for ago in (1..=checks).rev() {
        let mut then = now.clone();
        let ago_s = f64::from(ago) * every_s;
        then.t -= ago_s;
        then.uptime_s = then.uptime_s.map(|uptime_s| uptime_s - ago_s);
        let mut less = 0;
        for (id, each) in growths {
            let proc = then.procs.iter_mut().find(|proc| proc.id == *id).expect("it is seen");
            let had = proc.footprint().saturating_sub(each * u64::from(ago));
            less += proc.footprint() - had;
            proc.rss = had;
            proc.anon = Some(had);
        }
        then.memory.available += less;
        then.memory.total = then.memory.total.max(then.memory.available);
        for ceiling in &mut then.ceilings {
            ceiling.used = ceiling.used.saturating_sub(less);
        }
        for proc in &mut then.procs {
            proc.cpu_s = (proc.cpu_s - ago_s * 0.001).max(0.0);
        }
        if ago < checks {
            then.programs.clear();
        }
        history.add(&then, &[], options.history_size).unwrap();
    }
    history.keep_report(&LastReport::default()).unwrap();
}

/// Samples that were ever added to the history of such a check, which must be readable.
pub fn taken(dir: &Path, options: &CheckOptions) -> usize {
    let name = resolve::file_name(&options.select);
    let boot = machine::boot(&options.select.procfs);
    let (mut history, error) = CheckHistory::open(dir, &name, None, machine::header(1.0), &boot);
    assert!(error.is_none(), "{error:?}");
    let mut now = Sample { t: f64::INFINITY, ..Sample::default() };
    history.replay(&mut now, |_, _| ()).unwrap();
    assert_eq!(history.garbled(), 0);
    history.extent().0
}
