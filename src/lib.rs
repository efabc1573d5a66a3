//! leakwatch, a memory-leak watchdog. It watches process trees, decides which processes leak,
//! forecasts when memory will run out and which limit will be reached first, and shortly before that
//! ends leaking *children* with the signal that lets them finish their current request.
//!
//! # One pipeline
//!
//! ```text
//! live:      system::proc ─────┐
//!                              ├─ Sample ─► core::engine.observe(&Sample) ─► Assessment ─► report
//! recorded:  store::recording ─┘     ▲                                       { events, status, next_s,
//!                                    └── what failed ◄── system::signal ◄───── order }
//! ```
//!
//! The next sample is the only feedback. The engine orders "end process P gently" and remembers the
//! order. If P is still in a sample after its grace, the next step follows; if it is gone, the
//! headroom before and after are compared. A signal that could not be sent is a field of the next live
//! sample (`signal_failure`); a recording sends nothing and has none. So `replay` gives the orders of
//! the live run, on any machine, as long as its signals could be sent, and every wrong verdict met in
//! the field becomes a recording in tests/recordings/.
//!
//! # The rooms
//!
//! Imports go down this table only, and no folders import each other in a circle;
//! `tests/in_process/tidy.rs` and `circles.rs` check that.
//!
//! | room | duty | never |
//! |---|---|---|
//! | `main` | parse, dispatch, print one error, return the exit status | logic |
//! | [`command`] | one module for each mode: connect the system to the engine, hold the loop; of `top` also the [live view](command::top::live_view) as plain values | arithmetic, system calls |
//! | [`cli`] | [`options`](cli::options), [`config`](cli::config) files and variables, and the values that they [`resolve`](cli::resolve) to | judging, output |
//! | [`diagnose`] | the adviser: services, evidence from logs, settings and work done, advice, its reports | signals |
//! | [`report`] | write events and state to any `impl Write`: text, JSON, journal, Prometheus, the screen | reading anything, choosing |
//! | [`store`] | files of our own: recordings, histories of checks, profiles of programs, evidence of ended processes | decisions |
//! | [`system`] | every system call: [`proc`](system::proc), `ceilings` and [`balance`](system::balance) read the machine, [`heap_census`](system::heap_census) another process's memory, `aside` what may hang; [`signal`](system::signal) alone sends signals and has units restarted; [`wait`](system::wait) alone sleeps and reads clocks; [`prepare`](system::prepare), [`hook`](system::hook), [`systemd`](system::systemd), [`terminal`](system::terminal), outputs that never block | decisions |
//! | [`core`](crate::core) | judge samples: pure functions and bounded state | I/O, clocks, other rooms |
//!
//! | inside [`core`](crate::core) | duty |
//! |---|---|
//! | [`model`](crate::core::model) | the nouns: samples, ceilings, verdicts, forecasts, orders, events, units |
//! | [`balance`](crate::core::balance) | where is all memory, in processes and outside them, and what of it grows? |
//! | [`piles`](crate::core::piles) | which processes are left behind, which of them are [proven useless](crate::core::piles::useless), and who does not wait for its children? |
//! | [`detect`](crate::core::detect) | is it growing without end? is a limit coming nearer? |
//! | [`decide`](crate::core::decide) | must this process end now? which one, how, when |
//! | [`census`](crate::core::census) | what does a process hold by malloc, and which blocks become more? |
//! | [`requests`](crate::core::requests) | which request leaks, by what workers served and how they grew? |
//! | [`servers`](crate::core::servers) | how each server is recognised, and how its workers are ended |
//! | [`worker_pool`](crate::core::worker_pool) | which children of a parent do the same work |
//! | [`alarm`](crate::core::alarm) | has it begun already: OOM kills, refused forks, stalls |
//! | [`alerting`](crate::core::alerting) | is the result of a check worth a report? |
//! | [`engine`](crate::core::engine) | one sample in, one assessment out |
//!
//! # Invariants
//!
//! * A signal goes only to a process whose (pid, start time) was compared through its pidfd in that
//!   very order. It never goes to process 1, to leakwatch or its ancestors, to the root of a tree, to a
//!   process with children, or to anything protected.
//! * Beside the engine's orders stand those of `--reap`, on processes left behind, roots of trees: the whole
//!   proof that one is useless is read again between the look that chose it and each signal. They wait while
//!   memory is in danger, and no replay has them.
//! * One victim at a time for each ceiling, on long evidence: the next one follows after the exit and
//!   outcome of the first, and after its replacement has come or has failed to come for three
//!   seconds. In the last minute there are no pauses, but never more than enough is on its way.
//! * Between samples the live loop glances at what is left; a glance decides nothing but that the
//!   next sample must not wait.
//! * An assessment has at most one order: `Assessment { order: Option<Order>, .. }`.
//! * Watch and check act on a live sample in one place (`command/act.rs`), which sends the signal
//!   before anything is written.
//! * What a process can make hang (any file of its own in /proc) is not read by the thread that decides: the
//!   sampler goes to a thread of its own for each sample, and a new one takes over from one that hangs.
//! * A steady sample allocates nothing (`tests/steady.rs` counts).
//! * Time is a field of the sample. Nothing in the core reads a clock, so a replay equals the live run.
//! * Sizes are bytes and times are seconds everywhere above `system::proc`.
//!
//! # Tests
//!
//! Unit tests stand beside their code. `tests/in_process` starts no other process: simulated worlds,
//! recordings, the man page, the layout. `tests/end_to_end` starts leakwatch, servers that leak and
//! small machines. Each of the two is one program with many modules, since every program is linked by
//! itself, and runs 24 tests at once, since most of them wait (`.cargo/config.toml`). Tests that count
//! allocations have a process of their own. `tests/common` is the harness, and states its rules.
//! `core::fuzz` exists for unit tests only: it feeds mutated input to every parser.
//!
//! # Deliberately absent
//!
//! Threads, async, global state, `unsafe`. Traits for clocks, file systems, detectors or formats:
//! values take their place. Name-service lookups, which may hang. A fork or exec after the start: a
//! helper process, started with the watch, runs the hooks.
#![forbid(unsafe_code)]
// Nothing in a file, on the command line or from the kernel may end the watch by a panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod cli;
pub mod command;
pub mod core;
pub mod diagnose;
pub mod report;
pub mod store;
pub mod system;
