//! logfmt: `level=error msg="a \"b\"" n=7`, nothing else from its beginning to its end.

use super::Field;
use super::strings::string;

/// The fields of a line of no other words.
pub(super) fn fields(line: &str) -> Option<Vec<Field<'_>>> {
    let (mut fields, mut rest) = (Vec::new(), line.trim());
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@/-".contains(&byte);
        if key.is_empty() || !key.bytes().all(plain) {
            return None;
        }
        let (value, behind) = match string(behind) {
            Some(found) => found,
            None => behind.split_at_checked(behind.find(' ').unwrap_or(behind.len()))?,
        };
        if !behind.is_empty() && !behind.starts_with(' ') {
            return None;
        }
        fields.push(Field { parent: "", key, value });
        rest = behind.trim_start();
    }
    Some(fields)
}
