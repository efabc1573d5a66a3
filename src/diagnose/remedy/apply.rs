//! Apply: the command that checks a change and puts it into force.

use super::AdvisedService;
use crate::core::model::units::Bytes;
use crate::core::servers::{ReloadCopies, WorkerPolicy};

/// A word as a shell takes it for one, whatever is in it: admins paste this as root.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=:@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl AdvisedService<'_> {
    /// The first template of its server whose words are all known.
    pub(super) fn apply(&self) -> String {
        self.first_known(self.advice.apply)
    }

    /// The first of these templates whose words are all known.
    pub(super) fn first_known(&self, templates: &[&str]) -> String {
        let fill = |template: &&str| Some(self.as_owner(template) + &self.fill(template)?);
        let mut filled = templates.iter().filter_map(fill);
        filled.next().unwrap_or_default()
    }

    /// What a check begins with where the server is not root's: its configuration is read with its
    /// own rights, since reading may run what stands there.
    fn as_owner(&self, template: &str) -> String {
        let is_check = ["{program}", "{python}"].iter().any(|word| template.starts_with(word));
        match self.setup.owner {
            Some((uid, gid)) if is_check && uid != 0 => {
                format!("setpriv --reuid={uid} --regid={gid} --clear-groups ")
            }
            _ => String::new(),
        }
    }

    /// A template with its words; none if one is not known.
    pub(super) fn fill(&self, template: &str) -> Option<String> {
        let mut parts = template.split('{');
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let (word, rest) = part.split_once('}')?;
            text += &self.word(word)?;
            text += rest;
        }
        Some(text)
    }

    /// A word of a template, quoted.
    fn word(&self, word: &str) -> Option<String> {
        let setup = self.setup;
        match word {
            "exe" => Some(quoted(&setup.exe)),
            "program" => Some(quoted(setup.exe.rsplit('/').next()?)),
            "options" => {
                let options: Vec<String> = setup.options.iter().map(|word| quoted(word)).collect();
                Some(options.join(" ")).filter(|options| !options.is_empty())
            }
            "python" => setup.interpreter.as_ref().map(|python| quoted(python)),
            "file" => setup.files.first().map(|(file, _)| quoted(file)),
            "unit" => self.unit(),
            "main_unit" => {
                let main = self.service.roots.first()?;
                self.unit().filter(|_| main.pid == self.master())
            }
            "master" => Some(self.master().to_string()),
            _ => None,
        }
    }

    fn unit(&self) -> Option<String> {
        // Not a container, nor a unit of a user's own manager.
        let name = self.service.name.strip_suffix(".service").filter(|_| self.service.is_unit);
        name.map(quoted)
    }

    /// Where a reload would need more memory than is left, workers are ended one by one first: what
    /// they leaked comes back. Adds that to the command and says why.
    pub(super) fn end_one_by_one(&self, apply: &mut String) -> Option<String> {
        let readings = self.readings?;
        let new = match self.advice.reload_copies {
            ReloadCopies::Nothing => return None,
            ReloadCopies::Shared => 0.0,
            ReloadCopies::SharedBesideNew => self.service.per_work?.young,
        };
        let WorkerPolicy::End(ending) = self.setup.server.workers else { return None };
        let needs = f64::from(self.service.workers) * (new + readings.master_own);
        let left = self.service.headroom.left;
        if apply.is_empty() || needs <= left as f64 {
            return None;
        }
        let (signal, master) = (ending.first.1.name(), readings.master.pid);
        let one_by_one =
            format!("for p in $(pgrep -P {master}); do kill -{signal} $p; sleep 2; done && ");
        // After the check, if there is one.
        let at = apply.rfind("&& ").map_or(0, |at| at + "&& ".len());
        apply.insert_str(at, &one_by_one);
        Some(format!(
            "a reload ends all workers at once, and each then copies what it shares with the master: up to {} where {} are left. So this ends them one by one first, each after its request",
            Bytes(needs as u64),
            Bytes(left)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_admin_pastes_as_root_is_one_word() {
        assert_eq!(quoted("/etc/x.conf"), "/etc/x.conf");
        assert_eq!(quoted("a b; rm -rf /"), "'a b; rm -rf /'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
