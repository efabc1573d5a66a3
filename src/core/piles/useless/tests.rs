//! Each missing proof by itself keeps a process.

use super::*;

fn rules() -> ReapRules {
    let protect = vec![Regex::new("precious").unwrap()];
    let (idle_s, age_s, grace_s) = (300.0, 600.0, 10.0);
    ReapRules { idle_s, age_s, grace_s, no_kill: false, dry_run: false, protect }
}

fn useless() -> Standing {
    Standing {
        id: ProcId { pid: 700, start: 5 },
        comm: Comm::new(b"mcp-server"),
        exe: "node".to_owned(),
        title: "node server.js".to_owned(),
        is_meant: true,
        ppid: 1,
        parent_is_init: true,
        session: 600,
        leader_is_there: false,
        has_terminal: false,
        is_held: false,
        ignores_hangup: false,
        has_children: false,
        cgroup: "/user.slice/user-1000.slice/session-3.scope".to_owned(),
        age_s: 700.0,
        footprint: 1 << 20,
        run: RunMark { cpu_ticks: 5, switches: 9, threads: 1 },
    }
}

fn ties(files: &[(u32, FileEnd)]) -> Ties {
    Ties { files: files.to_vec(), ..Ties::default() }
}

const GONE: [(u32, FileEnd); 3] = [(0, FileEnd::Gone), (1, FileEnd::Gone), (2, FileEnd::Nothing)];

#[test]
fn what_stands_alone_is_useless_and_each_single_tie_keeps_it() {
    assert_eq!(useless().missing(false, &rules()), None);
    let by_hand = Standing { parent_is_init: false, ..useless() };
    assert_eq!(by_hand.missing(true, &rules()), None, "seen to be adopted");
    let user = "/user.slice/user-7.slice/user@7.service/app.slice";
    let cases = [
        (Standing { is_meant: false, ..useless() }, MissingProof::NotMeant),
        (Standing { title: "node precious.js".into(), ..useless() }, MissingProof::Protected),
        (Standing { comm: Comm::new(b"precious"), ..useless() }, MissingProof::Protected),
        (Standing { exe: "tmux".into(), ..useless() }, MissingProof::RunsAlone),
        (Standing { title: "postgres: a b".into(), ..useless() }, MissingProof::RunsAlone),
        (Standing { comm: Comm::new(b"(sd-pam)"), ..useless() }, MissingProof::RunsAlone),
        (Standing { parent_is_init: false, ..useless() }, MissingProof::Parent),
        (Standing { has_children: true, ..useless() }, MissingProof::Children),
        (Standing { leader_is_there: true, ..useless() }, MissingProof::Session),
        (Standing { session: 0, ..useless() }, MissingProof::Session),
        (Standing { has_terminal: true, ..useless() }, MissingProof::Terminal),
        (Standing { ignores_hangup: true, ..useless() }, MissingProof::Detached),
        (Standing { cgroup: String::new(), ..useless() }, MissingProof::Service),
        (Standing { cgroup: "/system.slice/a.service".into(), ..useless() }, MissingProof::Service),
        (
            Standing { cgroup: "/system.slice/a.service/x".into(), ..useless() },
            MissingProof::Service,
        ),
        (Standing { cgroup: format!("{user}/a.service"), ..useless() }, MissingProof::Service),
        (Standing { cgroup: "/lxc.payload.web".into(), ..useless() }, MissingProof::Service),
        (Standing { is_held: true, ..useless() }, MissingProof::Held),
        (Standing { age_s: 599.0, ..useless() }, MissingProof::Age),
        (Standing { age_s: f64::NAN, ..useless() }, MissingProof::Age),
    ];
    for (standing, wanted) in cases {
        assert_eq!(standing.missing(false, &rules()), Some(wanted), "{standing:?}");
    }
    let scope = Standing { cgroup: format!("{user}/app-a-1.scope"), ..useless() };
    assert_eq!(scope.missing(false, &rules()), None);
    for name in NEVER {
        let named = Standing { exe: name.to_owned(), ..useless() };
        assert_eq!(named.missing(true, &rules()), Some(MissingProof::RunsAlone), "{name}");
    }
}

#[test]
fn every_end_must_be_gone_and_one_of_the_standard_streams_at_least() {
    assert_eq!(Ties::missing(Some(&ties(&GONE))), None);
    assert_eq!(Ties::missing(None), Some(MissingProof::Unread));
    for (end, wanted) in [
        (FileEnd::Listening, Some(MissingProof::Listening)),
        (FileEnd::Open, Some(MissingProof::Peer)),
        (FileEnd::Waking, Some(MissingProof::Waking)),
        (FileEnd::Nothing, None),
        (FileEnd::Read, None),
        (FileEnd::Written, None),
        (FileEnd::Gone, None),
    ] {
        let files = [&GONE[..], &[(7, end)]].concat();
        assert_eq!(Ties::missing(Some(&ties(&files))), wanted, "{end:?}");
    }
    let log = [(0, FileEnd::Gone), (1, FileEnd::Written)];
    assert_eq!(Ties::missing(Some(&ties(&log))), Some(MissingProof::Output));
    for files in [&[][..], &[(0, FileEnd::Nothing), (1, FileEnd::Read)], &[(5, FileEnd::Gone)]] {
        assert_eq!(Ties::missing(Some(&ties(files))), Some(MissingProof::NobodyGone));
    }
    for (tied, wanted) in [
        (Ties { waits: true, ..ties(&GONE) }, MissingProof::Waiting),
        (Ties { holds_lock: true, ..ties(&GONE) }, MissingProof::Lock),
        (Ties { shares_memory: true, ..ties(&GONE) }, MissingProof::SharedMemory),
        (Ties { keeps_namespaces: true, ..ties(&GONE) }, MissingProof::Namespace),
    ] {
        assert_eq!(Ties::missing(Some(&tied)), Some(wanted));
    }
}
