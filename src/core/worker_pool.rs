//! Worker pool: the children of one parent that do the same work, for detector and policy alike.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::servers::{self, Server};

/// The children of one parent that do the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerPool {
    /// The parent; none of a root, which is in no pool.
    pub parent: Option<ProcId>,
    /// What its members have in common.
    pub kind: WorkerPoolKind,
}

/// What the members of a pool have in common, as a hash: every process keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerPoolKind(u64);

/// What the members of a pool have in common.
#[derive(Hash)]
enum InCommon<'a> {
    /// They are forks of their parent, whatever each is called (mod_perl renames its children),
    /// and where it has several pools, of the one of this name.
    Forks(&'a str),
    /// Their name, where they run a program of their own, help the others, or nothing else is
    /// recorded of them.
    Named(Comm),
}

#[cfg(test)]
impl WorkerPool {
    /// The children of a master that have that name and run a program of their own.
    pub fn named(master: ProcId, comm: &str) -> Self {
        Self { parent: Some(master), kind: WorkerPoolKind::named(Comm::new(comm.as_bytes())) }
    }
}

impl WorkerPoolKind {
    /// The kind of the pool that the process of a program is in, by the row of its server.
    pub fn of(program: &Program, comm: Comm, server: &Server) -> Self {
        if program.forked && servers::handles_requests(server, program) {
            InCommon::Forks(servers::pool_name(server, &program.title)).into()
        } else {
            Self::named(comm)
        }
    }

    /// The kind of those that have this name.
    pub fn named(comm: Comm) -> Self {
        InCommon::Named(comm).into()
    }
}

impl From<InCommon<'_>> for WorkerPoolKind {
    fn from(in_common: InCommon<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        in_common.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_fork_stays_with_its_siblings_and_a_helper_does_not() {
        let kind = |forked, title: &str, comm: &[u8]| {
            let exe = "/usr/sbin/php-fpm8.2".to_owned();
            let id = ProcId { pid: 7, start: 7 };
            let program =
                Program { id, exe, title: title.to_owned(), forked, ..Program::unknown() };
            let comm = Comm::new(comm);
            WorkerPoolKind::of(&program, comm, servers::recognise(&program, comm, &[]))
        };
        let www = kind(true, "php-fpm: pool www", b"php-fpm8.2");
        assert_eq!(kind(true, "php-fpm: pool www", b"renamed"), www);
        assert_ne!(kind(true, "php-fpm: pool shop", b"php-fpm8.2"), www);
        assert_eq!(
            kind(false, "php-fpm: pool www", b"cgi"),
            WorkerPoolKind::named(Comm::new(b"cgi"))
        );
    }
}
