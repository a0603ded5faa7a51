//! Stacked bars: how a whole divides.

use maud::{Markup, html};

use super::place::{hue, tenth};
use crate::number::plain;

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
    pub fn render(&self) -> Markup {
        let size = |part: &(String, f64)| if part.1.is_finite() { part.1.max(0.0) } else { 0.0 };
        let total: f64 = self.parts.iter().map(size).sum();
        let share =
            |part: &(String, f64)| if total > 0.0 && total.is_finite() { size(part) / total } else { 0.0 };
        let write = self.write.unwrap_or(plain);
        let starts = self.parts.iter().scan(0.0, |start, part| {
            let at = *start;
            *start += share(part);
            Some(at)
        });
        html! {
            figure.chart.stack {
                figcaption { strong dir="auto" { (self.title) } span.unit { (write(total)) " in all" } }
                svg viewBox="0 0 1000 30" preserveAspectRatio="none" role="img" aria-label=(self.title) {
                    @for (index, (part, start)) in self.parts.iter().zip(starts).enumerate() {
                        rect class={ (hue(index)) @if index >= 6 { " again" } } x=(tenth(1000.0 * start))
                            width=(tenth((1000.0 * share(part) - 1.5).max(0.0))) y="0" height="30" {
                            title { (part.0) ": " (write(size(part))) }
                        }
                    }
                }
                ul.legend {
                    @for (index, part) in self.parts.iter().enumerate() {
                        li {
                            i class={ (hue(index)) @if index >= 6 { " again" } } {}
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
        let drawn = StackedBar { title: "T".to_owned(), parts, write: None }.render().into_string();
        for expected in
            ["x=\"0\"", "width=\"748.5\"", "x=\"750\"", "75 %", "25 %", "0 %", "&lt;c&gt;", "4 in all"]
        {
            assert!(drawn.contains(expected), "{expected} in {drawn}");
        }
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(!StackedBar::default().render().into_string().contains("rect"));
        let endless = StackedBar {
            parts: vec![("x".into(), f64::MAX), ("y".into(), f64::MAX)],
            ..StackedBar::default()
        };
        assert!(!endless.render().into_string().contains("NaN"));
    }
}
