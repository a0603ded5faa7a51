//! Every command line of README.md, CONTRIBUTING.md and `docs/` runs on tiny fixtures and does what the text beside it says. A line that is
//! new runs as it stands; what it is to show, or why it cannot run here, is said in `documents/known.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "documents/extract.rs"]
mod extract;
#[path = "documents/known.rs"]
mod known;
#[path = "options/line.rs"]
mod line;
#[path = "documents/place.rs"]
mod place;
mod room;
mod support;
#[path = "../../train/tests/support/mod.rs"]
mod things;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use extract::{Line, commands, meanings};
use known::{Expected, KNOWN};
use place::Place;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents' names.
fn documents() -> Vec<String> {
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md"].map(String::from).into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names
}

fn lines_of(name: &str) -> Vec<Line> {
    let text = fs::read_to_string(root().join(name)).unwrap();
    let (lines, strange) = commands(name, &text);
    let strange: Vec<String> = strange.iter().map(|l| format!("{name}:{}: {}", l.number, l.text)).collect();
    assert!(
        strange.is_empty(),
        "no commands, in fences without a language; name it (```text):\n{}",
        strange.join("\n")
    );
    lines
}

/// Runs a document's lines in their order, in a place of their own.
fn run(name: &str) -> Vec<String> {
    let lines = lines_of(name);
    let runs = |line: &Line| !matches!(known::of(&line.text), Some(Expected::Not(_)));
    if !lines.iter().any(runs) {
        return Vec::new();
    }
    let mut place = Place::new();
    let mut wrong = Vec::new();
    for line in lines.iter().filter(|l| runs(l)) {
        for (which, text) in meanings(&line.text).iter().enumerate() {
            let said = match known::of(&line.text) {
                Some(Expected::Runs(check)) => place.run(text, which).and_then(|found| check(&place, &found)),
                Some(Expected::Otherwise(run)) => run(&mut place, text),
                _ => place.run(text, which).map(|_| ()),
            };
            if let Err(e) = said {
                wrong.push(format!("{name}:{}: {text}\n    {}", line.number, e.replace('\n', "\n    ")));
            }
        }
    }
    wrong
}

#[test]
fn the_readmes_lines_run() {
    let wrong = run("README.md");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_other_documents_lines_run() {
    let wrong: Vec<String> =
        documents().iter().filter(|name| *name != "README.md").flat_map(|name| run(name)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_known_stands_in_a_document() {
    let lines: Vec<Line> = documents().iter().flat_map(|name| lines_of(name)).collect();
    assert!(lines.len() > 60, "only {} lines were found", lines.len());
    let met: BTreeSet<&str> =
        lines.iter().filter_map(|l| known::entry(&l.text)).map(|(start, _)| *start).collect();
    for (start, expected) in KNOWN {
        assert!(
            !matches!(expected, Expected::Not(reason) if reason.is_empty()),
            "{start}: say why it cannot run"
        );
    }
    let gone: Vec<&str> =
        KNOWN.iter().map(|(start, _)| *start).filter(|start| !met.contains(start)).collect();
    assert!(gone.is_empty(), "no document has these lines any more: {gone:?}");
}

/// The README's code block is `examples/embed.rs`, which the tests compile, and which a line of it runs.
#[test]
fn the_readme_shows_the_example() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = fs::read_to_string(root().join("examples/embed.rs")).unwrap();
    let (_, code) = example.split_once('\n').unwrap();
    assert!(readme.contains(code.trim()), "README.md and examples/embed.rs differ");
}
