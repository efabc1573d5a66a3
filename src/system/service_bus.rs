//! Service bus: the few D-Bus calls that have systemd restart a unit.
//!
//! They go over systemd's own socket, which is root's alone and needs no bus daemon. Own code, since the
//! crates for D-Bus bring threads or an event loop along. The format: the D-Bus Specification 0.43,
//! <https://dbus.freedesktop.org/doc/dbus-specification.html>; the calls: org.freedesktop.systemd1(5).

use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Where systemd listens.
const SOCKET: &str = "/run/systemd/private";
const NAME: &str = "org.freedesktop.systemd1";
/// The longest that one read or write may take: systemd answers within milliseconds, also on a busy machine.
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
    serial: u32,
}

impl ServiceBus {
    /// Connects as the user that leakwatch runs as.
    pub(super) fn connect() -> Result<Self, BusError> {
        Self::connect_to(Path::new(SOCKET))
    }

    fn connect_to(path: &Path) -> Result<Self, BusError> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"OK ") {
            return Err(BusError::Failed(Errno::ACCESS));
        }
        stream.write_all(b"BEGIN\r\n")?;
        Ok(Self { stream, serial: 0 })
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
        let answer = self.property(at, of, name)?;
        let mut reader = MessageReader::new(&answer);
        let text = (reader.signature() == Some("s")).then(|| reader.text()).flatten();
        text.ok_or(BusError::Failed(Errno::PROTO))
    }

    /// A property that is a number of 32 bits.
    pub(super) fn number(&mut self, at: &str, of: &str, name: &str) -> Result<u32, BusError> {
        let answer = self.property(at, of, name)?;
        let mut reader = MessageReader::new(&answer);
        let number = (reader.signature() == Some("u")).then(|| reader.number()).flatten();
        number.ok_or(BusError::Failed(Errno::PROTO))
    }

    /// Has a unit restarted; returns when the job is queued, which replaces one that contradicts it.
    pub(super) fn restart(&mut self, unit: &str) -> Result<(), BusError> {
        let mut body = Marshal::default();
        body.text("replace");
        self.call(unit, "org.freedesktop.systemd1.Unit", "Restart", "s", &body).map(drop)
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
        self.stream.write_all(&message.0)?;
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
        self.stream.read_exact(&mut head)?;
        let [endian, kind, ..] = head;
        let mut reader = MessageReader { bytes: &head, at: 4 };
        let lengths = (reader.number(), reader.number(), reader.number());
        let (Some(body), Some(_), Some(fields)) = lengths else { return Ok(None) };
        let (body, fields) = (body as usize, fields as usize);
        if endian != b'l' || body > MOST_BYTES || fields > MOST_BYTES {
            return Err(BusError::Failed(Errno::PROTO));
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        self.stream.read_exact(&mut rest)?;
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
