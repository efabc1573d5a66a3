//! Sentences of programs in no row, and those that others may have put there.

use super::*;
use Failure::{ForkFailed, NoMemory};
use MissingResource::{Memory, Tasks};

fn of(head: &str) -> Option<Failure> {
    failure(head, false, "x")
}

#[test]
fn a_failure_of_any_program_is_understood() {
    for (head, what) in [
        ("udev_run: fork of child failed: Resource temporarily unavailable", None),
        ("fork of child failed: Resource temporarily unavailable", Some(ForkFailed(Tasks))),
        (
            "pthread_create() of thread 0 (for UDP) failed: Resource temporarily unavailable",
            Some(ForkFailed(Tasks)),
        ),
        ("Unable to start helper process: Cannot allocate memory", Some(ForkFailed(Memory))),
        (
            "couldn't create 3 worker threads (11: Resource temporarily unavailable)",
            Some(ForkFailed(Tasks)),
        ),
        ("failed to create socket in thread 3: Resource temporarily unavailable", None),
        ("setresuid 20054: Resource temporarily unavailable", Some(ForkFailed(Tasks))),
        ("Failed to set up pool: could not fork: Cannot allocate memory", Some(ForkFailed(Memory))),
        ("Fork failed with error code 12 (Cannot allocate memory)", Some(ForkFailed(Memory))),
        ("failed to mmap perf buffer on cpu #3: Cannot allocate memory", Some(NoMemory)),
        ("ioctl(KVM_CREATE_VM) failed: 12 Cannot allocate memory", Some(NoMemory)),
        ("Failed to create IO set: Cannot allocate memory, giving up.", Some(NoMemory)),
        ("Failed to create IO set: Resource temporarily unavailable", None),
        ("Failed to create IO set: Cannot allocate memory for joe", None),
        ("failed to create channel joe: Cannot allocate memory", None),
        ("failed to find joe: Cannot allocate memory", None),
        ("failed to find joe: cannot fork: Cannot allocate memory", None),
        ("failed to create '/joe: Cannot allocate memory", None),
        ("failed to map a@b: Cannot allocate memory", None),
        ("lookup(a) failed: Cannot allocate memory)", None),
        ("cannot read directory '/sys/x' (errno 12, Cannot allocate memory)", Some(NoMemory)),
        ("cannot find user 'x': Cannot allocate memory'", None),
        ("cannot find user 'x failed: Cannot allocate memory", None),
        ("ipfw socket reading error (errno 12, Cannot allocate memory)", Some(NoMemory)),
        ("message of joe failed: Cannot allocate memory", None),
        ("joe failed to map: Cannot allocate memory", None),
        ("Cannot allocate memory", None),
    ] {
        assert_eq!(of(head), what, "{head}");
    }
    for (head, is_it) in [
        ("Cannot allocate 805306368 bytes (Invalid argument)! backtrace:", true),
        ("failed to allocate 8 bytes in slab x", false),
        ("failed to allocate x bytes", false),
    ] {
        assert_eq!(of(head).is_some(), is_it, "{head}");
    }
    let mount = "Unable to mount volumes for pod \"a_b\": fork/exec /bin/mount: Cannot allocate memory; skipping pod";
    let cgroup =
        r#"a caused \"b caused \\\"mkdir /sys/fs/cgroup/c: Cannot allocate memory\\\"\": unknown""#;
    let of_kubelet = |head| failure(head, false, "kubelet");
    assert_eq!(of_kubelet(mount), Some(ForkFailed(Memory)));
    assert_eq!(of_kubelet(cgroup), Some(NoMemory));
    assert_eq!((of(mount), of(cgroup)), (None, None));
    let exec = "exec: \"fork/exec /x: Cannot allocate memory\": executable file not found";
    assert_eq!(of_kubelet(exec), None);
    assert_eq!(of_kubelet("Readiness probe failed: fork/exec /x: Cannot allocate memory"), None);
    let of_systemd = |head| failure(head, false, "systemd-journald");
    assert_eq!(of_systemd("Failed to rotate: Cannot allocate memory"), Some(NoMemory));
    assert_eq!(of("Failed to rotate: Cannot allocate memory"), None);
}

#[test]
fn a_function_before_the_error_tells_what_it_was_of() {
    for (prefixes, is_it) in [
        ("ERROR do_fork: ", true),
        ("boost::thread_resource_error: ", true),
        ("Sys_error(\"Thread.create: ", true),
        ("thread 7: ", false),
        ("forked: ", false),
    ] {
        assert_eq!(is_called_before(prefixes), is_it, "{prefixes}");
    }
}
