//! Origin: which systemd unit or container a process belongs to, by its cgroup's path and by what
//! the container's runtime keeps of its name.
//!
//! No daemon is asked: it may hang, or not run any more. Its files count only if they are root's own;
//! what they say is still text that whoever made the container chose, so it is bounded and has plain
//! characters only.

use super::{foreign_file, trusted_path};
use crate::core::origin;
use serde_json::Value;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The longest name, in characters.
const NAME_MAX: usize = 80;
/// The largest state file, in bytes: containers.json has all containers of Podman.
const FILE_MAX: u64 = 16 << 20;
/// Digits of a container's number that are shown.
const SHORT_ID: usize = 12;
/// Containers whose names are kept.
const MOST: usize = 4096;
/// Where CRI-O keeps a container's settings, and containerd those of Kubernetes' containers.
const SETTINGS: [(&str, &str); 3] = [
    ("run/containerd/io.containerd.runtime.v2.task/k8s.io", "config.json"),
    ("run/containers/storage/overlay-containers", "userdata/config.json"),
    ("var/lib/containers/storage/overlay-containers", "userdata/config.json"),
];

/// Where Podman keeps its containers, below a directory of each way to store their files; those of `--rm` are
/// volatile in newer versions.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];
const PODMAN: [&str; 2] = ["containers.json", "volatile-containers.json"];

/// Knows containers by name.
#[derive(Debug)]
pub struct Origins {
    procfs: PathBuf,
    /// `/`, or where tests have the files of runtimes.
    root: PathBuf,
    names: HashMap<String, Option<String>>,
    /// The user whose own units count besides root's.
    user: Option<u32>,
}

/// What selections by unit and by container compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginNames {
    /// Its slices, and its service or scope.
    pub units: Vec<String>,
    /// The names of its container, and its number.
    pub containers: Vec<String>,
}

impl Origins {
    /// Those of the processes in that procfs. The runtimes' files are this machine's, so they are asked
    /// of our own procfs alone.
    pub fn new(procfs: &Path) -> Self {
        Self::at(procfs, Path::new("/"))
    }

    fn at(procfs: &Path, root: &Path) -> Self {
        let user = Some(rustix::process::geteuid().as_raw()).filter(|user| *user != 0);
        Self { procfs: procfs.to_owned(), root: root.to_owned(), names: HashMap::new(), user }
    }

    /// All names by which a process in that cgroup may be meant.
    pub(in crate::system) fn names_of(&mut self, path: &str) -> OriginNames {
        let units = origin::units(path, self.user).into_iter().map(str::to_owned).collect();
        let mut containers: Vec<String> = Vec::new();
        containers.extend(origin::machine(path).map(str::to_owned));
        if let Some(id) = origin::container(path) {
            containers.extend([id.to_owned(), id.chars().take(SHORT_ID).collect()]);
            if let Some(name) = self.container(id) {
                if let Some((own, pod)) = name.split_once("of pod ") {
                    containers.extend([own.trim_end().to_owned(), pod.to_owned()]);
                    containers.extend(pod.split_once('/').map(|(_, pod)| pod.to_owned()));
                }
                containers.push(name);
            }
        }
        containers.retain(|name| !name.is_empty());
        OriginNames { units, containers }
    }

    /// The service, or the container, of a process; none for users' sessions and plain processes.
    pub fn unit(&mut self, pid: u32) -> Option<String> {
        let path = cgroup_of(&self.procfs, pid)?;
        self.unit_of(&path)
    }

    /// The same of a cgroup's path.
    pub fn unit_of(&mut self, path: &str) -> Option<String> {
        let named = origin::container(path).and_then(|id| self.container(id));
        named.map(|name| format!("container {name}")).or_else(|| origin::unit(path))
    }

    /// Whose limit a cgroup's is: a unit's or container's that has this very cgroup, and not one above
    /// it.
    pub(in crate::system) fn limit_of(&mut self, path: &str) -> Option<String> {
        let own = self.unit_of(path)?;
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        (self.unit_of(above).as_ref() != Some(&own)).then_some(own)
    }

    /// The name of a container, by the number that its runtime gave it.
    fn container(&mut self, id: &str) -> Option<String> {
        if let Some(name) = self.names.get(id) {
            return name.clone();
        }
        let name = self.docker(id).or_else(|| self.kubernetes(id)).or_else(|| self.podman(id));
        if self.names.len() < MOST {
            self.names.insert(id.to_owned(), name.clone());
        }
        name
    }

