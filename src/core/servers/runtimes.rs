//! Runtimes: how the heap of what they run is bounded, for a leak that no setting of a server ends.

/// A runtime with a heap of its own.
#[derive(Debug)]
pub struct Runtime {
    /// What it is called.
    pub name: &'static str,
    /// Its executables, and the names of their processes.
    pub programs: &'static [&'static str],
    /// The variable that it takes options from.
    pub variable: &'static str,
    /// The options, with N for MiB of heap; without N they only make it keep less.
    pub options: &'static str,
    /// What happens at that bound, or what it helps.
    pub note: &'static str,
}

impl Runtime {
    /// The one that a program of that name is run by.
    pub fn of(program: &str) -> Option<&'static Self> {
        let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        RUNTIMES.iter().find(|row| row.programs.contains(&program) || row.programs.contains(&name))
    }
}

/// From the manuals of OpenJDK 17 (java), Node.js 20 (NODE_OPTIONS) and glibc 2.36 (mallopt), and the
/// wiki of Sidekiq.
pub static RUNTIMES: [Runtime; 3] = [
    Runtime {
        name: "Java",
        programs: &["java"],
        variable: "JAVA_TOOL_OPTIONS",
        options: "-XmxNm -XX:+ExitOnOutOfMemoryError",
        note: "at -Xmx the JVM collects all garbage before it takes more, and ends if that is not enough, so that its unit starts it again; an -Xmx on its command line counts instead of this one",
    },
    Runtime {
        name: "Node.js",
        programs: &["node", "nodejs"],
        variable: "NODE_OPTIONS",
        options: "--max-old-space-size=N",
        note: "at --max-old-space-size Node.js collects all garbage before it takes more, and ends if that is not enough, so that its unit starts it again; the same option on its command line counts instead of this one",
    },
    Runtime {
        name: "Ruby",
        programs: &["ruby", "sidekiq"],
        variable: "MALLOC_ARENA_MAX",
        options: "2",
        note: "with many threads (Sidekiq, Puma) glibc keeps freed memory in as many arenas; MALLOC_ARENA_MAX=2 keeps it small, and bounds no leak",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_known_by_its_programs_with_or_without_a_version() {
        let name = |program| Runtime::of(program).map(|row| row.name);
        assert_eq!(
            (name("java"), name("node20"), name("ruby3.1")),
            (Some("Java"), Some("Node.js"), Some("Ruby"))
        );
        assert_eq!((name("python3"), name("javac"), name("")), (None, None, None));
    }
}
