//! Service bus: the few D-Bus calls that have systemd restart a unit.
//!
//! They go over systemd's own socket, which is root's alone and needs no bus daemon. Own code, since the
//! crates for D-Bus bring threads or an event loop along. The format: the D-Bus Specification 0.43,
//! <https://dbus.freedesktop.org/doc/dbus-specification.html>; the calls: org.freedesktop.systemd1(5).

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where systemd listens.
const SOCKET: &str = "/run/systemd/private";
const NAME: &str = "org.freedesktop.systemd1";
/// The longest that all calls of a connection may take together, since the watch stands still meanwhile.
/// systemd answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a message; the answers have some hundred.
const MOST_BYTES: usize = 1 << 16;
/// Messages that are skipped until the answer.
const MOST_SKIPPED: usize = 64;

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BusError {
    /// The name of the error that systemd answered with.
    Refused(String),
    /// The socket failed, or the answer was none.
    Failed(Errno),
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        // A timeout of a socket is EAGAIN.
        let errno = error.raw_os_error().map_or(Errno::PROTO, Errno::from_raw_os_error);
        Self::Failed(if errno == Errno::AGAIN { Errno::TIMEDOUT } else { errno })
    }
}

/// A connection to systemd.
pub(super) struct ServiceBus {
    stream: UnixStream,
    until: Instant,
    serial: u32,
}

impl ServiceBus {
    /// Connects as the user that leakwatch runs as.
    pub(super) fn connect() -> Result<Self, BusError> {
        Self::connect_to(Path::new(SOCKET))
    }

