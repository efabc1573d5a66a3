//! Answer: the helper's side. It reads its question, gives up all rights but those of the server's
//! user, and only then looks at anything that is named there.

use super::setup_text::SetupText;
use super::{About, InquiryAnswer, Question};
use crate::core::servers::by_key;
use crate::diagnose::evidence::{config, work_done};
use crate::system::{helper, rights};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::SocketAddr;

/// Bytes of address space: all files of a server together have at most 4 MiB.
const MEMORY: u64 = 256 << 20;
/// Seconds of a processor.
const CPU_S: u64 = 5;

/// Answers the question on `input`.
///
/// # Errors
/// The question cannot be read, or the answer not written.
pub fn serve(input: impl Read, mut output: impl Write) -> Result<()> {
    let mut question = Vec::new();
    input.take(helper::MOST_BYTES as u64).read_to_end(&mut question)?;
    let question: Question =
        serde_json::from_slice(&question).context("this is no question for a helper")?;
    let given_up = rights::limit(MEMORY, CPU_S)
        .and_then(|()| question.rights.as_ref().map_or(Ok(()), rights::Rights::keep_only));
    let answer = match given_up {
        Ok(()) => {
            let asks = matches!(question.about, About::Work(_));
            rights::enclose(asks, port(&question.about));
            answer(&question)
        }
        Err(error) => InquiryAnswer::Refused(format!("its helper {error:#}")),
    };
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()?;
    Ok(())
}

/// The only port that is connected to.
fn port(about: &About) -> Option<u16> {
    match about {
        About::Work(page) => page.address.parse::<SocketAddr>().ok().map(|address| address.port()),
        About::Setup { .. } | About::StatusPage => None,
    }
}

fn answer(question: &Question) -> InquiryAnswer {
    let Question { running, master, .. } = question;
    let Some(server) = by_key(&question.server) else {
        return InquiryAnswer::Refused("its helper does not know that server".to_owned());
    };
    match &question.about {
        About::Setup { pool } => {
            let setup = config::read(server, running, pool);
            InquiryAnswer::Setup(setup.map(|setup| Box::new(SetupText::of(setup))))
        }
        About::StatusPage => InquiryAnswer::StatusPage(config::status_page(server, running)),
        About::Work(page) => {
            let at = work_done::Listener { root: &running.root, pid: *master };
            InquiryAnswer::Work(match server.status {
                Some(protocol) => work_done::ask(protocol, page, &at),
                None => Err("it has no status page".to_owned()),
            })
        }
    }
}
