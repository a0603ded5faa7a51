//! An interrupted training is the uninterrupted one. Alone in its program: libtorch's random generator belongs to the process,
//! and another training beside this one would draw from it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, train};

fn recipe(manifest: &Path, steps: u64, more: &str) -> Recipe {
    Recipe::parse(&support::recipe_text(manifest, steps, more), Path::new("test.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Summary, Error> {
    train(recipe, dir, options, &mut |_| {})
}

fn bytes(run: &Path, file: &str) -> Vec<u8> {
    fs::read(checkpoint::last(run).join(file)).unwrap()
}

#[test]
fn one_seed_is_one_result_and_an_interruption_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&things(dir.path()), 14, "[checkpoint]\nevery = 4");
    let [a, b, c] = ["a", "b", "c"].map(|n| dir.path().join(n));
    run(&recipe, &a, Options::default()).unwrap();
    run(&recipe, &b, Options::default()).unwrap();
    // Stopped after step 6 (a signal), and again killed after the checkpoint of step 12 was written.
    let stop = AtomicBool::new(false);
    let stopped = train(&recipe, &c, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 6) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert_eq!((stopped.finished, stopped.step), (false, 6));
    let refused = run(&recipe, &c, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("holds a run at step 6; go on with --resume"), "{refused}");
    let resume = Options { resume: true, ..Options::default() };
    let finished = run(&recipe, &c, resume).unwrap();
    assert!(finished.finished);
    for file in [
        "training.safetensors",
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "preprocessor_config.json",
    ] {
        assert!(bytes(&a, file) == bytes(&b, file), "two runs differ in {file}");
        assert!(bytes(&a, file) == bytes(&c, file), "the interrupted run differs in {file}");
    }
    // Blocks that are run again learn the same: a run that is checkpointed throughout, and one that is from its step 6 on.
    let checkpointed = Recipe { activation_checkpointing: true, ..recipe.clone() };
    let [f, g] = ["f", "g"].map(|n| dir.path().join(n));
    run(&checkpointed, &f, Options::default()).unwrap();
    let stop = AtomicBool::new(false);
    let stopping = Options { stop: Some(&stop), ..Options::default() };
    train(&recipe, &g, stopping, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 6) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    run(&checkpointed, &g, resume).unwrap();
    for file in ["training.safetensors", "model.safetensors"] {
        assert!(bytes(&a, file) == bytes(&f, file), "checkpointing changes {file}");
        assert!(bytes(&a, file) == bytes(&g, file), "checkpointing that begins later changes {file}");
    }
    // Lengthened: at a learning rate that the number of steps does not change, the longer run is the one that was long from the first.
    let flat = |steps| {
        let mut recipe = Recipe { steps, ..recipe.clone() };
        (recipe.optimizer.final_lr, recipe.evaluate_every) = (1.0, 0);
        recipe
    };
    let [d, e] = ["d", "e"].map(|n| dir.path().join(n));
    run(&flat(14), &d, Options::default()).unwrap();
    run(&flat(6), &e, Options::default()).unwrap();
    let refused = run(&flat(5), &e, resume).unwrap_err().to_string();
    assert!(refused.contains("at step 6 already: expected steps = 6 or more, found 5"), "{refused}");
    let mut notes = Vec::new();
    let longer = train(&flat(14), &e, resume, &mut |event| {
        if let Event::Note(text) = event {
            notes.push(text);
        }
    });
    assert_eq!(longer.unwrap().step, 14);
    assert!(notes.iter().any(|n| n.contains("was to have 6 steps")), "{notes:?}");
    for file in ["training.safetensors", "model.safetensors"] {
        assert!(bytes(&d, file) == bytes(&e, file), "the lengthened run differs in {file}");
    }
    // With a schedule that falls to its end, what follows is the new one's: a run of its own.
    let longer = Recipe { steps: 20, ..recipe.clone() };
    assert_eq!(run(&longer, &b, resume).unwrap().step, 20);
    let other = Recipe { seed: 4, ..recipe.clone() };
    let refused = run(&other, &c, resume).unwrap_err().to_string();
    assert!(refused.contains("`seed` differs"), "{refused}");
    let state = checkpoint::last(&c).join("training.safetensors");
    let whole = fs::read(&state).unwrap();
    fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    let refused = run(&recipe, &c, resume).unwrap_err().to_string();
    assert!(refused.contains("training.safetensors") && refused.contains("no whole"), "{refused}");
}
