//! Running the package registries' own programs.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::progress::TICK;
use crate::{Error, Result};
use unisono_media::one_line;

/// Runs a command to its end without a terminal, calling `tick` several times a second.
///
/// # Errors
/// [`Error::ToolMissing`] when the program is not installed, [`Error::Command`] when it fails.
pub(super) fn run(command: &mut Command, what: &str, tick: &mut dyn FnMut()) -> Result<()> {
    let mut child = spawn(command.stdout(Stdio::null()), what)?;
    // Its pipe is emptied on a thread: a full pipe would block the program for ever.
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || read_all(stderr));
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) => std::thread::park_timeout(TICK),
            Err(e) => break Err(e),
        }
        tick();
    };
    let stderr = reader.join().unwrap_or_default();
    finish(command, status, &stderr)
}

/// Starts a command with its standard error piped.
pub(super) fn spawn(command: &mut Command, what: &str) -> Result<Child> {
    let tool = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::ToolMissing { tool, what: what.to_owned() },
        _ => Error::Command { command: tool, status: "could not start".into(), stderr: e.to_string() },
    })
}

/// The error of a command that did not end well.
pub(super) fn finish(command: &Command, status: std::io::Result<ExitStatus>, stderr: &str) -> Result<()> {
    let failed = |status: String| {
        let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        // npm ends with where its log lies, and apt-get with a follow-up: the cause stands above.
        let cause = |line: &&&str| line.contains("reason:") || line.starts_with("E:");
        let line = lines.iter().find(cause).or(lines.last()).copied().unwrap_or("no message");
        // Options would drown the message: the program and its words say what was tried.
        let option = |word: &str| word.starts_with('-') || word.contains("::");
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|w| w.to_string_lossy()).filter(|w| !option(w)).collect();
        Err(Error::Command { command: words.join(" "), status, stderr: one_line(line) })
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => failed(status.to_string()),
        Err(e) => failed(e.to_string()),
    }
}

/// Everything a program wrote, as text.
pub(super) fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is still the best message there is.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_a_typed_error() {
        let error = run(&mut Command::new("no-such-program-here"), "test this", &mut || ()).unwrap_err();
        assert!(
            matches!(&error, Error::ToolMissing { tool, .. } if tool == "no-such-program-here"),
            "{error}"
        );
        assert_eq!(error.to_string(), "`no-such-program-here` is not installed; it is needed to test this");
    }

    #[test]
    fn a_failure_shows_the_last_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo 'the reason' >&2; exit 3"]);
        let error = run(&mut command, "test", &mut || ()).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("the reason"), "{error}");
    }
}
