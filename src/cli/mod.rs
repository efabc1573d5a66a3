//! The command line: options, configuration files, and what they mean.

pub mod config;
pub mod options;
pub mod resolve;
