//! Child processes: found on PATH, never silent for long, stopped together with `xtask`.

use crate::{Error, Result, ui};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// A quiet child is spoken for this often: under ten seconds, so that nobody wonders whether it hangs.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(8);

/// Ctrl-C sets a flag instead of killing `xtask`, so that half-unpacked folders are removed and a training child can
/// write its checkpoint before the prompt returns. The second Ctrl-C ends `xtask` at once.
pub(crate) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(1);
        }
    })
    .map_err(|error| Error::Start {
        command: "signal handler".to_owned(),
        source: std::io::Error::other(error),
    })
}

/// `Err(Interrupted)` once Ctrl-C was pressed; long loops ask this every few milliseconds of work.
pub(crate) fn check_interrupt() -> Result<()> {
    if INTERRUPTS.load(Ordering::SeqCst) > 0 { Err(Error::Interrupted) } else { Ok(()) }
}

/// The first executable file called one of `names` on PATH.
pub(crate) fn find_on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_executable(file)))
}

fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The command as a person would type it.
pub(crate) fn spell(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let words =
        std::iter::once(program).chain(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// Runs `command` to its end and returns its exit code. On a terminal the child draws there itself; elsewhere its lines
/// are passed on, and a line of ours says that it still works when it has been quiet for [`HEARTBEAT`].
pub(crate) fn run(what: &str, command: &mut Command) -> Result<i32> {
    let forward = !std::io::stderr().is_terminal();
    if forward {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .map_err(|source| Error::Start { command: spell(command), source })?;
    if forward {
        pass_on(what, &mut child);
    }
    let status = child.wait().map_err(|source| Error::Start { command: spell(command), source })?;
    check_interrupt()?;
    Ok(status.code().unwrap_or(1))
}

/// [`run`], with any exit code but 0 an error.
pub(crate) fn must(what: &str, command: &mut Command) -> Result<()> {
    match run(what, command)? {
        0 => Ok(()),
        code => Err(Error::Failed {
            what: what.to_owned(),
            command: spell(command),
            status: format!("exit code {code}"),
        }),
    }
}

fn pass_on(what: &str, child: &mut Child) {
    let (sender, receiver) = mpsc::channel();
    let mut streams: Vec<(bool, Box<dyn Read + Send>)> = Vec::new();
    if let Some(out) = child.stdout.take() {
        streams.push((true, Box::new(out)));
    }
    if let Some(err) = child.stderr.take() {
        streams.push((false, Box::new(err)));
    }
    for (is_stdout, stream) in streams {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
                if sender.send((is_stdout, std::mem::take(&mut line))).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let begun = Instant::now();
    loop {
        match receiver.recv_timeout(HEARTBEAT) {
            // A closed pipe on our side must not stop the child's work: write errors are passed over.
            Ok((true, line)) => drop(std::io::stdout().lock().write_all(&line)),
            Ok((false, line)) => drop(std::io::stderr().lock().write_all(&line)),
            Err(RecvTimeoutError::Timeout) => {
                ui::say(&format!("  … {what}: still working, {} s", begun.elapsed().as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_come_back() {
        assert_eq!(run("true", &mut Command::new("true")).unwrap(), 0);
        assert_eq!(run("sh", Command::new("sh").args(["-c", "exit 3"])).unwrap(), 3);
        let error = must("the step", Command::new("sh").args(["-c", "exit 7"])).unwrap_err().to_string();
        assert!(error.contains("the step") && error.contains("exit code 7"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run("nothing", &mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here") && error.contains("PATH"), "{error}");
    }

    #[test]
    fn path_lookup_takes_executables_only() {
        assert!(find_on_path(&["no-such-program-here", "sh"]).is_some_and(|file| file.ends_with("sh")));
        assert_eq!(find_on_path(&["no-such-program-here"]), None);
    }

    #[test]
    fn spelled_as_typed() {
        assert_eq!(spell(Command::new("cargo").args(["test", "--workspace"])), "cargo test --workspace");
    }
}
