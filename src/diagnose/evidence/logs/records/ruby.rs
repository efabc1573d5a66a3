//! Ruby: hashes as `inspect` writes them: `{:message=>"a", :level=>:warn, :e=>#<IOError: b>, :tags=>["c"]}`.

use super::Field;
use super::strings::string;

/// A value, if it is told, and what follows it, if that can be trusted.
type Value<'a> = (Option<&'a str>, Option<&'a str>);

/// The fields of a hash, from behind its `{:`. Of lists and of hashes in it none is told. What an object
/// says of itself may hold others' words as they are: behind one nothing counts.
pub(super) fn fields(rest: &str) -> impl Iterator<Item = Field<'_>> {
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        loop {
            let (key, behind) = rest.take()?.split_once("=>")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@?!".contains(&byte);
            if !key.bytes().all(plain) {
                return None;
            }
            let (value, behind) = value(behind)?;
            rest = behind.and_then(|behind| behind.strip_prefix(", :"));
            if let Some(value) = value {
                // Logstash's name of an error.
                let key = if key == "e" { "exception" } else { key };
                return Some(Field { parent: "", key, value });
            }
        }
    })
}

fn value(text: &str) -> Option<Value<'_>> {
    if text.starts_with(['[', '{']) {
        return Some((None, behind_list(text)));
    }
    if let Some((value, behind)) = string(text) {
        return Some((Some(value), Some(behind)));
    }
    // What `inspect` writes of an object ends at its ">", behind which the next field or the end stands.
    if let Some(object) = text.strip_prefix("#<") {
        let end = [">, :", ">}"].iter().filter_map(|end| object.find(end)).min();
        return Some((object.get(..end.unwrap_or(object.len())), None));
    }
    let end = [", :", "}"].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let (value, behind) = text.split_at_checked(end)?;
    Some(if is_plain(value) { (Some(value), Some(behind)) } else { (None, None) })
}

/// Whether that is a symbol, a number or nothing, which hold no words of others.
fn is_plain(value: &str) -> bool {
    let is_symbol = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_@?!".contains(&byte))
    };
    ["", "nil", "true", "false"].contains(&value)
        || value.strip_prefix(':').is_some_and(is_symbol)
        || (value.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && value.parse::<f64>().is_ok())
}

/// What follows a list or hash of strings, symbols and numbers.
fn behind_list(mut rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    loop {
        let first = rest.chars().next()?;
        if first == '"' {
            rest = string(rest)?.1;
            continue;
        }
        let delimiters = ['[', '{', ']', '}', ',', ' ', '=', '>'];
        if !delimiters.contains(&first) {
            let (word, behind) = rest.split_at_checked(rest.find(delimiters)?)?;
            rest = is_plain(word).then_some(behind)?;
            continue;
        }
        rest = rest.get(1..)?;
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
