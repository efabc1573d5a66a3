//! Files: log files from the end backwards, compressed ones as far as time allows.

use super::gather::{LogEventCounts, hit};
use super::wordings::LogEntry;
use super::{LogSources, ServerLog};
use crate::diagnose::findings::Witness;
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// The most files that are read, the newest first.
const MOST_FILES: usize = 400;
/// Directories below the one given.
const DEEPEST: usize = 3;
/// The most entries of directories that are read in all.
const MOST_ENTRIES: usize = 20_000;
/// Records of the kernel's ring: it holds some ten thousand at most.
const MOST_RECORDS: usize = 65_536;

/// A log file.
struct Log {
    path: PathBuf,
    mtime: i64,
    packing: Packing,
    /// The user who must own it.
    owner: Option<u32>,
}

/// How a log file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Packing {
    Plain,
    Gzip,
    /// SUSE rotates to this, and some to the next.
    Xz,
    Bzip2,
    /// In a way that is not read here.
    Other,
}

/// KiB that unpacking may take; `xz -9` asks for 65 MiB.
const XZ_KIB: u32 = 80 << 10;

/// Reads the files of the directory and the further ones, the newest first.
pub(super) fn read_all(
    sources: &LogSources,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) {
    let mut logs = Vec::new();
    let mut budget = MOST_ENTRIES;
    collect(&sources.dir, 0, &mut budget, &mut logs, found);
    for ServerLog { path, owner } in &sources.files {
        // A file below the directory is there already.
        if let Some(log) = log(path).filter(|_| !path.starts_with(&sources.dir)) {
            logs.push(Log { owner: *owner, ..log });
        }
    }
    logs.retain(|log| !found.is_old(log.mtime as f64));
    // Plain ones first: of a compressed one the end is only had by way of its beginning.
    logs.sort_by_key(|log| (log.packing != Packing::Plain, std::cmp::Reverse(log.mtime)));
    let many = logs.len().saturating_sub(MOST_FILES);
    if many > 0 {
        found.unread(format!("{many} older log files"));
    }
    logs.truncate(MOST_FILES);
    for (index, log) in logs.iter().enumerate() {
        let name = log.path.display().to_string();
        let end = match open(&log.path).and_then(|file| of_owner(file, log.owner)) {
            Ok(file) if log.packing == Packing::Plain => {
                read_backwards(&file, &log.path, found, go_on)
            }
            Ok(file) => match unpacked(file, log.packing) {
                Some(mut text) => read_packed(&mut *text, &log.path, found, go_on),
                None => {
                    found.unread(format!("{name}: packed in a way that is not read here"));
                    continue;
                }
            },
            Err(error) => {
                found.unread(format!("{name}: {error}"));
                continue;
            }
        };
        found.source();
        if let ReadEnd::Time = end {
            let rest = logs.len() - index;
            found.unread(format!("{rest} log files, from the middle of {name} on: time was up"));
            return;
        }
    }
}

/// How the reading of a file ended.
enum ReadEnd {
    Done,
    Time,
}

fn collect(
    dir: &Path,
    depth: usize,
    budget: &mut usize,
    logs: &mut Vec<Log>,
    found: &mut LogEventCounts,
) {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return found.unread(format!("{}: {error}", dir.display())),
    };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let path = entry.path();
        match entry.file_type() {
            // The journal's own files are journalctl's to read.
            Ok(kind) if kind.is_dir() && depth < DEEPEST && entry.file_name() != "journal" => {
                collect(&path, depth + 1, budget, logs, found);
            }
            Ok(kind) if kind.is_file() => logs.extend(log(&path)),
            // Links lead to files that are here, or out of here.
            _ => {}
        }
    }
}

