//! Pairs within a modality: texts of one record find each other without any other tower, and two views of an image do.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use unisono_train::data::Preparer;
use unisono_train::setup::{Sources, sampler};
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, towers, train};

/// One training at a time: libtorch's random generator belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());

const NAMES: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
const NUMBERS: [&str; 8] = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht"];

/// Numbers in two languages, two named columns of a table.
fn table(dir: &Path) -> PathBuf {
    let lines = NAMES.iter().zip(NUMBERS).map(|(a, b)| format!("{a},{b},train\n"));
    let path = dir.join("pairs.csv");
    fs::write(&path, format!("text,positive,split\n{}", lines.collect::<String>())).unwrap();
    path
}

/// The same, a record for each language: what is measured.
fn manifest(dir: &Path) -> PathBuf {
    let mut lines = String::new();
    for (k, (a, b)) in NAMES.iter().zip(NUMBERS).enumerate() {
        for (lang, text) in [("en", *a), ("de", b)] {
            lines += &format!(
                "{{\"id\":\"{k}-{lang}\",\"text\":\"{text}\",\"label\":\"{k}\",\"lang\":\"{lang}\",\"split\":\"train\"}}\n"
            );
        }
    }
    let path = dir.join("numbers.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

fn text(dir: &Path, steps: u64, top: &str, more: &str) -> String {
    let (table, manifest) = (table(dir), manifest(dir));
    format!(
        r#"
seed = 3
steps = {steps}
device = "cpu"
threads = 1
{top}
[model]
embed_dim = 16
[model.text]
vocab_size = 300
context_length = 12
pooling = "mean"
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0, dropout = 0.05 }}
[[data]]
name = "numbers"
source = {{ path = "{}", columns = {{ text = ["text", "positive"], split = "split" }} }}
split = "train"
per_batch = 8
[[objective]]
kind = "contrastive"
pairs = ["text_text"]
[optimizer]
lr = 1e-2
[loader]
workers = 2
[[evaluate]]
kind = "retrieval"
name = "de-en"
source = "{}"
split = "train"
from = "text"
to = "text"
query_lang = ["de"]
gallery_lang = ["en"]
{more}
"#,
        table.display(),
        manifest.display()
    )
}

fn recipe(dir: &Path, steps: u64, top: &str, more: &str) -> Recipe {
    let file = dir.join("recipe.toml");
    fs::write(&file, text(dir, steps, top, more)).unwrap();
    Recipe::load(&file, &[], &[]).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Summary, Error> {
    train(recipe, dir, options, &mut |_| {})
}

#[test]
fn texts_of_a_record_find_each_other() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let summary = run(&recipe(dir.path(), 60, "", ""), &out, Options::default()).unwrap();
    assert!(summary.finished && summary.skipped.is_empty());
    assert_eq!(summary.best.map(|(score, _)| score), Some(1.0));
    let said = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    for name in ["\"text_text\"", "alignment/text_text", "uniformity/text"] {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn interrupted_and_in_micro_batches_they_are_learned_alike() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path(), 6, "batch = { micro = 3 }", "");
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    run(&recipe, &a, Options::default()).unwrap();
    let stop = AtomicBool::new(false);
    train(&recipe, &b, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 3) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(run(&recipe, &b, Options { resume: true, ..Options::default() }).unwrap().finished);
    let read = |run: &Path| fs::read(checkpoint::last(run).join("model.safetensors")).unwrap();
    assert!(read(&a) == read(&b));
}

