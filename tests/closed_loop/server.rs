//! Server: what the workers of a tree run, how they take a signal, and who replaces them.

use leakwatch::core::model::signal::Signal;

/// What a master and its workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Apache prefork: USR1 lets a worker finish.
    Apache,
    /// gunicorn, sync workers: TERM lets a worker finish.
    Gunicorn,
    /// php-fpm: QUIT lets a worker finish.
    PhpFpm,
    /// A program that nobody knows and that forks workers: no signal lets one finish.
    Unknown,
    /// `xargs -P`: starts the next job when one has ended, and none any more once one was killed.
    Xargs,
    /// `multiprocessing.Pool`: waits for ever for the task of a worker that was killed.
    ProcessPool,
}

/// How a worker is made to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// It finishes its request first.
    Gentle,
    /// It exits soon; its request is cut.
    Term,
    /// It exits at once.
    Kill,
}

/// Who starts a worker that takes the place of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The master, whatever it died of.
    Always,
    /// The master, unless it was killed: then the whole batch is lost.
    AfterOwnExit,
    /// Nobody.
    Never,
}

/// What /proc shows of a process's program.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub comm: &'static str,
    pub exe: &'static str,
    pub title: &'static str,
}

impl Server {
    /// What the master looks like, and each of its children.
    pub fn looks(self) -> (Look, Look) {
        let look = |comm, exe, title| Look { comm, exe, title };
        match self {
            Self::Apache => {
                let apache = look("apache2", "/usr/sbin/apache2", "/usr/sbin/apache2 -k start");
                (apache, apache)
            }
            Self::Gunicorn => {
                let title = "/usr/bin/python3 /usr/bin/gunicorn -w 4 app:app";
                let gunicorn = look("gunicorn", "/usr/bin/python3.11", title);
                (gunicorn, gunicorn)
            }
            Self::PhpFpm => (
                look(
                    "php-fpm8.2",
                    "/usr/sbin/php-fpm8.2",
                    "php-fpm: master process (/etc/php.conf)",
                ),
                look("php-fpm8.2", "/usr/sbin/php-fpm8.2", "php-fpm: pool www"),
            ),
            Self::Unknown => {
                let app = look("appd", "/usr/local/bin/appd", "/usr/local/bin/appd --workers 4");
                (app, app)
            }
            Self::Xargs => (
                look("xargs", "/usr/bin/xargs", "xargs -P4 -I{} convert {} out/{}"),
                look("convert", "/usr/bin/convert", "convert scan-17.tif out/scan-17.tif"),
            ),
            Self::ProcessPool => {
                let title = "/usr/bin/python3 report.py";
                let python = look("python3", "/usr/bin/python3.11", title);
                (python, python)
            }
        }
    }

    /// Whether its children run its own program, by fork alone.
    pub fn forks(self) -> bool {
        self != Self::Xargs
    }

    /// Who replaces its children.
    pub fn replacement(self) -> Replacement {
        match self {
            Self::Apache | Self::Gunicorn | Self::PhpFpm | Self::Unknown => Replacement::Always,
            Self::Xargs => Replacement::AfterOwnExit,
            Self::ProcessPool => Replacement::Never,
        }
    }

    /// Whether a watchdog may do this to one of its children: to none that nobody would start
    /// again, and by KILL to none of an unknown program that was told to exit before.
    pub fn may_be_sent(self, means: Means, is_told: bool) -> bool {
        let kills_unknown = self == Self::Unknown && means == Means::Kill && is_told;
        self.replacement() == Replacement::Always && !kills_unknown
    }

    /// What a signal does to one of its workers; nothing where it is ignored.
    pub fn means(self, signal: Signal) -> Option<Means> {
        match (signal, self) {
            (Signal::Kill, _) => Some(Means::Kill),
            (Signal::Usr1, Self::Apache)
            | (Signal::Term, Self::Gunicorn)
            | (Signal::Quit, Self::PhpFpm) => Some(Means::Gentle),
            // A signal that is not handled ends a process as TERM does.
            (Signal::Winch, _) => None,
            _ => Some(Means::Term),
        }
    }
}
