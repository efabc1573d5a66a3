//! Fastcgi: one question to php-fpm, by the FastCGI specification 1.0.

/// Kinds of records.
const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

/// Asks for a status page.
pub(super) fn request(path: &str, query: &str) -> Vec<u8> {
    let mut params = Vec::new();
    for (name, value) in [
        ("SCRIPT_FILENAME", path),
        ("SCRIPT_NAME", path),
        ("REQUEST_URI", path),
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", "GET"),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
    ] {
        for text in [name, value] {
            // The high bit says that four bytes tell the length.
            let long = (text.len().min(60_000) as u32) | 1 << 31;
            params.extend_from_slice(&long.to_be_bytes());
        }
        params.extend_from_slice(name.as_bytes());
        params.extend_from_slice(value.as_bytes());
    }
    // Role 1, responder; no flags: the connection is closed behind the answer.
    let mut all = record(BEGIN_REQUEST, &[0, 1, 0, 0, 0, 0, 0, 0]);
    all.extend(record(PARAMS, &params));
    all.extend(record(PARAMS, &[]));
    all.extend(record(STDIN, &[]));
    all
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len().min(u16::MAX.into()) as u16).to_be_bytes();
    let mut record = vec![1, kind, 0, 1, length[0], length[1], 0, 0];
    record.extend_from_slice(content);
    record
}

/// What was written to standard output, without its header.
pub(super) fn body(answer: &[u8]) -> Option<String> {
    let mut output = Vec::new();
    let mut rest = answer;
    while let [1, kind, _, _, high, low, padding, _, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let content = after.get(..length)?;
        if *kind == STDOUT {
            output.extend_from_slice(content);
        }
        rest = after.get(length + usize::from(*padding)..).unwrap_or_default();
    }
    let text = String::from_utf8_lossy(&output).into_owned();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_four_records() {
        let question = request("/status", "json");
        assert_eq!(question[..8], [1, BEGIN_REQUEST, 0, 1, 0, 8, 0, 0]);
        assert!(question.ends_with(&[1, PARAMS, 0, 1, 0, 0, 0, 0, 1, STDIN, 0, 1, 0, 0, 0, 0]));
    }

    #[test]
    fn an_answer_may_come_in_pieces_with_padding_and_errors_between() {
        let mut answer = record(STDOUT, b"Content-type: x\r\n\r\n{\"a\"");
        answer.extend([1, 7, 0, 1, 0, 1, 3, 0, b'e', 0, 0, 0]);
        answer.extend(record(STDOUT, b":1}"));
        answer.extend(record(3, &[0; 8]));
        assert_eq!(body(&answer).unwrap(), "{\"a\":1}");
        assert_eq!(body(b"HTTP/1.1 400"), None);
    }
}
