//! Facts of a program that decide whether its process may be ended.

use crate::core::decide::rules::Rules;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::process::Program;
use crate::core::origin;
use crate::core::servers;
use crate::core::servers::Server;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is known of a process's program.
#[derive(Debug)]
pub(super) struct ProgramFacts {
    pub server: &'static Server,
    pub protected: bool,
    pub forked: bool,
    /// A child of its master that does none of the work.
    pub helper: bool,
    pub permitted: Option<bool>,
    /// Of a program in no row: its user and the path of its executable, hash of the title, whether an
    /// interpreter runs it, and whether the admin named it.
    pub run_by: (Option<u32>, String),
    pub title: u64,
    pub interpreted: bool,
    pub named: bool,
    /// The service that it belongs to, if that may be restarted.
    pub unit: Option<String>,
}

/// What is assumed in a recording without programs.
pub(super) static NOT_RECORDED: ProgramFacts = ProgramFacts {
    server: &servers::UNKNOWN,
    protected: false,
    forked: true,
    helper: false,
    permitted: None,
    run_by: (None, String::new()),
    title: 0,
    interpreted: false,
    named: true,
    unit: None,
};

impl ProgramFacts {
    /// What counts of a program, under these rules.
    pub(super) fn of(program: &Program, s: &ProcessState, rules: &Rules) -> Self {
        let name = String::from_utf8_lossy(s.comm.as_bytes());
        let exe = program.exe.rsplit('/').next().unwrap_or_default();
        let mut texts = [&*name, exe, program.title.as_str()].into_iter();
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        Self {
            server: s.server,
            protected: texts.any(|text| rules.protect.iter().any(|re| re.is_match(text))),
            forked: program.forked,
            helper: !servers::handles_requests(s.server, program),
            permitted: program.permitted,
            run_by: (program.uid, program.exe.clone()),
            title: hash(&program.title),
            interpreted: servers::is_interpreter(exe),
            named: servers::is_called(program, s.comm, &rules.allow),
            unit: program.unit.clone().filter(|unit| origin::is_restartable(unit)),
        }
    }
}
