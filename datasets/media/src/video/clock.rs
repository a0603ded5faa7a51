//! A stream's clock, made to run on where it breaks: recordings that were joined begin again, some jump by hours.
//!
//! FFmpeg's own correction leaves small steps back as they are and works on packets, whose order is another one; here it is the frames, in
//! the order in which they are shown, each exactly once.

use super::{Ratio, Time};

/// Seconds between two frames beyond which they are of two recordings. In MPEG-TS a step back of over a minute looks like one of a day
/// forwards: its clock is taken for one that has begun again after 2^33 ticks.
pub(super) const APART: f64 = 3600.0;
/// Steps back of no more than so many seconds are a frame or two in the wrong order, as FFmpeg judges too: the clock is right again at once,
/// and adding up what they miss would part image and audio.
const SLIP: f64 = 0.1;
/// So many breaks are kept.
const KEPT: usize = 1000;

/// A filter after which an audio file's times run on where they break; elsewhere it changes nothing. Seconds are samples through the rate.
pub(super) const AUDIO: &str = "asetpts='if(isnan(PREV_INPTS),PTS,PREV_OUTPTS+if(between(PTS-PREV_INPTS,0,3600*SR),\
    PTS-PREV_INPTS,ld(0)))+0*st(0,NB_SAMPLES)'";

/// Where a stream's clock breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// The frame from which on times are another recording's.
    pub frame: u64,
    /// The container's time of the frame before.
    pub from: Time,
    /// The container's time of this frame, before times were made to run on.
    pub to: Time,
}

impl std::fmt::Display for Jump {
    /// `the clock goes back from 4.440 to 1.480 s at frame 75; times run on from there`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.to < self.from { "goes back" } else { "jumps" };
        let (from, to) = (self.from.seconds(), self.to.seconds());
        write!(
            f,
            "the clock {how} from {from:.3} to {to:.3} s at frame {}; times run on from there",
            self.frame
        )
    }
}

/// Times of frames that come one after another: as the container tells them, as long as they do not go back.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The first frame's; what a later part of the stream counts in is turned into it.
    base: Option<Ratio>,
    last: Option<Last>,
    /// What is added to the container's ticks.
    offset: i64,
    /// Frames so far.
    count: u64,
    /// The stream tells no times: frames are counted.
    counted: bool,
    jumps: Vec<Jump>,
    broken: usize,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    /// The container's.
    told: i64,
    /// Ours.
    given: i64,
    /// How long it is shown.
    ticks: i64,
}

impl Clock {
    /// The next frame's time, and for how many of its ticks it is shown: `pts` is the container's and `ticks` how long it says that is (0:
    /// it does not), both in `base`; `rate` are frames a second.
    pub(super) fn next(&mut self, pts: Option<i64>, ticks: i64, base: Ratio, rate: Ratio) -> (Time, i64) {
        let frame = self.count;
        self.count += 1;
        // No time at all (raw streams): counted at the stream's rate.
        self.counted |= frame == 0 && pts.is_none();
        if self.counted {
            let pts = i64::try_from(frame).unwrap_or(i64::MAX);
            return (Time { pts, base: Ratio { num: rate.den, den: rate.num } }, 1);
        }
        let to = *self.base.get_or_insert(base);
        let turned = |n: i64| if base == to { n } else { rescaled(n, base, to) };
        let shown = turned(ticks);
        let ticks = length(shown, to, rate);
        let told = match (pts, self.last) {
            (Some(pts), _) => turned(pts),
            // One without a time among others follows the one before.
            (None, Some(last)) => last.told.saturating_add(last.ticks),
            (None, None) => 0,
        };
        let mut least = i64::MIN;
        if let Some(last) = self.last {
            let back = last.told.saturating_sub(told) as f64 * to.value();
            if told < last.told || apart(last.told, told, to) {
                if !(0.0..=SLIP).contains(&back) {
                    self.offset = last.given.saturating_add(last.ticks).saturating_sub(told);
                }
                self.broken += 1;
                if self.jumps.len() < KEPT {
                    let at = |pts| Time { pts, base: to };
                    self.jumps.push(Jump { frame, from: at(last.told), to: at(told) });
                }
            }
            // Two frames of one time are a container's right.
            least = last.given.saturating_add(i64::from(told != last.told));
        }
        let given = told.saturating_add(self.offset).max(least);
        self.last = Some(Last { told, given, ticks });
        (Time { pts: given, base: to }, shown)
    }

    /// Where it broke, the first thousand places, and how often.
    pub(super) fn breaks(self) -> (Vec<Jump>, usize) {
        (self.jumps, self.broken)
    }
}

