//! `unisono index add`, `remove`, `merge`, `check`, `compact`: as they are typed, and killed while they run.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use support::{fails, json, outcome, s, succeeds, unisono};
use tiny::names;

struct Place {
    dir: tempfile::TempDir,
    model: PathBuf,
    media: PathBuf,
    index: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (model, media, index) =
        (tiny::model_dir(dir.path()), dir.path().join("media"), dir.path().join("idx"));
    fs::create_dir(&media).unwrap();
    (0..4).for_each(|n| tiny::image(&media.join(format!("p{n}.png")), n));
    tiny::audio(&media.join("s.wav"), 3);
    let root = s(&media);
    let text = succeeds(["index", "build", "--model", s(&model), "--out", s(&index), "--root", root, root]);
    assert!(text.contains("5 items (4 image, 1 audio)"), "{text}");
    Place { dir, model, media, index }
}

/// Whether a row of a table or a hit of this name is found.
fn found(args: &[&str]) -> Vec<String> {
    let found = json(args.iter().chain(&["--json"]));
    let name = |hit: &serde_json::Value| {
        Path::new(hit["id"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
    };
    found["hits"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn an_index_lives_with_its_collection() {
    let p = place();
    let (index, media) = (s(&p.index), s(&p.media));
    tiny::image(&p.media.join("new.png"), 9);
    fs::copy(p.media.join("p1.png"), p.media.join("again.png")).unwrap();
    let text = succeeds(["index", "add", index, media]);
    assert!(text.contains("6 items (5 image, 1 audio)"), "{text}");
    assert!(text.contains("1 item embedded, 1 that hold what others hold, 5 unchanged"), "{text}");
    let info = succeeds(["index", "info", index]);
    for part in ["copies   1 that hold", "root     ", "changed  "] {
        assert!(info.contains(part), "{part}: {info}");
    }
    fs::remove_file(p.media.join("p0.png")).unwrap();
    let text = succeeds(["index", "remove", index, "--missing"]);
    assert!(text.contains("1 item removed; it holds 5 items"), "{text}");
    // The collection moves.
    let moved = p.dir.path().join("moved");
    fs::rename(&p.media, &moved).unwrap();
    let image = moved.join("new.png");
    let args = ["search", "--index", index, "--root", s(&moved), "--image", s(&image), "-k", "1"];
    assert_eq!(found(&args), ["new.png"]);
    let hits = json(args.iter().chain(&["--json"]));
    assert_eq!((&hits["hits"][0]["missing"], &hits["hits"][0]["path"]), (&false.into(), &s(&image).into()));
    let text = succeeds(["index", "compact", index, "--root", s(&moved)]);
    assert!(text.contains("5 items (4 image, 1 audio) of width 12, in one segment"), "{text}");
    let text = succeeds(["index", "add", index, s(&moved)]);
    assert!(text.contains("0 items embedded, 6 unchanged"), "{text}");
    let other = p.dir.path().join("other");
    succeeds([
        "index",
        "build",
        "--model",
        s(&p.model),
        "--out",
        s(&other),
        "--root",
        s(&moved),
        "--text",
        "a red bus",
    ]);
    let both = p.dir.path().join("both");
    let text = succeeds(["index", "merge", index, s(&other), "--out", s(&both)]);
    assert!(text.contains("6 items (1 text, 4 image, 1 audio) of width 12, merged of 2"), "{text}");
    let text = succeeds(["index", "check", s(&both)]);
    assert!(text.contains("1 segment whole, 0 damaged"), "{text}");
    assert!(fails(["index", "add", "/no/idx", s(&moved)]).contains("/no/idx"));
    assert!(fails(["index", "remove", index, "/no/such"]).contains("nothing was removed"));
}

#[test]
fn searches_are_filtered_combined_and_by_example() {
    let p = place();
    let index = s(&p.index);
    let image = p.media.join("p1.png");
    let search = |more: &[&str]| found(&[&["search", "--index", index, "-k", "9"], more].concat());
    let only = |more: &[&str]| search(&[&["--image", s(&image)], more].concat());
    assert_eq!(only(&[])[0], "p1.png");
    assert_eq!(only(&["--path", "*.wav"]), ["s.wav"]);
    assert_eq!(only(&["--where", "path~p3"]), ["p3.png"]);
    assert_eq!(only(&["--before", "1999-01-01"]), Vec::<String>::new());
    assert_eq!(only(&["--since", "1days"]).len(), 5);
    let like = search(&["--like", s(&image)]);
    assert_eq!(like.len(), 4);
    assert!(!like.contains(&"p1.png".to_owned()) && !like.is_empty());
    // No model is needed for what the index holds.
    fs::rename(&p.model, p.dir.path().join("away")).unwrap();
    assert_eq!(search(&["--like", s(&image)]), like);
    fs::rename(p.dir.path().join("away"), &p.model).unwrap();
    assert!(fails(["search", "--index", index, "--like", "none"]).contains("holds no item \"none\""));
    // All weight on one query is that query.
    let both = only(&["--audio", s(&p.media.join("s.wav")), "--weights", "0,1"]);
    assert_eq!(both[0], "s.wav");
    let away = json(["search", "--index", index, "a bus", "--not", "a chat", "--json"]);
    let weights: Vec<f64> =
        away["queries"].as_array().unwrap().iter().map(|q| q["weight"].as_f64().unwrap()).collect();
    assert_eq!(weights, [1.0, -0.5]);
    for (args, part) in [
        (&["bus", "--weights", "1,2"][..], "--weights: expected a number for each of 1 queries, found 2"),
        (&["bus", "--weights=-1"], "--weights: expected numbers from 0 on"),
        (&["bus", "--chance", "0"], "--chance: expected a number above 0"),
        (&["bus", "--chance", "0.1", "--not", "x"], "of several queries together no chance is known"),
        (&["bus", "--where", "year"], "--where: \"year\" is no test of a key"),
        (&["bus", "--path", "a["], "--path: \"a[\" is no pattern"),
        (&["bus", "--since", "soon"], "--since: \"soon\" is no moment"),
        (&["--not", "bus"], "required"),
    ] {
        let (code, _, said) = outcome(&mut unisono(["search", "--index", index].iter().chain(args)));
        assert!(code == 2 && said.contains(part), "{args:?}: {code} {said}");
    }
    let (code, _, said) = outcome(&mut unisono(["index", "remove", index]));
    assert!(code == 2 && said.contains("nothing to remove"), "{said}");
}

#[test]
fn hits_carry_their_chance() {
    let p = place();
    let index = s(&p.index);
    // 256 sentences and four images are pairs enough, and five items among themselves are not.
    let hits = json(["search", "--index", index, "a red bus", "--modality", "image", "--json"]);
    let hits = hits["hits"].as_array().unwrap().clone();
    let chances: Vec<f64> = hits.iter().map(|hit| hit["chance"].as_f64().unwrap()).collect();
    assert!(
        chances.len() == 4 && chances.is_sorted() && chances.iter().all(|c| *c > 0.0 && *c <= 1.0),
        "{chances:?}"
    );
    let text = succeeds(["search", "--index", index, "a red bus", "--modality", "image"]);
    assert!(text.contains("chance") && text.contains("1 in "), "{text}");
    let limit = format!("{}", chances[1]);
    let args = ["search", "--index", index, "a red bus", "--modality", "image", "--chance"];
    let few = json(args.iter().chain(&[limit.as_str(), "--json"]));
    assert_eq!(few["hits"].as_array().unwrap().len(), chances.iter().filter(|c| **c <= chances[1]).count());
    let (code, _, said) = outcome(&mut unisono(args.iter().chain(&["1e-9"])));
    assert!(code == 0 && said.contains("random pairs score as high as the nearest more often"), "{said}");
    let image = p.media.join("p1.png");
    let e = fails(["search", "--index", index, "--image", s(&image), "--chance", "0.1"]);
    assert!(e.contains("does not know how random pairs of image and"), "{e}");
    let order = found(&["search", "--index", index, "a red bus", "--order", "chance"]);
    assert_eq!(order.len(), 5);
}

#[test]
fn damage_is_named_and_taken_out() {
    let p = place();
    let index = s(&p.index);
    tiny::image(&p.media.join("new.png"), 9);
    succeeds(["index", "add", index, s(&p.media)]);
    let segments = p.index.join("segments");
    let last = names(&segments).pop().unwrap();
    let vectors = segments.join(&last).join("vectors.safetensors");
    let mut bytes = fs::read(&vectors).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&vectors, &bytes).unwrap();
    let (code, stdout, stderr) = outcome(&mut unisono(["index", "check", index]));
    assert!(
        code == 1 && stdout.contains(&format!("segments/{last}: ")) && stderr.contains("--repair"),
        "{stdout}{stderr}"
    );
    fs::write(&vectors, &bytes[..end]).unwrap();
    let image = p.media.join("p1.png");
    let args = ["search", "--index", index, "--image", s(&image), "-k", "1"];
    let (code, stdout, stderr) = outcome(&mut unisono(args));
    assert!(
        code == 0 && stdout.contains("p1.png") && stderr.contains("is damaged, and nothing in it is found"),
        "{stderr}"
    );
    assert!(
        fails(["index", "add", index, s(&p.media)]).contains("`unisono index check --repair` takes it out")
    );
    let text = succeeds(["index", "check", index, "--repair"]);
    assert!(text.contains("taken out, with 1 item"), "{text}");
    let text = succeeds(["index", "add", index, s(&p.media)]);
    assert!(text.contains("1 item embedded, 5 unchanged"), "{text}");
    assert_eq!(json(["index", "check", index, "--json"])["damaged"], 0);
}

/// Kills a run when `count` items are in its index, or lets it end; whether it was killed.
fn killed(mut child: Child, index: &Path, count: usize) -> bool {
    loop {
        if held(index).len() >= count {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(status.success(), "{said}");
            return false;
        }
        std::thread::yield_now();
    }
}

/// The ids of an index that may be in the making.
fn held(index: &Path) -> Vec<String> {
    unisono_jobs::Index::open(index).map_or(Vec::new(), |index| index.items().map(|item| item.id).collect())
}

/// Kills `index add` ten times, at moments from the first round to the last: the index opens, holds nothing twice, and what it held stays.
#[test]
fn a_killed_add_loses_nothing_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let (index, texts) = (dir.path().join("idx"), dir.path().join("texts.jsonl"));
    let lines: String =
        (0..12_000).map(|n| format!("{{\"id\":\"r{n}\",\"text\":\"number {n}\"}}\n")).collect();
    fs::write(&texts, lines).unwrap();
    let few = ["index", "build", "--model", s(&model), "--out", s(&index), "--text", "a red bus"];
    succeeds(few);
    let mut before = held(&index);
    let mut kills = 0;
    for round in 1..=10 {
        let mut command = unisono(["index", "add", s(&index), "--data", s(&texts), "--threads", "1"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        kills += usize::from(killed(child, &index, 1 + round * 1024 + (round * 7919) % 1024));
        let now = held(&index);
        let distinct: HashSet<&String> = now.iter().collect();
        assert_eq!(distinct.len(), now.len(), "something is there twice");
        assert!(before.iter().all(|id| distinct.contains(id)), "something was lost");
        succeeds(["index", "check", s(&index)]);
        before = now;
    }
    assert!(kills > 5, "{kills}");
    let text = succeeds(["index", "add", s(&index), "--data", s(&texts)]);
    assert!(text.contains("12001 items") && !text.contains(" 12000 items embedded"), "{text}");
    let text = succeeds(["index", "add", s(&index), "--data", s(&texts)]);
    assert!(text.contains("0 items embedded, 12000 unchanged"), "{text}");
    let left: Vec<String> = names(dir.path());
    assert_eq!(left, ["idx", "model", "texts.jsonl"]);
}
