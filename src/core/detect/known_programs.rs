//! Programs whose growth has an end by design: stores that fill the memory they were given, and
//! jobs that run to an end. A row a program, by the name that the kernel keeps.

use crate::core::model::process::Comm;
use crate::core::servers;

/// How a program grows by design.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgramKind {
    /// A service: nothing is known of its growth.
    #[default]
    Service,
    /// It keeps data up to a size that it is told. How far that goes is for its settings to say.
    Store,
    /// It works on one thing and exits: its memory goes with it.
    Job,
}

const STORES: &[&str] = &[
    "cache-main", // varnishd's child
    "clickhouse-serv",
    "dragonfly",
    "etcd",
    "influxd",
    "keydb-server",
    "mariadbd",
    "memcached",
    "mongod",
    "mysqld",
    "redis-server",
    "valkey-server",
    "varnishd",
];

const JOBS: &[&str] = &[
    // Compilers and what they run.
    "as",
    "cc1",
    "cc1plus",
    "cargo",
    "clang",
    "clang++",
    "collect2",
    "compile",
    "javac",
    "ld",
    "ld.lld",
    "link",
    "lto1",
    "lto1-ltrans",
    "lto1-wpa",
    "mold",
    "rustc",
    "swiftc",
    "tsc",
    // Build tools and runners.
    "cmake",
    "make",
    "ninja",
    "parallel",
    "xargs",
    // Sorting, packing, copying.
    "7z",
    "awk",
    "bzip2",
    "cp",
    "gawk",
    "gzip",
    "mawk",
    "pigz",
    "rsync",
    "sort",
    "tar",
    "xz",
    "zip",
    "zstd",
    // Backups and dumps.
    "borg",
    "duplicity",
    "mariadb-dump",
    "mongodump",
    "mysqldump",
    "pg_basebackup",
    "pg_dump",
    "pg_restore",
    "restic",
    // Pictures and films, packages, indexes.
    "apt",
    "apt-get",
    "convert",
    "dnf",
    "dpkg",
    "ffmpeg",
    "git",
    "magick",
    "updatedb",
    "yum",
];

fn is_in(names: &[&str], comm: Comm) -> bool {
    names.iter().any(|name| name.as_bytes() == comm.as_bytes())
}

/// What is known of a program by its name and its parent's.
pub fn kind_of(comm: Comm, parent: Option<Comm>) -> ProgramKind {
    let is_in = |names: &[&str]| is_in(names, comm);
    if is_in(JOBS) || parent.is_some_and(servers::runs_jobs) {
        ProgramKind::Job
    } else if is_in(STORES) {
        ProgramKind::Store
    } else {
        ProgramKind::Service
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_the_kernel_keeps_whole() {
        assert!(STORES.iter().chain(JOBS).all(|name| name.len() <= Comm::MAX));
        assert!(JOBS.iter().all(|name| !STORES.contains(name)));
    }

    #[test]
    fn a_program_is_known_by_its_whole_name() {
        let kind = |comm: &[u8]| kind_of(Comm::new(comm), Some(Comm::new(b"bash")));
        assert_eq!(kind(b"cc1"), ProgramKind::Job);
        assert_eq!(kind(b"redis-server"), ProgramKind::Store);
        assert_eq!(kind(b"sort-of-server"), ProgramKind::Service);
    }

    #[test]
    fn what_a_runner_starts_is_a_job() {
        let kind = |parent: &[u8]| kind_of(Comm::new(b"python3"), Some(Comm::new(parent)));
        assert_eq!(kind(b"xargs"), ProgramKind::Job);
        assert_eq!(kind(b"gunicorn"), ProgramKind::Service);
        assert_eq!(kind_of(Comm::new(b"python3"), None), ProgramKind::Service);
    }
}
