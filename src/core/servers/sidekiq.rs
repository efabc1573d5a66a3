//! Sidekiq.

use super::row::BLANK;
use super::{RecognisedBy, Server, WorkerPolicy};

/// From its source and manual.
pub(super) static SIDEKIQ: Server = Server {
    name: "Sidekiq",
    key: "sidekiq",
    verified: "source and manual, Sidekiq 6",
    by: &[RecognisedBy::Title(&["sidekiq"])],
    workers: WorkerPolicy::Report(
        "it is a single process with no replacement; `systemctl restart` gives its jobs 25 s to finish",
    ),
    ..BLANK
};
