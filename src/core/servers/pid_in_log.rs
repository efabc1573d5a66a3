//! Pid in log: how a server's access log names the pid of the worker that served a request, and the line of
//! its configuration that then says so.

use super::ConfigSyntax;

/// How the format of a server's access log names the worker's pid.
#[derive(Debug, PartialEq, Eq)]
pub struct PidInLog {
    /// The settings that are such a format. Of Apache's directives, where the format stands differs.
    pub settings: &'static [&'static str],
    /// What stands for the pid in it; of several the first is added.
    pub pids: &'static [&'static str],
    /// The line to set where none is: the server's own default with the pid. Empty where the default cannot be
    /// told from the configuration.
    pub default: &'static str,
    /// What to do, in words.
    pub how: &'static str,
    /// What to type to put it into force, in the words of [`Advice::apply`](super::Advice::apply); empty where
    /// that is the same as for the other settings.
    pub apply: &'static [&'static str],
    /// What to say where a format that changes has a word.
    pub note: Option<(&'static str, &'static str)>,
}

impl PidInLog {
    /// Whether a format names the pid.
    pub fn is_in(&self, format: &str) -> bool {
        self.pids.iter().any(|pid| format.contains(pid))
    }

    /// The line of a configuration with the pid as the last word of its format. None where it is not such a
    /// line, where its format is not one text that begins and ends in it, where that is JSON, whose readers a
    /// further word would disturb, and where it has the pid already.
    pub fn added_to(&self, line: &str, syntax: ConfigSyntax) -> Option<String> {
        let (at, end) = match syntax {
            ConfigSyntax::Apache => self.in_directive(line)?,
            ConfigSyntax::Ini(_) => self.assigned(line, true)?,
            ConfigSyntax::Python => self.assigned(line, false)?,
        };
        let format = line.get(at..end)?;
        let is_json = format.trim_start().starts_with('{');
        if format.trim().is_empty() || is_json || self.is_in(format) {
            return None;
        }
        let pid = self.pids.first()?;
        Some(format!("{} {pid}{}", line.get(..end)?, line.get(end..)?))
    }

    /// `name = value`: where the value begins and ends, without quotes.
    fn assigned(&self, line: &str, may_be_bare: bool) -> Option<(usize, usize)> {
        let (name, value) = line.split_once('=')?;
        if !self.settings.contains(&name.trim()) {
            return None;
        }
        let from = line.len() - value.trim_start().len();
        let value = line.get(from..)?;
        match value.chars().next()? {
            quote @ ('"' | '\'') => {
                let length = end_of_quote(value.get(1..)?, quote)?;
                let behind = value.get(length + 2..)?.trim();
                let is_comment = behind.starts_with('#') || may_be_bare && behind.starts_with(';');
                (behind.is_empty() || is_comment).then_some((from + 1, from + 1 + length))
            }
            // Whether what follows these is a comment depends on the server.
            _ if may_be_bare && !value.contains([';', '#', '\\']) => {
                Some((from, from + value.trim_end().len()))
            }
            _ => None,
        }
    }

    /// `LogFormat "format" nickname` or `CustomLog file "format"`: where the format begins and ends.
    fn in_directive(&self, line: &str) -> Option<(usize, usize)> {
        let (name, rest) = line.trim_start().split_once(char::is_whitespace)?;
        if !self.settings.iter().any(|setting| name.eq_ignore_ascii_case(setting)) {
            return None;
        }
        let rest = if name.eq_ignore_ascii_case("CustomLog") { after_word(rest) } else { rest };
        let inside = rest.trim_start().strip_prefix('"')?;
        let from = line.len() - inside.len();
        Some((from, from + end_of_quote(inside, '"')?))
    }
}

/// Where a text in quotes ends, if it does.
fn end_of_quote(inside: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    inside.find(|c| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })
}

/// What follows the first word of a directive's arguments, which may stand in quotes.
pub fn after_word(arguments: &str) -> &str {
    let arguments = arguments.trim_start();
    let rest = match arguments.strip_prefix('"') {
        Some(inside) => end_of_quote(inside, '"').and_then(|end| inside.get(end + 1..)),
        None => arguments.find(char::is_whitespace).and_then(|end| arguments.get(end..)),
    };
    rest.unwrap_or_default().trim_start()
}

