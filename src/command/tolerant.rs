//! Output that must not end a watch, or a check that stays.

use std::io::{self, Write};

/// A writer that drops what cannot be written while the watch protects a service: a full log disk
/// must not end the protection. Without anything to protect, an error is an error.
pub(super) struct Tolerant<W> {
    inner: W,
    is_tolerant: bool,
}

impl<W: Write> Tolerant<W> {
    pub(super) fn new(inner: W, is_tolerant: bool) -> Self {
        Self { inner, is_tolerant }
    }
}

impl<W: Write> Write for Tolerant<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.inner.write(bytes) {
            // Otherwise `write_all` must try again.
            Err(error) if self.is_tolerant && error.kind() != io::ErrorKind::Interrupted => {
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().or_else(|error| if self.is_tolerant { Ok(()) } else { Err(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_only_where_nothing_is_protected() {
        let mut tolerant = Tolerant::new(Full, true);
        assert!(writeln!(tolerant, "x").is_ok() && tolerant.flush().is_ok());
        let mut strict = Tolerant::new(Full, false);
        assert!(writeln!(strict, "x").is_err() && strict.flush().is_err());
    }
}
