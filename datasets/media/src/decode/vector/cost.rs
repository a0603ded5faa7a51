//! What drawing usvg's tree would cost: the renderer's own way through it, without the pixels.
//!
//! Layers, patterns and filters are as large as the renderer makes them, and each is counted every time it is drawn. The walk ends where the
//! budget does, so it is never long itself.

use resvg::tiny_skia::{IntRect, Rect, Transform};
use resvg::usvg::{self, Group, Node, Paint, filter};

/// Most steps, of about a nanosecond.
const MAX_STEPS: u64 = 5_000_000_000;
/// Most bytes of layers, patterns and filters' results at a time.
const MAX_BYTES: u64 = 1 << 30;
/// Deepest recursion of the renderer.
const MAX_DEPTH: u32 = 1024;

/// # Errors
/// What is too much.
pub(super) fn check(tree: &usvg::Tree, fit: Transform, (width, height): (u32, u32)) -> Result<(), String> {
    let side = |n: u32| i32::try_from(n).unwrap_or(i32::MAX / 8);
    let (w, h) = (side(width), side(height));
    // As the renderer bounds layers: five times the canvas.
    let Some(most) = IntRect::from_xywh(
        w.saturating_mul(-2),
        h.saturating_mul(-2),
        width.saturating_mul(5),
        height.saturating_mul(5),
    ) else {
        return Err("a canvas that is too large".into());
    };
    Cost::default().nodes(tree.root(), &Canvas { most, width, height }, fit)
}

/// What is drawn on.
struct Canvas {
    most: IntRect,
    width: u32,
    height: u32,
}

impl Canvas {
    fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn sized(&self, width: u32, height: u32) -> Self {
        Self { most: self.most, width, height }
    }
}

#[derive(Default)]
struct Cost {
    steps: u64,
    bytes: u64,
    depth: u32,
}

type Checked = Result<(), String>;

