//! What training sees is what inference sees, changed by the augmentation and by nothing else.

use super::*;
use crate::setup::{self, Manifests};
use image::Rgb;
use image::imageops::flip_horizontal;
use std::fs;
use std::path::PathBuf;
use unisono_datasets::augment::Crop;
use unisono_media::Limits;
use unisono_processors::Size;
use unisono_processors::{Fit, Interpolation, Rounding};

/// Pictures of every shape.
const SHAPES: [(u32, u32); 6] = [(40, 40), (61, 23), (23, 61), (150, 90), (7, 5), (1, 64)];

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut random = rng(seed, 0, 0, Purpose::Augment);
    RgbImage::from_fn(width, height, |_, _| Rgb(random.random()))
}

/// A preparer of captions, pictures and sounds, and a draw of each picture.
fn place(dir: &Path, augment: &str) -> (Preparer, Vec<(PathBuf, Draw)>) {
    let mut lines = String::new();
    for (i, (w, h)) in SHAPES.iter().enumerate() {
        noise(*w, *h, i as u64).save(dir.join(format!("{i}.png"))).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(dir.join(format!("{i}.wav")), spec).unwrap();
        // The longest are longer than the model hears.
        for at in 0..4000 * (i as i32 + 1) {
            wav.write_sample((at * 7919 % 20_011 - 10_000) as i16).unwrap();
        }
        wav.finalize().unwrap();
        lines += &format!(
            "{{\"id\":\"{i}\",\"text\":\"picture {i}\",\"image\":\"{i}.png\",\"audio\":\"{i}.wav\",\"split\":\"train\"}}\n"
        );
    }
    let manifest = dir.join("manifest.jsonl");
    fs::write(&manifest, lines).unwrap();
    let text = format!(
        "seed = 1\nsteps = 1\ndevice = \"cpu\"\n[[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 1e-3\n\
         [model]\nembed_dim = 8\n\
         [model.text]\nvocab_size = 300\ncontext_length = 8\npooling = \"mean\"\n\
         transformer = {{ width = 8, depth = 1, heads = 1, mlp_ratio = 1.0 }}\n\
         [model.image]\nsize = 8\npooling = \"mean\"\nstem = {{ kind = \"patch\", size = [4, 4] }}\n\
         transformer = {{ width = 8, depth = 1, heads = 1, mlp_ratio = 1.0 }}\n\
         [model.audio]\nmels = 16\nmax_frames = 96\npooling = \"mean\"\nstem = {{ kind = \"patch\", size = [16, 16] }}\n\
         transformer = {{ width = 8, depth = 1, heads = 1, mlp_ratio = 1.0 }}\n\
         [processor.image]\nsize = 8\n[processor.audio]\nmels = 16\nmax_frames = 96\n\
         [[data]]\nname = \"a\"\nmanifest = \"{}\"\nsplit = \"train\"\nper_batch = 6\n{augment}",
        manifest.display()
    );
    let recipe = Recipe::parse(&text, Path::new("test.toml")).unwrap();
    let sampler = setup::sampler(&recipe, &mut Manifests::default()).unwrap();
    let model = setup::model(&recipe, &sampler, tch::Device::Cpu).unwrap();
    let draws = sampler.batch(0);
    let of = |d: Draw| (d.record.image.clone().unwrap(), d);
    (Preparer::new(&recipe, &model), draws.into_iter().map(of).collect())
}

/// Square, oblong, and of whole patches; every fit, filter and rounding.
fn processors() -> Vec<ImageProcessor> {
    use Interpolation::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    let mut all = Vec::new();
    for interpolation in [Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos] {
        for sides in [[24, 24], [24, 40], [40, 18]] {
            let base = ImageProcessor {
                size: Size { sides },
                interpolation,
                background: [1, 2, 3],
                ..ImageProcessor::new(1)
            };
            for (fit, edge) in
                [(Fit::Pad, None), (Fit::Crop, None), (Fit::Crop, Some(27)), (Fit::Stretch, None)]
            {
                for rounding in [Rounding::Nearest, Rounding::Even, Rounding::Down] {
                    let even_margin = rounding == Rounding::Down;
                    all.push(ImageProcessor { fit, edge, rounding, even_margin, ..base.clone() });
                }
            }
        }
        let size = Size { sides: [24, 24] };
        let base = ImageProcessor { size, interpolation, ..ImageProcessor::new(1) };
        all.push(ImageProcessor { fit: Fit::Patches, patch: Some(6), ..base });
    }
    all
}

#[test]
fn without_augmentation_every_pixel_and_sound_is_that_of_inference() {
    let dir = tempfile::tempdir().unwrap();
    let (mut preparer, draws) = place(dir.path(), "");
    for processor in processors() {
        preparer.image = Some(Eye::new(&processor, &preparer.augment_image));
        preparer.cache = MediaCache::new(0);
        for (path, draw) in &draws {
            let sample = preparer.prepare(draw).unwrap();
            let seen = prepare::picture(path, &processor, Limits::default()).unwrap();
            assert!(sample.squares == [seen], "{} {processor:?}", path.display());
        }
    }
    let audio = preparer.audio.clone().unwrap();
    for (_, draw) in &draws {
        let heard = prepare::spectrogram(&draw.record.audio[0], &audio, &Limits::default(), None).unwrap().0;
        assert!(preparer.prepare(draw).unwrap().mel == Some(heard), "{}", draw.record.id);
    }
}

#[test]
fn colours_and_flips_move_no_pixel() {
    let dir = tempfile::tempdir().unwrap();
    for (augment, flipped) in [("flip = 1.0", true), ("grayscale = 1.0", false)] {
        let (mut preparer, draws) = place(dir.path(), &format!("[augment.image]\n{augment}\n"));
        for processor in processors() {
            preparer.image = Some(Eye::new(&processor, &preparer.augment_image));
            preparer.cache = MediaCache::new(0);
            for (path, draw) in &draws {
                let seen = prepare::picture(path, &processor, Limits::default()).unwrap();
                let sample = preparer.prepare(draw).unwrap();
                assert_eq!(sample.squares[0].dimensions(), seen.dimensions());
                if flipped {
                    assert!(sample.squares[0] == flip_horizontal(&seen), "{} {processor:?}", path.display());
                }
            }
        }
    }
}

#[test]
fn moved_pictures_have_the_size_of_inference() {
    let dir = tempfile::tempdir().unwrap();
    let (mut preparer, draws) = place(
        dir.path(),
        "[augment.image]\nrotate = 9.0\ncrop = { scale = [0.5, 1.1], ratio = [0.8, 1.25] }\n",
    );
    for processor in processors() {
        preparer.image = Some(Eye::new(&processor, &preparer.augment_image));
        preparer.cache = MediaCache::new(0);
        for (path, draw) in &draws {
            let seen = prepare::picture(path, &processor, Limits::default()).unwrap();
            let sample = preparer.prepare(draw).unwrap();
            assert_eq!(sample.squares[0].dimensions(), seen.dimensions(), "{} {processor:?}", path.display());
        }
    }
    assert!(!ImageAugment::default().moves());
    assert!(
        ImageAugment { crop: Crop { scale: [0.9, 1.0], ..Crop::default() }, ..ImageAugment::default() }
            .moves()
    );
}
