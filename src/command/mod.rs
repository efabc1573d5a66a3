//! One module for each mode. Each connects the system to the engine and holds the loop, and leaves
//! decisions to `core` and wording to `report`.

mod act;
mod balance_look;
pub mod ceilings;
pub mod census;
pub mod check;
pub mod diagnose;
pub mod evidence;
mod listing_look;
pub mod memory;
mod profile_saver;
mod reap;
pub mod record;
pub mod replay;
mod sample_schedule;
pub mod servers;
mod terminal;
mod tolerant;
pub mod top;
pub mod watch;

use crate::cli::options::SelectOptions;
use crate::core::model::sample::Sample;
use crate::system::proc;
use crate::system::sampler::Sampler;
use crate::system::wait::{Waiter, Wake};
use anyhow::Result;

/// Takes a sample of now.
fn take(sampler: &mut Sampler, waiter: &Waiter, sample: &mut Sample) -> Result<()> {
    let uptime_s = waiter.uptime_s();
    sampler.sample(waiter.unix_time(uptime_s), Some(uptime_s), sample)
}

/// Whether the engine may give orders for a selection: not for every process of the machine at once,
/// nor for processes of another pid namespace.
fn may_order(select: &SelectOptions) -> bool {
    !select.is_empty() && proc::is_own(&select.procfs)
}

/// Whether to go on with what may take so many seconds: not once a signal came.
fn patience(waiter: &Waiter, most_s: f64, stopped: &mut bool) -> impl FnMut() -> bool {
    let until_s = waiter.uptime_s() + most_s;
    move || {
        *stopped |= matches!(waiter.wait_until(0.0), Wake::Stop);
        !*stopped && waiter.uptime_s() < until_s
    }
}
