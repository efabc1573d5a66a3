//! What is left below a ceiling over time, and when a steady growth reaches it.

pub mod ceiling_series;
pub mod exhaustion;
pub mod last_forecast;
pub mod tree_forecasts;
