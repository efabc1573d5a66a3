//! The closed loop: the real engine against simulated worlds whose memory ends, or only seems to.
//!
//! A world has limits, workers that grow by models, masters that replace them, and a kernel that
//! kills the largest process when nothing is left. The engine sees noisy samples of it at the times
//! that it asks for; its orders end workers, which takes as long as exits take. Beside it stand a
//! plain level killer and an oracle that knows what will come. All follows from seeds: no clock, no
//! sleep, no process.
//!
//! ```text
//! LEAKWATCH_CLOSED_LOOP=all cargo test --release --test closed_loop table -- --nocapture
//! ```
//!
//! prints all kinds, six seeds each; a part of a name instead of `all` prints those kinds (several
//! with commas between them), `LEAKWATCH_CLOSED_LOOP_SEEDS` sets how many seeds, and
//! `LEAKWATCH_CLOSED_LOOP_TRACE=SEED` prints each signal of the runs of that seed instead.
//!
//! What is not modelled: swap, reclaim stalls, thrashing, `memory.high`, pages that a fork shares
//! with its master. Lengths of exits are measured; the noise of MemAvailable is assumed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test's")]
#![allow(unreachable_pub, missing_docs, reason = "private to the tests")]

mod gauge;
mod growth;
mod kernel;
mod kinds;
mod policies;
mod reference;
mod rng;
mod run;
mod sanity;
mod scenario;
mod server;
mod table;
mod tally;
mod worker;
mod world;

/// A word of the environment, if it is set.
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
fn the_table_is_printed_when_it_is_asked_for() {
    let Some(kinds) = asked("LEAKWATCH_CLOSED_LOOP") else { return };
    let all = [""];
    let words: Vec<&str> = kinds.split(',').collect();
    let words = if kinds == "all" { &all[..] } else { &words[..] };
    let number = |name| asked(name).map(|text| text.parse().expect("a number"));
    match number("LEAKWATCH_CLOSED_LOOP_TRACE") {
        Some(seed) => table::print_runs(words, seed),
        None => table::print(words, number("LEAKWATCH_CLOSED_LOOP_SEEDS").unwrap_or(6)),
    }
}
