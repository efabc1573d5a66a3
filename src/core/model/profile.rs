//! Profiles: what is remembered of a program's runs, from one start of leakwatch to the next.

use crate::core::model::process::Comm;

/// By what a run is known again. Names alone can be chosen: one user's runs must not explain another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// The program's name.
    pub comm: Comm,
    /// Its parent's name.
    pub parent: Comm,
    /// The user and the executable that it runs.
    pub owner: RunOwner,
}

/// Whose run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunOwner {
    uid: u32,
    exe: u32,
}

/// What no user is called (`(uid_t)-1`).
const NOBODY: u32 = u32::MAX;

impl RunOwner {
    /// Of a user, where that is known, and the [digest](path_digest) of an executable's path; of a fork of
    /// an interpreter, with its command line.
    pub fn new(uid: Option<u32>, exe: u32) -> Self {
        Self { uid: uid.unwrap_or(NOBODY), exe }
    }

    /// The user; `None` where that is not known.
    pub fn uid(self) -> Option<u32> {
        Some(self.uid).filter(|uid| *uid != NOBODY)
    }

    /// The digest of the executable's path.
    pub fn exe(self) -> u32 {
        self.exe
    }
}

impl Default for RunOwner {
    fn default() -> Self {
        Self::new(None, 0)
    }
}

/// A number for a path that is the same in every version of leakwatch: FNV-1a of 32 bits. Only paths of
/// one user meet, so nothing is gained by finding two with the same.
pub fn path_digest(path: &str) -> u32 {
    path.bytes()
        .fold(0x811c_9dc5, |digest: u32, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What is remembered of the runs of a program under one parent that ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Of which program.
    pub key: RunKey,
    /// The highest footprint of all runs, in bytes.
    pub peak: u64,
    /// The longest that one was watched, in seconds.
    pub longest_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_path_stays_what_it_is() {
        assert_eq!(path_digest(""), 0x811c_9dc5);
        assert_eq!(path_digest("a"), 0xe40c_292c);
    }
}
