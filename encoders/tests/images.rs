//! Image processors against Pillow, transformers and open_clip (fixtures/processors.py): at most one level on at most 0.1 % of bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Device, Kind};
use unisono_encoders::batch;
use unisono_nn::tensors;
use unisono_processors::Json;
use unisono_processors::Size;
use unisono_processors::{Alpha, Fit, ImageProcessor, Interpolation};
use unisono_processors::{Contract, Medium, Prepared, Processors};

fn image(w: u32, h: u32) -> RgbImage {
    let mut state = u64::from(w * 7919 + h);
    let mut out = RgbImage::new(w, h);
    for y in 0..h {
        for x in 0..w {
            let pixel = [0u32, 1, 2].map(|c| {
                state = (state * 1_664_525 + 1_013_904_223) % (1 << 32);
                (((state >> 24) as u32 / 2 + (x * 3 + y * 5 + c * 40) % 128) % 256) as u8
            });
            out.put_pixel(x, y, Rgb(pixel));
        }
    }
    out
}

/// Bytes that differ and the largest difference.
fn differ(a: &[u8], b: &[u8]) -> (usize, u8) {
    assert_eq!(a.len(), b.len());
    let d = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).filter(|d| *d > 0);
    d.fold((0, 0), |(n, most), d| (n + 1, most.max(d)))
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/processors")
}

fn cases() -> BTreeMap<String, Value> {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("cases.json")).unwrap()).unwrap()
}

fn of_library(kind: &str, value: &Value) -> unisono_processors::Result<ImageProcessor> {
    let (path, size) = (fixtures().join("cases.json"), Size::from(224));
    let json = Json::new(&path, value);
    match kind {
        "hf" => ImageProcessor::from_hugging_face(json, size),
        _ => ImageProcessor::from_open_clip(json, size),
    }
}

#[test]
fn images_are_those_of_the_libraries() {
    let (golden, _) = tensors::read(&fixtures().join("golden.safetensors")).unwrap();
    let cases = cases();
    let (mut bytes, mut wrong, mut worst, mut report) = (0, 0, 0, Vec::new());
    for (name, want) in golden.iter().filter(|(n, _)| !n.starts_with("floats/")) {
        let parts: Vec<&str> = name.split('/').collect();
        let sides =
            |s: &str| s.split_once('x').map(|(w, h)| (w.parse().unwrap(), h.parse().unwrap())).unwrap();
        let (w, h) = sides(parts[2]);
        let processor = match parts[0] {
            "pillow" => {
                let (w, h): (i64, i64) = sides(parts[3]);
                let interpolation =
                    serde_json::from_str::<Interpolation>(&format!("{:?}", parts[1])).unwrap();
                ImageProcessor {
                    size: Size { sides: [h, w] },
                    fit: Fit::Stretch,
                    interpolation,
                    ..ImageProcessor::new(1)
                }
            }
            kind => of_library(kind, &cases[&format!("{kind}/{}", parts[1])]).unwrap(),
        };
        let found = processor.prepare(&image(w as u32, h as u32));
        let shape = want.size();
        assert_eq!([i64::from(found.height()), i64::from(found.width()), 3], shape[..], "{name}");
        let want: Vec<u8> = Vec::try_from(want.contiguous().view([-1])).unwrap();
        let (n, most) = differ(found.as_raw(), &want);
        if n > 0 {
            report.push(format!("{name}: {n} of {} bytes, at most {most}", want.len()));
        }
        worst = worst.max(most);
        bytes += want.len();
        wrong += n;
    }
    println!("{wrong} of {bytes} bytes differ\n{}", report.join("\n"));
    assert!(golden.len() > 90 && worst <= 1 && wrong * 1000 <= bytes, "{wrong} of {bytes}: {report:?}");
}

/// OpenCLIP resizes palettes, bits and transparency as they are stored; NaFlex may have any number of patches.
#[test]
fn stored_images_are_those_of_the_libraries() {
    let (golden, _) = tensors::read(&fixtures().join("modes.safetensors")).unwrap();
    let text = std::fs::read_to_string(fixtures().join("modes.json")).unwrap();
    let cases: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for (name, want) in &golden {
        let parts: Vec<&str> = name.split('/').collect();
        let processor = of_library(parts[0], &cases[&format!("{}/{}", parts[0], parts[1])]).unwrap();
        let found = match parts[2].split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
        {
            Some((w, h)) => processor.prepare(&image(w, h)),
            None => {
                let blob = fixtures().join("../images").join(parts[2]).into();
                let processors = Processors { image: Some(processor), ..Processors::default() };
                match Contract::new(&processors).prepare(Medium::Image(&blob)) {
                    Ok(Prepared::Image(found)) => found,
                    other => panic!("{name}: {other:?}"),
                }
            }
        };
        assert_eq!([i64::from(found.height()), i64::from(found.width()), 3], want.size()[..], "{name}");
        let want: Vec<u8> = Vec::try_from(want.contiguous().view([-1])).unwrap();
        let (n, most) = differ(found.as_raw(), &want);
        if n > 0 {
            wrong.push(format!("{name}: {n} of {} bytes, at most {most}", want.len()));
        }
    }
    assert!(
        golden.len() > 80 && wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        golden.len(),
        wrong.join("\n")
    );
}

