//! Masked: a command line without its secrets, since recordings are passed on.

/// What stands in place of a secret.
const MASK: &str = "***";
/// Parts of an option's or a variable's name that say that its value is secret.
const SECRET: [&str; 9] = [
    "passw",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "authkey",
];
/// Programs whose `-pVALUE` is a password.
const SHORT: [&str; 4] = ["mysql", "mysqldump", "mysqladmin", "mariadb"];

/// A command line whose passwords, tokens and the like are masked: `--password=x`, `--token x`,
/// `SECRET_KEY=x`, `mysql -px`, `https://user:x@host/?token=x`.
pub fn masked(line: &str) -> String {
    let program = line.split(' ').next().unwrap_or_default();
    let is_short = SHORT.contains(&program.rsplit('/').next().unwrap_or(program));
    let mut words = Vec::new();
    let mut is_value = false;
    for word in line.split(' ') {
        let option = word.starts_with('-') && word.len() > 1;
        if std::mem::take(&mut is_value) && !option && !word.is_empty() {
            words.push(MASK.to_owned());
            continue;
        }
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        is_value = option && value.is_empty() && is_secret(name);
        match word.strip_prefix("-p") {
            Some(rest) if is_short && !rest.is_empty() => words.push(format!("-p{MASK}")),
            _ => words.push(without_login(&without_values(word))),
        }
    }
    words.join(" ")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// `a=1&token=x` as `a=1&token=***`.
fn without_values(word: &str) -> String {
    let parts = word.split_inclusive(['&', ';', ',', '?']).map(|part| {
        let end = part.len() - part.trim_end_matches(['&', ';', ',', '?']).len();
        match part.split_once('=') {
            Some((name, value)) if is_secret(name) && !value.is_empty() => {
                format!("{name}={MASK}{}", part.get(part.len() - end..).unwrap_or_default())
            }
            _ => part.to_owned(),
        }
    });
    parts.collect()
}

/// `scheme://user:x@host` as `scheme://user:***@host`.
fn without_login(word: &str) -> String {
    let login = || {
        let (scheme, rest) = word.split_once("://")?;
        let authority = rest.split('/').next()?;
        let (login, _) = authority.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{MASK}{}", rest.get(login.len()..)?))
    };
    login().unwrap_or_else(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        for (line, wanted) in [
            ("app --password=hunter2 -x", "app --password=*** -x"),
            ("app --db-password hunter2 x", "app --db-password *** x"),
            ("app --token --verbose", "app --token --verbose"),
            ("env API_KEY=hunter2 app", "env API_KEY=*** app"),
            ("/usr/bin/mysqldump -uroot -phunter2 shop", "/usr/bin/mysqldump -uroot -p*** shop"),
            ("ssh -p22 host", "ssh -p22 host"),
            ("app redis://:hunter2@db/0", "app redis://:***@db/0"),
            (
                "app http://u:hunter2@h/?a=1&token=hunter2&b=2",
                "app http://u:***@h/?a=1&token=***&b=2",
            ),
            ("php-fpm: master process (/etc/a.conf)", "php-fpm: master process (/etc/a.conf)"),
            ("", ""),
        ] {
            assert_eq!(masked(line), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_line_can_be_masked(line in any::<String>()) {
            prop_assert_eq!(masked(&line).split(' ').count(), line.split(' ').count());
        }
    }
}