impl Cost {
    fn spend(&mut self, steps: u64) -> Checked {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err("layers, filters and strokes that are more work than a drawing may be".into());
        }
        Ok(())
    }

    /// Memory for the time of `inner`.
    fn hold(&mut self, bytes: u64, inner: impl FnOnce(&mut Self) -> Checked) -> Checked {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(format!("layers and filters that need more than {} MiB", MAX_BYTES >> 20));
        }
        inner(self)?;
        self.bytes -= bytes;
        Ok(())
    }

    fn nodes(&mut self, parent: &Group, canvas: &Canvas, ts: Transform) -> Checked {
        self.within(parent, canvas, ts, Self::group)
    }

    /// What lies in a group, whose own groups cost what `group` says.
    fn within(
        &mut self,
        parent: &Group,
        canvas: &Canvas,
        ts: Transform,
        group: fn(&mut Self, &Group, &Canvas, Transform) -> Checked,
    ) -> Checked {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("layers nested deeper than {MAX_DEPTH}"));
        }
        for node in parent.children() {
            self.spend(200)?;
            match node {
                Node::Group(inner) => group(self, inner, canvas, ts)?,
                Node::Path(path) if path.is_visible() => self.path(path, canvas, ts)?,
                // Images within are never read, texts have no font.
                Node::Path(_) | Node::Image(_) | Node::Text(_) => {}
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn group(&mut self, group: &Group, canvas: &Canvas, ts: Transform) -> Checked {
        let ts = ts.pre_concat(group.transform());
        if !group.should_isolate() {
            return self.nodes(group, canvas, ts);
        }
        match layer(group, canvas, ts) {
            Some((canvas, ts)) => self.layer(group, &canvas, ts),
            None => Ok(()),
        }
    }

    fn layer(&mut self, group: &Group, canvas: &Canvas, ts: Transform) -> Checked {
        let area = canvas.area();
        self.spend(area.saturating_mul(8))?;
        self.hold(area.saturating_mul(4), |work| {
            work.nodes(group, canvas, ts)?;
            for filter in group.filters() {
                work.filter(filter, canvas, ts)?;
            }
            if let Some(clip) = group.clip_path() {
                work.clip(clip, canvas, ts)?;
            }
            group.mask().map_or(Ok(()), |mask| work.mask(mask, canvas, ts))
        })
    }

    fn mask(&mut self, mask: &usvg::Mask, canvas: &Canvas, ts: Transform) -> Checked {
        self.depth += 1;
        self.spend(canvas.area().saturating_mul(12))?;
        self.hold(canvas.area().saturating_mul(6), |work| {
            work.nodes(mask.root(), canvas, ts)?;
            mask.mask().map_or(Ok(()), |next| work.mask(next, canvas, ts))
        })?;
        self.depth -= 1;
        Ok(())
    }

    fn clip(&mut self, clip: &usvg::ClipPath, canvas: &Canvas, ts: Transform) -> Checked {
        self.depth += 1;
        self.spend(canvas.area().saturating_mul(8))?;
        self.hold(canvas.area().saturating_mul(5), |work| {
            work.clipping(clip.root(), canvas, ts.pre_concat(clip.transform()))?;
            clip.clip_path().map_or(Ok(()), |next| work.clip(next, canvas, ts))
        })?;
        self.depth -= 1;
        Ok(())
    }

    /// What lies in a clip: only groups that are clipped themselves have a layer.
    fn clipping(&mut self, parent: &Group, canvas: &Canvas, ts: Transform) -> Checked {
        self.within(parent, canvas, ts, Self::clipped)
    }

    fn clipped(&mut self, group: &Group, canvas: &Canvas, ts: Transform) -> Checked {
        let ts = ts.pre_concat(group.transform());
        let Some(clip) = group.clip_path() else { return self.clipping(group, canvas, ts) };
        self.spend(canvas.area().saturating_mul(8))?;
        self.hold(canvas.area().saturating_mul(4), |work| {
            work.clipping(group, canvas, ts)?;
            work.clip(clip, canvas, ts)
        })
    }

    fn path(&mut self, path: &usvg::Path, canvas: &Canvas, ts: Transform) -> Checked {
        let segments = path.data().len() as u64;
        self.spend(1000 + segments.saturating_mul(150))?;
        let (rows, length) = reach(path, canvas, ts);
        let area = covered(path.stroke_bounding_box(), canvas, ts);
        // A row of an edge is stepped through four times, each with a piece of a mask.
        if let Some(fill) = path.fill() {
            self.spend(rows.saturating_mul(40))?;
            self.paint(fill.paint(), area, canvas, ts)?;
        }
        if let Some(stroke) = path.stroke() {
            let dashes = stroke.dasharray().map_or(0, |parts| {
                let sum: f32 = parts.iter().sum();
                let count = (length / f64::from(sum.max(f32::MIN_POSITIVE))) * parts.len() as f64;
                // The renderer draws no more.
                count.min(1e6) as u64
            });
            let pieces = segments.saturating_add(dashes).saturating_mul(8);
            let (sx, sy) = ts.get_scale();
            let across = f64::from(stroke.width().get()) * f64::from(sx.max(sy));
            let across = 2 + across.clamp(0.0, f64::from(canvas.height)) as u64;
            let steps = pieces.saturating_mul(300 + across.saturating_mul(40));
            self.spend(steps.saturating_add(rows.saturating_mul(80)))?;
            self.hold(pieces.saturating_mul(40), |work| work.paint(stroke.paint(), area, canvas, ts))?;
        }
        Ok(())
    }

    /// Colours are quick, gradients take some steps a pixel, patterns are drawn first.
    fn paint(&mut self, paint: &Paint, area: u64, canvas: &Canvas, ts: Transform) -> Checked {
        match paint {
            Paint::Color(_) => self.spend(area),
            Paint::LinearGradient(g) => self.spend(area.saturating_mul(8 + g.stops().len() as u64)),
            Paint::RadialGradient(g) => self.spend(area.saturating_mul(16 + g.stops().len() as u64)),
            Paint::Pattern(pattern) => {
                self.spend(area.saturating_mul(40))?;
                let (sx, sy) = ts.pre_concat(pattern.transform()).get_scale();
                let rect = pattern.rect();
                let side = |length: f32| length.round() as u32;
                let (width, height) = (side(rect.width() * sx), side(rect.height() * sy));
                if width == 0 || height == 0 {
                    return Ok(());
                }
                let tile = canvas.sized(width, height);
                self.spend(tile.area().saturating_mul(2))?;
                self.hold(tile.area().saturating_mul(4), |work| {
                    work.nodes(pattern.root(), &tile, Transform::from_scale(sx, sy))
                })
            }
        }
    }

    fn filter(&mut self, found: &filter::Filter, canvas: &Canvas, ts: Transform) -> Checked {
        let area = canvas.area();
        let count = found.primitives().len() as u64;
        // Results are kept until the last is made, each found by its name; besides, an input or two are copied.
        let kept = area.saturating_mul(4).saturating_mul(count.saturating_add(6));
        self.hold(kept, |work| {
            for primitive in found.primitives() {
                work.spend(1000 + 10 * count)?;
                work.spend(area.saturating_mul(per_pixel(primitive.kind(), canvas, ts)))?;
                if let filter::Kind::Image(image) = primitive.kind() {
                    let (sx, sy) = ts.get_scale();
                    let most = IntRect::from_xywh(0, 0, canvas.width, canvas.height).unwrap_or(canvas.most);
                    let inner = Canvas { most, width: canvas.width, height: canvas.height };
                    work.nodes(image.root(), &inner, Transform::from_scale(sx, sy))?;
                }
            }
            Ok(())
        })
    }
}

/// Steps that a filter primitive takes for each pixel.
fn per_pixel(kind: &filter::Kind, canvas: &Canvas, ts: Transform) -> u64 {
    let (sx, sy) = ts.get_scale();
    match kind {
        filter::Kind::Merge(merge) => 20 + 30 * merge.inputs().len() as u64,
        filter::Kind::Turbulence(t) => 50 + 400 * u64::from(t.num_octaves()),
        filter::Kind::ConvolveMatrix(c) => {
            let (columns, rows) = (u64::from(c.matrix().columns()), u64::from(c.matrix().rows()));
            // Wrapped edges are sought step by step.
            let wraps = 1 + columns / u64::from(canvas.width.max(1)) + rows / u64::from(canvas.height.max(1));
            columns.saturating_mul(rows).saturating_mul(wraps).saturating_mul(15).saturating_add(60)
        }
        filter::Kind::Morphology(m) => {
            let reach = |radius: f32, scale: f32, side: u32| {
                let radius = f64::from(radius) * f64::from(scale);
                (2.0 * radius.round() + 1.0).clamp(1.0, f64::from(side.max(1))) as u64
            };
            let across = reach(m.radius_x().get(), sx, canvas.width);
            let down = reach(m.radius_y().get(), sy, canvas.height);
            across.saturating_mul(down).saturating_mul(4).saturating_add(60)
        }
        filter::Kind::DiffuseLighting(_) | filter::Kind::SpecularLighting(_) => 200,
        filter::Kind::GaussianBlur(_) | filter::Kind::DropShadow(_) => 150,
        _ => 80,
    }
}

/// The layer of a group as the renderer makes it: how large, and where the group is in it. `None`: it draws none.
fn layer(group: &Group, canvas: &Canvas, ts: Transform) -> Option<(Canvas, Transform)> {
    // Filters see their group unturned.
    let rest = match group.filters().is_empty() {
        true => Transform::identity(),
        false => {
            let (sx, sy) = (ts.sx.hypot(ts.ky), ts.kx.hypot(ts.sy));
            Transform::from_row(ts.sx / sx, ts.ky / sx, ts.kx / sy, ts.sy / sy, 0.0, 0.0)
        }
    };
    let back = rest.invert()?;
    let most = canvas.most.to_rect().transform(back)?.round_out()?;
    let ts = back.pre_concat(ts);
    let bounds = group.layer_bounding_box().transform(ts)?;
    let grown = if group.filters().is_empty() { 2 } else { 0 };
    let rect = IntRect::from_xywh(
        (bounds.x().floor() as i32).checked_sub(grown)?,
        (bounds.y().floor() as i32).checked_sub(grown)?,
        (bounds.width().ceil().max(1.0) as u32).checked_add(2 * grown as u32)?,
        (bounds.height().ceil().max(1.0) as u32).checked_add(2 * grown as u32)?,
    )?;
    let (left, top) = (rect.left().max(most.left()), rect.top().max(most.top()));
    let (right, bottom) = (rect.right().min(most.right()), rect.bottom().min(most.bottom()));
    let rect = IntRect::from_ltrb(left, top, right, bottom)?;
    let shift = Transform::from_translate(-(rect.x() as f32), -(rect.y() as f32));
    Some((Canvas { most, width: rect.width(), height: rect.height() }, shift.pre_concat(ts)))
}

/// Rows of the canvas that a path's edges pass, each edge for itself, and the path's length before it is transformed; curves by their
/// control points, which are no shorter.
fn reach(path: &usvg::Path, canvas: &Canvas, ts: Transform) -> (u64, f64) {
    let points = path.data().points();
    let (mut rows, mut length) = (0u64, 0f64);
    let tall = f64::from(canvas.height);
    for pair in points.windows(2) {
        let (dx, dy) = (f64::from(pair[1].x - pair[0].x), f64::from(pair[1].y - pair[0].y));
        length += dx.hypot(dy);
        let down = (dx * f64::from(ts.ky) + dy * f64::from(ts.sy)).abs();
        rows = rows.saturating_add(1 + down.clamp(0.0, tall) as u64);
    }
    // Subpaths are closed without a point.
    (rows.saturating_mul(2), if length.is_finite() { 2.0 * length } else { f64::MAX })
}

/// Pixels of the canvas within a box.
fn covered(bounds: Rect, canvas: &Canvas, ts: Transform) -> u64 {
    let Some(there) = bounds.transform(ts) else { return canvas.area() };
    let side = |from: f32, to: f32, most: u32| {
        let most = f64::from(most);
        (f64::from(to).clamp(0.0, most) - f64::from(from).clamp(0.0, most)).ceil() as u64 + 1
    };
    let across = side(there.left(), there.right(), canvas.width);
    across * side(there.top(), there.bottom(), canvas.height)
}
