//! One series at every time scale: blocks of minima, the tests of its windows, CPU load.

pub mod block_minima;
pub mod comparison;
pub mod load;
pub mod median;
pub mod ring;
pub mod window;
