//! Line: the request in a line of an access log, and the words around it.

/// Bytes of a line that are looked at.
pub(super) const LONGEST: usize = 8192;
/// Words around the request that are looked at, on each side.
const MOST_WORDS: usize = 32;
/// Digits of a pid: PID_MAX_LIMIT is 4 194 304.
const DIGITS: usize = 7;

/// A line with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'l> {
    pub(super) method: &'l [u8],
    pub(super) target: &'l [u8],
    /// Numbers that may be a pid, each with its place: how many words before the request (negative) or
    /// behind it, from 1. What stands in quotes is one word.
    pub(super) numbers: Vec<(i8, u32)>,
}

/// The line, if it has a request: in quotes as Apache, nginx, gunicorn and php-fpm write it, or as uWSGI does.
pub(super) fn parse(line: &[u8]) -> Option<RequestLine<'_>> {
    let line = line.get(..LONGEST).unwrap_or(line);
    uwsgi(line).or_else(|| quoted(line))
}

/// `[pid: 7|app: 0|req: 1/1] 127.0.0.1 () {28 vars in 320 bytes} [Mon Nov 30 ...] GET /a => generated 5 bytes ...`
fn uwsgi(line: &[u8]) -> Option<RequestLine<'_>> {
    let rest = line.strip_prefix(b"[pid: ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let pid = number(rest.get(..digits)?)?;
    let end = find(rest, b" => generated ")?;
    let mut words = rest.get(..end)?.rsplit(|byte| *byte == b' ');
    let (target, method) = (words.next()?, words.next()?);
    is_request(method, target).then(|| RequestLine { method, target, numbers: vec![(-1, pid)] })
}

/// `127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 7`: the first in quotes that is one, for
/// what follows is the client's to choose.
fn quoted(line: &[u8]) -> Option<RequestLine<'_>> {
    let mut at = 0;
    while let Some(open) = line.get(at..)?.iter().position(|byte| *byte == b'"') {
        let open = at + open;
        let inside = line.get(open + 1..)?;
        let close = end_of_quote(inside)?;
        let mut words = inside.get(..close)?.split(|byte| *byte == b' ');
        let request = (words.next(), words.next(), words.next());
        if let (Some(method), Some(target), version) = request
            && version.is_none_or(|version| version.starts_with(b"HTTP/"))
            && is_request(method, target)
        {
            let before = words_of(line.get(..open)?);
            let behind = words_of(inside.get(close + 1..).unwrap_or_default());
            let before = before.iter().rev().zip(1_i8..).map(|(word, nth)| (-nth, *word));
            let behind = behind.iter().zip(1_i8..).map(|(word, nth)| (nth, *word));
            let words = before.take(MOST_WORDS).chain(behind.take(MOST_WORDS));
            let numbers = words.filter_map(|(nth, word)| Some((nth, number(word)?))).collect();
            return Some(RequestLine { method, target, numbers });
        }
        at = open + 1 + close + 1;
    }
    None
}

fn is_request(method: &[u8], target: &[u8]) -> bool {
    let is_method = (3..=16).contains(&method.len()) && method.iter().all(u8::is_ascii_uppercase);
    is_method && (target.starts_with(b"/") || target.starts_with(b"http"))
}

/// Where a text in quotes ends.
fn end_of_quote(inside: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    inside.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

/// The words of a text: what other characters than `[0-9A-Za-z._-]` set apart, and what stands in quotes,
/// without the quotes.
fn words_of(text: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let is_word =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let length = match rest.split_first() {
            Some((b'"', inside)) => match end_of_quote(inside) {
                Some(end) => {
                    words.push(inside.get(..end).unwrap_or_default());
                    end + 2
                }
                None => 1,
            },
            _ => {
                let length = rest.iter().take_while(|byte| is_word(byte)).count();
                if length > 0 {
                    words.push(rest.get(..length).unwrap_or_default());
                }
                length.max(1)
            }
        };
        at += length;
    }
    words
}

fn number(word: &[u8]) -> Option<u32> {
    let is_number = (1..=DIGITS).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    is_number.then(|| word.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::fuzz::fuzz;

    /// Lines as servers write them, each with the place of the pid 4711.
    pub(in super::super) const LINES: [(&str, i8); 7] = [
        // LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %P"
        (
            r#"127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 512 "http://h/x" "A \"b\" 7" 4711"#,
            5,
        ),
        // LogFormat "%P %h %t \"%r\" %>s"
        (r#"4711 127.0.0.1 [30/Nov/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200"#, -9),
        // --access-logformat '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s %(p)s': <4711>
        (r#"127.0.0.1 - - [30/Nov/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 5 <4711>"#, 3),
        (
            "[pid: 4711|app: 0|req: 1/1] 127.0.0.1 () {28 vars in 320 bytes} [Mon Nov 30 10:00:00 2026] GET /cart => generated 5 bytes in 1 msecs (HTTP/1.1 200) 2 headers in 77 bytes",
            -1,
        ),
        // access.format = "%R - %u %t \"%m %r\" %s %p"
        (r#"127.0.0.1 -  30/Nov/2026:10:00:00 +0000 "GET /cart" 200 4711"#, 2),
        (r#"{"t":"2026-11-30","request":"GET /cart HTTP/1.1","status":200,"pid":4711}"#, 4),
        (r#"{"pid":"4711","request":"GET /cart HTTP/1.1","status":"200"}"#, -2),
    ];

    #[test]
    fn a_request_is_found_with_the_numbers_around_it() {
        for (text, place) in LINES {
            let line = parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((line.method, line.target), (&b"GET"[..], &b"/cart"[..]), "{text}");
            assert!(line.numbers.contains(&(place, 4711)), "{place} {:?} {text}", line.numbers);
        }
    }

    #[test]
    fn what_the_client_says_further_on_is_no_request() {
        let text = r#"h "GET /cart HTTP/1.1" 200 "-" "GET /evil HTTP/1.1" 4711"#;
        assert_eq!(parse(text.as_bytes()).unwrap().target, b"/cart");
        for text in [
            "",
            "\"",
            "127.0.0.1 - - \"-\" 408 0",
            "AH00163: Apache configured -- resuming",
            "[pid: 4711|app",
            r#""GET /unended"#,
            r#""get /a HTTP/1.1""#,
            r#""GET /a b c""#,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn fuzz_access_lines() {
        let corpus: Vec<&[u8]> = LINES.iter().map(|(text, _)| text.as_bytes()).collect();
        fuzz("access lines", 1, &corpus, |line| {
            if let Some(line) = parse(line) {
                assert!(line.numbers.len() <= 2 * MOST_WORDS && !line.target.is_empty());
            }
        });
    }
}
