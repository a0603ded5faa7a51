//! Axes: which ticks, how they are written, where a value lands.

/// How an axis spaces its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By logarithm; values that are not positive are not drawn.
    Log,
}

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
}

/// An axis laid over data: its range, ended by round numbers, and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Laid {
    scale: Scale,
    low: f64,
    high: f64,
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// Whether a value can be drawn on this axis.
    pub(crate) fn holds(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// Lays the axis over the drawable ones among `values`, with about `wanted` ticks. `tight` ends it at the data
    /// instead of at round numbers.
    pub(crate) fn lay(&self, values: impl Iterator<Item = f64>, wanted: usize, tight: bool) -> Laid {
        let range = values.filter(|&v| self.holds(v)).fold(None, |range: Option<(f64, f64)>, v| {
            Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        });
        let (mut low, mut high) =
            range.unwrap_or(if self.scale == Scale::Log { (1.0, 10.0) } else { (0.0, 1.0) });
        if self.scale == Scale::Log {
            if high / low < 1.01 {
                (low, high) = (low / 2.0, high * 2.0);
            }
            return Laid { scale: self.scale, low, high, ticks: log_ticks(low, high) };
        }
        if self.from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= f64::EPSILON * high.abs().max(1e-300) {
            let margin = if high == 0.0 { 1.0 } else { high.abs() / 2.0 };
            (low, high) = (if self.from_zero && low >= 0.0 { 0.0 } else { low - margin }, high + margin);
        }
        let step = nice_step((high - low) / wanted.max(1) as f64);
        if !tight {
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        // Counted in whole steps: adding up 0.1 ends at 0.7999.
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).map(|n| n as f64 * step).collect();
        Laid { scale: self.scale, low, high, ticks }
    }

    /// A tick's text.
    pub(crate) fn write(&self, value: f64) -> String {
        match self.format {
            Format::Plain => plain(value),
            Format::Percent => format!("{} %", plain(100.0 * value)),
            Format::Exponent if value == 0.0 => "0".to_owned(),
            Format::Exponent => {
                let text = format!("{value:.1e}");
                text.replace(".0e", "e")
            }
        }
    }
}

impl Laid {
    /// The place of a value, 0 at the low end to 1 at the high end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        }
    }
}

/// The round step (1, 2 or 5 times a power of ten) nearest above `rough` (Heckbert, *Nice numbers for graph labels*, 1990).
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let lead = rough / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|&nice| lead <= nice * 1.0001).unwrap_or(10.0)
}

fn log_ticks(low: f64, high: f64) -> Vec<f64> {
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

/// Up to four significant digits, thousands parted.
pub(crate) fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() >= 1e6 || value.abs() < 1e-3 {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, rest) = text.find('.').map_or((text, ""), |dot| text.split_at(dot));
    match whole.len() - usize::from(whole.starts_with('-')) {
        ..=3 => text.to_owned(),
        _ => format!("{},{}{rest}", &whole[..whole.len() - 3], &whole[whole.len() - 3..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &Axis, values: &[f64]) -> Vec<String> {
        axis.lay(values.iter().copied(), 5, false).ticks.iter().map(|&tick| axis.write(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        let axis = Axis::default();
        assert_eq!(ticks(&axis, &[0.13, 0.79]), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(ticks(&axis, &[3.0, 4210.0]), ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]);
        assert_eq!(ticks(&axis, &[-1.0, 1.0]), ["-1", "-0.5", "0", "0.5", "1"]);
        let percent = Axis { format: Format::Percent, from_zero: true, ..Axis::default() };
        assert_eq!(ticks(&percent, &[0.4, 0.47]), ["0 %", "10 %", "20 %", "30 %", "40 %", "50 %"]);
        let log = Axis { scale: Scale::Log, ..Axis::default() };
        assert_eq!(ticks(&log, &[1.0, 1000.0]), ["1", "10", "100", "1,000"]);
        assert_eq!(ticks(&log, &[10.0, 60.0]), ["10", "20", "50"]);
    }

    #[test]
    fn strange_data_still_gives_an_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis { scale, ..Axis::default() };
            for values in
                [&[][..], &[f64::NAN, f64::INFINITY], &[0.0], &[7.0, 7.0], &[-3.0], &[1e-300, 1e300]]
            {
                let laid = axis.lay(values.iter().copied(), 5, false);
                assert!(laid.ticks.len() < 40, "{values:?} {:?}", laid.ticks);
                assert!(laid.low < laid.high, "{values:?}");
                let drawn = values.iter().filter(|&&v| axis.holds(v));
                assert!(drawn.map(|&v| laid.place(v)).all(|p| (-0.001..=1.001).contains(&p)), "{values:?}");
            }
        }
    }

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.25, "0.25"),
            (12.5, "12.5"),
            (-1234.5, "-1,234"),
            (123456.0, "123,456"),
            (3e-4, "3e-4"),
            (2.5e7, "2.5e7"),
        ] {
            assert_eq!(plain(value), text);
        }
    }
}
