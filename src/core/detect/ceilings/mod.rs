//! Each ceiling's usage over time, its trend, and what else than processes fills it.

pub mod causes;
pub mod tracker;
pub mod usage;
