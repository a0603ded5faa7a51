use super::*;
use crate::augment::ImageAugment;
use crate::rng::{Purpose, rng};
use image::Rgb;

const FILL: [u8; 3] = [1, 2, 3];

fn masked(size: (u32, u32), share: f32, edge: u32, n: u64) -> RgbImage {
    let augment =
        ImageAugment { patch_mask: PatchMask { share, size: edge, fill: FILL }, ..ImageAugment::default() };
    augment.validate().unwrap();
    let flat = RgbImage::from_pixel(size.0, size.1, Rgb([9; 3]));
    augment.apply(&flat, size, &mut rng(1, 0, n, Purpose::Augment))
}

#[test]
fn whole_patches_are_hidden_as_many_as_asked_for() {
    let mut often = [0usize; 12];
    for n in 0..3000 {
        // Four columns and three rows, the last of each cut off.
        let img = masked((30, 20), 0.5, 8, n);
        let mut hidden = 0;
        for (patch, count) in often.iter_mut().enumerate() {
            let (left, top) = (patch as u32 % 4 * 8, patch as u32 / 4 * 8);
            let pixels = || img.enumerate_pixels().filter(|(x, y, _)| x / 8 * 8 == left && y / 8 * 8 == top);
            let filled = pixels().filter(|(_, _, p)| p.0 == FILL).count();
            assert!(filled == 0 || filled == pixels().count());
            hidden += usize::from(filled > 0);
            *count += usize::from(filled > 0);
        }
        assert_eq!(hidden, 6);
    }
    // Each as often as any other: five standard deviations about one half.
    assert!(often.iter().all(|count| (1363..=1637).contains(count)), "{often:?}");
}

#[test]
fn one_is_always_left_and_none_is_hidden_unless_asked() {
    assert!(masked((30, 20), 0.0, 8, 0).pixels().all(|p| p.0 == [9; 3]));
    assert_eq!(masked((32, 32), 1.0, 16, 0).pixels().filter(|p| p.0 != FILL).count(), 256);
    assert!(masked((5, 5), 1.0, 1024, 0).pixels().all(|p| p.0 == [9; 3]));
    assert_eq!(masked((30, 20), 0.3, 8, 7), masked((30, 20), 0.3, 8, 7));
    let none =
        ImageAugment { patch_mask: PatchMask { size: 0, ..PatchMask::default() }, ..ImageAugment::default() };
    assert_eq!(none.validate().unwrap_err().to_string(), "patch_mask.size must be within [1, 1024], found 0");
    // What the colour is the tower says, not the recipe.
    assert!(serde_json::from_str::<PatchMask>(r#"{"fill": [0, 0, 0]}"#).is_err());
}
