//! One series at every time scale: blocks of minima, the tests of its windows, CPU load.

pub mod block_minima;
pub mod comparison;
pub mod growth_window;
pub mod load;
pub mod median;
pub mod ring;
pub mod thresholds;
pub mod window;
