//! Report: writes what the engine says, to any `impl Write`. Chooses nothing.

pub mod ceilings;
pub mod check;
pub mod escape;
pub mod explain;
pub mod journal;
pub mod json;
pub mod own;
pub mod prometheus;
mod reasons;
pub mod screen;
pub mod servers;
pub mod state;
pub mod talk;
pub mod text;