#[cfg(test)]
mod tests {
    use super::super::by_key;

    fn added(key: &str, line: &str) -> Option<String> {
        let advice = by_key(key).unwrap().advice.unwrap();
        advice.pid_in_log.unwrap().added_to(line, advice.syntax)
    }

    #[test]
    fn the_pid_becomes_the_last_word_of_the_format_and_the_rest_of_the_line_stays() {
        for (key, line, wanted) in [
            (
                "apache-prefork",
                r#"LogFormat "%h \"%r\" %>s \"%{User-Agent}i\"" combined"#,
                r#"LogFormat "%h \"%r\" %>s \"%{User-Agent}i\" %P" combined"#,
            ),
            (
                "apache-prefork",
                "\tCustomLog \"logs/a b\" \"%h \\\"%r\\\"\" env=!x",
                "\tCustomLog \"logs/a b\" \"%h \\\"%r\\\" %P\" env=!x",
            ),
            (
                "gunicorn",
                "access_log_format = '%(h)s \"%(r)s\"'  # short",
                "access_log_format = '%(h)s \"%(r)s\" %(p)s'  # short",
            ),
            (
                "php-fpm",
                r#"access.format = "%R \"%m %r\" %s" ; few"#,
                r#"access.format = "%R \"%m %r\" %s %p" ; few"#,
            ),
            ("php-fpm", "access.format = %R %m %r", "access.format = %R %m %r %p"),
            (
                "uwsgi",
                r#"log-format = %(addr) "%(method) %(uri)""#,
                r#"log-format = %(addr) "%(method) %(uri)" %(pid)"#,
            ),
        ] {
            assert_eq!(added(key, line).as_deref(), Some(wanted));
            assert_eq!(added(key, wanted), None, "it has one");
        }
    }

    #[test]
    fn a_line_that_is_no_whole_plain_format_is_left_alone() {
        for (key, line) in [
            ("apache-prefork", r#"LogFormat "%h \"%r\""#),
            ("apache-prefork", r#"LogFormat "{\"request\":\"%r\"}" json"#),
            ("apache-prefork", "CustomLog logs/access combined"),
            ("apache-prefork", r#"ErrorLogFormat "%M""#),
            ("gunicorn", "access_log_format = '%(h)s' + REST"),
            ("gunicorn", "access_log_format = ('%(h)s'"),
            ("gunicorn", "access_log_format = '''%(h)s'''"),
            ("gunicorn", "access_log_format = f'%(h)s'"),
            ("gunicorn", "access_log_format == '%(h)s'"),
            ("gunicorn", "password = 'x'"),
            ("php-fpm", "access.format = "),
            ("php-fpm", "access.format = %R ; few"),
            ("uwsgi", r#"log-format: "%(uri)""#),
            ("uwsgi", ""),
        ] {
            assert_eq!(added(key, line), None, "{line}");
        }
    }

    #[test]
    fn every_default_names_the_pid() {
        for key in ["gunicorn", "php-fpm"] {
            let advice = by_key(key).unwrap().advice.unwrap();
            let of = advice.pid_in_log.unwrap();
            assert!(of.is_in(of.default) && of.settings.iter().any(|s| of.default.starts_with(s)));
        }
    }

    #[test]
    fn fuzz_format_lines() {
        let lines: [&[u8]; 4] = [
            br#"LogFormat "%h \"%r\" %>s" combined"#,
            br#"CustomLog "logs/a b" "%h \"%r\"" env=!x"#,
            br#"access.format = "%R \"%m %r\" %s" ; few"#,
            b"access_log_format = '%(h)s'  # short",
        ];
        crate::core::fuzz::fuzz("format lines", 1, &lines, |line| {
            let line = String::from_utf8_lossy(line);
            for key in ["apache-prefork", "gunicorn", "php-fpm", "uwsgi"] {
                let Some(changed) = added(key, &line) else { continue };
                // Nothing is lost, and the pid comes once.
                let pid = by_key(key).unwrap().advice.unwrap().pid_in_log.unwrap().pids[0];
                assert_eq!(changed.len(), line.len() + pid.len() + 1);
                assert_eq!(changed.replacen(&format!(" {pid}"), "", 1), line);
            }
        });
    }
}
