//! Earlier: what the histories of checks, or a recording, know of the time before the live samples.

pub(crate) mod histories;
pub mod knowledge;
pub mod series;
