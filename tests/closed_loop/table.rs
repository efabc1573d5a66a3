//! Table: all kinds under all policies, in the form of the reference.

use crate::bars;
use crate::policies::{ENGINE, LEVEL, NONE, ORACLE, Row};
use crate::reference;
use crate::run::{Cell, run_and_tell};
use crate::scenario::{Class, Scenario};
use crate::tally::Tally;
use std::ops::Range;

/// The policies that are compared, in the order of the columns.
const ROWS: [Row; 3] = [ENGINE, LEVEL, ORACLE];
/// Where the oracle stands among them.
const KNOWS: usize = 2;

/// One kind with what became of it.
struct Result {
    kind: Scenario,
    cells: [Cell; ROWS.len()],
}

/// Prints these kinds, each with each of the seeds.
pub fn print(kinds: Vec<Scenario>, seeds: Range<u64>) {
    println!(
        "cells: kernel OOM kills · healthy ended · leakers ended · requests cut by the watchdog \
         (means of the seeds {seeds:?}) · lowest headroom in % of the limit\n"
    );
    println!("| scenario | none: OOM | engine | level | oracle |\n|---|---|---|---|---|");
    let results: Vec<Result> = kinds
        .into_iter()
        .map(|kind| {
            let unwatched = Cell::new(&kind, seeds.clone(), &NONE);
            let cells = ROWS.map(|row| Cell::new(&kind, seeds.clone(), &row));
            let columns: Vec<String> = cells.iter().map(write).collect();
            let name = &kind.name;
            println!(
                "| {name} | {} | {} |",
                short(unwatched.mean(|t| t.killed)),
                columns.join(" | ")
            );
            Result { kind, cells }
        })
        .collect();
    let (known, new): (Vec<_>, Vec<_>) =
        results.iter().partition(|result| reference::of(&result.kind.name).is_some());
    for (title, results) in [("kinds of the reference", known), ("other kinds", new)] {
        println!(
            "\n{} {title}: OOM kills · healthy ended · requests cut a run, by class\n",
            results.len()
        );
        print_totals(&results);
    }
    let all = || results.iter().map(|result| &result.cells[0]);
    let sum = |count: fn(&Tally) -> u32| all().map(|cell| cell.mean(count)).sum::<f64>();
    println!(
        "\nThe engine regrets {:.1} of {:.1} healthy ones that it ended, and {:.1} of {:.1} leakers.",
        sum(|t| t.regretted_healthy),
        sum(|t| t.healthy),
        sum(|t| t.regretted_leakers),
        sum(|t| t.leakers)
    );
    println!("\nThe engine does worse than the bars:\n");
    for Result { kind, cells } in &results {
        let shortfalls = bars::shortfalls(&kind.name, &cells[0], &cells[KNOWS]);
        if !shortfalls.is_empty() {
            println!("- {}: {}", kind.name, shortfalls.join(", "));
        }
    }
}

/// Prints each signal and each kill of the runs of these kinds with that seed.
pub fn print_runs(kinds: &[Scenario], seed: u64) {
    for kind in kinds {
        for row in [NONE].iter().chain(&ROWS) {
            run_and_tell(kind, seed, row, true);
        }
    }
}

/// A mean with at most one digit after the point.
pub fn short(mean: f64) -> String {
    let text = format!("{mean:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn write(cell: &Cell) -> String {
    let counts: [fn(&Tally) -> u32; 4] = [|t| t.killed, |t| t.healthy, |t| t.leakers, |t| t.cut];
    let means = counts.map(|count| short(cell.mean(count)));
    format!("{} · {:.0}", means.join(" · "), cell.lowest())
}

fn print_totals(results: &[&Result]) {
    let classes = Class::ALL.map(|class| format!("{class:?}")).join(" | ");
    println!(
        "| policy | {classes} | runs with an OOM kill where the oracle has none | healthy runs with \
         a false end | looks/s |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (column, row) in ROWS.iter().enumerate() {
        let of = |class| {
            let cells = results.iter().filter(move |r| r.kind.class == class);
            cells.map(|r| &r.cells[column]).collect::<Vec<_>>()
        };
        let mean = |cells: &[&Cell], count: fn(&Tally) -> u32| {
            cells.iter().map(|cell| cell.mean(count)).sum::<f64>() / cells.len().max(1) as f64
        };
        let columns = Class::ALL.map(|class| {
            let cells = of(class);
            let counts: [fn(&Tally) -> u32; 3] = [|t| t.killed, |t| t.healthy, |t| t.cut];
            counts.map(|count| format!("{:.2}", mean(&cells, count))).join(" · ")
        });
        let (mut lost, mut held) = (0, 0);
        for result in results {
            for (tally, known) in result.cells[column].runs.iter().zip(&result.cells[KNOWS].runs) {
                lost += u32::from(known.killed == 0 && tally.killed > 0);
                held += u32::from(known.killed == 0);
            }
        }
        let healthy: Vec<Tally> =
            of(Class::Healthy).iter().flat_map(|cell| cell.runs.clone()).collect();
        let wrong = healthy.iter().filter(|tally| tally.healthy > 0).count();
        let looks: f64 = results
            .iter()
            .map(|r| r.cells[column].mean(|t| t.looks) / r.kind.length_s)
            .sum::<f64>()
            / results.len().max(1) as f64;
        println!(
            "| {} | {} | {lost} of {held} | {wrong} of {} | {looks:.1} |",
            row.name,
            columns.join(" | "),
            healthy.len()
        );
    }
}
