//! The machine: every system call is made here.

pub mod brace;
mod ceilings;
pub mod hook;
pub mod machine;
pub mod outlet;
pub mod proc;
pub mod signal;
pub mod systemd;
pub mod textfile;
pub mod wait;
