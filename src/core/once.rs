//! A note that is given once.

/// Whether something was said already. It may be said again after a [`reset`](Self::reset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Once(bool);

impl Once {
    /// True at the first call.
    pub fn first(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.0 = false;
    }
}
