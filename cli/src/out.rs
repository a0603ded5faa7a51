//! Results on stdout, notes on stderr; neither panics when its reader has gone.

use crate::error::Error;
use serde::Serialize;
use std::io::Write;

/// Prints a whole result.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Prints one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::Failed(format!("JSON: {e}")))?;
    text.push('\n');
    print(&text)
}

/// One line on stderr.
pub(crate) fn note(line: &str) {
    // A closed stderr is no reason to stop.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
