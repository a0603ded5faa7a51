//! `docs/images.md`: its table is what the decoder does, tried on an image of each kind.

use super::*;
use crate::limits::Truncated;
use crate::{Error, Limits};
use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- made by a test: UNISONO_WRITE_DOCS=1 cargo test -p unisono-media documented -->\n";
const END: &str = "<!-- end -->";

/// An image of each kind: its name, who reads it, its bytes.
fn kinds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
        std::fs::read(path).unwrap()
    };
    let encoded = |format| {
        let image = RgbImage::from_fn(45, 45, |x, y| Rgb([(x * 5) as u8, (y * 5) as u8, (x * y) as u8]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(image).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='45' height='45'><circle cx='20' cy='20' r='20'/></svg>";
    vec![
        ("JPEG, baseline", "`zune-jpeg`", fixture("cuts/baseline.jpg")),
        ("JPEG, progressive", "`zune-jpeg`", fixture("cuts/progressive.jpg")),
        ("JPEG, grey", "`zune-jpeg`", fixture("cuts/grey.jpg")),
        ("JPEG, inks (CMYK)", "`jpeg-decoder`", fixture("cuts/inks.jpg")),
        ("PNG, 8 bits", "`png`", fixture("cuts/photo.png")),
        ("PNG, 16 bits", "`png`", fixture("images/rgba16.png")),
        ("PNG, palette", "`png`", fixture("images/palette-alpha.png")),
        ("WebP, lossy", "`image-webp`", fixture("cuts/lossy.webp")),
        ("WebP, lossless", "`image-webp`", fixture("cuts/lossless.webp")),
        ("GIF", "`gif`", fixture("cuts/photo.gif")),
        ("BMP", "`image`", encoded(ImageFormat::Bmp)),
        ("TIFF", "`tiff`", encoded(ImageFormat::Tiff)),
        ("TIFF, inks (CMYK)", "`tiff`", fixture("images/cmyk.tif")),
        ("TIFF, palette", "`tiff`", fixture("images/palette-8.tif")),
        ("SVG", "`resvg`", svg.into()),
    ]
}

#[test]
fn the_documented_table_is_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture");
    let read = |bytes: &[u8], max_pixels: u64, truncated| {
        std::fs::write(&path, bytes).unwrap();
        let limits = Limits { max_pixels, truncated, ..Limits::default() };
        image(&path, &ImageOptions { limits, svg_size: 45, ..ImageOptions::default() })
    };
    let mut table = String::from(
        "\n| format | read by | over `--max-pixels` | cut off | cut off, `--truncated use` |\n|---|---|---|---|---|\n",
    );
    for (name, by, bytes) in kinds() {
        let whole = read(&bytes, 1 << 20, Truncated::Refuse).unwrap_or_else(|e| panic!("{name}: {e}"));
        let pixels = u64::from(whole.width()) * u64::from(whole.height());
        let over = match read(&bytes, pixels - 1, Truncated::Refuse) {
            Ok(small) => {
                assert_eq!(small.width(), whole.width().div_ceil(2), "{name}");
                "at 1/2, 1/4 or 1/8"
            }
            Err(Error::Limit { .. }) => "skipped, named",
            Err(e) => panic!("{name}: {e}"),
        };
        let cut = &bytes[..bytes.len() * 3 / 4];
        let refused = match read(cut, 1 << 20, Truncated::Refuse) {
            Err(_) => "skipped, named",
            Ok(_) => "used",
        };
        let used = match read(cut, 1 << 20, Truncated::Use) {
            Err(_) => "skipped, named",
            Ok(_) => "used as far as it goes",
        };
        table += &format!("| {name} | {by} | {over} | {refused} | {used} |\n");
    }
    table.push('\n');
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/images.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UNISONO_WRITE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/images.md: the command above the table writes it anew");
}
