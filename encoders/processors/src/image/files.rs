//! Image processors from the files of other libraries: Hugging Face's `preprocessor_config.json`, OpenCLIP's `preprocess_cfg`.

use super::interpolation::Interpolation;
use super::processor::{Alpha, Fit, ImageProcessor, Rounding};
use crate::Size;
use crate::{Error, Json, Keys, Reads, Result};
use serde_json::Value;

/// What need not be read of a file.
const KEYS: &str = include_str!("../../keys/image.keys");

/// CLIP's own statistics.
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Pillow's numbers.
const FILTERS: [Interpolation; 6] = [
    Interpolation::Nearest,
    Interpolation::Lanczos,
    Interpolation::Bilinear,
    Interpolation::Bicubic,
    Interpolation::Box,
    Interpolation::Hamming,
];

/// Three numbers, or one for all three.
pub(super) fn three(json: Json, key: &str, default: [f32; 3]) -> Result<[f32; 3]> {
    let Some(v) = json.get(key) else { return Ok(default) };
    let one = |v: &Value| v.as_f64().map(|v| v as f32);
    let found = match v {
        Value::Array(a) => a.iter().map(one).collect::<Option<Vec<f32>>>(),
        v => one(v).map(|v| vec![v; 3]),
    };
    match found.as_deref() {
        Some(&[a, b, c]) if !key.ends_with("std") || [a, b, c].iter().all(|s| *s > 0.0 && *s <= 1e6) => {
            Ok([a, b, c])
        }
        _ if key.ends_with("std") => Err(json.wrong(key, "three numbers above 0 and at most 1000000")),
        _ => Err(json.wrong(key, "three numbers")),
    }
}

/// `size` in all its historic forms: an integer, `{shortest_edge}`, `{height, width}`.
enum Extent {
    Number(u32),
    Edge(u32),
    Sides([i64; 2]),
}

fn extent(json: Json, key: &str) -> Result<Option<Extent>> {
    let wrong = || {
        let found = json.get(key).map(Value::to_string).unwrap_or_default();
        let expected = "an integer, {shortest_edge}, or {height, width}, 1 to 16384";
        Error::format(json.path, format!("{key}: expected {expected}, found {found}"))
    };
    let Some(v) = json.get(key) else { return Ok(None) };
    let side = |v: Option<&Value>| v.and_then(Value::as_i64).filter(|v| (1..=1 << 14).contains(v));
    let found = if let Some(sides) = v.as_object() {
        if sides
            .iter()
            .any(|(k, v)| !v.is_null() && !["shortest_edge", "height", "width"].contains(&k.as_str()))
        {
            return Err(wrong());
        }
        match (side(v.get("shortest_edge")), side(v.get("height")), side(v.get("width"))) {
            (Some(edge), _, _) => Extent::Edge(edge as u32),
            (None, Some(h), Some(w)) => Extent::Sides([h, w]),
            _ => return Err(wrong()),
        }
    } else if v.is_array() {
        Extent::Sides(json.pair(key, 224)?)
    } else {
        Extent::Number(side(Some(v)).ok_or_else(wrong)? as u32)
    };
    Ok(Some(found))
}

/// Refuses keys that change pixels in a way that this processor cannot follow: they would give other embeddings silently.
fn refuse_other_steps(json: Json, kind: &str) -> Result<()> {
    const KNOWN: [&str; 5] = ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"];
    const CHANGING: [&str; 4] = ["crop_pct", "rescale_offset", "pad_size", "size_divisor"];
    let unset = |v: &Value| v.is_null() || *v == Value::Bool(false);
    let keys = json.value.as_object().into_iter().flatten();
    for (key, value) in keys.filter(|(_, v)| !unset(v)) {
        if key.starts_with("do_") {
            json.pass_over(&[key]);
        }
        let step = key.starts_with("do_") && !KNOWN.contains(&key.as_str());
        // BLIP's published files carry two keys of ViLT's processor, from which they were made; its own class does not know them.
        if kind.contains("Blip") && ["do_pad", "size_divisor"].contains(&key.as_str()) {
            json.pass_over(&[key]);
            continue;
        }
        // Classes that only reduce label maps have nothing to do with images.
        if (step && key != "do_reduce_labels") || CHANGING.contains(&key.as_str()) {
            let message = format!(
                "{key}: expected none, found {value}: this step is not supported; known are {}",
                KNOWN.join(", ")
            );
            return Err(Error::format(json.path, message));
        }
    }
    if json.object("size").get("longest_edge").is_some() {
        return Err(Error::format(
            json.path,
            "size: longest_edge is not supported: expected shortest_edge, or height and width",
        ));
    }
    Ok(())
}

