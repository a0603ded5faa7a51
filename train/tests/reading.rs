//! An image tower's classifier whose labels the text tower has read.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use support::things;
use tch::{Device, Kind, Tensor};
use unisono_encoders::export::{self, Format};
use unisono_encoders::{Modality, Model};
use unisono_media::Blob;
use unisono_processors::Medium;
use unisono_train::{Event, Options, Recipe, checkpoint, train};

/// One training at a time: dropout draws from libtorch's generator, which belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());

const LABELS: [&str; 6] = ["disc, circle", "bar", "corner, edge, rim", "ring", "", "dot"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// The fixture's net, and what its numbers are called.
fn named(to: &Path, names: &[&str]) -> PathBuf {
    let (from, to) = (fixture("checkpoints/efficientnet-lite"), to.join("net"));
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let path = to.join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["label_names"] = json!(names);
    fs::write(&path, config.to_string()).unwrap();
    to
}

const HEAD: &str = "projection = { kind = \"mlp\", hidden = 24, activation = \"gelu\", bias = true, norm = true, input_dropout = 0.2, dropout = 0.3 }";

fn text(manifest: &Path, net: &Path, image: &str) -> String {
    format!(
        "seed = 3\nsteps = 4\ndevice = \"cpu\"\nthreads = 1\n[model]\nembed_dim = 32\n\
         [tower.text]\nfrom = \"{}\"\nfrozen = true\nprojection = {{ kind = \"none\" }}\n\
         [tower.image]\nfrom = \"{}\"\n{image}\n\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 8\nuses = [\"text\", \"image\"]\n\
         [[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 3e-3\n[loader]\nworkers = 2\n",
        fixture("sentences/legacy").display(),
        net.display(),
        manifest.display()
    )
}

#[test]
fn labels_that_the_text_tower_has_read_are_among_the_features() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let (manifest, net) = (things(dir.path()), named(dir.path(), &LABELS));
    let image = format!("frozen = true\nreads = true\npooling = [\"mean\", \"max\"]\n{HEAD}");
    let recipe = Recipe::parse(&text(&manifest, &net, &image), Path::new("t.toml")).unwrap();
    let run = |name: &str, stop_at: Option<u64>, resume: bool| {
        let stop = AtomicBool::new(false);
        let options = Options { stop: Some(&stop), resume, ..Options::default() };
        train(&recipe, &dir.path().join(name), options, &mut |event| {
            if matches!(event, Event::Step(s) if Some(s.step) == stop_at) {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
        fs::read(dir.path().join(name).join("last/model.safetensors")).unwrap()
    };
    let whole = run("whole", None, false);
    run("parts", Some(2), false);
    assert!(whole == run("parts", None, true));

    let model = Model::load(&dir.path().join("whole/last"), Device::Cpu).unwrap();
    let p = |name: &str| model.params().get(name).unwrap().tensor.shallow_clone();
    let read = |text: &str| {
        let prepared = model.contract().prepare(Medium::Text(text)).unwrap();
        model.embed([&prepared], true).unwrap()
    };
    // A label of several texts is their mean, of length 1; one of none is nothing.
    let unit = |x: Tensor| &x / x.norm_scalaropt_dim(2, [-1i64], true);
    let words = p("image.reading.words");
    assert_eq!(words.size(), [6, 32]);
    let far = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
    let parts = [read("corner"), read("edge"), read("rim")];
    let corner = unit(Tensor::cat(&parts, 0).mean_dim(0i64, true, Kind::Float));
    assert!(far(&words.get(2), &corner) < 1e-6 && far(&words.get(1), &read("bar")) < 1e-6);
    assert_eq!(words.get(4).abs().max().double_value(&[]), 0.0);

    // What stands behind mean and maximum is the sum of the labels' vectors, each times its probability.
    let alone = Model::load(&net, Device::Cpu).unwrap();
    let blob = Blob::file(dir.path().join("red-bar.png"));
    let one = model.contract().prepare(Medium::Image(&blob)).unwrap();
    let pooled = model.pooled([&one]).unwrap();
    let width = pooled.size()[1];
    let logits = alone.class_logits([&one]).unwrap();
    let temperature = model.config().reading.as_ref().unwrap().temperature;
    let want = (logits / temperature).softmax(-1, Kind::Float).matmul(&words);
    let found = pooled.narrow(1, width - 32, 32);
    assert!(far(&found, &want) < 1e-5, "{} of {}", far(&found, &want), want.abs().max().double_value(&[]));
    assert_eq!(pooled.narrow(1, 0, 40), alone.pooled([&one]).unwrap());

    // It is added as it is standardised.
    let x = (&pooled - p("image.projection.norm.mean")) * p("image.projection.norm.scale");
    let y = (x.matmul(&p("image.projection.fc1.weight").tr()) + p("image.projection.fc1.bias")).gelu("none");
    let y = y.matmul(&p("image.projection.fc2.weight").tr()) + p("image.projection.fc2.bias");
    let want = unit(y + x.narrow(1, width - 32, 32) * p("image.projection.read"));
    assert!(far(&model.embed([&one], true).unwrap(), &want) < 1e-5);
    let factor = p("image.projection.read").double_value(&[0]);
    assert!((factor - 1.0).abs() > 1e-6 && (factor - 1.0).abs() < 0.1, "{factor}");
    let said = export::write(&model, &dir.path().join("hf"), Format::HfClip).unwrap_err().to_string();
    assert!(said.contains("has no place for this model"), "{said}");
    assert!(!model.modalities().contains(&Modality::Audio));
}

#[test]
fn what_cannot_be_read_is_said() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let (manifest, net) = (things(dir.path()), named(dir.path(), &LABELS));
    let nameless = fixture("checkpoints/efficientnet-lite");
    let said = |net: &Path, image: &str| {
        let path = dir.path().join("t.toml");
        fs::write(&path, text(&manifest, net, image)).unwrap();
        let run = Recipe::load(&path, &[], &[])
            .and_then(|recipe| train(&recipe, &dir.path().join("run"), Options::default(), &mut |_| ()));
        assert!(!checkpoint::model_dir(&dir.path().join("run")).join("model.safetensors").exists());
        run.unwrap_err().to_string()
    };
    for (net, image, says) in [
        (&nameless, format!("frozen = true\nreads = true\n{HEAD}"), "found labels without names"),
        (&fixture("checkpoints/clip-quick"), format!("frozen = true\nreads = true\n{HEAD}"), "found none"),
        (
            &net,
            "reads = true\nprojection = { kind = \"linear\" }".into(),
            "tower.image.reads: reads what is written",
        ),
        (&net, "frozen = true\nreads = true".into(), "expected a projection"),
        (
            &net,
            format!("frozen = true\nreads = true\npooling = [\"max\", \"mean\"]\n{HEAD}"),
            "expected a pooling that begins with it",
        ),
    ] {
        let found = said(net, &image);
        assert!(found.contains(says), "{found}");
    }
}
