//! Must this process end now: who, how and when.

pub mod eligibility;
pub mod emergency;
pub mod policy;
pub mod rules;
