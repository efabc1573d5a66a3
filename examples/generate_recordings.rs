//! Writes the generated recordings of tests/common/worlds.rs to files, for `score` and `replay`.
//!
//! ```text
//! cargo run --release --example generate_recordings -- target/generated
//! cargo run --release --example score -- --families target/generated
//! ```
//!
//! The same families and seeds that `cargo test --test in_process replay` judges in memory.
#![allow(clippy::expect_used, reason = "the worlds are a test's")]

#[path = "../tests/common/worlds.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the tests")]
mod worlds;

use anyhow::{Context, Result};
use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use leakwatch::store::recording::Writer;
use std::fs::{self, File};
use std::path::PathBuf;

/// Writes generated recordings, each with its truth beside it.
#[derive(Parser)]
struct Options {
    /// Where to: made if missing; files of the same names are replaced
    directory: PathBuf,
    /// Recordings of each family
    #[arg(long, default_value_t = 4)]
    seeds: u64,
}

fn main() -> Result<()> {
    let Options { directory, seeds } = Options::parse();
    fs::create_dir_all(&directory)
        .with_context(|| format!("'{}' cannot be made", directory.display()))?;
    for family in &worlds::FAMILIES {
        for seed in 1..=seeds {
            let made = family.recording(seed);
            let leaking: Vec<_> = made
                .leaking
                .iter()
                .map(|(id, from_t)| {
                    serde_json::json!({"pid": id.pid, "start": id.start, "from_t": from_t})
                })
                .collect();
            let truth = serde_json::json!({
                "kind": "synthetic",
                "what": format!("generated: {}, seed {seed}", family.name),
                "leaking": leaking,
                "growing_not_leaking": [],
                "exhaust_t": made.exhaust_t,
            });
            fs::write(directory.join(format!("{}.truth.json", made.name)), truth.to_string())?;
            let file = File::create(directory.join(format!("{}.jsonl.gz", made.name)))?;
            let out = GzEncoder::new(file, Compression::default());
            let mut writer = Writer::new(out, &made.header)?;
            for sample in &made.samples {
                writer.write(sample)?;
            }
            writer.into_inner().finish()?;
        }
    }
    Ok(())
}
