//! Each ceiling's usage over time, its trend and its forecast.

pub mod forecast;
pub mod headroom;
pub mod meter;
pub mod outlook;
