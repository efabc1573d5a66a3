//! Kinds of worlds: those of the note that the rules of the last minute come from, and more.

mod extra;
mod extra_leaks;
mod healthy;
mod leaks;
mod mixtures;

use crate::growth::Growth;
use crate::scenario::Scenario;

/// All kinds, in the order of the table.
pub fn all() -> Vec<Scenario> {
    [
        healthy::warm_ups(),
        healthy::fills(),
        healthy::others(),
        leaks::plain(),
        leaks::special(),
        mixtures::mixtures(),
        mixtures::limits(),
        mixtures::hopeless(),
        extra::healthy(),
        extra::batches(),
        extra_leaks::leaks(),
        extra_leaks::mixtures(),
        extra_leaks::limits(),
    ]
    .concat()
}

/// The kind of that name.
pub fn named(name: &str) -> Scenario {
    all()
        .into_iter()
        .find(|kind| kind.name == name)
        .unwrap_or_else(|| panic!("no kind is called {name}"))
}

fn linear(rate: f64) -> Growth {
    Growth::Linear { rate }
}

fn by_request(rate: f64, chunk: f64) -> Growth {
    Growth::ByRequest { rate, chunk }
}

fn saturating(plateau: f64, tau_s: f64) -> Growth {
    Growth::Saturating { plateau, tau_s }
}

fn fill(plateau: f64, rate: f64) -> Growth {
    Growth::Fill { plateau, rate }
}

fn saw(plateau: f64, period_s: f64) -> Growth {
    Growth::Saw { plateau, period_s }
}

fn short_lived(plateau: f64, rate: f64, life_s: f64) -> Growth {
    Growth::ShortLived { plateau, rate, life_s }
}

fn big_request(size: f64, period_s: f64, rise_s: f64, hold_s: f64) -> Growth {
    Growth::BigRequest { size, period_s, rise_s, hold_s }
}

const CONSTANT: Growth = Growth::Constant;

#[test]
fn no_two_kinds_have_the_same_name() {
    let mut names: Vec<String> = all().into_iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 67 + 10, "{count}");
}
