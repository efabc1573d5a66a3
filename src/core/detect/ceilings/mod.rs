//! Each ceiling's usage over time, its trend and its forecast.

pub mod causes;
pub mod forecast;
pub mod last_forecast;
pub mod series;
pub mod tracker;
pub mod tree_forecasts;
pub mod usage;
