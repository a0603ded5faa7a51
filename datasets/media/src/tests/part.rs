//! Cut files beside Pillow's opinion of them (fixtures/cuts.py), and what is made of what there is.

use super::*;
use crate::decode::{ImageOptions, image as decode_image};
use std::path::PathBuf;

fn cuts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cuts")
}

fn decoded(bytes: &[u8], truncated: Truncated) -> Result<RgbImage> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut");
    std::fs::write(&path, bytes).unwrap();
    let limits = Limits { truncated, ..Limits::default() };
    decode_image(&path, &ImageOptions { limits, ..ImageOptions::default() })
}

#[test]
fn a_cut_jpeg_is_one_where_pillow_says_so() {
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(cuts().join("cuts.json")).unwrap()).unwrap();
    for (name, told) in told.as_object().unwrap() {
        let bytes = std::fs::read(cuts().join(name)).unwrap();
        let changes: Vec<usize> =
            told["changes"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        assert_eq!(bytes.len(), told["length"].as_u64().unwrap() as usize);
        for n in 3..=bytes.len() {
            let pillow = changes.iter().filter(|at| **at <= n).count() % 2 == 1;
            assert_eq!(jpeg::outline(&bytes[..n]).ends, pillow, "{name} cut after {n} bytes");
            // What is whole is read, what is not is refused before it is.
            if pillow || n % 97 == 0 {
                assert_eq!(
                    decoded(&bytes[..n], Truncated::Refuse).is_ok(),
                    pillow,
                    "{name} cut after {n} bytes"
                );
            }
        }
    }
    let half = std::fs::read(cuts().join("progressive.jpg")).unwrap();
    let error = decoded(&half[..800], Truncated::Refuse).unwrap_err().to_string();
    assert!(error.ends_with("expected a whole Jpeg image, found one that is cut off after 800 bytes; `truncated = use` takes what there is"), "{error}");
}

/// Rows from the top that two images share, to within `off` levels.
fn shared(a: &RgbImage, b: &RgbImage, off: u8) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    let same =
        |(a, b): &(image::buffer::Pixels<'_, image::Rgb<u8>>, image::buffer::Pixels<'_, image::Rgb<u8>>)| {
            a.clone().zip(b.clone()).all(|(a, b)| a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) <= off))
        };
    a.rows().zip(b.rows()).take_while(same).count()
}

#[test]
fn as_much_as_there_is_can_be_used() {
    for name in
        ["baseline.jpg", "restarts.jpg", "grey.jpg", "photo.png", "photo.gif", "lossy.webp", "lossless.webp"]
    {
        let bytes = std::fs::read(cuts().join(name)).unwrap();
        let whole = decoded(&bytes, Truncated::Use).unwrap();
        assert_eq!(whole, decoded(&bytes, Truncated::Refuse).unwrap(), "{name}: whole, it is the same");
        let mut before = 0;
        for part in [60, 75, 90] {
            let cut = &bytes[..bytes.len() * part / 100];
            let error = decoded(cut, Truncated::Refuse).unwrap_err().to_string();
            assert!(error.contains("cut off") && error.ends_with("takes what there is"), "{name}: {error}");
            let found = decoded(cut, Truncated::Use).unwrap_or_else(|e| panic!("{name} at {part} %: {e}"));
            let rows = shared(&found, &whole, 0);
            assert!(rows >= before && rows < whole.height() as usize, "{name} at {part} %: {rows} rows");
            before = rows;
        }
        assert!(before >= whole.height() as usize / 4, "{name}: {before} rows");
        // Without its header nothing can be made of it.
        for n in [1, 8, 12] {
            assert!(decoded(&bytes[..n], Truncated::Use).is_err(), "{name} after {n} bytes");
        }
    }
    // A progressive image and an interlaced one have something everywhere.
    for name in ["progressive.jpg", "progressive-restarts.jpg", "inks.jpg", "interlaced.gif"] {
        let bytes = std::fs::read(cuts().join(name)).unwrap();
        let found =
            decoded(&bytes[..bytes.len() * 9 / 10], Truncated::Use).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.dimensions(), decoded(&bytes, Truncated::Refuse).unwrap().dimensions());
    }
}
