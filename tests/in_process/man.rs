//! What can drift is compared: the man page's OPTIONS and the completions come from the flags.
//! `UPDATE=1 cargo test --test in_process man::` writes them anew.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use leakwatch::cli::options::Cli;
use leakwatch::core::servers::{TABLE, WorkerPolicy};
use leakwatch::report::servers::Ended;
use std::path::{Path, PathBuf};

const BEGIN: &str = ".\\\" BEGIN OPTIONS (generated from the flags)\n";
const END: &str = ".\\\" END OPTIONS\n";
const BEGIN_SERVERS: &str = ".\\\" BEGIN SERVERS (generated from the rows)\n";
const END_SERVERS: &str = ".\\\" END SERVERS\n";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares a committed file with what it should be, or writes it.
fn agree(name: &str, wanted: &str) {
    let path = file(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{name} does not agree with the flags; run UPDATE=1 cargo test --test in_process man::"
    );
}

fn options(command: &Command) -> String {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render_options_section(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    // The section's own heading stands in the page already. `Aq` is a string that a preamble would
    // define. A blank line is a space between paragraphs; beside another one, a break or a heading
    // it does nothing but upset the page's checkers.
    let text = text.replace("\\*(Aq", "\\(aq");
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| *line != ".SH OPTIONS") {
        let last = lines.last().copied().unwrap_or(".SH");
        match line {
            "" | ".br" | ".sp" if last.starts_with(".S") || [".br", ".sp"].contains(&last) => {}
            "" | ".sp" => lines.push(".sp"),
            _ => {
                while line.starts_with('.') && [".br", ".sp"].contains(lines.last().unwrap_or(&""))
                {
                    lines.pop();
                }
                lines.push(line);
            }
        }
    }
    lines.iter().map(|line| format!("{}\n", in_section(line))).collect()
}

/// A group of options is a part of its section, not another section of the page.
fn in_section(line: &str) -> String {
    let Some(name) = line.strip_prefix(".SH ") else { return line.to_owned() };
    let (first, rest) = name.trim_matches('"').split_at(1);
    format!(".SS {first}{}", rest.to_lowercase())
}

#[test]
fn the_options_of_the_man_page_are_the_flags() {
    let mut root = Cli::command();
    root.build();
    let mut body = options(&root);
    for name in
        ["check", "census", "diagnose", "evidence", "memory", "record", "replay", "servers", "top"]
    {
        let command = root.find_subcommand(name).unwrap();
        body += &format!(".SH OPTIONS OF {}\n{}", name.to_uppercase(), options(command));
    }
    let page = std::fs::read_to_string(file("man/leakwatch.8")).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a BEGIN mark");
    let (_, tail) = rest.split_once(END).expect("the page has an END mark");
    agree("man/leakwatch.8", &format!("{head}{BEGIN}{body}{END}{tail}"));
}

/// The table of the servers whose workers are ended, and a sentence with the others.
fn servers() -> String {
    let escaped = |text: &str| text.replace('-', "\\-");
    let mut table = ".TS\nlB lB\nl l.\nserver\tits workers are ended by\n".to_owned();
    let mut reported = Vec::new();
    for server in TABLE {
        let ended = match &server.workers {
            WorkerPolicy::End(ending) => Ended(ending).to_string(),
            WorkerPolicy::Allow(ending, _) => {
                format!("with --allow {}: {}", server.key, Ended(ending))
            }
            WorkerPolicy::Reload(signal, _) => {
                format!("with --reload: {} to the master", signal.name())
            }
            WorkerPolicy::Report(_) => {
                reported.push(server.name);
                continue;
            }
        };
        table += &format!("{}\t{}\n", escaped(server.name), escaped(&ended));
    }
    let (last, others) = reported.split_last().unwrap();
    let all = format!("{} and {last}", others.join(", "));
    format!("{table}.TE\n.PP\nOnly reported are the workers of {}.\n", escaped(&all))
}

#[test]
fn the_servers_of_the_man_page_are_the_rows() {
    let page = std::fs::read_to_string(file("man/leakwatch.8")).unwrap();
    let (head, rest) = page.split_once(BEGIN_SERVERS).expect("the page has a BEGIN mark");
    let (_, tail) = rest.split_once(END_SERVERS).expect("the page has an END mark");
    agree("man/leakwatch.8", &format!("{head}{BEGIN_SERVERS}{}{END_SERVERS}{tail}", servers()));
}

#[test]
fn the_completions_are_the_flags() {
    for (shell, name) in [
        (Shell::Bash, "examples/completions/leakwatch.bash"),
        (Shell::Zsh, "examples/completions/_leakwatch"),
        (Shell::Fish, "examples/completions/leakwatch.fish"),
    ] {
        let mut text = Vec::new();
        generate(shell, &mut Cli::command(), "leakwatch", &mut text);
        agree(name, &String::from_utf8(text).unwrap());
    }
}

#[test]
fn the_man_page_names_every_exit_status_and_signal() {
    let page = std::fs::read_to_string(file("man/leakwatch.8")).unwrap();
    for word in ["SH EXIT STATUS", "SH SIGNALS", "SIGUSR1", "SIGTERM", "NO_COLOR", "/proc"] {
        assert!(page.contains(word), "leakwatch.8 says nothing of {word}");
    }
}
