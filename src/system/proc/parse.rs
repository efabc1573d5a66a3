//! Parsers for the few /proc files that the tick reads: bytes in, integers out, no allocation.
//!
//! The procfs crate parses what is read once for each new tree, its cgroups and the mounts
//! (`ceilings::hierarchy`). For stat and status of every watched process in every sample it would cost
//! 37 µs and 200 allocations against 1 to 4 µs here. The parsers are total: a torn, short or hostile file is `None`. What has
//! no line end is torn: of `resident 20480` cut short, `resident 20` is left, which would be believed.

#![deny(clippy::arithmetic_side_effects, reason = "what a file says may be any number")]

/// The fields of /proc/PID/stat that leakwatch uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    /// Field 2 without its brackets: at most 15 bytes (64 for a kernel thread), any bytes.
    pub(crate) comm: &'a [u8],
    /// Field 3: `Z` and `X` have no memory any more.
    pub(crate) state: u8,
    /// Field 4.
    pub(crate) ppid: u32,
    /// Field 9; see [`Stat::is_kernel_thread`].
    flags: u64,
    /// Fields 14 + 15, user and system time, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Field 20.
    pub(crate) threads: u32,
    /// Field 22, in clock ticks since boot.
    pub(crate) start: u64,
    /// Fields 26 and 28, startcode and startstack: fork keeps both, exec draws new ones. Zero
    /// where the kernel hides them (another user's process).
    pub(crate) image: (u64, u64),
}

impl<'a> Stat<'a> {
    /// Parses a whole /proc/PID/stat. The name may hold brackets, blanks and newlines, so its end
    /// is the *last* closing bracket.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n")?;
        let open = text.iter().position(|b| *b == b'(')?;
        let close = text.iter().rposition(|b| *b == b')')?;
        let comm = text.get(open..close)?.get(1..)?;
        let rest = text.get(close..)?.get(1..)?;
        let mut fields = rest.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
        let state = *fields.next()?.first()?;
        let mut field = 3;
        // Fields are numbered as in proc_pid_stat(5); `skip_to` hands out the next one wanted.
        let mut skip_to = |wanted: usize| {
            let steps = usize::saturating_sub(wanted, field);
            field = wanted;
            number(fields.nth(steps.checked_sub(1)?)?)
        };
        let ppid = u32::try_from(skip_to(4)?).ok()?;
        let flags = skip_to(9)?;
        let cpu_ticks = skip_to(14)?.saturating_add(skip_to(15)?);
        let threads = u32::try_from(skip_to(20)?).ok()?;
        let start = skip_to(22)?;
        let image = (skip_to(26).unwrap_or(0), skip_to(28).unwrap_or(0));
        Some(Self { comm, state, ppid, flags, cpu_ticks, threads, start, image })
    }

    /// `PF_KTHREAD` of linux/sched.h: has no memory of its own.
    pub(crate) fn is_kernel_thread(&self) -> bool {
        self.flags & 0x0020_0000 != 0
    }

    /// Whether it still runs: neither zombie nor dead.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The fields of /proc/PID/statm that leakwatch uses, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statm {
    /// Virtual size: zero only without any memory, in a zombie or a kernel thread. Resident
    /// pages may well be zero in a living process that is swapped out.
    pub(crate) size: u64,
    /// RSS.
    pub(crate) resident: u64,
    /// File and shmem pages in it; the rest is RssAnon, exact to the page.
    pub(crate) shared: u64,
    /// Private writable memory asked for, touched or not (VmData + VmStk): what a fork asks for
    /// once more under vm.overcommit_memory = 2. Zero where a kernel does not tell.
    pub(crate) data: u64,
}

/// Parses /proc/PID/statm.
pub(crate) fn statm(text: &[u8]) -> Option<Statm> {
    let text = text.strip_suffix(b"\n")?;
    let mut fields = text.split(u8::is_ascii_whitespace).map(number);
    let (size, resident, shared) = (fields.next()??, fields.next()??, fields.next()??);
    let data = fields.nth(2).flatten().unwrap_or(0);
    Some(Statm { size, resident, shared, data })
}

/// The value in bytes of a `Name:   123 kB` line, as in meminfo and status.
pub(crate) fn kib_line(text: &[u8], name: &[u8]) -> Option<u64> {
    named_line(text, name)?.checked_mul(1024)
}

