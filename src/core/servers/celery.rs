//! Celery.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// From its source and manual. Every signal raises SystemExit in a pool child: its task is lost.
pub(super) static CELERY: Server = Server {
    name: "Celery",
    key: "celery",
    verified: "source and manual, Celery 5",
    by: &[
        RecognisedBy::Title(&["celery", "celeryd"]),
        RecognisedBy::TitleBegins(&["[celeryd", "celeryd: "]),
    ],
    workers: WorkerPolicy::Report(
        "every signal loses the task of a pool process; TERM to its main process stops all of it gently",
    ),
    recycle: &[
        ServerSetting::new("worker_max_tasks_per_child = N", "tasks", "none"),
        ServerSetting::new(
            "worker_max_memory_per_child = N",
            "KiB of RSS, checked after each task",
            "none",
        ),
    ],
    cap: &[ServerSetting::new("worker_concurrency = N", "pool processes", "one a CPU")],
    files: &[("all", "celeryconfig.py, or the unit's ExecStart")],
    apply: "restart its unit",
    ..BLANK
};
