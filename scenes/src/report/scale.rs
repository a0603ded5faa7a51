//! Time from left to right: places, ticks and how times are written.

use crate::record::{Moment, VideoRecord};
use crate::write::exact::{Exact, clock};
use unisono_media::video::Time;

/// A video's time as the width of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    start: f64,
    length: f64,
}

/// Seconds between ticks, of which the first that gives few enough is taken.
const STEPS: [f64; 17] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
];

impl Scale {
    pub(super) fn of(video: &VideoRecord) -> Self {
        let [start, end] = [video.start, video.end].map(|m| m.time.seconds());
        Self { start, length: (end - start).max(1e-9) }
    }

    /// Between 0 and 1.
    pub(super) fn place(&self, at: Time) -> f64 {
        ((at.seconds() - self.start) / self.length).clamp(0.0, 1.0)
    }

    /// Places and names of the ticks.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let step = STEPS.into_iter().find(|s| self.length / s <= 9.0).unwrap_or(self.length / 9.0);
        let first = (self.start / step).ceil();
        let count = (self.length / step).floor().min(10.0) as usize;
        let tick = |i: usize| (first + i as f64) * step;
        let place = |t: f64| (t - self.start) / self.length;
        (0..=count).map(tick).filter(|&t| place(t) <= 1.0).map(|t| (place(t), tick_name(t, step))).collect()
    }
}

fn tick_name(seconds: f64, step: f64) -> String {
    let tenths = (seconds.abs() * 10.0).round() as u64;
    let (sign, whole) = (if seconds < 0.0 { "−" } else { "" }, tenths / 10);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let part = if step < 1.0 { format!(".{}", tenths % 10) } else { String::new() };
    if hours > 0 {
        format!("{sign}{hours}:{minutes:02}:{seconds:02}{part}")
    } else {
        format!("{sign}{minutes}:{seconds:02}{part}")
    }
}

/// `12:34.567`, with hours where there are some.
pub(super) fn shown(at: Moment) -> String {
    short(Exact::of(at.time))
}

/// The same of seconds.
pub(super) fn short(time: Exact) -> String {
    let long = clock(time);
    let (sign, long) = long.strip_prefix('-').map_or(("", long.as_str()), |rest| ("−", rest));
    let digits = long.strip_prefix("00:").unwrap_or(long);
    format!("{sign}{}", digits.strip_prefix('0').unwrap_or(digits))
}

/// The same of seconds that come as a number, to the second. Not finite: nothing.
pub(super) fn spoken(seconds: f64) -> String {
    if seconds.is_finite() { tick_name(seconds.floor(), 1.0) } else { String::new() }
}

/// A length: `6.6 s`, `2 min 05 s`, `1 h 02 min`.
pub(super) fn length(from: Moment, to: Moment) -> String {
    let seconds = Exact::of(to.time).minus(Exact::of(from.time)).value();
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A place as CSS and SVG take it.
pub(super) fn percent(place: f64) -> String {
    format!("{:.3}%", place * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for length in [1e-9, 0.04, 1.0, 7.0, 59.0, 600.0, 7200.0, 43_200.0, 1e7] {
            for start in [0.0, 0.08, -0.5, 36_000.0] {
                let ticks = Scale { start, length }.ticks();
                assert!(
                    ticks.len() <= 11 && ticks.iter().all(|t| (0.0..=1.0).contains(&t.0)),
                    "{length} {ticks:?}"
                );
            }
        }
        let two_hours: Vec<String> =
            Scale { start: 0.0, length: 7200.0 }.ticks().into_iter().map(|t| t.1).collect();
        assert_eq!(
            two_hours,
            ["0:00", "15:00", "30:00", "45:00", "1:00:00", "1:15:00", "1:30:00", "1:45:00", "2:00:00"]
        );
    }

    #[test]
    fn times_are_short() {
        let written = [(1, 2), (754_567, 1000), (-3, 2), (7384, 1)].map(|(n, d)| short(Exact::new(n, d)));
        assert_eq!(written, ["0:00.500", "12:34.567", "−0:01.500", "2:03:04.000"]);
    }
}