/// The name in a status, where the kernel writes a newline and a backslash as `\n` and `\\`.
pub(crate) fn name(status: &[u8]) -> Option<String> {
    let escaped = String::from_utf8_lossy(lines(status).next()?.strip_prefix(b"Name:\t")?);
    let escaped = escaped.strip_suffix('\n').unwrap_or(&escaped);
    let mut name = String::new();
    let mut rest = escaped.chars();
    while let Some(next) = rest.next() {
        name.push(match next {
            '\\' if rest.as_str().starts_with('n') => {
                rest.next();
                '\n'
            }
            '\\' => rest.next().unwrap_or('\\'),
            other => other,
        });
    }
    Some(name)
}

/// The first number after `name` at the start of a line; blanks and a colon lie between.
pub(crate) fn named_line(text: &[u8], name: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.first().filter(|b| **b == b':' || b.is_ascii_whitespace())?;
        number(rest.split(|b| b.is_ascii_whitespace() || *b == b':').find(|f| !f.is_empty())?)
    })
}

/// The users of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uids {
    pub(crate) real: u32,
    pub(crate) effective: u32,
}

/// The line `Uid: real effective saved filesystem` of /proc/PID/status.
pub(crate) fn uids(status: &[u8]) -> Option<Uids> {
    let line = lines(status).find_map(|line| line.strip_prefix(b"Uid:"))?;
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let mut next = || u32::try_from(number(fields.next()?)?).ok();
    Some(Uids { real: next()?, effective: next()? })
}

/// The effective capabilities in /proc/PID/status, a bit each; none where it has no such line.
pub(crate) fn capabilities(status: &[u8]) -> u64 {
    let field = lines(status).find_map(|line| line.strip_prefix(b"CapEff:"));
    let text = field.and_then(|field| std::str::from_utf8(field).ok()).unwrap_or("0");
    u64::from_str_radix(text.trim(), 16).unwrap_or(0)
}

/// The percentage of the last ten seconds in which tasks waited, of a file in /proc/pressure: `some`
/// of the tasks, or the `full` number of them.
pub(crate) fn pressure(text: &[u8], tasks: &str) -> Option<f64> {
    let share = lines(text)
        .find_map(|line| line.strip_prefix(tasks.as_bytes())?.strip_prefix(b" avg10="))?;
    std::str::from_utf8(share.split(|b| *b == b' ').next()?).ok()?.parse().ok()
}

/// Clock ticks spent by the machine without idle and iowait: the `cpu` line of /proc/stat.
pub(crate) fn busy_ticks(text: &[u8]) -> Option<u64> {
    let line = lines(text).next()?.strip_prefix(b"cpu ")?;
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty()).map(number);
    let mut ticks = [0_u64; 8];
    for slot in &mut ticks {
        *slot = fields.next().flatten().unwrap_or(0);
    }
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] = ticks;
    Some([user, nice, system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add))
}

/// The machine's tasks and the pid given out last, the ends of /proc/loadavg: `1/812 4242`.
pub(crate) fn tasks(text: &[u8]) -> Option<(u64, u64)> {
    let mut fields = lines(text).next()?.split(u8::is_ascii_whitespace).skip(3);
    let tasks = fields.next()?.split(|b| *b == b'/').nth(1)?;
    Some((number(tasks)?, number(fields.next()?)?))
}

/// The lines that are there to their end; a read that was too short cuts the last one.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

