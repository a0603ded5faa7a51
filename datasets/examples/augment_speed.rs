//! Times image augmentation: the fastest of many rounds, so other work on the machine counts little.

use std::time::{Duration, Instant};

use unisono_datasets::augment::{Crop, ImageAugment};
use unisono_datasets::rng::{Purpose, rng};
use unisono_media::image::{Rgb, RgbImage};

fn main() {
    let img = RgbImage::from_fn(96, 96, |x, y| Rgb([x as u8 * 2, y as u8 * 2, (x * y) as u8]));
    let geometry = ImageAugment {
        crop: Crop { scale: [0.5, 1.2], ratio: [0.8, 1.25] },
        flip: 0.5,
        rotate: 15.0,
        ..ImageAugment::default()
    };
    let full =
        ImageAugment { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 10.0, ..geometry.clone() };
    for (name, augment) in
        [("resize", ImageAugment::default()), ("geometry", geometry), ("geometry and colour", full)]
    {
        for size in [48, 64, 96] {
            let mut best = Duration::MAX;
            for round in 0..300 {
                let start = Instant::now();
                for i in 0..10 {
                    std::hint::black_box(augment.apply(
                        &img,
                        (size, size),
                        &mut rng(round, 0, i, Purpose::Augment),
                    ));
                }
                best = best.min(start.elapsed() / 10);
            }
            println!("{name}, 96 to {size} pixels: {best:?}");
        }
    }
}
