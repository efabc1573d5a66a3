//! The example hooks with names that a process chose to be harmful. They are safe by themselves: each gets
//! the names as they are, as if leakwatch had not made them harmless before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::needs::{self, Need};
use crate::common::receiver::{Received, Receiver};
use serde_json::Value;

/// Names that a process may have, NUL aside, and longer ones as paths may be.
const NAMES: [&str; 24] = [
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
    "<!channel>&<https://e.co|click>",
    "@all @here ```\n@channel",
    "[click](https://e.co)",
    "\\\",\"x\":\"",
];

const CURL: Need = Need::Program("curl", "curl");

/// Runs an example of examples/hooks for a leak of a process of that name.
fn run(script: &Path, args: &[&str], dir: &Path, name: &str) {
    let event = serde_json::json!({ "event": "leak", "comm": name });
    let said = Command::new("/bin/sh")
        .arg(script)
        .args(args)
        .env("LEAKWATCH_EVENT", "leak")
        .env("LEAKWATCH_COMM", name)
        .env("LEAKWATCH_TEXT", format!("LEAK {name}[7]"))
        .env("LEAKWATCH_JSON", event.to_string())
        .env("CREDENTIALS_DIRECTORY", dir)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && text.is_empty(), "{script:?}, {name:?}: {text}");
    assert!(!dir.join("pwned").exists(), "{script:?} ran {name:?}");
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks").join(name)
}

/// A program in place of another, which keeps its arguments and hands on to `then`.
fn install_fake(dir: &Path, name: &str, then: &str) -> std::path::PathBuf {
    let fake = dir.join(name);
    let script = format!(
        "#!/bin/sh\nfor word; do printf '<%s>\\n' \"$word\"; done >'{}/args'\n{then}\n",
        dir.display()
    );
    fs::write(&fake, script).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    fake
}

fn kept(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn a_mail_has_the_headers_of_the_example_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let keep = format!("cat >'{}/input'", dir.path().display());
    let fake = install_fake(dir.path(), "sendmail", &keep);
    let text = fs::read_to_string(example("mail.sh")).unwrap();
    let hook = dir.path().join("mail.sh");
    fs::write(&hook, text.replace("/usr/sbin/sendmail", fake.to_str().unwrap())).unwrap();
    for name in NAMES {
        run(&hook, &["root"], dir.path(), name);
        assert_eq!(kept(dir.path(), "args"), "<-t>\n<-i>\n", "{name:?}");
        let input = kept(dir.path(), "input");
        let headers = ["To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type"];
        is_mail(&input, &headers, name);
    }
}

/// Has these headers, and one line of text below them.
fn is_mail(mail: &str, wanted: &[&str], name: &str) {
    let (head, body) = mail.split_once("\n\n").unwrap();
    let headers: Vec<&str> = head.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(headers, wanted, "{name:?}: {mail}");
    assert!(head.contains("\nSubject: leakwatch on "), "{mail}");
    assert_eq!(body.trim_end().lines().count(), 1, "{name:?}: {body:?}");
    assert!(!mail.contains(['\r', '\u{1b}']), "{name:?}: {mail:?}");
}

