//! Reports write values to any `impl Write`. They read nothing and choose nothing.

pub mod balance;
pub mod ceilings;
pub mod census;
pub mod check;
pub mod escape;
pub mod events;
pub mod evidence;
pub mod explain;
pub mod fields;
pub mod journal;
pub mod messages;
pub mod prometheus;
mod reasons;
pub mod screen;
pub mod self_usage;
pub mod servers;
pub mod summary;
pub mod words;