impl ImageProcessor {
    /// From Hugging Face's `preprocessor_config.json`; `size` is the tower's own, for a processor that leaves images as they are.
    ///
    /// The reference is the classes that resize with Pillow (`…Pil`, formerly the "slow" ones), NaFlex's included. The classes on
    /// torchvision give up to two levels more or less on half a percent of the bytes, and set an image that is smaller than its
    /// crop one pixel higher or further left when the margin is odd.
    ///
    /// What differs from the library knowingly is in the decoder: see `ImageOptions` of the datasets crate.
    ///
    /// # Errors
    /// A key of another form than the library writes, or a step that this processor does not have.
    pub fn from_hugging_face(json: Json, size: Size) -> Result<Self> {
        let reads = Reads::default();
        let json = json.counted(&reads);
        let made = Self::hugging_face(json, size)?;
        json.finish(&Keys::new(&[KEYS])?, "")?;
        Ok(made)
    }

    fn hugging_face(json: Json, size: Size) -> Result<Self> {
        let kind = json.text("image_processor_type", json.text("feature_extractor_type", "")?)?;
        let naflex = kind.contains("Siglip2") || json.get("max_num_patches").is_some();
        let clip = kind.contains("CLIP") || kind.contains("Clip");
        let blip = kind.contains("Blip");
        let bicubic = clip || blip || kind.contains("Bit") || (kind.contains("Siglip") && !naflex);
        // What a file leaves out is its class's default.
        let (mean, std) =
            if clip || blip || kind.contains("Bit") { (CLIP_MEAN, CLIP_STD) } else { ([0.5; 3], [0.5; 3]) };
        let filter = json.int("resample", if bicubic { 3 } else { 2 })?;
        let interpolation = usize::try_from(filter).ok().and_then(|i| FILTERS.get(i)).copied();
        let interpolation = interpolation.ok_or_else(|| {
            Error::format(
                json.path,
                format!("resample: expected one of Pillow's filters 0 to 5, found {filter}"),
            )
        })?;
        let rescale =
            if json.bool("do_rescale", true)? { json.float("rescale_factor", 1.0 / 255.0)? } else { 1.0 };
        let normalize = json.bool("do_normalize", true)?;
        let mean = if normalize { three(json, "image_mean", mean)? } else { [0.0; 3] };
        let std = if normalize { three(json, "image_std", std)? } else { [1.0; 3] };
        // Our own scaling is to [0, 1]; another factor moves into the two numbers that follow it.
        let factor = (rescale * 255.0) as f32;
        let exact = (rescale * 255.0 - 1.0).abs() < 1e-6;
        let base = Self {
            size,
            fit: Fit::Stretch,
            edge: None,
            patch: None,
            rounding: Rounding::Down,
            even_margin: false,
            interpolation,
            // Laid over white, as its conversion to RGB does.
            alpha: Alpha::Background,
            background: [255; 3],
            mean: if exact { mean } else { mean.map(|m| m / factor) },
            std: if exact { std } else { std.map(|s| s / factor) },
        };
        refuse_other_steps(json, kind)?;
        for step in ["do_resize", "do_center_crop"] {
            json.bool(step, true)?;
        }
        // What a step that is switched off would have taken is read by nobody.
        for (step, keys) in [
            ("do_resize", &["size", "resample", "default_to_square"][..]),
            ("do_center_crop", &["crop_size"]),
            ("do_rescale", &["rescale_factor"]),
            ("do_normalize", &["image_mean", "image_std"]),
        ] {
            if !json.bool(step, true)? {
                json.pass_over(keys);
            }
        }
        let made = if naflex {
            let patch = json.int("patch_size", 16)?;
            let most = json.int("max_num_patches", 256)?;
            // Its class looks at no size. As many patches as are allowed, in the shape that is nearest to a square.
            json.pass_over(&["size"]);
            let rows = (1..=most).take_while(|n| n * n <= most).filter(|n| most % n == 0).last().unwrap_or(1);
            let side = most / rows;
            if side * patch > 1 << 14 {
                return Err(json.wrong(
                    "max_num_patches",
                    format_args!("images of at most 16384 pixels a side with patches of {patch}"),
                ));
            }
            let size = Size { sides: [rows * patch, side * patch] };
            Self { size, fit: Fit::Patches, patch: u32::try_from(patch).ok(), ..base }
        } else {
            let resizes = json.bool("do_resize", true)?;
            let resized = if resizes { extent(json, "size")? } else { None };
            // The processor of videos (X-CLIP's) crops unless told not to, to the tower's size where its oldest files name none.
            let video = kind.starts_with("VideoMAE");
            let crops = json.bool("do_center_crop", video || json.get("crop_size").is_some())?;
            let crop = if crops { extent(json, "crop_size")? } else { None };
            let crop = crop.or_else(|| (video && crops).then_some(Extent::Sides(size.sides)));
            let crop = crop.map(|c| match c {
                Extent::Edge(e) | Extent::Number(e) => [i64::from(e); 2],
                Extent::Sides(s) => s,
            });
            // A lone number is a square to the processors of ViT's kin and the shortest edge to the others, unless the file says which.
            let square =
                json.get("default_to_square").map(|_| json.bool("default_to_square", true)).transpose()?;
            let resized = match resized {
                Some(Extent::Number(e)) if square == Some(true) => Some(Extent::Sides([i64::from(e); 2])),
                Some(Extent::Number(e)) if square == Some(false) => Some(Extent::Edge(e)),
                Some(Extent::Number(e)) if crop.is_none() && !clip => Some(Extent::Sides([i64::from(e); 2])),
                Some(Extent::Number(e)) if kind.starts_with("ViT") || kind.starts_with("DeiT") => {
                    Some(Extent::Sides([i64::from(e); 2]))
                }
                Some(Extent::Number(e)) => Some(Extent::Edge(e)),
                other => other,
            };
            let wrong = |message| Err(Error::format(json.path, message));
            match (resized, crop) {
                (Some(Extent::Edge(edge) | Extent::Number(edge)), Some(sides)) => {
                    Self { size: Size { sides }, fit: Fit::Crop, edge: Some(edge), ..base }
                }
                (Some(Extent::Edge(edge) | Extent::Number(edge)), None) => {
                    return wrong(format!(
                        "size: shortest edge {edge} and no crop give images of every shape, a tower takes one: set \
                         do_center_crop and crop_size, or size {{height, width}}"
                    ));
                }
                (Some(Extent::Sides(sides)), None) => Self { size: Size { sides }, ..base },
                (Some(Extent::Sides(sides)), Some(crop)) if sides == crop => {
                    Self { size: Size { sides }, ..base }
                }
                (Some(Extent::Sides(_)), Some(_)) => {
                    return wrong(
                        "size: {height, width} and another crop_size: expected a shortest_edge before a crop"
                            .into(),
                    );
                }
                (None, Some(_)) if !resizes => {
                    return wrong(
                        "do_resize: a crop without a resize is not supported: set do_resize".into(),
                    );
                }
                (None, _) => base,
            }
        };
        made.validate().map_err(|e| Error::format(json.path, e.to_string()))?;
        Ok(made)
    }

