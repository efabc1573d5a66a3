//! Mapping: vm.overcommit_memory = 0 refuses a fork only if one single private writable mapping of
//! the parent is larger than RAM and swap together (measured in 230 MB: one of 400 MB fails, four
//! of 150 MB do not). So the mappings are read only of a parent whose address space is that large.

use super::SamplerView;
use std::io::{BufRead, BufReader};

/// Lines of /proc/PID/maps read; JVMs have some thousands.
const MOST: usize = 65_536;
/// From this share of RAM and swap on, in eighths, a mapping is worth listing.
const WORTH: u64 = 6;

/// The largest private writable mapping of a process in bytes, where it may keep it from forking.
pub(in crate::system) fn largest(view: &SamplerView<'_>, pid: u32, page_size: u64) -> Option<u64> {
    let whole = view.memory.limit();
    let near = |bytes: &u64| *bytes >= (whole / 8).saturating_mul(WORTH);
    let pages = view.known.get(&pid)?.watch.as_ref()?.pages;
    if view.overcommit != 0 || !near(&pages.data.saturating_mul(page_size)) {
        return None;
    }
    let file = view.proc.open_file(pid, "maps").ok()?;
    view.proc.mark.of(pid, || {
        let lines = BufReader::new(file).split(b'\n').take(MOST);
        lines.filter_map(|line| writable(&line.ok()?)).max().filter(near)
    })
}

/// Bytes of a private writable mapping, of its line in /proc/PID/maps.
pub(in crate::system) fn writable(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.get(..line.len().min(64))?).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let rights = fields.next()?.as_bytes();
    let end = |text: &str| u64::from_str_radix(text, 16).ok();
    let private = rights.get(1) == Some(&b'w') && rights.get(3) == Some(&b'p');
    private.then(|| end(to)?.checked_sub(end(from)?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_writable_mappings_are_charged() {
        let line = |rights: &str| {
            writable(
                format!("7f0000000000-7f0000001000 {rights} 00000000 00:00 0 [heap]").as_bytes(),
            )
        };
        assert_eq!(line("rw-p"), Some(4096));
        assert_eq!((line("r--p"), line("rw-s"), line("x")), (None, None, None));
        assert_eq!(writable(b"zz-1 rw-p"), None);
    }
}
