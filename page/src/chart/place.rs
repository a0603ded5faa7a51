//! Colours and coordinates, as HTML and SVG take them.

/// The class that gives the colour of series `index`: six hues, then again.
pub(super) fn hue(index: usize) -> String {
    format!("s{}", index % 6 + 1)
}

/// A coordinate or a share with a tenth of a unit: enough to look exact, and the file stays small.
pub(super) fn tenth(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A place between 0 and 1 as CSS takes it.
pub fn percent(place: f64) -> String {
    format!("{:.3}%", place * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_come_again_and_places_are_short() {
        assert_eq!([0, 5, 6].map(hue), ["s1", "s6", "s1"]);
        assert_eq!([0.0, 12.34, 999.96, -0.04].map(tenth), ["0", "12.3", "1000", "-0"]);
        assert_eq!(percent(0.123_456), "12.346%");
    }
}
