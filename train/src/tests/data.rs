//! What training sees is what inference sees, changed by the augmentation and by nothing else.

use super::*;
use crate::setup::{self, Sources};
use image::Rgb;
use image::imageops::flip_horizontal;
use std::fs;
use std::path::Path;
use unisono_datasets::augment::{Crop, ImageAugment};
use unisono_datasets::rng::rng;
use unisono_media::Blob;
use unisono_processors::ImageProcessor;
use unisono_processors::Size;
use unisono_processors::{Fit, Interpolation, Rounding};

/// Images of every shape.
const SHAPES: [(u32, u32); 6] = [(40, 40), (61, 23), (23, 61), (150, 90), (7, 5), (1, 64)];

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut random = rng(seed, 0, 0, Purpose::Augment);
    RgbImage::from_fn(width, height, |_, _| Rgb(random.random()))
}

/// A preparer of captions, images and audio files, and a draw of each image.
fn place(dir: &Path, augment: &str) -> (Preparer, Vec<(Draw, Record)>) {
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
            "{{\"id\":\"{i}\",\"text\":\"image {i}\",\"image\":\"{i}.png\",\"audio\":\"{i}.wav\",\"split\":\"train\"}}\n"
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
         [[data]]\nname = \"a\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 6\n{augment}",
        manifest.display()
    );
    let recipe = Recipe::parse(&text, Path::new("test.toml")).unwrap();
    let sampler = setup::sampler(&recipe, &mut Sources::default()).unwrap();
    let model = crate::towers::model(&recipe, &sampler, tch::Device::Cpu).unwrap();
    let draws = sampler.batch(0);
    let of = |d: Draw| (d.clone(), sampler.record(&d).unwrap().into_owned());
    let noises = setup::noises(&recipe, &mut Sources::default()).unwrap();
    (Preparer::new(&recipe, &model, noises).unwrap(), draws.into_iter().map(of).collect())
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

/// What inference sees of a record's image.
fn seen(record: &Record, processor: &ImageProcessor) -> RgbImage {
    let processors = Processors { image: Some(processor.clone()), ..Processors::default() };
    let image = Contract::new(&processors).prepare(Medium::Image(record.image.as_ref().unwrap()));
    let Ok(Prepared::Image(image)) = image else { panic!("{image:?}") };
    image
}

fn see_images_by(preparer: &mut Preparer, processor: &ImageProcessor) {
    let processors = Processors { image: Some(processor.clone()), ..preparer.seen.clone() };
    preparer.see_by(processors);
}

#[test]
fn without_augmentation_every_pixel_and_audio_is_that_of_inference() {
    let dir = tempfile::tempdir().unwrap();
    let (mut preparer, draws) = place(dir.path(), "");
    for processor in processors() {
        see_images_by(&mut preparer, &processor);
        preparer.cache = MediaCache::new(0);
        for (draw, record) in &draws {
            let sample = preparer.prepare(draw, record).unwrap();
            assert!(sample.squares == [seen(record, &processor)], "{} {processor:?}", record.id);
        }
    }
    let contract = Contract::new(&preparer.seen);
    for (draw, record) in &draws {
        let Ok(Prepared::Audio(heard, _)) = contract.prepare(Medium::Audio(&record.audio[0])) else {
            panic!()
        };
        let Ok(Prepared::Text(read)) = contract.prepare(Medium::Text(&record.text[0])) else { panic!() };
        let sample = preparer.prepare(draw, record).unwrap();
        assert!(sample.mel == Some(heard) && sample.ids == Some(read), "{}", record.id);
    }
}

#[test]
fn colours_and_flips_move_no_pixel() {
    let dir = tempfile::tempdir().unwrap();
    for (augment, flipped) in [("flip = 1.0", true), ("grayscale = 1.0", false)] {
        let (mut preparer, draws) = place(dir.path(), &format!("[augment.image]\n{augment}\n"));
        for processor in processors() {
            see_images_by(&mut preparer, &processor);
            preparer.cache = MediaCache::new(0);
            for (draw, record) in &draws {
                let seen = seen(record, &processor);
                let sample = preparer.prepare(draw, record).unwrap();
                assert_eq!(sample.squares[0].dimensions(), seen.dimensions());
                if flipped {
                    assert!(sample.squares[0] == flip_horizontal(&seen), "{} {processor:?}", record.id);
                }
            }
        }
    }
}

