use super::*;
use crate::rng::{Purpose, rng};
use image::{Rgb, imageops};

fn random(n: u64) -> rand_chacha::ChaCha8Rng {
    rng(1, 0, n, Purpose::Augment)
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut rng = random(99);
    RgbImage::from_fn(width, height, |_, _| Rgb(rng.random()))
}

/// Straightforward bilinear reading of an unrotated window, pixel centres at half-integers, border repeated.
fn naive(img: &RgbImage, [x0, y0, w, h]: [f64; 4], size: u32) -> RgbImage {
    let clamp = |v: i64, n: u32| v.clamp(0, i64::from(n) - 1) as u32;
    RgbImage::from_fn(size, size, |column, row| {
        let x = x0 + w * (f64::from(column) + 0.5) / f64::from(size) - 0.5;
        let y = y0 + h * (f64::from(row) + 0.5) / f64::from(size) - 0.5;
        let (left, top) = (x.floor() as i64, y.floor() as i64);
        let mut sum = [0.0; 3];
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let weight = (1.0 - (x - (left + dx) as f64).abs()) * (1.0 - (y - (top + dy) as f64).abs());
            let pixel = img.get_pixel(clamp(left + dx, img.width()), clamp(top + dy, img.height()));
            sum.iter_mut().zip(pixel.0).for_each(|(s, p)| *s += weight * f64::from(p));
        }
        Rgb(sum.map(|s| s.round() as u8))
    })
}

