//! Grouping: which processes form one service.
//!
//! The trees of one systemd unit or container belong together; elsewhere each tree is a service, and
//! so is each server or job that a session, cron or a wrapper started.

use crate::core::detect::process_state::ProcessState;
use crate::core::engine::Engine;
use crate::core::model::process::{Comm, ProcId};
use crate::core::servers::{Server, UNKNOWN};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// How far up a chain of parents is followed.
pub(super) const DEEPEST: usize = 64;

/// Processes that form one service, each with the root of its part of it.
#[derive(Debug)]
pub struct TreeGroup<'a> {
    /// The name of the unit, else that of the program or the server.
    pub name: String,
    /// Whether that is a systemd unit or a container.
    pub is_unit: bool,
    /// The processes, each with its root.
    pub members: Vec<(&'a ProcessState, ProcId)>,
}

/// Whether a name says only in which language a program is written.
pub fn is_interpreter(comm: Comm) -> bool {
    let names: [&[u8]; 6] = [b"python", b"ruby", b"perl", b"node", b"java", b"php"];
    names.iter().any(|name| match comm.as_bytes().strip_prefix(*name) {
        Some(rest) => rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        None => false,
    })
}

/// The server that a process belongs to.
pub fn server(engine: &Engine, id: ProcId) -> &'static Server {
    engine.policy().eligibility().server(id).unwrap_or(&UNKNOWN)
}

/// The root of the service that a process belongs to: its highest ancestor in the same unit that a
/// shell, cron or the like did not start.
pub fn service_root(
    engine: &Engine,
    units: &BTreeMap<ProcId, String>,
    process: &ProcessState,
) -> ProcId {
    let mut root = process;
    for _ in 0..DEEPEST {
        let parent = root.parent.and_then(|parent| engine.detector().process_state(parent));
        let Some(parent) = parent else { break };
        if units.get(&parent.id) != units.get(&root.id) || is_apart(engine, root, parent) {
            break;
        }
        root = parent;
    }
    root.id
}

/// Whether a process is a service by itself and no part of what started it.
pub fn is_apart(engine: &Engine, process: &ProcessState, parent: &ProcessState) -> bool {
    let (own, above) = (server(engine, process.id), server(engine, parent.id));
    // A server that something else started, a wrapper or a script.
    let is_server = own.is_known() && own != above;
    (above.runs_others || is_server) && parent.comm != process.comm
}

/// Whether a process has memory in common with its parent: it has the same name, or the same server (mod_perl
/// renames Apache's children). What they have in common counts for the parent.
pub fn shares_with_parent(engine: &Engine, process: &ProcessState, parent: &ProcessState) -> bool {
    let own = server(engine, process.id);
    process.comm == parent.comm || (own.is_known() && own == server(engine, parent.id))
}

/// The bytes that a process has to itself: without what a worker still has in common with its parent,
/// which counts for the parent. It understates by what copy-on-write has made private since.
pub fn bytes_beyond_parent(engine: &Engine, process: &ProcessState) -> f64 {
    let parent = process.parent.and_then(|parent| engine.detector().process_state(parent));
    let inherited = match parent {
        Some(parent) if shares_with_parent(engine, process, parent) => {
            process.footprint.min(parent.footprint)
        }
        _ => 0,
    };
    (process.footprint - inherited) as f64
}

/// All living processes by service. `programs` has the names of executables whose processes' own
/// names are no help.
pub fn groups<'a>(
    engine: &'a Engine,
    units: &BTreeMap<ProcId, String>,
    programs: &BTreeMap<ProcId, String>,
) -> Vec<TreeGroup<'a>> {
    let mut groups: Vec<TreeGroup<'_>> = Vec::new();
    // By the unit, else by the root.
    let mut known: HashMap<(Option<&str>, Option<ProcId>), usize> = HashMap::new();
    for process in engine.detector().process_states() {
        let unit = units.get(&process.id);
        let root = service_root(engine, units, process);
        let key = (unit.map(String::as_str), unit.is_none().then_some(root));
        if let Some(group) = known.get(&key).and_then(|index| groups.get_mut(*index)) {
            group.members.push((process, root));
        } else {
            let name = unit.cloned().unwrap_or_else(|| name(engine, programs, process, root));
            let members = vec![(process, root)];
            known.insert(key, groups.len());
            groups.push(TreeGroup { name, is_unit: unit.is_some(), members });
        }
    }
    groups
}

/// The name of a service that is no unit: its program, or its server where the root's own name is
/// only that of an interpreter.
fn name(
    engine: &Engine,
    programs: &BTreeMap<ProcId, String>,
    process: &ProcessState,
    root: ProcId,
) -> String {
    let root = engine.detector().process_state(root).unwrap_or(process);
    let server = || {
        let server = server(engine, process.id);
        (server.is_known() && is_interpreter(root.comm)).then(|| server.name.to_owned())
    };
    let program = programs.get(&root.id).cloned();
    program.or_else(server).unwrap_or_else(|| root.comm.to_string())
}

/// A master and its workers.
#[derive(Debug)]
pub struct Master {
    /// The root of its service.
    pub root: ProcId,
    /// The master itself.
    pub id: ProcId,
    /// The bytes that it holds.
    pub footprint: u64,
    /// The pids of its workers, and the bytes that each has to itself.
    pub workers: Vec<(u32, f64)>,
    /// The server.
    pub server: &'static Server,
}

/// The masters that have workers, those with most workers first.
pub fn masters(engine: &Engine, units: &BTreeMap<ProcId, String>) -> Vec<Master> {
    let detector = engine.detector();
    let mut masters: Vec<Master> = Vec::new();
    let mut known: HashMap<ProcId, usize> = HashMap::new();
    for process in detector.process_states() {
        let parent = process.parent.and_then(|parent| detector.process_state(parent));
        let Some(parent) = parent.filter(|parent| shares_with_parent(engine, process, parent))
        else {
            continue;
        };
        let worker = (process.id.pid, bytes_beyond_parent(engine, process));
        if let Some(master) = known.get(&parent.id).and_then(|index| masters.get_mut(*index)) {
            master.workers.push(worker);
        } else {
            known.insert(parent.id, masters.len());
            masters.push(Master {
                root: service_root(engine, units, process),
                id: parent.id,
                footprint: parent.footprint,
                workers: vec![worker],
                server: server(engine, process.id),
            });
        }
    }
    masters.sort_by_key(|master| Reverse(master.workers.len()));
    masters
}
