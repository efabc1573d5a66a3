//! Queues of jobs: a job that is cut is lost, or runs twice. They are only reported.

use super::row::BLANK;
use super::{RecognisedBy, Server, WorkerPolicy};
use crate::core::model::process::Comm;

/// Its child is forked for one job and ends with it.
pub(super) static RESQUE: Server = Server {
    name: "Resque",
    key: "resque",
    by: &[
        RecognisedBy::TitleBegins(&["resque-", "resque: "]),
        RecognisedBy::Title(&["resque", "resque-pool", "resque-scheduler", "resque:work"]),
    ],
    verified: "source, Resque 1.27: TERM or KILL to the child fails its job",
    workers: WorkerPolicy::Report(
        "it is a job, which would be lost; QUIT to its parent lets the job finish and stops the worker",
    ),
    ..BLANK
};

/// Workers of the same kind in other languages.
pub(super) static JOBS: Server = Server {
    name: "job queue",
    key: "jobs",
    by: &[
        RecognisedBy::TitleBegins(&[
            "rq: ",
            "rq:worker",
            "delayed_job",
            "delayed:",
            "solid-queue",
            "good_job",
            "airflow ",
            "[supervisor: ",
            "ray::",
            "dask-",
            "gearman",
            "WorkerJob",
        ]),
        RecognisedBy::Title(&[
            "rq",
            "rqworker",
            "rqscheduler",
            "qcluster",
            "db_worker",
            "process_tasks",
            "run_huey",
            "rundramatiq",
            "arq",
            "procrastinate",
            "qrunner",
            "mailmanctl",
            "karafka",
            "huey_consumer",
            "huey_consumer.py",
            "dramatiq",
            "taskiq",
            "delayed_job",
            "good_job",
            "shoryuken",
            "sneakers",
            "backburner",
            "jobs:work",
            "airflow",
            "luigid",
            "dask",
            "dask-worker",
            "dask-scheduler",
            "ray",
            "raylet",
            "prefect",
            "dagster",
            "jupyterhub",
            "jupyterhub-singleuser",
            "jupyter",
            "jupyter-lab",
            "jupyter-notebook",
            "ipykernel_launcher",
            "mailman",
            "hyperkitty",
        ]),
        RecognisedBy::Exe(&["gearmand", "beanstalkd", "faktory", "raylet"]),
    ],
    verified: "manuals",
    workers: WorkerPolicy::Report(
        "it may be at a job, which would be lost or run twice; restart its unit, which lets it finish",
    ),
    ..BLANK
};

/// Programs whose children are steps of a batch.
const BATCH_RUNNERS: &[&str] = &[
    "xargs",
    "go",
    "collect2",
    "parallel",
    "find",
    "make",
    "gmake",
    "ninja",
    "samu",
    "meson",
    "cmake",
    "ctest",
    "bazel",
    "cargo",
    "rustc",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "cc1",
    "cc1plus",
    "ld",
    "mpirun",
    "mpiexec",
    "mpiexec.hydra",
    "hydra_pmi_proxy",
    "orted",
    "prted",
    "orterun",
    "prterun",
    "slurmd",
    "slurmstepd",
    "srun",
    "pbs_mom",
    "sge_execd",
    "sge_shepherd",
    "condor_master",
    "condor_startd",
    "condor_starter",
    "gitlab-runner",
    "buildkite-agent",
    "nix-daemon",
    "rpmbuild",
    "dpkg",
    "apt",
    "apt-get",
    "dnf",
    "yum",
    "zypper",
    "tar",
    "ffmpeg",
    "R",
    "Rscript",
    "octave-cli",
    "julia",
    "MATLAB",
];

/// What runs the jobs of a batch: its children are their steps, and nothing repeats one.
pub(super) static BATCH: Server = Server {
    name: "batch",
    key: "batch",
    by: &[
        RecognisedBy::Exe(BATCH_RUNNERS),
        RecognisedBy::Title(&[
            "parallel",
            "scons",
            "waf",
            "pytest",
            "snakemake",
            "nextflow",
            "ansible-playbook",
            "torchrun",
            "accelerate",
            "deepspeed",
        ]),
    ],
    verified: "manuals",
    workers: WorkerPolicy::Report(
        "it is a step of a batch, which nothing would start again; end it yourself if it must go",
    ),
    ..BLANK
};

/// Whether a process of that row runs a batch or is a step of one: it ends by itself.
pub fn is_batch(server: &Server) -> bool {
    server.key == BATCH.key
}

/// Whether the children of a program of that name are jobs: each ends by itself, and is not replaced.
pub fn runs_jobs(comm: Comm) -> bool {
    let is_it = |name: &&str| name.as_bytes() == comm.as_bytes();
    BATCH_RUNNERS.iter().chain(super::sessions::CRON_NAMES).any(is_it)
}
