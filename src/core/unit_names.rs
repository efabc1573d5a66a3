//! Unit names: the unit or the container of processes and of limits, as people name it.
//!
//! What a sample says of them is kept for a while after a process is gone, for its OUTCOME comes then.

use crate::core::model::ceiling::Place;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Names kept of processes that are gone.
const MOST_GONE: usize = 64;
/// Places with a name.
const MOST_PLACES: usize = 1024;
/// The longest name, in bytes; systemd's own limit.
const LONGEST: usize = 256;
/// Before the name of a container.
const CONTAINER: &str = "container ";

/// The names that are known.
#[derive(Debug, Default)]
pub struct UnitNames {
    processes: BTreeMap<ProcId, Arc<str>>,
    places: BTreeMap<String, Arc<str>>,
    /// Each name once.
    names: BTreeSet<Arc<str>>,
}

/// A unit or a container: "php8.2-fpm.service", "container shop-php".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitName<'n>(&'n str);

impl UnitNames {
    /// None yet.
    pub const fn new() -> Self {
        Self { processes: BTreeMap::new(), places: BTreeMap::new(), names: BTreeSet::new() }
    }

    /// Takes over what a sample has. Allocates nothing unless it has anything new.
    pub fn observe(&mut self, sample: &Sample) {
        for program in &sample.programs {
            match program.unit.as_deref().filter(|name| is_plain(name)) {
                Some(name) => {
                    let name = self.shared(name);
                    self.processes.insert(program.id, name);
                }
                None => {
                    self.processes.remove(&program.id);
                }
            }
        }
        for known in &sample.places {
            let place = known.place.plain().to_string();
            let has_room = self.places.len() < MOST_PLACES || self.places.contains_key(&place);
            if is_plain(&known.name) && has_room {
                let name = self.shared(&known.name);
                self.places.insert(place, name);
            }
        }
        let is_new = !sample.programs.is_empty() || !sample.places.is_empty();
        if is_new && self.processes.len() > sample.procs.len() + MOST_GONE {
            let living: BTreeSet<ProcId> = sample.procs.iter().map(|proc| proc.id).collect();
            self.processes.retain(|id, _| living.contains(id));
            self.names.retain(|name| Arc::strong_count(name) > 1);
        }
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    /// That of a process.
    pub fn of(&self, id: ProcId) -> Option<UnitName<'_>> {
        self.processes.get(&id).map(|name| UnitName(name))
    }

    /// Whose limit a place is.
    pub fn at(&self, place: Place) -> Option<UnitName<'_>> {
        if place.is_none() || self.places.is_empty() {
            return None;
        }
        // A place that was cut has dots before it, which no other one has.
        match place.parts() {
            ("", text) => self.places.get(text),
            _ => self.places.get(&place.plain().to_string()),
        }
        .map(|name| UnitName(name))
    }
}

impl<'n> UnitName<'n> {
    /// The name of the container, if it is one.
    pub fn container(self) -> Option<&'n str> {
        self.0.strip_prefix(CONTAINER)
    }

    /// The name of the unit, if it is one.
    pub fn unit(self) -> Option<&'n str> {
        Some(self.0).filter(|_| self.container().is_none())
    }

    /// Whether it is of use as a label of metrics: not if it is a new one each time.
    pub fn is_lasting(self) -> bool {
        let is_number = |name: &str| {
            let first = name.split(' ').next().unwrap_or_default();
            first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        !self.0.starts_with("run-") && !self.container().is_some_and(is_number)
    }
}

/// In a sentence: "container shop-php", "php8.2-fpm.service".
impl fmt::Display for UnitName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A recording may hold anything.
fn is_plain(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b" :-_.\\@+/".contains(&byte);
    !name.is_empty() && name.len() <= LONGEST && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Program;
    use crate::core::model::sample::PlaceName;

    fn program(pid: u32, unit: Option<&str>) -> Program {
        let id = ProcId { pid, start: 1 };
        Program { id, unit: unit.map(str::to_owned), ..Program::unknown() }
    }

    fn known(programs: Vec<Program>, places: Vec<PlaceName>) -> UnitNames {
        let mut names = UnitNames::default();
        names.observe(&Sample { programs, places, ..Sample::default() });
        names
    }

    #[test]
    fn a_process_has_the_name_that_a_sample_gave_it_also_when_it_is_gone() {
        let mut names = known(vec![program(7, Some("php8.2-fpm.service"))], vec![]);
        let id = ProcId { pid: 7, start: 1 };
        names.observe(&Sample::default());
        let name = names.of(id).unwrap();
        assert_eq!((name.unit(), name.container()), (Some("php8.2-fpm.service"), None));
        names.observe(&Sample { programs: vec![program(7, None)], ..Sample::default() });
        assert_eq!(names.of(id), None);
    }

    #[test]
    fn names_of_the_gone_are_bounded() {
        let mut names = UnitNames::default();
        for pid in 0..5000 {
            let programs = vec![program(pid, Some(&format!("a{pid}.service")))];
            names.observe(&Sample { programs, ..Sample::default() });
        }
        assert!(names.processes.len() <= MOST_GONE + 1 && names.names.len() <= MOST_GONE + 1);
    }

    #[test]
    fn a_place_is_found_by_its_end_too() {
        let long = format!("/system.slice/docker-{}.scope", "0123456789abcdef".repeat(4));
        let place = |text: &str| PlaceName { place: Place::new(text), name: "container a".into() };
        let names = known(vec![], vec![place(&long), place("/docker/x")]);
        assert_eq!(names.at(Place::new(&long)).and_then(UnitName::container), Some("a"));
        assert_eq!(names.at(Place::new("/docker/x")).and_then(UnitName::container), Some("a"));
        assert_eq!(names.at(Place::new("/docker/y")), None);
        assert_eq!(names.at(Place::NONE), None);
    }

    #[test]
    fn a_name_that_is_not_plain_is_none() {
        for bad in ["", "a\nb", "\u{1b}[31m", "a\"b", "\u{202e}"] {
            let names = known(vec![program(7, Some(bad))], vec![]);
            assert_eq!(names.of(ProcId { pid: 7, start: 1 }), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_is_new_each_time_is_no_label() {
        for (name, lasting) in [
            ("php8.2-fpm.service", true),
            ("container shop-php", true),
            ("container 0123456789ab", false),
            ("container 0123456789ab in app.service", false),
            ("run-r1a2b.service", false),
        ] {
            assert_eq!(UnitName(name).is_lasting(), lasting, "{name}");
        }
    }
}
