//! The pure core: no I/O and no clock. It imports only itself.

pub mod alarm;
pub mod alerting;
pub mod balance;
pub mod census;
pub mod decide;
#[allow(
    clippy::indexing_slicing,
    reason = "slots of its own arena, by numbers of its own; no word from outside gets there"
)]
pub mod detect;
pub mod engine;
#[cfg(test)]
pub(crate) mod fuzz;
pub mod model;
pub mod once;
pub mod origin;
pub mod piles;
pub mod requests;
pub mod sampling_interval;
pub mod scheduling_delay;
pub mod servers;
pub mod unit_names;
pub mod worker_pool;
