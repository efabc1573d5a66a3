//! Must this process end now: which one, how and when.

pub mod campaign;
pub mod danger;
pub mod eligibility;
pub mod glances;
pub mod hung;
pub mod last_minute;
pub mod policy;
pub mod refusals;
pub mod regrets;
pub mod replacements;
pub mod rules;
pub mod swings;
pub mod worker;
