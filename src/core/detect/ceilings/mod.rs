//! Each ceiling's usage over time, its trend and its forecast.

pub mod forecast;
pub mod headroom;
pub mod tree_forecasts;
pub mod usage;
