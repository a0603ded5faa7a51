//! The decoder's log: lines about frames go on at once, complaints are counted, the rest is kept.

use super::{Failures, Layout, Ratio};
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::Sender;

/// A broken file's log may be endless: so much of it is kept.
const KEPT: usize = 1 << 16;

/// Our outputs have no times, so that two frames within a tick of the average rate are no mistake; FFmpeg says so of each, and writes it.
const OWN: &str = "non monotonically increasing dts to muxer";

/// What `showinfo` says of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    /// Presentation time stamp, in ticks of `base`.
    pub(super) pts: Option<i64>,
    pub(super) ticks: i64,
    pub(super) base: Ratio,
    pub(super) rate: Ratio,
    pub(super) size: (u32, u32),
    /// FFmpeg's name of the pixel format.
    pub(super) form: String,
    /// Luma runs from 0 to 255.
    pub(super) full_range: bool,
    /// FFmpeg's name of the matrix between RGB and YUV, as the file tells it.
    pub(super) matrix: &'static str,
}

/// FFmpeg's names of matrices; what is none of them is not known.
const MATRICES: [&str; 9] =
    ["gbr", "bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc", "bt2020c"];

impl Shown {
    /// The layout of its bytes as they are, where that is one of ours.
    pub(super) fn yuv420(&self) -> Option<Layout> {
        let even = self.size.0.is_multiple_of(2) && self.size.1.is_multiple_of(2);
        match self.form.as_str() {
            "yuv420p" if even => Some(Layout::Yuv420 { full_range: self.full_range }),
            "yuvj420p" if even => Some(Layout::Yuv420 { full_range: true }),
            _ => None,
        }
    }
}

impl Shown {
    /// With what `pc color_space:bt709 color_primaries:…` says.
    fn coloured(mut self, words: &str) -> Self {
        let mut parts = words.split_whitespace();
        self.full_range = parts.next() == Some("pc");
        let named = parts.find_map(|part| part.strip_prefix("color_space:"));
        self.matrix = MATRICES.into_iter().find(|m| Some(*m) == named).unwrap_or("unknown");
        self
    }
}

/// What is left of a log at its end.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) failures: Failures,
    pub(super) text: String,
}

impl Log {
    /// Reads to the end. What `showinfo@TAG2` says goes to the third of `tracks`, for the `tag` TAG.
    pub(super) fn follow(from: impl Read, tag: &str, tracks: &[Sender<Shown>]) -> Self {
        let mut lines = BufReader::new(from);
        let mut log = Self::default();
        let second = Ratio { num: 1, den: 1 };
        let mut clocks = vec![(second, Ratio { num: 25, den: 1 }); tracks.len()];
        // A frame's colours are told in a line after its time.
        let mut waiting: Vec<Option<Shown>> = vec![None; tracks.len()];
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line without an end is cut.
            match lines.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
                Ok(n) if n > 0 => {}
                _ => {
                    for (sender, shown) in tracks.iter().zip(waiting) {
                        shown.map(|shown| sender.send(shown).ok());
                    }
                    return log;
                }
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if let Some((track, words)) = of_track(text, tag) {
                if let (Some(sender), Some((base, rate)), Some(waiting)) =
                    (tracks.get(track), clocks.get_mut(track), waiting.get_mut(track))
                {
                    // Where nobody wants more, the rest is read so that the decoder can end.
                    let send = |shown: Option<Shown>| shown.map(|shown| sender.send(shown).ok());
                    if let Some(config) = words.strip_prefix("config in time_base: ") {
                        let mut parts = config.split(", frame_rate: ");
                        *base = parts.next().and_then(|t| t.parse().ok()).unwrap_or(*base);
                        *rate = parts.next().and_then(|t| t.parse().ok()).unwrap_or(*rate);
                    } else if let Some(shown) = shown(words, *base, *rate) {
                        send(waiting.replace(shown));
                    } else if let Some(colours) = words.strip_prefix("color_range:") {
                        send(waiting.take().map(|shown| shown.coloured(colours)));
                    }
                }
                log.complained(between(words));
                continue;
            }
            log.complained(complaint(text).map(str::to_owned));
            if log.text.len() < KEPT {
                log.text += text;
                log.text.push('\n');
            }
        }
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
/// level. While frames come nothing but complaints is said.
fn between(words: &str) -> Option<String> {
    let said = if words.starts_with("n:") {
        words.split_once(" type:")?.1.get(1..)?.trim().to_owned()
    } else if words.starts_with("color_range:") {
        words.split_whitespace().filter(|part| !part.contains(':')).collect::<Vec<_>>().join(" ")
    } else {
        return None;
    };
    (!said.is_empty()).then_some(said)
}

/// A name for this run's parts that no file can know: a path with a line end in it, which the log repeats, speaks for none of them.
pub(super) fn tag() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("t{:016x}x", RandomState::new().build_hasher().finish())
}

