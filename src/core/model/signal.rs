//! Signals: which there are, how hard each is, and why one was not sent.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Signals an order may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "UPPERCASE", ascii_case_insensitive)]
pub enum Signal {
    /// SIGHUP.
    Hup,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    Usr1,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
    /// SIGINT; only by `--signal`, as those that follow.
    Int,
    /// SIGUSR2.
    Usr2,
    /// SIGWINCH.
    Winch,
}

impl Signal {
    /// Its name as `kill -l` has it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The signal of that name, with or without SIG.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_prefixed = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("SIG"));
        let bare = if is_prefixed { name.get(3..)? } else { name };
        bare.parse().ok()
    }
}

/// How far an order goes; each step follows when the grace of the one before is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Step {
    /// A restart of its unit by the service manager, which sends what the unit says.
    Restart,
    /// The signal at which the *master* of this server replaces all its workers gently.
    Reload,
    /// The signal at which this server's worker finishes its request first.
    Gentle,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Restart, Self::Reload, Self::Gentle, Self::Term, Self::Kill];

    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The signal of a step that every worker understands alike.
    pub fn signal(self) -> Signal {
        match self {
            Self::Restart | Self::Reload | Self::Gentle | Self::Term => Signal::Term,
            Self::Kill => Signal::Kill,
        }
    }
}

/// Why a signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum SignalFailure {
    /// The process had exited, or its pid is another's by now.
    Gone,
    /// Not allowed: needs the same user, root or CAP_KILL.
    NotPermitted,
    /// Process 1, leakwatch itself, or a process that started it.
    Refused,
    /// Its name or title has changed since: `--protect` names it, or it is no worker of its master.
    Protected,
    /// It is not the main process of a service that systemd may restart.
    NoService,
    /// Its unit is of a kind that runs once: Type=oneshot, or transient.
    RunsOnce,
    /// A restart of its unit would end other processes too, or other units.
    NotAlone,
    /// Another watch ends the workers of the same master, or restarts the unit.
    Taken,
    /// The kernel said no, with this error number.
    Failed(i32),
}

impl SignalFailure {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
