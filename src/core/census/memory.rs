//! Memory: another process's memory as the census sees it: bytes at addresses, in blocks of bounded size.

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPart {
    /// So many bytes from the address on.
    Bytes(usize),
    /// Nothing: so many bytes from the address on cannot be read, or should not be, because they are
    /// swapped out.
    Hole(u64),
}

/// Reads memory from an address on; what was never touched reads as zeros.
pub type MemorySource<'s> = dyn FnMut(u64, &mut [u8]) -> ReadPart + 's;

/// Bytes that are read at once. It is the census's largest buffer; a chain of small chunks is walked
/// inside it, and one system call for 256 KiB costs 2 % of the copying.
const BLOCK: usize = 256 << 10;

/// A block of the memory, and how to read another.
pub(super) struct Window<'w, 's> {
    source: &'w mut MemorySource<'s>,
    block: Vec<u8>,
    at: u64,
    length: usize,
}

impl<'w, 's> Window<'w, 's> {
    pub(super) fn new(source: &'w mut MemorySource<'s>) -> Self {
        Self { source, block: vec![0; BLOCK], at: 0, length: 0 }
    }

    /// The address at which the block begins.
    pub(super) fn start(&self) -> u64 {
        self.at
    }

    /// The address behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.length as u64)
    }

    /// Reads the block anew, from `at` to at most `end`.
    pub(super) fn read(&mut self, at: u64, end: u64) -> ReadPart {
        let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
        (self.at, self.length) = (at, 0);
        let Some(buffer) = self.block.get_mut(..wanted) else { return ReadPart::Hole(1) };
        match (self.source)(at, buffer) {
            ReadPart::Bytes(length) if length > 0 => {
                self.length = length.min(wanted);
                ReadPart::Bytes(self.length)
            }
            ReadPart::Bytes(_) => ReadPart::Hole(1),
            ReadPart::Hole(length) => ReadPart::Hole(length.max(1)),
        }
    }

    /// The word at an address, where the block has it.
    pub(super) fn word(&self, at: u64) -> Option<u64> {
        let from = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let to = from.checked_add(8).filter(|to| *to <= self.length)?;
        Some(u64::from_le_bytes(self.block.get(from..to)?.try_into().ok()?))
    }

    /// Words at an address, read now and not from the block.
    pub(super) fn words<const N: usize>(&mut self, at: u64) -> Option<[u64; N]> {
        let mut bytes = [[0_u8; 8]; N];
        let flat = bytes.as_flattened_mut();
        let wanted = flat.len();
        match (self.source)(at, flat) {
            ReadPart::Bytes(length) if length == wanted => Some(bytes.map(u64::from_le_bytes)),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A process's memory made by hand: pieces at addresses.
    #[derive(Clone, Default)]
    pub(in crate::core::census) struct Made(pub Vec<(u64, Vec<u8>)>);

    impl Made {
        pub(in crate::core::census) fn read(&self, at: u64, buffer: &mut [u8]) -> ReadPart {
            let inside =
                |(start, bytes): &&(u64, Vec<u8>)| at >= *start && at < *start + bytes.len() as u64;
            let Some((start, bytes)) = self.0.iter().find(inside) else {
                return ReadPart::Hole(4096);
            };
            let rest = &bytes[(at - start) as usize..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            ReadPart::Bytes(length)
        }

        pub(in crate::core::census) fn put(&mut self, at: u64, word: u64) {
            let (start, bytes) = self
                .0
                .iter_mut()
                .find(|(start, bytes)| at >= *start && at + 8 <= *start + bytes.len() as u64)
                .unwrap();
            let from = (at - *start) as usize;
            bytes[from..from + 8].copy_from_slice(&word.to_le_bytes());
        }
    }

    #[test]
    fn a_block_is_read_as_far_as_it_goes() {
        let made = Made(vec![(0x1000, (0..=255).collect())]);
        let mut source = |at, buffer: &mut [u8]| made.read(at, buffer);
        let mut window = Window::new(&mut source);
        assert_eq!(window.read(0x1080, u64::MAX), ReadPart::Bytes(128));
        assert_eq!((window.start(), window.end()), (0x1080, 0x1100));
        assert_eq!(window.word(0x1080), Some(0x8786_8584_8382_8180));
        assert_eq!((window.word(0x10f9), window.word(0x107f), window.word(0)), (None, None, None));
        assert_eq!(window.words::<1>(0x1000), Some([0x0706_0504_0302_0100]));
        assert_eq!(window.words::<2>(0x10f8), None);
        assert_eq!(window.read(0x1080, 0x1080), ReadPart::Hole(1));
        assert_eq!(window.read(0x5000, 0x6000), ReadPart::Hole(4096));
        assert_eq!(window.word(0x5000), None);
    }
}
