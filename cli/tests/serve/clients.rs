//! Other people's clients: PyPI's `openai` and `mcp`, where a Python has them (`UNISONO_TEST_PYTHON`, else `python3`).

use crate::{command, embedded, place, served, tiny};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What the client in `clients.py` was told; nothing where there is no such client.
fn told(package: &str, args: &[&str]) -> Option<Value> {
    let python = std::env::var("UNISONO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no package {package} (pip install {package})");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/clients.py");
    let mut command = Command::new(python);
    command.arg(script).arg(package).args(args).current_dir(place()).env("OMP_NUM_THREADS", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn hexed(rows: &[Vec<u8>]) -> Vec<String> {
    rows.iter().map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
}

#[test]
fn the_client_of_openai_is_told_what_the_commands_write() {
    let s = served();
    let texts = ["a red bus", "un chat", "ein blauer Bus faehrt"];
    let base = format!("http://{}/v1", s.addr);
    let args: Vec<&str> =
        [base.as_str(), "model", "speech", "talks/s1.wav"].into_iter().chain(texts).collect();
    let Some(told) = told("openai", &args) else { return };
    let args: Vec<&str> = texts.iter().flat_map(|text| ["--text", *text]).collect();
    assert_eq!(told["embeddings"], json!(hexed(&embedded(&args, tiny::DIM))));
    assert_eq!(told["single"], json!(hexed(&embedded(&args[..2], tiny::DIM))));
    assert_eq!(told["cut"], json!(hexed(&embedded(&["--text", texts[0], "--dims", "5"], 5))));
    let said = command(&["transcribe", "--model", "speech", "--json", "--language", "de", "talks/s1.wav"]);
    let said = &said["files"][0];
    assert_eq!((&told["text"], &told["verbose"]["text"]), (&said["text"], &said["text"]));
    assert!(told["vtt"].as_str().unwrap().starts_with("WEBVTT"), "{told}");
    assert_eq!(told["models"].as_array().unwrap().len(), 5);
    assert!(told["refused"].as_str().unwrap().contains("token ids are not taken"), "{told}");
}

#[test]
fn the_client_of_the_protocol_searches() {
    let unisono = env!("CARGO_BIN_EXE_unisono");
    let args = ["a red bus", "photos/p1.png", unisono, "mcp", "--model", "model", "--index", "IDX"];
    let image = place().join("photos/p1.png");
    let args: Vec<&str> =
        args.iter().map(|a| if *a == "photos/p1.png" { image.to_str().unwrap() } else { a }).collect();
    let Some(told) = told("mcp", &args) else { return };
    assert_eq!(told["server"], "unisono");
    assert!(told["tools"].as_array().unwrap().contains(&json!("search")));
    let ids = |hits: &Value| hits.as_array().unwrap().iter().map(|h| h["id"].clone()).collect::<Vec<_>>();
    let of = |args: &[&str]| {
        let all: Vec<&str> =
            ["search", "--index", "IDX", "-k", "3", "--json"].iter().chain(args).copied().collect();
        ids(&command(&all)["hits"])
    };
    assert_eq!(ids(&told["hits"]), of(&["a red bus", "--modality", "image"]));
    assert_eq!(ids(&told["like"]), of(&["--image", "photos/p1.png"]));
    assert_eq!(told["pictures"], 3);
    assert_eq!(told["wrong"][0], true);
}
