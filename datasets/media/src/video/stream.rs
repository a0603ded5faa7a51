//! One decoder, several readers: every output of the process is a pipe of raw frames, and its log tells the time, the size and the
//! form of each before it comes.

use super::desk::{Frames, Listener};
use super::graph::{Branch, graph};
use super::log::{Log, Shown, tag};
use super::probe::EXPECTED;
use super::process::{Process, wide};
use super::{Ffmpeg, Ratio, Time, Video, VideoLimits};
use crate::{Error, Result};
use command_fds::{CommandFdExt, FdMapping};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

/// How the bytes of a frame lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A plane of luma, then two of chroma of half the width and height; both sides are even.
    Yuv420 {
        /// Luma runs from 0 to 255; else from 16 to 235.
        full_range: bool,
    },
    /// Planes of luma and of two of chroma, of one size.
    Yuv444 {
        /// Luma runs from 0 to 255; else from 16 to 235.
        full_range: bool,
    },
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue.
    Rgb,
}

impl Layout {
    /// Bytes of a frame.
    pub fn bytes(self, width: u32, height: u32) -> usize {
        let pixels = width as usize * height as usize;
        match self {
            Self::Yuv420 { .. } => pixels / 2 * 3,
            Self::Yuv444 { .. } | Self::Bgr | Self::Rgb => pixels * 3,
        }
    }
}

/// What is known of a frame besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Frames before it, of all that were decoded.
    pub frame: u64,
    /// When it is shown. Never before the frame that came before it: where the container's clock goes back or jumps, times run on, and
    /// [`Failures::jumps`](super::Failures::jumps) has the place.
    pub time: Time,
    /// For how long, in ticks of the time's base; 0 where the container does not tell.
    pub ticks: i64,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Width and height before it was scaled, upright.
    pub source: (u32, u32),
    /// How its bytes lie.
    pub layout: Layout,
    /// FFmpeg's name of the matrix between RGB and YUV, as the file tells it: `bt709`, `smpte170m`, …; `unknown` where it tells none.
    pub matrix: &'static str,
    /// The stream's rate as FFmpeg guesses it, frames a second: where the rate varies, this is no average; [`Video::rate`] is.
    pub rate: Ratio,
}

/// Which frames of a video are wanted, in which form. All come from one decoding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamOptions {
    /// Every frame as it was decoded, turned upright: [`Layout::Yuv420`] where the file is of that form, else [`Layout::Bgr`]. Frames that
    /// are of another size or form than the first one are scaled (bicubic) and converted to it.
    pub whole: bool,
    /// Of the whole frames only this many pixels across and down, taken evenly (each the one at the middle of its share), as
    /// [`Layout::Yuv444`]: a twenty-fifth of the bytes where a detector looks at no more. Not possible for every video: see [`Video::plain`].
    pub picked: Option<(u32, u32)>,
    /// Every frame scaled to this width and height by FFmpeg's bicubic filter, [`Layout::Rgb`].
    pub small: Option<(u32, u32)>,
    /// The first frame and then those at least so many seconds after the one before, whole and each of its own size, [`Layout::Rgb`]; also
    /// the first after the container's clock went back, and after the size changed.
    pub every: Option<f64>,
    /// Threads of the decoder; absent: one for each core.
    pub threads: Option<usize>,
}

/// A video's frames, in each form that was asked for. Each track may be read on a thread of its own; all must be read to their ends, or
/// dropped, for the decoder waits for its slowest reader.
#[derive(Debug)]
pub struct Stream {
    /// See [`StreamOptions::whole`].
    pub whole: Option<Track>,
    /// See [`StreamOptions::small`].
    pub small: Option<Track>,
    /// See [`StreamOptions::every`].
    pub every: Option<Track>,
    /// How it ended.
    pub ending: Ending,
}

/// One output of a decoder.
#[derive(Debug)]
pub struct Track {
    path: PathBuf,
    pipe: std::io::PipeReader,
    shown: Receiver<Shown>,
    /// Of all its frames; `None`: each has its own.
    size: Option<(u32, u32)>,
    /// The first frame's size and form are those of all.
    fixed: bool,
    layout: Layout,
    process: Arc<Process>,
    limits: VideoLimits,
    count: u64,
    ended: bool,
}

/// The end of a decoder.
#[derive(Debug)]
pub struct Ending {
    path: PathBuf,
    process: Arc<Process>,
    limits: VideoLimits,
}

