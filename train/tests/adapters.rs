//! Adapters in a training: the weights stay what they are, an interruption changes nothing, and what is watched is told. Alone in its program:
//! libtorch's random generator belongs to the process, and another training beside this one would draw from it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use tch::{Device, Tensor};
use unisono_encoders::{Model, families};
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, train};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sentences/clip-now")
}

fn text(manifest: &Path, steps: u64, more: &str) -> String {
    let (m, base) = (manifest.display(), base().display().to_string());
    format!(
        "seed = 3\nsteps = {steps}\ndevice = \"cpu\"\nthreads = 1\ninit = \"{base}\"\nevaluate_every = 5\n{more}\n\
         [[data]]\nname = \"things\"\nsource = \"{m}\"\nsplit = \"train\"\nuses = [\"text\", \"image\"]\nper_batch = 16\n\
         [[objective]]\nkind = \"contrastive\"\n[loader]\nworkers = 2\n[checkpoint]\nevery = 4\n\
         [[evaluate]]\nkind = \"retrieval\"\nname = \"held\"\nsource = \"{m}\"\nsplit = \"train\"\nfrom = \"text\"\nto = \"image\"\n"
    )
}

fn recipe(manifest: &Path, steps: u64, more: &str) -> Recipe {
    let text = text(manifest, steps, "") + more;
    Recipe::parse(&text, Path::new("adapters.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<(Summary, Vec<String>), Error> {
    let mut notes = Vec::new();
    let summary = train(recipe, dir, options, &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    })?;
    Ok((summary, notes))
}

fn weights(dir: &Path) -> Vec<(String, Vec<f32>)> {
    let model = Model::load(dir, Device::Cpu).unwrap();
    let flat = |t: &Tensor| Vec::<f32>::try_from(t.flatten(0, -1)).unwrap();
    model.params().iter().map(|(name, p)| (name.to_owned(), flat(&p.tensor))).collect()
}

const LORA: &str = "[optimizer]\nlr = 1e-2\nema = 0.5\n[adapter]\nrank = 4\nalpha = 8\ndropout = 0.1\n";

#[test]
fn adapters_learn_beside_weights_that_stay() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    for (kind, dropped) in [("lora", "0.0"), ("dora", "0.5")] {
        let more = format!(
            "{LORA}kind = \"{kind}\"\n[canary]\nevaluate = [\"held\"]\n[augment]\npatch_dropout = {dropped}\n"
        );
        let recipe = recipe(&manifest, 14, &more);
        let [a, b] = ["a", "b"].map(|n| at(&format!("{kind}-{n}")));
        let (summary, notes) = run(&recipe, &a, Options::default()).unwrap();
        assert!(notes.iter().any(|n| n.starts_with(&format!("{kind} of rank 4 on 12 layers"))), "{notes:?}");
        // Stopped after step 6, and going on from there.
        let stop = AtomicBool::new(false);
        train(&recipe, &b, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
            if matches!(event, Event::Step(s) if s.step == 6) {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
        let (again, _) = run(&recipe, &b, Options { resume: true, ..Options::default() }).unwrap();
        assert_eq!(again.canary, summary.canary);
        assert_eq!(again.canary["held"].metric, "r5");
        for file in ["training.safetensors", "model.safetensors", "adapter_model.safetensors", "config.json"]
        {
            let bytes = |run: &Path| fs::read(checkpoint::last(run).join(file)).unwrap();
            assert!(bytes(&a) == bytes(&b), "{kind}: the interrupted run differs in {file}");
        }
        // The base's weights are what they were; both matrices have learned.
        let before: std::collections::BTreeMap<_, _> = weights(&base()).into_iter().collect();
        let mut learned = 0;
        for (name, after) in weights(&checkpoint::last(&a)) {
            match before.get(&name) {
                Some(before) => assert_eq!(&after, before, "{name}"),
                None => learned += usize::from(name.ends_with("lora_B") && after.iter().any(|v| *v != 0.0)),
            }
        }
        assert_eq!(learned, 12);
        // The two small files beside the base are the run.
        let alone = tempfile::tempdir().unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(checkpoint::last(&a).join(file), alone.path().join(file)).unwrap();
        }
        let whole = Model::load(&checkpoint::last(&a), Device::Cpu).unwrap().merged().unwrap();
        let found = families::load(alone.path(), Device::Cpu).unwrap().model;
        for (name, param) in whole.params().iter() {
            let far =
                (&param.tensor - &found.params().get(name).unwrap().tensor).abs().max().double_value(&[]);
            assert!(far < 1e-6, "{name}: {far}");
        }
        // Blocks that are run again learn the same.
        let checkpointed = Recipe { activation_checkpointing: true, ..recipe.clone() };
        run(&checkpointed, &at(&format!("{kind}-c")), Options::default()).unwrap();
        let state = |run: &Path| fs::read(checkpoint::last(run).join("model.safetensors")).unwrap();
        assert!(
            state(&a) == state(&at(&format!("{kind}-c"))),
            "{kind}: checkpointing changes what is learned"
        );
    }

    // What a rule names is trained besides, and what falls is told.
    let rule = "[[group]]\nmatch = \"image.projection.*\"\n[canary]\nevaluate = [\"he*\"]\nevery = 2\ntolerance = 0.5\n";
    let harsh = LORA.replace("1e-2", "3.0");
    let spoilt = recipe(&manifest, 8, &(harsh + rule));
    let (summary, notes) = run(&spoilt, &at("spoilt"), Options::default()).unwrap();
    let told = notes.iter().filter(|n| n.starts_with("warning: held fell: R@5")).count();
    let watched = &summary.canary["held"];
    assert_eq!(told > 0, watched.lowest < watched.start - 0.005, "{notes:?} {watched:?}");
    assert!(weights(&checkpoint::last(&at("spoilt"))).iter().any(|(n, w)| {
        n == "image.projection.weight" && *w != weights(&base()).iter().find(|(b, _)| b == n).unwrap().1
    }));
    let metrics = fs::read_to_string(at("spoilt").join("metrics.jsonl")).unwrap();
    let steps = metrics.lines().filter(|l| l.contains("\"kind\":\"canary\"")).count();
    assert_eq!(steps, 6, "at 0, 2, 4, 5, 6 and 8");

    // Larger images and longer texts; the next run begins with what this one learned.
    let larger = recipe(&manifest, 2, &format!("{LORA}[resize]\nimage = 24\ncontext_length = 50\n"));
    run(&larger, &at("larger"), Options::default()).unwrap();
    let model = Model::load(&checkpoint::model_dir(&at("larger")), Device::Cpu).unwrap();
    assert_eq!(model.params().get("image.position.weight").unwrap().tensor.size(), [9, 16]);
    assert_eq!(model.params().get("text.position.weight").unwrap().tensor.size(), [50, 16]);
    assert_eq!(model.processors().image.as_ref().unwrap().size.sides, [24, 24]);
    let next = Recipe { init: Some(at("larger")), resize: None, ..larger };
    let (_, notes) = run(&next, &at("next"), Options::default()).unwrap();
    assert!(notes.iter().any(|n| n.contains("on 12 layers")), "{notes:?}");

    // What cannot work is told before anything is touched.
    for (more, says) in [
        ("[optimizer]\nlr = 1.0\n[adapter]\nrank = 0\n", "adapter.rank: expected 1 to"),
        ("[optimizer]\nlr = 1.0\n[adapter]\nalpha = -1.0\n", "adapter.alpha: expected a positive number"),
        ("[optimizer]\nlr = 1.0\n[adapter]\nmatch = []\n", "adapter.match: expected names of layers"),
        (
            "[optimizer]\nlr = 1.0\n[canary]\nevaluate = [\"none\"]\n",
            "canary.evaluate: expected names of [[evaluate]]",
        ),
        ("[optimizer]\nlr = 1.0\n[canary]\nevaluate = [\"*\"]\ntolerance = -1.0\n", "canary.tolerance"),
        ("[optimizer]\nlr = 1.0\n[resize]\n", "resize: expected image, context_length, or both"),
        (
            "[optimizer]\nlr = 1.0\n[augment]\npatch_dropout = 1.0\n",
            "augment.patch_dropout: expected a share",
        ),
    ] {
        let path = at("r.toml");
        fs::write(&path, text(&manifest, 2, "") + more).unwrap();
        let said = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
        assert!(said.contains(says) && !said.contains('\n'), "{said}");
    }
    let path = at("new.toml");
    fs::write(&path, support::recipe_text(&manifest, 2, "[adapter]\nrank = 4\n")).unwrap();
    let said = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
    assert!(said.contains("adapter: goes with init or [tower]"), "{said}");
}
