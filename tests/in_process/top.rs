//! The live view: screens of recordings, as files of tests/fixtures/top have them.
//! `UPDATE=1 cargo test --test in_process top::` writes them anew; look at what changed.

use clap::Parser;
use leakwatch::cli::config;
use leakwatch::cli::options::{Cli, Command, TopOptions};
use leakwatch::command::top::live_view::keys::Key;
use leakwatch::command::top::live_view::log::EventLog;
use leakwatch::command::top::live_view::view::{TimeRequest, View};
use leakwatch::command::top::live_view::{ScreenSize, ScreenStyle, draw};
use leakwatch::command::top::playback::Playback;
use leakwatch::core::model::ceiling::{Ceiling, CeilingKind, Place};
use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use leakwatch::store::recording::Writer;
use std::fs::File;
use std::path::{Path, PathBuf};

const SMALL: ScreenSize = ScreenSize { columns: 80, rows: 24 };
const LARGE: ScreenSize = ScreenSize { columns: 160, rows: 50 };
const PLAIN: ScreenStyle = ScreenStyle { colour: false, unicode: false };
const FULL: ScreenStyle = ScreenStyle { colour: true, unicode: true };

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn options() -> TopOptions {
    match Cli::parse_from(["leakwatch", "top"]).command {
        Some(Command::Top(options)) => options,
        other => panic!("top is {other:?}"),
    }
}

