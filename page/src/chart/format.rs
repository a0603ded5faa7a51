//! How values are written beside an axis.

use crate::number;

/// How an axis writes its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As they are: `1,000`, `0.25`.
    #[default]
    Plain,
    /// Fractions in per cent: `25 %`.
    Percent,
    /// With an exponent: `3e-4`.
    Exponent,
    /// Seconds as a clock shows them: `1:15:00`.
    Clock,
}

impl Format {
    /// A value's text.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::Plain => number::plain(value),
            Self::Percent => format!("{} %", number::plain(100.0 * value)),
            Self::Exponent => number::exponent(value),
            Self::Clock => number::clock(value, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_every_form() {
        let forms = [Format::Plain, Format::Percent, Format::Exponent, Format::Clock];
        assert_eq!(forms.map(|f| f.write(0.25)), ["0.25", "25 %", "2.5e-1", "0:00"]);
        assert_eq!(forms.map(|f| f.write(0.0)), ["0", "0 %", "0", "0:00"]);
    }
}
