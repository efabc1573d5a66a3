//! Services: each with its size, its growth and the verdict on it.

pub mod assemble;
mod movement;
pub mod service;
mod urgency;
mod weigh;

#[cfg(test)]
mod tests;