    fn connect_to(path: &Path) -> Result<Self, BusError> {
        let until = Instant::now() + PATIENCE;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let socket = socket.map_err(BusError::Failed)?;
        // A connection waits too, where the queue is full.
        let connected = set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))
            .and_then(|()| SocketAddrUnix::new(path))
            .and_then(|address| rustix::net::connect(&socket, &address));
        connected.map_err(|errno| BusError::from(io::Error::from(errno)))?;
        let mut bus = Self { stream: socket.into(), until, serial: 0 };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        // BEGIN at once, as systemd's own clients do: where it came together with the first call, systemd
        // read both and answered the call only when something else was sent (252: not within 3 s).
        bus.write(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            let mut byte = [0];
            bus.read(&mut byte)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"OK ") {
            return Err(BusError::Failed(Errno::ACCESS));
        }
        Ok(bus)
    }

    /// What is left of the time for all calls.
    fn left(&self) -> Result<Duration, BusError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(BusError::Failed(Errno::TIMEDOUT)) } else { Ok(left) }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BusError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(BusError::Failed(Errno::PIPE)),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), BusError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(BusError::Failed(Errno::PROTO)),
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The object of the unit that a process belongs to.
    pub(super) fn unit_by_pid(&mut self, manager: &str, pid: u32) -> Result<String, BusError> {
        let mut body = Marshal::default();
        body.number(pid);
        let interface = "org.freedesktop.systemd1.Manager";
        let answer = self.call(manager, interface, "GetUnitByPID", "u", &body)?;
        MessageReader::new(&answer).text().ok_or(BusError::Failed(Errno::PROTO))
    }

    /// A property that is text.
    pub(super) fn text(&mut self, at: &str, of: &str, name: &str) -> Result<String, BusError> {
        self.value(at, of, name, "s", |reader| reader.text())
    }

    /// A property that is a number of 32 bits.
    pub(super) fn number(&mut self, at: &str, of: &str, name: &str) -> Result<u32, BusError> {
        self.value(at, of, name, "u", |reader| reader.number())
    }

    /// A property that is true or false.
    pub(super) fn flag(&mut self, at: &str, of: &str, name: &str) -> Result<bool, BusError> {
        self.value(at, of, name, "b", |reader| reader.number().map(|number| number != 0))
    }

    /// Whether a property that is a list of texts has none.
    pub(super) fn is_empty(&mut self, at: &str, of: &str, name: &str) -> Result<bool, BusError> {
        self.value(at, of, name, "as", |reader| reader.number().map(|bytes| bytes == 0))
    }

    /// Has a unit restarted that runs, unless another job is under way for it or what depends on it: a stop
    /// stays a stop.
    ///
    /// # Errors
    /// Why it is not restarted. Once it was asked for, only what systemd answers is one: without an answer
    /// it may well be under way.
    pub(super) fn try_restart(&mut self, unit: &str) -> Result<(), BusError> {
        self.left()?;
        let mut body = Marshal::default();
        body.text("fail");
        match self.call(unit, "org.freedesktop.systemd1.Unit", "TryRestart", "s", &body) {
            Ok(_) | Err(BusError::Failed(_)) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    fn value<T>(
        &mut self,
        at: &str,
        of: &str,
        name: &str,
        signature: &str,
        read: impl FnOnce(&mut MessageReader<'_>) -> Option<T>,
    ) -> Result<T, BusError> {
        let answer = self.property(at, of, name)?;
        let mut reader = MessageReader::new(&answer);
        let is_it = reader.signature() == Some(signature);
        is_it.then(|| read(&mut reader)).flatten().ok_or(BusError::Failed(Errno::PROTO))
    }

    fn property(&mut self, at: &str, of: &str, name: &str) -> Result<Vec<u8>, BusError> {
        let mut body = Marshal::default();
        [of, name].iter().for_each(|text| body.text(text));
        self.call(at, "org.freedesktop.DBus.Properties", "Get", "ss", &body)
    }

    /// Calls a method; the body of its answer.
    fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: &Marshal,
    ) -> Result<Vec<u8>, BusError> {
        self.serial += 1;
        let mut message = Marshal::default();
        // Little endian, a call, no flags, version 1.
        message.0.extend(b"l\x01\0\x01");
        message.number(body.0.len() as u32);
        message.number(self.serial);
        let mut fields = Marshal::default();
        let texts = [(1, 'o', path), (2, 's', interface), (3, 's', member), (6, 's', NAME)];
        for (code, kind, text) in texts {
            fields.pad(8);
            fields.0.extend([code, 1, kind as u8, 0]);
            fields.text(text);
        }
        fields.pad(8);
        fields.0.extend([8, 1, b'g', 0, signature.len() as u8]);
        fields.0.extend(signature.as_bytes());
        fields.0.push(0);
        message.number(fields.0.len() as u32);
        message.0.extend(&fields.0);
        message.pad(8);
        message.0.extend(&body.0);
        self.write(&message.0)?;
        for _ in 0..MOST_SKIPPED {
            if let Some(answer) = self.receive()? {
                return answer;
            }
        }
        Err(BusError::Failed(Errno::PROTO))
    }

    /// The next message, if it answers the last call.
    fn receive(&mut self) -> Result<Option<Result<Vec<u8>, BusError>>, BusError> {
        let mut head = [0; 16];
        self.read(&mut head)?;
        let [endian, kind, ..] = head;
        let mut reader = MessageReader { bytes: &head, at: 4 };
        let lengths = (reader.number(), reader.number(), reader.number());
        let (Some(body), Some(_), Some(fields)) = lengths else { return Ok(None) };
        let (body, fields) = (body as usize, fields as usize);
        if endian != b'l' || body > MOST_BYTES || fields > MOST_BYTES {
            return Err(BusError::Failed(Errno::PROTO));
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        self.read(&mut rest)?;
        let body = rest.split_off(fields.next_multiple_of(8));
        let (mut error, mut answers) = (String::new(), None);
        let mut reader = MessageReader::new(rest.get(..fields).unwrap_or_default());
        while let Some(code) = reader.field() {
            match (code, reader.signature()) {
                (4, Some("s")) => error = reader.text().unwrap_or_default(),
                (5, Some("u")) => answers = reader.number(),
                (_, Some("s" | "o")) => drop(reader.text()),
                (_, Some("g")) => drop(reader.signature()),
                (_, Some("u")) => drop(reader.number()),
                _ => break,
            }
        }
        let is_ours = answers == Some(self.serial);
        Ok(match kind {
            2 if is_ours => Some(Ok(body)),
            3 if is_ours => Some(Err(BusError::Refused(error))),
            _ => None,
        })
    }
}

/// Values as they go over the wire.
#[derive(Default)]
struct Marshal(Vec<u8>);

impl Marshal {
    fn pad(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.pad(4);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }
}

/// Takes values off the wire; nothing where they are cut off.
struct MessageReader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> MessageReader<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// The code of a field of a header.
    fn field(&mut self) -> Option<u8> {
        self.at = self.at.next_multiple_of(8);
        self.take(1)?.first().copied()
    }

    fn signature(&mut self) -> Option<&'b str> {
        let length = *self.take(1)?.first()?;
        let text = self.take(usize::from(length))?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    fn number(&mut self) -> Option<u32> {
        self.at = self.at.next_multiple_of(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        let text = self.take(length as usize)?.to_vec();
        self.take(1)?;
        String::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests;
