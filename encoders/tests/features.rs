//! One way through the towers: inputs of any modalities, sizes and lengths in one call are what each alone is.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use image::{Rgb, RgbImage};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Draws, Input, Modality, Mode, Model, ModelConfig, Pass, Processors};
use unisono_processors::{
    Fit, ImageProcessor, LogMel, MelConfig, TextProcessor, Vocabulary, train_tokenizer,
};

const CONFIG: &str = r#"{"embed_dim": 10,
    "text": {"vocab_size": 300, "context_length": 12, "pooling": "mean",
        "transformer": {"width": 16, "depth": 2, "heads": 4, "dropout": 0.2, "kv_heads": 2, "rotary": {}}},
    "image": {"size": 24, "flexible": true, "stem": {"kind": "patch", "size": [8, 8]}, "pooling": "mean",
        "transformer": {"width": 12, "depth": 2, "heads": 2}},
    "audio": {"mels": 8, "max_frames": 40, "stem": {"kind": "patch", "size": [4, 8]}, "pooling": "attention",
        "transformer": {"width": 8, "depth": 1, "heads": 2}},
    "video": {"frames": 4, "audio": {"kind": "mean", "weight": 0.25}}}"#;

fn model() -> Model {
    let config: ModelConfig = serde_json::from_str(CONFIG).unwrap();
    let tokenizer = train_tokenizer(["a red bus", "a blue bus"].iter(), 300, Vocabulary::Bpe).unwrap();
    let processors = Processors {
        text: Some(TextProcessor::new(tokenizer, 12, 300).unwrap()),
        image: Some(ImageProcessor { fit: Fit::Patches, patch: Some(8), ..ImageProcessor::new(24) }),
        audio: Some(LogMel::new(MelConfig::speech(8, 40)).unwrap()),
        ..Processors::default()
    };
    Model::new(config, processors, 4, Device::Cpu).unwrap()
}

fn image(w: u32, h: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(w, h, |x, y| Rgb([x, y, x ^ y].map(|v| (v * 37 + seed * 101) as u8)))
}

fn mel(frames: usize, seed: f32) -> Vec<f32> {
    (0..frames * 8).map(|i| (i as f32 * 0.7 + seed).sin()).collect()
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().to_kind(Kind::Double).double_value(&[])
}

struct Made {
    ids: Vec<Vec<i64>>,
    images: Vec<RgbImage>,
    mels: Vec<Vec<f32>>,
    clips: Vec<Vec<RgbImage>>,
}

impl Made {
    fn new() -> Self {
        Self {
            ids: vec![vec![5, 9, 1], vec![7, 1], vec![3, 4, 5, 6, 8, 1]],
            images: vec![image(24, 24, 1), image(16, 32, 2), image(24, 24, 3), image(40, 8, 4)],
            mels: vec![mel(9, 0.1), mel(40, 0.2), mel(4, 0.3)],
            clips: vec![vec![image(32, 16, 5); 3], vec![image(24, 24, 6), image(24, 24, 7)]],
        }
    }

    /// Modalities by turns.
    fn inputs(&self) -> Vec<Input<'_>> {
        let mut all = vec![
            Input::Video(&self.clips[0], Some(&self.mels[0])),
            Input::Image(&self.images[0]),
            Input::Text(&self.ids[0]),
            Input::Video(&self.clips[1], None),
        ];
        all.extend(self.mels.iter().map(|mel| Input::Audio(mel)));
        all.extend(self.images[1..].iter().map(Input::Image));
        all.extend(self.ids[1..].iter().map(|ids| Input::Text(ids)));
        all
    }
}

