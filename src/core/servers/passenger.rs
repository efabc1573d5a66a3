//! Phusion Passenger.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// From its source and manual. TERM is its hard signal: the request is lost. Its own tool detaches
/// a process gently.
pub(super) static PASSENGER: Server = Server {
    name: "Passenger",
    key: "passenger",
    verified: "source and manual, Passenger 6",
    by: &[
        RecognisedBy::Exe(&[
            "PassengerAgent",
            "PassengerWatchdog",
            "PassengerHelperAgent",
            "PassengerLoggingAgent",
        ]),
        RecognisedBy::Title(&["Passenger"]),
        // Versions 3 and 4 name their applications so.
        RecognisedBy::TitleBegins(&["Passenger", "Rack: /", "Rails: /"]),
    ],
    workers: WorkerPolicy::Report(
        "no signal lets it finish its requests; `passenger-config detach-process PID` does",
    ),
    recycle: &[ServerSetting::new("PassengerMaxRequests N", "requests", "0: never")],
    cap: &[ServerSetting::new("PassengerMaxPoolSize N", "processes of all applications", "6")],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/passenger.conf"),
        ("nginx", "/etc/nginx/conf.d/mod-http-passenger.conf, as passenger_max_requests"),
    ],
    apply: "passenger-config restart-app",
    ..BLANK
};
