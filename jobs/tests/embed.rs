//! Embedding many files: order, what cannot be used, what an interruption leaves.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use support::{DIM, TOWERS, audio, collection, image, model, nan_audio, pixel_bomb};
use tch::Device;
use unisono_jobs::{
    EmbedOptions, Embedded, Embedder, Error, Flow, Inputs, Job, Modality, Progress, embed, embed_to,
    similarity,
};

fn go_on(_: Progress) -> Flow {
    Flow::Continue
}

fn options(batch: usize, workers: usize) -> EmbedOptions {
    EmbedOptions { batch, workers, max_skip: 10 }
}

fn run(embedder: &Embedder, inputs: &Inputs, options: &EmbedOptions) -> unisono_jobs::Result<Embedded> {
    let listing = inputs.list(&embedder.model().modalities())?;
    embed(embedder, listing, options, &mut go_on)
}

fn folder(dir: &Path) -> Inputs {
    Inputs {
        paths: vec![dir.to_owned()],
        texts: vec!["a red bus".into(), "un chat".into()],
        ..Inputs::default()
    }
}

#[test]
fn every_row_belongs_to_its_item_whatever_the_batch_and_workers() {
    let dir = tempfile::tempdir().unwrap();
    collection(dir.path(), 7);
    let embedder = Embedder::new(model(7, &TOWERS));
    for (batch, workers) in [(1, 1), (3, 2), (4, 5), (100, 3)] {
        let got = run(&embedder, &folder(dir.path()), &options(batch, workers)).unwrap();
        assert_eq!((got.items.len(), got.vectors.len(), got.vectors.dim), (16, 16, DIM));
        for (item, row) in got.items.iter().zip(got.vectors.rows()) {
            let alone = match item.modality {
                Modality::Image => embedder.image(&item.id).unwrap(),
                Modality::Audio => embedder.audio(&item.id).unwrap(),
                Modality::Text => embedder.texts(&[item.text.as_deref().unwrap()]).unwrap().data,
                Modality::Video => embedder.video(&item.id, &item.span).unwrap(),
            };
            assert!((similarity(&alone, row) - 1.0).abs() < 1e-5, "{} {batch} {workers}", item.id);
        }
        let names: Vec<&str> = got.items.iter().map(|i| i.id.rsplit('/').next().unwrap()).collect();
        assert_eq!((names[0], names[7], names[14], names[15]), ("p00.png", "s00.wav", "text:0", "text:1"));
    }
}

#[test]
fn two_runs_are_bitwise_equal() {
    let dir = tempfile::tempdir().unwrap();
    collection(dir.path(), 5);
    let embedder = Embedder::new(model(7, &TOWERS));
    let one = run(&embedder, &folder(dir.path()), &options(4, 1)).unwrap();
    let two = run(&embedder, &folder(dir.path()), &options(4, 3)).unwrap();
    let bits = |e: &Embedded| e.vectors.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one), bits(&two));
}

#[test]
fn bad_files_are_skipped_named_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image(&at("a.png"), 1);
    fs::write(at("b.png"), "").unwrap();
    nan_audio(&at("c.wav"));
    pixel_bomb(&at("d.png"));
    audio(&at("e.wav"), 2);
    fs::write(at("f.jpg"), b"\xff\xd8\xff\xe0 cut").unwrap();
    let embedder = Embedder::new(model(7, &TOWERS));
    let inputs = Inputs { paths: vec![dir.path().to_owned()], ..Inputs::default() };
    let got = run(&embedder, &inputs, &options(2, 2)).unwrap();
    let kept: Vec<_> = got.items.iter().map(|i| i.blob.as_ref().unwrap().name().to_owned()).collect();
    assert_eq!(kept, [at("a.png"), at("e.wav")]);
    assert!((similarity(&embedder.audio(at("e.wav")).unwrap(), &got.vectors.data[DIM..]) - 1.0).abs() < 1e-5);
    let reasons: Vec<_> =
        got.skipped.iter().map(|s| (s.id.rsplit('/').next().unwrap(), s.reason.as_str())).collect();
    let expected =
        [("b.png", "an empty file"), ("c.wav", "NaN"), ("d.png", "50000 x 50000"), ("f.jpg", "Jpeg")];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for ((id, reason), (want, part)) in reasons.iter().zip(expected) {
        assert!(*id == want && reason.contains(part) && !reason.contains('\n'), "{id}: {reason}");
    }
    let few = EmbedOptions { max_skip: 3, ..options(2, 2) };
    let e = run(&embedder, &inputs, &few).unwrap_err();
    assert!(matches!(&e, Error::TooManySkipped { count: 4, max: 3, id, .. } if id.ends_with("f.jpg")), "{e}");
    fs::remove_file(at("a.png")).unwrap();
    fs::remove_file(at("e.wav")).unwrap();
    let e = run(&embedder, &inputs, &options(2, 2)).unwrap_err().to_string();
    assert!(e.contains("none of the 4 inputs") && e.contains("b.png"), "{e}");
}

