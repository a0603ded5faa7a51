//! The flywheel: votes on what a search found, a model that learns from them, and an index that takes it only where it is better.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code)]
#[path = "serve/http.rs"]
mod http;
mod support;
#[path = "../../train/tests/support/mod.rs"]
mod things;

use http::Served;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::{outcome, unisono};

/// What people say to the colours of `things`, which no caption says.
const SAID: [(&str, &str); 4] = [("red", "rot"), ("green", "grun"), ("blue", "blau"), ("yellow", "gelb")];
const SHAPES: [&str; 4] = ["disc", "bar", "cross", "corner"];

fn run(dir: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = outcome(unisono(args).current_dir(dir).env("OMP_NUM_THREADS", "1"));
    assert_eq!(code, 0, "{args:?}: {stdout}{stderr}");
    stdout
}

fn value(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&run(dir, args)).unwrap()
}

/// A model that knows the things by their captions, and an index of them.
fn known(dir: &Path) {
    let manifest = things::things(dir);
    let recipe = things::recipe_text(&manifest, 120, "").replace("[augment.image]\nbrightness = 0.1\n", "");
    fs::write(dir.join("recipe.toml"), recipe).unwrap();
    run(dir, &["train", "recipe.toml", "--out", "base"]);
    // Pictures and captions.
    let lines = fs::read_to_string(manifest).unwrap();
    let lines: String = lines
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().shift_remove("audio");
            format!("{record}\n")
        })
        .collect();
    fs::write(dir.join("pictures.jsonl"), lines).unwrap();
    run(dir, &["index", "build", "--model", "base", "--out", "IDX", "--manifest", "pictures.jsonl"]);
}

#[test]
fn what_people_say_is_learned_and_the_rest_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    known(dir);
    let s = Served::start(dir, &["--index", "IDX", "--votes", "votes.jsonl"]);
    let hits = s.post("/v1/search", &json!({"query": "a red disc", "k": 16, "modality": "image"})).json();
    let hits = hits["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 16);
    let hit = |name: &str| hits.iter().find(|h| h["name"] == format!("{name}.png")).unwrap();
    let vote = |query: &str, hit: &Value, vote: &str| {
        let body = json!({"query": query, "row": hit["row"], "id": hit["id"], "vote": vote, "rank": 1});
        let reply = s.post("/v1/votes", &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    for (c, (colour, said)) in SAID.iter().enumerate() {
        for (n, shape) in SHAPES.iter().enumerate() {
            for query in [format!("{said} {shape}"), format!("1 {said} {shape}"), format!("{shape} {said}")] {
                vote(&query, hit(&format!("{colour}-{shape}")), "up");
                vote(&query, hit(&format!("{}-{shape}", SAID[(c + 1 + n % 3) % 4].0)), "down");
            }
        }
    }
    // A changed mind, and what is refused.
    vote("rot disc", hit("blue-bar"), "up");
    vote("rot disc", hit("blue-bar"), "none");
    let body = |more: Value| {
        let mut body = json!({"query": "x", "row": 0, "id": hits[0]["id"], "vote": "up"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        s.post("/v1/votes", &body).status
    };
    assert_eq!(
        [body(json!({"query": " "})), body(json!({"vote": "maybe"})), body(json!({"id": "other"}))],
        [400, 400, 409]
    );

    let fed = value(dir, &["data", "from-feedback", "votes.jsonl", "--out", "fed.jsonl", "--json"]);
    assert_eq!(fed["pairs"], 48);
    let [train, held] = ["train", "val"].map(|split| fed["queries"][split].as_u64().unwrap());
    assert!(train + held == 48 && held >= 4, "{fed}");
    let lines = fs::read_to_string(dir.join("fed.jsonl")).unwrap();
    assert!(
        fed["own"] == 16 && fed["negatives"].as_u64().unwrap() > 0 && lines.lines().count() == 64,
        "{fed}"
    );
    let epochs = ["--epochs", "30", "--lr", "5e-3", "--batch", "16", "--set", "objective.0.negatives=2"];
    let tune = ["finetune", "--model", "base", "--data", "fed.jsonl", "--out", "tuned"];
    run(dir, &tune.iter().chain(&epochs).copied().collect::<Vec<_>>());

    // One that is not better changes nothing.
    let before = fs::read(dir.join("IDX/index.json")).unwrap();
    let worse =
        value(dir, &["index", "rebuild", "IDX", "--model", "base", "--votes", "votes.jsonl", "--json"]);
    assert_eq!((&worse["replaced"], &worse["before"]), (&json!(false), &worse["after"]));
    assert!(fs::read(dir.join("IDX/index.json")).unwrap() == before && !dir.join("IDX.candidate").exists());

    let made =
        value(dir, &["index", "rebuild", "IDX", "--model", "tuned", "--votes", "votes.jsonl", "--json"]);
    assert_eq!(made["replaced"], true, "{made:#}");
    assert_eq!(made["after"]["queries"], held);
    assert!(made["after"]["recall"].as_f64() > made["before"]["recall"].as_f64(), "{made:#}");
    assert_eq!(made["fell"], json!([]));
    // The server searches it from now on.
    while s.get("/v1/index").json()["model"] != "tuned (queries)" {
        std::thread::yield_now();
    }
    let found = s.post("/v1/search", &json!({"query": "a red disc", "k": 3, "modality": "image"})).json();
    assert_eq!(found["hits"].as_array().unwrap().len(), 3);
    assert_eq!(s.end(), Some(0));

    // Into the store, and served from there by its name.
    let store = dir.join("store");
    let add = ["model", "add", "tuned", "--as", "photos"];
    let (code, _, stderr) = outcome(unisono(add).current_dir(dir).env("UNISONO_STORE", &store));
    assert_eq!(code, 0, "{stderr}");
    let variables = [("UNISONO_STORE", store.to_str().unwrap())];
    let s = Served::start_with(dir, &["--model", "photos", "--index", "IDX"], &variables);
    assert_eq!(s.get("/v1/models").json()["data"][0]["id"], "photos");
    // The index's model is the same: queries go through the one that is there.
    assert_eq!(s.get("/v1/index").json()["model"], "photos");
    assert_eq!(s.end(), Some(0));
}
