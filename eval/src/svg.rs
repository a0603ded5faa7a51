//! A small chart kit: line charts and stacked bars as HTML figures around inline SVG.
//!
//! Colours come from CSS variables, so one drawing serves light, dark and paper: `--s1` … `--s6` for series, `--ink`,
//! `--muted`, `--line` and `--surface`. [`crate::report`] defines them. Titles and legends are HTML, so they wrap on a
//! narrow screen where text inside a scaled drawing would shrink.

mod axis;
mod bars;
mod line;

pub use axis::{Axis, Format, Scale};
pub use bars::StackedBar;
pub use line::{LineChart, Series};

/// The colour of series `index`: six hues, then again.
pub(crate) fn colour(index: usize) -> String {
    format!("var(--s{})", index % 6 + 1)
}

/// A count with thousands parted: `1,234,567`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_parted() {
        let written = [0, 12, 999, 1000, 12_345, 1_234_567].map(super::thousands);
        assert_eq!(written, ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
    }
}