#[test]
fn moved_images_have_the_size_of_inference() {
    let dir = tempfile::tempdir().unwrap();
    let (mut preparer, draws) = place(
        dir.path(),
        "[augment.image]\nrotate = 9.0\ncrop = { scale = [0.5, 1.1], ratio = [0.8, 1.25] }\n",
    );
    for processor in processors() {
        see_images_by(&mut preparer, &processor);
        preparer.cache = MediaCache::new(0);
        for (draw, record) in &draws {
            let sample = preparer.prepare(draw, record).unwrap();
            let seen = seen(record, &processor);
            assert_eq!(sample.squares[0].dimensions(), seen.dimensions(), "{} {processor:?}", record.id);
        }
    }
    assert!(!ImageAugment::default().moves());
    assert!(
        ImageAugment { crop: Crop { scale: [0.9, 1.0], ..Crop::default() }, ..ImageAugment::default() }
            .moves()
    );
}

#[test]
fn an_audio_that_is_changed_is_the_changed_audios_spectrogram() {
    let dir = tempfile::tempdir().unwrap();
    // A gain of so many decibels, whichever is drawn, and no other change.
    let (preparer, draws) = place(dir.path(), "[augment.audio]\ngain_db = [-6.0, -6.0]\n");
    let audio = preparer.seen.audio().unwrap();
    for (draw, record) in &draws {
        let samples =
            Contract::new(&preparer.seen).samples(Medium::Audio(&record.audio[0])).unwrap().unwrap();
        let quieter: Vec<f32> = samples.iter().map(|s| s * 10f32.powf(-0.3)).collect();
        let mut mel = audio.process(&quieter).unwrap();
        mel.truncate(96 * 16);
        for _ in 0..2 {
            assert!(preparer.prepare(draw, record).unwrap().mel.as_ref() == Some(&mel), "{}", record.id);
        }
    }
}

/// Samples of a record's audio, and the spectrogram of others as the model takes it.
fn heard(preparer: &Preparer, blob: &Blob) -> Vec<f32> {
    Contract::new(&preparer.seen).samples(Medium::Audio(blob)).unwrap().unwrap()
}

fn mel_of(preparer: &Preparer, samples: &[f32]) -> Vec<f32> {
    let mut mel = preparer.seen.audio().unwrap().process(samples).unwrap();
    mel.truncate(96 * 16);
    mel
}

#[test]
fn a_window_is_a_part_of_the_audio() {
    let dir = tempfile::tempdir().unwrap();
    let (preparer, draws) = place(dir.path(), "[augment.audio]\nwindow = 0.25\n");
    let mut starts = Vec::new();
    for (draw, record) in &draws {
        let samples = heard(&preparer, &record.audio[0]);
        let found = preparer.prepare(draw, record).unwrap().mel.unwrap();
        let fits = |start: &usize| mel_of(&preparer, &samples[*start..start + 4000]) == found;
        starts.push((0..=samples.len() - 4000).find(fits).unwrap());
    }
    // A quarter of a second is whole there, and elsewhere not at the beginning.
    assert!(starts.iter().filter(|start| **start == 0).count() == 1, "{starts:?}");
}

/// Of a recording of many windows the drawn one alone is decoded, and is the one that would be cut from all of it.
#[test]
fn a_window_of_a_long_recording_is_the_same_part() {
    let dir = tempfile::tempdir().unwrap();
    let (preparer, draws) = place(dir.path(), "[augment.audio]\nwindow = 0.05\ngain_db = [-6.0, 6.0]\n");
    let mut long = 0;
    for (draw, record) in &draws {
        let streams = Streams { seed: 1, key: draw.draw | (draw.share as u64) << 48 };
        let samples = heard(&preparer, &record.audio[0]);
        let augment = &preparer.augment.audio;
        let cut = augment.cut(&samples, 16_000, &mut streams.of(Purpose::Window));
        let part = preparer.part(&record.audio[0], &streams).unwrap();
        assert!(part.as_deref().is_none_or(|part| part == cut), "{}", record.id);
        long += usize::from(part.is_some());
        let changed = augment.apply(cut, 16_000, &mut streams.of(Purpose::Audio));
        assert!(
            preparer.prepare(draw, record).unwrap().mel == Some(mel_of(&preparer, &changed)),
            "{}",
            record.id
        );
    }
    // All but the one of a quarter of a second are longer than four windows; so is that.
    assert_eq!(long, draws.len());
}

