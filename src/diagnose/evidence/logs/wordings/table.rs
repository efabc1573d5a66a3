//! The table: the wordings of all programs but the kernel, in the order in which they are tried. It is one
//! table, so its rows stand in one file, however many they are.

use super::wording::{Proof, Who, Wording, begins, ends, has, of, unit};
use crate::diagnose::findings::{Failure, MissingResource};
use Proof::{
    DownAfter, ForkBecause, ForkFailed, ForkRetried, NoMemoryUnlessAbove, Nothing, Of, OutOfMemory,
    OwnKill,
};
use Who::{InBrackets, InQuotes, NextWord, Program, Shell, Tag};

const APACHE: Who = Program("apache2");
const NO_TASKS: Proof = Of(Failure::ForkFailed(MissingResource::Tasks));
const NO_FORK_MEMORY: Proof = Of(Failure::ForkFailed(MissingResource::Memory));
const KILLED: Proof = Of(Failure::Killed);
const DOWN: Proof = Of(Failure::Down);
const CAP_REACHED: Proof = Of(Failure::CapReached);
const NO_MEMORY: Proof = Of(Failure::NoMemory);
const BY_DAEMON: Proof = Of(Failure::OomDaemonKill);
const IN_CGROUP: Proof = Of(Failure::OomKillInCgroup);

const MMAP_OF_CLICKHOUSE: &str = ", errno: 12, strerror: Cannot allocate ";
const FORK_OF_FLUENTD: &str = "lass=Errno::ENOMEM error=\"Cannot allocate memory - fork";
const ENOMEM_OF_FLUENTD: &str = "lass=Errno::ENOMEM error=\"Cannot allocate memory";

/// What Rust says of an error that was not expected, in its types' words: a text of others' would be quoted.
const UNWRAPPED_OF_RUST: &str = "called `Result::unwrap()` on an `Err` value: Os { code: 12, ";
const UNWRAPPED_THREADS_OF_RUST: &str = "called `Result::unwrap()` on an `Err` value: ThreadPoolBuildError { kind: IOError(Os { code: 11, ";

