//! Models of sentence-transformers through the command: prompts, roles, sizes.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{fails, json, outcome, s, succeeds, unisono};

fn model(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sentences").join(name).canonicalize().unwrap()
}

fn golden(name: &str) -> Value {
    serde_json::from_slice(&fs::read(model(name).join("golden.json")).unwrap()).unwrap()
}

fn texts(name: &str) -> Vec<String> {
    serde_json::from_value(golden(name)["texts"].clone()).unwrap()
}

/// `--text` before each of them.
fn given(texts: &[String]) -> Vec<&str> {
    texts.iter().flat_map(|text| ["--text", text.as_str()]).collect()
}

/// The rows of a `.npy` file.
fn rows(path: &Path, width: usize) -> Vec<Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let floats: Vec<f32> =
        bytes[head..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    floats.chunks(width).map(<[f32]>::to_vec).collect()
}

/// What the library gave for a case, of length 1.
fn wanted(name: &str, case: usize) -> Vec<Vec<f32>> {
    let bytes = fs::read(model(name).join("golden.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let head: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let of = &head[case.to_string()];
    let at = |i: usize| 8 + length + of["data_offsets"][i].as_u64().unwrap() as usize;
    let width = of["shape"][1].as_u64().unwrap() as usize;
    let floats: Vec<f32> =
        bytes[at(0)..at(1)].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter().map(|v| v / norm).collect()
    };
    floats.chunks(width).map(unit).collect()
}

fn near(found: &[Vec<f32>], want: &[Vec<f32>], told: &str) {
    assert_eq!(found.len(), want.len(), "{told}");
    for (a, b) in found.iter().flatten().zip(want.iter().flatten()) {
        assert!((a - b).abs() < 1e-5, "{told}: {a} {b}");
    }
}

#[test]
fn embed_gives_what_the_library_encodes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("v.npy");
    for (name, case, width, more) in [
        ("instruct", 0, 96, &[][..]),
        ("instruct", 3, 96, &["--prompt-name", "query"]),
        ("instruct", 4, 96, &["--prompt", ""]),
        ("modes", 4, 96, &["--prompt", "the red "]),
        ("modes", 5, 40, &["--dims", "40"]),
        ("legacy", 0, 32, &[]),
        ("stack", 0, 8, &[]),
        ("embeddings", 0, 8, &[]),
        ("clip", 0, 12, &[]),
        ("router", 0, 12, &[]),
        ("matryoshka", 1, 8, &["--dims", "8"]),
    ] {
        let (texts, model) = (texts(name), model(name));
        let args = ["embed", "--fresh", "--model", s(&model), "--out", s(&out), "--json"];
        let report = json(args.into_iter().chain(given(&texts)).chain(more.iter().copied()));
        assert_eq!(report["dim"], width, "{name} {case}");
        near(&rows(&out, width), &wanted(name, case), &format!("{name} {case}"));
        if more.contains(&"query") {
            assert_eq!(report["prompt"], serde_json::json!({"name": "query", "text": "Find the red: "}));
        }
    }
}

/// What is indexed are documents, what searches is a query; what was put before them stands in the index.
#[test]
fn an_index_holds_documents_and_a_search_asks() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["instruct", "router", "asym"] {
        let (texts, model, index) = (texts(name), model(name), dir.path().join(name));
        let args = ["index", "build", "--model", s(&model), "--out", s(&index)];
        succeeds(args.into_iter().chain(given(&texts)));
        let (queries, documents) = (wanted(name, 1), wanted(name, 2));
        let found = json(["search", "--index", s(&index), &texts[1], "--json"]);
        let cosine = |i: usize| queries[1].iter().zip(&documents[i]).map(|(a, b)| a * b).sum::<f32>();
        for hit in found["hits"].as_array().unwrap() {
            let at = texts.iter().position(|t| hit["text"] == t.as_str()).unwrap();
            assert!((hit["score"].as_f64().unwrap() - f64::from(cosine(at))).abs() < 1e-5, "{name} {hit}");
        }
    }
    let info = json(["index", "info", s(&dir.path().join("instruct")), "--json"]);
    assert_eq!(info["model"]["prompt"], serde_json::json!({"name": "document", "text": "a text: "}));
    let info = succeeds(["index", "info", s(&dir.path().join("instruct"))]);
    assert!(info.contains("prompt   document, \"a text: \""), "{info}");
    assert!(succeeds(["index", "info", s(&dir.path().join("asym"))]).contains("prompt   none"));
}

