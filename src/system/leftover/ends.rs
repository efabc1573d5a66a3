//! Ends: whether the other end of a pipe or a socket is gone, by the kernel's own word.
//!
//! Inodes alone would not tell: whoever has the other end may be of another pid namespace, hidden, or a
//! message under way. So the descriptor itself is borrowed (pidfd_getfd) and polled: POLLHUP and POLLERR
//! say that nobody at all has the other end. Nothing is read, written or changed.

use crate::core::piles::useless::FileEnd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::net::sockopt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs;

/// Descriptors that were of another kind than said, after which no more are borrowed.
const MOST_UNWANTED: u32 = 8;

/// What an open file is, by its link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LinkKind {
    Pipe,
    Socket,
    /// It leads to nobody.
    Nothing,
    /// It polls others, which its fdinfo names.
    Poll,
    /// Something may come by it.
    Waking,
    /// A path tells nothing of it.
    Path,
}

/// What a link of /proc/PID/fd says. All but a path begin without a slash.
pub(super) fn kind(link: &str) -> LinkKind {
    if link.starts_with("pipe:[") {
        return LinkKind::Pipe;
    }
    if link.starts_with("socket:[") {
        return LinkKind::Socket;
    }
    match link {
        "/dev/null" | "/dev/zero" | "/dev/full" | "/dev/random" | "/dev/urandom" => {
            LinkKind::Nothing
        }
        "anon_inode:[eventpoll]" => LinkKind::Poll,
        link if link.starts_with("/dev/") && !link.starts_with("/dev/shm/") => LinkKind::Waking,
        link if link.starts_with('/') => LinkKind::Path,
        _ => LinkKind::Waking,
    }
}

/// The other end of a process's pipe or socket, which has that link; none where that cannot be told.
pub(super) fn of(pid: u32, file: u32, link: &str, unwanted: &mut u32) -> Option<FileEnd> {
    if *unwanted >= MOST_UNWANTED {
        return None;
    }
    let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
    let borrowed = pidfd_getfd(&process, file.cast_signed(), PidfdGetfdFlags::empty()).ok()?;
    let own = fs::read_link(format!("/proc/self/fd/{}", borrowed.as_raw_fd())).ok();
    if own.is_none_or(|own| own.as_os_str() != link) {
        // It was replaced meanwhile. To close a file may wait for its server, of a network or of a user.
        std::mem::forget(borrowed);
        *unwanted += 1;
        return None;
    }
    end(&borrowed)
}

fn end(file: &OwnedFd) -> Option<FileEnd> {
    // Only a socket has that; a pipe is none.
    if sockopt::socket_acceptconn(file) == Ok(true) {
        return Some(FileEnd::Listening);
    }
    let wanted = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut polled = [PollFd::new(file.as_fd(), wanted)];
    poll(&mut polled, PollTimeout::ZERO).ok()?;
    let said = polled.first()?.revents()?;
    let is_socket = sockopt::socket_type(file).is_ok();
    let is_gone = match is_socket {
        true => said.contains(PollFlags::POLLHUP),
        false => said.intersects(PollFlags::POLLHUP | PollFlags::POLLERR),
    };
    Some(if is_gone { FileEnd::Gone } else { FileEnd::Open })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn links_tell_kinds_apart() {
        for (link, wanted) in [
            ("pipe:[12]", LinkKind::Pipe),
            ("socket:[7]", LinkKind::Socket),
            // Whoever has it too may write to it, and nothing tells who has; the other brings alarms.
            ("anon_inode:[eventfd]", LinkKind::Waking),
            ("anon_inode:[signalfd]", LinkKind::Waking),
            ("anon_inode:[eventpoll]", LinkKind::Poll),
            ("anon_inode:[timerfd]", LinkKind::Waking),
            ("anon_inode:inotify", LinkKind::Waking),
            ("anon_inode:[io_uring]", LinkKind::Waking),
            ("/dev/pts/3", LinkKind::Waking),
            ("/dev/pts/3 (deleted)", LinkKind::Waking),
            ("/dev/null", LinkKind::Nothing),
            ("/tmp/pipe:[12]", LinkKind::Path),
            ("net:[4026531840]", LinkKind::Waking),
        ] {
            assert_eq!(kind(link), wanted, "{link}");
        }
    }

    #[test]
    fn an_end_is_gone_only_when_nobody_has_the_other_one() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        assert_eq!((end(&reader), end(&writer)), (Some(FileEnd::Open), Some(FileEnd::Open)));
        let other = writer.try_clone().unwrap();
        drop(writer);
        assert_eq!(end(&reader), Some(FileEnd::Open), "another has it");
        drop(other);
        assert_eq!(end(&reader), Some(FileEnd::Gone));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(end(&writer.into()), Some(FileEnd::Gone));
        let (one, other) = UnixStream::pair().unwrap();
        let one = OwnedFd::from(one);
        assert_eq!(end(&one), Some(FileEnd::Open));
        // Half of it is closed: an answer may come.
        other.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(end(&one), Some(FileEnd::Open));
        drop(other);
        assert_eq!(end(&one), Some(FileEnd::Gone));
        assert_eq!(
            end(&TcpListener::bind("127.0.0.1:0").unwrap().into()),
            Some(FileEnd::Listening)
        );
        assert_eq!(end(&UnixDatagram::unbound().unwrap().into()), Some(FileEnd::Open));
    }
}
