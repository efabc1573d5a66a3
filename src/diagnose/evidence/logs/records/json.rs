//! JSON: one object a line.

use super::Field;
use super::keys::LISTS;
use super::strings::string;

/// Goes through an object's fields. Of deeper ones none is told.
pub(super) struct JsonFields<'a> {
    rest: &'a str,
    parents: Vec<&'a str>,
}

/// Objects in objects that are gone into.
const DEEPEST: usize = 32;

impl<'a> JsonFields<'a> {
    /// Of what follows an object's `{`.
    pub(super) fn of(rest: &'a str) -> Self {
        Self { rest, parents: Vec::new() }
    }

    fn string(&mut self) -> Option<&'a str> {
        let (string, rest) = string(self.rest)?;
        self.rest = rest;
        Some(string)
    }
}

impl<'a> Iterator for JsonFields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', ',']);
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                self.parents.pop()?;
                continue;
            }
            let key = self.string()?;
            self.rest = self.rest.trim_start().strip_prefix(':')?.trim_start();
            if let Some(rest) = self.rest.strip_prefix('{') {
                self.rest = rest;
                self.parents.push(key);
                if self.parents.len() > DEEPEST {
                    return None;
                }
                continue;
            }
            let value = if self.rest.starts_with('"') {
                self.string()?
            } else if self.rest.starts_with('[') {
                // Of a stack trace the first line counts; other lists may hold what others chose.
                let is_trace = LISTS.iter().any(|list| list.eq_ignore_ascii_case(key));
                let first = self.rest.get(1..).and_then(|rest| string(rest.trim_start()));
                self.skip_list()?;
                match first.filter(|_| is_trace) {
                    Some((first, _)) => first,
                    None => continue,
                }
            } else {
                let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
                let (value, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                value.trim_end()
            };
            match self.parents[..] {
                [] => return Some(Field { parent: "", key, value }),
                [parent] => return Some(Field { parent, key, value }),
                _ => {}
            }
        }
    }
}

impl JsonFields<'_> {
    /// Passes over a list, whatever is in it.
    fn skip_list(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let first = self.rest.chars().next()?;
            if first == '"' {
                self.string()?;
                continue;
            }
            self.rest = self.rest.get(first.len_utf8()..)?;
            match first {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}
