//! Views: vectors of images that were changed first, as a training changes them, each so that the same change can be made again.
//!
//! A teacher that is asked about the view that its student sees teaches more than one that saw the image as it is (DataCompDR, in Vasu et al. 2024,
//! "MobileCLIP"). Each view is a file of vectors by itself, beside which stands how it was made.

use crate::augment::ImageAugment;
use crate::rng::{Purpose, rng};
use crate::{Error, Result};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, read_json, write_json};

/// Images that are cropped or turned are given so much larger than they come out, so that a crop has pixels to choose from.
pub const SCALE: f64 = 1.25;

/// How a view of images was made: the change of an image depends on this and the id of its record alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Which one, from 1.
    pub view: u64,
    /// Another number draws other views.
    pub seed: u64,
    /// What is drawn, with the colours of what is painted over.
    pub augment: ImageAugment,
}

impl View {
    /// The view of a record's image, of so many pixels in width and height. Where the augmentation [moves](ImageAugment::moves) what is seen, `image` is to
    /// be [`SCALE`] times as large.
    pub fn of(&self, id: &str, image: &RgbImage, size: (u32, u32)) -> RgbImage {
        self.augment.apply(image, size, &mut rng(self.seed, self.view, key(id), Purpose::Augment))
    }

    /// What stands beside a file of vectors; `None`: they are of images as they are.
    ///
    /// # Errors
    /// Something that is no such thing.
    pub fn beside(path: &Path) -> Result<Option<Self>> {
        let path = view_path(path);
        if !path.exists() {
            return Ok(None);
        }
        let view: Self = read_json(&path, &Budget::CONFIG)?;
        let checked = view.augment.validate().map_err(|e| Error::archive(&path, e.to_string()));
        checked.map(|()| Some(view))
    }

    /// Writes it beside a file of vectors.
    ///
    /// # Errors
    /// No space, no permission.
    pub fn write_beside(&self, path: &Path) -> Result<()> {
        Ok(write_json(&view_path(path), self)?)
    }
}

/// Where that stands: the name of the vectors' file with `.view.json` added.
pub fn view_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".view.json");
    name.into()
}

/// The first eight bytes of an id's SHA-256, the lowest first.
fn key(id: &str) -> u64 {
    let digest = Sha256::digest(id);
    digest.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Crop;

    fn view(view: u64, seed: u64) -> View {
        let crop = Crop { scale: [0.1, 1.0], ratio: [0.75, 1.333] };
        View { view, seed, augment: ImageAugment { crop, hue: 30.0, ..ImageAugment::default() } }
    }

    #[test]
    fn a_view_is_made_again_by_what_stands_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image-view-1.npy");
        assert_eq!(View::beside(&path).unwrap(), None);
        view(1, 7).write_beside(&path).unwrap();
        let again = View::beside(&path).unwrap().unwrap();
        let image =
            RgbImage::from_fn(60, 50, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, (x ^ y) as u8]));
        let of = |view: &View, id| view.of(id, &image, (24, 24));
        assert_eq!(of(&again, "a"), of(&view(1, 7), "a"));
        let others = [of(&view(1, 7), "b"), of(&view(2, 7), "a"), of(&view(1, 8), "a")];
        assert!(others.iter().all(|other| *other != of(&again, "a")), "each is drawn by itself");
        // python3 -c "import hashlib; print(int.from_bytes(hashlib.sha256(b'00017/a/000').digest()[:8], 'little'))"
        assert_eq!(key("00017/a/000"), 6989003875541346053);
        std::fs::write(view_path(&path), r#"{"view": 1, "seed": 0, "augment": {"flip": 2}}"#).unwrap();
        let said = View::beside(&path).unwrap_err().to_string();
        assert!(said.contains("view-1.npy.view.json: flip must be within [0, 1], found 2"), "{said}");
    }
}
