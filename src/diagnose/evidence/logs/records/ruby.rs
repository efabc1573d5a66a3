//! Ruby: hashes as `inspect` writes them: `{:message=>"a", :level=>:warn, :e=>#<IOError: b>, :tags=>["c"]}`.

use super::Field;
use super::strings::string;

/// The fields of a hash, from behind its `{:`. Of lists and of hashes in it none is told. What an object
/// says of itself may hold others' words as they are: behind one only symbols count, which have no blanks.
pub(super) fn fields(rest: &str) -> impl Iterator<Item = Field<'_>> {
    let (mut rest, mut is_behind_object) = (Some(rest), false);
    std::iter::from_fn(move || {
        loop {
            let (key, behind) = rest.take()?.split_once("=>")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@?!".contains(&byte);
            if !key.bytes().all(plain) {
                return None;
            }
            let is_told = !is_behind_object || behind.starts_with(':');
            is_behind_object |= behind.starts_with("#<");
            let (value, behind) = value(behind)?;
            rest = behind.strip_prefix(", :");
            if let Some(value) = value.filter(|_| is_told) {
                return Some(Field { parent: "", key, value });
            }
        }
    })
}

/// A value and what follows it; none of a list or of a hash.
fn value(text: &str) -> Option<(Option<&str>, &str)> {
    if text.starts_with(['[', '{']) {
        return Some((None, behind_list(text)?));
    }
    if let Some((value, behind)) = string(text) {
        return Some((Some(value), behind));
    }
    // What `inspect` writes of an object ends at its ">", behind which the next field or the end stands.
    let ends: &[&str] = if text.starts_with("#<") { &[">, :", ">}"] } else { &[", :", "}"] };
    let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let (value, behind) = text.split_at_checked(end)?;
    let value = value.strip_prefix("#<").unwrap_or(value);
    Some((Some(value), behind.strip_prefix('>').unwrap_or(behind)))
}

/// What follows a list or hash, whatever is in it.
fn behind_list(mut rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    loop {
        let first = rest.chars().next()?;
        if first == '"' {
            rest = string(rest)?.1;
            continue;
        }
        rest = rest.get(first.len_utf8()..)?;
        match first {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(rest);
        }
    }
}
