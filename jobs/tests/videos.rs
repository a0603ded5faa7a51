//! Videos, whole and in parts, as items of their own.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{DIM, TOWERS, image, model};
use tch::Device;
use unisono_jobs::index::{BuildOptions, build};
use unisono_jobs::{EmbedOptions, Embedded, Embedder, Flow, Index, Inputs, Item, Modality, embed};
use unisono_media::video::{Ffmpeg, Span, VideoLimits};

/// A video of twenty frames whose grey, or whatever `plane` says, changes.
fn video(path: &Path, plane: &str) {
    let source = format!("nullsrc=s=64x48:r=10,geq={plane},format=yuv420p");
    let program = Ffmpeg::find(None).unwrap();
    let words = ["-loglevel", "error", "-y", "-f", "lavfi", "-i", &source, "-frames:v", "20", "-crf", "10"];
    assert!(Command::new(program.program()).args(words).arg(path).status().unwrap().success());
}

/// An image, two videos, something that is none, and a manifest with a part of one.
fn collection(dir: &Path) -> PathBuf {
    image(&dir.join("p.png"), 3);
    video(&dir.join("grey.mp4"), "lum='16+N*10':cb=128:cr=128");
    video(&dir.join("stripes.mkv"), "lum='if(lt(mod(X+4*N,16),8),40,200)':cb=60:cr=200");
    fs::write(dir.join("broken.mp4"), "only words").unwrap();
    let manifest = dir.join("m.jsonl");
    fs::write(
        &manifest,
        concat!(
            r#"{"id":"whole","text":"it grows light","video":"grey.mp4","label":"grey","split":"a"}"#,
            "\n",
            r#"{"id":"part","text":"half of it","video":"grey.mp4","start":"1","end":"3/2","label":"grey","split":"a"}"#,
            "\n",
            r#"{"id":"stripes","text":"stripes run","video":"stripes.mkv","label":"stripes","split":"a"}"#,
            "\n",
        ),
    )
    .unwrap();
    manifest
}

fn run(embedder: &Embedder, inputs: &Inputs, batch: usize) -> Embedded {
    let listing = inputs.list(&embedder.model().embeds()).unwrap();
    let options = EmbedOptions { batch, workers: 2, max_skip: 10 };
    embed(embedder, listing, &options, &mut |_| Flow::Continue).unwrap()
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn videos_are_the_mean_of_their_frames_and_parts_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = collection(dir.path());
    let embedder = Embedder::new(model(7, &TOWERS));
    let folder = Inputs { paths: vec![dir.path().to_owned()], ..Inputs::default() };
    let found = run(&embedder, &folder, 4);
    let kinds: Vec<(String, Modality)> = found
        .items
        .iter()
        .map(|i| {
            (i.blob.as_ref().unwrap().name().file_name().unwrap().to_str().unwrap().to_owned(), i.modality)
        })
        .collect();
    let want = [("grey.mp4", Modality::Video), ("p.png", Modality::Image), ("stripes.mkv", Modality::Video)];
    assert_eq!(kinds, want.map(|(n, m)| (n.to_owned(), m)));
    assert_eq!((found.skipped.len(), found.vectors.dim), (1, DIM));
    assert!(found.skipped[0].reason.contains("expected a video that FFmpeg reads"), "{:?}", found.skipped);

    // Frames 1, 3, 6, … of twenty: the middles of eight parts.
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), VideoLimits::default());
    let probed = ffmpeg.probe(dir.path().join("grey.mp4"), &limits).unwrap();
    let frames = ffmpeg.sample(&probed, 8, &limits).unwrap();
    let frames: Vec<_> = frames.into_iter().map(|f| f.image).collect();
    let vectors = unisono_encoders::to_vec(&embedder.model().embed_images(&frames).unwrap()).unwrap();
    let mut mean = [0f32; DIM];
    for row in vectors.chunks(DIM) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
    }
    let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
    let mean: Vec<f32> = mean.iter().map(|v| v / length).collect();
    let rows: Vec<&[f32]> = found.vectors.rows().collect();
    assert!(close(rows[0], &mean));

    let records =
        Inputs { source: Some(manifest.into()), modalities: vec![Modality::Video], ..Inputs::default() };
    for batch in [1, 32] {
        let parts = run(&embedder, &records, batch);
        let ids: Vec<&str> = parts.items.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["whole", "part", "stripes"]);
        let rows: Vec<&[f32]> = parts.vectors.rows().collect();
        assert!(close(rows[0], &mean) && !close(rows[0], rows[1]));
        let line = serde_json::to_value(&parts.items[1]).unwrap();
        assert_eq!(line["span"], serde_json::json!({"start": "1", "end": "3/2"}));
        assert_eq!(serde_json::from_value::<Item>(line).unwrap(), parts.items[1]);
        assert!(serde_json::to_value(&parts.items[0]).unwrap().get("span").is_none());
        let alone = embedder.video(dir.path().join("grey.mp4"), &parts.items[1].span).unwrap();
        assert!(close(&alone, rows[1]));
    }
}

#[test]
fn an_index_finds_videos_by_videos_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = collection(dir.path());
    let place = support::model_dir(dir.path());
    let inputs = Inputs { source: Some(manifest.into()), ..Inputs::default() };
    let options = BuildOptions { inputs, ..BuildOptions::default() };
    let report =
        build(&place, Device::Cpu, &dir.path().join("idx"), &options, &mut |_| Flow::Continue).unwrap();
    // A part is not its whole.
    assert_eq!((report.header.count, report.repeated), (6, 0));
    let pairs: Vec<(Modality, Modality)> = report.recalls().iter().map(|r| (r.from, r.to)).collect();
    assert_eq!(pairs, [(Modality::Text, Modality::Video), (Modality::Video, Modality::Text)]);
    let index = Index::open(dir.path().join("idx")).unwrap();
    let embedder = Embedder::of_index(&index, None, Device::Cpu).unwrap();
    let query = embedder.video(dir.path().join("stripes.mkv"), &Span::WHOLE).unwrap();
    let hits = index.search(&query, 1, &[]).unwrap();
    assert_eq!((index.item(hits[0].index).unwrap().id.as_str(), hits[0].score > 0.9999), ("stripes", true));
    assert_eq!(index.searched(Modality::Text), [Modality::Video]);
    let page = unisono_jobs::sheet::html(&index, &Item::text("q", "stripes"), &hits);
    assert!(page.contains("data:image/jpeg;base64,"));
}

#[test]
fn without_a_decoder_or_eyes_videos_are_named() {
    let dir = tempfile::tempdir().unwrap();
    collection(dir.path());
    let mut embedder = Embedder::new(model(7, &TOWERS));
    embedder.set_ffmpeg(Some("/nonexistent/ffmpeg".into()));
    // One that was named and is not there is no video's fault.
    let inputs = Inputs { paths: vec![dir.path().to_owned()], ..Inputs::default() };
    let listing = inputs.list(&embedder.model().embeds()).unwrap();
    let refused = embed(&embedder, listing, &EmbedOptions::default(), &mut |_| Flow::Continue).unwrap_err();
    assert!(refused.to_string().contains("/nonexistent/ffmpeg"), "{refused}");
    // A model that sees nothing leaves them in their folder, and says why where one is asked for.
    let deaf = model(7, &[Modality::Text]);
    assert_eq!(deaf.embeds(), [Modality::Text]);
    let file = Inputs { paths: vec![dir.path().join("grey.mp4")], ..Inputs::default() };
    let skipped = file.list(&deaf.embeds()).unwrap().skipped;
    assert!(skipped[0].reason.contains("a video, which this model does not take"), "{skipped:?}");
}
