//! Inquiry: what only a server's own user may learn: how it is set up, and what its status page says.
//!
//! A process chooses its title, its command line, its environment and what they name. So whatever they
//! name is read, and whoever they name is asked, by a [helper](crate::system::helper) that has given up
//! all rights but those of the master's user before it touches a path. A user who plays a server gains
//! nothing that he could not read or reach himself. The helper's answer is as little trusted.

mod answer;
mod setup_text;
mod target;

pub use answer::serve;

use crate::core::model::process::ProcId;
use crate::core::servers::Server;
use crate::diagnose::evidence::config::RunningServer;
use crate::diagnose::evidence::work_done;
use crate::diagnose::findings::{Setup, StatusPage, WorkDone};
use crate::system::rights::Rights;
use crate::system::{helper, machine, proc, trusted_path};
use serde::{Deserialize, Serialize};
use setup_text::SetupText;
use std::path::{Path, PathBuf};

/// What a helper is asked.
#[derive(Serialize, Deserialize)]
struct Question {
    /// The rights that it may keep; all that it has, where leakwatch itself has no more.
    rights: Option<Rights>,
    /// The key of the server's row.
    server: String,
    master: u32,
    running: RunningServer,
    about: About,
}

#[derive(Serialize, Deserialize)]
enum About {
    /// Its settings; `pool` names the php-fpm pool that is meant.
    Setup { pool: String },
    /// The status page of a server whose other settings are not read.
    StatusPage,
    /// The work of its processes.
    Work(StatusPage),
}

/// What it answers.
#[derive(Serialize, Deserialize)]
enum InquiryAnswer {
    Setup(Option<Box<SetupText>>),
    StatusPage(Option<StatusPage>),
    Work(Result<WorkDone, String>),
    /// It could not give up its rights.
    Refused(String),
}

/// A master about which questions are asked.
pub struct AskedMaster {
    procfs: PathBuf,
    id: ProcId,
    server: &'static Server,
    running: RunningServer,
    rights: Rights,
}

impl AskedMaster {
    /// The master `id` of the procfs at `procfs`.
    ///
    /// # Errors
    /// In words: its program is not root's, its rights are not those of one user, or it has ended.
    pub fn look(procfs: &Path, id: ProcId, server: &'static Server) -> Result<Self, String> {
        let rights = || Rights::of(procfs, id.pid);
        let start = || proc::start_and_parent(procfs, id.pid).map(|(start, _)| start);
        let before = rights().ok_or("its rights are not those of one user, or it has ended")?;
        ensure_program(procfs, id.pid)?;
        let running = RunningServer::look(procfs, id.pid);
        // What it said belongs to the rights that it had only if both stayed the same.
        if rights().as_ref() != Some(&before) || start() != Some(id.start) {
            return Err("it changed while it was read".to_owned());
        }
        Ok(Self { procfs: procfs.to_owned(), id, server, running, rights: before })
    }

    /// How it is set up, if these files had these texts.
    ///
    /// # Errors
    /// In words: it may not be read, or the helper failed.
    pub fn setup(
        &self,
        pool: &str,
        changed: Vec<(String, String)>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Setup>, String> {
        let running = RunningServer { changed, ..self.running.clone() };
        match self.ask(running, About::Setup { pool: pool.to_owned() }, go_on)? {
            InquiryAnswer::Setup(None) => Ok(None),
            InquiryAnswer::Setup(Some(text)) => {
                let mut setup = text.setup(self.server, &self.running.exe)?;
                setup.owner = Some((self.rights.uid, self.rights.gid));
                target::keep_changeable(&mut setup, &self.running.root, self.rights.uid);
                if self.running.root != Path::new("/") {
                    setup.logs.clear();
                }
                Ok(Some(setup))
            }
            _ => Err("its helper answered something else".to_owned()),
        }
    }

    /// Its status page, where its other settings are not read.
    ///
    /// # Errors
    /// The same.
    pub fn status_page(
        &self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<StatusPage>, String> {
        match self.ask(self.running.clone(), About::StatusPage, go_on)? {
            InquiryAnswer::StatusPage(page) => Ok(page.filter(setup_text::is_plain_page)),
            _ => Err("its helper answered something else".to_owned()),
        }
    }

    /// The work of its processes, by its status page: only where this very process listens.
    ///
    /// # Errors
    /// In words: it does not listen there, or there is no answer.
    pub fn work(
        &self,
        page: &StatusPage,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<WorkDone, String> {
        work_done::ensure_listens(&self.procfs, self.id.pid, self.rights.uid, &page.address)?;
        match self.ask(self.running.clone(), About::Work(page.clone()), go_on)? {
            InquiryAnswer::Work(work) => {
                work.map_err(setup_text::cut).map(setup_text::checked_work)
            }
            _ => Err("its helper answered something else".to_owned()),
        }
    }

    fn ask(
        &self,
        running: RunningServer,
        about: About,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<InquiryAnswer, String> {
        let question = Question {
            rights: self.rights_to_keep()?,
            server: self.server.key.to_owned(),
            master: self.id.pid,
            running,
            about,
        };
        let question = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let answer = helper::ask(&question, go_on)?;
        match serde_json::from_slice(&answer) {
            Ok(InquiryAnswer::Refused(why)) => Err(setup_text::cut(why)),
            Ok(answer) => Ok(answer),
            Err(_) => Err("its helper's answer cannot be read".to_owned()),
        }
    }

    /// Without root, nobody's rights can be taken on: then only one's own servers are read, and root's,
    /// whose word is trusted.
    fn rights_to_keep(&self) -> Result<Option<Rights>, String> {
        let own = trusted_path::owners();
        match machine::is_root() {
            true => Ok(Some(self.rights.clone())),
            false if own.contains(&self.rights.uid) => Ok(None),
            false => Err("it belongs to another user; run as root".to_owned()),
        }
    }
}

/// A program is the server that its name says only if nobody but root could have put it there.
fn ensure_program(procfs: &Path, pid: u32) -> Result<(), String> {
    let link = procfs.join(format!("{pid}/exe"));
    match trusted_path::ensure_program(&link, &trusted_path::owners()) {
        // Without root, another user's program is not to be seen, and nothing is done but as oneself.
        Err(_) if !machine::is_root() && std::fs::metadata(&link).is_err() => Ok(()),
        other => other.map_err(|error| trusted_path::in_a_line(&error)),
    }
}
