//! `unisono doctor`: what this machine has, what is missing, and the command that fixes it.

mod checks;
mod cpu;
mod facts;

use crate::error::Error;
use crate::{out, style};
use checks::{Check, Status};
use serde_json::json;

/// Say what is installed, what is missing, and how to fix it
///
/// Exit code 1 when something that every command needs is broken.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let facts = facts::gather();
    let checks = checks::checks(&facts);
    let broken = checks.iter().filter(|c| c.status == Status::Broken).count();
    if args.json {
        out::json(&json!({ "ok": broken == 0, "facts": facts, "checks": checks }))?;
    } else {
        out::print(&page(&checks, style::fancy(), style::coloured()))?;
    }
    match broken {
        0 => Ok(()),
        n => Err(Error::Failed(format!(
            "{} broken; the lines marked above say what to do",
            style::count(n, "thing")
        ))),
    }
}

fn page(checks: &[Check], marks: bool, colours: bool) -> String {
    let mut page = String::new();
    for check in checks {
        let (sign, word, colour) = match check.status {
            Status::Good => ("✓", "ok  ", "32"),
            Status::Poor => ("!", "note", "33"),
            Status::Broken => ("✗", "FAIL", "31"),
        };
        let mark = if marks { sign } else { word };
        let mark = if colours { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        page += &format!("{mark} {:10} {}\n", check.name, check.value);
        if let Some(fix) = &check.fix {
            let indent = if marks { 13 } else { 16 };
            let arrow = if marks { "→" } else { "->" };
            page += &format!("{:indent$}{arrow} {fix}\n", "");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_with_and_without_marks() {
        let checks = [
            Check { name: "libtorch", status: Status::Good, value: "2.11".into(), fix: None },
            Check { name: "ffmpeg", status: Status::Poor, value: "none".into(), fix: Some("get it".into()) },
        ];
        assert_eq!(
            page(&checks, true, false),
            "✓ libtorch   2.11\n! ffmpeg     none\n             → get it\n"
        );
        assert_eq!(
            page(&checks, false, false),
            "ok   libtorch   2.11\nnote ffmpeg     none\n                -> get it\n"
        );
        assert!(page(&checks, true, true).starts_with("\x1b[32m✓\x1b[0m libtorch"));
    }
}
