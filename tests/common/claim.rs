//! Claim: what one test at a time may have, of all that run on this machine, also where the suite runs
//! twice at once.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// What is claimed, until it is dropped.
///
/// A socket of that name in the abstract namespace: it leaves nothing behind and ends with its process.
pub struct Claim(#[allow(dead_code, reason = "it is held")] UnixListener);

impl Claim {
    /// Nothing if it is taken.
    pub fn of(what: &str) -> Option<Self> {
        let address = SocketAddr::from_abstract_name(format!("leakwatch-test-{what}"));
        match UnixListener::bind_addr(&address.expect("a short name")) {
            Ok(socket) => Some(Self(socket)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => None,
            Err(error) => panic!("cannot claim '{what}': {error}"),
        }
    }
}
