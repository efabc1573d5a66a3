//! Machines as they are out there: cases taken from public reports, reduced to what must be recognised,
//! in tests/fixtures/machines. Each kind of case has a file and a module here.

mod logs;
mod settings;
mod trees;

/// A case: its name, its lines, and what must come of it (the lines that begin with "> ").
#[derive(Debug)]
pub(crate) struct Case<'t> {
    pub(crate) name: &'t str,
    pub(crate) lines: Vec<&'t str>,
    pub(crate) wanted: Vec<&'t str>,
}

/// The cases of a file: each begins with "== name"; lines that begin with "# " before the first are
/// for people.
pub(crate) fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name, lines: Vec::new(), wanted: Vec::new() });
        } else if let Some(case) = cases.last_mut() {
            match line.strip_prefix("> ") {
                Some(wanted) => case.wanted.push(wanted),
                None if line.is_empty() => {}
                None => case.lines.push(line),
            }
        }
    }
    cases
}
