//! Videos in the shared space: the mean, the temporal Transformer, the audio of a clip, X-CLIP's frames that hear each other.
#![allow(clippy::unwrap_used, missing_docs)]

use image::{Rgb, RgbImage};
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use unisono_encoders::clips::Clips;
use unisono_encoders::video::ClipAudio;
use unisono_encoders::{Clip, Input, Modality, Mode, Model, ModelConfig, Processors, VideoConfig, to_vec};
use unisono_processors::{ImageProcessor, LogMel, MelConfig, TextProcessor, Vocabulary, train_tokenizer};

/// Three towers, the image tower without messages; `video` is the JSON of the video table.
fn model(video: Option<&str>) -> Result<Model, unisono_encoders::Error> {
    let blocks = r#"{"width": 12, "depth": 1, "heads": 3, "mlp_ratio": 2.0}"#;
    let video = video.map(|v| format!(r#", "video": {v}"#)).unwrap_or_default();
    let config = format!(
        r#"{{"embed_dim": 10,
            "text": {{"vocab_size": 260, "context_length": 9, "pooling": "mean", "transformer": {blocks}}},
            "image": {{"size": 12, "stem": {{"kind": "patch", "size": [6, 6]}}, "pooling": "mean", "transformer": {blocks}}},
            "audio": {{"mels": 8, "max_frames": 40, "stem": {{"kind": "patch", "size": [4, 8]}}, "pooling": "mean", "transformer": {blocks}}}
            {video}}}"#
    );
    let config: ModelConfig = serde_json::from_str(&config).unwrap();
    let tokenizer = train_tokenizer(["a b"].into_iter(), 260, Vocabulary::Bpe).unwrap();
    let processors = Processors {
        text: Some(TextProcessor::new(tokenizer, 9, 260).unwrap()),
        image: Some(ImageProcessor::new(12)),
        audio: Some(LogMel::new(MelConfig::speech(8, 40)).unwrap()),
        ..Processors::default()
    };
    Model::new(config, processors, 3, Device::Cpu)
}

const TEMPORAL: &str = r#""pooling": {"kind": "temporal", "transformer": {"width": 15, "depth": 2, "heads": 5, "mlp_ratio": 2.0}}"#;

fn frame(seed: u32) -> RgbImage {
    RgbImage::from_fn(12, 12, |x, y| {
        let v = (x * 37 + y * 59 + seed * 101) % 251;
        Rgb([v as u8, (v * 3 % 256) as u8, (seed * 45 % 256) as u8])
    })
}

