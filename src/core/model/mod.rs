//! The nouns that every other module speaks of, as plain values.

pub mod assessment;
pub mod ceiling;
pub mod json_text;
pub mod load;
pub mod sample;
pub mod units;
