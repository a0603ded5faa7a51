//! An interrupted training is the uninterrupted one with every optimizer, schedule and average; of kept checkpoints the newest whole one is
//! gone on from. Alone in its program, as `resume.rs` is.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use unisono_train::recipe::NonFinite;
use unisono_train::{Error, Event, Options, Recipe, Summary, average, checkpoint, train};

const RESUME: Options = Options { resume: true, fresh: false, stop: None };

/// The support's recipe with `optimizer` among the keys of its steps.
fn recipe(manifest: &Path, steps: u64, optimizer: &str, more: &str) -> Recipe {
    let text = support::recipe_text(manifest, steps, more);
    let text = text.replacen("[optimizer]", &format!("[optimizer]\n{optimizer}"), 1);
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

/// What the run says.
fn told(recipe: &Recipe, dir: &Path, options: Options) -> (Result<Summary, Error>, Vec<String>) {
    let mut notes = Vec::new();
    let summary = train(recipe, dir, options, &mut |event| {
        if let Event::Note(text) = event {
            notes.push(text);
        }
    });
    (summary, notes)
}

/// Trains until step `at` and stops there.
fn stopped(recipe: &Recipe, dir: &Path, at: u64) {
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), ..RESUME };
    let summary = train(recipe, dir, options, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == at) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert_eq!((summary.finished, summary.step), (false, at));
}

fn same(a: &Path, b: &Path, what: &str) {
    for file in ["training.safetensors", "model.safetensors"] {
        let [x, y] = [a, b].map(|run| fs::read(checkpoint::last(run).join(file)).unwrap());
        assert!(x == y, "{what}: {file} differs");
    }
}

fn names(run: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = entries.filter(|name| name.starts_with(prefix)).collect();
    found.sort();
    found
}

/// Cuts a file in half.
fn cut(path: &Path) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

