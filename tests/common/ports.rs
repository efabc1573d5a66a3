//! Ports: one for each server that takes no port 0, which no other server has, even when the suite runs
//! twice at once.
//!
//! To ask the kernel for a free one and let it go again is not enough: by the time the server
//! listens there, another test, or this end of any connection, may have it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use super::claim::Claim;

/// Below those that the kernel gives by itself (net.ipv4.ip_local_port_range, from 32768).
const RANGE: std::ops::Range<u16> = 16_000..32_000;

static CLAIMS: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

/// A port on loopback for the rest of this process.
pub fn own() -> u16 {
    let count = usize::from(RANGE.end - RANGE.start);
    // From somewhere else than the last run, whose closed connections linger for a minute.
    let first = std::process::id() as usize * 127 % count;
    let port = RANGE.cycle().skip(first).take(count).find(|port| is_free(*port));
    port.expect("a port that is free")
}

/// Claims it, if it is free.
fn is_free(port: u16) -> bool {
    let Some(claim) = Claim::of(&format!("port-{port}")) else { return false };
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if free {
        CLAIMS.lock().unwrap().push(claim);
    }
    free
}
