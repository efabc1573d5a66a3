//! Channel: messages between leakwatch and a helper, each with an open file where it needs one.
//!
//! So a helper reads what it could never open itself.

use crate::system::wait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::OFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of a message.
pub const LONGEST: usize = 32 << 10;

/// Seconds in which all parts of what is longer come.
const PARTS_S: f64 = 1.0;

/// One end.
pub struct Channel(OwnedFd);

/// What came.
pub struct Message {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The file that came with it.
    pub file: Option<OwnedFd>,
}

impl Channel {
    /// A channel: the end that stays here, where sending never waits, and the other one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (here, there) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
        rustix::fs::fcntl_setfl(&here, OFlags::NONBLOCK)?;
        Ok((Self(here), there))
    }

    /// The end that a helper was started with.
    ///
    /// # Errors
    /// There is none.
    pub fn of_helper() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The other end is gone, or has not taken up earlier ones.
    pub fn send(&self, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&files));
        }
        rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message; none once the other end is gone.
    ///
    /// # Errors
    /// The kernel refuses, or the message is too long.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; LONGEST];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = rustix::net::recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        if got.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::Error::other("a message is too long"));
        }
        bytes.truncate(got.bytes);
        Ok((!bytes.is_empty()).then_some(Message { bytes, file }))
    }

    /// Sends what may be longer than a message.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_parts(&self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(LONGEST).try_for_each(|part| self.send(part, None))
    }

    /// Receives what was sent in parts, of which it is known how many bytes it has.
    ///
    /// # Errors
    /// It is longer than `most`, the other end is gone, or it does not come within a second.
    pub fn receive_parts(&self, bytes: usize, most: usize) -> io::Result<Vec<u8>> {
        if bytes > most {
            return Err(io::Error::other("its answer is too long"));
        }
        let until_s = wait::awake_s() + PARTS_S;
        let mut all = Vec::new();
        while all.len() < bytes {
            let left_ms = ((until_s - wait::awake_s()) * 1000.0).clamp(0.0, 1000.0 * PARTS_S);
            if !self.is_ready(left_ms as u16) {
                return Err(io::Error::other("its answer has no end"));
            }
            let part = self.receive()?.ok_or_else(|| io::Error::other("it is gone"))?;
            all.extend(part.bytes);
        }
        Ok(all)
    }

    /// Whether within so many milliseconds a message comes, or the other end goes.
    pub fn is_ready(&self, milliseconds: u16) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::from(milliseconds)), Ok(1..))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn messages_arrive_one_by_one_and_bring_files_along() {
        let (here, there) = Channel::pair().unwrap();
        let there = Channel(there);
        assert!(!there.is_ready(0));
        let file = File::open("/proc/self/status").unwrap();
        here.send(b"one", Some(file.as_fd())).unwrap();
        here.send(b"two", None).unwrap();
        drop((file, here));
        let first = there.receive().unwrap().unwrap();
        let mut text = String::new();
        File::from(first.file.unwrap()).read_to_string(&mut text).unwrap();
        assert!(first.bytes == b"one" && text.contains("Name:"));
        let second = there.receive().unwrap().unwrap();
        assert!(second.bytes == b"two" && second.file.is_none());
        assert!(there.is_ready(0) && there.receive().unwrap().is_none());
    }

    #[test]
    fn what_comes_in_parts_is_bounded_in_bytes_and_time() {
        let (here, there) = Channel::pair().unwrap();
        let there = Channel(there);
        let all: Vec<u8> = (0..2 * LONGEST + 1).map(|nth| nth as u8).collect();
        here.send_parts(&all).unwrap();
        assert_eq!(there.receive_parts(all.len(), all.len()).unwrap(), all);
        let why = |bytes| there.receive_parts(bytes, 9).unwrap_err().to_string();
        assert_eq!(why(10), "its answer is too long");
        here.send_parts(b"half").unwrap();
        assert_eq!(why(8), "its answer has no end");
        drop(here);
        assert_eq!(why(8), "it is gone");
    }

    #[test]
    fn a_message_that_is_too_long_is_an_error_and_one_that_is_not_taken_up_does_not_wait() {
        let (here, there) = Channel::pair().unwrap();
        here.send(&vec![0; LONGEST + 1], None).unwrap();
        assert!(Channel(there.try_clone().unwrap()).receive().is_err());
        let full = (0..100_000).find_map(|_| here.send(&[0; 1000], None).err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
