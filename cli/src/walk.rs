//! Every option of every command is in the table of `tests/options`, which says what it changes; any two of them stand together, or are
//! known to exclude each other. The table's runs are in `tests/options.rs`.

#[path = "../tests/options/line.rs"]
mod line;
#[path = "../tests/options/table.rs"]
mod table;

use crate::Cli;
use clap::{CommandFactory, Parser};
use line::{merge, words};
use std::collections::BTreeSet;
use table::{Command, Scenario, commands};

/// Each command that does something, by its words, with its options' names.
fn leaves() -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), Cli::command())];
    while let Some((name, command)) = open.pop() {
        let inner: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set()).cloned().collect();
        if inner.is_empty() {
            let options = command.get_arguments().filter(|a| !a.is_positional() && !a.is_hide_set());
            let names = options.filter_map(|a| a.get_long()).filter(|l| !["help", "version"].contains(l));
            found.push((name, names.map(|l| format!("--{l}")).collect()));
        } else {
            open.extend(inner.into_iter().map(|c| (format!("{name} {}", c.get_name()).trim().to_owned(), c)));
        }
    }
    found.sort();
    found
}

impl Command {
    /// Whether two scenarios exclude each other: their options do, or what stands beside the one does exclude the other.
    fn excludes(&self, a: &Scenario, b: &Scenario) -> bool {
        let names = |s: &Scenario| {
            let beside = words(s.with.strip_prefix('=').unwrap_or_default());
            beside.into_iter().chain([s.option.to_owned()]).collect::<Vec<_>>()
        };
        let pair = |x: &str, y: &str| self.refused.contains(&(x, y)) || self.refused.contains(&(y, x));
        names(a).iter().any(|x| names(b).iter().any(|y| pair(x, y)))
    }

    fn valued(&self, option: &str) -> bool {
        self.all().iter().any(|s| s.option == option && words(s.given).len() > 1)
    }

    /// Whether the parser takes these scenarios together.
    fn parses(&self, together: &[&Scenario]) -> Result<(), String> {
        let own = together.iter().find_map(|s| s.with.strip_prefix('=')).unwrap_or(self.line);
        let mut parts = vec![own];
        parts.extend(together.iter().map(|s| s.with).filter(|with| !with.starts_with('=')));
        parts.extend(together.iter().map(|s| s.given));
        let args = merge(&parts, |option| self.valued(option));
        let name = words(self.name);
        let all = std::iter::once("unisono")
            .chain(name.iter().map(String::as_str))
            .chain(args.iter().map(String::as_str));
        Cli::try_parse_from(all).map(drop).map_err(|e| format!("{} {args:?}: {e}", self.name))
    }
}

#[test]
fn every_option_has_its_line() {
    let known: Vec<&str> = commands().map(|c| c.name).collect();
    for (name, options) in leaves() {
        let command = commands().find(|c| c.name == name);
        let command = command.unwrap_or_else(|| panic!("`{name}` is not in tests/options/table.rs"));
        let there: BTreeSet<String> = command.all().iter().map(|s| s.option.to_owned()).collect();
        let missing: Vec<_> = options.difference(&there).collect();
        assert!(missing.is_empty(), "`{name}`: say in tests/options/table.rs what {missing:?} change");
        let gone: Vec<_> = there.difference(&options).collect();
        assert!(gone.is_empty(), "`{name}` has no options {gone:?}");
        assert_eq!(there.len(), command.all().len(), "`{name}`: an option twice");
    }
    assert_eq!(known.len(), leaves().len(), "{known:?}");
}

#[test]
fn options_alone_and_in_pairs_are_taken_or_refused_as_known() {
    let mut wrong = Vec::new();
    for command in commands() {
        let all = command.all();
        for (i, a) in all.iter().enumerate() {
            wrong.extend(command.parses(&[a]).err());
            for b in &all[i + 1..] {
                // The own line of a second scenario does not stand beside the first one's.
                let own = |s: &Scenario| s.with.starts_with('=');
                let lines = if own(a) && own(b) { Scenario { with: "", ..*b } } else { *b };
                let refused = command.excludes(a, &lines);
                match command.parses(&[a, b]) {
                    Err(e) if !refused => wrong.push(e),
                    Ok(()) if refused => {
                        wrong
                            .push(format!("{}: {} and {} are not refused", command.name, a.option, b.option));
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The parser's own checks: names that clash, conflicts with options that do not exist.
#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

/// An empty variable is an absent one.
#[test]
fn no_option_reads_the_environment() {
    let mut open = vec![Cli::command()];
    while let Some(command) = open.pop() {
        for argument in command.get_arguments() {
            assert!(argument.get_env().is_none(), "{}: {argument}", command.get_name());
        }
        open.extend(command.get_subcommands().cloned());
    }
}
