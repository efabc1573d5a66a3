//! Keys: what loggers call the level, the time and the error of a record, and how they name levels.

/// Keys of what failed, the most telling first: "err.message" is a key below another.
pub(super) const ERRORS: [&str; 17] = [
    "stack_trace",
    "stacktrace",
    "error.stack_trace",
    "exc_info",
    "exception",
    "@x",
    "error",
    "err.message",
    "err.stack",
    "err",
    "error.message",
    "exception.message",
    "error_message",
    "msg",
    "message",
    "@m",
    "@mt",
];
/// Those of them that are no error's own.
pub(super) const MESSAGES: [&str; 4] = ["msg", "message", "@m", "@mt"];
/// Keys of lists whose first string is an error's.
pub(super) const LISTS: [&str; 2] = ["stack_trace", "stacktrace"];
/// MongoDB's key of the level, which is a letter. To others it may be anything.
pub(super) const LETTER: &str = "s";
pub(super) const LEVELS: [&str; 10] = [
    "level",
    "severity",
    "lvl",
    "log.level",
    "levelname",
    "loglevel",
    "log_level",
    "@l",
    "severity_text",
    "severitytext",
];
pub(super) const TIMES: [&str; 9] =
    ["t.$date", "@timestamp", "timestamp", "time", "ts", "asctime", "datetime", "t", "@t"];
/// Levels of what may have failed; pino's are numbers.
pub(super) const FAILED: [&str; 17] = [
    "e",
    "f",
    "w",
    "error",
    "err",
    "eror",
    "fatal",
    "critical",
    "crit",
    "panic",
    "emerg",
    "emergency",
    "alert",
    "severe",
    "warn",
    "warning",
    "dpanic",
];

/// A key of an error by its rank.
pub(super) fn key(rank: usize) -> &'static str {
    ERRORS.get(rank).copied().unwrap_or_default()
}