/// A whole field of decimal digits.
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte & 0x0f)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fuzz::fuzz;
    use proptest::prelude::*;

    const STAT: &[u8] =
        b"812 (apache2) S 1 812 812 0 -1 4194560 1520 98 0 0 3 4 0 0 20 0 1 0 123456 \
        7000064 1100 18446744073709551615 94000 95000 140000 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn the_name_in_a_status_is_the_one_that_the_process_chose() {
        for (written, is) in [
            ("apache2", "apache2"),
            (r"a\nb\\n c:\\", "a\nb\\n c:\\"),
            ("x\ty\u{e4}", "x\ty\u{e4}"),
            ("", ""),
        ] {
            let status = format!("Name:\t{written}\nUmask:\t0022\n");
            assert_eq!(name(status.as_bytes()).as_deref(), Some(is));
        }
        assert_eq!((name(b""), name(b"Umask:\t0022\nName:\tx\n")), (None, None));
    }

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let stat = Stat::parse(STAT).unwrap();
        assert_eq!(stat.comm, b"apache2");
        assert_eq!((stat.state, stat.ppid, stat.threads), (b'S', 1, 1));
        assert_eq!((stat.cpu_ticks, stat.start, stat.image), (7, 123456, (94000, 140000)));
        assert!(stat.is_alive() && !stat.is_kernel_thread());
    }

    #[test]
    fn a_name_with_brackets_and_newlines_does_not_shift_the_fields() {
        let text = [b"7 (a) Z (\n) R) S 3 ".as_slice(), &STAT[18..]].concat();
        let stat = Stat::parse(&text).unwrap();
        assert_eq!((stat.comm, stat.state, stat.ppid), (b"a) Z (\n) R".as_slice(), b'S', 3));
    }

    #[test]
    fn a_stat_without_the_fields_of_new_kernels_still_tells_the_start_time() {
        let short: Vec<u8> = STAT.split(|b| *b == b' ').take(22).collect::<Vec<_>>().join(&b' ');
        assert_eq!(Stat::parse(&short), None, "the last field may be torn");
        let short = [&short[..], b"\n"].concat();
        assert_eq!(Stat::parse(&short).map(|s| (s.start, s.image)), Some((123456, (0, 0))));
    }

    #[test]
    fn meminfo_and_status_lines_are_bytes() {
        let text = b"MemTotal:  100 kB\nMemAvailable:   40 kB\nSwapTotal:0 kB\n";
        assert_eq!(kib_line(text, b"MemAvailable"), Some(40 * 1024));
        assert_eq!(kib_line(text, b"Mem"), None);
        assert_eq!(kib_line(text, b"SwapTotal"), Some(0));
        assert_eq!(named_line(b"total_inactive_file 4096\n", b"total_inactive_file"), Some(4096));
    }

    #[test]
    fn users_capabilities_and_pressures_are_found_on_their_lines() {
        let status = b"Name:\ta\nUid:\t33\t34\t33\t33\nCapEff:\t0000000001000000\n";
        assert_eq!(uids(status), Some(Uids { real: 33, effective: 34 }));
        assert_eq!((capabilities(status), capabilities(b"Name:\ta\n")), (1 << 24, 0));
        let psi =
            b"some avg10=7.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.50 avg60=0 total=1\n";
        assert_eq!((pressure(psi, "some"), pressure(psi, "full")), (Some(7.25), Some(1.5)));
        assert_eq!(pressure(b"some avg10=7", "some"), None, "torn");
    }

    #[test]
    fn the_machine_is_busy_when_it_is_neither_idle_nor_waiting() {
        assert_eq!(busy_ticks(b"cpu  1 2 3 1000 500 4 5 6 0 0\ncpu0 1"), Some(21));
        assert_eq!(busy_ticks(b"cpu  1 2 3 1000 500 4 5 6"), None);
        assert_eq!(busy_ticks(format!("cpu  {0} {0} 1\n", u64::MAX).as_bytes()), Some(u64::MAX));
    }

    #[test]
    fn loadavg_tells_tasks_and_the_last_pid() {
        assert_eq!(tasks(b"0.10 0.20 0.30 1/812 4242\n"), Some((812, 4242)));
        assert_eq!(tasks(b"0.10 0.20 0.30 1\n"), None);
        assert_eq!(tasks(b"0.10 0.20 0.30 1/812 42"), None);
    }

    #[test]
    fn fuzz_files_of_processes() {
        let statm_text: &[u8] = b"12500 2500 100 10 0 2000 0\n";
        fuzz("proc stat, statm", 1, &[STAT, statm_text], |text| {
            let _ = (Stat::parse(text), statm(text));
        });
        let texts: [&[u8]; 4] = [
            b"MemTotal:  100 kB\nMemAvailable:   40 kB\nSwapTotal:0 kB\n",
            b"Name:\tapache2\nUid:\t33\t33\t33\t33\nVmSwap:\t     12 kB\nThreads:\t1\n",
            b"cpu  1 2 3 1000 500 4 5 6 0 0\ncpu0 1 2 3\nintr 7 8\n",
            b"0.10 0.20 0.30 1/812 4242\n",
        ];
        fuzz("proc meminfo, status ..", 1, &texts, |text| {
            let _ = (busy_ticks(text), tasks(text), kib_line(text, b"VmSwap"));
            let _ = (kib_line(text, b"MemAvailable"), lines(text).count(), number(text));
            let _ = (uids(text), capabilities(text), pressure(text, "some"));
        });
    }

    proptest! {
        #[test]
        fn whatever_the_name_the_parent_is_found(name in prop::collection::vec(any::<u8>(), 0..16)) {
            let text = [b"812 (".as_slice(), &name, b") S 4242 ", &STAT[18..]].concat();
            prop_assert_eq!(Stat::parse(&text).map(|s| (s.comm.to_vec(), s.ppid)), Some((name, 4242)));
        }
    }
}
