//! Setup text: a setup on its way from the helper, and what of it is believed.
//!
//! The user whose rights the helper has may have put other words into its mouth. They are bounded, and
//! a path with control characters, which could begin another line of a diff or of a report, is refused.

use crate::core::servers::{Server, ServerSetting};
use crate::diagnose::findings::{
    ConfiguredSetting, FileLine, LogFormat, Setup, StatusPage, WorkDone,
};
use serde::{Deserialize, Serialize};

/// Bytes of a path (PATH_MAX), and of a sentence.
const LONGEST_PATH: usize = 4096;
const LONGEST_NOTE: usize = 300;
/// Notes, options, logs.
const MOST: usize = 20;
/// Workers of one server.
const MOST_WORKERS: usize = 10_000;
/// Formats of access logs: hosts have a log for each site.
const MOST_FORMATS: usize = 500;

#[derive(Serialize, Deserialize)]
pub(super) struct SettingText {
    name: String,
    value: u64,
    place: Option<FileLine>,
    computed: Option<String>,
}

/// A [`Setup`] without what its row in the table says.
#[derive(Serialize, Deserialize)]
pub(super) struct SetupText {
    recycle: SettingText,
    cap: SettingText,
    jitter: Option<SettingText>,
    keep_alive: bool,
    files: Vec<(String, String)>,
    insert: Option<FileLine>,
    is_interpreted: bool,
    options: Vec<String>,
    status: Option<StatusPage>,
    log_formats: Vec<LogFormat>,
    logs: Vec<String>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

impl SettingText {
    fn of(setting: ConfiguredSetting) -> Self {
        let name = setting.name().to_owned();
        let ConfiguredSetting { value, place, computed, .. } = setting;
        Self { name, value, place, computed }
    }

    fn setting(self, rows: &'static [ServerSetting]) -> Result<ConfiguredSetting, String> {
        let Self { name, value, place, computed } = self;
        let of = rows.iter().find(|of| of.name() == name).ok_or("its helper named no setting")?;
        Ok(ConfiguredSetting { of, value, place, computed: computed.map(cut) })
    }
}

impl SetupText {
    pub(super) fn of(setup: Setup) -> Self {
        Self {
            recycle: SettingText::of(setup.recycle),
            cap: SettingText::of(setup.cap),
            jitter: setup.jitter.map(SettingText::of),
            keep_alive: setup.keep_alive,
            files: setup.files,
            insert: setup.insert,
            is_interpreted: setup.interpreter.is_some(),
            options: setup.options,
            status: setup.status,
            log_formats: setup.log_formats,
            logs: setup.logs,
            warnings: setup.warnings,
            notes: setup.notes,
        }
    }

    /// The setup of a server with that executable.
    pub(super) fn setup(self, server: &'static Server, exe: &str) -> Result<Setup, String> {
        let jitter = server.advice.and_then(|advice| advice.jitter).map(std::slice::from_ref);
        let of_jitter = |text: SettingText| text.setting(jitter.unwrap_or_default());
        let setup = Setup {
            server,
            recycle: self.recycle.setting(server.recycle)?,
            cap: self.cap.setting(server.cap)?,
            jitter: self.jitter.map(of_jitter).transpose()?,
            keep_alive: self.keep_alive,
            files: self.files,
            insert: self.insert,
            exe: exe.to_owned(),
            // What runs it, not what its command line calls that: it will be run.
            interpreter: self.is_interpreted.then(|| exe.to_owned()),
            owner: None,
            options: some(self.options, is_plain),
            status: self.status.filter(is_plain_page),
            log_formats: self.log_formats.into_iter().take(MOST_FORMATS).collect(),
            logs: some(self.logs, is_plain),
            warnings: self.warnings.into_iter().take(MOST).map(cut).collect(),
            notes: self.notes.into_iter().take(MOST).map(cut).collect(),
        };
        match has_plain_paths(&setup) {
            true => Ok(setup),
            false => Err("the path of its configuration has control characters".to_owned()),
        }
    }
}

fn has_plain_paths(setup: &Setup) -> bool {
    let settings = [Some(&setup.recycle), setup.jitter.as_ref(), Some(&setup.cap)];
    let places = settings.into_iter().flatten().filter_map(|of| of.place.as_ref());
    let formats = setup.log_formats.iter().map(|of| &of.place);
    let mut places = places.chain(&setup.insert).chain(formats);
    places.all(|place| is_plain(&place.file)) && setup.files.iter().all(|(file, _)| is_plain(file))
}

/// All of them, or none where one is not what it should be.
fn some(texts: Vec<String>, is: fn(&str) -> bool) -> Vec<String> {
    if texts.len() <= MOST && texts.iter().all(|text| is(text)) { texts } else { Vec::new() }
}

/// Whether a path is one line of a report, of a diff and of a command.
pub(super) fn is_plain(path: &str) -> bool {
    path.len() <= LONGEST_PATH && !path.chars().any(char::is_control)
}

pub(super) fn is_plain_page(page: &StatusPage) -> bool {
    is_plain(&page.address) && is_plain(&page.path)
}

/// A sentence of bounded length.
pub(super) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_NOTE));
    text
}

pub(super) fn checked_work(mut work: WorkDone) -> WorkDone {
    work.done.truncate(MOST_WORKERS);
    WorkDone { source: cut(work.source), ..work }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;

    fn text(file: &str) -> SetupText {
        let server = by_key("php-fpm").unwrap();
        let place = Some(FileLine { file: file.to_owned(), line: 2 });
        let setting = |of: &ServerSetting| SettingText {
            name: of.name().to_owned(),
            value: 5,
            place: place.clone(),
            computed: None,
        };
        SetupText {
            recycle: setting(&server.recycle[0]),
            cap: setting(&server.cap[0]),
            jitter: None,
            keep_alive: false,
            files: vec![(file.to_owned(), "[www]\n".to_owned())],
            insert: place.clone(),
            is_interpreted: false,
            options: vec!["-y".to_owned(), file.to_owned()],
            status: None,
            log_formats: Vec::new(),
            logs: Vec::new(),
            warnings: Vec::new(),
            notes: vec!["x".repeat(5000); 50],
        }
    }

    #[test]
    fn an_answer_is_bounded_and_a_path_of_several_lines_refused() {
        let server = by_key("php-fpm").unwrap();
        let setup = text("/etc/a.conf").setup(server, "/usr/sbin/php-fpm8.2").unwrap();
        assert_eq!((setup.notes.len(), setup.notes[0].len()), (MOST, LONGEST_NOTE));
        assert_eq!(setup.cap.value, 5);
        for file in ["/etc/a\n+++ /etc/b", "/etc/a\r", "/etc/\u{85}", &"/a".repeat(LONGEST_PATH)] {
            assert!(text(file).setup(server, "").is_err(), "{file:?}");
        }
        let foreign = SetupText { recycle: text("/a").cap, ..text("/a") };
        assert!(foreign.setup(server, "").is_err(), "a setting of another name");
    }
}