#[test]
fn another_recording_is_mixed_in_at_the_ratio_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let noises = dir.path().join("noises.jsonl");
    let augment = |more: &str| {
        format!(
            "[augment.audio]\nnoise = 1.0\nnoise_snr_db = [6.0, 6.0]\nnoise_source = \"{}\"\n{more}",
            noises.display()
        )
    };
    fs::write(&noises, "{\"id\":\"n\",\"audio\":\"0.wav\"}\n{\"id\":\"t\",\"text\":\"no audio\"}\n").unwrap();
    let (preparer, draws) = place(dir.path(), &augment(""));
    for (draw, record) in &draws {
        let (samples, noise) =
            (heard(&preparer, &record.audio[0]), heard(&preparer, &Blob::file(dir.path().join("0.wav"))));
        let streams = Streams { seed: 1, key: draw.draw | (draw.share as u64) << 48 };
        let mut mixed = samples.clone();
        preparer.disturb(&mut mixed, &streams).unwrap();
        let power = |samples: &[f32]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        let added: Vec<f32> = mixed.iter().zip(&samples).map(|(a, b)| a - b).collect();
        let ratio = 10.0 * (power(&samples) / power(&added)).log10();
        assert!((ratio - 6.0).abs() < 0.1, "{ratio}");
        // What is added is the noise, at one loudness, from somewhere on and over again.
        let gain = power(&added).sqrt()
            / power(&noise.iter().cycle().take(added.len()).copied().collect::<Vec<_>>()).sqrt();
        let same = |start: &usize| {
            let round = noise.iter().cycle().skip(*start).zip(&added);
            round.take(50).all(|(n, a)| (f64::from(*n) * gain - f64::from(*a)).abs() < 0.02)
        };
        assert!((0..noise.len()).any(|start| same(&start)), "{}", record.id);
        for _ in 0..2 {
            assert!(preparer.prepare(draw, record).unwrap().mel == Some(mel_of(&preparer, &mixed)));
        }
    }
    // A noise that cannot be read is named.
    fs::write(&noises, "{\"id\":\"n\",\"audio\":\"broken.wav\"}\n").unwrap();
    fs::write(dir.path().join("broken.wav"), "no audio").unwrap();
    let (preparer, draws) = place(dir.path(), &augment(""));
    let said = preparer.prepare(&draws[0].0, &draws[0].1).unwrap_err().to_string();
    assert!(said.contains("broken.wav"), "{said}");
    fs::write(&noises, "{\"id\":\"t\",\"text\":\"no audio\"}\n").unwrap();
    let recipe = std::panic::catch_unwind(|| place(dir.path(), &augment("")));
    assert!(recipe.is_err(), "a source without recordings");
}

#[test]
fn tokens_are_left_out_for_the_tower_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, _) = place(dir.path(), "");
    let (preparer, draws) = place(dir.path(), "[augment.text]\ndrop = 1.0\n");
    for (draw, record) in &draws {
        let (whole, sample) = (plain.prepare(draw, record).unwrap(), preparer.prepare(draw, record).unwrap());
        assert!(sample.ids == whole.ids && whole.read() == whole.ids.as_deref());
        // One word, and the end.
        let (read, all) = (sample.read().unwrap(), sample.ids.as_deref().unwrap());
        assert!(
            read.len() == 2 && read[1] == 1 && all.len() > 2 && all.contains(&read[0]),
            "{read:?} {all:?}"
        );
    }
}

#[test]
fn a_share_of_the_texts_is_told_anew_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (mut preparer, draws) = place(dir.path(), "");
    let told = |preparer: &Preparer| -> Vec<bool> {
        let (draw, record) = &draws[0];
        let one = |draw: u64| {
            let sample = preparer.prepare(&Draw { draw, ..draws[0].0.clone() }, record).unwrap();
            assert!(sample.ids.is_some(), "the tower sees it");
            sample.told().is_some()
        };
        (draw.draw..draw.draw + 200).map(one).collect()
    };
    assert!(told(&preparer).iter().all(|told| !told), "there is no fusion part");
    preparer.told = 0.25;
    let some = told(&preparer);
    assert!(some == told(&preparer));
    assert!((20..80).contains(&some.iter().filter(|told| **told).count()), "{some:?}");
    preparer.told = 1.0;
    assert!(told(&preparer).iter().all(|told| *told));
}

#[test]
fn hidden_patches_are_the_towers_zero() {
    let dir = tempfile::tempdir().unwrap();
    let (preparer, draws) = place(dir.path(), "[augment.image]\npatch_mask = { share = 1.0, size = 4 }\n");
    let mean = preparer.seen.image().unwrap().mean.map(|m| (m * 255.0).round() as u8);
    for (draw, record) in &draws {
        let sample = preparer.prepare(draw, record).unwrap();
        // Three of the four patches of the eight by eight.
        assert!(sample.squares[0].pixels().filter(|p| p.0 == mean).count() >= 48);
    }
}

#[test]
fn broken_media_are_the_records_fault_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (preparer, draws) = place(dir.path(), "");
    let (draw, record) = &draws[0];
    fs::write(record.image.as_ref().unwrap().name(), "no image").unwrap();
    let said = preparer.prepare(draw, record).unwrap_err().to_string();
    assert!(said.contains(&format!("{}.png", record.id)), "{said}");
    let bare = Record { image: None, audio: Vec::new(), ..record.clone() };
    let said = preparer.prepare(draw, &bare).unwrap_err().to_string();
    assert!(said.contains("fewer than two modalities"), "{said}");
}