/// A record with four texts, one with one, and one with an image.
fn mixed(dir: &Path) -> PathBuf {
    support::things(dir);
    let lines = [
        r#"{"id":"four","text":["a","b, c","d, e","f"],"split":"train"}"#,
        r#"{"id":"one","text":"alone","split":"train"}"#,
        r#"{"id":"seen","text":"a disc","image":"red-disc.png","split":"train"}"#,
    ];
    let path = dir.join("mixed.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn two_texts_are_drawn_and_are_not_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = mixed(dir.path());
    let text = support::recipe_text(&manifest, 1, "")
        .replace("kind = \"contrastive\"", "kind = \"contrastive\"\npairs = [\"text_text\", \"text_image\"]");
    for rule in ["", "caption = { rule = \"first\" }\n", "caption = { parts = 2, with_name = 0.5 }\n"] {
        let file = dir.path().join("recipe.toml");
        fs::write(&file, text.replace("per_batch = 16\n", &format!("per_batch = 16\n{rule}"))).unwrap();
        let recipe = Recipe::load(&file, &[], &[]).unwrap();
        let sampler = sampler(&recipe, &mut Sources::default()).unwrap();
        let model = towers::model(&recipe, &sampler, tch::Device::Cpu).unwrap();
        let preparer = Preparer::new(&recipe, &model, None).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..20 {
            for draw in sampler.batch(step) {
                let record = sampler.record(&draw).unwrap();
                let sample = preparer.prepare(&draw, &record);
                let again = preparer.prepare(&draw, &record);
                match (record.id.as_str(), sample) {
                    ("one", sample) => {
                        let said = sample.unwrap_err().to_string();
                        assert_eq!(
                            said,
                            "one: one text, and text_text pairs two of a record: give it another, or leave it out"
                        );
                    }
                    ("seen", sample) => assert!(sample.unwrap().captions().len() == 1),
                    (_, sample) => {
                        let sample = sample.unwrap();
                        let found: Vec<String> = sample.captions().into_iter().map(str::to_owned).collect();
                        assert!(found.len() == 2 && found[0] != found[1], "{rule} {found:?}");
                        assert!(found == again.unwrap().captions(), "{rule}: a function of the draw");
                        assert!(!rule.contains("first") || found[0] == "a", "{found:?}");
                        seen.insert(found);
                    }
                }
            }
        }
        assert!(seen.len() > if rule.contains("first") { 2 } else { 5 }, "{rule} {seen:?}");
    }
}

#[test]
fn two_views_of_an_image_are_learned_and_differ() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = support::things(dir.path());
    let text = support::recipe_text(&manifest, 3, "").replace(
        "kind = \"contrastive\"",
        "kind = \"contrastive\"\npairs = [\"image_image\", \"text_image\"]",
    );
    let load = |text: &str| {
        let file = dir.path().join("recipe.toml");
        fs::write(&file, text).unwrap();
        Recipe::load(&file, &[], &[])
    };
    let mut recipe = load(&text).unwrap();
    recipe.evaluate.clear();
    let out = dir.path().join("run");
    assert!(run(&recipe, &out, Options::default()).unwrap().finished);
    let said = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    assert!(said.contains("\"image_image\"") && said.contains("\"text_image\""), "{said}");
    let said = load(&text.replace("brightness = 0.1\n", "")).unwrap_err().to_string();
    assert!(said.starts_with("augment.image: image_image in pairs"), "{said}");
    let cut = format!("batch = {{ method = \"accumulate\", micro = 4 }}\n{text}");
    let said = load(&cut).unwrap_err().to_string();
    assert!(said.starts_with("batch.method: the second view"), "{said}");
}

#[test]
fn second_texts_may_be_of_another_language() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(dir.path());
    let mut lines = fs::read_to_string(&manifest).unwrap();
    // A word of another split is no partner, and a word without one is left out by name.
    lines += "{\"id\":\"8-en\",\"text\":\"nine\",\"label\":\"8\",\"lang\":\"en\",\"split\":\"val\"}\n";
    lines += "{\"id\":\"8-de\",\"text\":\"neun\",\"label\":\"8\",\"lang\":\"de\",\"split\":\"train\"}\n";
    let file = dir.path().join("recipe.toml");
    let text = text(dir.path(), 60, "", "");
    let begin = text.find("source = {").unwrap();
    let end = begin + text[begin..].find('\n').unwrap();
    fs::write(&manifest, lines).unwrap();
    let source = format!("source = \"{}\"", manifest.display());
    let named = "pairs = [\"text_text\"]";
    let load = |more: &str, pairs: &str| {
        let text = text.replace(&text[begin..end], &format!("{source}\nlang = [\"de\"]\n{more}"));
        let text = match pairs.starts_with('[') {
            true => text.replace(named, "").replace("[model.text]", &format!("{pairs}[model.text]")),
            false => text,
        };
        fs::write(&file, text).unwrap();
        Recipe::load(&file, &[], &[])
    };
    let recipe = load("caption = { second_lang = \"en\" }", named).unwrap();
    let summary = run(&recipe, &dir.path().join("run"), Options::default()).unwrap();
    assert_eq!(summary.best.map(|(score, _)| score), Some(1.0));
    assert_eq!(summary.skipped.len(), 1);
    let said = |more: &str, pairs: &str| load(more, pairs).unwrap_err().to_string();
    // With an image tower there is something to learn without pairs of texts.
    let seen = "[model.image]\nsize = 16\npooling = \"mean\"\nstem = { kind = \"patch\", size = [8, 8] }\ntransformer = { width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }\n[processor.image]\nsize = 16\n";
    let found = said("caption = { second_lang = \"en\" }", seen);
    assert!(
        found.starts_with("data.numbers.caption: second_lang = \"en\" is of pairs of two texts"),
        "{found}"
    );
    let found = said("caption = { second_lang = \"en\", lang = \"de\" }", named);
    assert!(found.contains("leave caption.lang"), "{found}");
    let recipe = load("caption = { second_lang = \"fr\" }", named).unwrap();
    let found = run(&recipe, &dir.path().join("none"), Options::default()).unwrap_err().to_string();
    assert!(
        found.starts_with("data.numbers.caption.second_lang: expected records of language \"fr\""),
        "{found}"
    );
}
