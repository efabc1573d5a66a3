//! A look at all processes together: listings over some time.

use crate::cli::options::SelectOptions;
use crate::core::piles::Piles;
use crate::system::listing::ListingReader;
use crate::system::wait::Waiter;
use anyhow::Result;

/// Listings in a look, and the shortest time between them.
const LISTINGS: f64 = 40.0;
const SHORTEST_S: f64 = 0.5;
/// A listing takes at most this share of the time.
const COST: f64 = 0.02;

/// Takes the listings.
pub(super) struct ListingLook {
    reader: ListingReader,
    /// What they show.
    pub(super) piles: Piles,
    interval_s: f64,
    due_s: f64,
}

impl ListingLook {
    /// Before the first in a look of so many seconds.
    ///
    /// # Errors
    /// A procfs that cannot be read.
    pub(super) fn new(select: &SelectOptions, time_s: f64) -> Result<Self> {
        let interval_s = (time_s / LISTINGS).max(SHORTEST_S);
        let reader = ListingReader::new(&select.procfs)?;
        Ok(Self { reader, piles: Piles::new(interval_s), interval_s, due_s: 0.0 })
    }

    /// Takes one at Unix time `t`, if it is time for one: with ten thousand processes it takes 0.1 s.
    pub(super) fn read(&mut self, t: f64, waiter: &Waiter) {
        let from_s = waiter.uptime_s();
        if from_s < self.due_s {
            return;
        }
        self.piles.push(&self.reader.read(t));
        let took_s = waiter.uptime_s() - from_s;
        self.due_s = from_s + self.interval_s.max(took_s / COST);
    }
}
