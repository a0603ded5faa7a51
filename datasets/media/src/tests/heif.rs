use super::*;
use crate::decode::{image as decoded, rgba};
use crate::forms::alike;
use crate::header::image_size;
use crate::{ImageOptions, Limits};
use image::{RgbaImage, load_from_memory};
use std::path::PathBuf;

/// Files of Pillow's AVIF and of pillow-heif, and the levels by which pixels may be off, in the mean and at most: see `fixtures/heif.py`.
const FILES: [(&str, f64, u8); 9] = [
    ("420.avif", 0.5, 2),
    ("grey.avif", 0.0, 0),
    ("alpha.avif", 0.5, 2),
    ("turned.avif", 0.5, 2),
    ("mirrored.avif", 0.5, 2),
    ("deep.avif", 1.0, 5),
    ("420.heic", 0.1, 1),
    ("alpha.heic", 0.1, 1),
    ("grid.heic", 0.1, 1),
];

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heif");
    std::fs::read(folder.join(name)).unwrap()
}

fn there() -> bool {
    Ffmpeg::find(None).inspect_err(|e| eprintln!("skipped: {e}")).is_ok()
}

/// In the mean, and at most.
fn apart(a: &RgbaImage, b: &RgbaImage) -> (f64, u8) {
    assert_eq!(a.dimensions(), b.dimensions());
    let levels: Vec<u8> = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = levels.iter().map(|d| f64::from(*d)).sum::<f64>() / levels.len() as f64;
    (mean, levels.into_iter().max().unwrap_or(0))
}

#[test]
fn images_are_what_pillow_makes_of_them() {
    if !there() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, mean, most) in FILES {
        let bytes = fixture(name);
        let expected = load_from_memory(&fixture(&format!("{name}.png"))).unwrap();
        let found = alike(name, &bytes, |blob| rgba(blob, &ImageOptions::default())).unwrap();
        let off = apart(&found, &expected.to_rgba8());
        eprintln!("{name}: {off:?}");
        if off.0 > mean || off.1 > most {
            wrong.push((name, off));
        }
        // As it is stored, before it is turned and cropped.
        let stored = image_size(Blob::bytes("x.png", bytes)).unwrap().unwrap();
        let (width, height) = found.dimensions();
        let (short, long) = (width.min(height), width.max(height));
        assert!(stored.0.min(stored.1) >= short && stored.0.max(stored.1) >= long, "{name}: {stored:?}");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // Transparency is laid over the background.
    let options = ImageOptions { background: [0, 255, 0], ..ImageOptions::default() };
    let blob = Blob::bytes("a.avif", fixture("alpha.avif"));
    let clear = rgba(&blob, &options).unwrap();
    assert_eq!(decoded(&blob, &options).unwrap(), crate::decode::flatten(&clear, [0, 255, 0]));
}

/// Limits hold before a program is started, and so does whatever the lists of a file tell.
#[test]
fn what_a_file_claims_is_looked_at_first() {
    let no_program =
        Ffmpeg::find(Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path())).unwrap();
    let said = |bytes: &[u8], limits: &Limits| {
        let e = decode(Path::new("x.heic"), bytes, limits, Some(&no_program)).unwrap_err();
        assert_eq!(e.to_string().lines().count(), 1);
        e
    };
    let bytes = fixture("420.avif");
    let at = bytes.windows(4).position(|w| w == b"ispe").unwrap() + 8;
    let mut huge = bytes.clone();
    huge[at..at + 8].fill(0x7f);
    let limits = Limits::default();
    let e = said(&huge, &limits);
    assert!(matches!(e, Error::Limit { option: "max_pixels", .. }), "{e}");
    let small = Limits { max_pixels: 18 * 12 - 1, ..limits };
    assert!(matches!(said(&bytes, &small), Error::Limit { option: "max_pixels", .. }));
    huge[at..at + 8].fill(0);
    assert!(said(&huge, &limits).to_string().contains("0 x 0"));
    let named = |from: &[u8], to: &[u8]| {
        let mut other = bytes.clone();
        let at = other.windows(from.len()).position(|w| w == from).unwrap();
        other[at..at + to.len()].copy_from_slice(to);
        said(&other, &limits).to_string()
    };
    assert!(named(b"meta", b"atem").contains("found one without a list of its items"));
    assert!(named(b"pitm", b"mtip").contains("which of its items is the image"));
    assert!(named(b"av01", b"jpeg").contains("an image coded as \"jpeg\""));
    assert!(named(b"av1C", b"xxxx").contains("what its decoder needs first"));
    assert!(named(b"ispe", b"xxxx").contains("an image without a size"));
    assert!(said(&bytes[..bytes.len() - 40], &limits).to_string().contains("one that is cut off"));
    let mut tiles = fixture("grid.heic");
    let at = tiles.windows(4).position(|w| w == b"idat").unwrap() + 6;
    // Rows, columns.
    tiles[at] = 9;
    assert!(said(&tiles, &limits).to_string().contains("2 x 10 tiles, of which 4 are there"));
    // Cut anywhere, with any byte another, nothing panics.
    for name in ["alpha.avif", "grid.heic", "420.heic"] {
        let bytes = fixture(name);
        for at in 0..bytes.len() {
            let _ = outline(&bytes[..at]);
            for byte in [0, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                let _ = outline(&damaged);
            }
        }
    }
}

#[test]
fn broken_images_and_other_brands_are_told() {
    assert!(is_heif(&fixture("420.heic")) && is_heif(&fixture("420.avif")));
    for other in
        [&b"\0\0\0\x18ftypisom\0\0\0\0mif1mp41"[..], b"\0\0\0\x14ftypM4A \0\0\0\0isom", b"\x89PNG", b""]
    {
        assert!(!is_heif(other));
    }
    // A sound it is not.
    let said =
        crate::decode::audio(Blob::bytes("a.wav", fixture("420.avif")), &Limits::default()).unwrap_err();
    assert!(said.to_string().ends_with("found an image"), "{said}");
    if !there() {
        return;
    }
    for name in ["420.avif", "420.heic"] {
        let mut bytes = fixture(name);
        let at = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 8;
        // From its first length and header on: damage further in is covered up by some builds of the decoders.
        bytes[at..].fill(0xff);
        let said =
            alike("x.png", &bytes, |blob| decoded(blob, &ImageOptions::default())).unwrap_err().to_string();
        assert!(said.lines().count() == 1 && said.contains("a whole HEIC or AVIF image"), "{said}");
    }
}