#[test]
fn floats_are_those_of_the_libraries() {
    let (golden, _) = tensors::read(&fixtures().join("golden.safetensors")).unwrap();
    let cases = cases();
    let floats: Vec<_> = golden.iter().filter(|(n, _)| n.starts_with("floats/")).collect();
    assert_eq!(floats.len(), 2);
    for (name, want) in floats {
        let parts: Vec<&str> = name.split('/').collect();
        let processor = of_library(parts[1], &cases[&format!("{}/{}", parts[1], parts[2])]).unwrap();
        let found = batch::images(&processor, &[processor.prepare(&image(53, 37))], Device::Cpu).unwrap();
        let worst = (found.squeeze_dim(0) - want).abs().max().double_value(&[]);
        println!("{name}: {worst:e}");
        assert!(worst <= 1e-6, "{name}: {worst:e}");
    }
}

#[test]
fn what_is_not_understood_is_an_error() {
    let base =
        json!({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32});
    let error = |more: Value| {
        let mut config = base.clone();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = of_library("hf", &config).unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("cases.json: "), "{text}");
        text
    };
    assert!(
        error(json!({"resample": 6})).contains("resample: expected one of Pillow's filters 0 to 5, found 6")
    );
    assert!(error(json!({"do_pad": true})).contains("do_pad: expected none, found true"));
    assert!(error(json!({"crop_pct": 0.875})).contains("crop_pct: expected none, found 0.875"));
    assert!(error(json!({"rescale_offset": true})).contains("rescale_offset"));
    assert!(error(json!({"size": {"shortest_edge": 32, "longest_edge": 64}})).contains("longest_edge"));
    assert!(error(json!({"do_center_crop": false})).contains("images of every shape"));
    assert!(error(json!({"do_resize": false})).contains("a crop without a resize"));
    assert!(error(json!({"size": {"edge": 32}})).contains("size: expected an integer, {shortest_edge}"));
    assert!(
        error(json!({"image_processor_type": "DeiTImageProcessor", "size": 36}))
            .contains("another crop_size")
    );
    // A false or null step is none; so is a key of another concern.
    let harmless = json!({"do_pad": false, "pad_size": null, "do_reduce_labels": true, "processor_class": "CLIPProcessor"});
    let mut config = base.clone();
    config.as_object_mut().unwrap().extend(harmless.as_object().unwrap().clone());
    assert_eq!(of_library("hf", &config).unwrap().output_size(), Some([32, 32]));
    assert!(of_library("open_clip", &json!({"resize_mode": "tile"})).is_err());
}

#[test]
fn a_lone_number_is_a_square_or_an_edge_as_its_class_has_it() {
    let made = |kind: &str, more: Value| {
        let mut config = json!({"image_processor_type": kind, "size": 30});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of_library("hf", &config).unwrap()
    };
    let vit = made("ViTFeatureExtractor", json!({}));
    assert_eq!((vit.fit, vit.output_size()), (Fit::Stretch, Some([30, 30])));
    let clip = made("CLIPFeatureExtractor", json!({"crop_size": 28}));
    assert_eq!((clip.fit, clip.edge, clip.output_size()), (Fit::Crop, Some(30), Some([28, 28])));
    // transformers 5.23 lays transparency over white; what is missing around a small image stays black.
    assert_eq!((clip.alpha, clip.background), (Alpha::Background, [255; 3]));
    assert_eq!(of_library("open_clip", &json!({})).unwrap().alpha, Alpha::Drop);
    let naflex = made("Siglip2ImageProcessor", json!({"size": null}));
    assert_eq!(naflex.output_size(), None);
}

#[test]
fn a_batch_is_normalised_to_the_last_digit() {
    let p = ImageProcessor {
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.261_302_6, 0.275_777_1],
        ..ImageProcessor::new(16)
    };
    let q = image(16, 16);
    let batch = batch::images(&p, std::slice::from_ref(&q), Device::Cpu).unwrap();
    for (x, y, pixel) in q.enumerate_pixels() {
        for c in 0..3 {
            let want = (f64::from(pixel.0[c]) / 255.0 - f64::from(p.mean[c])) / f64::from(p.std[c]);
            let found = batch.double_value(&[0, c as i64, i64::from(y), i64::from(x)]);
            assert!((want - found).abs() < 1e-6, "{want} {found}");
        }
    }
    assert_eq!(batch.kind(), Kind::Float);
}

/// The processor of videos: a shortest edge, then a crop, also in files from before either had a name of its own.
#[test]
fn files_of_video_processors_crop() {
    let full = json!({"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 224},
        "crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "resample": 2});
    let old = json!({"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 224, "do_center_crop": true, "resample": 2});
    let bare = json!({"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 224});
    let [full, old, bare] = [full, old, bare].map(|v| of_library("hf", &v).unwrap());
    assert_eq!((full.fit, full.edge, full.size), (Fit::Crop, Some(224), Size::from(224)));
    assert_eq!(full.interpolation, Interpolation::Bilinear);
    assert!(full == old && old == bare);
}
