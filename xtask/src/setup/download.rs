//! One wheel into the cache: found as pip finds it, resumed, checked, renamed.

use super::platform::{self, Wheel};
use crate::{Error, Result, exec, ui};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

const HELPER: &str = include_str!("fetch.py");

/// Where wheels come from and go to.
pub(crate) struct Source<'a> {
    pub(crate) python: &'a Path,
    /// pip's platform tags.
    pub(crate) tags: &'a [&'a str],
    pub(crate) folder: &'a Path,
    /// Further options for pip; tests name their own index here.
    pub(crate) options: &'a [String],
    /// Further variables for pip.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// Seconds before the first retry.
    pub(crate) pause: u32,
}

/// What one run of the helper came to.
enum Outcome {
    /// The whole file, and the digest that the index gave.
    Saved(Option<String>),
    /// This pip's inner classes are others than we know.
    UnknownPip(String),
}

impl<'a> Source<'a> {
    /// The index that pip knows, for this machine.
    pub(crate) fn usual(python: &'a Path, folder: &'a Path) -> Self {
        let tags = platform::this().map_or(&[][..], |platform| platform.tags);
        Self { python, tags, folder, options: &[], variables: &[], pause: 1 }
    }

    fn pip_options(&self) -> Vec<String> {
        let mut options =
            ["--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
                .map(str::to_owned)
                .to_vec();
        options.extend(self.tags.iter().map(|tag| format!("--platform={tag}")));
        options.extend_from_slice(self.options);
        options
    }

    /// The checked wheel's path. An interrupted download goes on from its `.part` file.
    pub(crate) fn fetch(&self, wheel: &Wheel, label: &str) -> Result<PathBuf> {
        let file =
            self.folder.join(format!("{}-{}-{}.whl", wheel.name, wheel.version, std::env::consts::ARCH));
        let part = file.with_extension("whl.part");
        if file.exists() && !wheel.sha256.is_empty() && digest(&file, label)? == wheel.sha256 {
            return Ok(file);
        }
        fs::create_dir_all(self.folder).map_err(Error::io("creating", self.folder))?;
        loop {
            let resumed = part.exists();
            let listed = match self.transfer(wheel, label, &part)? {
                Outcome::Saved(listed) => listed,
                Outcome::UnknownPip(detail) => {
                    ui::say(&format!(
                        "  pip's finder could not be asked ({detail}); falling back to `pip download`"
                    ));
                    self.pip_download(wheel, label, &part)?;
                    None
                }
            };
            let expected = if wheel.sha256.is_empty() { listed } else { Some(wheel.sha256.to_owned()) };
            let expected =
                expected.ok_or_else(|| Error::Unchecked(format!("{} {}", wheel.name, wheel.version)))?;
            let found = digest(&part, label)?;
            if found == expected {
                fs::rename(&part, &file).map_err(Error::io("creating", &file))?;
                return Ok(file);
            }
            fs::remove_file(&part).map_err(Error::io("removing", &part))?;
            // A part of another file of the same name spoils the whole: once more from the first byte.
            if !resumed {
                return Err(Error::Checksum {
                    file: format!("{} {}", wheel.name, wheel.version),
                    expected,
                    found,
                });
            }
            ui::say("  the resumed file has another checksum; fetching it anew");
        }
    }

    fn transfer(&self, wheel: &Wheel, label: &str, part: &Path) -> Result<Outcome> {
        let want = json!({
            "name": wheel.name, "version": wheel.version, "options": self.pip_options(), "part": part, "pause": self.pause,
            "sha256": wheel.sha256,
        });
        let mut child = Command::new(self.python)
            .args(["-c", HELPER, &want.to_string()])
            .current_dir(self.folder)
            .envs(self.variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Start { command: self.python.display().to_string(), source })?;
        let outcome = follow(&mut child, wheel, label);
        if outcome.is_err() {
            // Already gone, or to be gone.
            drop(child.kill());
        }
        drop(child.wait());
        outcome
    }

    /// Without resume and bytes, but through pip's public door.
    fn pip_download(&self, wheel: &Wheel, label: &str, part: &Path) -> Result<()> {
        let folder = self.folder.join("pip.tmp");
        super::stage::remove(&folder)?;
        let mut command = Command::new(self.python);
        command
            .envs(self.variables.iter().copied())
            .args(["-m", "pip", "download", "--dest"])
            .arg(&folder)
            .args(self.pip_options());
        exec::must(label, command.arg(format!("{}=={}", wheel.name, wheel.version)))?;
        let mut entries = fs::read_dir(&folder).map_err(Error::io("reading", &folder))?;
        let saved = entries.find_map(|entry| entry.ok().map(|entry| entry.path()));
        let saved = saved
            .ok_or_else(|| Error::Incomplete { path: folder.clone(), missing: wheel.name.to_owned() })?;
        fs::rename(&saved, part).map_err(Error::io("creating", part))?;
        super::stage::remove(&folder)
    }
}

/// Turns the helper's JSON lines into a progress bar, notes and one outcome.
fn follow(child: &mut Child, wheel: &Wheel, label: &str) -> Result<Outcome> {
    let what = format!("{} {}", wheel.name, wheel.version);
    let mut bar = ui::Bytes::new(label, wheel.size);
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(|line| line.ok()).try_for_each(|line| sender.send(line))
        });
    }
    let stderr = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = String::new();
            drop(stderr.read_to_string(&mut text));
            text
        })
    });
    let mut listed = None;
    let mut heard = Instant::now();
    loop {
        exec::check_interrupt()?;
        let line = match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                if heard.elapsed() >= exec::HEARTBEAT {
                    heard = Instant::now();
                    bar.note("waiting for the server");
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        heard = Instant::now();
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| message.get(key).and_then(Value::as_u64);
        if message.get("file").is_some() {
            listed = message.get("sha256").and_then(Value::as_str).map(str::to_owned);
        } else if let Some(start) = number("start") {
            bar.begin(start, number("total").unwrap_or(wheel.size));
        } else if let Some(done) = number("done") {
            bar.at(done);
        } else if message.get("note").is_some() {
            bar.note(&text("note"));
        } else if number("saved").is_some() {
            bar.finish();
            return Ok(Outcome::Saved(listed));
        } else if message.get("error").is_some() {
            let detail = text("detail");
            return match text("error").as_str() {
                "pip" => Ok(Outcome::UnknownPip(detail)),
                "no-pip" => Err(super::origin::NO_PIP),
                "missing" | "http" => Err(Error::NoWheel { what, detail }),
                "space" => Err(Error::DiskFull(what)),
                "listed" => Err(Error::Checksum {
                    file: format!("{what} as the index lists it"),
                    expected: wheel.sha256.to_owned(),
                    found: detail,
                }),
                _ => Err(Error::Network { what, detail }),
            };
        }
    }
    exec::check_interrupt()?;
    let text = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
    Ok(Outcome::UnknownPip(last.trim().to_owned()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file, in hex.
fn digest(file: &Path, label: &str) -> Result<String> {
    let mut reader = File::open(file).map_err(Error::io("opening", file))?;
    let total = reader.metadata().map_err(Error::io("reading", file))?.len();
    let mut bar = ui::Bytes::new(format!("{label}: checksum"), total);
    bar.begin(0, total);
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        exec::check_interrupt()?;
        let length = reader.read(&mut block).map_err(Error::io("reading", file))?;
        let Some(bytes) = block.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        bar.add(length as u64);
    }
    bar.finish();
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
