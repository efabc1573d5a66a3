//! Containers: what was refused to who runs them, in chains of errors of programs in Go.

use super::ERRORS;
use crate::diagnose::findings::{Failure, MissingResource};

/// Who runs containers. What others choose in their messages are names without blanks, but for what a
/// probe of a container printed.
const RUN_CONTAINERS: [&str; 9] =
    ["kubelet", "dockerd", "docker", "containerd", "crio", "k3s", "podman", "nomad", "conmon"];
/// What they were refused, in Go's words: the call, and what on.
const REFUSED: [(&str, bool); 6] = [
    ("fork/exec /", true),
    ("clone", true),
    ("mkdir /sys/fs/cgroup/", false),
    ("mount /", false),
    ("mmap", false),
    ("write /sys/fs/cgroup/", false),
];

/// What was refused to who runs containers: "starting a caused \"mkdir /sys/fs/cgroup/b: Cannot ..\": unknown".
pub(super) fn refused_container(head: &str, tag: &str) -> Option<Failure> {
    if !RUN_CONTAINERS.contains(&tag.trim_start_matches("microk8s.daemon-"))
        || head.contains("robe")
    {
        return None;
    }
    let (words, missing, _) = ERRORS.iter().find(|(words, _, _)| head.contains(words))?;
    let (before, tail) = head.rsplit_once(words)?;
    let tail = tail.trim_start_matches(['\\', '"', '\'', ')']);
    if !["", ": unknown", "; skipping pod"].contains(&tail.trim_end_matches(['\\', '"', '.', ' ']))
    {
        return None;
    }
    let before = before.strip_suffix(": ")?;
    let is_others = ["pull", "image", "registry", "hook"].iter().any(|word| before.contains(word));
    if !is_others && *missing == MissingResource::Memory && before.ends_with(" pair interfaces") {
        return Some(Failure::NoMemory);
    }
    let at =
        [": ", "\"", "("].iter().filter_map(|open| Some(before.rfind(open)? + open.len())).max()?;
    let call = before.get(at..)?;
    let (_, is_fork) = REFUSED.iter().find(|(begin, _)| call.starts_with(begin))?;
    match (is_fork, missing) {
        (true, missing) => Some(Failure::ForkFailed(*missing)),
        (false, MissingResource::Memory) => Some(Failure::NoMemory),
        (false, _) => None,
    }
}
