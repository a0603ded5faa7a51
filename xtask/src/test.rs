//! `cargo xtask test`: everything CI runs, in the order in which it fails fastest.

use crate::{Result, exec, setup, ui};
use std::time::{Duration, Instant};

/// Options of `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Skip set-up (libtorch is there already)
    #[arg(long)]
    no_setup: bool,
}

/// A step: its name, cargo's arguments, and a variable to set.
type Step = (&'static str, &'static [&'static str], Option<(&'static str, &'static str)>);

/// Clippy and the tests share one profile, so libtorch's bindings are compiled once.
const STEPS: [Step; 4] = [
    ("format", &["fmt", "--all", "--check"], None),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], None),
    ("docs", &["doc", "--workspace", "--no-deps"], Some(("RUSTDOCFLAGS", "-D warnings"))),
    ("tests", &["test", "--workspace"], None),
];

/// Runs the steps; the first failure ends it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut outcome = Ok(());
    let mut failed = "";
    let ready = if args.no_setup {
        setup::assume()?
    } else {
        step("set-up", &mut times, || setup::run(&setup::Args::default()))?
    };
    for (name, words, variable) in STEPS {
        outcome = step(name, &mut times, || {
            let mut cargo = ready.cargo()?;
            cargo.args(words).envs(variable);
            exec::must(name, &mut cargo)
        });
        if outcome.is_err() {
            failed = name;
            break;
        }
    }
    for (name, time) in &times {
        let mark = if *name == failed { "FAILED" } else { "ok" };
        ui::say(&format!("  {name:8} {mark:6} {}", ui::clock(*time)));
    }
    let verdict = if outcome.is_ok() { "all passed" } else { "stopped at the first failure" };
    ui::say(&format!("{verdict}, {}", ui::clock(begun.elapsed())));
    outcome
}

fn step<T>(
    name: &'static str,
    times: &mut Vec<(&'static str, Duration)>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    ui::say(&format!("== {name}"));
    let begun = Instant::now();
    let outcome = work();
    times.push((name, begun.elapsed()));
    outcome
}