#[test]
fn all_at_once_is_one_by_one() {
    let (model, made) = (model(), Made::new());
    let inputs = made.inputs();
    let all = model.embed(inputs.iter().copied(), true).unwrap();
    assert_eq!(all.size(), [12, 10]);
    for (i, input) in inputs.iter().enumerate() {
        let alone = model.embed([*input], true).unwrap();
        assert!(far(&all.narrow(0, i as i64, 1), &alone) < 1e-6, "{i}: {:?}", input.modality());
        let raw = model.embed([*input], false).unwrap();
        assert!(far(&(&raw / raw.norm()), &alone) < 1e-6);
    }
    assert!(model.embed(Vec::<Input>::new(), true).unwrap_err().to_string().contains("nothing to embed"));
    assert!(
        model.embed([Input::Video(&[], None)], true).unwrap_err().to_string().contains("without a frame")
    );
}

/// Tokens of images of several shapes: each one's own, the rest masked; of videos a sequence for each frame.
#[test]
fn tokens_are_padded_and_masked() {
    let (model, made) = (model(), Made::new());
    let features = tch::no_grad(|| model.features(made.inputs(), &Pass::EVAL).unwrap());
    let of = &features.towers[&Modality::Image];
    assert_eq!(of.rows, [1, 7, 8, 9]);
    let (tokens, Some(real)) = &of.tokens[0] else { panic!("a mask") };
    assert_eq!(tokens.size(), [4, 9, 12]);
    let counts = Vec::<i64>::try_from(real.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)).unwrap();
    assert_eq!(counts, [9, 8, 9, 5]);
    for (row, image) in made.images.iter().enumerate() {
        let alone = tch::no_grad(|| model.features([Input::Image(image)], &Pass::EVAL).unwrap());
        let (own, none) = &alone.towers[&Modality::Image].tokens[0];
        assert!(none.is_none());
        let n = counts[row];
        assert!(far(&tokens.get(row as i64).narrow(0, 0, n), &own.get(0)) < 1e-6);
        assert!(far(&of.pooled.narrow(0, row as i64, 1), &alone.towers[&Modality::Image].pooled) < 1e-6);
    }
    let of = &features.towers[&Modality::Video];
    assert_eq!((of.rows.as_slice(), of.tokens.len()), (&[0, 3][..], 3));
    let hidden = of.tokens[2].1.as_ref().unwrap();
    // The second clip has no third frame.
    let any = |row: i64| hidden.get(row).to_kind(Kind::Int64).sum(Kind::Int64).int64_value(&[]);
    assert_eq!((any(0), any(1)), (8, 0));
    assert!(features.flops > 0.0);
}

/// Parts of like length change what is padded and not what comes out; a seed draws the same dropout again.
#[test]
fn a_pass_says_how() {
    let (model, made) = (model(), Made::new());
    let run = |pass: &Pass| tch::no_grad(|| model.features(made.inputs(), pass).unwrap());
    let whole = run(&Pass::EVAL);
    let parts = run(&Pass { parts: 3, frames: 16, ..Pass::EVAL });
    for modality in [Modality::Text, Modality::Audio] {
        assert!(far(&whole.towers[&modality].pooled, &parts.towers[&modality].pooled) < 1e-6);
        assert_eq!(whole.towers[&modality].rows, parts.towers[&modality].rows);
    }
    assert!(parts.flops != whole.flops, "other padding, other arithmetic");
    let drawn = |seed| run(&Pass { draws: Some(Draws::seeded(seed)), ..Pass::TRAIN });
    let text =
        |features: &unisono_encoders::Features| features.towers[&Modality::Text].pooled.shallow_clone();
    assert_eq!(text(&drawn(1)), text(&drawn(1)));
    assert_ne!(text(&drawn(1)), text(&drawn(2)));
    let told = RefCell::new(Vec::new());
    let trace = |name: &str, x: &Tensor| {
        told.borrow_mut().push((name.to_owned(), x.size()[0]));
        Ok(())
    };
    let _ = run(&Pass { trace: Some(&trace), ..Mode::Eval.into() });
    let told = told.into_inner();
    assert!(
        told.contains(&("text.blocks.1".to_owned(), 3)) && told.contains(&("audio.blocks.0".to_owned(), 3))
    );
}
