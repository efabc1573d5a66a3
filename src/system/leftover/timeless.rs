//! Timeless: whether a thread waits without end, by the system call that it is in.
//!
//! A thread that waits for an hour looks like one that waits for ever, but it has work to do then. What is
//! not known to have no time limit has one.

use nix::libc;

/// The operations of futex(2) that wait for threads of the same process alone (FUTEX_PRIVATE_FLAG), but for a
/// flag that names a clock. Others may be woken by whoever can write to the file that is mapped there.
const FUTEX_MASK: u64 = 0xff;
const FUTEX_WAIT: u64 = 0x80;
const FUTEX_WAIT_BITSET: u64 = 0x89;

/// Reads /proc/PID/task/TID/syscall: the number and six arguments, in hexadecimal; "running" of one that is
/// in none. Who waits for nothing but a signal is there to be sent one.
pub(super) fn is_timeless(text: &str) -> bool {
    let mut fields = text.split_ascii_whitespace();
    let Some(call) = fields.next().and_then(|field| field.parse::<i64>().ok()) else {
        return false;
    };
    let number = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
    let arguments: Vec<u64> = fields.map_while(number).collect();
    let argument = |nth: usize| arguments.get(nth).copied();
    let is_null = |nth: usize| argument(nth) == Some(0);
    // A stack below 4 GiB is that of a program of 32 bits, whose calls have other numbers.
    if argument(6).is_none_or(|stack| stack >> 32 == 0) {
        return false;
    }
    // An int: the upper half may be anything.
    let is_minus_one = |nth: usize| argument(nth).is_some_and(|value| value as u32 == u32::MAX);
    match call {
        libc::SYS_read | libc::SYS_readv | libc::SYS_recvfrom | libc::SYS_recvmsg => true,
        libc::SYS_futex => {
            let operation = argument(1).map(|operation| operation & FUTEX_MASK);
            matches!(operation, Some(FUTEX_WAIT | FUTEX_WAIT_BITSET)) && is_null(3)
        }
        libc::SYS_epoll_pwait => is_minus_one(3),
        libc::SYS_ppoll => is_null(2),
        libc::SYS_pselect6 => is_null(4),
        _ => is_timeless_old(call, is_minus_one, is_null),
    }
}

/// Calls that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
fn is_timeless_old(
    call: i64,
    is_minus_one: impl Fn(usize) -> bool,
    is_null: impl Fn(usize) -> bool,
) -> bool {
    match call {
        libc::SYS_epoll_wait => is_minus_one(3),
        libc::SYS_poll => is_minus_one(2),
        libc::SYS_select => is_null(4),
        _ => false,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn is_timeless_old(_: i64, _: impl Fn(usize) -> bool, _: impl Fn(usize) -> bool) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_end_by_itself_is_not_timeless() {
        let line =
            |call: i64, arguments: &str| format!("{call} {arguments} 0x7ffc00000000 0x7f00\n");
        let none = "0x0 0x0 0x0 0x0 0x0 0x0";
        for (call, arguments, wanted) in [
            (libc::SYS_read, none, true),
            (libc::SYS_rt_sigsuspend, none, false),
            (libc::SYS_futex, "0x7f 0x80 0x2 0x0 0x0 0x0", true),
            (libc::SYS_futex, "0x7f 0x189 0x0 0x0 0x0 0xffffffff", true),
            (libc::SYS_futex, "0x7f 0x189 0x0 0x7ffc12 0x0 0xffffffff", false),
            (libc::SYS_futex, "0x7f 0x81 0x0 0x0 0x0 0x0", false),
            (libc::SYS_futex, "0x7f 0x0 0x2 0x0 0x0 0x0", false),
            (libc::SYS_futex, "0x7f 0x109 0x0 0x0 0x0 0xffffffff", false),
            (libc::SYS_epoll_pwait, "0x3 0x7f 0x400 0xffffffff 0x0 0x8", true),
            (libc::SYS_epoll_pwait, "0x3 0x7f 0x400 0xffffffffffffffff 0x0 0x8", true),
            (libc::SYS_epoll_pwait, "0x3 0x7f 0x400 0x36ee80 0x0 0x8", false),
            (libc::SYS_ppoll, none, true),
            (libc::SYS_ppoll, "0x0 0x0 0x7ffc 0x0 0x0 0x0", false),
            (libc::SYS_pselect6, none, true),
            (libc::SYS_pselect6, "0x0 0x0 0x0 0x0 0x7ffc 0x0", false),
            (libc::SYS_clock_nanosleep, none, false),
            (libc::SYS_nanosleep, none, false),
            (libc::SYS_rt_sigtimedwait, none, false),
            (libc::SYS_restart_syscall, none, false),
            (libc::SYS_epoll_pwait, "", false),
        ] {
            assert_eq!(is_timeless(&line(call, arguments)), wanted, "{call} {arguments}");
        }
        assert!(!is_timeless(&format!("{} {none} 0xffc00000 0x7f00\n", libc::SYS_read)), "32 bits");
        for text in ["running\n", "-1 0x7ffc 0x7f00\n", "", "x"] {
            assert!(!is_timeless(text), "{text}");
        }
    }
}
