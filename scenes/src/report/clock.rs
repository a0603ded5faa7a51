//! A video's time from left to right, and how times are written.

use crate::record::{Moment, VideoRecord};
use crate::write::exact::{Exact, clock};
use unisono_media::video::Time;
use unisono_page::chart::{Axis, Format, Laid};
use unisono_page::number;

/// A video's time as the width of the page.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// As charts take it.
    pub(super) axis: Axis,
    /// Its ticks.
    pub(super) laid: Laid,
}

/// Names under the strip: so many times fit side by side.
const TICKS: usize = 9;

impl Clock {
    pub(super) fn of(video: &VideoRecord) -> Self {
        let [start, end] = [video.start, video.end].map(|m| m.time.seconds());
        // A video of no length still has a left and a right.
        let span = Some((start, end.max(start + 1e-6)));
        let axis = Axis { format: Format::Clock, span, ..Axis::default() };
        Self { laid: axis.lay([], TICKS, true), axis }
    }

    /// Between 0 and 1.
    pub(super) fn place(&self, at: Time) -> f64 {
        self.laid.place(at.seconds())
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

/// A length: `6.6 s`, `2 min 05 s`, `1 h 02 min`.
pub(super) fn length(from: Moment, to: Moment) -> String {
    number::duration(Exact::of(to.time).minus(Exact::of(from.time)).value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let written = [(1, 2), (754_567, 1000), (-3, 2), (7384, 1)].map(|(n, d)| short(Exact::new(n, d)));
        assert_eq!(written, ["0:00.500", "12:34.567", "−0:01.500", "2:03:04.000"]);
    }
}
