//! Evidence: what a diagnosis reads beside samples. Logs of the last days, the configuration and
//! the status pages of servers, and which unit a process belongs to.
//!
//! All of it is bounded, in bytes and, by a question that the caller answers ("may I go on?"), in
//! time; nothing here reads a clock. What cannot be read is reported, and the rest goes on.

pub mod config;
pub mod logs;
pub mod unit;
pub mod work_done;
