//! Made-up things with images, audio files and captions, and a recipe small enough for a test.
#![allow(clippy::unwrap_used, dead_code)]

use image::{Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 200, 30]), ("blue", [30, 30, 220]), ("yellow", [230, 220, 20])];
const PAIRS: [(&str, &str); 3] = [("text", "image"), ("text", "audio"), ("image", "audio")];
const SHAPES: [&str; 4] = ["disc", "bar", "cross", "corner"];

/// Sixteen things, each with an image, an audio file of its own pitch and rhythm, and a caption.
pub fn things(dir: &Path) -> PathBuf {
    let mut lines = String::new();
    for (c, (colour, rgb)) in COLOURS.iter().enumerate() {
        for (s, shape) in SHAPES.iter().enumerate() {
            let id = format!("{colour}-{shape}");
            let image = RgbImage::from_fn(20, 20, |x, y| {
                let (dx, dy) = (x as i32 - 10, y as i32 - 10);
                let inside = match s {
                    0 => dx * dx + dy * dy < 64,
                    1 => dy.abs() < 4,
                    2 => dx.abs() < 3 || dy.abs() < 3,
                    _ => dx < 0 && dy < 0,
                };
                if inside { Rgb(*rgb) } else { Rgb([255; 3]) }
            });
            image.save(dir.join(format!("{id}.png"))).unwrap();
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut wav = hound::WavWriter::create(dir.join(format!("{id}.wav")), spec).unwrap();
            for i in 0..(3200 + 800 * s) {
                let t = i as f32 / 16_000.0;
                let on = (t * (6.0 + 5.0 * s as f32)).fract() < 0.5;
                let v = if on { (std::f32::consts::TAU * 300.0 * (1.0 + c as f32) * t).sin() } else { 0.0 };
                wav.write_sample((v * 20_000.0) as i16).unwrap();
            }
            wav.finalize().unwrap();
            lines += &format!(
                "{{\"id\":\"{id}\",\"text\":\"a {colour} {shape}\",\"image\":\"{id}.png\",\"audio\":\"{id}.wav\",\"split\":\"train\",\"lang\":\"en\"}}\n"
            );
        }
    }
    let manifest = dir.join("manifest.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

/// The recipe's text.
pub fn recipe_text(manifest: &Path, steps: u64, more: &str) -> String {
    let m = manifest.display();
    let mut protocols = String::new();
    for (a, b) in PAIRS {
        for (from, to) in [(a, b), (b, a)] {
            protocols += &format!(
                "[[evaluate]]\nkind = \"retrieval\"\nname = \"{from}-{to}\"\nsource = \"{m}\"\nsplit = \"train\"\nfrom = \"{from}\"\nto = \"{to}\"\n"
            );
        }
    }
    format!(
        r#"
seed = 3
steps = {steps}
device = "cpu"
threads = 1
[model]
embed_dim = 16
[model.text]
vocab_size = 280
context_length = 12
pooling = "mean"
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0, dropout = 0.05 }}
[model.image]
size = 16
pooling = "mean"
stem = {{ kind = "conv", activation = "relu", layers = [{{ channels = 8, stride = [2, 2] }}, {{ channels = 16, stride = [2, 2] }}] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[model.audio]
mels = 16
max_frames = 64
pooling = "attention"
stem = {{ kind = "conv", activation = "relu", layers = [{{ channels = 8, stride = [2, 2] }}, {{ channels = 8, stride = [2, 2] }}] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[processor.image]
size = 16
[processor.audio]
mels = 16
max_frames = 64
[[data]]
name = "things"
source = "{m}"
split = "train"
per_batch = 16
[augment.image]
brightness = 0.1
[[objective]]
kind = "contrastive"
[optimizer]
lr = 1e-2
warmup = 5
[loader]
workers = 2
{protocols}
{more}
"#
    )
}
