//! Files of our own: recordings, histories, profiles.

pub mod evidence;
pub mod history;
pub mod profiles;
pub mod recording;
