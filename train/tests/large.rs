//! Trainings in micro-batches and in bfloat16: what they learn, and that an interruption changes nothing. Each by itself in its program's order:
//! libtorch's random generator belongs to the process.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use unisono_torch_ext::processor;
use unisono_train::tracking::{self, Line};
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, train};

/// One training at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn recipe(manifest: &Path, steps: u64, top: &str, more: &str) -> Recipe {
    let text = support::recipe_text(manifest, steps, more);
    let mut recipe = Recipe::parse(&format!("{top}\n{text}"), Path::new("test.toml")).unwrap();
    recipe.evaluate.clear();
    recipe
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Summary, Error> {
    train(recipe, dir, options, &mut |_| {})
}

/// Stopped after step 3, and gone on with.
fn interrupted(recipe: &Recipe, dir: &Path) {
    let stop = AtomicBool::new(false);
    train(recipe, dir, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 3) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(run(recipe, dir, Options { resume: true, ..Options::default() }).unwrap().finished);
}

fn same(a: &Path, b: &Path) {
    for file in ["training.safetensors", "model.safetensors"] {
        let read = |run: &Path| fs::read(checkpoint::last(run).join(file)).unwrap();
        assert!(read(a) == read(b), "{} differs in {file}", b.display());
    }
}

fn losses(run: &Path) -> Vec<f64> {
    let lines = tracking::read(&run.join("metrics.jsonl")).unwrap();
    lines.into_iter().filter_map(|l| if let Line::Train(t) = l { Some(t.loss) } else { None }).collect()
}

#[test]
fn micro_batches_interrupted_are_those_that_were_not() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    for (name, top) in [
        ("cached", "activation_checkpointing = true\nbatch = { micro = 5 }"),
        ("accumulated", "batch = { method = \"accumulate\", micro = 6 }"),
        ("tokens", "batch = { tokens = 40 }"),
        ("auto", "batch = { micro = \"auto\" }"),
    ] {
        let recipe = recipe(&manifest, 6, top, "");
        let [a, b] = ["a", "b"].map(|which| dir.path().join(format!("{name}-{which}")));
        run(&recipe, &a, Options::default()).unwrap();
        interrupted(&recipe, &b);
        same(&a, &b);
        let kept = fs::read_to_string(checkpoint::last(&b).join("training.json")).unwrap();
        assert_eq!(kept.contains("\"micro\": 16,\n  \"data\""), name == "auto", "{kept}");
    }
}

#[test]
fn bfloat16_learns_what_single_precision_does() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let plain = recipe(&manifest, 20, "", "");
    let bf16 = recipe(&manifest, 20, "precision = \"bf16\"", "");
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
    if processor::get().bf16().is_none() {
        let e = run(&bf16, &b, Options::default()).unwrap_err().to_string();
        assert!(e.contains("precision: bf16 on a processor with neither AMX"), "{e}");
        return;
    }
    run(&plain, &a, Options::default()).unwrap();
    run(&bf16, &b, Options::default()).unwrap();
    let (want, found) = (losses(&a), losses(&b));
    println!("{want:?} {found:?}");
    assert_eq!((want.len(), found.len()), (2, 2));
    assert!(want != found && want.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-2 * a));
    interrupted(&bf16, &c);
    same(&b, &c);
}

#[test]
fn what_has_no_gradients_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    fs::write(&path, recipe(&things(dir.path()), 2, "", "").to_toml().unwrap()).unwrap();
    for (set, says) in [
        ("precision=int8", "int8"),
        ("batch.method=cached", "batch.micro: missing"),
        ("batch.micro=0", "batch.micro: expected at least 1"),
    ] {
        let e = Recipe::load(&path, &[set.to_owned()], &[]).unwrap_err().to_string();
        assert!(e.contains(says), "{set}: {e}");
    }
    assert!(Recipe::load(&path, &["batch.micro=auto".to_owned()], &[]).is_ok());
}
