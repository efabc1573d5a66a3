//! The last line of `cargo test`: which end-to-end tests did not run, and the command that runs all.
//!
//! The test runner has no hook for the end of a run. So this is a program of its own, last in the
//! alphabet and thus in the run; Cargo.toml turns off the documentation tests, which would follow it.
#![allow(clippy::print_stdout, reason = "the line is what it is for")]

use std::path::Path;

fn main() -> std::io::Result<()> {
    // `--include-ignored` ran all; a filter chose some on purpose.
    if std::env::args_os().len() > 1 {
        return Ok(());
    }
    let mut groups = Vec::new();
    let mut tests = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end"))?
    {
        let path = entry?.path();
        let ignored = std::fs::read_to_string(&path)?.matches("\n#[ignore").count();
        if ignored > 0 {
            tests += ignored;
            groups.extend(path.file_stem().map(|name| name.display().to_string()));
        }
    }
    groups.sort();
    println!(
        "\nNot run: {tests} end-to-end tests that are slow or need servers, small machines or root ({}). \
         To install what they need on Debian and run everything: tests/all\n",
        groups.join(", ")
    );
    Ok(())
}
