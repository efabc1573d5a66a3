//! The kernel's own words for a kill, a refused fork and refused memory (mm/oom_kill.c,
//! mm/page_alloc.c, mm/util.c, kernel/cgroup/pids.c), as in /dev/kmsg, the journal and syslog.

/// A line of the kernel log that proves that memory or tasks ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelLine<'a> {
    /// `Out of memory: Killed process ..`: the OOM killer of the machine, since Linux 5.0.
    Killed(Victim<'a>),
    /// `Memory cgroup out of memory: Killed process ..`
    KilledInCgroup(Victim<'a>),
    /// `Out of memory: Kill process .. or sacrifice child`: before 5.0 the first line of a kill,
    WillKill,
    /// and `Killed process ..` the second, of the machine's kills and of those in cgroups alike.
    KilledSomewhere(Victim<'a>),
    /// `cgroup: fork rejected by pids controller in ..`: that cgroup's path.
    ForkRejected(&'a str),
    /// `..: page allocation failure: order:0 ..`: the name of the process that asked for a page.
    NoPage(&'a str),
    /// `__vm_enough_memory: .. not enough memory ..`: refused by the commit limit.
    CommitRefused,
}

/// What follows `Killed process `: `4711 (apache2) total-vm:..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim<'a>(&'a str);

impl<'a> Victim<'a> {
    /// The name, which may hold parentheses itself.
    pub(crate) fn name(self) -> Option<&'a str> {
        let (_, rest) = self.0.split_once(" (").or_else(|| self.0.split_once(", UID "))?;
        let end = rest.find(") total-vm").or_else(|| rest.find("),")).or_else(|| rest.rfind(')'));
        rest.get(..end?)
    }
}

impl<'a> KernelLine<'a> {
    /// Reads a message, with or without the time that printk puts before it.
    pub(crate) fn parse(message: &'a str) -> Option<Self> {
        let text = without_time(message);
        let after = |words: &str| text.strip_prefix(words);
        if let Some(rest) = after("Out of memory: Killed process ") {
            Some(Self::Killed(Victim(rest)))
        } else if let Some(rest) = after("Memory cgroup out of memory: Killed process ") {
            Some(Self::KilledInCgroup(Victim(rest)))
        } else if let Some(rest) = after("Killed process ") {
            Some(Self::KilledSomewhere(Victim(rest)))
        } else if let Some(path) = after("cgroup: fork rejected by pids controller in ") {
            Some(Self::ForkRejected(path.trim()))
        } else if after("Out of memory: Kill process ").is_some() {
            Some(Self::WillKill)
        } else if after("__vm_enough_memory:")
            .is_some_and(|rest| rest.contains("not enough memory"))
        {
            Some(Self::CommitRefused)
        } else {
            let (name, _) = text.split_once(": page allocation failure: order:0")?;
            Some(Self::NoPage(name))
        }
    }
}

/// A message without the `[12345.678901] ` that printk.time adds in syslog.
pub(crate) fn without_time(message: &str) -> &str {
    match message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, rest)) if time.trim().parse::<f64>().is_ok() => rest,
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_of_all_kernels_name_their_victim() {
        let name = |line| match KernelLine::parse(line) {
            Some(KernelLine::Killed(v) | KernelLine::KilledInCgroup(v)) => v.name(),
            Some(KernelLine::KilledSomewhere(v)) => v.name(),
            other => panic!("{other:?}"),
        };
        for line in [
            "Out of memory: Killed process 7 (a (b)) total-vm:1kB, anon-rss:2kB",
            "[  12.34] Memory cgroup out of memory: Killed process 7 (a (b)) total-vm:1kB",
            "Killed process 7 (a (b)) total-vm:1kB",
        ] {
            assert_eq!(name(line), Some("a (b)"), "{line}");
        }
        let old = "Out of memory: Kill process 7 (x) score 9 or sacrifice child";
        assert_eq!(KernelLine::parse(old), Some(KernelLine::WillKill));
        assert_eq!(KernelLine::parse("user: Out of memory: Killed process 7 (x)"), None);
    }
}