/// The screen of a recording so many seconds after its beginning, after some keys.
fn screen(
    recording: &Path,
    at_s: f64,
    size: ScreenSize,
    look: ScreenStyle,
    keys: &[Key],
) -> String {
    let options = options();
    let (file, name) = (File::open(recording).unwrap(), recording.display().to_string());
    let mut playback = Playback::of(file, name, &options.judge, 10.0).unwrap();
    let mut log = EventLog::default();
    playback.move_time(TimeRequest::Seconds(at_s));
    playback.catch_up(&mut log, || true).unwrap();
    let mut view = View::new(playback.clock(), size, log);
    let scene = playback.scene();
    for key in keys {
        view.press(*key, &scene);
    }
    let lines = draw(&view, &scene, look);
    assert_eq!(lines.len(), size.rows);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Compares a screen with its file.
fn agree(name: &str, found: &str) {
    let path = file("fixtures/top").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is another screen now:\n{found}\nits file has:\n{wanted}");
}

#[test]
fn a_real_apache_leak_looks_so_on_small_and_large_terminals_with_and_without_colour() {
    let recording = file("recordings/apache-leak.jsonl.gz");
    for (size, look, name) in [
        (SMALL, PLAIN, "apache-leak-80x24.txt"),
        (LARGE, PLAIN, "apache-leak-160x50.txt"),
        (SMALL, FULL, "apache-leak-80x24-colour.txt"),
        (LARGE, FULL, "apache-leak-160x50-colour.txt"),
    ] {
        agree(name, &screen(&recording, 225.0, size, look, &[]));
    }
}

#[test]
fn keys_choose_sort_and_show_pages() {
    let recording = file("recordings/cargo-build.jsonl.gz");
    let shown = |keys: &[Key]| screen(&recording, 150.0, SMALL, PLAIN, keys);
    agree("cargo-build-by-size.txt", &shown(&[Key::Char('s'), Key::Char('s'), Key::Down]));
    agree("cargo-build-processes.txt", &shown(&[Key::Tab, Key::Down, Key::Down]));
    agree("help.txt", &shown(&[Key::Char('?')]));
    agree("events.txt", &shown(&[Key::Char('l')]));
    let filtered = shown(&[Key::Char('/'), Key::Char('z'), Key::Char('z')]);
    assert!(filtered.contains("/zz") && filtered.contains("show only: zz_"), "{filtered}");
    assert_eq!(shown(&[Key::Char('?'), Key::Escape]), shown(&[]));
}

#[test]
fn a_screen_of_any_size_has_its_rows_and_no_line_beyond_its_columns() {
    let recording = file("recordings/prefork-leak.jsonl.gz");
    for (columns, rows) in [(1, 1), (39, 11), (40, 12), (61, 15), (80, 24), (119, 30), (400, 120)] {
        let size = ScreenSize { columns, rows };
        for keys in [&[][..], &[Key::Char('?')], &[Key::Char('l')]] {
            let shown = screen(&recording, 200.0, size, PLAIN, keys);
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{columns}x{rows}:\n{shown}");
        }
    }
}

/// A recording in which every text that others write tries to act on the terminal.
fn hostile(path: &Path) {
    let header = Header {
        interval_s: 1.0,
        clock_ticks: 100,
        page_size: 4096,
        hostname: "a\x1b]0;title\x07\u{202e}b".to_owned(),
    };
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    let (mib, id) = (1 << 20, ProcId { pid: 10, start: 1 });
    for n in 0..200 {
        let comm = Comm::new(b"\x1b[2J\x9b3\xc2\x9bz\n\t");
        let bytes = (50 + n) * mib;
        let proc = Proc {
            id,
            ppid: 1,
            comm,
            rss: bytes,
            anon: Some(bytes),
            swap: 0,
            cpu_s: 0.0,
            threads: 1,
        };
        let place = Place::new("/a\u{1b}[H\u{200f}\u{9b}2J\u{4e2d}/x.service");
        let (kind, used, limit) = (CeilingKind::CgroupMemory, bytes, 400 * mib);
        let text = "\x1b[31mexe\u{2066}\r".to_owned();
        let program = Program {
            id,
            exe: text.clone(),
            title: text,
            threads: 1,
            forked: false,
            permitted: None,
            uid: None,
            unit: None,
        };
        let sample = Sample {
            t: 1_700_000_000.0 + n as f64,
            memory: Memory { total: 1000 * mib, available: 900 * mib, ..Memory::default() },
            ceilings: vec![Ceiling { kind, root: Some(id), place, used, limit }],
            procs: vec![proc],
            programs: if n == 0 { vec![program] } else { Vec::new() },
            ..Sample::default()
        };
        writer.write(&sample).unwrap();
    }
    writer.flush().unwrap();
    std::fs::write(path, writer.into_inner()).unwrap();
}

#[test]
fn what_others_wrote_never_acts_on_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("hostile.jsonl");
    hostile(&recording);
    let filter = [Key::Char('/'), Key::Char('\u{9b}'), Key::Char('\u{202e}')];
    for keys in [&[][..], &[Key::Char('l')], &[Key::Tab], &filter] {
        let shown = screen(&recording, 190.0, LARGE, PLAIN, keys);
        assert!(shown.chars().all(|c| c == '\n' || (c.is_ascii() && !c.is_control())), "{shown:?}");
        let coloured = screen(&recording, 190.0, LARGE, FULL, keys);
        let ours: String = coloured
            .split("\x1b[")
            .map(|part| part.split_once('m').map_or(part, |p| p.1))
            .collect();
        assert!(!ours.contains(|c: char| c.is_control() && c != '\n'), "{coloured:?}");
    }
}

#[test]
fn what_a_configured_watch_protects_is_protected_and_its_selection_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leakwatch.toml");
    let text = "pattern = [\"apache2\"]\nprotect = [\"a\"]\ninterval = \"2s\"\n\
                [[watch]]\nname = \"x\"\npattern = [\"x\"]\nprotect = [\"b\"]\n\
                [[watch]]\nname = \"y\"\npattern = [\"y\"]\nprotect = [\"c\", \"d\"]\n";
    std::fs::write(&path, text).unwrap();
    let args = ["leakwatch", "top", "--config", path.to_str().unwrap()].map(Into::into);
    let parsed = config::parse(&args).unwrap();
    let [only] = &parsed[..] else { panic!("{} views", parsed.len()) };
    let Some(Command::Top(top)) = &only.cli.command else { panic!("it is top") };
    assert_eq!(top.judge.protect, ["a", "b", "c", "d"]);
    assert!(top.select.is_empty());
    assert_eq!(top.timing.interval, 2.0);
}
