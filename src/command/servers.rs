//! Servers: prints what the table holds: signals, failed forks, settings.

use crate::cli::options::{ReportFormat, ServersOptions};
use crate::core::model::event::Severity;
use crate::core::servers::{Server, TABLE};
use crate::report::servers;
use anyhow::{Result, bail};
use std::io::Write;

/// Prints all rows of the table, or those that are named.
///
/// # Errors
/// A name that matches no row.
pub fn run(options: &ServersOptions, out: &mut impl Write) -> Result<Severity> {
    let mut rows: Vec<&Server> = Vec::new();
    let matches = |server: &Server, name: &str| {
        let name = name.to_lowercase();
        name == "all" || server.key.contains(&name) || server.name.to_lowercase().contains(&name)
    };
    for name in &options.names {
        let before = rows.len();
        rows.extend(TABLE.iter().filter(|server| matches(server, name)));
        if rows.len() == before {
            bail!(
                "no server is called '{}'\n  hint: `leakwatch servers` lists them all",
                name.escape_debug()
            );
        }
    }
    let full = !rows.is_empty();
    let rows = if full { &rows } else { TABLE };
    match options.format {
        ReportFormat::Text => servers::write(out, rows, full)?,
        ReportFormat::Json => servers::write_json(out, rows)?,
    }
    Ok(Severity::Fine)
}
