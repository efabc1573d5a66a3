//! Report: writes what the engine says, to any `impl Write`. Chooses nothing.

pub mod ceilings;
pub mod check;
pub mod escape;
pub mod explain;
pub mod journal;
pub mod json;
pub mod messages;
pub mod prometheus;
mod reasons;
pub mod screen;
pub mod self_usage;
pub mod servers;
pub mod summary;
pub mod text;
pub mod words;
