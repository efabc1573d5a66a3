//! Memory: that of another process, page by page, as the kernel shows it from outside.

use super::CensusTarget;
use crate::core::census::ReadPart;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Pages whose state is read at once, each a word.
const AHEAD: usize = 512;
/// In a word of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// The memory of a process.
///
/// By /proc/PID/mem and not `process_vm_readv`: that pins what it reads, and since Linux 5.19 pinning a page
/// that a fork has in common copies it (`gup_must_unshare` in mm/gup.c). A census of eight workers of
/// gunicorn took 85 MB that way, where 160 MB were left.
pub(super) struct ProcessMemory {
    contents: File,
    pagemap: File,
    /// The state of pages from `first` on.
    pages: Vec<u64>,
    first: u64,
    page: u64,
    /// Why the kernel refused to read at all.
    pub(super) refused: Option<Errno>,
}

impl ProcessMemory {
    pub(super) fn of(subject: &CensusTarget) -> Result<Self, Errno> {
        let (pagemap, contents) = (subject.open("pagemap")?, subject.open("mem")?);
        let page = procfs::page_size().max(4096);
        Ok(Self { contents, pagemap, pages: Vec::new(), first: 0, page, refused: None })
    }

    /// Whether the memory is still in use: it goes with the process, and when that runs another program.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.pagemap.read_at(&mut [0; 8], 0), Ok(8))
    }

    /// The state of a page.
    fn state(&mut self, page: u64) -> u64 {
        let known = |pages: &[u64], first: u64| {
            let index = usize::try_from(page.checked_sub(first)?).ok()?;
            pages.get(index).copied()
        };
        if let Some(state) = known(&self.pages, self.first) {
            return state;
        }
        let mut bytes = [[0_u8; 8]; AHEAD];
        let read = self.pagemap.read_at(bytes.as_flattened_mut(), page.saturating_mul(8));
        let read = read.unwrap_or(0) / 8;
        self.first = page;
        self.pages.clear();
        self.pages.extend(bytes.iter().take(read).map(|word| u64::from_ne_bytes(*word)));
        known(&self.pages, self.first).unwrap_or(0)
    }

    /// Pages from one on that are alike: whether they are in RAM, swapped, or neither; and where the
    /// first one is that is not.
    fn alike(&mut self, at: u64, end: u64) -> (u64, u64) {
        let kind = |state: u64| state & (PRESENT | SWAPPED | OF_FILE);
        let mut page = at / self.page;
        // What was read ahead for an earlier block may be out of date.
        if page >= self.first + self.pages.len() as u64 || page < self.first {
            self.pages.clear();
        }
        let first = kind(self.state(page));
        while page.saturating_mul(self.page) < end && kind(self.state(page)) == first {
            page += 1;
        }
        (first, page.saturating_mul(self.page).min(end))
    }

    pub(super) fn read(&mut self, at: u64, buffer: &mut [u8]) -> ReadPart {
        let end = at.saturating_add(buffer.len() as u64);
        let (kind, end) = self.alike(at, end);
        let length = usize::try_from(end - at).unwrap_or(0);
        let Some(buffer) = buffer.get_mut(..length) else { return ReadPart::Hole(self.page) };
        // A file may be on a file system of the process's own making, which need never answer. What
        // malloc wrote into is a file's no more.
        if kind & (SWAPPED | OF_FILE) != 0 {
            return ReadPart::Hole(end - at);
        }
        if kind & PRESENT == 0 {
            buffer.fill(0);
            return ReadPart::Bytes(length);
        }
        match self.contents.read_at(buffer, at).map_err(|e| Errno::from_io_error(&e)) {
            Ok(read) if read > 0 => ReadPart::Bytes(read),
            // It was unmapped meanwhile, or the process is gone.
            Ok(_) | Err(Some(Errno::IO | Errno::FAULT)) => {
                ReadPart::Hole(self.page - at % self.page)
            }
            Err(error) => {
                self.refused = Some(error.unwrap_or(Errno::IO));
                ReadPart::Hole(u64::MAX)
            }
        }
    }
}
