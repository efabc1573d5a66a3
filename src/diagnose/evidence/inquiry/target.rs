//! Target: which of a server's files a diff may change.
//!
//! Root will apply it. So it is offered only for a regular file of root's or of the service's user,
//! under the name that it has and by way of nobody else's links or directories, and only if leakwatch
//! itself finds there what the helper read. A file of root's that an unprivileged process has named must
//! have the setting already: any readable file could be named.

use crate::diagnose::findings::Setup;
use crate::system::{foreign_file, trusted_path};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of a file that may change.
const LARGEST: u64 = 1 << 20;

/// Leaves out the files that must not be changed, and says why.
pub(super) fn keep_changeable(setup: &mut Setup, root: &Path, uid: u32) {
    for (file, text) in std::mem::take(&mut setup.files) {
        let has_setting = [Some(&setup.recycle), setup.jitter.as_ref(), Some(&setup.cap)]
            .into_iter()
            .flatten()
            .any(|setting| setting.in_file().is_some_and(|place| place.file == file));
        let is_for_logs_only =
            !has_setting && setup.insert.as_ref().is_none_or(|at| at.file != file);
        let has_format = has_format(setup, &file, &text);
        match ensure_changeable(Path::new(&file), &text, root, (uid, has_setting || has_format)) {
            Ok(()) => setup.files.push((file, text)),
            // What to log is then said without a diff.
            Err(_) if is_for_logs_only => {}
            Err(why) => setup.warnings.push(format!("no diff for {file}: {why}")),
        }
    }
}

/// Whether a line of a file is the format of an access log: found there, not believed.
fn has_format(setup: &Setup, file: &str, text: &str) -> bool {
    let Some(advice) = setup.server.advice else { return false };
    let Some(of) = advice.pid_in_log else { return false };
    let mut places =
        setup.log_formats.iter().map(|format| &format.place).filter(|at| at.file == file);
    places.any(|at| {
        let line = at.line.checked_sub(1).and_then(|nth| text.lines().nth(nth));
        line.is_some_and(|line| of.added_to(line, advice.syntax).is_some())
    })
}

fn ensure_changeable(
    file: &Path,
    text: &str,
    root: &Path,
    (uid, has_setting): (u32, bool),
) -> Result<(), String> {
    if root != Path::new("/") {
        return Err("it is in a container; change it there".to_owned());
    }
    let [root, own] = trusted_path::owners();
    let in_a_line = |error: anyhow::Error| trusted_path::in_a_line(&error);
    let opened = trusted_path::open(file, &[root, own, uid]).map_err(in_a_line)?;
    let about = opened.metadata().map_err(|error| error.to_string())?;
    if about.uid() == root {
        // The user's own links and directories lead to the user's own files only.
        trusted_path::open(file, &[root, own]).map_err(in_a_line)?;
    }
    if about.nlink() != 1 {
        return Err("it has several names".to_owned());
    }
    if uid != 0 && about.uid() == 0 && !has_setting {
        return Err("it is root's, and has none of these settings yet".to_owned());
    }
    let bytes = foreign_file::read(opened, LARGEST).map_err(|error| error.to_string())?;
    match String::from_utf8_lossy(&bytes) == text {
        true => Ok(()),
        false => Err("it is not what was read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_file_that_was_read_under_its_only_name_may_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.conf");
        fs::write(&file, "a = 1\n").unwrap();
        let [_, own] = trusted_path::owners();
        let ensure =
            |text: &str, root: &str| ensure_changeable(&file, text, Path::new(root), (own, true));
        assert_eq!(ensure("a = 1\n", "/"), Ok(()));
        assert!(ensure("a = 2\n", "/").unwrap_err().contains("not what was read"));
        assert!(ensure("a = 1\n", "/proc/7/root").unwrap_err().contains("container"));
        fs::hard_link(&file, dir.path().join("b.conf")).unwrap();
        assert!(ensure("a = 1\n", "/").unwrap_err().contains("several names"));
    }
}
