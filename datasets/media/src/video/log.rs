//! The decoder's log: lines about frames go on at once, complaints are counted, the rest is kept.

use super::complaint::complaint;
use super::desk::{Desk, Listener};
use super::failures::Failures;
use std::io::{BufRead, BufReader, Read};

/// A broken file's log may be endless: so much of it is kept.
const KEPT: usize = 1 << 16;

/// Our outputs have no times, so that two frames within a tick of the average rate are no mistake; FFmpeg says so of each, and writes it.
const OWN: &str = "non monotonically increasing dts to muxer";

/// What is left of a log at its end.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) failures: Failures,
    pub(super) text: String,
    /// Frames of audio, in the order in which they come: samples and their rate, in Hz.
    pub(super) heard: Vec<(u32, u32)>,
}

impl Log {
    /// Reads to the end. What `showinfo@TAG0` says is of all frames, what `showinfo@TAG3` says of those of the third of `tracks`, for the
    /// `tag` TAG.
    pub(super) fn follow(from: impl Read, tag: &str, tracks: &[Listener]) -> Self {
        let mut lines = BufReader::new(from);
        let mut log = Self::default();
        let mut desk = Desk::new(tracks);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line without an end is cut.
            match lines.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if let Some((teller, words)) = of_track(text, tag) {
                if let Some(config) = words.strip_prefix("config in time_base: ") {
                    desk.config(teller, config);
                } else if let Some(colours) = words.strip_prefix("color_range:") {
                    desk.colours(teller, colours);
                } else {
                    desk.frame(teller, words);
                }
                log.complained(between(words));
                continue;
            }
            if let Some(heard) = heard(text, tag) {
                log.heard.push(heard);
                continue;
            }
            if let Some(picked) = picked(text) {
                desk.picked(picked);
                continue;
            }
            log.complained(complaint(text).map(str::to_owned));
            if log.text.len() < KEPT {
                log.text += text;
                log.text.push('\n');
            }
        }
        let (jumps, broken) = desk.end();
        log.failures.count += broken;
        if let (None, Some(jump)) = (&log.failures.first, jumps.first()) {
            log.failures.first = Some(jump.to_string());
        }
        log.failures.jumps = jumps;
        log
    }
}

impl Log {
    fn complained(&mut self, words: Option<String>) {
        if let Some(words) = words.filter(|words| !words.contains(OWN)) {
            self.failures.count += 1;
            self.failures.first.get_or_insert(words);
        }
    }
}

/// What another thread of FFmpeg said while `showinfo` was saying a line, which it says in pieces: it stands between them, without its
/// level, and so may be a warning as well as a complaint: its words decide. (Frames that are lost are counted besides.)
fn between(words: &str) -> Option<String> {
    let said = if words.starts_with("n:") {
        words.split_once(" type:")?.1.get(1..)?.trim().to_owned()
    } else if words.starts_with("color_range:") {
        words.split_whitespace().filter(|part| !part.contains(':')).collect::<Vec<_>>().join(" ")
    } else {
        return None;
    };
    const COMPLAINTS: [&str; 10] = [
        "error",
        "invalid",
        "conceal",
        "corrupt decoded",
        "damaged",
        "missing",
        "truncat",
        "premature",
        "overread",
        "fail",
    ];
    let lower = said.to_lowercase();
    COMPLAINTS.iter().any(|word| lower.contains(word)).then_some(said)
}

/// A name for this run's parts that no file can know: a path with a line end in it, which the log repeats, speaks for none of them.
pub(super) fn tag() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("t{:016x}x", RandomState::new().build_hasher().finish())
}

/// `[showinfo@TAG1 @ 0x55d0] [info] n: 0 …` → 1 and the words.
fn of_track<'a>(line: &'a str, tag: &str) -> Option<(usize, &'a str)> {
    let (track, rest) = line.strip_prefix("[showinfo@")?.strip_prefix(tag)?.split_once(' ')?;
    Some((track.parse().ok()?, rest.split_once("] [info] ")?.1))
}

/// `[ashowinfo@TAG @ 0x55d0] [info] n:0 pts:0 … rate:44100 nb_samples:1024 …` → samples and rate.
fn heard(line: &str, tag: &str) -> Option<(u32, u32)> {
    let words = line.strip_prefix("[ashowinfo@")?.strip_prefix(tag)?.split_once("] [info] n:")?.1;
    let value = |name: &str| words.split_once(name)?.1.split_whitespace().next()?.parse().ok();
    Some((value(" nb_samples:")?, value(" rate:")?))
}