impl Ffmpeg {
    /// Decodes `video` once for all that `options` ask for.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a picture track; ffmpeg cannot be started.
    pub fn stream(&self, video: &Video, options: &StreamOptions, limits: &VideoLimits) -> Result<Stream> {
        let branch = |layout, scale, every| Branch { every, scale, layout, most: limits.max_frames + 1 };
        let mut branches = Vec::new();
        if options.whole {
            branches.push(match options.picked.filter(|_| video.plain) {
                Some(size) => branch(Layout::Yuv444 { full_range: false }, Some((size, "neighbor")), None),
                None => branch(video.layout(), None, None),
            });
        }
        if let Some(size) = options.small {
            branches.push(branch(Layout::Rgb, Some((size, "bicubic")), None));
        }
        if let Some(seconds) = options.every {
            branches.push(branch(Layout::Rgb, None, Some(seconds)));
        }
        let (tracks, ending) = self.branches(video, &branches, None, options.threads, limits)?;
        let mut tracks = tracks.into_iter();
        let mut next = |wanted: bool| if wanted { tracks.next() } else { None };
        Ok(Stream {
            whole: next(options.whole),
            small: next(options.small.is_some()),
            every: next(options.every.is_some()),
            ending,
        })
    }

    /// Starts a decoder with these outputs; of `only` the frames at these times.
    pub(super) fn branches(
        &self,
        video: &Video,
        branches: &[Branch],
        only: Option<&[Time]>,
        threads: Option<usize>,
        limits: &VideoLimits,
    ) -> Result<(Vec<Track>, Ending)> {
        let path = video.path.clone();
        if video.size.is_none() {
            return Err(Error::media(&path, "a picture track", "only sound"));
        }
        let tag = tag();
        let (mut words, graph) = (vec!["-copyts".to_owned()], graph(branches, only, video.layout(), &tag));
        words.extend(["-filter_complex".to_owned(), graph]);
        let (mut pipes, mut mappings) = (Vec::new(), Vec::new());
        let cannot = || Error::io(&path, "open a pipe to decode");
        for (i, branch) in branches.iter().enumerate() {
            let child_fd = 3 + i as i32;
            let (read, write) = std::io::pipe().map_err(cannot())?;
            wide(&read);
            pipes.push(read);
            mappings.push(FdMapping { parent_fd: write.into(), child_fd });
            let most = branch.most.to_string();
            // Else FFmpeg scales frames to the size of the first.
            let own = if branch.own_size() { &["-noautoscale"][..] } else { &[] };
            words.extend(["-map".to_owned(), format!("[o{i}]")]);
            words.extend(own.iter().map(|word| (*word).to_owned()));
            for word in [
                "-fps_mode",
                "passthrough",
                "-frames:v",
                &most,
                "-c:v",
                "rawvideo",
                "-flush_packets",
                "1",
                "-f",
                "rawvideo",
                &format!("pipe:{child_fd}"),
            ] {
                words.push(word.to_owned());
            }
        }
        let threads = threads.map(|n| n.to_string());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.decoding(&path, limits, threads.as_deref(), &words);
        command.stdout(Stdio::null());
        command
            .fd_mappings(mappings)
            .map_err(|e| Error::media(&path, EXPECTED, format!("pipes that cannot be passed on ({e})")))?;
        let child = command.spawn().map_err(self.cannot_start())?;
        // The parent's ends of the pipes to write to close here: else no reader would ever see an end.
        drop(command);
        let listen = |branch: &Branch| {
            let (to, from) = mpsc::channel();
            let of = match (only, branch.every) {
                (Some(_), _) => Frames::Chosen,
                (None, Some(_)) => Frames::Some,
                (None, None) => Frames::All,
            };
            (Listener { to, of }, from)
        };
        let (listeners, receivers): (Vec<_>, Vec<_>) = branches.iter().map(listen).unzip();
        let process =
            Process::new(child, branches.len(), limits, move |err| Log::follow(err, &tag, &listeners));
        let tracks = pipes.into_iter().zip(receivers).zip(branches).map(|((pipe, shown), branch)| Track {
            path: path.clone(),
            pipe,
            shown,
            size: branch.scale.map(|(size, _)| size),
            fixed: false,
            layout: branch.layout,
            process: Arc::clone(&process),
            limits: *limits,
            count: 0,
            ended: false,
        });
        let tracks = tracks.collect();
        Ok((tracks, Ending { path, process, limits: *limits }))
    }
}

impl Track {
    /// Reads the next frame into `data`, which is made as long as the frame; `None` at the end.
    ///
    /// # Errors
    /// A frame beyond the limits, or of a form that was not announced.
    pub fn next(&mut self, data: &mut Vec<u8>) -> Result<Option<Shape>> {
        if self.ended {
            return Ok(None);
        }
        let shape = self.read(data);
        if !matches!(shape, Ok(Some(_))) {
            self.ended = true;
            self.process.leave();
        }
        shape
    }

