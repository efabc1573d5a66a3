//! Commands: one file a mode; each wires doors to the reckoning and holds the loop.

pub mod replay;
