//! `unisono model`, `unisono classify`, and `embed` with public checkpoints.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use support::{fails, json, outcome, s, succeeds, unisono};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn checkpoint(name: &str) -> PathBuf {
    fixture("checkpoints").join(name)
}

/// A copy of a checkpoint, to be broken.
fn copy(name: &str, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(checkpoint(name)).unwrap() {
        let from = entry.unwrap().path();
        if from.is_file() {
            fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    }
    to.to_owned()
}

#[test]
fn inspect_names_family_towers_and_what_is_missing() {
    let text = succeeds(["model", "inspect", s(&checkpoint("clip-quick"))]);
    for part in [
        "clip, 54,545 parameters, embeddings of width 20",
        "text tower: 13,696 parameters",
        "text processor missing",
        "fit            crop\n",
        "75 loaded",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = json(["model", "inspect", "--json", s(&checkpoint("openclip-coca"))]);
    assert_eq!((&report["family"], &report["embed_dim"]), (&"open_clip".into(), &20.into()));
    assert!(
        report["ignored"]
            .as_array()
            .unwrap()
            .iter()
            .all(|n| n.as_str().unwrap().starts_with("text_decoder."))
    );
    let text = succeeds(["model", "inspect", "--verbose", s(&checkpoint("whisper"))]);
    assert!(text.contains("left behind: decoder.embed_tokens.weight"), "{text}");
}

/// A folder that is not read says what it is and which family is nearest, in a line.
#[test]
fn inspect_says_what_a_folder_is_that_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"model_type": "swin", "architectures": ["SwinForImageClassification"]}"#;
    fs::write(dir.path().join("config.json"), config).unwrap();
    let e = fails(["model", "inspect", s(dir.path())]);
    let said = "config.json: model_type is \"swin\" (SwinForImageClassification), which is not read; the nearest family that is read is vit, which lacks: attention within windows that move";
    assert!(e.ends_with(said), "{e}");
    fs::remove_file(dir.path().join("config.json")).unwrap();
    fs::write(dir.path().join("adapter_config.json"), "{}").unwrap();
    let e = fails(["model", "inspect", s(dir.path())]);
    assert!(e.contains("adapter_config.json: missing field `peft_type`"), "{e}");
}

#[test]
fn a_public_checkpoint_embeds_images_and_converts() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    tiny::collection(&media, 5);
    let out = |name: &str| dir.path().join(name);
    let embed = |model: &Path, to: &str, more: &[&str]| {
        let to_path = out(to);
        let args = ["embed", "--model", s(model), "--modality", "image", "--out", s(&to_path), s(&media)];
        let args: Vec<String> = args.iter().chain(more).map(|a| (*a).to_owned()).collect();
        succeeds(args.iter().map(String::as_str));
        unisono_nn::tensors::read(&out(to)).unwrap().0.remove("vectors").unwrap()
    };
    let model = checkpoint("clip-gelu");
    let want = embed(&model, "a.safetensors", &[]);
    assert_eq!(want.size(), [5, 20]);
    let lengths = want.norm_scalaropt_dim(2, 1, false);
    assert!((lengths - 1).abs().max().double_value(&[]) < 1e-5);
    let raw = embed(&model, "raw.safetensors", &["--no-normalize"]);
    assert!((raw.norm_scalaropt_dim(2, 1, false) - 1).abs().min().double_value(&[]) > 1e-3);
    for format in ["hf-clip", "open-clip"] {
        let to = out(format);
        let text = succeeds(["model", "convert", s(&model), s(&to), "--to", format]);
        assert!(text.contains(format), "{text}");
        let again = embed(&to, &format!("{format}.safetensors"), &[]);
        assert!((again - &want).abs().max().double_value(&[]) < 1e-5, "{format}");
        let e = fails(["model", "convert", s(&model), s(&to), "--to", format]);
        assert!(e.contains("expected a new or empty folder"), "{e}");
    }
    let int8 = embed(&model, "int8.safetensors", &["--precision", "int8"]);
    assert!((int8 * &want).sum_dim_intlist([1i64].as_slice(), false, None).min().double_value(&[]) > 0.98);
    let (code, _, e) =
        outcome(&mut unisono(["embed", "--model", s(&model), "--out", s(&out("t.npy")), "--text", "a bus"]));
    assert!(code == 1 && e.contains("came without its tokenizer.json"), "{e}");
}