/// A complaint's words. What stands before the level are parts of FFmpeg; a stranger's text may hold another level's name.
pub(super) fn complaint(line: &str) -> Option<&str> {
    let levels = ["[info] ", "[warning] ", "[error] ", "[fatal] ", "[panic] "];
    let found = levels.iter().filter_map(|level| Some((line.find(level)?, *level)));
    let (at, level) = found.min_by_key(|(at, _)| *at)?;
    let bad = !["[info] ", "[warning] "].contains(&level);
    bad.then(|| &line[at + level.len()..])
}

/// `[showinfo@TAG1 @ 0x55d0] [info] n: 0 …` → 1 and the words.
fn of_track<'a>(line: &'a str, tag: &str) -> Option<(usize, &'a str)> {
    let (track, rest) = line.strip_prefix("[showinfo@")?.strip_prefix(tag)?.split_once(' ')?;
    Some((track.parse().ok()?, rest.split_once("] [info] ")?.1))
}

fn shown(words: &str, base: Ratio, rate: Ratio) -> Option<Shown> {
    if !words.starts_with("n:") {
        return None;
    }
    let value = |name: &str| words.split_once(name)?.1.split_whitespace().next();
    let number = |name: &str| value(name)?.parse::<i64>().ok();
    let (width, height) = value(" s:")?.split_once('x')?;
    Some(Shown {
        pts: number(" pts:"),
        ticks: number(" duration:").unwrap_or(0).max(0),
        base,
        rate,
        size: (width.parse().ok()?, height.parse().ok()?),
        form: value(" fmt:")?.to_owned(),
        full_range: false,
        matrix: "unknown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn lines_about_frames_go_to_their_tracks_and_complaints_are_counted() {
        let text = "[info] Input #0, mov, from 'file:[showinfo@t0 @ 1] [info] n:0.mp4':\n\
            [showinfo@t1 @ 0x7f] [info] config in time_base: 1/12800, frame_rate: 25/1\n\
            [showinfo@t1 @ 0x7f] [info] n:   7 pts:   3584 pts_time:0.28    duration:    512 duration_time:0.04    fmt:yuv420p cl:left sar:1/1 s:1280x720 i:P iskey:0 type:P \n\
            [showinfo@t1 @ 0x7f] [info]   side data - nothing\n\
            [showinfo@t1 @ 0x7f] [info] color_range:pc color_space:bt709 color_primaries:unknown color_trc:unknown\n\
            [showinfo@t0 @ 0x7f] [info] n:   0 pts:    NOPTS pts_time:NOPTS    fmt:yuvj420p sar:1/1 s:3x2 i:P iskey:0 type:P \n\
            [showinfo@t9 @ 0x7f] [info] n:   0 pts:    0 fmt:gray s:3x2 \n\
            [h264 @ 0x1] [error] error while decoding MB 3 4\n[vist#0:0/h264 @ 0x2] [dec:h264 @ 0x1] [fatal] more\n\
            [info]     title           : [error] no complaint\n\
            [rawvideo @ 0x1] [error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 4 >= 4\n";
        let ((a, first), (b, second)) = (channel(), channel());
        let log = Log::follow(text.as_bytes(), "t", &[a, b]);
        let shown: Vec<Shown> = second.try_iter().collect();
        assert_eq!(shown.len(), 1);
        let base = Ratio { num: 1, den: 12_800 };
        assert_eq!(
            (shown[0].pts, shown[0].ticks, shown[0].base, shown[0].size),
            (Some(3584), 512, base, (1280, 720))
        );
        assert_eq!(
            (shown[0].yuv420(), shown[0].matrix),
            (Some(Layout::Yuv420 { full_range: true }), "bt709")
        );
        let shown: Vec<Shown> = first.try_iter().collect();
        assert_eq!(
            (shown.len(), shown[0].pts, shown[0].yuv420()),
            (1, None, None),
            "odd sizes are converted"
        );
        assert_eq!(
            (log.failures.count, log.failures.first.as_deref()),
            (2, Some("error while decoding MB 3 4"))
        );
    }
}
