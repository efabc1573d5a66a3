//! Machines of other kinds, as trees of files: their limits, and the notes on them.

use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailureKind, Place};
use crate::core::model::memory_line::LineKind;
use crate::core::model::sample::{PlaceName, Sample};
use crate::core::model::units::{GIB, MIB};
use crate::system::proc::{Selection, SelectionArgs};
use crate::system::sampler::Sampler;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A /proc and a /sys made of files, with one master (pid 70) and one worker (71).
struct Machine {
    dir: TempDir,
}

const STATUS: &str =
    "Name:\tapp\nUid:\t1000\t1000\t1000\t1000\nThreads:\t1\nCapEff:\t0000000000000000\n";

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        machine.put(
            "proc/meminfo",
            "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        machine.put("proc/self/mountinfo", "");
        machine.put("proc/self/cgroup", "0::/\n");
        for (pid, ppid) in [(70, 1), (71, 70)] {
            machine.put(
                &format!("proc/{pid}/stat"),
                &format!("{pid} (app) S {ppid} 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 3 0 {pid} 9000 9 0 4096 2 4096\n"),
            );
            machine.put(&format!("proc/{pid}/statm"), "20000 5000 100 1 0 10000 0\n");
            machine.put(&format!("proc/{pid}/status"), STATUS);
            machine.put(&format!("proc/{pid}/cgroup"), "0::/web/app\n");
        }
        machine
    }

    fn put(&self, file: &str, text: &str) -> &Self {
        let path = self.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Cgroup version 2 at its usual place.
    fn cgroup2(&self) -> &Self {
        self.put("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    }

    fn probe(&self) -> Sampler {
        let words = SelectionArgs { patterns: vec!["app".to_owned()], ..SelectionArgs::default() };
        let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
        let [proc, sys] = ["proc", "sys"].map(|name| self.dir.path().join(name));
        Sampler::new(&proc, Some(&sys), selection, None).unwrap()
    }

    /// The ceilings of the first look.
    fn ceilings(&self) -> Vec<Ceiling> {
        let mut sample = Sample::default();
        self.probe().sample(1.0, None, &mut sample).unwrap();
        sample.ceilings
    }

    fn limits(&self) -> Vec<(CeilingKind, u64, u64)> {
        self.ceilings().iter().map(|c| (c.kind, c.used, c.limit)).collect()
    }

    fn notes(&self) -> String {
        let (mut probe, mut sample) = (self.probe(), Sample::default());
        probe.sample(1.0, None, &mut sample).unwrap();
        let notes = probe.sources(&sample.ceilings).notes;
        notes.iter().map(|note| format!("{}: {}\n", note.about, note.text)).collect()
    }
}

#[test]
fn of_a_machine_that_limits_nothing_only_ram_is_left() {
    assert_eq!(Machine::new().limits(), []);
}

#[test]
fn tasks_of_the_machine_are_limited_twice() {
    let machine = Machine::new();
    machine.put("proc/loadavg", "0.10 0.20 0.30 1/812 4242\n");
    machine.put("proc/sys/kernel/threads-max", "15000\n");
    machine.put("proc/sys/kernel/pid_max", "32768\n");
    let expected = [(CeilingKind::ThreadsMax, 812, 15_000), (CeilingKind::PidMax, 812, 32_468)];
    assert_eq!(machine.limits(), expected);
}

#[test]
fn limits_of_all_cgroups_above_bind_too() {
    let machine = Machine::new();
    machine.cgroup2();
    machine.put("sys/fs/cgroup/web/app/pids.max", "max\n");
    machine.put("sys/fs/cgroup/web/app/pids.current", "5\n");
    machine.put("sys/fs/cgroup/web/pids.max", "100\n");
    machine.put("sys/fs/cgroup/web/pids.current", "9\n");
    machine.put("sys/fs/cgroup/web/memory.max", "1073741824\n");
    machine.put("sys/fs/cgroup/web/memory.current", "1048576\n");
    machine.put("sys/fs/cgroup/web/memory.stat", "inactive_file 0\n");
    let ceilings = machine.ceilings();
    let limits: Vec<_> =
        ceilings.iter().map(|c| (c.kind, c.place.to_string(), c.used, c.limit)).collect();
    assert_eq!(
        limits,
        [
            (CeilingKind::CgroupMemory, "/web".to_owned(), MIB, GIB),
            (CeilingKind::Pids, "/web".to_owned(), 9, 100)
        ]
    );
    assert_eq!(ceilings[0].root.map(|root| root.pid), Some(70));
}

#[test]
fn version_1_hierarchies_are_found_each_where_it_is_mounted() {
    let machine = Machine::new();
    machine.put("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n31 20 0:27 /lxc/7 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    for pid in [70, 71] {
        machine.put(&format!("proc/{pid}/cgroup"), "4:memory:/lxc/7/app\n3:pids:/app\n0::/\n");
    }
    machine.put("sys/fs/cgroup/pids/app/pids.max", "20\n");
    machine.put("sys/fs/cgroup/pids/app/pids.current", "7\n");
    // What is mounted of memory is a part: a container's.
    machine.put("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "1048576\n");
    machine.put("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "4096\n");
    machine.put("sys/fs/cgroup/memory/app/memory.stat", "total_inactive_file 0\n");
    let expected = [(CeilingKind::CgroupMemory, 4096, MIB), (CeilingKind::Pids, 7, 20)];
    assert_eq!(machine.limits(), expected);
}

#[test]
fn a_users_tasks_are_counted_in_all_trees_and_root_is_exempt() {
    let machine = Machine::new();
    let limits = "Limit Soft Hard\nMax processes   50   100   processes\n";
    machine.put("proc/70/limits", limits);
    // Somebody else's process of the same user, with five threads.
    machine.put(
        "proc/90/stat",
        "90 (other) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 5 0 90 9000 9 0 1 2 3\n",
    );
    machine.put("proc/90/status", &STATUS.replace("Threads:\t1", "Threads:\t5"));
    // The master and its worker have three threads each.
    assert_eq!(machine.limits(), [(CeilingKind::UserTasks, 3 + 3 + 5, 50)]);
    assert_eq!(machine.ceilings()[0].place.to_string(), "user 1000");

    machine.put("proc/70/status", &STATUS.replace("1000", "0"));
    assert_eq!(machine.limits(), []);
    assert!(machine.notes().contains("user-tasks: process 70: not limited: root and"));
}

#[test]
fn a_pattern_that_only_command_lines_match_is_told_so() {
    let machine = Machine::new();
    for pid in [70, 71] {
        machine.put(&format!("proc/{pid}/stat"), &format!("{pid} (python3) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 3 0 {pid} 9000 9 0 4096 2 4096\n"));
        machine.put(&format!("proc/{pid}/cmdline"), "python3\0-m\0application\0");
    }
    let (mut probe, mut sample) = (machine.probe(), Sample::default());
    probe.sample(1.0, None, &mut sample).unwrap();
    let notes = probe.take_notes().join("\n");
    assert!(notes.contains("2 command lines would match\n  hint: add -f"), "{notes}");
}

#[test]
fn what_cannot_be_read_is_not_known_rather_than_zero() {
    let machine = Machine::new();
    let notes = machine.notes();
    assert!(notes.contains("commit: not known: vm.overcommit_memory cannot be read"), "{notes}");
    assert!(notes.contains("threads-max: not known: /proc/loadavg"), "{notes}");
    machine.put("proc/sys/vm/overcommit_memory", "0\n");
    assert!(machine.notes().contains("vm.overcommit_memory is 0"));
}

#[test]
fn the_cache_of_zfs_counts_as_available_but_for_what_it_keeps() {
    let machine = Machine::new();
    machine.put(
        "proc/spl/kstat/zfs/arcstats",
        "12 1 0x01 98 26656 1 1\nname type data\nc_min 4 67108864\nsize 4 201326592\n",
    );
    let mut sample = Sample::default();
    machine.probe().sample(1.0, None, &mut sample).unwrap();
    assert_eq!(sample.memory.available, 512 * MIB + 128 * MIB);
    assert!(machine.notes().contains("ram: 128 MiB of the cache of ZFS"), "{}", machine.notes());
}

#[test]
fn counters_tell_of_what_failed_before_the_look() {
    let machine = Machine::new();
    machine.cgroup2();
    let events = "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\n";
    for (group, count) in [("web/app", "max 77\n"), ("web", "max 77\n")] {
        machine.put(&format!("sys/fs/cgroup/{group}/pids.max"), "100\n");
        machine.put(&format!("sys/fs/cgroup/{group}/pids.current"), "5\n");
        machine.put(&format!("sys/fs/cgroup/{group}/pids.events"), count);
    }
    machine.put("sys/fs/cgroup/web/memory.max", "1073741824\n");
    machine.put("sys/fs/cgroup/web/memory.current", "1048576\n");
    machine.put("sys/fs/cgroup/web/memory.stat", "inactive_file 0\n");
    machine.put("sys/fs/cgroup/web/memory.events", events);
    machine.put(
        "proc/user_beancounters",
        "Version: 2.5\n uid resource held maxheld barrier limit failcnt\n 101: kmemsize 6 7 67108864 67108864 0\n numproc 92 100 100 100 96\n",
    );
    let (mut probe, mut sample) = (machine.probe(), Sample::default());
    probe.sample(1.0, None, &mut sample).unwrap();
    let past = probe.past_failures();
    let told: Vec<_> =
        past.iter().map(|past| (past.ceiling, past.place.to_string(), past.count)).collect();
    assert_eq!(
        told,
        [
            (CeilingKind::Numproc, String::new(), 96),
            (CeilingKind::CgroupMemory, "/web".to_owned(), 2),
            (CeilingKind::Pids, "/web/app".to_owned(), 77),
        ]
    );
    assert!(
        machine.notes().contains("pids: 77 times refused of /web/app since it began"),
        "{}",
        machine.notes()
    );
}

#[test]
fn under_strict_overcommit_the_next_fork_asks_for_the_parents_memory_once_more() {
    let machine = Machine::new();
    machine.put("proc/sys/vm/overcommit_memory", "2\n");
    machine.put("proc/sys/vm/admin_reserve_kbytes", "8192\n");
    machine.put("proc/sys/vm/user_reserve_kbytes", "131072\n");
    machine.put(
        "proc/meminfo",
        "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\nCommitLimit: 524288 kB\nCommitted_AS: 102400 kB\n",
    );
    // statm: 20 000 pages of address space, 10 000 of them private and writable.
    let (need, reserve) = (10_000 * 4096, 8 * MIB + 20_000 * 4096 / 32);
    let expected = (CeilingKind::Commit, 100 * MIB + need, 512 * MIB - reserve);
    assert_eq!(machine.limits(), [expected]);
    machine.put("proc/sys/vm/overcommit_memory", "1\n");
    assert_eq!(machine.limits(), []);
}

#[test]
fn one_mapping_larger_than_ram_and_swap_keeps_its_process_from_forking() {
    let machine = Machine::new();
    machine.put("proc/sys/vm/overcommit_memory", "0\n");
    machine.put("proc/70/statm", "300000 5000 100 1 0 290000 0\n");
    machine.put(
        "proc/70/maps",
        "7f0000000000-7f0045000000 rw-p 0 00:00 0\n1000-2000 r--p 0 00:00 0\n",
    );
    assert_eq!(machine.limits(), [(CeilingKind::SingleMapping, 0x4500_0000, GIB)]);
}

#[test]
fn an_openvz_container_has_counters_of_its_own() {
    let machine = Machine::new();
    machine.put("proc/user_beancounters", "Version: 2.5\n uid resource held maxheld barrier limit failcnt\n 101: kmemsize 2752512 2932736 14336000 14790164 0\n privvmpages 49152 50176 65536 69632 0\n numproc 24 31 240 240 0\n");
    assert_eq!(
        machine.limits(),
        [
            (CeilingKind::Privvmpages, 192 * MIB, 256 * MIB),
            (CeilingKind::Kmemsize, 2_752_512, 14_336_000),
            (CeilingKind::Numproc, 24, 240)
        ]
    );
}

#[test]
fn a_namespace_and_lxcfs_are_said() {
    let machine = Machine::new();
    machine.put("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n31 20 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n");
    machine.put("sys/fs/cgroup/cgroup.type", "domain\n");
    let notes = machine.notes();
    assert!(notes.contains("cgroup: this is a cgroup namespace"), "{notes}");
    assert!(notes.contains("ram: /proc/meminfo is written by lxcfs"), "{notes}");
    machine.cgroup2();
    assert!(machine.notes().contains("ram: /proc/meminfo tells the whole host's memory"));
}

#[test]
fn a_kernel_of_2009_has_none_of_this_and_is_watched_all_the_same() {
    let machine = Machine::new();
    // 2.6.32: no MemAvailable, no PSI, no cgroup, statm and stat as ever.
    machine.put("proc/meminfo", "MemTotal: 262144 kB\nMemFree: 20480 kB\nBuffers: 4096 kB\nCached: 40960 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nShmem: 1024 kB\nCommitLimit: 131072 kB\nCommitted_AS: 90000 kB\n");
    fs::remove_file(machine.dir.path().join("proc/70/cgroup")).unwrap();
    let mut sample = Sample::default();
    machine.probe().sample(1.0, None, &mut sample).unwrap();
    assert_eq!(sample.memory.available, (20_480 + 4096 + 40_960 - 1024) * 1024);
    assert_eq!((sample.procs.len(), sample.ceilings.len()), (2, 0));
    assert!(machine.notes().contains("waiting for memory goes unseen"));
}

#[test]
fn refused_forks_are_told_once_with_the_limit_that_refused_them() {
    let machine = Machine::new();
    machine.cgroup2();
    machine.put("sys/fs/cgroup/web/app/pids.max", "max\n");
    machine.put("sys/fs/cgroup/web/app/pids.current", "5\n");
    machine.put("sys/fs/cgroup/web/app/pids.events", "max 7\n");
    machine.put("sys/fs/cgroup/web/pids.max", "9\n");
    machine.put("sys/fs/cgroup/web/pids.current", "9\n");
    machine.put("sys/fs/cgroup/web/pids.events", "max 0\n");
    let (mut probe, mut sample) = (machine.probe(), Sample::default());
    let mut look = |t: f64| {
        probe.sample(t, None, &mut sample).unwrap();
        sample.memory_failures.clone()
    };
    assert_eq!(look(1.0), []);
    machine.put("sys/fs/cgroup/web/app/pids.events", "max 10\n");
    let memory_failures = look(2.0);
    assert_eq!(memory_failures.len(), 1);
    let sign = memory_failures[0];
    assert_eq!(
        (sign.kind, sign.ceiling, sign.count),
        (MemoryFailureKind::Refused, CeilingKind::Pids, 3)
    );
    assert_eq!((sign.place.to_string(), sign.root.unwrap().pid), ("/web".to_owned(), 70));
    assert_eq!(look(3.0), []);
}

#[test]
fn fuzz_files_of_limits() {
    let texts: [&[u8]; 6] = [
        b"Name:\tapache2\nUid:\t33\t33\t33\t33\nCapEff:\t0000000001000000\nThreads:\t1\n",
        b"Limit            Soft Limit  Hard Limit  Units\nMax processes    12  100  processes\n",
        b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 [heap]\n",
        b"Version: 2.5\n uid resource held maxheld barrier limit failcnt\n 101: kmemsize 1 2 3 4 0\n\
          privvmpages 1 2 3 4 5\n physpages 9 9 0 2147483647 0\n swappages 0 0 0 9 0\n numproc 1 1 1 1 1\n",
        b"3,1,1,-;Out of memory: Killed process 812 (apache2) total-vm:1kB\n",
        b"4,1,1,-;__vm_enough_memory: pid: 7, comm: x, bytes: 4096 not enough memory for it\n",
    ];
    crate::core::fuzz::fuzz("limits, maps, kmsg ..", 1, &texts, |text| {
        super::users::Owner::parse(text);
        super::ulimits::Ulimits::parse(text, None);
        super::single_mapping::writable(text);
        super::container::rows(text);
        super::kernel_log::News::default().take(text);
    });
    let dir = tempfile::tempdir().unwrap();
    let texts: [&[u8]; 3] = [
        b"30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        b"31 20 0:27 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        b"4:memory:/a/b\n3:cpu,cpuacct:/\n0::/system.slice/apache2.service\n",
    ];
    std::fs::create_dir_all(dir.path().join("self")).unwrap();
    crate::core::fuzz::fuzz("mountinfo, cgroup", 50, &texts, |text| {
        std::fs::write(dir.path().join("self/mountinfo"), text).unwrap();
        std::fs::write(dir.path().join("self/cgroup"), text).unwrap();
        let hierarchy = super::hierarchy::Hierarchy::new(dir.path(), None);
        let _ = (hierarchy.serves("memory"), hierarchy.serves("pids"), hierarchy.is_cut_off());
    });
}

#[test]
fn what_uses_a_limited_cgroup_is_told_with_the_name_of_the_unit_whose_limit_it_is() {
    let v2 = Machine::new();
    v2.cgroup2();
    for pid in [70, 71] {
        v2.put(&format!("proc/{pid}/cgroup"), "0::/system.slice/shop.service/pool\n");
    }
    let dir = "sys/fs/cgroup/system.slice/shop.service";
    v2.put(&format!("{dir}/memory.max"), "1073741824\n");
    v2.put(&format!("{dir}/memory.current"), "1048576\n");
    let stat = "anon 5\ninactive_file 0\nkernel_stack 7\nshmem 4096\nslab_unreclaimable 9\n";
    v2.put(&format!("{dir}/memory.stat"), stat);
    let mut sample = Sample::default();
    let mut probe = v2.probe();
    probe.sample(1.0, None, &mut sample).unwrap();
    let place = Place::new("/system.slice/shop.service");
    let told = |sample: &Sample| {
        let uses = sample.uses.iter().filter(|of| of.place == place);
        uses.map(|of| (of.kind, of.bytes)).collect::<Vec<_>>()
    };
    let wanted = [
        (LineKind::Anonymous, 5),
        (LineKind::SharedMemory, 4096),
        (LineKind::SlabUnreclaimable, 9),
        (LineKind::KernelStacks, 7),
    ];
    assert_eq!(told(&sample), wanted);
    let named = PlaceName { place, name: "shop.service".to_owned() };
    assert_eq!(sample.places, [named]);
    assert!(sample.programs.iter().all(|of| of.unit.as_deref() == Some("shop.service")));
    probe.sample(2.0, None, &mut sample).unwrap();
    assert_eq!((told(&sample).len(), sample.places.len()), (4, 0), "a name is told once");
    probe.tell_again();
    probe.sample(3.0, None, &mut sample).unwrap();
    assert_eq!(sample.places.len(), 1);
}

#[test]
fn of_version_1_processes_and_shared_memory_are_told() {
    let machine = Machine::new();
    let mount = "33 20 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    machine.put("proc/self/mountinfo", mount);
    for pid in [70, 71] {
        machine.put(&format!("proc/{pid}/cgroup"), "4:memory:/web\n0::/\n");
    }
    let dir = "sys/fs/cgroup/memory/web";
    machine.put(&format!("{dir}/memory.limit_in_bytes"), "1073741824\n");
    machine.put(&format!("{dir}/memory.usage_in_bytes"), "1048576\n");
    machine.put(&format!("{dir}/memory.stat"), "total_rss 5\ntotal_shmem 6\n");
    let mut sample = Sample::default();
    machine.probe().sample(1.0, None, &mut sample).unwrap();
    let uses: Vec<_> = sample.uses.iter().map(|of| (of.kind, of.bytes)).collect();
    assert_eq!(uses, [(LineKind::Anonymous, 5), (LineKind::SharedMemory, 6)]);
}
