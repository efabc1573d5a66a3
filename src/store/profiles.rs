//! Profiles: the memory of programs in a file, so that it outlives leakwatch.
//!
//! A header line, then a profile a line:
//!
//! ```json
//! {"format":"leakwatch-programs","version":1}
//! {"comm":"php-fpm8.2","parent":"php-fpm8.2","peak":104857600,"longest_s":86400.5,"uid":33,"exe":1234}
//! ```
//!
//! Names are written as in [recordings](crate::store::recording), peaks are bytes, `exe` is a digest of the
//! executable's path. What older versions wrote has no `uid` and so belongs to no user. The file is replaced as
//! a whole by a rename. It is not synced to the disk first: that may block for long just when
//! memory is short, and a file that a power cut tore is found out and left.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::core::model::json_text::write_comm;
use crate::core::model::profile::{Profile, RunKey, RunOwner};
use crate::store::recording::CommText;
use crate::system::{foreign_file, trusted_path};

/// The file's name.
const FILE: &str = "programs.jsonl";
/// Written in full before it takes the place of the other.
const NEW: &str = "programs.jsonl.new";
/// The value of the header's `format`.
const FORMAT: &str = "leakwatch-programs";
/// The version that is written and read.
const VERSION: u32 = 1;

/// Profiles kept: those of the runs that ended last.
pub const MOST: usize = 256;

/// A line has at most some 250 bytes, each byte of a name six; what is larger is not ours.
const MOST_BYTES: u64 = 1 << 17;

/// Longest run that is believed, in seconds (30 years).
const LONGEST_S: f64 = 1e9;

#[derive(Deserialize)]
struct ProfilesHeader {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct ProfileLine {
    comm: CommText,
    parent: CommText,
    peak: u64,
    longest_s: f64,
    uid: Option<u32>,
    #[serde(default)]
    exe: u32,
}

/// Reads the profiles kept in a directory; none where there is no file yet.
///
/// # Errors
/// A file that cannot be read or is not whole: nothing in it is then believed.
pub fn read(dir: &Path) -> Result<Vec<Profile>> {
    let path = dir.join(FILE);
    let name = path.display();
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(about) => ensure!(about.is_file(), "'{name}' is no regular file"),
        Err(error) => return Err(error).with_context(|| format!("'{name}' cannot be read")),
    }
    trusted_path::ensure_directory(dir, &trusted_path::owners())?;
    let text = foreign_file::open_no_link(&path)
        .and_then(|file| foreign_file::read(file, MOST_BYTES))
        .with_context(|| format!("'{name}' cannot be read"))?;
    parse(&text).with_context(|| format!("'{name}' is torn or garbled"))
}

fn parse(text: &[u8]) -> Result<Vec<Profile>> {
    let Some(text) = text.strip_suffix(b"\n") else { bail!("its last line has no end") };
    let mut lines = text.split(|byte| *byte == b'\n');
    let header: ProfilesHeader = serde_json::from_slice(lines.next().unwrap_or_default())?;
    ensure!(header.format == FORMAT, "it is a {:?}", header.format);
    ensure!(header.version == VERSION, "it has version {}", header.version);
    let profile = |line| {
        let ProfileLine { comm, parent, peak, longest_s, uid, exe } = serde_json::from_slice(line)?;
        let (CommText(comm), CommText(parent)) = (comm, parent);
        let key = RunKey { comm, parent, owner: RunOwner::new(uid, exe) };
        ensure!((0.0..=LONGEST_S).contains(&longest_s), "a run of {longest_s} s");
        Ok(Profile { key, peak, longest_s })
    };
    lines.take(MOST).map(profile).collect()
}

/// Keeps the first profiles, at most [`MOST`], in a directory, which is made if need be.
///
/// # Errors
/// A directory or file that cannot be written; the file is then as it was.
pub fn write(dir: &Path, profiles: &[Profile]) -> Result<()> {
    let name = dir.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("'{name}' cannot be made"))?;
    trusted_path::ensure_directory(dir, &trusted_path::owners())?;
    let new = dir.join(NEW);
    // Left by a run that was killed; whatever it is, it is not written through.
    let _ = fs::remove_file(&new);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&lines(profiles)?)?;
        fs::rename(&new, dir.join(FILE))
    };
    write().with_context(|| format!("'{name}' cannot be written"))
}