    fn json(&self, path: &str) -> Option<Value> {
        let file = foreign_file::open_no_link(&self.root.join(path)).ok()?;
        // Whoever else could write it could give his processes the name of another's.
        let found = file.metadata().ok()?;
        let is_trusted = trusted_path::owners().contains(&found.uid()) && found.mode() & 0o002 == 0;
        if !is_trusted {
            return None;
        }
        serde_json::from_slice(&foreign_file::read(file, FILE_MAX).ok()?).ok()
    }

    fn docker(&self, id: &str) -> Option<String> {
        let state = self.json(&format!("var/lib/docker/containers/{id}/config.v2.json"))?;
        plain(state.get("Name")?.as_str()?.trim_start_matches('/'))
    }

    /// The container's name with its pod's, "php of pod shop/web-1": its own is the same in each pod.
    fn kubernetes(&self, id: &str) -> Option<String> {
        let mut settings =
            SETTINGS.iter().filter_map(|(dir, file)| self.json(&format!("{dir}/{id}/{file}")));
        settings.find_map(|settings| {
            let notes = settings.get("annotations")?;
            let of = |names: [&str; 2]| {
                let found = names.iter().find_map(|name| notes.get(*name)?.as_str());
                found.and_then(plain)
            };
            let name = of(["io.kubernetes.container.name", "io.kubernetes.cri.container-name"]);
            let pod = of(["io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name"])?;
            let space = of(["io.kubernetes.pod.namespace", "io.kubernetes.cri.sandbox-namespace"]);
            let space = space.map_or(String::new(), |space| format!("{space}/"));
            Some(match name {
                Some(name) => format!("{name} of pod {space}{pod}"),
                None => format!("of pod {space}{pod}"),
            })
        })
    }

    fn podman(&self, id: &str) -> Option<String> {
        let is_it = |entry: &&Value| entry.get("id").and_then(Value::as_str) == Some(id);
        let name = |path: String| {
            let all = self.json(&path)?;
            plain(all.as_array()?.iter().find(is_it)?.get("names")?.get(0)?.as_str()?)
        };
        let of_driver = |driver: &str| {
            PODMAN.map(|file| format!("var/lib/containers/storage/{driver}-containers/{file}"))
        };
        DRIVERS.into_iter().flat_map(of_driver).find_map(name)
    }
}

/// A name, if it is one line of plain characters.
fn plain(name: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_plain = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(known);
    is_plain.then(|| name.to_owned())
}

/// The cgroup's path that tells most of a process.
pub fn cgroup_of(procfs: &Path, pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(procfs.join(format!("{pid}/cgroup"))).ok()?;
    Some(cgroup_path(&text).to_owned())
}

