//! SVG without the outside world: no files, no fonts, no network, and nothing that costs more than a drawing may.
//!
//! A few hundred bytes can ask the renderer for hours, gigabytes or a million levels of recursion: references multiply, filters work on every
//! pixel. So the cost is counted before it is spent, by rules that give the same verdict on every machine:
//!
//! ```text
//! text -> (entities, attributes) -> XML -> (references followed, styles matched) -> usvg's tree -> (layers, filters, strokes) -> pixels
//! ```

mod cost;
mod references;
mod styles;
mod text;

use std::path::Path;

use image::RgbaImage;
use resvg::usvg::roxmltree::Document;
use resvg::{tiny_skia, usvg};

use super::options::{ImageOptions, check_size};
use crate::{Error, Result};

/// Most XML nodes in a drawing. Honest ones hold some thousands; entity expansion (`&lol9;`) would make billions.
const MAX_NODES: u32 = 1_000_000;
/// Levels that are drawn on the caller's stack, which may be a worker's of a megabyte or two: parser and renderer recurse once a level,
/// through references too, with up to 16 kB.
const SHALLOW: u32 = 32;
/// Stack of the thread that draws what is deeper, in bytes. Pages that are not touched cost nothing.
const STACK: usize = 256 << 20;

/// Whether the bytes are an XML text that holds an `<svg` element.
pub(super) fn is_svg(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(b"<") && bytes.windows(4).any(|w| w == b"<svg")
}

/// Draws the SVG with its longest edge at `options.svg_size` pixels, on transparent ground (straight alpha).
pub(super) fn render(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<RgbaImage> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Error::media(path, "an SVG in UTF-8", "other bytes"))?;
    let broken = |found: String| Error::media(path, "a whole SVG drawing", found);
    text::check(text).map_err(broken)?;
    // Drawing programs write a DTD with namespace entities; the parser refuses recursive ones itself.
    let xml =
        usvg::roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..Default::default() };
    let document = Document::parse_with_options(text, xml).map_err(|e| broken(e.to_string()))?;
    if references::check(&document).map_err(broken)? <= SHALLOW {
        return draw(path, &document, options);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("svg".into()).stack_size(STACK);
        let drawing = thread
            .spawn_scoped(scope, || draw(path, &document, options))
            .map_err(Error::io(path, "start a thread to draw"))?;
        match drawing.join() {
            Ok(drawn) => drawn,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn draw(path: &Path, document: &Document, options: &ImageOptions) -> Result<RgbaImage> {
    let broken = |found: String| Error::media(path, "a whole SVG drawing", found);
    let tree = convert(document).map_err(broken)?;
    let (width, height) = (tree.size().width(), tree.size().height());
    let scale = options.svg_size as f32 / width.max(height);
    let pixels = |edge: f32| ((edge * scale).round() as u32).max(1);
    let (columns, rows) = (pixels(width), pixels(height));
    check_size(path, columns, rows, &options.limits)?;
    let fit = tiny_skia::Transform::from_scale(columns as f32 / width, rows as f32 / height);
    cost::check(&tree, fit, (columns, rows)).map_err(broken)?;
    let mut canvas = tiny_skia::Pixmap::new(columns, rows)
        .ok_or_else(|| Error::media(path, "a drawable size", format!("{columns} x {rows} pixels")))?;
    resvg::render(&tree, fit, &mut canvas.as_mut());
    let mut out = RgbaImage::new(columns, rows);
    for (to, from) in out.pixels_mut().zip(canvas.pixels()) {
        let c = from.demultiply();
        to.0 = [c.red(), c.green(), c.blue(), c.alpha()];
    }
    Ok(out)
}

fn convert(document: &Document) -> std::result::Result<usvg::Tree, String> {
    let options = usvg::Options {
        // By default `<image href>` opens local files: a stranger's drawing must not read ours.
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    usvg::Tree::from_xmltree(document, &options).map_err(|e| e.to_string())
}

#[cfg(test)]
#[path = "../tests/vector.rs"]
mod tests;
