//! Evidence: what a diagnosis reads beside samples. Logs of the last days, the configuration and
//! the status pages of servers, and which unit a process belongs to.
//!
//! All of it is bounded, in bytes and, by a question that the caller answers ("may I go on?"), in
//! time; nothing here reads a clock. What a server's own words name is read by a helper with the rights
//! of that server's user alone ([`inquiry`]). What cannot be read is reported, and the rest goes on.

pub mod access;
pub mod config;
pub mod inquiry;
pub mod logs;
pub mod work_done;
