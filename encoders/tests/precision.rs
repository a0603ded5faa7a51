//! What int8 promises: an embedding is the same, bit for bit, alone and in any batch.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use image::{Rgb, RgbImage};
use support::processors;
use tch::{Device, Tensor};
use unisono_encoders::config::{
    Activation, ModelConfig, NormPlace, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig, TextConfig,
    TransformerConfig, VitConfig,
};
use unisono_encoders::{Input, Model, Precision};

/// Three towers with heads of `head` numbers, the text tower as `change` has it.
fn model(head: i64, change: impl FnOnce(&mut TextConfig)) -> Model {
    let blocks = || TransformerConfig::new(3 * head, 2, 3);
    let patch = |size| StemConfig::Patch { size, stride: None };
    let mut text = TextConfig::new(300, 80, blocks());
    change(&mut text);
    let image = VitConfig {
        size: 32.into(),
        stem: patch([8, 8]),
        flexible: false,
        prefix: 1,
        transformer: blocks(),
        pooling: Pooling::Map,
        projection: ProjectionConfig::mlp(40, Activation::Gelu, true),
    };
    let audio = SpectrogramConfig {
        mels: 8,
        max_frames: 320,
        stem: patch([8, 8]),
        grid: false,
        prefix: 0,
        transformer: blocks(),
        pooling: Pooling::Attention,
        decoder: None,
        projection: ProjectionConfig::default(),
    };
    let config = ModelConfig {
        text: Some(text),
        image: Some(image.into()),
        audio: Some(audio.into()),
        ..ModelConfig::new(20)
    };
    let processors = processors(&config);
    let mut model = Model::new(config, processors, 5, Device::Cpu).unwrap();
    model.prepare(Precision::Int8).unwrap();
    model
}

fn alone_as_in_any_batch(model: &Model, name: &str, inputs: &[Input]) {
    let embed = |of: &[Input]| model.embed(of.iter().copied(), false).unwrap();
    let all = embed(inputs);
    for i in 0..inputs.len() {
        let alone = embed(&inputs[i..=i]);
        let own = |batch: &Tensor, at: usize| batch.narrow(0, at as i64, 1);
        assert!(alone.isfinite().all().int64_value(&[]) == 1);
        assert!(own(&all, i) == alone, "{name}: {i} among all");
        for j in (0..inputs.len()).filter(|j| *j != i) {
            assert!(own(&embed(&[inputs[j], inputs[i]]), 1) == alone, "{name}: {i} beside {j}");
        }
    }
}

#[test]
fn int8_is_the_same_alone_and_in_any_batch() {
    let ids: Vec<Vec<i64>> = [3i64, 1, 16, 17, 40, 80]
        .iter()
        .map(|n| (0..*n).map(|i| (i * i * 7 + n) % 297 + 3).collect())
        .collect();
    let texts: Vec<Input> = ids.iter().map(|ids| Input::Text(ids)).collect();
    for head in [6, 16, 48] {
        let post = |c: &mut TextConfig| c.transformer.norm = NormPlace::Post;
        alone_as_in_any_batch(&model(head, post), "mean", &texts);
        let causal = |c: &mut TextConfig| (c.transformer.causal, c.pooling) = (true, Pooling::Last);
        alone_as_in_any_batch(&model(head, causal), "causal", &texts);
        let pooler = |c: &mut TextConfig| (c.pooler, c.pooling) = (true, Pooling::First);
        alone_as_in_any_batch(&model(head, pooler), "first", &texts);
        let scores = |c: &mut TextConfig| c.pooling = Pooling::Attention;
        let model = model(head, scores);
        alone_as_in_any_batch(&model, "scores", &texts);
        let images: Vec<RgbImage> = (0..5u32)
            .map(|n| {
                RgbImage::from_fn(32, 32, |x, y| {
                    Rgb([(x * 7 + n * 31) as u8, (x * y) as u8, (y * 5 + n) as u8])
                })
            })
            .collect();
        let images: Vec<Input> = images.iter().map(Input::Image).collect();
        alone_as_in_any_batch(&model, "images", &images);
        let mels: Vec<Vec<f32>> = [8usize, 40, 64, 200, 320]
            .iter()
            .map(|n| (0..n * 8).map(|i| ((i * 13 + n) as f32 * 0.1).sin()).collect())
            .collect();
        let mels: Vec<Input> = mels.iter().map(|mel| Input::Audio(mel)).collect();
        alone_as_in_any_batch(&model, "audio", &mels);
    }
}
