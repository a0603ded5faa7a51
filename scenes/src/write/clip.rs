//! Cutting a piece out of a file: the arguments for the `ffmpeg` program, which the caller runs.

use super::exact::Exact;
use super::text::safe;
use crate::record::{Moment, VideoRecord};
use std::ffi::OsString;
use std::path::Path;

/// How a piece is cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// Decoded and encoded again: exactly the frames from the start to before the end.
    Frames {
        /// Options of the image's encoder: `-c:v libx264 …`.
        image: Vec<String>,
        /// Options of the audio's encoder: `-c:a aac …`.
        audio: Vec<String>,
    },
    /// Copied as it is: quick and without loss. Begins at the key frame at or before the start, so it may be longer, by up to
    /// seconds, and players hide the difference or not.
    Copy,
}

impl Default for Cut {
    /// H.264 at a quality that is hard to tell from the source, AAC: what everything plays.
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(String::from).collect();
        Self::Frames {
            image: words("-c:v libx264 -crf 18 -preset medium -pix_fmt yuv420p"),
            audio: words("-c:a aac -b:a 192k"),
        }
    }
}

/// Seconds before the start at which decoding begins: containers that seek badly land within them.
const EARLY: i128 = 10;

/// Why pieces cannot be cut out of a video in this way; `None`: they can.
pub fn uncuttable(video: &VideoRecord, cut: &Cut) -> Option<&'static str> {
    let broken = *cut == Cut::Copy && !video.failures.jumps.is_empty();
    broken.then_some(
        "its clock goes back or jumps, and what is copied is found by its time; cut exactly, which counts frames",
    )
}

/// FFmpeg's arguments that write the frames of `[start, end)` to `out`, which is replaced. The names of both files are taken as they are:
/// a dash, colon or percent sign in them means nothing; for `out` use [`clip_name`]. Times are the container's own, whatever it starts at;
/// where its clock breaks, frames and samples are counted from the beginning. Not for what is [`uncuttable`].
pub fn clip(video: &VideoRecord, start: Moment, end: Moment, cut: &Cut, out: &Path) -> Vec<OsString> {
    let mut words = Words(Vec::new());
    words.add("-hide_banner -nostdin -loglevel error -y");
    let [from, to] = [start, end].map(|m| Exact::of(m.time));
    let file = |path: &Path| {
        let mut name = OsString::from("file:");
        name.push(path);
        name
    };
    let source = file(&video.path);
    match cut {
        Cut::Frames { image, audio } => {
            let (first, last) = (seconds(from), seconds(to));
            let counted = !video.failures.jumps.is_empty();
            // Times stay the container's, so that the filters can name the frames by them. A seek lands at a key frame: what it
            // gives too early, they drop.
            let early = from.minus(Exact::new(EARLY, 1));
            if !counted && Exact::of(video.start.time).minus(early).num < 0 {
                words.add("-noaccurate_seek -seek_timestamp 1 -ss");
                words.add(&seconds(early));
            }
            if counted && !video.sizes.is_empty() {
                // FFmpeg would build its filters anew where the size changes, and they would count from there. One that scales takes every
                // size; one that turns frames does not.
                words.add("-reinit_filter 0 -noautorotate");
            }
            words.add("-copyts -i");
            words.0.push(source);
            let mut filter = if counted {
                let (width, height) = video.size;
                let scale =
                    if video.sizes.is_empty() { String::new() } else { format!("scale={width}:{height},") };
                let frames = format!("trim=start_frame={}:end_frame={}", start.frame, end.frame);
                format!("{scale}{frames},setpts='{}'", running(video, start))
            } else {
                // Not from the first frame that comes: filters that are built anew, where the size changes, would begin again.
                format!("trim=start={first}:end={last},setpts='round(PTS-({from})/TB)'")
            };
            if video.size.0 % 2 == 1 || video.size.1 % 2 == 1 {
                // The usual encoders halve the colour planes.
                filter += ",pad=ceil(iw/2)*2:ceil(ih/2)*2";
            }
            words.add("-map 0:V:0 -vf");
            words.add(&filter);
            words.add("-fps_mode passthrough");
            let base = start.time.base;
            if i32::try_from(base.num.max(base.den)).is_ok() {
                // Ticks of the encoder's own would merge or move frames of a changing rate.
                words.add("-enc_time_base");
                words.add(&base.to_string());
            }
            words.0.extend(image.iter().map(OsString::from));
            if video.audio {
                words.add("-map 0:a:0? -af");
                // Where the audio starts later than the image, it does so in the piece.
                let samples = if counted { "asetpts=STARTPTS+N/SR/TB," } else { "" };
                words.add(&format!("{samples}atrim=start={first}:end={last},asetpts=PTS-({from})/TB"));
                words.0.extend(audio.iter().map(OsString::from));
            } else {
                words.add("-an");
            }
            words.add("-sn -dn -map_chapters -1");
        }
        Cut::Copy => {
            words.add("-seek_timestamp 1 -ss");
            words.add(&seconds(from));
            words.add("-i");
            words.0.push(source);
            words.add("-t");
            words.add(&seconds(to.minus(from)));
            words.add("-map 0:V:0 -map 0:a? -c copy -sn -dn -map_chapters -1 -avoid_negative_ts make_zero");
        }
    }
    words.0.push(file(out));
    words.0
}

/// An expression for times from 0 that run on where the container's break, as those of the records do.
fn running(video: &VideoRecord, start: Moment) -> String {
    let base = start.time.base.value();
    let frame = video.rate.map_or(1.0, |rate| (1.0 / (rate.value() * base)).round().max(1.0));
    let hour = 3600.0 / base;
    format!("if(isnan(PREV_INPTS),0,PREV_OUTPTS+if(between(PTS-PREV_INPTS,0,{hour}),PTS-PREV_INPTS,{frame}))")
}

/// `NAME-scene-012.mp4`: a name for a piece that every system takes. `what` is `scene` or `shot`, `index` counted from 0, `kind` the
/// ending without its dot.
pub fn clip_name(video: &VideoRecord, what: &str, index: usize, kind: &str) -> String {
    let stem = video.path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{}-{}-{:03}.{}", safe(&stem, 60), safe(what, 12), index + 1, safe(kind, 8))
}

/// To a millionth, never later: FFmpeg rounds it to the nearest tick, which is longer; were it later, a finer tick would lose the frame.
fn seconds(time: Exact) -> String {
    let micros = time.times(1_000_000, 1).floor();
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }
}
