//! Reference: the figures of the simulation that the rules of the last minute were derived from.

/// The table, as it was published.
const TABLE: &str = include_str!("reference.md");

/// The figures of one policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub killed: f64,
    pub healthy: f64,
    pub leakers: f64,
    pub cut: f64,
    pub lowest: f64,
}

/// The figures of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// The kernel's kills without a watchdog.
    pub unwatched: f64,
    /// A model of the rules before.
    pub before: Figures,
    /// A plain level killer.
    pub level: Figures,
    /// The rules as they were proposed.
    pub proposed: Figures,
    pub oracle: Figures,
}

/// The figures of the kind of that name, if it has any.
pub fn of(name: &str) -> Option<Reference> {
    let row = |line: &'static str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        (cells.next() == Some(name)).then(|| cells.collect::<Vec<_>>())
    };
    let cells = TABLE.lines().find_map(row)?;
    let [unwatched, before, level, proposed, oracle, ..] = cells[..] else {
        panic!("a row of reference.md has six columns: {cells:?}")
    };
    Some(Reference {
        unwatched: number(unwatched),
        before: figures(before),
        level: figures(level),
        proposed: figures(proposed),
        oracle: figures(oracle),
    })
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("a figure of reference.md: {text}"))
}

fn figures(cell: &str) -> Figures {
    let [killed, healthy, leakers, cut, lowest] =
        cell.split('·').map(number).collect::<Vec<_>>()[..]
    else {
        panic!("a cell of reference.md has five figures: {cell}")
    };
    Figures { killed, healthy, leakers, cut, lowest }
}

#[test]
fn every_kind_of_the_reference_is_simulated() {
    let kinds = crate::kinds::all();
    let rows = || TABLE.lines().filter(|line| line.contains('·') && line.starts_with('|'));
    for line in rows() {
        let name = line.split('|').nth(1).unwrap_or_default().trim();
        assert!(kinds.iter().any(|kind| kind.name == name), "{name}");
        assert!(of(name).is_some(), "{name}");
    }
    assert_eq!(rows().count(), 67);
}