fn worst(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn the_default_changes_nothing() {
    let img = noise(24, 24);
    assert_eq!(ImageAugment::default().apply(&img, (24, 24), &mut random(0)), img);
    assert_eq!(from_json("{}"), ImageAugment::default());
}

fn from_json(json: &str) -> ImageAugment {
    serde_json::from_str(json).unwrap()
}

#[test]
fn unknown_parameters_are_refused() {
    let error =
        serde_json::from_str::<ImageAugment>(r#"{"crop": {"scael": [1, 1]}}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `scael`"), "{error}");
    assert_eq!(from_json(r#"{"flip": 0.5}"#), ImageAugment { flip: 0.5, ..ImageAugment::default() });
}

#[test]
fn resizing_is_bilinear() {
    // Enlarging: no averaging comes in.
    let img = noise(20, 13);
    let out = ImageAugment::default().apply(&img, (24, 24), &mut random(0));
    assert!(worst(&out, &naive(&img, [0.0, 0.0, 20.0, 13.0], 24)) <= 1);
}

#[test]
fn shrinking_averages() {
    // By whole powers of two the result is the mean of each block.
    let img = noise(64, 64);
    let out = ImageAugment::default().apply(&img, (16, 16), &mut random(0));
    let mean = RgbImage::from_fn(16, 16, |x, y| {
        let block = imageops::crop_imm(&img, 4 * x, 4 * y, 4, 4).to_image();
        Rgb(std::array::from_fn(|k| {
            (block.pixels().map(|p| u32::from(p.0[k])).sum::<u32>() as f32 / 16.0).round() as u8
        }))
    });
    assert!(worst(&out, &mean) <= 1);
    // Any other factor keeps a flat image flat and odd sizes do not shift it.
    let half = RgbImage::from_fn(101, 101, |x, _| if x < 50 { Rgb([0; 3]) } else { Rgb([200; 3]) });
    let out = ImageAugment::default().apply(&half, (20, 20), &mut random(0));
    assert_eq!((out.get_pixel(8, 3).0, out.get_pixel(11, 3).0), ([0; 3], [200; 3]));
}

#[test]
fn a_crop_is_a_window_of_the_image() {
    let img = noise(40, 40);
    let augment =
        ImageAugment { crop: Crop { scale: [0.25; 2], ratio: [1.0; 2] }, ..ImageAugment::default() };
    let out = augment.apply(&img, (20, 20), &mut random(5));
    // The window's corner is drawn evenly: x first, then y, both in 0..=20.
    let mut rng = random(5);
    let (x, y): (f32, f32) = (rng.random_range(0.0..=20.0), rng.random_range(0.0..=20.0));
    assert!(worst(&out, &naive(&img, [f64::from(x), f64::from(y), 20.0, 20.0], 20)) <= 1);
}

#[test]
fn a_flip_mirrors_and_a_quarter_turn_turns() {
    let img = noise(16, 16);
    let flip = ImageAugment { flip: 1.0, ..ImageAugment::default() };
    assert_eq!(flip.apply(&img, (16, 16), &mut random(0)), imageops::flip_horizontal(&img));
    let window = warp::Window {
        centre: [8.0, 8.0],
        size: [16.0, 16.0],
        angle: std::f32::consts::FRAC_PI_2,
        flip: false,
    };
    let turned = warp::warp(&img, &window, (16, 16), [0; 3]);
    assert!(worst(&turned, &imageops::rotate270(&img)) <= 1);
}

#[test]
fn outside_lies_the_fill() {
    let img = RgbImage::from_pixel(16, 16, Rgb([10, 20, 30]));
    let zoom_out = ImageAugment {
        crop: Crop { scale: [4.0; 2], ratio: [1.0; 2] },
        fill: [1, 2, 3],
        ..ImageAugment::default()
    };
    for n in 0..20 {
        let out = zoom_out.apply(&img, (32, 32), &mut random(n));
        let inside = out.pixels().filter(|p| p.0 == [10, 20, 30]).count();
        let fill = out.pixels().filter(|p| p.0 == [1, 2, 3]).count();
        // The image fills a quarter of the window; only a border may blend.
        assert!((14 * 14..=17 * 17).contains(&inside) && inside + fill >= 1024 - 4 * 17, "{inside} {fill}");
    }
}

#[test]
fn colour_changes_match_their_definitions() {
    let pixel = [200.0f32, 100.0, 50.0];
    let luma = 0.299 * 200.0 + 0.587 * 100.0 + 0.114 * 50.0;
    let map = |m: &colour::Matrix| m.map(|r| r[0] * pixel[0] + r[1] * pixel[1] + r[2] * pixel[2] + r[3]);
    let close = |a: [f32; 3], b: [f32; 3]| {
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 0.01, "{a} {b}"))
    };
    close(map(&colour::matrix(1.0, 1.0, 1.0, 0.0, 77.0)), pixel);
    close(map(&colour::matrix(1.1, 1.0, 1.0, 0.0, 77.0)), pixel.map(|v| v * 1.1));
    close(map(&colour::matrix(1.0, 0.5, 1.0, 0.0, 77.0)), pixel.map(|v| 77.0 + 0.5 * (v - 77.0)));
    close(map(&colour::matrix(1.0, 1.0, 0.0, 0.0, 77.0)), [luma; 3]);
    // A third of a turn about the grey axis moves red to green, apart from the luminance that is kept.
    let turned = map(&colour::matrix(1.0, 1.0, 1.0, 120.0, 77.0));
    let plain = [50.0, 200.0, 100.0];
    let shift = turned[0] - plain[0];
    close(turned, plain.map(|v| v + shift));
}

#[test]
fn grayscale_and_erase() {
    let img = noise(16, 16);
    let grey =
        ImageAugment { grayscale: 1.0, ..ImageAugment::default() }.apply(&img, (16, 16), &mut random(0));
    assert!(grey.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]));
    let flat = RgbImage::from_pixel(32, 32, Rgb([7; 3]));
    for n in 0..50 {
        let erase =
            ImageAugment { erase: Erase { probability: 1.0, area: [0.25; 2] }, ..ImageAugment::default() };
        let out = erase.apply(&flat, (32, 32), &mut random(n));
        let painted = out.pixels().filter(|p| p.0 != [7; 3]).count();
        assert!((180..=330).contains(&painted), "{painted}");
    }
}

