//! The kernel's own words for a kill, a refused fork and refused memory (mm/oom_kill.c,
//! mm/page_alloc.c, mm/util.c, kernel/cgroup/pids.c), as in /dev/kmsg, the journal and syslog.

/// A line of the kernel log that proves that memory or tasks ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelLine<'a> {
    /// `Out of memory: Killed process ..`: the OOM killer of the machine, since Linux 5.0.
    Killed(Victim<'a>),
    /// `Memory cgroup out of memory: Killed process ..`
    KilledInCgroup(Victim<'a>),
    /// `oom-kill:constraint=..,task=java,pid=7,uid=0`: since Linux 4.20, the line before those.
    Chosen(ChosenVictim<'a>),
    /// `Out of memory: Kill process .. or sacrifice child`: before 5.0 the first line of a kill,
    WillKill(Victim<'a>),
    /// the same at a cgroup's limit,
    WillKillInCgroup(Victim<'a>),
    /// and `Killed process ..` the second, of the machine's kills and of those in cgroups alike.
    KilledSomewhere(Victim<'a>),
    /// `cgroup: fork rejected by pids controller in ..`: that cgroup's path.
    ForkRejected(&'a str),
    /// `..: page allocation failure: order:0 ..`: the name of the process that asked for a page.
    NoPage(&'a str),
    /// `Kernel panic - not syncing: Out of memory ..`: nothing was left to kill, or vm.panic_on_oom is set.
    Panicked,
    /// `Fatal resource shortage: privvmpages, UB 101.`: OpenVZ refused a container memory or a process.
    BeancounterShort {
        /// The counter, one of memory's or `numproc`.
        resource: &'a str,
        /// Its container: `UB 101`.
        container: &'a str,
    },
    /// `__vm_enough_memory: .. not enough memory ..`: refused by the commit limit.
    CommitRefused,
}

/// Beancounters of memory and of processes; the others bound files, locks and network buffers.
const BEANCOUNTERS: [&str; 7] =
    ["kmemsize", "privvmpages", "physpages", "vmguarpages", "oomguarpages", "swappages", "numproc"];

/// What asks for pages without waiting, in interrupts: network drivers above all.
const KERNEL_THREADS: [&str; 5] = ["swapper", "ksoftirqd/", "kworker/", "irq/", "napi/"];

/// What follows `Killed process `: `4711 (apache2) total-vm:..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim<'a>(&'a str);

impl<'a> Victim<'a> {
    /// The name, which may hold parentheses itself.
    pub(crate) fn name(self) -> Option<&'a str> {
        let Some((_, rest)) = self.0.split_once(" (").or_else(|| self.0.split_once(", UID "))
        else {
            // "VM: killing process httpd" has no pid.
            return self.0.split(' ').next().filter(|name| !name.is_empty());
        };
        let rest = rest.split_once(", (").map_or(rest, |(_, name)| name);
        let end = rest
            .find(") total-vm")
            .or_else(|| rest.find(") score "))
            .or_else(|| rest.find("),"))
            .or_else(|| rest.rfind(')'));
        rest.get(..end?)
    }

    /// The user that it ran as, if it is said: from Linux 5.4 on, and by RHEL 6. The name, which is the
    /// victim's to choose, stands before the one and behind the other.
    pub(crate) fn uid(self) -> Option<u32> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let early = self.0.get(digits..).and_then(|rest| rest.strip_prefix(", UID "));
        let text = early.or_else(|| self.0.rsplit_once(", UID:").map(|(_, text)| text))?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.get(..digits)?.parse().ok()
    }

    /// The pid, if it is said.
    pub(crate) fn pid(self) -> Option<u32> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        self.0.get(..digits)?.parse().ok()
    }
}

/// Whom the OOM killer chose, in the words of one line for programs to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChosenVictim<'a> {
    /// The name, which may hold commas.
    pub(crate) name: &'a str,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    /// Whether a cgroup's limit was met, and not the machine's.
    pub(crate) in_cgroup: bool,
}

impl<'a> ChosenVictim<'a> {
    /// What follows `oom-kill:constraint=`. The numbers stand last, behind all names.
    fn parse(rest: &'a str) -> Option<Self> {
        let (rest, uid) = rest.trim_end().rsplit_once(",uid=")?;
        let (rest, pid) = rest.rsplit_once(",pid=")?;
        let (head, name) = rest.split_once(",task=")?;
        let in_cgroup = head.starts_with("CONSTRAINT_MEMCG,");
        Some(Self { name, pid: pid.parse().ok()?, uid: uid.parse().ok()?, in_cgroup })
    }
}

impl<'a> KernelLine<'a> {
    /// Reads a message, with or without the time that printk puts before it.
    pub(crate) fn parse(message: &'a str) -> Option<Self> {
        let text = without_time(message);
        let after = |words: &str| text.strip_prefix(words);
        // Before 2.6.20 with a capital; "(oom_kill_allocating_task)" where that is set.
        if let Some(rest) = after("Out of memory").or_else(|| after("Out of Memory")) {
            return killed(rest, Self::Killed, Self::WillKill);
        }
        if let Some(rest) = after("Memory cgroup out of memory") {
            return killed(rest, Self::KilledInCgroup, Self::WillKillInCgroup);
        }
        if let Some(rest) = after("oom-kill:constraint=") {
            ChosenVictim::parse(rest).map(Self::Chosen)
        } else if let Some(rest) = after("Killed process ") {
            Some(Self::KilledSomewhere(Victim(rest)))
        } else if let Some(rest) =
            after("OOM killed process ").or_else(|| after("VM: killing process "))
        {
            Some(Self::Killed(Victim(rest)))
        } else if let Some(path) = after("cgroup: fork rejected by pids controller in ") {
            Some(Self::ForkRejected(path.trim()))
        } else if after("__vm_enough_memory:")
            .is_some_and(|rest| rest.contains("not enough memory"))
        {
            Some(Self::CommitRefused)
        } else if let Some(why) = after("Kernel panic - not syncing: ") {
            let is_memorys = ["Out of memory", "out of memory", "System is deadlocked on memory"];
            is_memorys.iter().any(|words| why.starts_with(words)).then_some(Self::Panicked)
        } else if let Some(rest) = after("Fatal resource shortage: ") {
            let (resource, rest) = rest.split_once(", ")?;
            let container = rest.split('.').next()?.trim();
            let is_short = BEANCOUNTERS.contains(&resource) && container.starts_with("UB ");
            is_short.then_some(Self::BeancounterShort { resource, container })
        } else {
            let (name, rest) = text.split_once(": page allocation failure")?;
            // A driver's request, which may fail: it comes again.
            if KERNEL_THREADS.iter().any(|thread| name.starts_with(thread)) {
                return None;
            }
            rest.get(1..)?.trim_start().starts_with("order:0").then_some(Self::NoPage(name))
        }
    }
}

/// What follows "Out of memory": `: Killed process 7 (x)`, ` (oom_kill_allocating_task): Kill process ..`, or
/// of Virtuozzo ` in UB 1234: OOM killed process 7 (x)`, which is a container's.
fn killed<'a>(
    rest: &'a str,
    done: fn(Victim<'a>) -> KernelLine<'a>,
    announced: fn(Victim<'a>) -> KernelLine<'a>,
) -> Option<KernelLine<'a>> {
    let (how, rest) = rest.split_once(": ")?;
    if let Some(victim) = rest.strip_prefix("OOM killed process ") {
        return how.starts_with(" in ").then_some(KernelLine::KilledInCgroup(Victim(victim)));
    }
    if !(how.is_empty() || how.starts_with(" (")) {
        return None;
    }
    if let Some(victim) = rest.strip_prefix("Killed process ") {
        return Some(done(Victim(victim)));
    }
    let victim =
        rest.strip_prefix("Kill process ").or_else(|| rest.strip_prefix("kill process "))?;
    Some(announced(Victim(victim)))
}

/// A message without the `[12345.678901] ` that printk.time adds in syslog, the `[ T1234] ` of the
/// thread, and the priority that dmesg puts before them (`<3>`, `kern  :err   : `).
pub(crate) fn without_time(message: &str) -> &str {
    let mut text = message;
    if let Some((level, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && level.parse::<u8>().is_ok()
    {
        text = rest;
    }
    if let Some(rest) = text.strip_prefix("kern ") {
        text = rest.splitn(3, ':').nth(2).map_or(text, str::trim_start);
    }
    for _ in 0..3 {
        let Some((inside, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            break;
        };
        let inside = inside.trim();
        let is_caller = inside.strip_prefix(['T', 'C']).is_some_and(|id| id.parse::<u32>().is_ok());
        if inside.parse::<f64>().is_err() && !is_caller {
            break;
        }
        text = rest.trim_start();
    }
    text
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
        for line in [
            "Out of Memory: Killed process 7 (httpd).",
            "<3>[  12.34][ T1234] Out of memory: Killed process 7 (httpd) total-vm:1kB",
            "kern  :err   : [  12.34] Out of memory: Killed process 7 (httpd) total-vm:1kB",
            "Out of memory (oom_kill_allocating_task): Killed process 7 (httpd) total-vm:1kB",
            "Out of memory in UB 1234: OOM killed process 7 (httpd) score 0 vm:1kB, rss:1kB, swap:0kB",
            "Killed process 7, UID 48, (httpd) total-vm:1kB",
            "VM: killing process httpd",
        ] {
            assert_eq!(name(line), Some("httpd"), "{line}");
        }
        let uid = |line| match KernelLine::parse(line) {
            Some(KernelLine::Killed(victim) | KernelLine::KilledSomewhere(victim)) => victim.uid(),
            other => panic!("{line}: {other:?}"),
        };
        for (line, is) in [
            ("Out of memory: Killed process 7 (x) total-vm:1kB, UID:33 pgtables:9kB", Some(33)),
            (
                "Out of memory: Killed process 7 (a, UID:0 ) total-vm:1kB, UID:1000 pgtables:9kB",
                Some(1000),
            ),
            ("Killed process 7, UID 48, (a, UID:0 ) total-vm:1kB", Some(48)),
            ("Killed process 7 (httpd) total-vm:1kB", None),
        ] {
            assert_eq!(uid(line), is, "{line}");
        }
        let announced =
            "Memory cgroup out of memory: Kill process 7 (x) score 9 or sacrifice child";
        let Some(KernelLine::WillKillInCgroup(victim)) = KernelLine::parse(announced) else {
            panic!("{announced}")
        };
        assert_eq!(victim.pid(), Some(7));
        let page = "httpd: page allocation failure. order:0, mode:0x20";
        assert_eq!(KernelLine::parse(page), Some(KernelLine::NoPage("httpd")));
        let old = "Out of memory: Kill process 7 (x) score 9 or sacrifice child";
        assert!(matches!(KernelLine::parse(old), Some(KernelLine::WillKill(_))));
        for (limit, in_cgroup) in [
            ("CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom", false),
            ("CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a", true),
        ] {
            let line =
                format!("oom-kill:constraint={limit},task_memcg=/a,task=a,pid=1,pid=7,uid=33");
            let Some(KernelLine::Chosen(chosen)) = KernelLine::parse(&line) else {
                panic!("{line}")
            };
            let wanted = ChosenVictim { name: "a,pid=1", pid: 7, uid: 33, in_cgroup };
            assert_eq!(chosen, wanted);
        }
        assert_eq!(KernelLine::parse("user: Out of memory: Killed process 7 (x)"), None);
        for other in [
            "swapper/0: page allocation failure: order:0, mode:0x480020(GFP_ATOMIC)",
            "kworker/u8:2: page allocation failure: order:0, mode:0x20",
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
            "Fatal resource shortage: numfile, UB 101.",
        ] {
            assert_eq!(KernelLine::parse(other), None, "{other}");
        }
        for panic in [
            "Kernel panic - not syncing: Out of memory and no killable processes...",
            "Kernel panic - not syncing: out of memory. panic_on_oom is selected",
            "Kernel panic - not syncing: System is deadlocked on memory",
        ] {
            assert_eq!(KernelLine::parse(panic), Some(KernelLine::Panicked), "{panic}");
        }
        let short = |resource| KernelLine::BeancounterShort { resource, container: "UB 101" };
        assert_eq!(
            KernelLine::parse("Fatal resource shortage: privvmpages, UB 101."),
            Some(short("privvmpages"))
        );
    }
}
