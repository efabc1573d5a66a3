//! uvicorn and other ASGI servers.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// Its workers are made by spawn, so they are no forks of it. TERM lets them finish, but before 0.30
/// the parent does not start them again.
pub(super) static UVICORN: Server = Server {
    name: "uvicorn",
    key: "uvicorn",
    by: &[RecognisedBy::Title(&["uvicorn", "fastapi", "hypercorn", "daphne", "granian", "sanic"])],
    verified: "source, uvicorn 0.17 to 0.35: supervisors/multiprocess.py restarts workers since 0.30",
    workers: WorkerPolicy::Report(
        "before uvicorn 0.30 nothing replaces a worker; since then TERM lets it finish and its parent starts another. Limit its requests",
    ),
    recycle: &[ServerSetting::new(
        "--limit-max-requests N",
        "requests; needs 0.30 or newer with --workers",
        "none",
    )],
    cap: &[ServerSetting::new("--workers N", "workers", "1")],
    files: &[("all", "its unit's ExecStart")],
    apply: "restart its unit",
    ..BLANK
};
