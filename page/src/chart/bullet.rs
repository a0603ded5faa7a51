//! A share of a whole as a thin bar, read against marks (Few, *Bullet Graph Design Specification*, 2006).

use maud::{Markup, html};

use super::place::tenth;

/// A bar from 0 to 1: the value filled, its interval as a whisker, chance and a control as strokes across.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bullet {
    /// The value, 0 to 1.
    pub value: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// What guessing reaches.
    pub chance: Option<f64>,
    /// What a control reaches.
    pub control: Option<f64>,
}

impl Bullet {
    /// A bar of a value alone.
    pub fn of(value: f64) -> Self {
        Self { value, ..Self::default() }
    }

    /// The bar as an SVG as wide as its place. Its numbers stand beside it in words, so it is hidden from those who hear the page.
    pub fn render(&self) -> Markup {
        let known = |fraction: f64| if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        let at = |fraction: f64| tenth(1000.0 * known(fraction));
        html! {
            svg.bullet viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                rect.rail x="0" y="3" width="1000" height="4" {}
                rect.fill x="0" y="3" width=(at(self.value)) height="4" {}
                @if let Some((low, high)) = self.interval { line.whisker x1=(at(low)) x2=(at(high)) y1="5" y2="5" {} }
                @for (class, fraction) in [("chance", self.chance), ("control", self.control)] {
                    @if let Some(fraction) = fraction { line class=(class) x1=(at(fraction)) x2=(at(fraction)) y1="0" y2="10" {} }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_their_shares() {
        let bullet = Bullet { value: 0.25, interval: Some((0.2, 0.3)), chance: Some(0.01), control: None };
        let drawn = bullet.render().into_string();
        assert!(drawn.contains("<rect class=\"fill\" x=\"0\" y=\"3\" width=\"250\""), "{drawn}");
        assert!(drawn.contains("<line class=\"whisker\" x1=\"200\" x2=\"300\""), "{drawn}");
        assert!(
            drawn.contains("<line class=\"chance\" x1=\"10\" x2=\"10\"") && !drawn.contains("control"),
            "{drawn}"
        );
    }

    #[test]
    fn what_is_no_share_stays_within_the_bar() {
        for (value, width) in [(f64::NAN, "0"), (-1.0, "0"), (7.0, "1000"), (f64::INFINITY, "0")] {
            assert!(
                Bullet::of(value).render().into_string().contains(&format!("y=\"3\" width=\"{width}\"")),
                "{value}"
            );
        }
    }
}
