//! Image processors from timm's `pretrained_cfg`.

use super::files::three;
use super::interpolation::Interpolation;
use super::processor::{Alpha, Fit, ImageProcessor, Rounding};
use crate::{Json, Result, Size};

/// ImageNet's statistics.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

impl ImageProcessor {
    /// From the `pretrained_cfg` of timm's `config.json`, as `timm.data.create_transform` reads it for evaluation: the shortest edge is
    /// resized to `input_size / crop_pct`, the middle kept. Images become RGB before that, as its data sets do.
    ///
    /// # Errors
    /// A key of another form than the library writes, or a step that this processor does not have. What else is in `json` is its reader's.
    pub fn from_timm(json: Json) -> Result<Self> {
        let side = match json.ints("input_size", 3)?.as_deref() {
            None => 224,
            Some(&[3, h, w]) if h == w => h,
            Some(_) => return Err(json.wrong("input_size", "[3, side, side]: a square of three colours")),
        };
        let interpolation = match json.text("interpolation", "bicubic")? {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            "box" => Interpolation::Box,
            "hamming" => Interpolation::Hamming,
            "lanczos" => Interpolation::Lanczos,
            _ => {
                let expected = "nearest, bilinear, bicubic, box, hamming or lanczos";
                return Err(json.wrong("interpolation", expected));
            }
        };
        let edge = (side as f64 / json.float("crop_pct", 0.875)?).floor() as u32;
        let (fit, edge) = match json.text("crop_mode", "center")? {
            "center" => (Fit::Crop, Some(edge)),
            "squash" if i64::from(edge) == side => (Fit::Stretch, None),
            "squash" => return Err(json.wrong("crop_pct", "1 beside crop_mode squash")),
            _ => return Err(json.wrong("crop_mode", "center or squash")),
        };
        let made = Self {
            size: Size::from(side),
            fit,
            edge,
            patch: None,
            rounding: Rounding::Down,
            even_margin: true,
            interpolation,
            alpha: Alpha::Convert,
            background: [0; 3],
            mean: three(json, "mean", MEAN)?,
            std: three(json, "std", STD)?,
        };
        made.validate().map_err(|e| crate::Error::format(json.path, e.to_string()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::path::Path;

    fn of(config: Value) -> Result<ImageProcessor, String> {
        ImageProcessor::from_timm(Json::new(Path::new("config.json"), &config)).map_err(|e| e.to_string())
    }

    #[test]
    fn sizes_are_floors() {
        let usual = of(json!({})).unwrap();
        assert_eq!((usual.size, usual.edge, usual.fit), (Size::from(224), Some(256), Fit::Crop));
        assert_eq!((usual.mean, usual.std, usual.interpolation), (MEAN, STD, Interpolation::Bicubic));
        let lite4 = of(json!({"input_size": [3, 380, 380], "crop_pct": 0.92, "interpolation": "bilinear"}));
        assert_eq!(lite4.unwrap().edge, Some(413));
        let whole = of(json!({"crop_pct": 1.0, "crop_mode": "squash", "mean": [0.5, 0.5, 0.5]})).unwrap();
        assert_eq!((whole.fit, whole.edge, whole.mean), (Fit::Stretch, None, [0.5; 3]));
    }

    #[test]
    fn what_is_not_read_is_refused_by_its_key() {
        for (key, value) in [
            ("input_size", json!([1, 28, 28])),
            ("input_size", json!([3, 224, 256])),
            ("input_size", json!(224)),
            ("input_size", json!([3, 0, 0])),
            ("interpolation", json!("random")),
            ("crop_pct", json!(0)),
            ("crop_pct", json!(1e-9)),
            ("crop_mode", json!("border")),
            ("mean", json!([0.5])),
            ("std", json!([0.0, 1.0, 1.0])),
        ] {
            let e = of(json!({ key: value })).unwrap_err();
            assert!(e.contains(key) && !e.contains('\n'), "{e}");
        }
        assert!(of(json!({"crop_mode": "squash"})).unwrap_err().contains("crop_pct: expected 1"));
    }
}