    fn read(&mut self, data: &mut Vec<u8>) -> Result<Option<Shape>> {
        // Without a line of the log there is no frame: it is written before the frame is.
        let Some(shown) = self.process.waiting(|| self.shown.recv().ok()) else {
            // Nor bytes.
            if self.process.waiting(|| self.pipe.read(&mut [0])).is_ok_and(|n| n > 0) {
                self.process.missed();
            }
            return Ok(None);
        };
        if !self.fixed {
            self.fix(&shown)?;
        }
        let (width, height) = self.size.unwrap_or(shown.size);
        if u64::from(width) * u64::from(height) > self.limits.max_pixels {
            return Err(Error::media(&self.path, EXPECTED, format!("a frame of {width} x {height} pixels")));
        }
        let layout = self.layout;
        let bytes = layout.bytes(width, height);
        data.resize(bytes, 0);
        let mut got = 0;
        while got < bytes {
            match self.process.waiting(|| self.pipe.read(&mut data[got..])) {
                Ok(n) if n > 0 => got += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                _ => {
                    self.process.missed();
                    return Ok(None);
                }
            }
        }
        self.count += 1;
        self.process.came();
        if self.count > self.limits.max_frames {
            return Err(too_many(&self.path, &self.limits));
        }
        Ok(Some(Shape {
            frame: shown.frame,
            time: shown.time,
            ticks: shown.ticks,
            width,
            height,
            source: shown.size,
            layout,
            matrix: shown.matrix,
            rate: shown.rate,
        }))
    }

    /// FFmpeg turns all frames of an output into the form of the first, and scales them to its size unless it is told not to.
    fn fix(&mut self, first: &Shown) -> Result<()> {
        let form = || {
            let found = format!("{} of {} x {}", first.form, first.size.0, first.size.1);
            Error::media(&self.path, "frames of the form that the file's headers tell", found)
        };
        self.layout = match (self.layout, first.yuv420()) {
            (Layout::Yuv420 { .. }, Some(layout)) => layout,
            (Layout::Yuv444 { .. }, Some(Layout::Yuv420 { full_range })) => Layout::Yuv444 { full_range },
            (Layout::Yuv420 { .. } | Layout::Yuv444 { .. }, _) => return Err(form()),
            (other, _) => other,
        };
        if self.size.is_none() && self.layout != Layout::Rgb {
            self.size = Some(first.size);
        }
        self.fixed = true;
        Ok(())
    }
}

/// Why a video of too many frames is refused.
pub(super) fn too_many(path: &Path, limits: &VideoLimits) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what: "the video",
        found: format!("more than {} frames", limits.max_frames),
        limit: format!("{} frames", limits.max_frames),
        option: "max_frames",
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.process.leave();
        // The decoder ends with the first of its outputs that cannot be written: while others are read, this one is, too.
        if self.process.readers() > 0
            && let Ok(mut pipe) = self.pipe.try_clone()
        {
            std::thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
        }
    }
}

impl Ending {
    /// Waits for the decoder's end, once all tracks have been read to theirs: what could not be decoded.
    ///
    /// # Errors
    /// [`Error::Media`] where not a single frame came and the decoder says why; [`Error::Limit`] where it was ended for its silence.
    pub fn failures(self) -> Result<super::Failures> {
        let end = self.process.end();
        if end.silent {
            return Err(Error::Limit {
                path: self.path,
                what: "the decoder's silence",
                found: format!("over {} seconds after {} frames", self.limits.max_silence, end.frames),
                limit: format!("{} seconds", self.limits.max_silence),
                option: "max_silence",
            });
        }
        // Damage after the first frame is a failure that is told, not an end of everything.
        if end.frames == 0 && !end.success {
            return Err(Error::media(&self.path, EXPECTED, super::ffmpeg::reason(&end.log.text)));
        }
        let mut failures = end.log.failures;
        if !end.success && failures.count == 0 {
            // Ended from outside, for its memory or time: it says nothing, but what came is not the whole video.
            failures.count = 1;
            failures.first = Some(format!("ffmpeg ended before the video did ({})", end.status));
        }
        if end.missed > 0 && failures.count == 0 {
            failures.count = 1;
            failures.first = Some("frames were decoded that did not come".into());
        }
        Ok(failures)
    }
}

#[cfg(test)]
#[path = "../tests/stream.rs"]
mod tests;