/// The path that tells most, of /proc/PID/cgroup: version 2 has one line, "0::/path"; of version 1
/// systemd's own hierarchy tells, or that of pids where there is no systemd.
pub(in crate::system) fn cgroup_path(text: &str) -> &str {
    let path = |mark: &str| {
        let found = text.lines().find_map(|line| line.split_once(mark).map(|(_, path)| path));
        found.filter(|path| *path != "/")
    };
    path("name=systemd:").or_else(|| path("0::")).or_else(|| path(":pids:")).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// What a process in such a cgroup is called, where a runtime has such a file.
    fn called(path: &str, file: &str, text: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let put = |file: String, text: &str| {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        put("proc/7/cgroup".to_owned(), &format!("0::{}\n", path.replace("ID", ID)));
        put(file.replace("ID", ID), &text.replace("ID", ID));
        Origins::at(&dir.path().join("proc"), dir.path()).unit(7)
    }

    #[test]
    fn a_container_has_the_name_that_its_runtime_gave_it() {
        let docker = "var/lib/docker/containers/ID/config.v2.json";
        let podman = "var/lib/containers/storage/overlay-containers/containers.json";
        let crio = "var/lib/containers/storage/overlay-containers/ID/userdata/config.json";
        let cri = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
        for (path, file, text, wanted) in [
            (
                "/system.slice/docker-ID.scope",
                docker,
                r#"{"Name":"/shop-php"}"#,
                "container shop-php",
            ),
            ("/docker/ID", docker, r#"{"Name":"/shop-php"}"#, "container shop-php"),
            (
                "/machine.slice/libpod-ID.scope/container",
                podman,
                r#"[{"id":"00","names":["a"]},{"id":"ID","names":["web","x"]}]"#,
                "container web",
            ),
            (
                "/libpod_parent/libpod-ID",
                "var/lib/containers/storage/vfs-containers/containers.json",
                r#"[{"id":"ID","names":["shop-php"]}]"#,
                "container shop-php",
            ),
            (
                "/machine.slice/libpod-ID.scope/container",
                "var/lib/containers/storage/overlay-containers/volatile-containers.json",
                r#"[{"id":"ID","names":["job"]}]"#,
                "container job",
            ),
            (
                "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
                crio,
                r#"{"annotations":{"io.kubernetes.container.name":"php","io.kubernetes.pod.name":"web-1","io.kubernetes.pod.namespace":"shop"}}"#,
                "container php of pod shop/web-1",
            ),
            (
                "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope",
                cri,
                r#"{"annotations":{"io.kubernetes.cri.container-name":"php","io.kubernetes.cri.sandbox-name":"web-1","io.kubernetes.cri.sandbox-namespace":"shop"}}"#,
                "container php of pod shop/web-1",
            ),
            ("/lxc.payload.mail/x.service", docker, "{}", "container mail"),
            ("/machine.slice/machine-build.scope", docker, "{}", "container build"),
        ] {
            assert_eq!(called(path, file, text).as_deref(), Some(wanted), "{path}");
        }
    }

    #[test]
    fn a_name_that_is_not_plain_is_not_taken_over() {
        let docker = "var/lib/docker/containers/ID/config.v2.json";
        for text in
            [r#"{"Name":"/a\nb"}"#, r#"{"Name":"/a\u001b[31m"}"#, r#"{"Name":""}"#, "{", "[]"]
        {
            let name = called("/docker/ID", docker, text);
            assert_eq!(name.as_deref(), Some("container 0123456789ab"), "{text}");
        }
        let long = format!(r#"{{"Name":"/{}"}}"#, "a".repeat(200));
        assert_eq!(called("/docker/ID", docker, &long).as_deref(), Some("container 0123456789ab"));
    }

    #[test]
    fn a_state_file_that_others_may_write_names_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(format!("var/lib/docker/containers/{ID}/config.v2.json"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, r#"{"Name":"/postgres"}"#).unwrap();
        let called = || Origins::at(dir.path(), dir.path()).unit_of(&format!("/docker/{ID}"));
        assert_eq!(called().as_deref(), Some("container postgres"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(called().as_deref(), Some("container 0123456789ab"));
    }

    #[test]
    fn a_limit_is_a_units_only_if_it_stands_at_the_unit_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut origins = Origins::at(dir.path(), dir.path());
        let container = Some("container 0123456789ab");
        for (path, wanted) in [
            ("/system.slice/php.service", Some("php.service")),
            ("/system.slice/php.service/pool", None),
            ("/system.slice", None),
            ("/", None),
            (&format!("/system.slice/docker-{ID}.scope"), container),
            (&format!("/docker/{ID}/init"), None),
            ("/lxc.payload.mail", Some("container mail")),
        ] {
            assert_eq!(origins.limit_of(path).as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn a_container_is_meant_by_each_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let settings = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}");
        std::fs::create_dir_all(dir.path().join(&settings)).unwrap();
        let text = r#"{"annotations":{"io.kubernetes.cri.container-name":"php",
            "io.kubernetes.cri.sandbox-name":"web-1","io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
        std::fs::write(dir.path().join(settings).join("config.json"), text).unwrap();
        let mut origins = Origins::at(dir.path(), dir.path());
        let names = origins.names_of(&format!("/kubepods.slice/cri-containerd-{ID}.scope"));
        let wanted = [ID, "0123456789ab", "php", "shop/web-1", "web-1", "php of pod shop/web-1"];
        assert_eq!(names.containers, wanted);
        assert_eq!(names.units, ["kubepods.slice", &format!("cri-containerd-{ID}.scope")]);
        assert_eq!(origins.names_of("/lxc.payload.mail/a.service").containers, ["mail"]);
        assert_eq!(origins.names_of("/user.slice/session-1.scope").containers, [""; 0]);
    }

    #[test]
    fn of_version_1_systemd_or_pids_tells() {
        let text = "9:name=systemd:/system.slice/a.service\n8:pids:/x\n0::/\n";
        assert_eq!(cgroup_path(text), "/system.slice/a.service");
        assert_eq!(cgroup_path("9:name=systemd:/\n8:pids:/docker/1\n0::/\n"), "/docker/1");
        assert_eq!(cgroup_path("0::/a/b\n"), "/a/b");
        assert_eq!(cgroup_path(""), "/");
    }
}
