//! One module for each mode. Each connects the system to the engine and holds the loop, and leaves
//! decisions to `core` and wording to `report`.

mod act;
pub mod ceilings;
pub mod check;
pub mod diagnose;
mod profile_saver;
pub mod record;
pub mod replay;
pub mod servers;
mod terminal;
pub mod watch;

use crate::cli::options::SelectOptions;
use crate::core::model::sample::Sample;
use crate::system::proc;
use crate::system::sampler::Sampler;
use crate::system::wait::Waiter;
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
