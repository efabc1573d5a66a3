//! The nouns that every other module speaks of, as plain values.

pub mod ceiling;
pub mod event;
pub mod evidence_file;
pub mod forecast;
pub mod json_text;
pub mod load;
pub mod masked;
pub mod memory_line;
pub mod order;
pub mod plain_text;
pub mod process;
pub mod profile;
pub mod sample;
pub mod signal;
pub mod units;
pub mod verdict;
