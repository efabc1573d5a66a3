//! The example hooks with names that a process chose to be harmful. They are safe by themselves: each gets
//! the names as they are, as if leakwatch had not made them harmless before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names that a process may have, NUL aside, and longer ones as paths may be.
const NAMES: [&str; 20] = [
    "x\nBcc:evil@e.co",
    "x\r\nBcc: evil@e.co",
    "\n.\n",
    "\r",
    "x\\nBcc:evil@e.co",
    "x\\012Bcc:evil@e.co",
    "$(touch pwned)",
    "`touch pwned`",
    "';touch pwned;'",
    "\";touch pwned;\"",
    "|touch pwned",
    "&touch pwned&",
    "-oQ/tmp",
    "@/etc/passwd",
    "%s%s%s%n",
    "\u{1b}[2J",
    "\u{85}Bcc:x",
    "\u{2028}Bcc:x",
    "MAIL\nBcc:x",
    "\u{202e}evil",
];

/// Runs an example of examples/hooks by a copy whose program is replaced by one that keeps what it gets;
/// returns its arguments and its input.
fn run(script: &str, (program, put): (&str, &str), name: &str, arg: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join(put);
    let keep = format!(
        "#!/bin/sh\nfor word; do printf '<%s>\\n' \"$word\"; done >'{0}/args'\ncat >'{0}/input'\n",
        dir.path().display()
    );
    fs::write(&fake, keep).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks").join(script);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(program), "{script} runs no {program}");
    let hook = dir.path().join(script);
    fs::write(&hook, text.replace(program, fake.to_str().unwrap())).unwrap();
    let event = serde_json::json!({ "event": "leak", "comm": name });
    let status = Command::new("/bin/sh")
        .arg(&hook)
        .arg(arg)
        .env("LEAKWATCH_EVENT", "leak")
        .env("LEAKWATCH_COMM", name)
        .env("LEAKWATCH_TEXT", format!("LEAK {name}[7]"))
        .env("LEAKWATCH_JSON", event.to_string())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{script}, {name:?}");
    assert!(!dir.path().join("pwned").exists(), "{script} ran {name:?}");
    let kept = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    (kept("args"), kept("input"))
}

#[test]
fn a_mail_has_the_headers_of_the_example_and_no_others() {
    for name in NAMES {
        let mail = ("/usr/sbin/sendmail", "sendmail");
        let (args, input) = run("mail.sh", mail, name, "root");
        assert_eq!(args, "<-t>\n<-i>\n", "{name:?}");
        let (head, body) = input.split_once("\n\n").unwrap();
        let headers: Vec<&str> = head.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(headers, ["To", "Subject", "Auto-Submitted"], "{name:?}: {input}");
        assert!(head.contains("\nSubject: leakwatch on "), "{input}");
        assert_eq!(body.trim_end().lines().count(), 1, "{name:?}: {body:?}");
        assert!(!input.contains(['\r', '\u{1b}']), "{name:?}: {input:?}");
    }
}

#[test]
fn a_webhook_posts_the_event_as_it_is_to_that_address_alone() {
    for name in NAMES {
        let url = "https://example.invalid/hook";
        let (args, input) = run("webhook.sh", ("curl --fail", "curl"), name, url);
        assert!(args.ends_with(&format!("<--url>\n<{url}>\n")), "{name:?}: {args}");
        assert!(!args.contains(name), "{name:?}: {args}");
        let event: serde_json::Value = serde_json::from_str(&input).unwrap();
        assert_eq!(event["comm"], name);
    }
}
