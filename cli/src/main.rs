//! The `unisono` command: text, images, audio and video in one embedding space.

mod classify;
mod data;
mod describe;
mod doctor;
mod embed;
mod error;
mod eval;

mod filter;
mod finetune;
mod index;
mod inputs;
mod interrupt;
mod limits;
mod mapped;
mod mcp;
mod measure;
mod model;
mod out;
mod place;
mod plan;
mod precision;
mod progress;
mod report;
mod scenes;
mod search;
mod serve;
mod source;
mod stdin;
mod style;
mod texts;
mod train;
mod understand;
#[cfg(test)]
mod walk;
mod window;

use clap::{Parser, Subcommand};
use error::Error;
use unisono_media::limits::{Spelling, spell};
use unisono_torch_ext::threads;

/// Text, images, audio and video in one embedding space: train aligned encoders, embed, search, understand, evaluate.
#[derive(Parser, Debug)]
#[command(name = "unisono", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a needed program is missing, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Doctor(doctor::Args),
    #[command(subcommand)]
    Data(data::Command),
    Embed(embed::Args),
    #[command(subcommand)]
    Index(index::Command),
    Search(search::Args),
    Serve(serve::Args),
    Mcp(mcp::Args),
    Classify(classify::Args),
    Caption(understand::caption::Args),
    Match(understand::matching::Args),
    Ask(understand::ask::Args),
    Transcribe(understand::transcribe::Args),
    Scenes(scenes::Args),
    #[command(subcommand)]
    Model(model::Command),
    Train(train::Args),
    Plan(plan::Args),
    Finetune(finetune::Args),
    #[command(subcommand)]
    Eval(eval::Command),
    Report(report::Args),
    #[command(hide = true)]
    Measure(measure::Args),
}

fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Doctor(args) => doctor::run(args),
        Command::Data(command) => data::run(command),
        Command::Embed(args) => embed::run(args),
        Command::Index(command) => index::run(command),
        Command::Search(args) => search::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Mcp(args) => mcp::run(args),
        Command::Classify(args) => classify::run(args),
        Command::Caption(args) => understand::caption::run(args),
        Command::Match(args) => understand::matching::run(args),
        Command::Ask(args) => understand::ask::run(args),
        Command::Transcribe(args) => understand::transcribe::run(args),
        Command::Scenes(args) => scenes::run(args),
        Command::Model(command) => model::run(command),
        Command::Train(args) => train::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Finetune(args) => finetune::run(args),
        Command::Eval(command) => eval::run(command),
        Command::Report(args) => report::run(args),
        Command::Measure(args) => measure::run(args),
    }
}

/// How libtorch's threads wait must stand in the environment before libtorch is there.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[unsafe(link_section = ".preinit_array")]
static SHORT_WAITS: unsafe extern "C" fn(
    std::ffi::c_int,
    *const *const std::ffi::c_char,
    *const *const std::ffi::c_char,
) = threads::short_waits;

fn main() -> ! {
    mapped::install();
    // A command that has options for limits says so when it takes them; of the others, no message may name one.
    spell(Spelling::Fixed);
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(said) => {
            // Help and the version go to stdout, mistakes to stderr. Nobody is left to tell that neither can be written.
            drop(said.print());
            end(u8::try_from(said.exit_code()).unwrap_or(2))
        }
    };
    // Commands with an option or a recipe for it set it again.
    threads::set(None);
    end(match run(&command) {
        Ok(()) => 0,
        Err(error) => {
            if let (Error::Interrupted(_), Some(line)) = (&error, error.line()) {
                interrupt::farewell(&line);
            }
            if let Some(line) = error.line() {
                out::note(&line);
            }
            error.code()
        }
    })
}

/// Ends the process at once. Everything of ours is closed by now; what is left are libtorch's destructors, which take each of its thousands of
/// operators out of its tables: a tenth of a second of every command.
fn end(code: u8) -> ! {
    use std::io::Write;
    // Results were flushed when they were written.
    drop(std::io::stdout().flush());
    #[cfg(unix)]
    // SAFETY: no more of this process runs.
    unsafe {
        libc::_exit(code.into())
    }
    #[cfg(not(unix))]
    std::process::exit(code.into())
}