/// `[Eval @ 0x7f15] [info] 75.000000`: what the expression of a filter prints; later FFmpegs (Debian's 5.1.9 among them) no longer say whose it is.
fn picked(line: &str) -> Option<u64> {
    let (whose, number) = line.split_once("[info] ")?;
    let (whole, rest) = number.split_once('.')?;
    let of_eval = whose.is_empty() || whose.strip_prefix("[Eval @ ").is_some_and(|r| r.ends_with("] "));
    let zeros = rest.len() == 6 && rest.bytes().all(|b| b == b'0');
    if of_eval && zeros { whole.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::desk::Frames;
    use super::super::shown::Shown;
    use super::super::{Layout, Ratio, Time};
    use super::*;
    use std::sync::mpsc::channel;

    fn listener(of: Frames) -> (Listener, std::sync::mpsc::Receiver<Shown>) {
        let (to, from) = channel();
        (Listener { to, of }, from)
    }

    #[test]
    fn what_stands_between_the_pieces_of_a_line_is_judged_by_its_words() {
        let of = |said: &str| between(&format!("n: 1 pts: 2 i:P iskey:0 type:P {said}"));
        assert_eq!(of("error while decoding MB 3 4").unwrap(), "error while decoding MB 3 4");
        assert!(of("concealing 12 DC, 12 AC, 12 MV errors in P frame").is_some());
        for warning in ["", "corrupt (stream = 0, dts = 392400).", "File extends beyond end of segment."] {
            assert_eq!(of(warning), None);
        }
    }

    #[test]
    fn lines_about_frames_go_to_their_tracks_and_complaints_are_counted() {
        let text = "[info] Input #0, mov, from 'file:[showinfo@t0 @ 1] [info] n:0.mp4':\n\
            [showinfo@t0 @ 0x7f] [info] config in time_base: 1/12800, frame_rate: 25/1\n\
            [showinfo@t0 @ 0x7f] [info] n:   0 pts:   3584 pts_time:0.28    duration:    512 duration_time:0.04    fmt:yuv420p cl:left sar:1/1 s:1280x720 i:P iskey:0 type:P \n\
            [showinfo@t0 @ 0x7f] [info]   side data - nothing\n\
            [showinfo@t0 @ 0x7f] [info] color_range:pc color_space:bt709 color_primaries:unknown color_trc:unknown\n\
            [showinfo@t0 @ 0x7f] [info] n:   1 pts:    NOPTS pts_time:NOPTS    fmt:yuvj420p sar:1/1 s:3x2 i:P iskey:0 type:P \n\
            [showinfo@t9 @ 0x7f] [info] n:   0 pts:    0 fmt:gray s:3x2 \n\
            [h264 @ 0x1] [error] error while decoding MB 3 4\n[vist#0:0/h264 @ 0x2] [dec:h264 @ 0x1] [fatal] more\n\
            [info]     title           : [error] no complaint\n\
            [rawvideo @ 0x1] [error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 4 >= 4\n";
        let ((a, first), (b, second)) = (listener(Frames::All), listener(Frames::All));
        let log = Log::follow(text.as_bytes(), "t", &[a, b]);
        let shown: Vec<Shown> = first.try_iter().collect();
        assert_eq!(shown, second.try_iter().collect::<Vec<_>>());
        let at = |pts| Time { pts, base: Ratio { num: 1, den: 12_800 } };
        assert_eq!(
            (shown.len(), shown[0].time, shown[0].ticks, shown[0].size),
            (2, at(3584), 512, (1280, 720))
        );
        assert_eq!(
            (shown[0].yuv420(), shown[0].matrix),
            (Some(Layout::Yuv420 { full_range: true }), "bt709")
        );
        assert_eq!((shown[1].time, shown[1].yuv420()), (at(4096), None), "odd sizes are converted");
        assert_eq!(
            (log.failures.count, log.failures.first.as_deref()),
            (2, Some("error while decoding MB 3 4"))
        );
    }

    #[test]
    fn frames_keep_their_number_and_time_when_filters_are_built_anew_and_clocks_break() {
        let config =
            |teller| format!("[showinfo@t{teller} @ 1] [info] config in time_base: 1/10, frame_rate: 10/1\n");
        let frame = |teller, pts, size| {
            format!("[showinfo@t{teller} @ 1] [info] n: 0 pts: {pts} duration: 1 fmt:yuv420p s:{size} \n")
        };
        // As either of FFmpeg's generations prints it.
        let picked = |n| match n {
            0 => format!("[Eval @ 0x7] [info] {n}.000000\n"),
            _ => format!("[info] {n}.000000\n"),
        };
        let text = [
            config(0),
            config(2),
            frame(0, 50, "4x4"),
            picked(0),
            frame(2, 50, "4x4"),
            frame(0, 51, "4x4"),
            // Another recording, of another size.
            config(0),
            config(2),
            frame(0, 3, "6x6"),
            picked(0),
            frame(2, 3, "6x6"),
            frame(0, 4, "6x6"),
            frame(0, 5, "6x6"),
            picked(2),
            frame(2, 5, "6x6"),
        ];
        let ((a, all), (b, some)) = (listener(Frames::All), listener(Frames::Some));
        let log = Log::follow(text.concat().as_bytes(), "t", &[a, b]);
        let told = |from: &std::sync::mpsc::Receiver<Shown>| {
            from.try_iter().map(|s| (s.frame, s.time.pts, s.size.0)).collect::<Vec<_>>()
        };
        assert_eq!(told(&all), [(0, 50, 4), (1, 51, 4), (2, 52, 6), (3, 53, 6), (4, 54, 6)]);
        assert_eq!(told(&some), [(0, 50, 4), (2, 52, 6), (4, 54, 6)]);
        assert_eq!((log.failures.count, log.failures.jumps.len()), (1, 1));
        assert!(
            log.failures.first.unwrap().starts_with("the clock goes back from 5.100 to 0.300 s at frame 2")
        );
    }
}
