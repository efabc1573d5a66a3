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
//! prints all kinds, six seeds each. A part of a name instead of `all` prints the kinds of such names
//! (several with commas between them). What else can be asked for, each by a variable of its own:
//!
//! | variable | meaning |
//! |---|---|
//! | `LEAKWATCH_CLOSED_LOOP_SEEDS=100-102` | other seeds |
//! | `LEAKWATCH_CLOSED_LOOP_SLOW=3` | exits by TERM and KILL take so many times as long |
//! | `LEAKWATCH_CLOSED_LOOP_LATE=0.05` | looks come late, by so many seconds in the mean |
//! | `LEAKWATCH_CLOSED_LOOP_TRACE=4` | each signal and each kill of the runs of that seed, no table |
//!
//! What is not modelled: swap, reclaim stalls, thrashing, `memory.high`, pages that a fork shares
//! with its master. How fast memory is freed is measured; how long exits take and the noise of
//! MemAvailable are assumed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test's")]
#![allow(unreachable_pub, missing_docs, reason = "private to the tests")]

mod bars;
mod gauge;
mod growth;
mod kernel;
mod kinds;
mod maths;
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

use scenario::Scenario;
use std::str::FromStr;

/// What a variable of the environment says, if it is set.
fn asked(name: &str) -> Option<String> {
    std::env::var(format!("LEAKWATCH_CLOSED_LOOP{name}")).ok()
}

/// The number that it says.
fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = asked(name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("LEAKWATCH_CLOSED_LOOP{name}={text}: no number")))
}

/// The kinds that are asked for, as they are asked for.
fn kinds_asked_for(words: &str) -> Vec<Scenario> {
    let is_meant =
        |kind: &Scenario| words == "all" || words.split(',').any(|word| kind.name.contains(word));
    let mut kinds: Vec<Scenario> = kinds::all().into_iter().filter(is_meant).collect();
    for kind in &mut kinds {
        kind.slow *= number("_SLOW").unwrap_or(1.0);
        kind.late_s = kind.late_s.max(number("_LATE").unwrap_or(0.0));
    }
    kinds
}

#[test]
fn the_table_is_printed_when_it_is_asked_for() {
    let Some(words) = asked("") else { return };
    let kinds = kinds_asked_for(&words);
    if let Some(seed) = number("_TRACE") {
        return table::print_runs(&kinds, seed);
    }
    let seeds = asked("_SEEDS").map_or(0..6, |text| {
        let (first, last) = text.split_once('-').expect("two seeds with a dash between them");
        first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
    });
    table::print(kinds, seeds);
}
