//! `unisono serve`: its answers are those of the commands, and nothing that a stranger sends ends it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "serve/agent.rs"]
mod agent;
#[path = "serve/answers.rs"]
mod answers;
#[path = "serve/clients.rs"]
mod clients;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/refusals.rs"]
mod refusals;
mod room;
mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Reply, Served};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use support::{outcome, unisono};

/// A folder with one of everything, made once.
fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("serve");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        room::fill(&dir);
        dir
    })
}

/// One server of everything, for all tests that do not end it. It ends with the last who holds it: one in a static would outlive the tests.
fn served() -> Arc<Served> {
    static SERVED: Mutex<Weak<Served>> = Mutex::new(Weak::new());
    let mut served = SERVED.lock().unwrap();
    served.upgrade().unwrap_or_else(|| {
        let models = ["model", "captions", "answers", "speech", "pairs"];
        let args: Vec<&str> = models.iter().flat_map(|m| ["--model", *m]).chain(["--index", "IDX"]).collect();
        let made = Arc::new(Served::start(place(), &args));
        *served = Arc::downgrade(&made);
        made
    })
}

/// Vectors of an answer.
fn vectors(reply: &Reply) -> Vec<Vec<u8>> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let all = reply.json();
    let bytes = |v: &Value| BASE64_STANDARD.decode(v["embedding"].as_str().unwrap()).unwrap();
    all["data"].as_array().unwrap().iter().map(bytes).collect()
}

/// What `unisono embed` writes for these arguments, row by row.
fn embedded(args: &[&str], width: usize) -> Vec<Vec<u8>> {
    let out = format!("{}.npy", args.join("_").replace(['/', ' ', '-'], "_"));
    let all = ["embed", "--model", "model", "--fresh", "--out", out.as_str()]
        .into_iter()
        .chain(args.iter().copied());
    let (code, _, stderr) = outcome(unisono(all).current_dir(place()).env("OMP_NUM_THREADS", "1"));
    assert_eq!(code, 0, "{stderr}");
    let bytes = fs::read(place().join(out)).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[head..].chunks(4 * width).map(<[u8]>::to_vec).collect()
}

fn data_url(mime: &str, path: &str) -> String {
    format!("data:{mime};base64,{}", BASE64_STANDARD.encode(fs::read(place().join(path)).unwrap()))
}

fn command(args: &[&str]) -> Value {
    let (code, stdout, stderr) = outcome(unisono(args).current_dir(place()).env("OMP_NUM_THREADS", "1"));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}