#[test]
fn whatever_is_switched_on_an_interruption_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    for (i, (optimizer, more)) in [
        ("kind = \"lion\"\nschedule = \"linear\"\nfinal_lr = 0.1\nema = 0.9", ""),
        (
            "kind = \"muon\"\nschedule = \"wsd\"\nweight_decay = 0.1\nema = { decay = 0.9, match = \"*.projection.*\" }",
            "[[group]]\nmatch = \"image.*\"\nlayer_decay = 0.5\nunfreeze_last = 1\n[[group]]\nmatch = \"text.blocks.*\"\nlr = 5e-3\noptimizer = \"adamw\"",
        ),
        ("kind = \"lamb\"\nschedule = \"constant\"\nweight_decay = 0.01\nnon_finite = \"skip\"", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let mut recipe = recipe(&manifest, 10, optimizer, more);
        recipe.evaluate.clear();
        let [a, b] = ["a", "b"].map(|n| dir.path().join(format!("{n}{i}")));
        told(&recipe, &a, Options::default()).0.unwrap();
        stopped(&recipe, &b, 3);
        stopped(&recipe, &b, 7);
        told(&recipe, &b, RESUME).0.unwrap();
        same(&a, &b, optimizer);
    }

    // Steps that are left out are the same ones, and are counted through. At this rate nothing is finite after the first.
    let mut skips = recipe(&manifest, 30, "non_finite = \"skip\"\nmax_skipped = 100\nclip = 0.0", "");
    skips.evaluate.clear();
    (skips.optimizer.lr, skips.optimizer.warmup) = (1e30, 0);
    let [a, b, c] = ["wild-a", "wild-b", "wild-c"].map(|n| dir.path().join(n));
    let summary = told(&skips, &a, Options::default()).0.unwrap();
    assert!(summary.finished && summary.left_out > 1, "{}", summary.left_out);
    assert_eq!(names(&a, "nonfinite-").len() as u64, summary.left_out);
    stopped(&skips, &b, 29);
    assert_eq!(told(&skips, &b, RESUME).0.unwrap().left_out, summary.left_out);
    same(&a, &b, "steps left out");
    // A run that stopped by one goes on with another policy.
    let mut stops = skips.clone();
    (stops.optimizer.non_finite, stops.checkpoint.every) = (NonFinite::Stop, 1);
    assert!(matches!(told(&stops, &c, Options::default()).0, Err(Error::NotFinite { .. })));
    assert_eq!(told(&skips, &c, RESUME).0.unwrap().left_out, summary.left_out);
    same(&a, &c, "from stop to skip");

    // Each step is saved (a ten-thousandth of a minute has passed), and the last three are kept.
    let mut kept = recipe(
        &manifest,
        8,
        "ema = 0.9",
        "[checkpoint]\nevery = 0\nevery_minutes = 1e-7\nkeep_last = 3\nkeep_best = 2",
    );
    kept.evaluate_every = 2;
    let [whole, run] = ["whole", "run"].map(|n| dir.path().join(n));
    told(&kept, &whole, Options::default()).0.unwrap();
    assert_eq!(names(&whole, "step-"), ["step-000006", "step-000007"]);
    assert_eq!(names(&whole, "best").len(), 2);
    let chosen = fs::read_to_string(checkpoint::best(&whole).join("evaluation.json")).unwrap();
    assert!(chosen.contains("\"by\": \"*.r5\""), "{chosen}");

    // A checkpoint that was cut is named, the one before it is used, and the end is the same.
    stopped(&kept, &run, 6);
    cut(&checkpoint::last(&run).join("training.safetensors"));
    let state = run.join("step-000005/training.safetensors");
    let mut bytes = fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, bytes).unwrap();
    let (summary, notes) = told(&kept, &run, RESUME);
    summary.unwrap();
    let told_of = |words: &[&str]| notes.iter().any(|n| words.iter().all(|w| n.contains(w)));
    assert!(told_of(&["last/training.safetensors: no whole file", "of step 4 is used"]), "{notes:?}");
    assert!(told_of(&["step-000005/training.safetensors: its content is not"]), "{notes:?}");
    assert!(told_of(&["resumed at step 4 of 8"]), "{notes:?}");
    same(&whole, &run, "from an older checkpoint");
    assert_eq!(names(&run, "step-"), ["step-000006", "step-000007"]);
    assert_eq!(names(&run, "best"), names(&whole, "best"));
    assert_eq!(names(&run, "last"), ["last", "last.damaged"]);
    // Where all are damaged nothing is begun anew behind the user's back.
    for folder in ["last", "step-000006", "step-000007"] {
        cut(&run.join(folder).join("training.json"));
    }
    let said = told(&kept, &run, RESUME).0.unwrap_err().to_string();
    assert!(said.contains("last/training.json: ") && said.contains("--fresh"), "{said}");
    told(&kept, &run, Options { fresh: true, ..Options::default() }).0.unwrap();
    assert_eq!(names(&run, "last"), ["last"]);
    same(&whole, &run, "begun again");

    // The average of two steps is half of each.
    let folders = [whole.join("step-000006"), checkpoint::last(&whole)];
    let averaged = average::average(&folders, Some(&[3.0, 1.0])).unwrap();
    assert_eq!((averaged.weights.as_slice(), averaged.notes.len()), (&[0.75, 0.25][..], 1));
    let [one, other] =
        [&folders[0], &folders[1]].map(|f| unisono_encoders::Model::load(f, tch::Device::Cpu).unwrap());
    for (name, p) in averaged.model.params().iter() {
        let of = |model: &unisono_encoders::Model| {
            model.params().get(name).unwrap().tensor.to_kind(tch::Kind::Double)
        };
        let expected = of(&one) * 0.75 + of(&other) * 0.25;
        assert!(
            (p.tensor.to_kind(tch::Kind::Double) - expected).abs().max().double_value(&[]) < 1e-6,
            "{name}"
        );
    }
    let said = average::average(&folders[..1], None).unwrap_err().to_string();
    assert!(said.contains("expected two checkpoints or more, found one"), "{said}");
    let mut wide = recipe(&manifest, 1, "", "");
    wide.model.as_mut().unwrap().embed_dim = 8;
    wide.evaluate.clear();
    let other = dir.path().join("wide");
    told(&wide, &other, Options::default()).0.unwrap();
    let said = average::average(&[whole, other], None).unwrap_err().to_string();
    assert!(said.contains("wide: its config.json is not that of"), "{said}");
}
