//! Connections: how many a server has closed of late, from the kernel's list of those that linger.
//!
//! Whoever closes a TCP connection first keeps it in TIME_WAIT for 60 seconds. A server that answers
//! and closes, as gunicorn's sync workers and php-fpm do, so leaves a list of its last minute's
//! requests with the time of each; where the client was faster, and on this machine, the same stands
//! at the client's end, or at both where they closed at once. It knows nothing of Unix sockets, and of connections kept alive it
//! counts one for several requests.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Seconds that the kernel keeps a closed connection (TCP_TIMEWAIT_LEN, include/net/tcp.h).
pub(super) const LINGERS_S: f64 = 60.0;
/// Of these so many count: a timer of a minute may end some seconds late, more on an idle machine, and
/// what is overdue is listed still (35 a second were counted of 30 over the whole minute).
const COUNTED_S: f64 = 50.0;
/// Bytes read of the list: 200 000 connections of 150 bytes.
const LONGEST: u64 = 32 << 20;
/// The most descriptors of one process that are read.
const MOST_FDS: usize = 4096;
/// States of a socket (include/net/tcp_states.h), as the list has them.
const TIME_WAIT: &str = "06";
const LISTEN: &str = "0A";

/// Connections a second that were closed at the ports where process `pid` listens, within the last
/// `within_s` seconds, 50 at most.
///
/// None where it listens at no port, nothing was closed there, its descriptors may not be read (root,
/// or the same user), or the kernel's list is full and so incomplete.
pub fn closed_per_s(procfs: &Path, pid: u32, within_s: f64) -> Option<f64> {
    let within_s = within_s.clamp(1.0, COUNTED_S);
    let dir = procfs.join(pid.to_string());
    let own = sockets(&dir.join("fd"));
    if own.is_empty() {
        return None;
    }
    let lists: Vec<String> = ["tcp", "tcp6"].iter().map(|name| list(&dir, name)).collect();
    let all = || lists.iter().flat_map(|list| list.lines().filter_map(Socket::read));
    let listens = |socket: &Socket<'_>| socket.state == LISTEN && own.contains(&socket.inode);
    let ports: BTreeSet<&str> = all().filter(listens).map(|socket| socket.port).collect();
    let lingering = || all().filter(|socket| socket.state == TIME_WAIT);
    let most = std::fs::read_to_string(procfs.join("sys/net/ipv4/tcp_max_tw_buckets"));
    let most: usize = most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(usize::MAX);
    let is_late = |socket: &Socket<'_>| LINGERS_S - socket.left_s <= within_s;
    let ours = lingering().filter(is_late).filter_map(|socket| socket.connection(&ports));
    let closed = ours.collect::<BTreeSet<_>>().len();
    // The kernel keeps no more than that and forgets the others.
    let is_full = lingering().count() as f64 > 0.9 * most as f64;
    (closed > 0 && !is_full).then_some(closed as f64 / within_s)
}

/// Whether process `pid` of user `uid` itself listens at an address, as far as the kernel tells: nobody
/// else is asked in its name. Of a socket in the file system only the answer to a connection tells.
///
/// # Errors
/// In words: it does not, or not in this network.
pub fn ensure_listens(procfs: &Path, pid: u32, uid: u32, address: &str) -> Result<(), String> {
    if address.starts_with('/') {
        return Ok(());
    }
    let at: SocketAddr = address.parse().map_err(|_| format!("{address}: no address"))?;
    let dir = procfs.join(pid.to_string());
    let network = |dir: &Path| std::fs::read_link(dir.join("ns/net")).ok();
    if network(&dir).is_some_and(|of| network(Path::new("/proc/self")).is_some_and(|own| own != of))
    {
        return Err(format!("{address}: is in a network of its own"));
    }
    let (own, may_tell) = (sockets(&dir.join("fd")), std::fs::read_dir(dir.join("fd")).is_ok());
    let lists: Vec<String> = ["tcp", "tcp6"].iter().map(|name| list(&dir, name)).collect();
    let all = lists.iter().flat_map(|list| list.lines().filter_map(Socket::read));
    let mut here = all.filter(|socket| socket.state == LISTEN && socket.is_at(at));
    let is_own = |socket: Socket<'_>| match may_tell {
        true => own.contains(&socket.inode),
        false => socket.uid == uid,
    };
    match here.any(is_own) {
        true => Ok(()),
        false => Err(format!("{address}: it does not listen there")),
    }
}

/// The inodes of a process's sockets.
fn sockets(fds: &Path) -> BTreeSet<u64> {
    let links = std::fs::read_dir(fds).into_iter().flatten().flatten().take(MOST_FDS);
    let inode = |entry: std::fs::DirEntry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    links.filter_map(inode).collect()
}

