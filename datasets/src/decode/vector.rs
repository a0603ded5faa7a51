//! SVG without the outside world: no files, no fonts, no network, bounded size.

use std::path::Path;

use image::RgbaImage;
use resvg::{tiny_skia, usvg};

use super::ImageOptions;
use super::picture::check_size;
use crate::{Error, Result};

/// Most XML nodes in a drawing. Honest ones hold some thousands; entity expansion (`&lol9;`) would make billions.
const MAX_NODES: u32 = 1_000_000;
/// Deepest nesting of elements: the renderer recurses once a level, and worker threads have small stacks.
const MAX_DEPTH: usize = 256;

/// Whether the bytes are an XML text that holds an `<svg` element.
pub(super) fn is_svg(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(b"<") && bytes.windows(4).any(|w| w == b"<svg")
}

/// Draws the SVG with its longest edge at `options.svg_size` pixels, on transparent ground (straight alpha).
pub(super) fn render(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<RgbaImage> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Error::media(path, "an SVG in UTF-8", "other bytes"))?;
    let tree = parse(text).map_err(|found| Error::media(path, "a whole SVG drawing", found))?;
    let (width, height) = (tree.size().width(), tree.size().height());
    let scale = options.svg_size as f32 / width.max(height);
    let pixels = |edge: f32| ((edge * scale).round() as u32).max(1);
    let (columns, rows) = (pixels(width), pixels(height));
    check_size(path, columns, rows, &options.limits)?;
    let mut canvas = tiny_skia::Pixmap::new(columns, rows)
        .ok_or_else(|| Error::media(path, "a drawable size", format!("{columns} x {rows} pixels")))?;
    let fit = tiny_skia::Transform::from_scale(columns as f32 / width, rows as f32 / height);
    resvg::render(&tree, fit, &mut canvas.as_mut());
    let mut out = RgbaImage::new(columns, rows);
    for (to, from) in out.pixels_mut().zip(canvas.pixels()) {
        let c = from.demultiply();
        to.0 = [c.red(), c.green(), c.blue(), c.alpha()];
    }
    Ok(out)
}

fn parse(text: &str) -> std::result::Result<usvg::Tree, String> {
    // Drawing programs write a DTD with namespace entities; the parser refuses recursive ones itself.
    let xml =
        usvg::roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..Default::default() };
    let document = usvg::roxmltree::Document::parse_with_options(text, xml).map_err(|e| e.to_string())?;
    check_depth(&document)?;
    let options = usvg::Options {
        // By default `<image href>` opens local files: a stranger's drawing must not read ours.
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    usvg::Tree::from_xmltree(&document, &options).map_err(|e| e.to_string())
}

/// Bounds nesting; a parent comes before its children in document order, so one pass over the nodes is enough.
fn check_depth(document: &usvg::roxmltree::Document) -> std::result::Result<(), String> {
    let mut depths = std::collections::HashMap::new();
    for node in document.descendants().filter(|n| n.is_element()) {
        let depth = node.parent().and_then(|p| depths.get(&p.id())).map_or(1, |d: &usize| d + 1);
        if depth > MAX_DEPTH {
            return Err(format!("elements nested deeper than {MAX_DEPTH}"));
        }
        depths.insert(node.id(), depth);
    }
    Ok(())
}
