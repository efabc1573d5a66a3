//! Path: the request as it is counted, so that those for one page are one.
//!
//! Numbers, hexadecimal names and UUIDs in a path become `#`; what follows `?`, `;` or `#` is dropped,
//! for it is long and private.

use crate::core::model::plain_text::is_hidden;

/// Bytes of a path that are looked at, and kept.
const LONGEST: usize = 120;
/// Parts of a path that are kept: deeper ones are one.
const DEEPEST: usize = 6;
/// Letters and digits of a hexadecimal name at least: "cafe" and "feed" are words.
const HEX: usize = 8;
/// Letters of a method.
const METHOD: usize = 16;

/// A request by its method and path, folded; none where these are not what HTTP has.
pub fn fold(method: &[u8], target: &[u8]) -> Option<String> {
    let is_method = (1..=METHOD).contains(&method.len())
        && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    let path = path_of(target)?;
    if !is_method {
        return None;
    }
    let mut folded = String::from_utf8_lossy(method).into_owned();
    folded.push(' ');
    let parts = path.strip_prefix(b"/")?.split(|byte| *byte == b'/');
    for (nth, part) in parts.enumerate() {
        if nth == DEEPEST || folded.len() >= LONGEST {
            folded.push_str("/...");
            break;
        }
        folded.push('/');
        fold_part(part, &mut folded);
    }
    if folded.len() > LONGEST {
        folded.truncate(folded.floor_char_boundary(LONGEST));
        folded.push_str("...");
    }
    Some(folded)
}

/// The path of a request's target, which a proxy's has behind a host.
fn path_of(target: &[u8]) -> Option<&[u8]> {
    let target = match target.strip_prefix(b"http://").or(target.strip_prefix(b"https://")) {
        Some(rest) => rest.get(rest.iter().position(|byte| *byte == b'/')?..)?,
        None => target,
    };
    let path = target.split(|byte| matches!(byte, b'?' | b';' | b'#')).next()?;
    path.starts_with(b"/").then_some(path)
}

/// A part of a path: `#` where it names one of many.
fn fold_part(part: &[u8], folded: &mut String) {
    if part.is_empty() {
        return;
    }
    let part = part.get(..LONGEST).unwrap_or(part);
    let is_hex = |text: &[u8]| {
        text.len() >= HEX
            && text.iter().all(u8::is_ascii_hexdigit)
            && text.iter().any(u8::is_ascii_digit)
    };
    let is_id =
        |text: &[u8]| !text.is_empty() && (text.iter().all(u8::is_ascii_digit) || is_hex(text));
    if is_uuid(part) {
        folded.push('#');
        return;
    }
    // 2026-11-30, and names with a checksum: app.5f3a9c21.js
    let pieces = part.split_inclusive(|byte| matches!(byte, b'-' | b'.' | b'_' | b',' | b':'));
    let mut is_last_id = false;
    for piece in pieces {
        let (name, mark) = match piece.split_last() {
            Some((mark, name)) if !mark.is_ascii_alphanumeric() && *mark < 128 => {
                (name, Some(*mark))
            }
            _ => (piece, None),
        };
        let is_plain = |c: char| !c.is_control() && !is_hidden(c) && c != '\u{fffd}';
        match is_id(name) {
            // Of a date one mark is enough.
            true if is_last_id => {
                folded.pop();
            }
            true => folded.push('#'),
            false => folded.extend(
                String::from_utf8_lossy(name).chars().map(|c| if is_plain(c) { c } else { '?' }),
            ),
        }
        is_last_id = is_id(name) && matches!(mark, Some(b'-' | b'_' | b',' | b':'));
        folded
            .extend(mark.map(|mark| if mark.is_ascii_graphic() { char::from(mark) } else { '?' }));
    }
}

/// Whether it is like 7e57d004-2b97-0e7a-b45f-5387367791cd.
fn is_uuid(part: &[u8]) -> bool {
    let lengths = part.split(|byte| *byte == b'-').map(<[u8]>::len);
    let is_uuid = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    lengths.eq([8, 4, 4, 4, 12]) && part.iter().all(is_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fuzz::fuzz;

    fn folded(target: &str) -> Option<String> {
        fold(b"GET", target.as_bytes())
    }

    #[test]
    fn requests_for_one_page_are_one() {
        for (target, wanted) in [
            ("/", "GET /"),
            ("/cart", "GET /cart"),
            ("/cart/", "GET /cart/"),
            ("/p/123", "GET /p/#"),
            ("/p/123/edit?token=secret", "GET /p/#/edit"),
            ("/p;jsessionid=1a2b?x#y", "GET /p"),
            ("/u/7e57d004-2b97-0e7a-b45f-5387367791cd", "GET /u/#"),
            ("/blog/2026-11-30/a-title", "GET /blog/#/a-title"),
            ("/static/app.5f3a9c21e4.js", "GET /static/app.#.js"),
            ("/o/deadbeef01", "GET /o/#"),
            ("/facade/decade", "GET /facade/decade"),
            ("/v2/api", "GET /v2/api"),
            ("http://host/cart?x", "GET /cart"),
            ("/1/2/3/4/5/6/7/8", "GET /#/#/#/#/#/#/..."),
        ] {
            assert_eq!(folded(target).as_deref(), Some(wanted), "{target}");
        }
        assert_eq!(fold(b"POST", b"/cart").as_deref(), Some("POST /cart"));
    }

    #[test]
    fn what_is_no_request_is_none() {
        for (method, target) in [("GET", "cart"), ("get", "/"), ("", "/"), ("GET", ""), ("-", "-")]
        {
            assert_eq!(fold(method.as_bytes(), target.as_bytes()), None, "{method} {target}");
        }
        assert_eq!(fold(b"GET", b"http://host"), None);
    }

    #[test]
    fn control_characters_are_masked_and_length_is_bounded() {
        assert_eq!(fold(b"GET", b"/a\x1b[31m\xff").as_deref(), Some("GET /a?[31m?"));
        assert!(folded(&"/abc".repeat(1000)).unwrap().len() < LONGEST + 8);
        assert!(folded(&format!("/{}", "ä".repeat(1000))).unwrap().len() <= LONGEST + 8);
    }

    #[test]
    fn fuzz_paths() {
        let corpus: [&[u8]; 4] = [
            b"/p/123/edit?token=secret",
            b"/u/7e57d004-2b97-0e7a-b45f-5387367791cd",
            b"http://host/static/app.5f3a9c21e4.js",
            "/bücher/1-2-3_4:5".as_bytes(),
        ];
        fuzz("request paths", 1, &corpus, |target| {
            if let Some(folded) = fold(b"GET", target) {
                assert!(folded.len() <= LONGEST + 8, "{folded}");
                assert!(!folded.chars().any(|c| c.is_control() || is_hidden(c)), "{folded}");
            }
        });
    }
}