fn clip(frames: &[u32], audio: Option<f32>) -> Clip {
    let mel = |v: f32| (0..20 * 8).map(|i| (i as f32 * v).sin()).collect();
    Clip { frames: frames.iter().map(|s| frame(*s)).collect(), audio: audio.map(mel) }
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Weights that a zero beginning would hide are made large.
fn stir(model: &Model) {
    for (name, p) in model.params().iter().filter(|(n, _)| n.starts_with("video.")) {
        let n = p.tensor.numel() as i64;
        let wave = (Tensor::arange(n, (Kind::Float, Device::Cpu)) * (1.3 + name.len() as f64)).sin() * 0.4;
        tch::no_grad(|| p.tensor.shallow_clone().copy_(&wave.view_as(&p.tensor)));
    }
}

/// Row-major vectors → the unit vector along their mean.
fn naive(rows: &[Vec<f32>]) -> Vec<f64> {
    let dim = rows[0].len();
    let mean: Vec<f64> =
        (0..dim).map(|k| rows.iter().map(|r| f64::from(r[k])).sum::<f64>() / rows.len() as f64).collect();
    let length = mean.iter().map(|v| v * v).sum::<f64>().sqrt();
    mean.into_iter().map(|v| v / length).collect()
}

#[test]
fn without_a_table_a_video_is_the_mean_of_its_frames() {
    let model = model(None).unwrap();
    assert_eq!((model.frames(), model.listens(), model.modalities().len()), (8, false, 3));
    assert_eq!(model.embeds(), Modality::ALL);
    assert!(!model.params().iter().any(|(n, _)| n.starts_with("video.")));
    let videos = [clip(&[1, 2, 3], None).frames, clip(&[4], None).frames];
    let found = to_vec(&model.embed_videos(&videos).unwrap()).unwrap();
    for (video, found) in videos.iter().zip(found.chunks(10)) {
        let frames = to_vec(&model.embed_images(video).unwrap()).unwrap();
        let want = naive(&frames.chunks(10).map(<[f32]>::to_vec).collect::<Vec<_>>());
        assert!(found.iter().zip(want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6));
    }
    // The temperature is images'.
    let scale = |m| model.logit_scale(Modality::Text, m).unwrap().double_value(&[]);
    assert_eq!(scale(Modality::Video), scale(Modality::Image));
}

#[test]
fn an_untrained_temporal_tower_is_the_mean_and_a_trained_one_sees_the_order() {
    let mean = model(None).unwrap();
    let videos = [clip(&[1, 2, 3], None).frames, clip(&[3, 2, 1], None).frames, clip(&[5], None).frames];
    let want = mean.embed_videos(&videos).unwrap();
    let video: VideoConfig = serde_json::from_str(&format!(r#"{{"frames": 4, {TEMPORAL}}}"#)).unwrap();
    let temporal = mean.with_video(video, 7).unwrap();
    assert_eq!((temporal.frames(), temporal.modalities().len()), (4, 4));
    assert!(distance(&temporal.embed_videos(&videos).unwrap(), &want) < 1e-6);
    stir(&temporal);
    let found = temporal.embed_videos(&videos).unwrap();
    let d = distance(&found.get(0), &found.get(1));
    assert!(d > 1e-3, "{d}");
    assert!(distance(&want.get(0), &want.get(1)) < 1e-6);
    // Another rule for audio keeps what was learned, another pooling begins anew.
    let weights = |m: &Model| m.params().get("video.out.weight").map(|p| p.tensor.copy());
    let learned = weights(&temporal);
    let config: VideoConfig = serde_json::from_str(&format!(
        r#"{{"frames": 6, {TEMPORAL}, "audio": {{"kind": "mean", "weight": 0.5}}}}"#
    ))
    .unwrap();
    let longer = temporal.with_video(config, 7).unwrap();
    assert!(weights(&longer) == learned && longer.frames() == 6);
    let temporal = longer.with_video(VideoConfig { frames: 4, ..VideoConfig::default() }, 7).unwrap();
    assert!(weights(&temporal).is_none() && temporal.embed_videos(&videos).unwrap().size() == [3, 10]);
    let video: VideoConfig = serde_json::from_str(&format!(r#"{{"frames": 4, {TEMPORAL}}}"#)).unwrap();
    let temporal = temporal.with_video(video, 7).unwrap();
    assert!(weights(&temporal) != learned);
    let long = [clip(&[1, 2, 3, 4, 5], None).frames];
    let e = temporal.embed_videos(&long).unwrap_err().to_string();
    assert!(e.contains("a video of 5 frames, this tower takes at most 4"), "{e}");
    assert!(temporal.embed_videos(&[Vec::new()]).unwrap_err().to_string().contains("without a frame"));
}

#[test]
fn a_batch_is_its_singles_and_padding_changes_nothing() {
    let temporal = format!(r#"{{"frames": 5, {TEMPORAL}, "audio": {{"kind": "token"}}}}"#);
    let mean = r#"{"audio": {"kind": "mean", "weight": 0.3}}"#.to_owned();
    for config in [temporal, mean] {
        let model = model(Some(&config)).unwrap();
        stir(&model);
        let clips = [
            clip(&[1, 2, 3, 4, 5], Some(0.3)),
            clip(&[6], None),
            clip(&[7, 8], Some(1.1)),
            clip(&[1, 2, 3], None),
        ];
        let all = model.embed(&clips, false).unwrap();
        for (i, one) in clips.iter().enumerate() {
            let alone = model.embed([one], false).unwrap();
            assert!(distance(&all.narrow(0, i as i64, 1), &alone) < 1e-6, "{config} {i}");
        }
        assert_eq!(all, model.embed(&clips, false).unwrap(), "two runs are bitwise equal");
        // More than go through at once.
        let many: Vec<Clip> = (0..20).map(|i| clips[i % 4].clone()).collect();
        let many = model.embed(&many, false).unwrap();
        assert!((0..20).all(|i| distance(&many.get(i), &all.get(i % 4)) < 1e-6));
    }
}

#[test]
fn audio_and_image_join_as_the_rule_says() {
    let silent = model(None).unwrap();
    let clips = [clip(&[1, 2], Some(0.3)), clip(&[3, 4, 5], None)];
    let frames: Vec<Vec<RgbImage>> = clips.iter().map(|c| c.frames.clone()).collect();
    let seen = silent.embed_videos(&frames).unwrap();
    assert_eq!(silent.project(Modality::Video, &silent.embed(&clips, false).unwrap()).unwrap(), seen);
    let heard = silent.embed([Input::Audio(clips[0].audio.as_deref().unwrap())], true).unwrap().get(0);
    for weight in [0.0, 0.25, 1.0] {
        let rule = format!(r#"{{"audio": {{"kind": "mean", "weight": {weight}}}}}"#);
        let model = model(Some(&rule)).unwrap();
        assert!(model.listens());
        let both = model.project(Modality::Video, &model.embed(&clips, false).unwrap()).unwrap();
        let want = seen.get(0) * (1.0 - weight) + &heard * weight;
        let want = &want / want.norm();
        assert!(distance(&both.get(0), &want) < 1e-6, "{weight}");
        assert!(distance(&both.get(1), &seen.get(1)) < 1e-6, "without audio nothing changes");
    }
    let model = model(Some(&format!(r#"{{{TEMPORAL}, "audio": {{"kind": "token"}}}}"#))).unwrap();
    let unit = |clips: &[Clip]| model.project(Modality::Video, &model.embed(clips, false).unwrap()).unwrap();
    assert!(distance(&unit(&clips), &seen) < 1e-6, "before training it is the mean of the frames");
    stir(&model);
    let other = [clip(&[1, 2], Some(0.9)), clips[1].clone()];
    let (a, b) = (unit(&clips), unit(&other));
    assert!(distance(&a.get(0), &b.get(0)) > 1e-3 && distance(&a.get(1), &b.get(1)) < 1e-6);
}

/// Central differences in the largest entry of every parameter's gradient.
#[test]
fn gradients_equal_finite_differences() {
    let model =
        model(Some(&format!(r#"{{"frames": 3, {TEMPORAL}, "audio": {{"kind": "token"}}}}"#))).unwrap();
    stir(&model);
    let wave = |shape: [i64; 2], by: f64| {
        (Tensor::arange(shape[0] * shape[1], (Kind::Float, Device::Cpu)) * by).sin().view(shape)
    };
    let clips = Clips::new(&[3, 1, 2], Device::Cpu).unwrap();
    let heard = ClipAudio { pooled: wave([2, 12], 0.9), vectors: wave([2, 10], 0.4), rows: vec![0, 2] };
    let loss = || {
        let pooled = model.forward_video(&wave([6, 12], 0.7), &clips, Some(&heard), Mode::Train).unwrap();
        (model.project(Modality::Video, &pooled).unwrap() * wave([3, 10], 1.9)).sum(Kind::Double)
    };
    loss().backward();
    let mut checked = 0;
    for (name, param) in model.params().iter().filter(|(n, _)| n.starts_with("video.")) {
        let (grad, flat) = (param.tensor.grad().view([-1]), param.tensor.detach().view([-1]));
        let at = grad.abs().argmax(0, false).int64_value(&[]);
        let before = flat.double_value(&[at]);
        let moved = |by: f64| {
            let _ = flat.get(at).fill_(before + by);
            tch::no_grad(loss).double_value(&[])
        };
        let slope = (moved(4e-3) - moved(-4e-3)) / 8e-3;
        let _ = flat.get(at).fill_(before);
        let g = grad.double_value(&[at]);
        assert!((slope - g).abs() < 4e-3 + 0.03 * g.abs(), "{name}[{at}]: {slope} {g}");
        checked += 1;
    }
    assert!(checked > 25, "{checked}");
}

#[test]
fn a_model_with_a_video_tower_round_trips() {
    let config = format!(r#"{{"frames": 3, {TEMPORAL}, "audio": {{"kind": "token"}}}}"#);
    let model = model(Some(&config)).unwrap();
    stir(&model);
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    let again = Model::load(dir.path(), Device::Cpu).unwrap();
    assert_eq!(again.config(), model.config());
    let clips = [clip(&[1, 2, 3], Some(0.3)), clip(&[4], None)];
    let d = distance(&again.embed(&clips, false).unwrap(), &model.embed(&clips, false).unwrap());
    assert!(d < 1e-6, "{d}");
}

#[test]
fn impossible_tables_are_named() {
    for (config, says) in [
        (r#"{"frames": 0}"#, "video.frames: expected 1 to 4096, found 0"),
        (r#"{"audio": {"kind": "mean", "weight": 1.5}}"#, "video.audio.weight: expected 0 to 1"),
        (r#"{"audio": {"kind": "token"}}"#, "token needs pooling.kind = \"temporal\""),
        (
            r#"{"pooling": {"kind": "integration", "transformer": {"width": 12, "depth": 1, "heads": 3}}}"#,
            "video.pooling.transformer.width: 12, but integration works in the shared space of embed_dim 10",
        ),
        (
            r#"{"pooling": {"kind": "temporal", "transformer": {"width": 12, "depth": 1, "heads": 5}}}"#,
            "video.pooling.transformer.heads: 5 does not divide width 12",
        ),
        (
            r#"{"prompts": {"depth": 1, "heads": 3, "norm_eps": 1e-5, "visual_norm_eps": 1e-5}}"#,
            "video.prompts.heads: 3 does not divide embed_dim 10",
        ),
    ] {
        let e = model(Some(config)).unwrap_err().to_string();
        assert!(e.contains(says), "{config}: {e}");
    }
    assert!(serde_json::from_str::<VideoConfig>(r#"{"frame": 3}"#).is_err());
}

#[test]
fn frames_of_xclip_hear_their_own_clip_only() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints/xclip");
    let model = Model::load(&dir, Device::Cpu).unwrap();
    assert_eq!((model.frames(), model.modalities().len()), (3, 3));
    let square = |seed| image::imageops::resize(&frame(seed), 21, 21, image::imageops::FilterType::Nearest);
    let videos: Vec<Vec<RgbImage>> = [&[1, 2, 3][..], &[4, 5], &[3, 2, 1], &[6]]
        .iter()
        .map(|v| v.iter().map(|s| square(*s)).collect())
        .collect();
    let of = |videos: &[Vec<RgbImage>]| {
        model.embed(videos.iter().map(|frames| Input::Video(frames, None)), false).unwrap()
    };
    let all = of(&videos);
    assert!(distance(&all.get(0), &all.get(2)) > 1e-3, "the order counts");
    let texts = (Tensor::arange(60, (Kind::Float, Device::Cpu)) * 0.7).sin().view([3, 20]);
    let logits = model.video_logits(&texts, &videos).unwrap();
    assert_eq!(logits.size(), [4, 3]);
    for (i, one) in videos.iter().enumerate() {
        let one = std::slice::from_ref(one);
        assert!(distance(&all.narrow(0, i as i64, 1), &of(one)) < 1e-5, "{i}");
        let alone = model.video_logits(&texts, one).unwrap();
        assert!(distance(&logits.narrow(0, i as i64, 1), &alone) < 1e-5, "{i}");
    }
    // An image is a clip of one frame.
    let images = model.embed([Input::Image(&square(1)), Input::Image(&square(2))], false).unwrap();
    assert!(
        distance(&images.narrow(0, 1, 1), &model.embed([Input::Image(&square(2))], false).unwrap()) < 1e-5
    );
}