/// The file as a log, if it may be one. Logs of accesses are large and tell nothing of memory.
fn log(path: &Path) -> Option<Log> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let is_no_log = ["access", "wtmp", "btmp", "lastlog", "faillog", "tallylog", "sa.", "dpkg"]
        .iter()
        .any(|word| name.contains(word));
    let no_text = [".journal", ".journal~", ".db", ".dat"];
    let meta = std::fs::symlink_metadata(path).ok()?;
    if is_no_log || no_text.iter().any(|end| name.ends_with(end)) || !meta.is_file() {
        return None;
    }
    let packing = match name.rsplit('.').next() {
        Some("gz") => Packing::Gzip,
        Some("xz" | "lzma") => Packing::Xz,
        Some("bz2") => Packing::Bzip2,
        Some("zst" | "lz4" | "zip" | "z" | "7z" | "br") => Packing::Other,
        _ => Packing::Plain,
    };
    Some(Log { path: path.to_owned(), mtime: meta.mtime(), packing, owner: None })
}

/// The file, if it belongs to whom it must.
fn of_owner(file: File, owner: Option<u32>) -> std::io::Result<File> {
    match owner {
        Some(owner) if file.metadata()?.uid() != owner => {
            Err(std::io::Error::other("is not its server's user's, who named it"))
        }
        _ => Ok(file),
    }
}

/// Opens a regular file. Whoever may write to a log directory could have put something else in its
/// place meanwhile: not following links and not waiting for a fifo's writer makes that harmless.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("is no file")),
    }
}

