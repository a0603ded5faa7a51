//! Axes: how values are spaced and written, and where each lands.

use super::format::Format;
use super::ticks::{self, Tick};
use crate::number;

/// How an axis spaces its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By logarithm; values that are not positive are not drawn.
    Log,
}

/// An axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// What it measures, with the unit.
    pub label: String,
    /// Its spacing.
    pub scale: Scale,
    /// Its numbers.
    pub format: Format,
    /// Whether zero must be on it (linear only): recalls and learning rates are read against zero.
    pub from_zero: bool,
    /// Values that must be on it, whatever the data are.
    pub span: Option<(f64, f64)>,
}

/// An axis laid over data: its ends and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Laid {
    scale: Scale,
    low: f64,
    high: f64,
    /// What is named on it, ascending.
    pub ticks: Vec<Tick>,
}

/// Larger values are not drawn: the difference of two of them must still be a number.
const LARGEST: f64 = 1e300;

impl Axis {
    /// Whether a value can be drawn on this axis.
    pub fn holds(&self, value: f64) -> bool {
        value.abs() <= LARGEST && (self.scale == Scale::Linear || value > 0.0)
    }

    /// Lays the axis over the drawable ones among `values`, with about `wanted` ticks. `tight` ends it at the data instead of at round
    /// numbers.
    pub fn lay(&self, values: impl IntoIterator<Item = f64>, wanted: usize, tight: bool) -> Laid {
        let span = self.span.map(|(a, b)| [a, b]).into_iter().flatten();
        let range = values.into_iter().chain(span).filter(|&v| self.holds(v)).fold(
            None,
            |range: Option<(f64, f64)>, v| {
                Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
            },
        );
        if self.scale == Scale::Log { self.lay_log(range) } else { self.lay_linear(range, wanted, tight) }
    }

    fn lay_log(&self, range: Option<(f64, f64)>) -> Laid {
        let (mut low, mut high) = range.unwrap_or((1.0, 10.0));
        if high / low < 1.01 {
            (low, high) = (low / 2.0, high * 2.0);
        }
        self.with_ticks(low, high, &ticks::logarithmic(low, high), f64::INFINITY)
    }

    fn lay_linear(&self, range: Option<(f64, f64)>, wanted: usize, tight: bool) -> Laid {
        let (mut low, mut high) = range.unwrap_or((0.0, 1.0));
        if self.from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        // Nothing can be told apart in a range of a few roundings.
        if high - low <= 4.0 * f64::EPSILON * high.abs().max(low.abs()).max(1e-290) {
            let margin = if high == 0.0 { 1.0 } else { high.abs() / 2.0 };
            (low, high) = (if self.from_zero && low >= 0.0 { 0.0 } else { low - margin }, high + margin);
        }
        let step = ticks::step((high - low) / wanted.max(1) as f64, self.format);
        if !tight {
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        self.with_ticks(low, high, &ticks::multiples(low, high, step), step)
    }

    fn with_ticks(&self, low: f64, high: f64, values: &[f64], step: f64) -> Laid {
        let mut laid = Laid { scale: self.scale, low, high, ticks: Vec::new() };
        let text = |value: f64| match self.format {
            Format::Clock => number::clock(value, step < 1.0),
            _ => self.write(value),
        };
        laid.ticks =
            values.iter().map(|&value| Tick { value, place: laid.place(value), text: text(value) }).collect();
        laid
    }

    /// A value's text.
    pub fn write(&self, value: f64) -> String {
        self.format.write(value)
    }
}

impl Laid {
    /// The value at the low end.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The value at the high end.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// The place of a value, 0 at the low end to 1 at the high end; values beyond lie at the end.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        };
        place.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(axis: &Axis, values: &[f64]) -> Vec<String> {
        axis.lay(values.iter().copied(), 5, false).ticks.into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        let axis = Axis::default();
        assert_eq!(ticks(&axis, &[0.13, 0.79]), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(ticks(&axis, &[3.0, 4210.0]), ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]);
        assert_eq!(ticks(&axis, &[-1.0, 1.0]), ["−1", "−0.5", "0", "0.5", "1"]);
        let percent = Axis { format: Format::Percent, from_zero: true, ..Axis::default() };
        assert_eq!(ticks(&percent, &[0.4, 0.47]), ["0 %", "10 %", "20 %", "30 %", "40 %", "50 %"]);
        let log = Axis { scale: Scale::Log, ..Axis::default() };
        assert_eq!(ticks(&log, &[1.0, 1000.0]), ["1", "10", "100", "1,000"]);
        assert_eq!(ticks(&log, &[10.0, 60.0]), ["10", "20", "50"]);
    }

