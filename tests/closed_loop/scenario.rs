//! Scenario: what a kind of world consists of. Sizes are MiB, times are seconds.

use super::growth::Growth;
use super::server::Server;

/// What a kind is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// All of it fits: nothing needs to end.
    Healthy,
    /// Something leaks, and nothing else grows.
    Leak,
    /// Something leaks beside healthy growth.
    Mixture,
    /// Several limits.
    Limits,
    /// What is needed does not fit, or comes faster than any exit, or must not be ended.
    Hopeless,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Healthy, Self::Leak, Self::Mixture, Self::Limits, Self::Hopeless];
}

/// What a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The machine's memory.
    Machine,
    /// A memory cgroup's.
    Cgroup,
    /// What the admin grants a tree: the kernel knows nothing of it.
    Budget,
}

/// Workers of one kind, below one master.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub count: usize,
    pub growth: Growth,
    /// Size of one that has just started.
    pub start: f64,
    /// Age at which its growth begins.
    pub onset_s: f64,
    /// Its limits besides the machine's, by index; the innermost is the second.
    pub below: [Option<usize>; 2],
    /// Its tree, by index.
    pub tree: usize,
    pub server: Server,
    /// All of its workers do the same at the same time.
    pub in_step: bool,
}

/// So many workers that grow thus, once they have started with 8 MiB.
pub fn group(count: usize, growth: Growth) -> Group {
    Group {
        count,
        growth,
        start: 8.0,
        onset_s: 0.0,
        below: [None; 2],
        tree: 0,
        server: Server::Apache,
        in_step: false,
    }
}

impl Group {
    pub fn start(self, start: f64) -> Self {
        Self { start, ..self }
    }

    pub fn onset(self, onset_s: f64) -> Self {
        Self { onset_s, ..self }
    }

    /// Below this limit, in a tree of its own.
    pub fn below(self, limit: usize) -> Self {
        Self { below: [Some(limit), None], tree: limit, ..self }
    }

    /// Below both limits, in a tree of its own.
    pub fn below_both(self, outer: usize, inner: usize) -> Self {
        Self { below: [Some(outer), Some(inner)], tree: inner, ..self }
    }

    pub fn tree(self, tree: usize) -> Self {
        Self { tree, ..self }
    }

    pub fn server(self, server: Server) -> Self {
        Self { server, ..self }
    }

    pub fn in_step(self) -> Self {
        Self { in_step: true, ..self }
    }
}

/// A kind of world.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub class: Class,
    pub groups: Vec<Group>,
    /// Limits; the first is the machine.
    pub limits: Vec<(Bound, f64)>,
    /// What the machine uses besides the workers.
    pub base: f64,
    pub length_s: f64,
    pub step_s: f64,
    /// From the end of a worker to the start of the one that replaces it.
    pub respawn_s: (f64, f64),
    /// Time in which a worker loads what it starts with.
    pub load_s: f64,
    /// Share of the time in which a worker serves a request.
    pub busy: f64,
    /// Mean time that its request still takes.
    pub request_s: f64,
    /// Share of the workers that ignore the gentle signal.
    pub stuck: f64,
    /// Requests come so many times as often for a while, and then not: factor, mean times on and off.
    pub bursts: Option<(f64, f64, f64)>,
    /// Exits by TERM and KILL take so many times as long.
    pub slow: f64,
    /// Mean lateness of each look.
    pub late_s: f64,
}

impl Scenario {
    /// On a machine of that size, of which 9 % are used already.
    pub fn new(name: impl Into<String>, class: Class, size: f64, groups: Vec<Group>) -> Self {
        Self {
            name: name.into(),
            class,
            groups,
            limits: vec![(Bound::Machine, size)],
            base: 0.09 * size,
            length_s: 50.0,
            step_s: 0.01,
            respawn_s: (0.3, 1.5),
            load_s: 0.3,
            busy: 0.5,
            request_s: 0.1,
            stuck: 0.0,
            bursts: None,
            slow: 1.0,
            late_s: 0.003,
        }
    }

    pub fn base(self, base: f64) -> Self {
        Self { base, ..self }
    }

    pub fn seconds(self, length_s: f64) -> Self {
        Self { length_s, ..self }
    }

    /// For what is over within a second.
    pub fn finely(self, step_s: f64) -> Self {
        Self { step_s, ..self }
    }

    pub fn respawn(self, least_s: f64, most_s: f64) -> Self {
        Self { respawn_s: (least_s, most_s), ..self }
    }

    pub fn load(self, load_s: f64) -> Self {
        Self { load_s, ..self }
    }

    pub fn requests(self, busy: f64, request_s: f64) -> Self {
        Self { busy, request_s, ..self }
    }

    pub fn stuck(self, stuck: f64) -> Self {
        Self { stuck, ..self }
    }

    pub fn bursts(self, factor: f64, on_s: f64, off_s: f64) -> Self {
        Self { bursts: Some((factor, on_s, off_s)), ..self }
    }

    pub fn slow_exits(self, slow: f64) -> Self {
        Self { slow, ..self }
    }

    pub fn late_looks(self, late_s: f64) -> Self {
        Self { late_s, ..self }
    }

    /// With memory cgroups of these sizes besides the machine.
    pub fn cgroups(mut self, sizes: &[f64]) -> Self {
        self.limits.extend(sizes.iter().map(|size| (Bound::Cgroup, *size)));
        self
    }

    /// With a budget for a tree.
    pub fn budget(mut self, size: f64) -> Self {
        self.limits.push((Bound::Budget, size));
        self
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }
}