    /// From the `preprocess_cfg` of `open_clip_config.json`; `size` is the tower's own.
    ///
    /// The library resizes before it converts to RGB, and so does this: [`prepare_stored`](Self::prepare_stored).
    ///
    /// # Errors
    /// A key of another form than the library writes.
    pub fn from_open_clip(json: Json, size: Size) -> Result<Self> {
        if json.text("mode", "RGB")? != "RGB" {
            return Err(json.wrong("mode", "\"RGB\""));
        }
        let size = if json.has("size") { Size { sides: json.pair("size", 224)? } } else { size };
        let square = size.sides[0] == size.sides[1];
        let interpolation = match json.text("interpolation", "bicubic")? {
            "bicubic" | "random" => Interpolation::Bicubic,
            "bilinear" => Interpolation::Bilinear,
            other => {
                let message = format!("interpolation: expected bicubic or bilinear, found {other:?}");
                return Err(Error::format(json.path, message));
            }
        };
        let fill = json.int("fill_color", 0)? as u8;
        let base = Self {
            size,
            fit: Fit::Crop,
            edge: None,
            patch: None,
            rounding: Rounding::Even,
            even_margin: true,
            interpolation,
            alpha: Alpha::Drop,
            background: [fill; 3],
            mean: three(json, "mean", CLIP_MEAN)?,
            std: three(json, "std", CLIP_STD)?,
        };
        let made = match json.text("resize_mode", "shortest")? {
            "shortest" if square => {
                Self { edge: Some(size.sides[0].clamp(1, 1 << 14) as u32), rounding: Rounding::Down, ..base }
            }
            // The library's resize to a shape that is no square is always bicubic.
            "shortest" => Self { interpolation: Interpolation::Bicubic, ..base },
            "longest" => Self { fit: Fit::Pad, ..base },
            "squash" => Self { fit: Fit::Stretch, ..base },
            other => {
                return Err(Error::format(
                    json.path,
                    format!("resize_mode: expected shortest, longest or squash, found {other:?}"),
                ));
            }
        };
        made.validate().map_err(|e| Error::format(json.path, e.to_string()))?;
        Ok(made)
    }
}