    #[test]
    fn clocks_have_their_own_steps() {
        let clock = |start: f64, end: f64| -> Vec<String> {
            let axis = Axis { format: Format::Clock, span: Some((start, end)), ..Axis::default() };
            axis.lay([], 9, true).ticks.into_iter().map(|t| t.text).collect()
        };
        assert_eq!(
            clock(0.0, 7200.0),
            ["0:00", "15:00", "30:00", "45:00", "1:00:00", "1:15:00", "1:30:00", "1:45:00", "2:00:00"]
        );
        assert_eq!(
            clock(-0.5, 0.3),
            ["−0:00.5", "−0:00.4", "−0:00.3", "−0:00.2", "−0:00.1", "0:00.0", "0:00.1", "0:00.2", "0:00.3"]
        );
        for length in [1e-9, 0.04, 1.0, 7.0, 59.0, 600.0, 43_200.0, 1e7] {
            for start in [0.0, 0.08, -0.5, 36_000.0] {
                assert!(clock(start, start + length).len() <= 11, "{start} {length}");
            }
        }
    }

    #[test]
    fn places_are_those_of_a_ruler() {
        let linear = Axis::default().lay([10.0, 20.0], 5, true);
        assert_eq!([10.0, 12.5, 20.0, 99.0, -99.0].map(|v| linear.place(v)), [0.0, 0.25, 1.0, 1.0, 0.0]);
        let log = Axis { scale: Scale::Log, ..Axis::default() }.lay([1.0, 10_000.0], 5, true);
        assert!((log.place(100.0) - 0.5).abs() < 1e-12 && (log.place(10.0) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn strange_data_still_gives_an_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis { scale, ..Axis::default() };
            let strange: [&[f64]; 8] = [
                &[],
                &[f64::NAN, f64::INFINITY],
                &[0.0],
                &[7.0, 7.0],
                &[-3.0],
                &[1e-300, 1e300],
                &[-f64::MAX, f64::MAX],
                &[1e15, 1e15 + 0.25],
            ];
            for values in strange {
                let laid = axis.lay(values.iter().copied(), 5, false);
                assert!(laid.ticks.len() < 40 && laid.low < laid.high, "{values:?} {laid:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_value_has_its_place_in_order(
            values in proptest::collection::vec(-1e12..1e12f64, 1..20), zoom in -200.0..200.0f64, tight in any::<bool>(),
        ) {
            let values: Vec<f64> = values.into_iter().map(|v| v * 10f64.powf(zoom)).collect();
            for axis in [
                Axis::default(),
                Axis { from_zero: true, ..Axis::default() },
                Axis { scale: Scale::Log, ..Axis::default() },
                Axis { format: Format::Clock, ..Axis::default() },
            ] {
                let laid = axis.lay(values.iter().copied(), 5, tight);
                prop_assert!(laid.ticks.len() <= 12, "{laid:?}");
                prop_assert!(laid.ticks.windows(2).all(|t| t[0].place < t[1].place), "{laid:?}");
                let mut drawn: Vec<f64> = values.iter().copied().filter(|&v| axis.holds(v)).collect();
                drawn.sort_by(f64::total_cmp);
                prop_assert!(drawn.windows(2).all(|v| laid.place(v[0]) <= laid.place(v[1])));
                prop_assert!(drawn.iter().all(|&v| v >= laid.low * (1.0 - 1e-9 * laid.low.signum()) && v <= laid.high * (1.0 + 1e-9 * laid.high.signum())));
            }
        }
    }
}