/// Whether two times are further from each other than those of one recording.
pub(super) fn apart(from: i64, to: i64, base: Ratio) -> bool {
    to.saturating_sub(from) as f64 * base.value() > APART
}

/// How long a frame is shown: as it says, or as the rate says, at least a tick.
fn length(ticks: i64, base: Ratio, rate: Ratio) -> i64 {
    let frame = (1.0 / (rate.value() * base.value())).round() as i64;
    if ticks > 0 && !apart(0, ticks, base) { ticks } else { frame.max(1) }
}

fn rescaled(n: i64, from: Ratio, to: Ratio) -> i64 {
    let num = i128::from(n) * i128::from(from.num) * i128::from(to.den);
    let den = i128::from(from.den) * i128::from(to.num);
    let whole = num.div_euclid(den.max(1));
    i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Ratio = Ratio { num: 1, den: 1000 };
    const RATE: Ratio = Ratio { num: 25, den: 1 };

    fn given(times: &[Option<i64>]) -> (Vec<i64>, Vec<Jump>, usize) {
        let mut clock = Clock::default();
        let times = times.iter().map(|pts| clock.next(*pts, 40, BASE, RATE).0.pts).collect();
        let (jumps, count) = clock.breaks();
        (times, jumps, count)
    }

    #[test]
    fn a_clock_that_runs_is_left_alone() {
        // Two frames of one time are a container's right, gaps of minutes too; a start before 0 stays one.
        let times = [-80, -40, -40, 0, 40, 600_000, 600_001];
        let (found, jumps, count) = given(&times.map(Some));
        assert_eq!((found.as_slice(), jumps.len(), count), (&times[..], 0, 0));
    }

    #[test]
    fn times_run_on_where_it_goes_back_or_jumps() {
        let (found, jumps, count) = given(&[20_000, 20_040, 0, 200, 20, 60].map(Some));
        assert_eq!(found, [20_000, 20_040, 20_080, 20_280, 20_320, 20_360]);
        assert_eq!((jumps[0].frame, jumps[1].frame, count), (2, 4, 2));
        let said = jumps[0].to_string();
        assert_eq!(said, "the clock goes back from 20.040 to 0.000 s at frame 2; times run on from there");
        // A single wild time adds nothing.
        let (found, jumps, _) = given(&[0, 40, 90_000_000, 120, 160].map(Some));
        assert_eq!(found, [0, 40, 80, 120, 160]);
        assert!(jumps[0].to_string().starts_with("the clock jumps from 0.040 to 90000.000 s at frame 2"));
    }

    #[test]
    fn a_frame_in_the_wrong_order_moves_no_other() {
        let (found, jumps, count) = given(&[0, 40, 120, 80, 160, 200].map(Some));
        assert_eq!((found, jumps.len(), count), (vec![0, 40, 120, 121, 160, 200], 1, 1));
        // As recordings that overlap by a frame.
        let (found, ..) = given(&[0, 40, 80, 40, 80, 120, 160].map(Some));
        assert_eq!(found, [0, 40, 80, 81, 82, 120, 160]);
    }

    #[test]
    fn frames_without_a_time_are_counted_or_follow_the_one_before() {
        let (found, _, _) = given(&[None, None, Some(7), None]);
        assert_eq!(found, [0, 1, 2, 3], "a stream without times is counted to its end");
        assert_eq!(given(&[Some(100), None, Some(180)]).0, [100, 140, 180]);
    }

    #[test]
    fn many_breaks_and_impossible_ticks_end_nothing() {
        let times: Vec<Option<i64>> = (0..3000).map(|n| Some(i64::from(n % 2 == 0))).collect();
        let (found, jumps, count) = given(&times);
        assert!(found.windows(2).all(|w| w[0] < w[1]));
        assert_eq!((jumps.len(), count), (KEPT, 1500));
        let (found, ..) = given(&[i64::MAX, i64::MIN, i64::MAX, 0].map(Some));
        assert!(found.windows(2).all(|w| w[0] <= w[1]), "{found:?}");
        let mut clock = Clock::default();
        let odd = Ratio { num: u32::MAX, den: 1 };
        for base in [odd, BASE, odd] {
            clock.next(Some(i64::MAX), i64::MAX, base, odd);
        }
    }

    #[test]
    fn a_base_that_changes_is_turned_into_the_first() {
        let mut clock = Clock::default();
        clock.next(Some(1000), 40, BASE, RATE);
        let found = clock.next(Some(93_600), 3600, Ratio { num: 1, den: 90_000 }, RATE);
        assert_eq!(found, (Time { pts: 1040, base: BASE }, 40));
        assert_eq!(clock.breaks().1, 0);
    }
}
