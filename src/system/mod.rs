//! The machine: every system call is made here.

pub mod balance;
mod ceilings;
pub mod channel;
pub mod evidence;
pub mod foreign_file;
pub mod heap_census;
pub mod helper;
pub mod hook;
pub(crate) mod kernel_lines;
pub mod listing;
pub mod machine;
pub mod metrics_file;
pub mod new_file;
pub mod nonblocking_output;
pub mod open_files;
pub mod origin;
mod pool_claim;
pub mod prepare;
pub mod proc;
pub mod rights;
pub mod sampler;
mod seccomp;
pub mod signal;
pub mod systemd;
pub mod terminal;
pub mod trusted_path;
pub mod wait;
