//! The nouns that every other module speaks of, as plain values.

pub mod assessment;
pub mod ceiling;
pub mod sample;
pub mod units;
