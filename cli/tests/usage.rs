//! The command line itself: help, versions, wrong usage, closed pipes.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Stdio;
use support::{outcome, succeeds, unisono};

const COMMANDS: [&[&str]; 8] = [
    &["doctor"],
    &["data", "sample"],
    &["data", "inspect"],
    &["embed"],
    &["index", "build"],
    &["index", "info"],
    &["search"],
    &[],
];

#[test]
fn every_command_has_help_for_every_option() {
    for command in COMMANDS {
        let help = succeeds(command.iter().chain(&["--help"]));
        assert!(help.contains("Usage: unisono"), "{help}");
        let text = help.split_once("Options:").unwrap().1;
        for line in text.lines().filter(|l| l.trim_start().starts_with("--")) {
            // An option's help stands on its line or on the next.
            let at = text.find(line).unwrap() + line.len();
            let next = text[at..].trim_start_matches('\n').lines().next().unwrap_or_default();
            let own = line.trim_start().split_once("  ").is_some_and(|(_, help)| !help.trim().is_empty());
            assert!(own || next.starts_with("          "), "{command:?}: {line:?} {next:?}");
        }
    }
}

#[test]
fn wrong_usage_is_2() {
    let wrong: [&[&str]; 16] = [
        &[],
        &["frobnicate"],
        &["data"],
        &["data", "sample", "coins", "--out", "x"],
        &["data", "sample", "emoji"],
        &["embed", "--out", "x.npy", "a.png"],
        &["embed", "--model", "m", "--out", "x.npy"],
        &["embed", "--model", "m", "--out", "x.csv", "a.png"],
        &["embed", "--model", "m", "--out", "x.npy", "--batch", "0", "a.png"],
        &["embed", "--model", "m", "--out", "x.npy", "--modality", "smell", "a.png"],
        &["embed", "--model", "m", "--out", "x.npy", "--split", "test", "a.png"],
        &["embed", "--model", "m", "--out", "x.npy", "--device", "tpu", "a.png"],
        &["search", "--index", "x", "--device", "tpu", "words"],
        &["search", "--index", "x"],
        &["search", "--index", "x", "--image", "a.png", "--rerank", "m"],
        &["search", "--index", "x", "words", "-k", "0"],
    ];
    for args in wrong {
        let (code, stdout, stderr) = outcome(&mut unisono(args));
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stdout.is_empty() && !stderr.is_empty(), "{args:?}");
    }
    let (_, _, stderr) = outcome(&mut unisono(["embed", "--model", "m", "--out", "x.csv", "a.png"]));
    assert!(stderr.contains(".npy, .safetensors or .parquet"), "{stderr}");
}

#[test]
fn versions() {
    assert_eq!(succeeds(["--version"]), format!("unisono {}\n", env!("CARGO_PKG_VERSION")));
    assert!(succeeds(["search", "--version"]).ends_with(&format!("{}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    for args in [["doctor", "--json"], ["embed", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = unisono(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code().is_some() && !stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(stderr, "", "{args:?}");
    }
}
