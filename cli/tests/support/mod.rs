//! Runs the built command.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// `unisono`, with a cache of its own and no terminal.
pub fn unisono<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unisono"));
    command.args(args).env_remove("UNISONO_CACHE").stdin(std::process::Stdio::null());
    command
}

/// Its outcome: exit code, stdout, stderr.
pub fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// Runs it and expects success; stdout.
pub fn succeeds<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let (code, stdout, stderr) = outcome(&mut unisono(args));
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    stdout
}

/// Runs it and expects JSON.
pub fn json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> serde_json::Value {
    serde_json::from_str(&succeeds(args)).unwrap()
}

/// Runs it and expects exit code 1 and one line `error: …`; that line.
pub fn fails<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let (code, stdout, stderr) = outcome(&mut unisono(args));
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && stderr.ends_with(&format!("{}\n", errors[0])), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].to_owned()
}

/// A path as text.
pub fn s(path: &Path) -> &str {
    path.to_str().unwrap()
}
