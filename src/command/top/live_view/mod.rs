//! The live view as plain values: which lines a screen of some size has, and what a key changes.
//!
//! ```text
//! Scene (what a sample shows) + View (what the user chose) ─► draw ─► lines
//! View + Key ─► View, and a Request where that takes more than the view has
//! ```
//!
//! So every screen can be kept in a file and compared. [`top`](super) takes the samples, reads the keys
//! and carries out the requests. Nothing in here touches the world; `tests/in_process/tidy.rs` checks that.

mod draw;
pub mod keys;
mod line;
pub mod log;
mod press;
mod rows;
pub mod scene;
mod text_page;
pub mod view;

pub use draw::draw;
pub use line::{ScreenSize, ScreenStyle};