fn list(dir: &Path, name: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(dir.join("net").join(name)) {
        // What was read until an error is used.
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line of /proc/PID/net/tcp.
struct Socket<'a> {
    /// Its own address and port, in hexadecimal digits.
    address: &'a str,
    port: &'a str,
    /// Address and port of its other end.
    peer: &'a str,
    peer_port: &'a str,
    /// Whether both ends have the same address.
    to_itself: bool,
    state: &'a str,
    /// Seconds until its timer ends.
    left_s: f64,
    uid: u32,
    inode: u64,
}

impl<'a> Socket<'a> {
    /// The connection to one of these ports, by server's port, client's address and port. It was
    /// closed here, or at its other end, which is here too, or at both at once (on an idle machine
    /// one in eight of gunicorn's): it is one all the same.
    fn connection(&self, ports: &BTreeSet<&str>) -> Option<(&'a str, &'a str, &'a str)> {
        let Self { port, peer, peer_port, to_itself, .. } = *self;
        if ports.contains(port) {
            Some((port, peer, peer_port))
        } else {
            (to_itself && ports.contains(peer_port)).then_some((peer_port, peer, port))
        }
    }

    /// `0: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:0000176F 00000000 0 0 0 3 ...`
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (address, port) = fields.nth(1)?.rsplit_once(':')?;
        let (peer, peer_port) = fields.next()?.rsplit_once(':')?;
        let state = fields.next()?;
        let (_, left) = fields.nth(1)?.split_once(':')?;
        let uid = fields.nth(1)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        // In hundredths of a second (USER_HZ).
        let left_s = i64::from_str_radix(left, 16).ok()? as f64 / 100.0;
        let to_itself = address == peer;
        Some(Self { address, port, peer, peer_port, to_itself, state, left_s, uid, inode })
    }

    /// Whether what is sent to that address arrives here.
    fn is_at(&self, at: SocketAddr) -> bool {
        let address = self.ip();
        u16::from_str_radix(self.port, 16) == Ok(at.port())
            && address.is_some_and(|own| own.is_unspecified() || own == at.ip())
    }

    /// Its address, which the kernel writes as words of 32 bits in the machine's order of bytes.
    fn ip(&self) -> Option<IpAddr> {
        let word = |at: usize| {
            let digits = self.address.get(8 * at..8 * at + 8)?;
            Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
        };
        if self.address.len() == 8 {
            return word(0).map(IpAddr::from);
        }
        let mut bytes = [0; 16];
        for (at, part) in bytes.chunks_mut(4).enumerate() {
            part.copy_from_slice(&word(at)?);
        }
        Some(Ipv6Addr::from(bytes).to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_listens_at_an_address_is_asked_there() {
        use std::net::TcpListener;
        let (procfs, own) = (Path::new("/proc"), std::process::id());
        let uid = rustix::process::geteuid().as_raw();
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // Some machines have no IPv6.
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            let host = if bound.starts_with('[') { "[::1]" } else { "127.0.0.1" };
            let address = format!("{host}:{port}");
            assert_eq!(ensure_listens(procfs, own, uid, &address), Ok(()), "{bound}");
            assert!(ensure_listens(procfs, 1, u32::MAX, &address).is_err(), "{bound}");
            drop(listener);
            assert!(ensure_listens(procfs, own, uid, &address).is_err(), "{bound}");
        }
        assert!(ensure_listens(procfs, own, uid, "localhost:80").is_err());
    }
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_line_is_read() {
        let line = "   4: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:0000176F 00000000     0        0 77 3 0000000000000000";
        let socket = Socket::read(line).unwrap();
        assert_eq!((socket.port, socket.state, socket.inode), ("1F90", TIME_WAIT, 77));
        assert!((socket.left_s - 59.99).abs() < 1e-9);
        assert!(Socket::read("  sl  local_address rem_address   st").is_none());
    }

    #[test]
    fn connections_are_counted_whoever_closed_them_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for nth in 0..20 {
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            server.write_all(b"x").unwrap();
            let mut answer = [0];
            client.read_exact(&mut answer).unwrap();
            if nth % 2 == 0 {
                drop(server);
                client.read_exact(&mut answer).unwrap_err();
            } else {
                drop(client);
            }
        }
        let rate = closed_per_s(Path::new("/proc"), std::process::id(), 60.0).unwrap();
        // The kernel's timers round, and other tests of this process listen too.
        assert!(rate * 60.0 >= 20.0, "{rate}");
        assert!(rate * 60.0 < 100.0, "{rate}");
    }

    #[test]
    fn a_connection_that_both_ends_closed_at_once_is_one() {
        let line = |from: &str, to: &str| {
            format!("4: {from} {to} 06 00000000:00000000 03:00000FA0 00000000 0 0 0 3 0")
        };
        let ports = BTreeSet::from(["1F90"]);
        let of = |from, to| {
            let line = line(from, to);
            let socket = Socket::read(&line).unwrap();
            socket.connection(&ports).map(|(a, b, c)| [a, b, c].map(str::to_owned))
        };
        let server = of("0100007F:1F90", "0100007F:C350");
        assert!(server.is_some());
        assert_eq!(server, of("0100007F:C350", "0100007F:1F90"));
        assert_ne!(server, of("0100007F:C351", "0100007F:1F90"));
        assert_eq!(of("0200007F:C350", "0100007F:1F90"), None, "another machine's end");
    }

    #[test]
    fn where_nothing_listens_nothing_is_counted() {
        assert_eq!(closed_per_s(Path::new("/proc"), u32::MAX, 60.0), None);
    }
}
