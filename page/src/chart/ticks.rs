//! Which values of an axis are named.

use super::format::Format;

/// A value that is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The value.
    pub value: f64,
    /// Its place, 0 at the low end to 1 at the high end.
    pub place: f64,
    /// What is written there.
    pub text: String,
}

/// Seconds between ticks of a clock.
const CLOCK: [f64; 17] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
];

/// The round step nearest above `rough`: 1, 2 or 5 times a power of ten, on a clock also the minutes and hours of one.
pub(super) fn step(rough: f64, format: Format) -> f64 {
    let above = |step: &f64| rough <= step * 1.0001;
    match format {
        Format::Clock if rough > 0.05 => {
            CLOCK.into_iter().find(above).unwrap_or_else(|| 3600.0 * nice(rough / 3600.0))
        }
        _ => nice(rough),
    }
}

/// Heckbert, *Nice numbers for graph labels*, 1990.
fn nice(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let lead = rough / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|&nice| lead <= nice * 1.0001).unwrap_or(10.0)
}

/// Multiples of `step` within `low` to `high`.
pub(super) fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    // Counted in whole steps: adding up 0.1 ends at 0.7999.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    // Far from zero a step can be less than the numbers there can tell apart.
    let count = (last - first).clamp(-1.0, 100.0) as i64;
    (0..=count).map(|n| (first + n as f64) * step + 0.0).filter(|v| v.is_finite()).collect()
}

/// Powers of ten within `low` to `high`, with their doubles and halves where there are few.
pub(super) fn logarithmic(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let leads: &[f64] = match last - first {
        ..=2 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    // More than eight decades: every second or third is enough.
    let stride = ((last - first) as usize / 8 + 1).max(1);
    (first..=last)
        .step_by(stride)
        .flat_map(|power| leads.iter().map(move |lead| lead * 10f64.powi(power)))
        .filter(|&tick| tick >= low * 0.999 && tick <= high * 1.001)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([0.13, 0.2, 3.0, 70.0].map(|r| step(r, Format::Plain)), [0.2, 0.2, 5.0, 100.0]);
        assert_eq!(
            [0.13, 7.0, 11.0, 800.0, 20_000.0].map(|r| step(r, Format::Clock)),
            [0.2, 10.0, 15.0, 900.0, 36_000.0]
        );
    }

    proptest! {
        #[test]
        fn a_step_is_at_least_what_was_asked_and_no_more_than_needed(exponent in -9.0..9.0f64) {
            let rough = 10f64.powf(exponent);
            for format in [Format::Plain, Format::Clock] {
                let found = step(rough, format);
                prop_assert!(found >= rough * 0.9998 && found <= rough * 2.52, "{rough} {found}");
            }
        }
    }
}
