//! The small machine itself, without leakwatch: what the proofs in fork_failure.rs stand on.

use std::time::{Duration, Instant};

use crate::common::needs::{self, Need};
use crate::common::small_machine::SmallMachine;

#[test]
#[ignore = "needs user-mode Linux"]
fn a_machine_has_its_memory_swap_and_sysctls_and_returns_the_exit_status() {
    needs::require(&[Need::SmallMachine]);
    let machine = SmallMachine::of_mib(96).with_swap_mib(32).with_sysctl("vm.overcommit_memory=2");
    let script = "cat /proc/sys/vm/overcommit_memory /proc/meminfo; \
                  grep -w cgroup2 /proc/mounts; touch '/usr/a file' || echo read-only; exit 7";

    let ran = machine.run(&["sh", "-c", script]);

    let said = ran.out.text();
    assert_eq!(ran.code, Some(7), "{said}");
    assert!(said.starts_with("2\n"), "{said}");
    let kib = |name: &str| -> u64 {
        let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    assert!((60 << 10..96 << 10).contains(&kib("MemTotal:")), "{said}");
    assert!((31 << 10..=32 << 10).contains(&kib("SwapTotal:")), "{said}");
    assert!(said.contains("/sys/fs/cgroup cgroup2"), "{said}");
    assert!(said.contains("read-only"), "{said}");
}

#[test]
#[ignore = "needs user-mode Linux"]
fn a_machine_that_never_ends_is_ended_in_time_with_all_its_processes() {
    needs::require(&[Need::SmallMachine]);
    let before = Instant::now();
    let machine = SmallMachine::of_mib(64).at_most(Duration::from_secs(4));

    let ran = machine.run(&["sh", "-c", "sleep 1000 & echo up; wait"]);

    assert_eq!(ran.code, None, "{}", ran.out.text());
    assert!(before.elapsed() >= Duration::from_secs(4));
    // Both pipes close when the last process that had them is gone.
    assert!(ran.out.wait_closed(Duration::from_secs(10)), "something is left");
    assert!(ran.console.wait_closed(Duration::from_secs(10)), "something is left");
}

#[test]
#[ignore = "needs user-mode Linux"]
fn a_test_continues_inside_the_machine() {
    SmallMachine::of_mib(96).play(&[], &["one", "other"], |part| {
        assert!(["one", "other"].contains(&part));
        // The first process of a machine and what it started have low numbers.
        assert!(std::process::id() < 1000);
        let total = std::fs::read_to_string("/proc/meminfo").unwrap();
        assert!(total.starts_with("MemTotal:          "), "{total}");
    });
}

#[test]
#[ignore = "needs user-mode Linux"]
#[should_panic(expected = "second: ended with Some(101) in its machine")]
fn a_test_that_fails_inside_the_machine_fails() {
    SmallMachine::of_mib(96).play(&[], &["first", "second"], |part| assert_eq!(part, "first"));
    panic!("second: ended with Some(101) in its machine, had it been tried");
}