#[test]
fn progress_ends_at_the_total_and_can_stop_the_job() {
    let dir = tempfile::tempdir().unwrap();
    collection(dir.path(), 6);
    fs::write(dir.path().join("z.png"), "no image").unwrap();
    let embedder = Embedder::new(model(7, &TOWERS));
    let inputs = Inputs { paths: vec![dir.path().to_owned()], ..Inputs::default() };
    let listing = inputs.list(&TOWERS).unwrap();
    let mut last = (0, 0, 0);
    let mut watch = |p: Progress| {
        assert!(p.done >= last.0, "{p:?}");
        last = (p.done, p.total, p.skipped);
        Flow::Continue
    };
    embed(&embedder, listing.clone(), &options(4, 2), &mut watch).unwrap();
    assert_eq!(last, (13, 13, 1));
    let mut stop = |p: Progress| if p.done >= 4 { Flow::Stop } else { Flow::Continue };
    let e = embed(&embedder, listing, &options(2, 2), &mut stop).unwrap_err();
    assert!(matches!(e, Error::Interrupted), "{e}");
}

#[test]
fn a_missing_tower_is_said_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = collection(dir.path(), 2);
    let embedder = Embedder::new(model(7, &[Modality::Text, Modality::Image]));
    let images = run(&embedder, &folder(dir.path()), &options(4, 1)).unwrap();
    assert_eq!(images.items.len(), 4);
    let all =
        Inputs { source: Some(manifest.into()), modalities: vec![Modality::Audio], ..Inputs::default() };
    let e = run(&embedder, &all, &options(4, 1)).unwrap_err().to_string();
    assert!(e.contains("no audio tower; it has: text, image"), "{e}");
    let listing = folder(dir.path()).list(&TOWERS).unwrap();
    let e = embed(&embedder, listing, &options(4, 1), &mut go_on).unwrap_err().to_string();
    assert!(e.contains("no audio tower"), "{e}");
}

#[test]
fn a_model_directory_embeds_as_the_model_did() {
    let dir = tempfile::tempdir().unwrap();
    let path = support::model_dir(dir.path());
    let loaded = Embedder::load(&path, Device::Cpu).unwrap();
    let one = loaded.texts(&["a red bus", "", "🚌"]).unwrap();
    assert_eq!(one, Embedder::new(model(7, &TOWERS)).texts(&["a red bus", "", "🚌"]).unwrap());
    assert!(one.rows().all(|r| (similarity(r, r) - 1.0).abs() < 1e-5));
    assert!(loaded.texts::<&str>(&[]).unwrap().is_empty());
    assert!(loaded.image(dir.path().join("none.png")).unwrap_err().to_string().contains("none.png"));
}

#[test]
fn tables_are_embedded_and_vectors_say_who_made_them() {
    use unisono_datasets::vectors::{Expected, VectorFile};
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::load(support::model_dir(dir.path()), Device::Cpu).unwrap();
    let model = embedder.identity().unwrap().unwrap();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/parquet/images.parquet");
    let inputs =
        Inputs { source: Some(table.into()), modalities: vec![Modality::Image], ..Inputs::default() };
    for name in ["v.npy", "v.safetensors", "v.parquet"] {
        let out = dir.path().join(name);
        let listing = inputs.list(&TOWERS).unwrap();
        // The list holds places in the table, and no bytes.
        assert!(listing.items.iter().all(|item| item.blob.as_ref().unwrap().table().is_some()));
        let job = Job { out: &out, fresh: false };
        let stored = embed_to(&embedder, listing, &options(2, 2), &job, &mut |_| {}, &mut go_on).unwrap();
        assert_eq!(stored.place().unwrap().count, 5);
        let file = VectorFile::open(&out, &Expected { model: Some(&model), dim: Some(DIM) }).unwrap();
        file.verify().unwrap();
        let row = file.find("images/5", "image", 0).unwrap().unwrap();
        assert_eq!(row, 4);
        let norm: f32 = file.row(row).unwrap().iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-5);
        let other = VectorFile::open(&out, &Expected { model: Some("other"), dim: None });
        assert!(
            other.unwrap_err().to_string().contains("expected vectors of the model other, found those of")
        );
    }
}
