//! leakwatch: the thin binary.
fn main() {}