/// Vectors of one prompt do not stand beside those of another: files of two such indexes are not mixed unseen.
#[test]
fn indexes_of_two_prompts_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let (texts, model) = (texts("modes"), model("modes"));
    let at = |name: &str| dir.path().join(name);
    for (name, prompt) in [("a", "one "), ("b", "two ")] {
        let out = at(name);
        let args = ["index", "build", "--model", s(&model), "--out", s(&out), "--prompt", prompt];
        succeeds(args.into_iter().chain(given(&texts)));
    }
    for file in ["segments/000000/vectors.safetensors", "index.json"] {
        let kept = fs::read(at("a").join(file)).unwrap();
        fs::copy(at("b").join(file), at("a").join(file)).unwrap();
        let said = fails(["search", "--index", s(&at("a")), "a bus"]);
        assert!(said.contains(s(&at("a"))), "{said}");
        fs::write(at("a").join(file), kept).unwrap();
    }
    succeeds(["search", "--index", s(&at("a")), "a bus"]);
}

#[test]
fn an_index_of_cut_embeddings_cuts_what_searches_it() {
    let dir = tempfile::tempdir().unwrap();
    let (texts, model, index) = (texts("matryoshka"), model("matryoshka"), dir.path().join("i"));
    let args = ["index", "build", "--model", s(&model), "--out", s(&index), "--dims", "8"];
    let (code, _, said) = outcome(&mut unisono(args.into_iter().chain(given(&texts))));
    assert!(code == 0 && !said.contains("note"), "{said}");
    let found = json(["search", "--index", s(&index), &texts[1], "-k", "1", "--json"]);
    assert!((found["hits"][0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-5, "{found}");
    succeeds(["search", "--index", s(&index), "a bus", "--dims", "8"]);
    let said = fails(["search", "--index", s(&index), "a bus", "--dims", "4"]);
    assert!(said.contains("--dims 4: its embeddings have 8 dimensions"), "{said}");
}

fn noted(args: &[&str]) -> String {
    let (code, _, said) = outcome(&mut unisono(args));
    assert_eq!(code, 0, "{said}");
    said
}

#[test]
fn what_a_model_would_like_to_be_asked_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let (out, index) = (dir.path().join("v.npy"), dir.path().join("i"));
    let (modes, sizes, plain) = (model("modes"), model("matryoshka"), model("stack"));
    let embed = |model: &Path, more: &[&str]| {
        let args =
            ["embed", "--fresh", "--model", s(model), "--out", s(&out), "--text", "a bus", "--text", "a dog"];
        noted(&[&args, more].concat())
    };
    let said = embed(&modes, &[]);
    let want = "note: the model has prompts (passage, query), and none of them is put before these texts; choose with --prompt-name, or --prompt \"\" for none";
    assert_eq!(said.matches(want).count(), 1, "{said}");
    for quiet in [&["--prompt", ""][..], &["--prompt-name", "query"], &["--prompt", "x: "]] {
        assert!(!embed(&modes, quiet).contains("note"), "{quiet:?}");
    }
    assert!(!embed(&plain, &[]).contains("note"));
    let said = noted(&["index", "build", "--model", s(&modes), "--out", s(&index), "--text", "a bus"]);
    assert_eq!(said.matches("none of them is put before documents").count(), 1, "{said}");
    assert!(!noted(&["search", "--index", s(&index), "a bus"]).contains("note"));
    let said = embed(&sizes, &["--dims", "12"]);
    assert!(said.contains("note: --dims 12: the model was trained for 16, 8, 4;"), "{said}");
    assert!(
        embed(&plain, &["--dims", "4"])
            .contains("nothing in the model's files says that its embeddings may be cut")
    );
    assert!(!embed(&sizes, &["--dims", "4"]).contains("note"));
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (out, image) = (dir.path().join("v.npy"), dir.path().join("a.png"));
    image::RgbImage::new(20, 20).save(&image).unwrap();
    let (instruct, plain, clip) = (model("instruct"), model("stack"), model("clip"));
    let embed = |model: &Path, more: &[&str]| {
        let args = ["embed", "--model", s(model), "--out", s(&out)];
        let (code, _, said) = outcome(&mut unisono([&args, more].concat()));
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(!out.exists());
        (code, said)
    };
    for (model, more, code, want) in [
        (
            &instruct,
            &["--text", "a", "--prompt-name", "passage"][..],
            1,
            "prompt \"passage\": this model has none of that name; it has: document, other, query",
        ),
        (
            &plain,
            &["--text", "a", "--prompt-name", "x"],
            1,
            "prompt \"x\": this model has none of that name; it has: document, query",
        ),
        (
            &plain,
            &["--text", "a", "--dims", "9"],
            1,
            "cannot cut embeddings to 9 dimensions: this model's width is 8",
        ),
        (&clip, &[s(&image), "--prompt", "x"], 2, "--prompt: there is no text among the inputs"),
    ] {
        let (found, said) = embed(model, more);
        assert!(found == code && said.contains(want), "{found} {said}");
    }
    let (code, _, said) = outcome(&mut unisono([
        "embed",
        "--model",
        s(&plain),
        "--out",
        s(&out),
        "--text",
        "a",
        "--dims",
        "0",
    ]));
    assert!(code == 2 && said.contains("--dims"), "{said}");
    let index = dir.path().join("i");
    succeeds(["index", "build", "--model", s(&clip), "--out", s(&index), s(&image)]);
    let (code, _, said) =
        outcome(&mut unisono(["search", "--index", s(&index), "--image", s(&image), "--prompt", "x"]));
    assert!(code == 2 && said.contains("--prompt: it is put before a sentence"), "{said}");
}

#[test]
fn inspect_tells_prompts_sizes_and_routes() {
    let text = succeeds(["model", "inspect", s(&model("instruct"))]);
    for line in [
        "\nprompts\n",
        "  document  \"a text: \", before documents\n",
        "  other     \"blue\", before texts of no role\n",
        "  query     \"Find the red: \", before queries\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let found = json(["model", "inspect", "--json", s(&model("instruct"))]);
    assert_eq!(found["prompts"]["query"], serde_json::json!({"text": "Find the red: ", "roles": ["query"]}));
    assert!(
        succeeds(["model", "inspect", s(&model("modes"))])
            .contains("  passage  \"passage: \", with --prompt-name\n")
    );
    let sizes = succeeds(["model", "inspect", s(&model("matryoshka"))]);
    assert!(sizes.contains("\nembeddings: trained to be cut to 16, 8, 4\n"), "{sizes}");
    let cut = succeeds(["model", "inspect", s(&model("embeddings"))]);
    assert!(cut.contains("embeddings: cut to 8 where --dims says nothing else"), "{cut}");
    assert!(
        succeeds(["model", "inspect", s(&model("router"))])
            .contains("routes: queries go through other modules")
    );
    assert!(succeeds(["model", "inspect", s(&model("stack"))]).contains("distilbert"));
}

/// A model of two routes is written one route at a time; both give the library's vectors.
#[test]
fn convert_writes_the_route_of_a_role() {
    let dir = tempfile::tempdir().unwrap();
    let (texts, from, out) = (texts("router"), model("router"), dir.path().join("v.npy"));
    for (role, case) in [(&[][..], 0), (&["--role", "query"], 1), (&["--role", "document"], 2)] {
        let to = dir.path().join(format!("m{case}"));
        let args = [&["model", "convert", s(&from), s(&to), "--to", "unisono"], role].concat();
        let said = noted(&args);
        assert_eq!(said.contains("--role names others"), role.is_empty(), "{said}");
        // The prompt of a role is the embedding command's to choose.
        let prompt = match case {
            1 => vec!["--prompt-name", "query"],
            2 => vec!["--prompt-name", "document"],
            _ => vec!["--prompt", ""],
        };
        let args = ["embed", "--fresh", "--model", s(&to), "--out", s(&out)];
        succeeds(args.into_iter().chain(given(&texts)).chain(prompt));
        near(&rows(&out, 12), &wanted("router", case), "a route");
    }
}
