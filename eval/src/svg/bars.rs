//! Stacked bars: how a whole divides.

use maud::{Markup, html};

use super::colour;

/// One horizontal bar divided into named parts, with a legend that gives each part's value and share.
#[derive(Debug, Clone, Default)]
pub struct StackedBar {
    /// Its title.
    pub title: String,
    /// Parts with their sizes, in order; sizes that are not positive and finite take no room.
    pub parts: Vec<(String, f64)>,
    /// Writes a size: seconds, bytes…
    pub write: Option<fn(f64) -> String>,
}

impl StackedBar {
    /// The bar as an HTML `<figure>`.
    pub fn render(&self) -> String {
        self.markup().into_string()
    }

    pub(crate) fn markup(&self) -> Markup {
        let size = |part: &(String, f64)| if part.1.is_finite() { part.1.max(0.0) } else { 0.0 };
        let total: f64 = self.parts.iter().map(size).sum();
        let share = |part: &(String, f64)| if total > 0.0 { size(part) / total } else { 0.0 };
        let write = self.write.unwrap_or(super::axis::plain);
        let mut start = 0.0;
        let starts: Vec<f64> = self
            .parts
            .iter()
            .map(|part| {
                let at = start;
                start += share(part);
                at
            })
            .collect();
        html! {
            figure.chart.bar {
                figcaption { strong { (self.title) } span.unit { (write(total)) " in all" } }
                // Stretched to the column's width: it holds no text that could be stretched with it.
                svg viewBox="0 0 1000 30" preserveAspectRatio="none" role="img" aria-label=(self.title) {
                    @for (index, (part, start)) in self.parts.iter().zip(starts).enumerate() {
                        rect x=(format!("{:.1}", 1000.0 * start)) width=(format!("{:.1}", (1000.0 * share(part) - 1.5).max(0.0)))
                            y="0" height="30" fill=(colour(index)) opacity=[(index >= 6).then_some("0.55")] {
                            title { (part.0) ": " (write(size(part))) }
                        }
                    }
                }
                ul.legend {
                    @for (index, part) in self.parts.iter().enumerate() {
                        li {
                            i style={ "background:" (colour(index)) } {}
                            (part.0)
                            b { (write(size(part))) }
                            span { (format!("{:.0} %", 100.0 * share(part))) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar_in_order() {
        let parts = vec![("a".to_owned(), 3.0), ("b".to_owned(), f64::NAN), ("<c>".to_owned(), 1.0)];
        let drawn = StackedBar { title: "T".to_owned(), parts, write: None }.render();
        for expected in ["x=\"0.0\"", "x=\"750.0\"", "75 %", "25 %", "0 %", "&lt;c&gt;", "4 in all"] {
            assert!(drawn.contains(expected), "{expected} in {drawn}");
        }
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(!StackedBar::default().render().contains("rect"));
    }
}
