//! Small images beside what they are when nothing is transparent, and likeness beside a naive one.

use super::thumbnail::{save, shrink, square};
use crate::similar::{Thumbnail, pairs};
use image::imageops::{self, FilterType};
use image::{Rgba, RgbaImage};
use proptest::prelude::*;

fn noise(w: u32, h: u32, seed: u32, opaque: bool) -> RgbaImage {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    RgbaImage::from_fn(w, h, |_, _| Rgba([next(), next(), next(), if opaque { 255 } else { next() }]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn opaque_images_are_resized_and_nothing_else((w, h, edge) in (1u32..60, 1u32..60, 1u32..40), seed in any::<u32>()) {
        let image = noise(w, h, seed, true);
        let small = shrink(image.clone(), edge);
        let longest = w.max(h);
        let side = |n: u32| ((f64::from(n) * f64::from(edge) / f64::from(longest)).round() as u32).max(1);
        match longest <= edge {
            true => prop_assert_eq!(&small, &image),
            false => {
                prop_assert_eq!(small.dimensions(), (side(w), side(h)));
                prop_assert_eq!(&small, &imageops::resize(&image, side(w), side(h), FilterType::CatmullRom));
            }
        }
        // In the middle of a square, with nothing around it.
        let framed = square(image, edge);
        let (x, y) = ((edge - small.width()) / 2, (edge - small.height()) / 2);
        prop_assert_eq!(framed.dimensions(), (edge, edge));
        prop_assert_eq!(&imageops::crop_imm(&framed, x, y, small.width(), small.height()).to_image(), &small);
        let seen = framed.pixels().filter(|p| p.0[3] > 0).count();
        prop_assert_eq!(seen, (small.width() * small.height()) as usize);
    }

    #[test]
    fn likeness_is_a_distance_that_knows_mirrors(seeds in prop::collection::vec(any::<u32>(), 1..6), threshold in 0f32..200.0) {
        let images: Vec<RgbaImage> = seeds.iter().map(|s| noise(20, 14, *s, s % 2 == 0)).collect();
        let thumbnails: Vec<Thumbnail> = images.iter().map(Thumbnail::new).collect();
        for (a, image) in thumbnails.iter().zip(&images) {
            prop_assert_eq!(a.distance(a), 0.0);
            // Resized mirrored is mirrored resized, but for rounding.
            prop_assert!(a.distance(&Thumbnail::new(&imageops::flip_horizontal(image))) < 1.0);
            for b in &thumbnails {
                let d = a.distance(b);
                prop_assert!((0.0..=255.0).contains(&d) && (d - b.distance(a)).abs() < 1.0);
            }
        }
        let mut held: Vec<Option<Thumbnail>> = thumbnails.iter().cloned().map(Some).collect();
        held.insert(held.len() / 2, None);
        let mut naive = Vec::new();
        for a in 0..held.len() {
            for b in a + 1..held.len() {
                if let (Some(x), Some(y)) = (&held[a], &held[b])
                    && x.distance(y) < threshold
                {
                    naive.push((a, b));
                }
            }
        }
        prop_assert_eq!(pairs(&held, threshold), naive);
    }
}

#[test]
fn plain_colours_are_as_far_apart_as_their_values() {
    let plain = |c: [u8; 3]| Thumbnail::new(&RgbaImage::from_pixel(9, 9, Rgba([c[0], c[1], c[2], 255])));
    assert_eq!(plain([10, 10, 10]).distance(&plain([40, 40, 40])), 30.0);
    let far = plain([0, 0, 0]).distance(&plain([30, 0, 0]));
    assert!((f64::from(far) - 30.0 / 3f64.sqrt()).abs() < 1e-4, "{far}");
    // Nothing to see: both grounds show through.
    let none = Thumbnail::new(&RgbaImage::new(5, 5));
    let white = plain([255; 3]);
    assert!((f64::from(none.distance(&white)) - 255.0 / 2f64.sqrt()).abs() < 1e-3);
}

#[test]
fn a_saved_image_is_read_again_pixel_by_pixel() {
    let dir = tempfile::tempdir().unwrap();
    let (path, image) = (dir.path().join("a.png"), noise(7, 5, 3, false));
    save(&image, &path).unwrap();
    assert_eq!(image::open(&path).unwrap().into_rgba8(), image);
    assert!(
        save(&image, &dir.path().join("none/a.png")).unwrap_err().to_string().contains("a.png: cannot write")
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
