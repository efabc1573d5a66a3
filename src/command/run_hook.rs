//! Run hook: the helper process behind `--on-event`.

use crate::assessment::Status;
use crate::cli::RunHook;
use crate::hook;
use anyhow::Result;
use std::io::{self, Write};

/// Runs the command for each event on standard input, until that ends.
///
/// # Errors
/// When standard input or `err` fails.
pub fn run(options: &RunHook, err: &mut impl Write) -> Result<Status> {
    hook::serve(&options.command, options.limit, io::stdin().lock(), err)?;
    Ok(Status::Fine)
}
