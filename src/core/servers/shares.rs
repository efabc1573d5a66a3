//! File servers: each child is a client's session with its open files. They are only reported.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// A client of a killed smbd loses its locks and what it had not yet written.
pub(super) static SAMBA: Server = Server {
    name: "Samba",
    key: "samba",
    by: &[
        RecognisedBy::Exe(&["smbd", "nmbd", "winbindd", "samba", "samba-dcerpcd", "ctdbd"]),
        RecognisedBy::Dir("samba"),
        RecognisedBy::TitleBegins(&["smbd: ", "winbindd: ", "samba: "]),
    ],
    verified: "manual, Samba 4.17",
    workers: WorkerPolicy::Report(
        "it is a user's session with open files; `smbstatus` shows whose. End it yourself if it must go",
    ),
    cap: &[ServerSetting::new("max smbd processes = N", "sessions", "0: unlimited")],
    files: &[("all", "/etc/samba/smb.conf")],
    apply: "smbcontrol all reload-config",
    ..BLANK
};

/// A transfer that is cut has to begin again.
pub(super) static TRANSFER: Server = Server {
    name: "file transfer",
    key: "transfer",
    by: &[
        RecognisedBy::Exe(&[
            "rsync",
            "git",
            "git-daemon",
            "git-upload-pack",
            "git-receive-pack",
            "svnserve",
            "sftp-server",
            "afpd",
            "netatalk",
            "cnid_dbd",
            "in.tftpd",
            "bacula-sd",
            "bacula-fd",
            "bareos-sd",
            "bareos-fd",
            "borg",
            "restic",
            "rclone",
            "amandad",
            "uftpd",
            "webfsd",
        ]),
        RecognisedBy::Title(&["borg", "duplicity", "rdiff-backup"]),
    ],
    verified: "manuals",
    workers: WorkerPolicy::Report("it is a transfer or a backup, which nothing would start again"),
    ..BLANK
};
