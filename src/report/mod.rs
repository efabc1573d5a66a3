//! Report: writes what the engine says, to any `impl Write`. Chooses nothing.

pub mod ceilings;
pub mod explain;
pub mod journal;
pub mod json;
mod reasons;
pub mod screen;
pub mod state;
pub mod talk;
pub mod text;
