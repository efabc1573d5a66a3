//! Journalctl: what it is asked. Its answers are read by [`journal`](super::journal), without rights.

use super::wordings::needles;
use std::path::Path;
use std::process::{Command, Stdio};

/// Entries asked for, the newest.
const MOST_ENTRIES: &str = "20000";

/// What journalctl is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// For the kernel's entries alone. They are asked for first, so that a flood of others, of which only
    /// the newest are read, hides none of them.
    of_kernel: bool,
    /// `--grep` lets journalctl sift, ten times faster than we could parse all of it; where it was built
    /// without that, it says so and ends.
    sifted: bool,
}

/// The questions, in order.
pub(super) const QUERIES: [Query; 2] =
    [Query { of_kernel: true, sifted: true }, Query { of_kernel: false, sifted: true }];

impl Query {
    /// Whether it is for the kernel's entries alone.
    pub(super) fn is_of_kernel(self) -> bool {
        self.of_kernel
    }

    /// What is asked where that was not answered.
    pub(super) fn without_sifting(self) -> Option<Self> {
        (self.sifted && !self.of_kernel).then_some(Self { sifted: false, ..self })
    }

    pub(super) fn command(self, program: &Path, since_t: f64) -> Command {
        let mut command = Command::new(program);
        command.args(["--output=json", "--no-pager", "--quiet", "--all", "--reverse", "--lines"]);
        command.arg(MOST_ENTRIES).arg(format!("--since=@{}", since_t.max(0.0) as u64));
        if self.sifted {
            let patterns: Vec<String> = needles().into_iter().map(literal).collect();
            command.arg(format!("--grep={}", patterns.join("|"))).arg("--case-sensitive=yes");
        }
        if self.of_kernel {
            command.arg("_TRANSPORT=kernel");
        }
        command.env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// A text as the regular expression that matches it.
fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if "\\^$.|?*+()[]{}".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