fn lines(profiles: &[Profile]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    writeln!(text, "{{\"format\":\"{FORMAT}\",\"version\":{VERSION}}}")?;
    for Profile { key, peak, longest_s } in profiles.iter().take(MOST) {
        let RunKey { comm, parent, owner } = *key;
        text.extend_from_slice(b"{\"comm\":");
        write_comm(&mut text, comm)?;
        text.extend_from_slice(b",\"parent\":");
        write_comm(&mut text, parent)?;
        write!(text, ",\"peak\":{peak},\"longest_s\":{longest_s}")?;
        if let Some(uid) = owner.uid() {
            write!(text, ",\"uid\":{uid}")?;
        }
        writeln!(text, ",\"exe\":{}}}", owner.exe())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Comm;
    use std::os::unix::fs::PermissionsExt;

    fn profile(nth: u64) -> Profile {
        let comm = Comm::new(format!("job\"\n\u{fc}{nth}").as_bytes());
        let owner = RunOwner::new(Some(33), u32::MAX - nth as u32);
        let key = RunKey { comm, parent: Comm::new(b"\xffcron\\"), owner };
        Profile { key, peak: nth << 20, longest_s: 0.25 }
    }

    #[test]
    fn what_is_written_is_read_and_only_the_owner_may() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        assert_eq!(read(&state).unwrap(), []);
        let profiles: Vec<Profile> = (0..300).map(profile).collect();
        write(&state, &profiles).unwrap();
        write(&state, &profiles).unwrap();
        assert_eq!(read(&state).unwrap(), profiles[..MOST]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn the_longest_names_fit() {
        let comm = Comm::new(&[0xff; Comm::MAX]);
        let owner = RunOwner::new(Some(u32::MAX - 1), u32::MAX);
        let key = RunKey { comm, parent: comm, owner };
        let longest = Profile { key, peak: u64::MAX, longest_s: 1e9 / 3.0 };
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[longest; MOST]).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [longest; MOST]);
    }

    #[test]
    fn a_torn_or_garbled_file_is_believed_in_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[profile(1), profile(2)]).unwrap();
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        for length in 0..whole.len() {
            fs::write(dir.path().join(FILE), &whole[..length]).unwrap();
            // A cut between two lines leaves a whole, shorter file.
            let cut = whole[..length].ends_with(b"}\n");
            assert_eq!(read(dir.path()).is_ok(), cut, "{length} bytes");
        }
        for line in [
            &b"{\"format\":\"leakwatch-programs\",\"version\":2}\n"[..],
            b"{\"format\":\"leakwatch-programs\",\"version\":1}\n{\"comm\":\"a\",\"parent\":\"b\",\"peak\":-1,\"longest_s\":1}\n",
            b"{\"format\":\"leakwatch-programs\",\"version\":1}\n{\"comm\":\"a\",\"parent\":\"b\",\"peak\":1,\"longest_s\":1e300}\n",
            b"\0\0\0\0\n",
        ] {
            fs::write(dir.path().join(FILE), line).unwrap();
            assert!(read(dir.path()).is_err(), "{}", line.escape_ascii());
        }
        fs::write(dir.path().join(FILE), vec![b'\n'; 1 << 20]).unwrap();
        assert!(read(dir.path()).is_err());
    }

    #[test]
    fn fuzz_profiles() {
        let text = lines(&[profile(1), profile(2)]).unwrap();
        crate::core::fuzz::fuzz("profiles", 2, &[&text], |text| drop(parse(text)));
    }

    #[test]
    fn a_link_is_neither_read_nor_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join(FILE)).unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join(NEW)).unwrap();
        assert!(read(dir.path()).is_err());
        write(dir.path(), &[profile(1)]).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        assert_eq!(read(dir.path()).unwrap(), [profile(1)]);
    }
}
