//! Words: what loggers, runtimes and servers write before the words of a program.

/// Words that loggers put before a message, alone or with a colon.
pub(super) const LEVELS: [&str; 45] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "CRITICAL", "CRIT",
    "ALERT", "EMERG", "PANIC", "FATAL", "SEVERE", "LOG", "E", "F", "W", "I", "error", "fatal",
    "warning", "crit", "alert", "panic", "info", "notice", "err", "Error", "Warning", "Fatal",
    "Critical", "Info", "*SYSTEM", "E!", "W!", "ERR!", "--", "-", "#", "*",
    // Parts of MongoDB; not COMMAND and WRITE, which quote what a client sent.
    "NETWORK", "CONTROL", "STORAGE",
];

/// Phrases of more than one word before what an interpreter, a runtime or a server quotes.
pub(super) const PHRASES: [&str; 58] = [
    // Of Apache, behind its number: "(12)Cannot allocate memory: AH00159: ..".
    "Cannot allocate memory:",
    "Resource temporarily unavailable:",
    "stderr F ",
    "stdout F ",
    "*** ",
    "PHP Warning:",
    "PHP Fatal error:",
    "PHP Parse error:",
    "PHP message:",
    "Fatal error:",
    "Uncaught exception:",
    "Uncaught Exception:",
    "Unhandled exception:",
    "unhandled exception:",
    "Unhandled Exception:",
    "Uncaught ErrorException:",
    "Got error 'PHP message:",
    "AH01071: Got error 'PHP message:",
    "FastCGI sent in stderr: \"PHP message:",
    "Caused by:",
    "nested exception is",
    "Error response from daemon:",
    "OCI runtime create failed:",
    "OCI runtime exec failed:",
    "failed to create shim task:",
    "failed to create shim:",
    "failed to start shim:",
    "unrecoverable fatal error:",
    "fatal error:",
    "ERROR: apport",
    "Exception:",
    "in `_fork':",
    "in `fork':",
    "in 'Process._fork':",
    "in 'fork':",
    "what():",
    "npm ERR!",
    "Unhandled exception.",
    "Fatal Error ",
    "runc create failed:",
    "unable to start container process:",
    "starting container process caused:",
    "error during container init:",
    "npm error",
    "internal error:",
    "process exited while connecting to monitor:",
    "failed to collect filesystem stats - ",
    "Error in plugin:",
    "OpenBLAS ",
    "PM2 log:",
    "PM2 error:",
    "{ Error:",
    "Command failed:",
    "Error while launching application",
    "Opening storage failed",
    "LibClamAV Error:",
    "Starting VCC-compiler:",
    "Untar error on re-exec cmd:",
];

/// What bash calls the line of a script, in the languages of its catalogues.
pub(super) const LINES: [&str; 10] =
    ["line", "Zeile", "ligne", "línea", "linha", "riga", "linia", "regel", "rad", "строка"];

/// Names before a colon whose value others choose: nothing behind them is evidence.
pub(super) const OTHERS_WORDS: [&str; 40] = [
    "statement",
    "query",
    "context",
    "detail",
    "hint",
    "user",
    "username",
    "login",
    "name",
    "path",
    "uri",
    "url",
    "request",
    "referer",
    "referrer",
    "host",
    "agent",
    "user-agent",
    "subject",
    "from",
    "to",
    "cc",
    "message-id",
    "msg",
    "message",
    "input",
    "output",
    "search",
    "comment",
    "title",
    "text",
    "body",
    "data",
    "value",
    "param",
    "params",
    "cookie",
    "command",
    "cmd",
    "args",
];

/// Phrases around one word without blanks: the path that Docker's daemon was asked for, the application
/// that Passenger starts.
pub(super) const AROUND_A_WORD: [(&str, &str); 6] = [
    ("Handler for GET ", "returned error: "),
    ("Handler for POST ", "returned error: "),
    ("Handler for DELETE ", "returned error: "),
    ("Could not spawn process for application ", ""),
    ("Failed to Update: ", "Error: "),
    ("open block ", ""),
];

/// Verbs of starting a program.
pub(super) const STARTS: [&str; 12] = [
    "exec",
    "execute",
    "run",
    "call",
    "spawn",
    "start",
    "launch",
    "executing",
    "running",
    "starting",
    "restart",
    "restarting",
];
/// The most words of what was to be started.
pub(super) const MOST_STARTED: usize = 4;
