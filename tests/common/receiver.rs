//! Receiver: a web server and a mail server on loopback that take what an example sends and keep it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Queue, channel};

use super::cli::PROMPTLY;

/// What one client sent: its lines up to the body, and the body.
pub struct Received {
    pub head: Vec<String>,
    pub body: String,
}

/// Listens from its start on; what comes waits until it is asked for.
pub struct Receiver {
    port: u16,
    received: Queue<Received>,
}

impl Receiver {
    /// Takes one request after another and answers each with 200.
    pub fn web() -> Self {
        Self::serve(|stream| {
            let mut lines = BufReader::new(stream);
            let mut head = Vec::new();
            while let Some(line) = line(&mut lines).filter(|line| !line.is_empty()) {
                head.push(line);
            }
            let length = |line: &String| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            };
            let mut body = vec![0; head.iter().find_map(length).unwrap_or(0)];
            lines.read_exact(&mut body).ok()?;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            lines.get_mut().write_all(answer).ok()?;
            Some(Received { head, body: String::from_utf8_lossy(&body).into_owned() })
        })
    }

    /// Takes one mail after another from whoever logs in.
    pub fn mail() -> Self {
        Self::serve(|stream| {
            let mut lines = BufReader::new(stream);
            let (mut head, mut body) = (Vec::new(), String::new());
            let say = |lines: &mut BufReader<TcpStream>, text: &str| {
                lines.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()
            };
            say(&mut lines, "220 test")?;
            while let Some(command) = line(&mut lines) {
                let answer = match command.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" => "250-test\r\n250 AUTH PLAIN",
                    "AUTH" => {
                        say(&mut lines, "334 ")?;
                        head.push(line(&mut lines)?);
                        "235 welcome"
                    }
                    "DATA" => {
                        say(&mut lines, "354 go on")?;
                        while let Some(line) = line(&mut lines).filter(|line| line != ".") {
                            // A dot at the start was doubled on the way.
                            body += line.strip_prefix('.').unwrap_or(&line);
                            body.push('\n');
                        }
                        "250 kept"
                    }
                    "QUIT" => {
                        say(&mut lines, "221 bye")?;
                        break;
                    }
                    _ => "250 fine",
                };
                say(&mut lines, answer)?;
                head.push(command);
            }
            Some(Received { head, body })
        })
    }

    fn serve(talk: impl Fn(TcpStream) -> Option<Received> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(PROMPTLY)).ok();
                let Some(one) = talk(stream) else { continue };
                if sender.send(one).is_err() {
                    break;
                }
            }
        });
        Self { port, received }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What came next.
    pub fn next(&self) -> Received {
        self.received.recv_timeout(PROMPTLY).expect("something is sent")
    }
}

/// A line without its end.
fn line(lines: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}
