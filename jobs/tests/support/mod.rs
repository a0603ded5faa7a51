//! A small random model and small media, made anew for every test.
#![allow(dead_code)]

use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::config::{
    ModelConfig, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig, TextConfig, TransformerConfig,
    VitConfig,
};
use unisono_encoders::{Modality, Model, Processors};
use unisono_processors::{ImageProcessor, LogMel, MelConfig, TextProcessor, Vocabulary, train_tokenizer};

pub const DIM: usize = 12;

/// The modalities that have towers of their own.
pub const TOWERS: [Modality; 3] = [Modality::Text, Modality::Image, Modality::Audio];

/// A model with the given towers and random weights.
pub fn model(seed: u64, towers: &[Modality]) -> Model {
    let has = |m| towers.contains(&m);
    let transformer = || TransformerConfig { mlp_ratio: 2.0, ..TransformerConfig::new(16, 1, 2) };
    let patch = |size| StemConfig::Patch { size, stride: None };
    let tokenizer =
        train_tokenizer(["a red bus", "ein blauer Bus", "un chat"].iter(), 300, Vocabulary::Bpe).unwrap();
    let text = TextConfig::new(300, 16, transformer());
    let image = VitConfig {
        size: 16.into(),
        stem: patch([8, 8]),
        flexible: false,
        prefix: 0,
        transformer: transformer(),
        pooling: Pooling::Mean,
        projection: ProjectionConfig::default(),
    };
    let audio = SpectrogramConfig {
        mels: 8,
        max_frames: 64,
        stem: patch([8, 8]),
        grid: false,
        prefix: 0,
        transformer: transformer(),
        pooling: Pooling::Mean,
        decoder: None,
        projection: ProjectionConfig::default(),
    };
    let config = ModelConfig {
        text: has(Modality::Text).then_some(text),
        image: has(Modality::Image).then(|| image.into()),
        audio: has(Modality::Audio).then(|| audio.into()),
        ..ModelConfig::new(DIM as i64)
    };
    let processors = Processors {
        text: has(Modality::Text).then(|| TextProcessor::new(tokenizer, 16, 300).unwrap()),
        image: has(Modality::Image).then(|| ImageProcessor::new(16)),
        audio: has(Modality::Audio).then(|| LogMel::new(MelConfig::speech(8, 64)).unwrap()),
        ..Processors::default()
    };
    Model::new(config, processors, seed, Device::Cpu).unwrap()
}

/// A model directory with all towers.
pub fn model_dir(at: &Path) -> PathBuf {
    let dir = at.join("model");
    model(7, &TOWERS).save(&dir).unwrap();
    dir
}

/// An image that differs from every other `n`.
pub fn image(path: &Path, n: u8) {
    let shade = |x: u32, y: u32, c: u32| ((x * 13 + y * 7 * c + u32::from(n) * 31 * (c + 1)) % 256) as u8;
    RgbImage::from_fn(24, 20, |x, y| Rgb([shade(x, y, 0), shade(x, y, 1), shade(x, y, 2)]))
        .save(path)
        .unwrap();
}

/// A tone of a pitch and length of its own.
pub fn audio(path: &Path, n: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut out = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..(800 + 200 * n) {
        let t = i as f32 / 8000.0;
        let pitch = 200.0 + 150.0 * n as f32;
        out.write_sample(((t * pitch * std::f32::consts::TAU).sin() * 9000.0) as i16).unwrap();
    }
    out.finalize().unwrap();
}

/// A WAV of NaN.
pub fn nan_audio(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut out = hound::WavWriter::create(path, spec).unwrap();
    (0..100).for_each(|_| out.write_sample(f32::NAN).unwrap());
    out.finalize().unwrap();
}

/// A PNG of a few bytes whose header promises 50,000 × 50,000 pixels.
pub fn pixel_bomb(path: &Path) {
    let mut bytes = Vec::new();
    image::ImageEncoder::write_image(
        image::codecs::png::PngEncoder::new(&mut bytes),
        &[0; 3],
        1,
        1,
        image::ExtendedColorType::Rgb8,
    )
    .unwrap();
    // IHDR: signature (8), length (4), type (4), then width and height; the checksum over type and data follows.
    bytes[16..20].copy_from_slice(&50_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&50_000u32.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    std::fs::write(path, bytes).unwrap();
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// `n` images and `n` audio files in `dir`, and a manifest that pairs them with captions; returns the manifest.
pub fn collection(dir: &Path, n: u8) -> PathBuf {
    let mut lines = String::new();
    for i in 0..n {
        image(&dir.join(format!("p{i:02}.png")), i);
        audio(&dir.join(format!("s{i:02}.wav")), u32::from(i));
        lines += &format!(
            "{{\"id\":\"r{i}#en\",\"text\":\"number {i}\",\"image\":\"p{i:02}.png\",\"audio\":\"s{i:02}.wav\",\"label\":\"r{i}\",\"split\":\"test\",\"lang\":\"en\"}}\n\
             {{\"id\":\"r{i}#de\",\"text\":\"Bild {i}\",\"image\":\"p{i:02}.png\",\"label\":\"r{i}\",\"split\":\"train\",\"lang\":\"de\"}}\n"
        );
    }
    let manifest = dir.join("manifest.jsonl");
    std::fs::write(&manifest, lines).unwrap();
    manifest
}

/// Everything under `dir`, hidden names included.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
