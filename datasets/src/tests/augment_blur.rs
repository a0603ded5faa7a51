use super::*;
use crate::augment::ImageAugment;
use crate::rng::{Purpose, rng};
use image::Rgb;

fn noise(width: u32, height: u32) -> RgbImage {
    let mut random = rng(3, 0, 0, Purpose::Augment);
    RgbImage::from_fn(width, height, |_, _| Rgb(random.random()))
}

/// The sum over a square of pixels, its weights exp(-r² / 2σ²), of an image that is mirrored at its edges pixel by pixel.
fn naive(img: &RgbImage, sigma: f64) -> RgbImage {
    let radius = (3.0 * sigma).ceil() as i64;
    let fold = |mut at: i64, length: u32| {
        let last = i64::from(length) - 1;
        while at < 0 || at > last {
            at = if at < 0 { -at } else { 2 * last - at };
            if last == 0 {
                at = 0;
            }
        }
        at as u32
    };
    RgbImage::from_fn(img.width(), img.height(), |x, y| {
        let (mut sums, mut whole) = ([0.0; 3], 0.0);
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
                let pixel = img
                    .get_pixel(fold(i64::from(x) + dx, img.width()), fold(i64::from(y) + dy, img.height()));
                sums.iter_mut().zip(pixel.0).for_each(|(s, p)| *s += weight * f64::from(p));
                whole += weight;
            }
        }
        Rgb(sums.map(|s| (s / whole).round() as u8))
    })
}

#[test]
fn it_is_the_gaussian() {
    for (width, height) in [(24, 17), (3, 40), (1, 1), (1, 9), (2, 2)] {
        let img = noise(width, height);
        for sigma in [0.1, 0.5, 1.0, 2.0, 4.5] {
            let mut out = img.clone();
            blur(&mut out, sigma);
            let expected = naive(&img, f64::from(sigma));
            let pairs = || out.iter().zip(expected.iter());
            let worst = pairs().map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            // Only where the sum lies between two levels may rounding fall to either side.
            let differ = pairs().filter(|(a, b)| a != b).count();
            assert!(worst <= 1 && differ * 100 <= out.len(), "{width}x{height}, {sigma}: {worst}, {differ}");
        }
    }
}

/// torchvision 0.26's `gaussian_blur` of the same pixels, `kernel_size = 7`, `sigma = 1.0`.
#[test]
fn it_is_torchvisions() {
    let mut img = RgbImage::from_fn(6, 4, |x, y| {
        Rgb([(40 * x + 7 * y) as u8, (x * x * 9) as u8, (255 - 60 * y) as u8])
    });
    blur(&mut img, 1.0);
    assert_eq!(img.as_raw().as_slice(), TORCHVISION);
}

const TORCHVISION: &[u8] = &[
    34, 9, 211, 50, 18, 211, 85, 45, 211, 125, 89, 211, 160, 142, 211, 176, 169, 211, 37, 9, 188, 53, 18,
    188, 88, 45, 188, 127, 89, 188, 163, 142, 188, 179, 169, 188, 42, 9, 142, 58, 18, 142, 94, 45, 142, 133,
    89, 142, 168, 142, 142, 184, 169, 142, 45, 9, 119, 61, 18, 119, 96, 45, 119, 136, 89, 119, 171, 142, 119,
    187, 169, 119,
];

#[test]
fn it_comes_with_its_probability_and_flat_images_stay_flat() {
    let img = noise(6, 6);
    let augment =
        ImageAugment { blur: Blur { probability: 0.3, sigma: [1.0, 2.0] }, ..ImageAugment::default() };
    let changed = |n| augment.apply(&img, (6, 6), &mut rng(1, 0, n, Purpose::Augment)) != img;
    let count = (0..4000).filter(|n| changed(*n)).count();
    assert!((1055..=1345).contains(&count), "{count}");
    let flat = RgbImage::from_pixel(9, 5, Rgb([0, 130, 255]));
    let always =
        ImageAugment { blur: Blur { probability: 1.0, sigma: [0.1, 9.0] }, ..ImageAugment::default() };
    for n in 0..50 {
        assert_eq!(always.apply(&flat, (9, 5), &mut rng(1, 0, n, Purpose::Augment)), flat);
    }
    let mut none = RgbImage::new(0, 0);
    blur(&mut none, 2.0);
    let wrong =
        ImageAugment { blur: Blur { probability: 1.0, sigma: [2.0, 1.0] }, ..ImageAugment::default() };
    assert_eq!(
        wrong.validate().unwrap_err().to_string(),
        "blur.sigma must be [low, high] within [0, 100], found [2, 1]"
    );
}
