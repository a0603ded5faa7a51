//! Image processors against Pillow, transformers and open_clip (fixtures/processors.py): at most one level on at most 0.1 % of bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Device, Kind};
use unisono_encoders::config::Size;
use unisono_encoders::import::Json;
use unisono_encoders::processors::{Fit, ImageProcessor, Interpolation};
use unisono_encoders::tensors;

fn picture(w: u32, h: u32) -> RgbImage {
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

#[test]
fn pictures_are_those_of_the_libraries() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/processors");
    let (golden, _) = tensors::read(&dir.join("golden.safetensors")).unwrap();
    let cases: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("cases.json")).unwrap()).unwrap();
    let (mut bytes, mut wrong, mut worst, mut report) = (0, 0, 0, Vec::new());
    for (name, want) in &golden {
        let parts: Vec<&str> = name.split('/').collect();
        let sides =
            |s: &str| s.split_once('x').map(|(w, h)| (w.parse().unwrap(), h.parse().unwrap())).unwrap();
        let (w, h) = sides(parts[2]);
        let path = dir.join("cases.json");
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
            kind => {
                let json = Json { path: &path, value: &cases[&format!("{kind}/{}", parts[1])] };
                let size = Size::from(224);
                if kind == "hf" {
                    ImageProcessor::from_hugging_face(json, size).unwrap()
                } else {
                    ImageProcessor::from_open_clip(json, size).unwrap()
                }
            }
        };
        let found = processor.prepare(&picture(w as u32, h as u32));
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

#[test]
fn a_batch_is_normalised_to_the_last_digit() {
    let p = ImageProcessor {
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.261_302_6, 0.275_777_1],
        ..ImageProcessor::new(16)
    };
    let q = picture(16, 16);
    let batch = p.batch(std::slice::from_ref(&q), Device::Cpu).unwrap();
    for (x, y, pixel) in q.enumerate_pixels() {
        for c in 0..3 {
            let want = (f64::from(pixel.0[c]) / 255.0 - f64::from(p.mean[c])) / f64::from(p.std[c]);
            let found = batch.double_value(&[0, c as i64, i64::from(y), i64::from(x)]);
            assert!((want - found).abs() < 1e-6, "{want} {found}");
        }
    }
    assert_eq!(batch.kind(), Kind::Float);
}
