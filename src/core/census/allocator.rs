//! Allocator: which programs and libraries keep memory that the C library's malloc knows nothing of.

use serde::{Deserialize, Serialize};

/// Something that manages memory beside or instead of glibc's malloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allocator {
    /// jemalloc.
    Jemalloc,
    /// mimalloc.
    Mimalloc,
    /// tcmalloc of gperftools.
    Tcmalloc,
    /// The malloc of musl, another C library.
    Musl,
    /// The runtime of Go.
    Go,
    /// A Java virtual machine.
    Jvm,
    /// V8: Node.js and its kin.
    V8,
    /// CPython: arenas of its own for objects of up to 512 bytes.
    CPython,
    /// PHP: the memory of a request, in pieces of 2 MiB.
    Php,
    /// Ruby: pages of its own for objects.
    Ruby,
    /// The .NET runtime.
    DotNet,
    /// Erlang's virtual machine.
    Erlang,
}

impl Allocator {
    /// Its name in sentences and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jemalloc => "jemalloc",
            Self::Mimalloc => "mimalloc",
            Self::Tcmalloc => "tcmalloc",
            Self::Musl => "musl",
            Self::Go => "Go",
            Self::Jvm => "Java",
            Self::V8 => "V8",
            Self::CPython => "CPython",
            Self::Php => "PHP",
            Self::Ruby => "Ruby",
            Self::DotNet => ".NET",
            Self::Erlang => "Erlang",
        }
    }

    /// Whether it stands in the place of malloc, so that glibc's heap says nothing.
    pub fn replaces_malloc(self) -> bool {
        matches!(self, Self::Jemalloc | Self::Mimalloc | Self::Tcmalloc | Self::Musl)
    }
}

/// How the base name of a file begins.
const FILES: [(&str, Allocator); 20] = [
    ("libjemalloc", Allocator::Jemalloc),
    ("libmimalloc", Allocator::Mimalloc),
    ("libtcmalloc", Allocator::Tcmalloc),
    ("ld-musl-", Allocator::Musl),
    ("libjvm.so", Allocator::Jvm),
    ("libnode.so", Allocator::V8),
    ("libv8.so", Allocator::V8),
    ("libpython", Allocator::CPython),
    ("libruby", Allocator::Ruby),
    ("libphp", Allocator::Php),
    ("mod_php", Allocator::Php),
    ("libcoreclr.so", Allocator::DotNet),
    ("node", Allocator::V8),
    ("python", Allocator::CPython),
    ("pypy", Allocator::CPython),
    ("php", Allocator::Php),
    ("ruby", Allocator::Ruby),
    ("beam.smp", Allocator::Erlang),
    ("uwsgi_python", Allocator::CPython),
    ("lsphp", Allocator::Php),
];
/// Of these, libraries begin: any mapping may be one. The others are programs.
const LIBRARIES: usize = 12;
/// Names that runtimes give their memory (prctl PR_SET_VMA_ANON_NAME).
const NAMED: [(&str, Allocator); 5] = [
    ("[anon: Go: ", Allocator::Go),
    ("[anon:v8", Allocator::V8),
    ("[anon:mimalloc", Allocator::Mimalloc),
    ("[anon:jemalloc", Allocator::Jemalloc),
    ("[anon:tcmalloc", Allocator::Tcmalloc),
];
/// Where Go's heap begins on 64-bit machines (runtime/malloc.go, `arenaBaseOffset` and its comment).
const GO_HEAP: u64 = 0xc0_0000_0000;

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// By the program.
pub(super) fn of_program(path: &str) -> Option<Allocator> {
    let base = base(path);
    // node_exporter is no node, but php-fpm8.2 and python3.11 are what they seem.
    let is = |start: &str| {
        let rest = base.strip_prefix(start);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphabetic() || c == '_'))
    };
    let mut programs = FILES.iter().skip(LIBRARIES);
    programs.find(|(start, _)| is(start)).map(|(_, allocator)| *allocator)
}

/// By a mapping's name, or by its address.
pub(super) fn of_mapping(name: &str, start: u64) -> Option<Allocator> {
    if start == GO_HEAP {
        return Some(Allocator::Go);
    }
    if name.starts_with('[') {
        let named = NAMED.iter().find(|(start, _)| name.starts_with(start));
        return named.map(|(_, allocator)| *allocator);
    }
    let base = base(name);
    let mut libraries = FILES.iter().take(LIBRARIES);
    libraries.find(|(start, _)| base.starts_with(start)).map(|(_, allocator)| *allocator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocators_are_known_by_programs_libraries_names_and_places() {
        for (path, allocator) in [
            ("/usr/sbin/php-fpm8.2", Some(Allocator::Php)),
            ("/usr/bin/python3.11", Some(Allocator::CPython)),
            ("/usr/bin/perl", None),
            ("/usr/bin/node_exporter", None),
            ("", None),
        ] {
            assert_eq!(of_program(path), allocator, "{path}");
        }
        for (name, start, allocator) in [
            ("/usr/lib/jvm/lib/server/libjvm.so", 1, Some(Allocator::Jvm)),
            ("/lib/ld-musl-x86_64.so.1", 1, Some(Allocator::Musl)),
            ("/usr/lib/python3/dist-packages/x.so", 1, None),
            ("[anon: Go: heap]", 1, Some(Allocator::Go)),
            ("[heap]", 1, None),
            ("", GO_HEAP, Some(Allocator::Go)),
            ("", 1, None),
        ] {
            assert_eq!(of_mapping(name, start), allocator, "{name}");
        }
    }
}
