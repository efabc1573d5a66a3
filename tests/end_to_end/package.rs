//! The package: made by cargo-deb from Cargo.toml, installed and purged over a clean root, from which
//! everything must be gone afterwards; it starts and enables nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::needs::{self, Need};

/// `cargo install cargo-deb`; found in cargo's own directory too.
const CARGO_DEB: Need = Need::Program("cargo-deb", "nothing, but cargo install --locked cargo-deb");

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Both packages bring every man page, completion, unit and example that there is.
#[test]
fn no_file_is_forgotten_in_either_package() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (deb, rpm) = manifest.split_once("[package.metadata.generate-rpm]").unwrap();
    let dirs = ["man", "examples/completions", "examples/systemd", "examples/init"];
    let patterns =
        ["examples/prometheus", "examples/hooks", "examples/monitoring", "examples/container"];
    for dir in dirs.into_iter().chain(["examples/grafana"]).chain(patterns) {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("{dir}/{name}");
            let pattern = format!("\"{dir}/*");
            let by_pattern =
                patterns.contains(&dir) && [deb, rpm].iter().all(|of| of.contains(&pattern));
            let unit = dir == "examples/systemd" && name != "default";
            let in_deb = unit || by_pattern || deb.contains(&path);
            assert!(in_deb, "{path} is not in the .deb's assets");
            assert!(by_pattern || rpm.contains(&path), "{path} is not in the .rpm's assets");
        }
    }
}

/// What is done in a root that is this machine's, or `LEAKWATCH_ROOT` (one of mmdebstrap), with all
/// changes in a directory of their own. systemd seems to run, and its tools tell what they are
/// asked.
const SCRIPT: &str = r#"
set -e
deb=$1; lower=$2; out=$3
mount -t tmpfs tmpfs /mnt
mkdir /mnt/up /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=/mnt/up,workdir=/mnt/work" /mnt/root
cd /mnt/root
rm -f usr/bin/systemctl usr/bin/deb-systemd-invoke
for tool in systemctl deb-systemd-invoke; do
    printf '#!/bin/sh\necho %s "$@" >>/asked\n' $tool >usr/bin/$tool
    chmod 755 usr/bin/$tool
done
mount --bind /dev dev
mount -t tmpfs tmpfs run; mkdir -p run/systemd/system
mount -t tmpfs tmpfs tmp; cp "$deb" tmp/leakwatch.deb
added() { (cd /mnt/up; find . ! -type d ! -type c ! -path './var/lib/dpkg/*' ! -path './var/cache/*' \
    ! -path './var/log/*' | sed 's/^\.//' | sort); }
asked() { cat asked 2>/dev/null || :; rm -f asked; }
added >"$out/before"
chroot . dpkg -i /tmp/leakwatch.deb
asked >"$out/asked-install"
added >"$out/installed"
chroot . leakwatch --version >"$out/version"
chroot . bash -c '. /usr/share/bash-completion/completions/leakwatch; complete -p leakwatch' >"$out/complete"
chroot . dpkg-query -W -f '${Conffiles}' leakwatch >"$out/conffiles"
chroot . dpkg --verify leakwatch >"$out/verify"
echo 'DAEMON_OPTS="--pattern apache2"' >>etc/default/leakwatch
mkdir -p var/lib/leakwatch; echo x >var/lib/leakwatch/programs.jsonl
chroot . dpkg -i /tmp/leakwatch.deb
asked >"$out/asked-upgrade"
tail -1 etc/default/leakwatch >"$out/kept"
chroot . dpkg -r leakwatch
asked >"$out/asked-remove"
added >"$out/removed"
chroot . dpkg -P leakwatch
asked >/dev/null
added >"$out/purged"
[ ! -e var/lib/leakwatch ]
"#;

#[test]
#[ignore = "needs dpkg-shlibdeps, cargo-deb and root"]
fn the_package_installs_upgrades_and_goes_without_a_trace_and_starts_nothing() {
    needs::require(&[Need::Root, CARGO_DEB, Need::Program("dpkg-shlibdeps", "dpkg-dev")]);
    let dir = tempfile::tempdir().unwrap();
    let deb = dir.path().join("leakwatch.deb");
    let built = Path::new(env!("CARGO_BIN_EXE_leakwatch")).parent().unwrap();
    // The binary of the tests stands for that of a release, which takes minutes to build.
    let said = Command::new("cargo")
        .args(["deb", "--no-build", "--strip", "--fast", "--profile", "dev", "--output"])
        .arg(&deb)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", built.parent().unwrap())
        .output()
        .unwrap();
    assert!(said.status.success(), "cargo deb: {}", String::from_utf8_lossy(&said.stderr));

    let lower = std::env::var("LEAKWATCH_ROOT").unwrap_or_else(|_| "/".to_owned());
    let run = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .args([&deb, Path::new(&lower), dir.path()])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    assert!(run.status.success(), "{said}");

    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let files = |name: &str| text(name).lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, installed) = (files("before"), files("installed"));
    let new: Vec<&String> = installed.difference(&before).collect();
    for path in [
        "/usr/bin/leakwatch",
        "/usr/lib/systemd/system/leakwatch.service",
        "/usr/lib/systemd/system/leakwatch-check.timer",
        "/etc/default/leakwatch",
    ] {
        assert!(installed.contains(path), "{path} is missing: {new:?}");
    }
    let enabled = new.iter().find(|path| path.starts_with("/etc/systemd"));
    assert!(enabled.is_none(), "something is enabled: {new:?}");
    assert!(text("version").starts_with("leakwatch "));
    assert!(text("complete").contains("_leakwatch"));
    assert!(text("conffiles").contains("/etc/default/leakwatch"));
    assert_eq!(text("verify"), "");
    // The manager is only told to read its files again; what runs is stopped at the removal.
    let words = |name: &str| text(name).lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(words("asked-install"), ["systemctl --system daemon-reload".to_owned()].into());
    assert!(!text("asked-upgrade").contains("deb-systemd-invoke start"), "{said}");
    assert!(text("asked-remove").contains("deb-systemd-invoke stop leakwatch.service"), "{said}");
    assert_eq!(text("kept"), "DAEMON_OPTS=\"--pattern apache2\"\n");
    assert!(files("removed").contains("/etc/default/leakwatch"), "a setting is kept");
    let left = files("purged");
    let left: Vec<&String> = left.difference(&before).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