#[test]
#[ignore = "needs curl"]
fn a_mail_reaches_a_mail_server_that_wants_a_password() {
    needs::require(&[CURL]);
    let (dir, server) = (tempfile::tempdir().unwrap(), Receiver::mail());
    let secret = format!(
        "url = \"smtp://127.0.0.1:{}\"\nuser = \"me:secret\"\nmail-from = \"leakwatch@example.org\"\n",
        server.port()
    );
    fs::write(dir.path().join("leakwatch-smtp"), secret).unwrap();
    for name in NAMES {
        run(&example("mail.sh"), &["root@example.org"], dir.path(), name);
        let Received { head, body } = server.next();
        let said = |line: &str| head.iter().any(|known| known == line);
        // Base64 of "\0me\0secret".
        assert!(said("AG1lAHNlY3JldA=="), "{name:?}: {head:?}");
        assert!(head.iter().any(|line| line.starts_with("MAIL FROM:<leakwatch@example.org>")));
        let to: Vec<&String> = head.iter().filter(|line| line.starts_with("RCPT ")).collect();
        assert_eq!(to, ["RCPT TO:<root@example.org>"], "{name:?}");
        let headers =
            ["From", "Date", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type"];
        is_mail(&body, &headers, name);
    }
}

/// What a chat shows: the fields that are text, as the server understands them.
fn shown(format: &str, body: &str) -> String {
    if format == "ntfy" {
        return body.to_owned();
    }
    let json: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match format {
        "slack" => {
            assert_eq!(json["mrkdwn"], false);
            let text = text(&json["text"]);
            assert!(!text.contains(['<', '>']), "a mention or a link: {text}");
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        }
        "mattermost" => {
            let text = text(&json["text"]);
            let parts: Vec<&str> = text.split("```").collect();
            let [_, inside, ""] = parts[..] else { panic!("more than one block: {text}") };
            assert_eq!(inside.matches('\n').count(), 2, "{text}");
            inside.trim().to_owned()
        }
        "teams" => {
            let [attachment] = &json["attachments"].as_array().unwrap()[..] else {
                panic!("{json}")
            };
            assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
            let lines = attachment["content"]["body"].as_array().unwrap();
            assert!(lines.iter().all(|line| line["type"] == "RichTextBlock"), "{json}");
            text(&lines[1]["inlines"][0]["text"])
        }
        _ => panic!("no such format: {format}"),
    }
}

#[test]
#[ignore = "needs curl"]
fn each_chat_gets_its_format_and_a_name_is_neither_mention_nor_link() {
    needs::require(&[CURL]);
    let (dir, server) = (tempfile::tempdir().unwrap(), Receiver::web());
    let secret = format!("url = \"http://127.0.0.1:{}/s3cret\"\n", server.port())
        + "header = \"Authorization: Bearer t0ken\"\n";
    fs::write(dir.path().join("leakwatch-webhook"), secret).unwrap();
    for format in ["slack", "mattermost", "teams", "ntfy"] {
        for name in NAMES {
            run(&example("webhook.sh"), &[format], dir.path(), name);
            let Received { head, body } = server.next();
            assert_eq!(head[0], "POST /s3cret HTTP/1.1", "{format}");
            assert!(head.contains(&"Authorization: Bearer t0ken".to_owned()), "{head:?}");
            let titles: Vec<&String> = head.iter().filter(|h| h.starts_with("Title:")).collect();
            assert!(matches!(titles[..], [title] if title.ends_with(": leak")), "{head:?}");
            assert!(!head.iter().any(|line| line.starts_with("Bcc")), "{format}: {head:?}");
            let shown = shown(format, &body);
            let wanted: String = format!("LEAK {name}[7]")
                .bytes()
                .map(|byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '?' })
                .collect();
            let wanted = if format == "mattermost" { wanted.replace('`', "'") } else { wanted };
            assert!(shown.ends_with(&wanted), "{format}, {name:?}: {shown:?}");
            assert_eq!(shown.lines().count(), 1, "{format}, {name:?}: {shown:?}");
        }
    }
}

#[test]
fn an_event_is_posted_as_it_is_and_no_secret_is_on_a_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let keep = format!("cat >'{}/input'", dir.path().display());
    let fake = install_fake(dir.path(), "curl", &keep);
    let text = fs::read_to_string(example("webhook.sh")).unwrap();
    let hook = dir.path().join("webhook.sh");
    fs::write(&hook, text.replace("| curl ", &format!("| {} ", fake.display()))).unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "url = \"https://example.invalid/hook\"\n").unwrap();
    for name in NAMES {
        run(&hook, &["json", file.to_str().unwrap()], dir.path(), name);
        let args = kept(dir.path(), "args");
        assert!(args.starts_with(&format!("<--config>\n<{}>\n", file.display())), "{args}");
        assert!(!args.contains(name) && !args.contains("invalid"), "{name:?}: {args}");
        let event: Value = serde_json::from_str(&kept(dir.path(), "input")).unwrap();
        assert_eq!(event["comm"], name);
    }
}
