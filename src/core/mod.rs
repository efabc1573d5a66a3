//! The pure core: no I/O and no clock. It imports only itself.

pub mod model;
