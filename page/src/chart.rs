//! Charts: lines over axes, histograms, stacked bars, bars that are read against marks.
//!
//! Each is an HTML figure around an SVG that is stretched to the width it has. Strokes do not stretch with it, and all text is HTML beside
//! it: letters keep their size on a phone, where text inside a scaled drawing would shrink. Colours come from the style sheet, so one
//! drawing serves light, dark and paper.

mod axis;
mod bullet;
mod curve;
mod figure;
mod format;
mod histogram;
mod line;
mod names;
mod place;
mod stack;
mod ticks;

pub use axis::{Axis, Laid, Scale};
pub use bullet::Bullet;
pub use curve::{Series, SeriesStyle};
pub use format::Format;
pub use histogram::Histogram;
pub use line::{LineChart, Rule};
pub use names::axis_names;
pub use place::percent;
pub use stack::StackedBar;
pub use ticks::Tick;
