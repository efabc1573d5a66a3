//! Must this process end now: which one, how and when.

pub mod campaign;
pub mod danger;
pub mod eligibility;
pub mod emergency;
pub mod hung;
pub mod policy;
pub mod refusals;
pub mod rules;
