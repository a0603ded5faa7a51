//! `unisono mcp`: models and an index for agents, on standard input and output.

use crate::error::Error;
use crate::limits::LimitArgs;
use crate::serve::ModelArgs;
use unisono_serve::{Settings, mcp};

/// Serve models and an index to an agent over the Model Context Protocol, on standard input and output
///
/// Its tools are search, caption, ask, transcribe and scenes: those that the models can do. It reads the files that the agent names as the user who started it.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    what: ModelArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    // A file is read as a whole, as large as the limits of media allow.
    let limits = args.limits.get();
    let body = usize::try_from(limits.files().max_file_bytes).unwrap_or(usize::MAX);
    let app = args.what.app(Settings { body, ..Settings::default() }, &args.limits)?;
    Ok(mcp::serve(app, std::io::stdin().lock(), std::io::stdout().lock())?)
}
