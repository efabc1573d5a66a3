//! One test as the two numbers it compares. A judgement asks whether it passes, an explanation
//! shows the numbers, so that no rule is written down twice.

/// A number, what it is compared with, and whether that is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The number that was found.
    pub is: f64,
    /// What it is compared with, in the same unit.
    pub needs: f64,
    /// Whether the test is passed.
    pub passes: bool,
}

impl Comparison {
    /// Passed from `needs` on.
    pub fn at_least(is: f64, needs: f64) -> Self {
        Self { is, needs, passes: is >= needs }
    }

    /// Passed above `needs`.
    pub fn above(is: f64, needs: f64) -> Self {
        Self { is, needs, passes: is > needs }
    }

    /// Passed up to `needs`.
    pub fn at_most(is: f64, needs: f64) -> Self {
        Self { is, needs, passes: is <= needs }
    }

    /// The same with both numbers in another unit.
    pub fn scaled(self, unit: f64) -> Self {
        Self { is: self.is * unit, needs: self.needs * unit, ..self }
    }
}
