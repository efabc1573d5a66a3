//! Systemd: what the service manager and the journal are told, by datagrams that cannot stall.
//!
//! Both protocols are a datagram of `KEY=value` lines to a socket: sd_notify(3), and the journal's
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>. The sockets are opened once and do not block: a
//! tick at the brink opens nothing, allocates nothing and never waits. (The crate sd-notify
//! opens a socket and builds a string at each message.)

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where journald listens.
pub const JOURNAL: &str = "/run/systemd/journal/socket";

/// Bytes of a message to the manager.
const MOST: usize = 512;

/// The service manager, if there is one that wants to know.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// Seconds between two signs of life: a third of the time after which it would end us.
    alive_every_s: Option<f64>,
    alive_due_s: f64,
}

impl ServiceManager {
    /// The one that the environment names (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID).
    ///
    /// # Errors
    /// It names one that cannot be reached.
    pub fn from_env() -> Result<Self> {
        Self::named(|name| std::env::var_os(name))
    }

    fn named(var: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let Some(name) = var("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let number = |name: &str| var(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let usec = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0);
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(&name),
            _ => bail!("NOTIFY_SOCKET is '{}', neither a path nor @name", name.display()),
        };
        let socket = address
            .and_then(|address| connected(&address))
            .with_context(|| format!("cannot reach the service manager at '{}'", name.display()))?;
        let alive_every_s = usec.map(|usec| usec as f64 * 1e-6 / 3.0);
        Ok(Self { socket: Some(socket), alive_every_s, alive_due_s: 0.0 })
    }

    /// When the next sign of life is due, as an uptime in seconds; never without a watchdog.
    pub fn alive_due_s(&self) -> f64 {
        if self.alive_every_s.is_some() { self.alive_due_s } else { f64::INFINITY }
    }

    /// Gives a sign of life, if one is due.
    pub fn alive(&mut self, uptime_s: f64) {
        if let Some(every_s) = self.alive_every_s
            && uptime_s >= self.alive_due_s
        {
            self.alive_due_s = uptime_s + every_s;
            self.send(|message| message.write_all(b"WATCHDOG=1"));
        }
    }

    /// Says that it works, and how things stand; `status` writes one line.
    pub fn ready(&self, status: impl FnOnce(&mut &mut [u8]) -> io::Result<()>) {
        self.send(|message| {
            message.write_all(b"READY=1\nSTATUS=")?;
            status(message)
        });
    }

    /// Says how things stand: the line in `systemctl status`.
    pub fn status(&self, status: impl FnOnce(&mut &mut [u8]) -> io::Result<()>) {
        self.send(|message| {
            message.write_all(b"STATUS=")?;
            status(message)
        });
    }

    /// Says that it stops.
    pub fn stopping(&self) {
        self.send(|message| message.write_all(b"STOPPING=1"));
    }

    /// A message too long is cut; one that cannot be sent is lost, and the next one may not be.
    fn send(&self, write: impl FnOnce(&mut &mut [u8]) -> io::Result<()>) {
        let Some(socket) = &self.socket else { return };
        let mut buffer = [0; MOST];
        let mut rest = &mut buffer[..];
        let _ = write(&mut rest);
        let length = MOST - rest.len();
        let _ = socket.send(buffer.get(..length).unwrap_or_default());
    }
}

/// The journal, reached directly, so that a line keeps its fields.
#[derive(Debug)]
pub struct Journal(UnixDatagram);

impl Journal {
    /// journald at `path`.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn open(path: &str) -> Result<Self> {
        let socket = SocketAddr::from_pathname(path).and_then(|address| connected(&address));
        Ok(Self(socket.with_context(|| format!("cannot reach the journal at '{path}'"))?))
    }

    /// Sends one entry, lines of `KEY=value`.
    ///
    /// # Errors
    /// When the journal is gone or too busy: it is never waited for.
    pub fn send(&self, entry: &[u8]) -> io::Result<()> {
        self.0.send(entry).map(|_| ())
    }
}

/// Whether what is written there ends in the journal (JOURNAL_STREAM, systemd.exec(5)).
pub fn is_journal(stream: impl AsFd) -> bool {
    let stat = || {
        let named = std::env::var("JOURNAL_STREAM").ok()?;
        let (device, inode) = named.split_once(':')?;
        let stat = rustix::fs::fstat(stream).ok()?;
        Some((device.parse(), inode.parse()) == (Ok(stat.st_dev), Ok(stat.st_ino)))
    };
    stat().unwrap_or(false)
}

fn connected(address: &SocketAddr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    fn manager(name: &str, usec: &str, pid: &str) -> Result<ServiceManager> {
        let set = [("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)];
        ServiceManager::named(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_manager_hears_that_it_works_lives_and_stops() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let pid = std::process::id().to_string();
        let mut manager = manager(path.to_str().unwrap(), "3000000", &pid).unwrap();
        manager.ready(|line| line.write_all(b"all is well"));
        assert_eq!(heard(&socket), "READY=1\nSTATUS=all is well");
        for uptime_s in [10.0, 10.5, 11.0] {
            manager.alive(uptime_s);
        }
        assert_eq!(manager.alive_due_s(), 12.0);
        manager.status(|line| line.write_all(&[b'x'; 2 * MOST]));
        manager.stopping();
        assert_eq!([heard(&socket), heard(&socket)], ["WATCHDOG=1", "WATCHDOG=1"]);
        assert_eq!(heard(&socket).len(), MOST, "cut, not lost");
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn a_manager_that_does_not_listen_never_stalls() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = manager(path.to_str().unwrap(), "", "").unwrap();
        (0..10_000).for_each(|_| manager.stopping());
        drop(socket);
        manager.stopping();
    }

    #[test]
    fn without_one_nothing_is_due_and_another_process_watchdog_is_not_ours() {
        let mut absent = ServiceManager::named(|_| None).unwrap();
        absent.alive(1.0);
        assert_eq!(absent.alive_due_s(), f64::INFINITY);
        let name = format!("@leakwatch-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let mut other = manager(&name, "3000000", "1").unwrap();
        other.alive(1.0);
        other.stopping();
        assert_eq!((heard(&socket).as_str(), other.alive_due_s()), ("STOPPING=1", f64::INFINITY));
        assert!(manager("/nonexistent/notify", "", "").is_err());
        assert!(manager("vsock:2:1", "", "").is_err());
    }
}
