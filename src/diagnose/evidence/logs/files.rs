//! Files: log files from the end backwards, compressed ones as far as time allows; and the kernel's ring.

use super::budget::Deadline;
use super::budget::ReadEnd;
use super::gather::LogEventCounts;
use super::hit::hit;
use super::journal;
use super::queue::{LogKind, OpenLog, Packing, ReadOutcome};
use super::wordings::LogEntry;
use crate::diagnose::findings::Witness;
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// The same of a packed file: between two looks at the clock.
const PACKED_CHUNK: usize = 1 << 14;
/// Records of the kernel's ring: it holds some ten thousand at most.
const MOST_RECORDS: usize = 65_536;

/// KiB that unpacking may take; `xz -9` asks for 65 MiB.
const XZ_KIB: u32 = 80 << 10;

/// Reads a log for as long as `go_on` says so.
pub(super) fn read(
    log: OpenLog,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadOutcome {
    let file = File::from(log.file);
    found.begin(log.left);
    let end = match &log.kind {
        LogKind::Journal => {
            let outcome = journal::read(file, found, go_on);
            found.end("journal");
            return outcome;
        }
        LogKind::Kernel => {
            read_ring(&file, found);
            ReadEnd::Whole
        }
        LogKind::File { name, program, packing } => {
            let log = Named { name, program };
            let end = match unpacked(file, *packing, found.budget.deadline()) {
                Unpacked::Plain(file) => read_backwards(&file, log, found, go_on),
                Unpacked::Packed(mut text) => read_packed(&mut *text, log, found, go_on),
            };
            found.end(name);
            end
        }
    };
    found.source();
    ReadOutcome { entries: 0, end }
}

/// How many bytes to read next; an end where there is none.
fn piece(
    most: usize,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<usize, ReadEnd> {
    if !go_on() {
        return Err(ReadEnd::TimeUp);
    }
    match found.budget.next(most) {
        0 => Err(ReadEnd::ShareUsed),
        size => Ok(size),
    }
}

/// The end of a log that was read to where it is too old or begins.
fn end_of(found: &LogEventCounts) -> ReadEnd {
    if found.budget.is_over() { ReadEnd::ShareUsed } else { ReadEnd::Whole }
}

/// A file's name, and the program that writes it.
#[derive(Clone, Copy)]
struct Named<'n> {
    name: &'n str,
    program: &'n str,
}

/// Reads the pieces of a file from its end.
fn read_backwards(
    file: &File,
    log: Named<'_>,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadEnd {
    let Named { name, program } = log;
    let mut at = file.metadata().map_or(0, |meta| meta.len());
    let mut buffer = vec![0; CHUNK];
    // The beginning of the piece above, which is the end of a line in the next one.
    let mut carry: Vec<u8> = Vec::new();
    while at > 0 {
        let most = at.min((CHUNK - carry.len()) as u64) as usize;
        let size = match piece(most, found, go_on) {
            Ok(size) => size,
            Err(end) => return end,
        };
        at -= size as u64;
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
        found.text(whole, program, name);
        if is_old(whole, found) {
            break;
        }
        // A line of half a piece is no line of text; it is dropped rather than dragged along.
        carry.clear();
        if first <= CHUNK / 2 {
            carry.extend_from_slice(piece.get(..first).unwrap_or_default());
        }
    }
    end_of(found)
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

/// A file, or what a packed one holds, as text that is read from its beginning.
enum Unpacked {
    Plain(File),
    Packed(Box<dyn Read>),
}

/// A packed file, of which no more is read once its share of time is used up: a decoder looks through gigabytes of
/// padding, or of streams that hold nothing, before it gives back anything.
struct PackedFile {
    file: File,
    deadline: Deadline,
    is_begun: bool,
}

impl Read for PackedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Of each something is read.
        if std::mem::replace(&mut self.is_begun, true) && self.deadline.is_over() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.file.read(buffer)
    }
}

fn unpacked(file: File, packing: Packing, deadline: Deadline) -> Unpacked {
    let packed = |file| {
        BufReader::with_capacity(PACKED_CHUNK, PackedFile { file, deadline, is_begun: false })
    };
    Unpacked::Packed(match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed(file))),
        Packing::Xz => Box::new(XzReader::new_mem_limit(packed(file), true, XZ_KIB)),
        Packing::Bzip2 => Box::new(MultiBzDecoder::new(packed(file))),
        Packing::Plain | Packing::Other => return Unpacked::Plain(file),
    })
}

fn read_packed(
    text: &mut dyn Read,
    log: Named<'_>,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadEnd {
    let Named { name, program } = log;
    let mut buffer = vec![0; CHUNK];
    let mut kept = 0;
    loop {
        let size = match piece(CHUNK - kept, found, go_on) {
            Ok(size) => size,
            Err(end) => return end,
        };
        let got = match buffer.get_mut(kept..kept + size).map(|rest| text.read(rest)) {
            Some(Ok(got)) if got > 0 => got,
            end => {
                let is_late = |error: &std::io::Error| error.kind() == ErrorKind::TimedOut;
                if matches!(&end, Some(Err(error)) if is_late(error)) {
                    found.text(buffer.get(..kept).unwrap_or_default(), program, name);
                    return ReadEnd::ShareUsed;
                }
                if let Some(Err(error)) = end {
                    found.unread(format!("{name}: {error}"));
                }
                found.text(buffer.get(..kept).unwrap_or_default(), program, name);
                return end_of(found);
            }
        };
        found.read(got);
        let filled = kept + got;
        let piece = buffer.get(..filled).unwrap_or_default();
        let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
        // No line break in a whole piece: no text.
        let end = if end == 0 && filled == CHUNK { filled } else { end };
        found.text(piece.get(..end).unwrap_or_default(), program, name);
        buffer.copy_within(end..filled, 0);
        kept = filled - end;
    }
}

/// Reads the kernel's ring buffer: one record a read, and EAGAIN when there is no further one.
fn read_ring(file: &File, found: &mut LogEventCounts) {
    let mut buffer = [0; 8192];
    for _ in 0..MOST_RECORDS {
        match rustix::io::read(file, &mut buffer) {
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
    use super::super::{LogSources, Stamps, read};
    use super::*;
    use crate::diagnose::findings::Logs;
    use jiff::tz::TimeZone;
    use std::io::Write;
    use std::path::Path;

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
    fn a_packed_file_of_padding_takes_its_share_and_no_other_logs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("auth.log"), fork("24 10:00:00")).unwrap();
        for (name, begin) in [("a.log.xz", XZ), ("b.log.xz", XZ)] {
            let path = dir.path().join(name);
            std::fs::write(&path, begin).unwrap();
            File::options().write(true).open(&path).unwrap().set_len(100 << 30).unwrap();
        }
        let began_s = crate::system::wait::processor_s_of_thread();
        let logs = look(dir.path());
        let took_s = crate::system::wait::processor_s_of_thread() - began_s;
        assert_eq!(counted(&logs), 2, "{logs:?}");
        assert!(logs.unread.iter().any(|what| what.starts_with("parts of ")), "{logs:?}");
        assert!(took_s < 60.0, "{took_s} s");
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
}
