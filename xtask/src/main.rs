//! Set-up and developer commands: `cargo xtask setup`, `test`, `quickstart`, `towers`. Built before everything else, hence small.

mod error;
mod exec;
mod quickstart;
mod setup;
mod test;
mod ui;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub(crate) use error::{Error, Result};

/// Set-up and developer commands of Unisono.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or fetch libtorch and point cargo at it (seconds when done before)
    Setup(setup::Args),
    /// Everything CI runs: set-up, format, clippy, docs, tests
    Test(test::Args),
    /// Set up, build, fetch real data, train, evaluate, search and write report.html
    Quickstart(quickstart::Args),
    /// Fetch the public towers of recipes/quickstart.toml: MiniLM, EfficientNet-Lite0, Whisper base (237 MB)
    Towers(setup::TowersArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = exec::catch_interrupts().and_then(|()| match &cli.command {
        Command::Setup(args) => setup::run(args).map(drop),
        Command::Test(args) => test::run(args),
        Command::Quickstart(args) => quickstart::run(args),
        Command::Towers(args) => setup::towers(args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