/// All wordings but the kernel's; of several that match, the first counts.
pub(super) const WORDINGS: &[Wording] = &[
    // A limit of a program's own is no lack of memory: mlock (RLIMIT_MEMLOCK), the heap of a virtual
    // machine, a graphics card, PHP's memory_limit, space for thread-local data, TCP's own pages.
    has("lock memory", Nothing, Tag),
    has("locked memory", Nothing, Tag),
    has("lock JVM Memory", Nothing, Tag),
    has("mlock", Nothing, Tag),
    has("MEMLOCK", Nothing, Tag),
    has("CUDA", Nothing, Tag),
    has("cuda", Nothing, Tag),
    has("HIP out of memory", Nothing, Tag),
    has("GPU", Nothing, Tag),
    has("Java heap space", Nothing, Tag),
    has("PermGen space", Nothing, Tag),
    has("Metaspace", Nothing, Tag),
    has("Compressed class space", Nothing, Tag),
    has("GC overhead limit", Nothing, Tag),
    has("Requested array size", Nothing, Tag),
    has("Direct buffer memory", Nothing, Tag),
    has("Map failed", Nothing, Tag),
    has("JavaScript heap", Nothing, Tag),
    has("static TLS block", Nothing, Tag),
    has("ulimit -l", Nothing, Tag),
    has("ibv_", Nothing, Tag),
    has("lock process memory", Nothing, Tag),
    has("VRAM", Nothing, Tag),
    has("GEM ", Nothing, Tag),
    // XLA's buffers, memcached's -m, .NET's arrays.
    has("RESOURCE_EXHAUSTED", Nothing, Tag),
    has("SERVER_ERROR", Nothing, Tag),
    has("Array dimensions exceeded", Nothing, Tag),
    has("DRM_IOCTL", Nothing, Tag),
    // Pages that are set apart by vm.nr_hugepages.
    has("uge page", Nothing, Tag),
    has("ugepage", Nothing, Tag),
    has("hugetlb", Nothing, Tag),
    has("Allowed memory size of", Nothing, Tag),
    has("Out of sort memory", Nothing, Tag),
    // Dovecot's vsz_limit, and the shared memory of Zabbix's caches.
    has("pool_system_", Nothing, Tag),
    has("block_alloc(", Nothing, Tag),
    has("vsz_limit", Nothing, Tag),
    has("zbx_mem_", Nothing, Tag),
    has("zbx_shmem_", Nothing, Tag),
    has("maxmemory", Nothing, Tag),
    Wording { has: " cache", ..begins("out of memory", Nothing, Tag) },
    has("consider tuning tcp_mem", Nothing, Tag),
    has("io_uring", Nothing, Tag),
    has("PumaWorkerKiller", Nothing, Tag),
    // What another machine said, as Fabric shows it: "[10.0.0.7] out: ..".
    begins("out: ", Nothing, Tag),
    // What another program writes in the kernel's words.
    has("Killed process ", Nothing, Tag),
    has("Kill process ", Nothing, Tag),
    // Apache: "(12)Cannot allocate memory: AH00159: fork: Unable to fork new process"; 2.2 has no AH
    // number. Event and worker fail to make threads instead (ap_ or apr_thread_create).
    begins("fork: Unable to fork new process", ForkFailed, APACHE),
    begins("AH00159: fork: Unable to fork new process", ForkFailed, APACHE),
    begins("ap_thread_create: unable to create ", ForkFailed, APACHE),
    // A child's: setuid() fails where its user has as many processes as it may.
    Wording { has: "unable to change to uid", ..begins("setuid: ", ForkBecause, APACHE) },
    begins("apr_thread_create: unable to create ", ForkFailed, APACHE),
    Wording { has: "Couldn't spawn process '", ..begins("mod_wsgi (pid=", ForkFailed, APACHE) },
    Wording {
        has: "Couldn't create worker thread ",
        ..begins("mod_wsgi (pid=", ForkFailed, APACHE)
    },
    Wording {
        has: "couldn't create child process: 12: ",
        ..begins("(12)Cannot allocate memory: ", NO_FORK_MEMORY, APACHE)
    },
    Wording {
        has: "couldn't create child process: 11: ",
        ..begins("(11)Resource temporarily unavailable: ", NO_TASKS, APACHE)
    },
    Wording {
        has: "couldn't spawn child process",
        ..begins("(12)Cannot allocate memory: ", NO_FORK_MEMORY, APACHE)
    },
    // mod_suphp, without a number.
    Wording {
        has: "] couldn't create child process: /",
        ..begins("(12)Cannot allocate memory: [client ", NO_FORK_MEMORY, APACHE)
    },
    begins("(12)Cannot allocate memory: ", NO_MEMORY, APACHE),
    begins("server reached MaxRequestWorkers setting", CAP_REACHED, APACHE),
    begins("server reached pm.max_children setting", CAP_REACHED, Tag),
    begins("server reached MaxClients setting", CAP_REACHED, APACHE),
    begins("AH02324: A resource shortage", DOWN, APACHE),
    begins("A resource shortage or other unrecoverable failure", DOWN, APACHE),
    Wording { ends: "Apache is exiting!", ..begins("", DOWN, APACHE) },
    Wording { has: " exit signal Killed (9)", ..begins("child pid ", KILLED, APACHE) },
    begins("Memory allocation failed, aborting process", NO_MEMORY, APACHE),
    // bash says "retry:" up to four times before it gives up, which is counted once.
    begins("fork: retry: ", ForkRetried, Shell),
    begins("fork: ", ForkBecause, Shell),
    begins("vfork: ", ForkBecause, Shell),
    begins("fork failed", ForkFailed, Shell),
    begins("Fork failed", ForkFailed, Tag),
    begins("fork() failed", ForkFailed, Tag),
    begins("fork(): ", ForkBecause, Tag),
    begins("fork() in ", ForkBecause, Tag),
    begins("fork of ", ForkFailed, Tag),
    begins("fork error", ForkFailed, Tag),
    begins("fork/exec ", ForkBecause, Tag),
    begins("clone: ", ForkBecause, Tag),
    begins("clone() failed", ForkBecause, Tag),
    begins("posix_spawn", ForkBecause, Tag),
    begins("zbx_fork() failed", ForkFailed, Tag),
    // Perl's Net::Server: munin-node, postgrey.
    begins("Bad fork [", ForkBecause, Tag),
    Wording { has: "due to a fork() error", ..begins("The check of ", ForkFailed, Tag) },
    begins("ipcCreate: fork: ", ForkBecause, Tag),
    begins("could not fork ", ForkBecause, Tag),
    begins("could not launch", ForkBecause, Tag),
    // PostgreSQL in German.
    Wording { has: "(fork-Fehler)", ..begins("konnte ", ForkBecause, Tag) },
    begins("Can't fork", ForkFailed, Tag),
    begins("can't fork", ForkFailed, Shell),
    begins("can't vfork", ForkFailed, Tag),
    begins("Cannot fork", ForkFailed, Tag),
    begins("cannot fork", ForkFailed, Tag),
    begins("Could not fork", ForkFailed, Tag),
    begins("Couldn't fork", ForkFailed, Tag),
    begins("couldn't fork", ForkFailed, Tag),
    begins("unable to fork", ForkFailed, Tag),
    begins("Unable to fork", ForkFailed, Tag),
    begins("Failed to fork", ForkFailed, Tag),
    begins("Failed forking", ForkFailed, Tag),
    begins("Function call 'fork' failed", ForkBecause, Tag),
    begins("forkpty: ", ForkBecause, Tag),
    Wording { has: " failed: ", ..begins("fork #", ForkBecause, Tag) },
    begins("cannot create process", ForkBecause, Tag),
    begins("Cannot create process", ForkBecause, Tag),
    begins("cannot create new process", ForkBecause, Tag),
    begins("could not create process", ForkBecause, Tag),
    begins("Could not create process", ForkBecause, Tag),
    begins("failed to create process", ForkBecause, Tag),
    begins("Failed to create process", ForkBecause, Tag),
    begins("unable to create process", ForkBecause, Tag),
    begins("Unable to create process", ForkBecause, Tag),
    begins("failed to spawn ", ForkBecause, Tag),
    begins("Failed to spawn ", ForkBecause, Tag),
    begins("could not spawn ", ForkBecause, Tag),
    begins("Could not spawn ", ForkBecause, Tag),
    begins("unable to spawn ", ForkBecause, Tag),
    begins("Unable to spawn ", ForkBecause, Tag),
    // Zabbix's ICMP pinger, Telegraf, Docker, Sympa.
    Wording { has: ".pinger;: [12] Cannot allocate ", ..begins("/", NO_FORK_MEMORY, Tag) },
    Wording {
        has: "] Failed to execute /usr/bin/pgrep. Error: 'fork/exec ",
        ..begins("procstat getting process, ", ForkBecause, Tag)
    },
    Wording { has: " (fork/exec /", ..begins("iptables failed: iptables ", ForkBecause, Tag) },
    Wording { has: "::_safefork#", ..begins("err main::#", ForkBecause, Tag) },
    // su, exim, LXC, rtorrent, vsftpd, amavis.
    begins("cannot create child process: ", ForkBecause, Tag),
    begins("failed to create child process", ForkBecause, Tag),
    begins("failed to clone(", ForkBecause, Tag),
    Wording { has: " - failed to fork", ..begins("Cannot allocate memory", NO_FORK_MEMORY, Tag) },
    Wording { has: " - Failed to clone", ..begins("Cannot allocate memory", NO_FORK_MEMORY, Tag) },
    Wording {
        has: " - Failed to clone",
        ..begins("Resource temporarily unavailable", NO_TASKS, Tag)
    },
    begins("ExecFile::execute(...) Fork failed", ForkFailed, Tag),
    begins("OOPS: fork", ForkFailed, Tag),
    Wording {
        has: ") FAILED: run_command: can't fork: ",
        ..begins("(!!)file(1) utility (", ForkBecause, Tag)
    },
    Wording {
        has: " FAILED: run_command (open pipe): Can't fork",
        ..begins("(!!)TROUBLE in check_mail: ", ForkFailed, Tag)
    },
    begins("failed to fork", ForkFailed, Tag),
    begins("Error forking", ForkFailed, Tag),
    begins("error forking", ForkFailed, Tag),
    // Behind the function that it was called in: "daemon: accept process fork failed: ..".
    Wording { begins: "accept process fork failed", ..has("", ForkFailed, Tag) },
    // dash gives no reason.
    ends("Cannot fork", ForkFailed, Shell),
    // systemd for itself, before it freezes.
    Wording { has: "cannot fork", ..begins("Caught <", ForkBecause, Tag) },
    // PHP: exec() and its like, which say the function first.
    of("exec(): Unable to fork", ForkFailed, Tag),
    of("shell_exec(): Unable to ", ForkBecause, Tag),
    of("passthru(): Unable to fork", ForkFailed, Tag),
    of("system(): Unable to fork", ForkFailed, Tag),
    of("proc_open(): fork failed", ForkFailed, Tag),
    of("proc_open(): Fork failed", ForkFailed, Tag),
    of("popen(", ForkBecause, Tag),
    of("pcntl_fork(): Error 12", NO_FORK_MEMORY, Tag),
    of("pcntl_fork(): Error 11", NO_TASKS, Tag),
    of("Out of memory (allocated ", NO_MEMORY, Tag),
    // cron, OpenSSH.
    begins("(CRON) error (can't fork", ForkFailed, Program("cron")),
    Wording { has: ") error (can't fork", ..begins("(", ForkFailed, Program("cron")) },
    begins("(CRON) DEATH (can't fork", ForkFailed, Program("cron")),
    Wording { begins: "(", ..has(") CAN'T FORK (", ForkFailed, Program("cron")) },
    Wording { has: "fork", ..begins("error: do_exec", ForkFailed, Tag) },
    // supervisord.
    begins(
        "spawnerr: Too many processes in process table to spawn ",
        NO_TASKS,
        Program("supervisord"),
    ),
    begins("Too many processes in process table to spawn ", NO_TASKS, Tag),
    begins("spawnerr: unknown error during fork for ", ForkFailed, Program("supervisord")),
    begins("unknown error during fork for ", ForkFailed, Tag),
    Wording { has: "(terminated by SIGKILL", ..begins("exited: ", KILLED, NextWord) },
    Wording { has: "entered FATAL state", ..begins("gave up: ", DownAfter, NextWord) },
    // Redis.
    begins("Can't save in background: fork: ", ForkBecause, Tag),
    begins("Can't rewrite append only file in background: fork: ", ForkBecause, Tag),
    Wording { has: "fork: ", ..begins("Can't ", ForkBecause, Tag) },
    begins("Background saving terminated by signal 9", KILLED, Tag),
    begins("Background AOF rewrite terminated by signal 9", KILLED, Tag),
    begins("Background RDB transfer terminated by signal 9", KILLED, Tag),
    // Ruby, whose error comes before or behind the system call.
    Wording { has: " - fork(2)", ..begins("Cannot allocate memory", NO_FORK_MEMORY, Tag) },
    Wording { has: " - fork(2)", ..begins("Resource temporarily unavailable", NO_TASKS, Tag) },
    // Rails has it behind the name of the error.
    Wording { has: " - fork(2)", ..begins("Errno::ENOMEM (Cannot ", NO_FORK_MEMORY, Tag) },
    begins("Errno::ENOMEM (Cannot allocate memory", NO_MEMORY, Tag),
    begins("can't create Thread", ForkFailed, Tag),
    begins("failed to allocate memory", NO_MEMORY, Tag),
    begins("Unable to start a standalone server: [fork", ForkFailed, Tag),
    // Java.
    begins("unable to create new native thread", ForkFailed, Tag),
    begins("unable to create native thread", ForkFailed, Tag),
    begins("java.lang.OutOfMemoryError: unable to create ", ForkFailed, Tag),
    Wording { has: "error=12", ..begins("Cannot run program ", NO_FORK_MEMORY, Tag) },
    Wording { has: "error=11", ..begins("Cannot run program ", NO_TASKS, Tag) },
    begins("error=12, ", NO_FORK_MEMORY, Tag),
    begins("error=11, ", NO_TASKS, Tag),
    // One failure in up to three lines.
    begins(
        "There is insufficient memory for the Java Runtime",
        NoMemoryUnlessAbove("os::commit_memory("),
        Tag,
    ),
    Wording { has: "(errno=12)", ..begins("os::commit_memory(", NO_MEMORY, Tag) },
    Wording { has: "(errno=12)", ..begins("OpenJDK ", NO_MEMORY, Tag) },
    Wording { has: "(errno=12)", ..begins("Java HotSpot", NO_MEMORY, Tag) },
    Wording { has: "pthread_create failed (EAGAIN)", ..begins("Failed to start", NO_TASKS, Tag) },
    Wording { has: "pthread_create failed", ..begins("Failed to start", ForkFailed, Tag) },
    begins(
        "Native memory allocation (",
        NoMemoryUnlessAbove("insufficient memory for the Java Runtime"),
        Tag,
    ),
    // Erlang.
    Wording { has: " bytes of memory", ..begins("Cannot allocate ", NO_MEMORY, Tag) },
    Wording { has: " bytes of memory", ..begins("Cannot reallocate ", NO_MEMORY, Tag) },
    Wording { has: "scheduler thread", ..begins("Failed to create ", ForkBecause, Tag) },
    begins("** {enomem,[{erlang,open_port,", NO_FORK_MEMORY, Tag),
    begins("** (ErlangError) Erlang error: :enomem", NO_MEMORY, Tag),
    // node, Go, C and C++, Rust, Python.
    Wording { has: "(uv_thread_create(", ..begins("../src/node_platform.cc:", ForkFailed, Tag) },
    begins("Assertion failed: (0) == (uv_thread_create(", ForkFailed, Tag),
    Wording { ends: " ENOMEM", ..begins("spawn ", NO_FORK_MEMORY, Tag) },
    Wording { ends: " EAGAIN", ..begins("spawn ", NO_TASKS, Tag) },
    Wording { ends: " ENOMEM", ..begins("spawnSync ", NO_FORK_MEMORY, Tag) },
    Wording { ends: " EAGAIN", ..begins("spawnSync ", NO_TASKS, Tag) },
    begins("fork ENOMEM", NO_FORK_MEMORY, Tag),
    begins("failed to create new OS thread", ForkBecause, Tag),
    // Rust: tokio's pool, and an error as it is.
    begins("OS can't spawn a new worker thread", ForkBecause, Tag),
    Wording {
        has: "Resource temporarily unavailable",
        ..begins(UNWRAPPED_THREADS_OF_RUST, NO_TASKS, Tag)
    },
    Wording { has: "Cannot allocate memory", ..begins(UNWRAPPED_OF_RUST, NO_MEMORY, Tag) },
    Wording { has: "Cannot allocate memory", ..begins("Os { code: 12, ", NO_MEMORY, Tag) },
    // Of Ceph, which puts a place in its source right behind the number.
    begins("pthread_create failed with error 11", NO_TASKS, Tag),
    // MongoDB's message, whose error stands in another field.
    Wording { ends: "pthread_create failed", ..begins("pthread_create failed", ForkFailed, Tag) },
    Wording {
        has: "thread: pthread_create failed",
        ..begins("Failed to create ", ForkFailed, Tag)
    },
    begins("pthread_create", ForkBecause, Tag),
    begins("failed on pthread_create", ForkBecause, Tag),
    begins("Check failed: res == 0 (11 vs. 0) pthread_create failed", NO_TASKS, Tag),
    begins("thread constructor failed", ForkBecause, Tag),
    Wording {
        has: " said Create worker thread failed 11 ",
        ..begins("Child (", NO_TASKS, Program("varnishd"))
    },
    begins("return code from pthread_create() is 11", NO_TASKS, Tag),
    Wording { has: "pthread_create failed", ..begins("blas_thread_init", ForkBecause, Tag) },
    begins("Thread creation failed", ForkFailed, Tag),
    begins("thread creation failed", ForkFailed, Tag),
    begins("unable to create thread", ForkFailed, Tag),
    begins("Unable to create thread", ForkFailed, Tag),
    begins("unable to create worker thread", ForkFailed, Tag),
    begins("not enough resources to create a new thread", NO_TASKS, Tag),
    begins("cannot create thread", ForkBecause, Tag),
    begins("Cannot create thread", ForkBecause, Tag),
    begins("could not create thread", ForkBecause, Tag),
    begins("Could not create thread", ForkBecause, Tag),
    begins("error creating thread", ForkBecause, Tag),
    begins("Error creating thread", ForkBecause, Tag),
    begins("failed to create thread", ForkFailed, Tag),
    begins("failed to spawn thread", ForkFailed, Tag),
    begins("Failed to create thread", ForkFailed, Tag),
    // Asterisk.
    begins("Failed to create new channel thread", ForkFailed, Tag),
    begins("TCP/TLS unable to launch helper thread: ", ForkBecause, Tag),
    begins("Memory Allocation Failure in function ", NO_MEMORY, Tag),
    // pthread_create has no other error than EAGAIN.
    begins("can't start new thread", NO_TASKS, Tag),
    begins("runtime: out of memory", NO_MEMORY, Tag),
    Wording { has: "out of memory", ..begins("runtime: ", NO_MEMORY, Tag) },
    Wording { ends: "bytes failed", ..begins("memory allocation of ", NO_MEMORY, Tag) },
    begins("terminate called after throwing an instance of 'std::bad_alloc'", NO_MEMORY, Tag),
    begins("std::bad_alloc", NO_MEMORY, Tag),
    // .NET.
    begins("System.OutOfMemoryException", NO_MEMORY, Tag),
    Wording {
        ends: "'. Resource temporarily unavailable",
        ..begins("An error occurred trying to start process '", NO_TASKS, Tag)
    },
    Wording {
        ends: "'. Cannot allocate memory",
        ..begins("An error occurred trying to start process '", NO_FORK_MEMORY, Tag)
    },
    // PHP's opcode cache, PostgreSQL, Squid, virtual machines.
    Wording {
        has: ": Cannot allocate memory",
        ..begins("Unable to allocate shared memory segment of ", NO_MEMORY, Tag)
    },
    begins("could not map anonymous shared memory: Cannot allocate memory", NO_MEMORY, Tag),
    Wording { ends: " bytes!", ..begins("Unable to allocate ", NO_MEMORY, Tag) },
    // libwebsockets.
    begins("OOM allocating ", NO_MEMORY, Tag),
    // ClickHouse. 173 is its number for the lack of memory, and 1001 for what std throws; what a query says
    // follows.
    Wording { has: MMAP_OF_CLICKHOUSE, ..begins("Code: 173, e.d", NO_MEMORY, Tag) },
    Wording { has: MMAP_OF_CLICKHOUSE, ..begins("Code: 173. DB", NO_MEMORY, Tag) },
    begins("std::exception. Code: 1001, type: std::bad_alloc", NO_MEMORY, Tag),
    // Of a pool of threads; the query that it was for follows.
    begins(
        "std::exception. Code: 1001, type: std::system_error, e.what() = Resource temporarily unavailable",
        NO_TASKS,
        Tag,
    ),
    Wording {
        has: ": Cannot allocate memory",
        ..begins("cannot set up guest memory '", NO_MEMORY, Tag)
    },
    // MySQL, MariaDB.
    begins("Can't create a new thread (errno 11", NO_TASKS, Tag),
    begins("Can't create a new thread (errno 12", NO_FORK_MEMORY, Tag),
    begins("Can't create thread", ForkFailed, Tag),
    begins("Out of memory (Needed ", NO_MEMORY, Tag),
    // collectd; fluentd, which writes an error's class unquoted and all that others chose in quotes.
    Wording {
        has: " failed with status 12 (Cannot allocate ",
        ..begins("plugin_", NO_MEMORY, Tag)
    },
    Wording { has: FORK_OF_FLUENTD, ..begins("failed to flush the buffer. ", NO_FORK_MEMORY, Tag) },
    Wording { has: FORK_OF_FLUENTD, ..begins("unexpected error ", NO_FORK_MEMORY, Tag) },
    Wording {
        has: ENOMEM_OF_FLUENTD,
        ..begins("emit transaction failed: error_c", NO_MEMORY, Tag)
    },
    Wording { has: ENOMEM_OF_FLUENTD, ..begins("unexpected error error_c", NO_MEMORY, Tag) },
    Wording { has: ENOMEM_OF_FLUENTD, ..begins("unexpected error on reading", NO_MEMORY, Tag) },
    Wording { has: ENOMEM_OF_FLUENTD, ..begins("failed to flush the buffer. ", NO_MEMORY, Tag) },
    // Kills by their own masters, of who answered too late: no lack of memory.
    begins("WORKER TIMEOUT (pid:", OwnKill, Tag),
    Wording { has: "), killing", ..begins("worker=", OwnKill, Tag) },
    begins("HARAKIRI ON WORKER ", OwnKill, Tag),
    Wording { has: ", killing the process", ..begins("service(", OwnKill, Tag) },
    Wording {
        has: " not responding to CLI, killing",
        ..begins("Child (", OwnKill, Program("varnishd"))
    },
    Wording {
        has: " did not exit, sending a SIGKILL",
        ..begins("child process ", OwnKill, APACHE)
    },
    Wording { has: ", sending it SIGKILL now", ..begins("Process with pid ", OwnKill, Tag) },
    begins("Hard time limit (", OwnKill, Tag),
    unit("State '", "' timed out. Killing.", OwnKill),
    // Ends by signal 9, as their masters tell them. What ended on request, or is the supervisor's own doing.
    begins("stopped: ", Nothing, Tag),
    // Workerman gives wait()'s status as it is, in which a signal stands by its number.
    Wording { ends: "] exit with status 9", ..begins("worker[", KILLED, InBrackets) },
    Wording { has: "exited on signal 9", ..begins("child ", KILLED, Tag) },
    Wording { has: "exited on signal 9", ..begins("worker process ", KILLED, Tag) },
    Wording { has: "exited on signal 9", ..begins("cache ", KILLED, Tag) },
    Wording { has: "was terminated due to signal 9", ..begins("Worker with pid ", KILLED, Tag) },
    Wording { has: "was sent SIGKILL!", ..begins("Worker (pid:", KILLED, Tag) },
    Wording { has: "died, killed by signal 9", ..begins("DAMN ! ", KILLED, Tag) },
    Wording { has: "SIGKILL (signal 9)>", ..begins("reaped #<Process::Status: pid ", KILLED, Tag) },
    Wording { has: "was terminated by signal 9", ..begins("server process (PID ", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("background w", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("autovacuum ", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("checkpointer process", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("walwriter process", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("WAL writer process", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("archiver process", KILLED, Tag) },
    Wording { has: "was terminated by signal 9: ", ..begins("startup process", KILLED, Tag) },
    Wording { has: "killed with signal 9", ..begins("service(", KILLED, Tag) },
    Wording { has: "killed with signal 9", ..begins("child ", KILLED, Tag) },
    Wording { has: "killed by signal 9", ..begins("process ", KILLED, Tag) },
    Wording { has: "died signal=9", ..begins("Child (", KILLED, Program("varnishd")) },
    Wording { has: "exited by a signal 9", ..begins("child process ", KILLED, Tag) },
    Wording { has: "exited with code 137", ..begins("Current worker ", KILLED, Tag) },
    Wording { has: "exited with code 137", ..begins("Current program ", KILLED, Tag) },
    begins("exit-on-failure: killing every process", DownAfter, Tag),
    Wording {
        has: "exitcode/signal:9). Exiting",
        ..begins("One child process died (PID:", DOWN, Tag)
    },
    Wording { has: "exited due to signal 9", ..begins("Squid Parent: ", KILLED, Program("squid")) },
    Wording { has: "exited with 'signal 9 (SIGKILL)'", ..begins("Process '", KILLED, Tag) },
    Wording {
        has: "exited prematurely: signal 9 (SIGKILL)",
        ..begins("Task handler raised error: WorkerLostError(", KILLED, Tag)
    },
    Wording { has: "exited prematurely: signal 9 (SIGKILL)", ..begins("Task ", KILLED, Tag) },
    begins("Worker exited prematurely: signal 9 (SIGKILL)", KILLED, Tag),
    Wording { has: "via signal [SIGKILL]", ..begins("App [", KILLED, InBrackets) },
    Wording { has: "Negsignal.SIGKILL", ..begins("Task exited with return code", KILLED, Tag) },
    begins("Task exited with return code -9", KILLED, Tag),
    // Python's pools of processes.
    Wording { has: "is killed by signal: Killed", ..begins("DataLoader worker (pid", KILLED, Tag) },
    Wording { has: "SIGKILL(-9)", ..begins("The exit codes of the workers are {", KILLED, Tag) },
    Wording { has: "]' died with <Signals.SIGKILL: 9>", ..begins("Command '[", KILLED, Tag) },
    begins("Killed signal terminated program ", KILLED, NextWord),
    begins("internal compiler error: Killed (program ", KILLED, NextWord),
    Wording { has: "ld terminated with signal 9", ..begins("collect2: ", KILLED, Program("ld")) },
    begins("pack-objects died of signal 9", KILLED, Program("git")),
    begins("index-pack died of signal 9", KILLED, Program("git")),
    // bash: "x.sh: line 3:  1234 Killed                  /usr/bin/php a.php".
    begins("Killed  ", KILLED, NextWord),
    Wording { has: " termsig: 9,", ..begins("SolidQueue-", KILLED, Tag) },
    Wording { has: " oom_kill event", ..begins("Detected ", IN_CGROUP, Program("slurmstepd")) },
    // Before 21.08.
    Wording { has: " oom-kill event", ..begins("Detected ", IN_CGROUP, Program("slurmstepd")) },
    // Killers of their own that act before the kernel's.
    Wording { has: "VmRSS", ..of("sending SIGTERM to process ", BY_DAEMON, InQuotes) },
    Wording { has: "VmRSS", ..of("sending SIGKILL to process ", BY_DAEMON, InQuotes) },
    Wording { has: "VmRSS", ..of("Sending SIGTERM to process ", BY_DAEMON, InQuotes) },
    Wording { has: "VmRSS", ..of("Sending SIGKILL to process ", BY_DAEMON, InQuotes) },
    begins("Sending SIGTERM to the victim", BY_DAEMON, Tag),
    begins("Sending SIGKILL to the victim", BY_DAEMON, Tag),
    begins(
        "\"Eviction manager: must evict pod(s) to reclaim\" resourceName=\"memory\"",
        BY_DAEMON,
        Tag,
    ),
    begins("eviction manager: must evict pod(s) to reclaim memory", BY_DAEMON, Tag),
    // Containers.
    begins("TaskOOM event", IN_CGROUP, Who::Container),
    // Programs that ROS starts, RStudio.
    Wording {
        ends: "]: Resource temporarily unavailable",
        ..begins("unable to launch [", NO_TASKS, Tag)
    },
    begins("system error 12 (Cannot allocate memory)", NO_MEMORY, Tag),
    // Refused memory, of whatever program.
    Wording { has: "memory for ", ..begins("Cannot allocate ", NO_MEMORY, Tag) },
    begins("insufficient memory for ", NO_MEMORY, Tag),
    // ClamAV.
    begins("Can't allocate memory (", NO_MEMORY, Tag),
    begins("OSError(12, 'Cannot allocate ", NO_MEMORY, Tag),
    Wording { has: " journal: Cannot allocate ", ..begins("Failed to open ", OutOfMemory, Tag) },
    Wording {
        has: ": Error reading ",
        ends: "annot allocate memory",
        ..begins("Tailing \"", NO_MEMORY, Tag)
    },
    Wording { has: "annot allocate ", ..begins("malloc", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("calloc", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("realloc", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("mmap", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("failed to allocate", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("Failed to allocate", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("unable to allocate", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("Unable to allocate", OutOfMemory, Tag) },
    Wording { has: "annot allocate ", ..begins("could not allocate", OutOfMemory, Tag) },
    begins("Cannot allocate memory", OutOfMemory, Tag),
    begins("Resource temporarily unavailable", OutOfMemory, Tag),
    Wording { has: "failed (12: Cannot allocate", ..begins("malloc(", NO_MEMORY, Tag) },
    Wording { has: "failed (12: Cannot allocate", ..begins("posix_memalign(", NO_MEMORY, Tag) },
    Wording { has: "failed; errno 12", ..begins("mmap(", NO_MEMORY, Tag) },
    Wording { has: "failed (12: Cannot allocate", ..begins("mmap(", NO_MEMORY, Tag) },
    begins("MemoryError", NO_MEMORY, Tag),
    Wording { has: "MemoryError: Unable to allocate", ..begins("numpy.", NO_MEMORY, Tag) },
    begins("NoMemoryError", NO_MEMORY, Tag),
    begins("virtual memory exhausted", NO_MEMORY, Tag),
    begins("Out of memory", NO_MEMORY, Tag),
    begins("out of memory", NO_MEMORY, Tag),
    begins("Out Of Memory", NO_MEMORY, Tag),
    // systemd of a unit, and of itself.
    unit("Failed to fork: ", "", ForkFailed),
    unit("Failed to spawn", "", ForkBecause),
    unit("Failed to execute", "", ForkBecause),
    unit("Failed to run ", "", ForkBecause),
    unit("failed to run ", "", ForkBecause),
    unit("Failed at step ", "Cannot allocate memory", NO_MEMORY),
    unit("Failed with result 'oom-kill'", "", DOWN),
    unit("Failed with result 'resources'", "", DOWN),
    unit("systemd-oomd killed ", "", BY_DAEMON),
    unit("", "code=killed, status=9/KILL", Proof::KilledUnlessTold),
];
