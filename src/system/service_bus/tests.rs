//! Against a socket that answers as systemd 252 does, or as nothing should.

use super::*;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

/// An answer to the call with that serial: a kind of message, fields before the serial, and a body.
fn message(kind: u8, serial: u32, error: Option<&str>, body: &Marshal) -> Vec<u8> {
    let mut fields = Marshal::default();
    if let Some(error) = error {
        fields.0.extend([4, 1, b's', 0]);
        fields.text(error);
        fields.pad(8);
    }
    fields.0.extend([5, 1, b'u', 0]);
    fields.number(serial);
    let mut message = Marshal(vec![b'l', kind, 0, 1]);
    message.number(body.0.len() as u32);
    message.number(77);
    message.number(fields.0.len() as u32);
    message.0.extend(&fields.0);
    message.pad(8);
    message.0.extend(&body.0);
    message.0
}

fn variant(signature: &str, put: impl Fn(&mut Marshal)) -> Marshal {
    let mut body = Marshal(vec![signature.len() as u8]);
    body.0.extend(signature.as_bytes());
    body.0.push(0);
    put(&mut body);
    body
}

/// A server that accepts one connection and answers each call with the next of `answers`.
fn server(dir: &Path, answers: Vec<Vec<u8>>) -> JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(dir.join("private")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let mut read = |stream: &mut UnixStream, until: &[u8]| {
            let begin = heard.len();
            while !heard[begin..].windows(until.len()).any(|part| part == until) {
                let mut bytes = [0; 4096];
                match stream.read(&mut bytes).unwrap() {
                    0 => break,
                    length => heard.extend(&bytes[..length]),
                }
            }
        };
        // Not held back until the first call: it comes in one piece with what is answered.
        read(&mut stream, b"BEGIN\r\n");
        stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        for answer in answers {
            read(&mut stream, b"org.freedesktop.systemd1\0");
            stream.write_all(&answer).unwrap();
        }
        heard
    })
}

fn told(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, ServiceBus, JoinHandle<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path(), answers);
    let bus = ServiceBus::connect_to(&dir.path().join("private")).unwrap();
    (dir, bus, server)
}

#[test]
fn a_unit_is_found_looked_at_and_restarted() {
    let mut path = Marshal::default();
    path.text("/org/freedesktop/systemd1/unit/shop_2eservice");
    let (_dir, mut bus, server) = told(vec![
        // A signal comes first, and an answer to another call.
        [message(4, 1, None, &path), message(2, 9, None, &path), message(2, 1, None, &path)]
            .concat(),
        message(2, 2, None, &variant("s", |body| body.text("shop.service"))),
        message(2, 3, None, &variant("u", |body| body.number(4711))),
        message(2, 4, None, &variant("b", |body| body.number(1))),
        message(2, 5, None, &variant("as", |body| body.number(0))),
        message(
            2,
            6,
            None,
            &variant("as", |body| {
                body.number(13);
                body.text("x.service");
            }),
        ),
        message(2, 7, None, &path),
    ]);
    let unit = bus.unit_by_pid("/org/freedesktop/systemd1", 4711).unwrap();
    assert_eq!(unit, "/org/freedesktop/systemd1/unit/shop_2eservice");
    assert_eq!(bus.text(&unit, "org.freedesktop.systemd1.Unit", "Id").unwrap(), "shop.service");
    let main = bus.number(&unit, "org.freedesktop.systemd1.Service", "MainPID");
    assert_eq!(main, Ok(4711));
    let of = "org.freedesktop.systemd1.Unit";
    assert_eq!(bus.flag(&unit, of, "Transient"), Ok(true));
    assert_eq!(bus.is_empty(&unit, of, "RequiredBy"), Ok(true));
    assert_eq!(bus.is_empty(&unit, of, "BoundBy"), Ok(false));
    assert_eq!(bus.try_restart(&unit), Ok(()));
    drop(bus);
    let heard = server.join().unwrap();
    let said = |text: &str| heard.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(heard.starts_with(b"\0AUTH EXTERNAL 3"), "digits in hex begin with 3");
    assert!(said("GetUnitByPID") && said("TryRestart\0") && said("fail\0"));
}

#[test]
fn a_refusal_has_the_name_of_its_error() {
    let name = "org.freedesktop.systemd1.NoUnitForPID";
    let mut text = Marshal::default();
    text.text("PID 4711 does not belong to any loaded unit.");
    let (_dir, mut bus, _server) = told(vec![message(3, 1, Some(name), &text)]);
    assert_eq!(bus.unit_by_pid("/", 4711), Err(BusError::Refused(name.to_owned())));
}

#[test]
fn what_is_no_answer_is_an_error_and_nothing_waits_for_ever() {
    let longest = [&b"l\x02\0\x01"[..], &[0xff; 12]].concat();
    let wrong = variant("s", |body| body.0.extend([0xff; 4]));
    for answer in [
        longest,
        b"B\x02\0\x01\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        message(2, 1, None, &wrong),
        message(2, 1, None, &Marshal::default()),
        message(2, 1, None, &variant("u", |body| body.number(1))),
        b"l\x02".to_vec(),
    ] {
        let (_dir, mut bus, _server) = told(vec![answer.clone()]);
        let said = bus.text("/", "org.freedesktop.systemd1.Unit", "Id");
        assert!(matches!(said, Err(BusError::Failed(_))), "{answer:?}: {said:?}");
    }
    let nowhere = ServiceBus::connect_to(Path::new("/nowhere")).map(|_| ());
    assert_eq!(nowhere, Err(BusError::Failed(Errno::NOENT)));
}

#[test]
fn a_restart_that_was_asked_for_counts_unless_systemd_says_no() {
    let name = "org.freedesktop.systemd1.TransactionIsDestructive";
    let mut text = Marshal::default();
    text.text("Transaction is destructive.");
    let (_dir, mut bus, _server) = told(vec![message(3, 1, Some(name), &text)]);
    assert_eq!(bus.try_restart("/"), Err(BusError::Refused(name.to_owned())));

    // It hangs up without an answer; or with none that can be read.
    for answer in [Vec::new(), b"l\x02".to_vec()] {
        let (_dir, mut bus, _server) = told(vec![answer]);
        assert_eq!(bus.try_restart("/"), Ok(()));
    }

    let (_dir, mut bus, server) = told(vec![Vec::new()]);
    bus.until = Instant::now();
    assert_eq!(bus.try_restart("/"), Err(BusError::Failed(Errno::TIMEDOUT)));
    drop(bus);
    let heard = server.join().unwrap();
    assert!(!heard.windows(7).any(|part| part == b"Restart"), "what came too late was not sent");
}

#[test]
fn all_exchanges_share_one_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("private")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"OK 0\r\n").unwrap();
        // A byte of a message without end each 100 ms: no read takes long, all of them would for ever.
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(b"l\x04\0\x01\0\xff\0\0\0\0\0\0\0\0\0\0").unwrap();
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => break,
                _ if stream.write_all(b"x").is_err() => break,
                _ => {}
            }
        }
    });
    let begun = Instant::now();
    let mut bus = ServiceBus::connect_to(&dir.path().join("private")).unwrap();
    let said = bus.text("/", "org.freedesktop.systemd1.Unit", "Id");
    assert_eq!(said, Err(BusError::Failed(Errno::TIMEDOUT)));
    assert!(begun.elapsed() < 2 * PATIENCE, "{:?}", begun.elapsed());
    // The time is over for what follows, too.
    assert_eq!(bus.unit_by_pid("/", 1), Err(BusError::Failed(Errno::TIMEDOUT)));
    drop(bus);
    server.join().unwrap();
}