fn read_backwards(
    file: &File,
    path: &Path,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadEnd {
    let (program, name) = (program_of(path), path.display().to_string());
    let mut at = file.metadata().map_or(0, |meta| meta.len());
    let mut buffer = vec![0; CHUNK];
    // The beginning of the piece above, which is the end of a line in the next one.
    let mut carry: Vec<u8> = Vec::new();
    while at > 0 {
        if !go_on() {
            return ReadEnd::Time;
        }
        let size = at.min((CHUNK - carry.len()) as u64);
        at -= size;
        let size = size as usize;
        let Some(piece) = buffer.get_mut(..size) else { break };
        // A file that was cut meanwhile ends here.
        if file.read_exact_at(piece, at).is_err() {
            break;
        }
        found.read(size);
        if let Some(place) = buffer.get_mut(size..size + carry.len()) {
            place.copy_from_slice(&carry);
        }
        let piece = buffer.get(..size + carry.len()).unwrap_or_default();
        let first = match at {
            0 => 0,
            _ => piece.iter().position(|byte| *byte == b'\n').map_or(piece.len(), |n| n + 1),
        };
        let whole = piece.get(first..).unwrap_or_default();
        found.text(whole, &program, &name);
        if is_old(whole, found) {
            break;
        }
        // A line of half a piece is no line of text; it is dropped rather than dragged along.
        carry.clear();
        if first <= CHUNK / 2 {
            carry.extend_from_slice(piece.get(..first).unwrap_or_default());
        }
    }
    ReadEnd::Done
}

/// Whether the first line of a piece that has a time is too old: all before it is.
fn is_old(piece: &[u8], found: &LogEventCounts) -> bool {
    let mut lines = piece.split(|byte| *byte == b'\n').take(20);
    lines
        .find_map(|line| {
            let line = String::from_utf8_lossy(line.get(..64).unwrap_or(line));
            found.stamps().split(&line).t
        })
        .is_some_and(|t| found.is_old(t))
}

/// What a packed file holds, as text that is read from its beginning.
fn unpacked(file: File, packing: Packing) -> Option<Box<dyn Read>> {
    let file = BufReader::with_capacity(1 << 16, file);
    match packing {
        Packing::Gzip => Some(Box::new(MultiGzDecoder::new(file))),
        Packing::Xz => Some(Box::new(XzReader::new_mem_limit(file, true, XZ_KIB))),
        Packing::Bzip2 => Some(Box::new(MultiBzDecoder::new(file))),
        Packing::Plain | Packing::Other => None,
    }
}

fn read_packed(
    text: &mut dyn Read,
    path: &Path,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadEnd {
    let (program, name) = (program_of(path), path.display().to_string());
    let mut buffer = vec![0; CHUNK];
    let mut kept = 0;
    loop {
        if !go_on() {
            return ReadEnd::Time;
        }
        let got = match buffer.get_mut(kept..).map(|rest| text.read(rest)) {
            Some(Ok(got)) if got > 0 => got,
            end => {
                if let Some(Err(error)) = end {
                    found.unread(format!("{name}: {error}"));
                }
                found.text(buffer.get(..kept).unwrap_or_default(), &program, &name);
                return ReadEnd::Done;
            }
        };
        found.read(got);
        let filled = kept + got;
        let piece = buffer.get(..filled).unwrap_or_default();
        let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
        // No line break in a whole piece: no text.
        let end = if end == 0 && filled == CHUNK { filled } else { end };
        found.text(piece.get(..end).unwrap_or_default(), &program, &name);
        buffer.copy_within(end..filled, 0);
        kept = filled - end;
    }
}

/// Directories of logs that are named after their program, and its name.
const OF_PROGRAM: [(&str, &str); 27] = [
    ("apt", "apt"),
    ("apache2", "apache2"),
    ("httpd", "httpd"),
    ("nginx", "nginx"),
    ("angie", "angie"),
    ("postgresql", "postgresql"),
    ("mysql", "mysql"),
    ("mariadb", "mariadb"),
    ("uwsgi", "uwsgi"),
    ("gunicorn", "gunicorn"),
    ("redis", "redis"),
    ("tomcat", "tomcat"),
    ("elasticsearch", "elasticsearch"),
    ("opensearch", "opensearch"),
    ("jenkins", "jenkins"),
    ("haproxy", "haproxy"),
    ("varnish", "varnish"),
    ("squid", "squid"),
    ("samba", "samba"),
    ("mongodb", "mongod"),
    ("rabbitmq", "rabbitmq"),
    ("celery", "celery"),
    ("odoo", "odoo"),
    ("kamailio", "kamailio"),
    ("puma", "puma"),
    ("unicorn", "unicorn"),
    ("pgpool", "pgpool"),
];
/// Names of files that say nothing of a program.
const OF_ANY: [&str; 18] = [
    "error",
    "errors",
    "main",
    "other",
    "ssl",
    "log",
    "out",
    "err",
    "stderr",
    "stdout",
    "server",
    "production",
    "app",
    "application",
    "debug",
    "current",
    "console",
    "output",
];

/// Which program writes a log, by its place: `apache2/error.log`, `php8.2-fpm.log.1`.
fn program_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
    let dirs = || path.parent().into_iter().flat_map(Path::components).rev().take(DEEPEST);
    let dir = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let known = || {
        dirs().find_map(|dir| {
            let dir = dir.as_os_str().to_string_lossy();
            let bare = dir.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
            OF_PROGRAM.iter().find(|(of, _)| *of == dir || *of == bare).map(|(_, name)| *name)
        })
    };
    match stem {
        php if php.starts_with("php") => "php-fpm".to_owned(),
        "dmesg" | "vmcore" => "dmesg".to_owned(),
        "zabbix" => name.split(['.', '-']).next().unwrap_or_default().to_owned(),
        "catalina" | "localhost" => "tomcat".to_owned(),
        _ => match known() {
            Some(program) => program.to_owned(),
            None if OF_ANY.contains(&stem) && !["log", "logs", ""].contains(&&*dir) => {
                dir.into_owned()
            }
            None => stem.to_owned(),
        },
    }
}

/// Reads the kernel's ring buffer: one record a read, and EAGAIN when there is no further one.
pub(super) fn read_kmsg(path: &Path, found: &mut LogEventCounts) {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        // Most machines let root alone read it; no ring at all is a container's usual state.
        Err(rustix::io::Errno::NOENT) => return,
        Err(error) => return found.unread(format!("the kernel's messages ({error}): that takes CAP_SYSLOG, which root outside containers has")),
    };
    found.source();
    let mut buffer = [0; 8192];
    for _ in 0..MOST_RECORDS {
        match rustix::io::read(&file, &mut buffer) {
            Ok(length) if length > 0 => {
                found.read(length);
                let record = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                kmsg_record(&record, found);
            }
            // Overwritten meanwhile: the next read goes on with the oldest that is left.
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

/// `6,1234,5678901234,-;message`: priority and facility, number, microseconds since boot. Records
/// that programs wrote (facility not 0) are not the kernel's word.
fn kmsg_record(record: &str, found: &mut LogEventCounts) {
    let Some((head, message)) = record.split_once(';') else { return };
    let mut fields = head.split(',');
    let priority: Option<u32> = fields.next().and_then(|field| field.parse().ok());
    let micros: Option<u64> = fields.nth(1).and_then(|field| field.parse().ok());
    let body = message.lines().next().unwrap_or_default();
    if priority.is_none_or(|priority| priority >= 8) {
        return;
    }
    let t = micros.map(|micros| found.stamps().since_boot(micros));
    let entry = LogEntry { tag: "kernel", body, ..LogEntry::default() };
    hit(t, &entry, ("kernel messages", Witness::Kernel))
        .into_iter()
        .for_each(|hit| found.take(hit));
}

#[cfg(test)]
mod tests {
    use super::super::{Stamps, read};
    use super::*;
    use crate::diagnose::findings::Logs;
    use jiff::tz::TimeZone;
    use std::io::Write;

    const XZ: &[u8] = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x3e\x4e\x6f\x76\x20\x32\x30\x20\x31\x30\x3a\x30\x30\x3a\x30\x30\x20\x68\x20\x73\x73\x68\x64\x5b\x31\x5d\x3a\x20\x65\x72\x72\x6f\x72\x3a\x20\x66\x6f\x72\x6b\x3a\x20\x43\x61\x6e\x6e\x6f\x74\x20\x61\x6c\x6c\x6f\x63\x61\x74\x65\x20\x6d\x65\x6d\x6f\x72\x79\x0a\x00\x00\x8e\xfd\x22\xa8\x0c\xb4\x30\x3a\x00\x01\x57\x3f\x85\x53\x1a\x63\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";
    /// 2026-11-24 12:00:00 UTC.
    const NOW: f64 = 1_795_521_600.0;

    fn look(dir: &Path) -> Logs {
        let stamps = Stamps::new(TimeZone::UTC, NOW, NOW - 1000.0);
        read(&LogSources::only(dir, NOW - 7.0 * 86_400.0), &stamps, &mut || true)
    }

    fn fork(at: &str) -> String {
        format!("Nov {at} h sshd[1]: error: fork: Cannot allocate memory\n")
    }

    fn counted(logs: &Logs) -> u64 {
        logs.log_events.iter().map(|log_event| log_event.count).sum()
    }

    #[test]
    fn rotated_and_compressed_logs_count_and_links_do_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("auth.log"), fork("24 10:00:00")).unwrap();
        std::fs::write(dir.path().join("sub/auth.log.1"), fork("23 10:00:00")).unwrap();
        let gz = File::create(dir.path().join("auth.log.2.gz")).unwrap();
        let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
        gz.write_all(fork("22 10:00:00").as_bytes()).unwrap();
        gz.finish().unwrap();
        let bz2 = File::create(dir.path().join("auth.log.3.bz2")).unwrap();
        let mut bz2 = bzip2::write::BzEncoder::new(bz2, bzip2::Compression::fast());
        bz2.write_all(fork("21 10:00:00").as_bytes()).unwrap();
        bz2.finish().unwrap();
        // `printf 'Nov 20 10:00:00 h sshd[1]: error: fork: Cannot allocate memory\n' | xz`
        std::fs::write(dir.path().join("auth.log-20261120.xz"), XZ).unwrap();
        std::fs::write(dir.path().join("auth.log.4.zst"), b"x").unwrap();
        std::fs::write(dir.path().join("access.log"), fork("24 11:00:00")).unwrap();
        std::os::unix::fs::symlink("auth.log", dir.path().join("link.log")).unwrap();
        let logs = look(dir.path());
        assert_eq!((counted(&logs), logs.sources), (5, 5), "{logs:?}");
        assert!(logs.unread[0].contains("auth.log.4.zst: packed"), "{:?}", logs.unread);
    }

    #[test]
    fn every_line_counts_once_wherever_the_pieces_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::new();
        let mut wanted = 0;
        while text.len() < 5 * CHUNK / 2 {
            text += &fork(&format!(
                "24 {:02}:{:02}:{:02}",
                wanted / 3600,
                wanted / 60 % 60,
                wanted % 60
            ));
            text += &"x".repeat(wanted as usize % 997);
            text += "\n";
            wanted += 1;
        }
        std::fs::write(dir.path().join("auth.log"), text).unwrap();
        assert_eq!(counted(&look(dir.path())), wanted);
    }

    #[test]
    fn reading_stops_where_lines_are_too_old() {
        let dir = tempfile::tempdir().unwrap();
        let old = "Nov 01 10:00:00 h x[1]: y\n".repeat(4 * CHUNK / 26);
        std::fs::write(dir.path().join("auth.log"), old + &fork("24 10:00:00")).unwrap();
        let logs = look(dir.path());
        assert_eq!(counted(&logs), 1);
        assert!(logs.bytes <= 2 * CHUNK as u64, "{} bytes", logs.bytes);
    }

    #[test]
    fn binary_noise_and_endless_lines_are_borne() {
        let dir = tempfile::tempdir().unwrap();
        let noise: Vec<u8> = (0..3 * CHUNK).map(|n| (n % 251) as u8 | 0x80).collect();
        std::fs::write(dir.path().join("a.log"), noise).unwrap();
        std::fs::write(dir.path().join("b.log.gz"), b"\x1f\x8b\x08 no gzip").unwrap();
        let logs = look(dir.path());
        assert_eq!(counted(&logs), 0);
        assert_eq!(logs.unread.len(), 1, "{:?}", logs.unread);
    }

    #[test]
    fn when_time_is_up_what_was_not_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("auth.log"), fork("24 10:00:00")).unwrap();
        let stamps = Stamps::new(TimeZone::UTC, NOW, 0.0);
        let logs = read(&LogSources::only(dir.path(), 0.0), &stamps, &mut || false);
        assert_eq!(logs.log_events, []);
        assert!(logs.unread[0].contains("time was up"), "{:?}", logs.unread);
    }

    #[test]
    fn records_of_the_ring_are_the_kernels_or_do_not_count() {
        let stamps = Stamps::new(TimeZone::UTC, NOW, NOW - 1000.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        let kill = "Out of memory: Killed process 7 (apache2) total-vm:1kB";
        kmsg_record(&format!("3,1,500000000,-;{kill}\n SUBSYSTEM=x\n"), &mut found);
        kmsg_record(&format!("12,2,600000000,-;{kill} forged\n"), &mut found);
        let logs = found.finish();
        assert_eq!(counted(&logs), 1);
        assert_eq!(logs.log_events[0].last_t, Some(NOW - 500.0));
    }

    #[test]
    fn fuzz_ring() {
        let stamps = Stamps::new(TimeZone::UTC, NOW, NOW - 1000.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        let texts: [&[u8]; 1] =
            [b"3,1,500000000,-;Out of memory: Killed process 7 (apache2) total-vm:1kB\n SUBSYSTEM=x\n"];
        crate::core::fuzz::fuzz("kernel records", 1, &texts, |text| {
            kmsg_record(&String::from_utf8_lossy(text), &mut found);
        });
    }

    #[test]
    fn the_program_of_a_log_is_told_by_its_place() {
        for (path, program) in [
            ("/var/log/apache2/error.log", "apache2"),
            ("/var/log/apache2/other_vhosts.log.1", "apache2"),
            ("/var/log/httpd/error_log-20261101", "httpd"),
            ("/var/log/php8.2-fpm.log.2.gz", "php-fpm"),
            ("/var/log/postgresql/postgresql-15-main.log", "postgresql"),
            ("/var/log/gunicorn/error.log", "gunicorn"),
            ("/var/log/syslog", "syslog"),
            ("/tmp/x/dmesg.0", "dmesg"),
            ("/var/log/zabbix/zabbix_server.log", "zabbix_server"),
            ("/var/log/tomcat9/catalina.out", "tomcat"),
            ("/var/log/uwsgi/app/shop.log", "uwsgi"),
            ("/var/log/shop/error.log", "shop"),
            ("/var/log/supervisor/worker-stderr.log", "worker"),
        ] {
            assert_eq!(program_of(Path::new(path)), program, "{path}");
        }
    }
}
