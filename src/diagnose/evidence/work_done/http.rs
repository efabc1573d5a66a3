//! Http: one question in HTTP/1.0, and what Apache's `server-status` page says.

/// Asks for a page; the server closes when it has answered.
pub(super) fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: leakwatch\r\n\r\n").into_bytes()
}

/// The body of an answer with status 200.
pub(super) fn body(answer: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("its answer is no HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(body.to_owned()),
        _ => Err(format!("it says {}", head.lines().next().unwrap_or_default())),
    }
}

/// The cells of every worker's row: "0-1", its pid, "accesses this connection/this child/this slot".
fn rows(page: &str) -> impl Iterator<Item = (u32, [u64; 3])> {
    page.split("<tr>").filter_map(|row| {
        let cells: Vec<&str> =
            row.split("<td").skip(1).filter_map(|cell| cell.split_once('>')).map(|c| c.1).collect();
        let text = |n: usize| Some(cells.get(n)?.split('<').next()?.trim());
        // A slot that is free has "-" for its pid.
        let pid = text(1)?.parse().ok()?;
        let mut counts = text(2)?.split('/').map(|count| count.trim().parse().ok());
        Some((pid, [counts.next()??, counts.next()??, counts.next()??]))
    })
}

/// Requests by pid. A process with threads has a row for each of them.
pub(super) fn server_status(page: &str) -> Vec<(u32, u64)> {
    let mut done: Vec<(u32, u64)> = Vec::new();
    for (pid, [_, of_child, _]) in rows(page) {
        match done.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, sum)) => *sum = sum.saturating_add(of_child),
            None => done.push((pid, of_child)),
        }
    }
    done
}

/// Requests on the connections that are open now, and how many those are: what is known of how many
/// requests a connection carries.
pub(super) fn connections(page: &str) -> Option<(u64, u64)> {
    let open = || rows(page).map(|(_, [of_connection, ..])| of_connection).filter(|n| *n > 0);
    let requests = open().fold(0, u64::saturating_add);
    let connections = open().count() as u64;
    (connections > 0).then_some((requests, connections))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<table border=\"0\"><tr><th>Srv</th><th>PID</th><th>Acc</th></tr>\n\
        <tr><td><b>0-0</b></td><td>4711</td><td>0/12/99</td><td><b>W</b>\n</td><td>0.1</td></tr>\n\
        <tr><td><b>1-0</b></td><td>-</td><td>0/0/7</td><td>.</td></tr>\n\
        <tr><td><b>2-0</b></td><td>4712</td><td>3/8/8</td><td>_</td></tr>\n\
        <tr><td><b>2-0</b></td><td>4712</td><td>1/4/4</td><td>_</td></tr>\n</table>";

    #[test]
    fn workers_are_counted_by_what_this_child_did() {
        assert_eq!(server_status(PAGE), [(4711, 12), (4712, 12)]);
        assert_eq!(connections(PAGE), Some((4, 2)));
    }

    #[test]
    fn other_pages_name_nobody() {
        assert_eq!(server_status("<tr><td>a</td><td>1</td><td>2</td></tr>"), []);
        assert!(body(b"HTTP/1.1 403 Forbidden\r\n\r\nx").unwrap_err().contains("403"));
        assert_eq!(body(b"HTTP/1.0 200 OK\r\na: b\r\n\r\nx").unwrap(), "x");
    }
}