#[test]
fn classify_ranks_labels_with_probabilities() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    tiny::collection(&media, 2);
    let (labels, templates) = (dir.path().join("l.txt"), dir.path().join("t.txt"));
    fs::write(&labels, "bus\ncat\ntree\n").unwrap();
    fs::write(&templates, "a {}\nthe {} there\n").unwrap();
    let report = json([
        "classify",
        "--model",
        s(&model),
        "--labels",
        s(&labels),
        "--templates",
        s(&templates),
        "--json",
        s(&media),
    ]);
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 4);
    for file in files {
        let guesses = file["guesses"].as_array().unwrap();
        let sum: f64 = guesses.iter().map(|g| g["probability"].as_f64().unwrap()).sum();
        assert!(guesses.len() == 3 && (sum - 1.0).abs() < 1e-6, "{file}");
    }
    let text = succeeds([
        "classify",
        "--model",
        s(&model),
        "--labels",
        s(&labels),
        "--top",
        "1",
        s(&media.join("p00.png")),
    ]);
    assert_eq!(text.lines().count(), 2, "{text}");
    fs::write(&templates, "no place\n").unwrap();
    let e = fails([
        "classify",
        "--model",
        s(&model),
        "--labels",
        s(&labels),
        "--templates",
        s(&templates),
        s(&media),
    ]);
    assert!(e.contains("has no {} for the label"), "{e}");
}

/// A model need not both see and hear: what it has no tower for is left out and named.
/// Without labels a model answers with those that it was trained on, where it has a classifier.
#[test]
fn classify_answers_with_the_models_own_labels() {
    let dir = tempfile::tempdir().unwrap();
    tiny::collection(dir.path(), 2);
    let model = checkpoint("head-vit");
    let args = ["classify", "--model", s(&model), s(dir.path())];
    let report = json(args.iter().chain(&["--json", "--top", "6"]));
    let files = report["files"].as_array().unwrap();
    assert_eq!((files.len(), report["left_out"].as_array().unwrap().len()), (2, 2), "{report}");
    let loaded = unisono_encoders::Model::load(&model, tch::Device::Cpu).unwrap();
    let labels = &loaded.classifier().unwrap().labels;
    for file in files {
        let image = image::open(file["id"].as_str().unwrap()).unwrap().to_rgb8();
        let prepared = loaded.image_processor().unwrap().prepare(&image);
        let logits = loaded.class_logits([unisono_encoders::Input::Image(&prepared)]).unwrap();
        let want = Vec::<f64>::try_from(logits.softmax(-1, tch::Kind::Double).view([-1])).unwrap();
        let mut order: Vec<usize> = (0..want.len()).collect();
        order.sort_by(|a, b| want[*b].total_cmp(&want[*a]));
        for (guess, i) in file["guesses"].as_array().unwrap().iter().zip(order) {
            assert_eq!(guess["label"], labels[i].as_str());
            assert!((guess["probability"].as_f64().unwrap() - want[i]).abs() < 1e-6, "{guess}");
        }
    }
    let text = succeeds(args.iter().chain(&["--top", "1"]));
    assert_eq!(text.lines().count(), 4, "{text}");
    let labels = dir.path().join("l.txt");
    fs::write(&labels, "bus\ncat\n").unwrap();
    let e = fails(args.iter().chain(&["--labels", s(&labels)]));
    assert!(e.contains("this model reads no labels: it has no text tower"), "{e}");
    let said = succeeds(["model", "inspect", s(&model)]);
    assert!(
        said.contains("classifier: 78 parameters") && said.contains("6: tench, crane, goldfish"),
        "{said}"
    );
    let whole = json(["model", "inspect", "--json", s(&model)]);
    assert_eq!(whole["classifier"]["labels"][5], "ägypten");
}

