//! Policies: what a watchdog does, one a row of the table.

pub mod leakwatch_engine;
pub mod level;
pub mod oracle;
mod sampler;

use super::world::World;
use leakwatch_engine::EngineRow;
use level::LevelKiller;
use oracle::Oracle;

/// A watchdog.
pub trait Policy {
    /// Looks, and acts. Returns the seconds until it wants to look again.
    fn look(&mut self, world: &mut World<'_>) -> f64;
}

/// A policy by its name in the table.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub make: fn(&World<'_>) -> Box<dyn Policy>,
}

/// No watchdog: the kernel alone.
pub const NONE: Row = Row { name: "none", make: |_| Box::new(Nothing) };
/// The engine as it stands.
pub const ENGINE: Row = Row { name: "engine", make: |world| Box::new(EngineRow::new(world)) };
/// A plain level killer, after earlyoom.
pub const LEVEL: Row = Row { name: "level", make: |_| Box::new(LevelKiller::default()) };
/// One that knows what will come.
pub const ORACLE: Row = Row { name: "oracle", make: |_| Box::new(Oracle::default()) };

struct Nothing;

impl Policy for Nothing {
    fn look(&mut self, _: &mut World<'_>) -> f64 {
        f64::INFINITY
    }
}
