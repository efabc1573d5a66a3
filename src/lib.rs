//! leakwatch, a memory-leak watchdog: it watches process trees, judges which processes leak, says
//! when memory will end and by which limit, and shortly before that ends leaking *children* with
//! the signal at which their server lets them finish their request.
//!
//! # The way through the house
//!
//! ```text
//! live:      system::proc ─────┐
//!                              ├─ Sample ─► engine.observe(&Sample) -> Assessment { order, events, status, next_s } ─► report
//! recorded:  store::recording ─┘     ▲                                  │
//!                                    └── what failed ── system::signal ◄┘ order
//! ```
//!
//! The next sample is the only feedback. The engine orders "end process P gently" and remembers
//! it; if P is in a sample after its grace, the next step follows; if it is gone, headroom before
//! and after are compared. A signal that could not be sent is a field of the next live sample
//! (`signal_failure`); a recording sends nothing and has none. So `replay` yields the orders that a
//! live run would have given, as long as its signals could be sent, on any machine, and a wrong
//! verdict met in the field becomes a recording in tests/recordings/.
//!
//! # The rooms
//!
//! Five storeys; imports go down only. Reckoning and doors never import each other: they meet in
//! the words. `tests/in_process/tidy.rs` holds that.
//!
//! | storey | rooms | duty | never |
//! |---|---|---|---|
//! | 5 door | `main`, [`cli`], [`config`], [`settings`] | parse, dispatch, print one error, exit code | logic |
//! | 4 commands | [`command`] | one file a mode: wire doors to the engine, hold the loop | arithmetic, syscalls |
//! | 4 reports | [`report`] | write events and state to any `impl Write` | clocks, files, choosing |
//! | 3 doors in | [`probe`] (processes, trees, ceilings), [`machine`], [`recording`], [`history`], [`profiles`], [`evidence`] (logs, settings, work) | the only readers of /proc, /sys and files | decisions |
//! | 3 doors out | [`action`] (the only sender of signals), [`wait`] (the only sleeper and clock), [`outlet`] (output that nobody waits for), [`brace`] (memory locked, OOM score, a signal rehearsed), [`hook`] (the helper that runs the user's command), [`systemd`] (service manager and journal), [`textfile`] (metrics) | carry out | choosing |
//! | 2 reckoning | [`engine`]; [`advice`], [`diagnosis`]; [`detector`] and its rooms, [`explanation`](detector::explanation); [`alarm`], [`policy`], [`rules`], [`eligibility`], [`emergency`], [`pace`], [`scheduling_delay`], [`server`] and its table | pure functions and bounded state | any I/O, any clock |
//! | 1 words | [`sample`], [`ceiling`], [`assessment`], [`program_facts`], [`units`] | the nouns | everything |
//!
//! (`fuzz` is there for unit tests only: it hands mutated samples to every parser.)
//!
//! Three questions have three places: is it growing without end ([`detector`]), is memory in
//! danger (its forecast: the first of all ceilings that is reached, each by a series of its own),
//! must this process end ([`policy`]). That it has begun already is a fourth ([`alarm`]).
//!
//! # The tests
//!
//! Each room has its own beside it. `tests/end_to_end` starts things: leakwatch, servers that leak,
//! small machines; `tests/in_process` starts none. Both are one program of many modules, since each
//! program is linked anew, and run 24 tests at once, since most of them wait (`.cargo/config.toml`). What
//! counts allocations has a process of its own. `tests/common` is the harness and has the rules.
//!
//! # Invariants
//!
//! * A signal goes only to a process whose (pid, start time) was compared through its pidfd in that
//!   very order, never to process 1, to leakwatch or those that started it, to a root, to a process
//!   with children, or to anything protected.
//! * One victim at a time; the next only after its exit and outcome, and after its replacement came or
//!   did not come within three seconds.
//! * A steady tick allocates nothing (`tests/steady.rs` counts).
//! * Time is a field of the sample. Nothing in reckoning reads a clock, so replay equals live.
//! * Sizes are bytes and times are seconds everywhere above `probe`.
//!
//! # Deliberately absent
//!
//! Threads, async, global state, `unsafe`; traits for clocks, file systems, detectors or formats
//! (values do); name-service lookups (they may hang); a fork or exec after the start (hooks are run by
//! a helper process that is started with the watch).
#![forbid(unsafe_code)]
// What a file, a user or the kernel says never ends the watch by a panic.
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