#[test]
fn classify_takes_what_the_model_has_a_tower_for() {
    use unisono_encoders::Modality::{Audio, Image, Text};
    let dir = tempfile::tempdir().unwrap();
    let (media, labels) = (dir.path().join("media"), dir.path().join("l.txt"));
    fs::create_dir(&media).unwrap();
    tiny::collection(&media, 2);
    fs::write(media.join("film.mp4"), "a film").unwrap();
    fs::write(&labels, "\u{feff}bus\r\ncat\r\n").unwrap();
    for (towers, kept, left, tower) in
        [(&[Text, Image][..], "p00.png", "s00.wav", "audio"), (&[Text, Audio], "s00.wav", "p00.png", "image")]
    {
        let model = dir.path().join(tower);
        tiny::model(3, towers).save(&model).unwrap();
        let args = ["classify", "--model", s(&model), "--labels", s(&labels)];
        let one = media.join(kept);
        let (code, text, notes) = outcome(unisono(args).arg(&one));
        assert!(code == 0 && !notes.contains("left out"), "{notes}");
        assert!(text.contains(kept) && text.contains("  bus ") && text.contains(" %"), "{text}");
        let (code, text, notes) = outcome(unisono(args).arg(&media));
        assert!(code == 0 && text.contains(kept) && !text.contains(left), "{text}");
        assert!(notes.contains(&format!("left out 2 files: this model has no {tower} tower")), "{notes}");
        assert!(notes.contains(left) && notes.contains("left out 1 file: its modality is video"), "{notes}");
        let report = json(args.into_iter().chain(["--json", s(&media)]));
        assert_eq!(
            (report["files"].as_array().unwrap().len(), report["left_out"].as_array().unwrap().len()),
            (2, 3)
        );
        let e = fails(args.into_iter().chain([s(&media.join(left))]));
        assert!(
            e.contains(left) && e.contains(&format!("this model has no {tower} tower; it has: text")),
            "{e}"
        );
    }
}

#[test]
fn texts_from_standard_input_and_parquet() {
    use std::io::Write;
    use std::process::Stdio;
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let out = dir.path().join("v.parquet");
    let mut command = unisono(["embed", "--model", s(&model), "--out", s(&out), "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("a red bus\n\nein Bus\n".as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let bytes = fs::read(&out).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert_eq!(fs::read_to_string(dir.path().join("v.parquet.jsonl")).unwrap().lines().count(), 2);
}

#[test]
fn what_cannot_be_loaded_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut offline = unisono(["model", "inspect", "someone/some-model"]);
    let (code, _, e) = outcome(offline.env("HF_HUB_OFFLINE", "1").env("HF_HOME", dir.path()));
    assert_eq!(code, 1);
    assert!(
        e.contains("someone/some-model: no folder of this name, not in the cache")
            && e.contains("hf download"),
        "{e}"
    );
    let e = fails(["model", "inspect", s(&dir.path().join("none"))]);
    assert!(e.contains("no such folder, and no hub id"), "{e}");
    // The tokenizer of another, larger model.
    let at = copy("clip-quick", &dir.path().join("clip"));
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
        fs::copy(fixture("tokenizers/clip").join(name), at.join(name)).unwrap();
    }
    let e = fails(["model", "inspect", s(&at)]);
    assert!(e.contains("tokenizer and weights do not fit") && e.contains("only 97 rows"), "{e}");
}

#[test]
fn hostile_checkpoints_end_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus-kept/pickle");
    for name in ["itself", "deep", "lists", "deflated", "stride-0", "overflow"] {
        fs::copy(kept.join(name), dir.path().join("pytorch_model.bin")).unwrap();
        let (code, out, e) = outcome(&mut unisono(["model", "inspect", s(dir.path())]));
        assert!(code == 1 && out.is_empty() && e.lines().count() == 1, "{name}: {code} {e}");
        assert!(e.contains("pytorch_model.bin: "), "{name}: {e}");
    }
    // A name that would be a command, and a terminal's.
    let shard = "a');import os; os.system('id')#\u{1b}[2J.bin";
    fs::remove_file(dir.path().join("pytorch_model.bin")).unwrap();
    let index = serde_json::json!({"weight_map": {"w\n\u{1b}[31m": shard}});
    fs::write(dir.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    fs::write(dir.path().join(shard), b"no archive").unwrap();
    let e = fails(["model", "inspect", s(dir.path())]);
    assert!(
        !e.contains("python -c") && !e.contains('\u{1b}') && e.contains("convert it where Python runs"),
        "{e}"
    );
}