/// Pillow's grey, which torchvision's `RandomGrayscale` takes of an image, is 0.299 R + 0.587 G + 0.114 B in 16 bits; of a tensor it cuts the fraction off.
#[test]
fn grey_is_the_luma_that_torchvision_takes() {
    let augment = ImageAugment { grayscale: 1.0, ..ImageAugment::default() };
    let img = noise(300, 300);
    let grey = augment.apply(&img, (300, 300), &mut random(0));
    let mut differ = 0;
    for (pixel, found) in img.pixels().zip(grey.pixels()) {
        let [r, g, b] = pixel.0.map(u32::from);
        let pillow = ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8;
        let tensor = (0.2989 * r as f32 + 0.587 * g as f32 + 0.114 * b as f32) as u8;
        assert!(found.0[0].abs_diff(pillow) <= 1 && found.0[0].abs_diff(tensor) <= 1, "{pixel:?}");
        differ += usize::from(found.0[0] != pillow);
    }
    // Where the sum lies in the middle between two levels.
    assert!(differ * 200 < 300 * 300, "{differ}");
    let some = ImageAugment { grayscale: 0.2, ..ImageAugment::default() };
    let small = noise(3, 3);
    let count = (0..4000).filter(|n| some.apply(&small, (3, 3), &mut random(*n)) != small).count();
    assert!((673..=927).contains(&count), "{count}");
}

#[test]
fn equal_streams_give_equal_images_of_the_size_asked_for() {
    let augment = ImageAugment {
        crop: Crop { scale: [0.3, 1.5], ratio: [0.7, 1.4] },
        flip: 0.5,
        rotate: 30.0,
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.4,
        hue: 20.0,
        grayscale: 0.2,
        blur: Blur { probability: 0.5, ..Blur::default() },
        erase: Erase { probability: 0.5, ..Erase::default() },
        patch_mask: PatchMask { share: 0.3, size: 7, ..PatchMask::default() },
        fill: [255; 3],
    };
    augment.validate().unwrap();
    for (width, height) in [(1, 1), (1, 50), (50, 1), (33, 57), (300, 200)] {
        let img = noise(width, height);
        for n in 0..20 {
            let out = augment.apply(&img, (24, 24), &mut random(n));
            assert_eq!(out.dimensions(), (24, 24));
            assert_eq!(out, augment.apply(&img, (24, 24), &mut random(n)));
        }
    }
    assert_eq!(augment.apply(&RgbImage::new(0, 0), (4, 4), &mut random(0)).dimensions(), (4, 4));
}

#[test]
fn impossible_parameters_are_named() {
    let error = |a: ImageAugment| a.validate().unwrap_err().to_string();
    let crop = Crop { scale: [0.5, 0.2], ..Crop::default() };
    assert_eq!(
        error(ImageAugment { crop, ..Default::default() }),
        "crop.scale must be [low, high] within [0.01, 16], found [0.5, 0.2]"
    );
    assert_eq!(
        error(ImageAugment { flip: 1.5, ..Default::default() }),
        "flip must be within [0, 1], found 1.5"
    );
    assert!(error(ImageAugment { rotate: f32::NAN, ..Default::default() }).contains("rotate"));
}

#[test]
fn results_need_not_be_square() {
    // The middle of an image twice as wide: its own pixels, in a shape of its own.
    let img = noise(48, 20);
    assert_eq!(ImageAugment::default().apply(&img, (48, 20), &mut random(0)), img);
    let out = ImageAugment::default().apply(&img, (24, 10), &mut random(0));
    let mean = RgbImage::from_fn(24, 10, |x, y| {
        let block = imageops::crop_imm(&img, 2 * x, 2 * y, 2, 2).to_image();
        Rgb(std::array::from_fn(|k| ((block.pixels().map(|p| u32::from(p.0[k])).sum::<u32>() + 2) / 4) as u8))
    });
    assert!(worst(&out, &mean) <= 1);
    // A rotation stays one: half a turn is both flips.
    let turned = ImageAugment { flip: 1.0, ..ImageAugment::default() }.apply(&img, (48, 20), &mut random(0));
    assert_eq!(turned, imageops::flip_horizontal(&img));
    let window =
        warp::Window { centre: [24.0, 10.0], size: [48.0, 20.0], angle: std::f32::consts::PI, flip: false };
    let out = warp::warp(&img, &window, (48, 20), [0; 3]);
    assert!(worst(&out, &imageops::rotate180(&img)) <= 1);
}
