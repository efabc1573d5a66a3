//! Must this process end now: who, how and when.

pub mod brink;
pub mod policy;
pub mod rules;
pub mod victims;
