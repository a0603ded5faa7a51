//! One decoder, several readers: every output of the process is a pipe of raw frames, and its log tells the time, the size and the
//! form of each before it comes.

use super::beside::{AudioPipe, Beside};
use super::desk::{Frames, Listener};
use super::graph::{Branch, graph};
use super::log::{Log, tag};
use super::probe::EXPECTED;
use super::process::{Process, wide};
use super::shown::Shown;
use super::{Ffmpeg, Grid, Layout, Shape, Time, Video, VideoLimits};
use crate::{Error, Result};
use command_fds::{CommandFdExt, FdMapping};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

/// Which frames of a video are wanted, in which form. All come from one decoding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamOptions {
    /// Every frame as it was decoded, turned upright: [`Layout::Yuv420`] where the file is of that form, else [`Layout::Bgr`]. Frames that
    /// are of another size or form than the first one are scaled (bicubic) and converted to it.
    pub whole: bool,
    /// Of the whole frames only these pixels, as [`Layout::Picked`]: a twenty-fifth of the bytes where a detector looks at no more. Not possible
    /// for every video: see [`Video::plain`].
    pub picked: Option<Grid>,
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
    /// Each frame comes in so many parts; the bytes of each, where they are not a whole frame's.
    pipes: Vec<(std::io::PipeReader, Option<usize>)>,
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

/// Which frames of a video.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part<'a> {
    /// Those at exactly these times, of one base; absent: all.
    pub(super) only: Option<&'a [Time]>,
    /// Decoding begins at the key frame of this time, or of one before it; absent: at the first frame.
    pub(super) begin: Option<Time>,
    /// The audio that comes beside them.
    pub(super) beside: Option<&'a Beside>,
}

impl Ffmpeg {
    /// Decodes `video` once for all that `options` ask for.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a video track; ffmpeg cannot be started.
    pub fn stream(&self, video: &Video, options: &StreamOptions, limits: &VideoLimits) -> Result<Stream> {
        let branch =
            |layout, scale, every| Branch { every, scale, grid: None, layout, most: limits.max_frames + 1 };
        let mut branches = Vec::new();
        if options.whole {
            let own = video.size;
            let grid = options.picked.filter(|g| video.plain && own == Some((g.across.size, g.down.size)));
            branches.push(match grid {
                Some(_) => Branch { grid, ..branch(Layout::Picked { full_range: false }, None, None) },
                None => branch(video.layout(), None, None),
            });
        }
        if let Some(size) = options.small {
            branches.push(branch(Layout::Rgb, Some((size, "bicubic")), None));
        }
        if let Some(seconds) = options.every {
            branches.push(branch(Layout::Rgb, None, Some(seconds)));
        }
        let (tracks, ending, _) =
            self.branches(video, &branches, Part::default(), options.threads, limits)?;
        let mut tracks = tracks.into_iter();
        let mut next = |wanted: bool| if wanted { tracks.next() } else { None };
        Ok(Stream {
            whole: next(options.whole),
            small: next(options.small.is_some()),
            every: next(options.every.is_some()),
            ending,
        })
    }

    /// Starts a decoder with these outputs.
    pub(super) fn branches(
        &self,
        video: &Video,
        branches: &[Branch],
        part: Part,
        threads: Option<usize>,
        limits: &VideoLimits,
    ) -> Result<(Vec<Track>, Ending, Option<AudioPipe>)> {
        let (path, disk) = (video.blob.name().to_owned(), video.blob.on_disk()?);
        if video.size.is_none() {
            return Err(Error::media(&path, "a video track", "only audio"));
        }
        let tag = tag();
        let (mut words, graph) =
            (vec!["-copyts".to_owned()], graph(branches, part.only, video.layout(), &tag));
        words.extend(["-filter_complex".to_owned(), graph]);
        let (mut pipes, mut mappings) = (Vec::new(), Vec::new());
        let cannot = || Error::io(&path, "open a pipe to decode");
        let mut child_fd = 2;
        for (i, branch) in branches.iter().enumerate() {
            let sizes = branch.grid.map_or_else(|| vec![None], |grid| grid.parts().map(Some).collect());
            let mut ends = Vec::new();
            for (end, bytes) in branch.ends(i).into_iter().zip(sizes) {
                let (read, write) = std::io::pipe().map_err(cannot())?;
                wide(&read);
                ends.push((read, bytes));
                child_fd += 1;
                mappings.push(FdMapping { parent_fd: write.into(), child_fd });
                words.extend(output(&end, branch, child_fd));
            }
            pipes.push(ends);
        }
        let mut audio = None;
        if let Some(beside) = part.beside {
            let mut ends = Vec::new();
            for output in beside.outputs(video) {
                let (read, write) = std::io::pipe().map_err(cannot())?;
                ends.push(read);
                child_fd += 1;
                mappings.push(FdMapping { parent_fd: write.into(), child_fd });
                words.extend(output);
                words.push(format!("pipe:{child_fd}"));
            }
            audio = Some(ends);
        }
        let threads = threads.map(|n| n.to_string());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.decoding(&disk, limits, threads.as_deref(), part.begin, &words);
        command.stdout(Stdio::null());
        command
            .fd_mappings(mappings)
            .map_err(|e| Error::media(&path, EXPECTED, format!("pipes that cannot be passed on ({e})")))?;
        let child = command.spawn().map_err(self.cannot_start())?;
        // The parent's ends of the pipes to write to close here: else no reader would ever see an end.
        drop(command);
        let listen = |branch: &Branch| {
            let (to, from) = mpsc::channel();
            let of = match (part.only, branch.every) {
                (Some([first, ..]), _) => Frames::Chosen(first.base),
                (_, Some(_)) => Frames::Some,
                (_, None) => Frames::All,
            };
            (Listener { to, of }, from)
        };
        let (listeners, receivers): (Vec<_>, Vec<_>) = branches.iter().map(listen).unzip();
        let readers = branches.len() + usize::from(audio.is_some());
        let process = Process::new(child, readers, limits, move |err| {
            // What it reads stays until it has said its last.
            let _disk = disk;
            Log::follow(err, &tag, &listeners)
        });
        let audio = audio.map(|pipes| AudioPipe::new(pipes, &process));
        let tracks = pipes.into_iter().zip(receivers).zip(branches).map(|((pipes, shown), branch)| Track {
            path: path.clone(),
            pipes,
            shown,
            size: branch.scale.map(|(size, _)| size).or(branch.grid.and(video.size)),
            fixed: false,
            layout: branch.layout,
            process: Arc::clone(&process),
            limits: *limits,
            count: 0,
            ended: false,
        });
        let tracks = tracks.collect();
        Ok((tracks, Ending { path, process, limits: *limits }, audio))
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
            let Some((pipe, _)) = self.pipes.first_mut() else { return Ok(None) };
            if self.process.waiting(|| pipe.read(&mut [0])).is_ok_and(|n| n > 0) {
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
        let whole = layout.bytes(width, height);
        data.resize(self.pipes.iter().map(|(_, bytes)| bytes.unwrap_or(whole)).sum(), 0);
        let mut rest = data.as_mut_slice();
        for (pipe, bytes) in &mut self.pipes {
            let part = rest.split_off_mut(..bytes.unwrap_or(whole)).unwrap_or_default();
            if !filled(&self.process, pipe, part) {
                self.process.missed();
                return Ok(None);
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
            (Layout::Picked { .. }, Some(Layout::Yuv420 { full_range })) => Layout::Picked { full_range },
            (Layout::Yuv420 { .. } | Layout::Picked { .. }, _) => return Err(form()),
            (other, _) => other,
        };
        if self.size.is_none() && self.layout != Layout::Rgb {
            self.size = Some(first.size);
        }
        self.fixed = true;
        Ok(())
    }
}

/// Reads until `into` is full; false where the pipe ends before.
fn filled(process: &Process, pipe: &mut std::io::PipeReader, into: &mut [u8]) -> bool {
    let mut got = 0;
    while got < into.len() {
        match process.waiting(|| pipe.read(&mut into[got..])) {
            Ok(n) if n > 0 => got += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
    true
}

/// The options of an output: the frames at the end `label` of the graph, raw, into a pipe.
fn output(label: &str, branch: &Branch, child_fd: i32) -> Vec<String> {
    // Else FFmpeg scales frames to the size of the first.
    let own = if branch.own_size() { &["-noautoscale"][..] } else { &[] };
    let (label, most, pipe) = (format!("[{label}]"), branch.most.to_string(), format!("pipe:{child_fd}"));
    // Raw frames have no times. In ticks as long as a frame, FFmpeg's own choice, two may fall into one, of which it complains each time.
    let form =
        ["-enc_time_base", "1:90000", "-c:v", "rawvideo", "-flush_packets", "1", "-f", "rawvideo", &pipe];
    let words = ["-map", &label].into_iter().chain(own.iter().copied());
    words.chain(["-fps_mode", "passthrough", "-frames:v", &most]).chain(form).map(str::to_owned).collect()
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
        if self.process.readers() > 0 {
            for (mut pipe, _) in self.pipes.drain(..) {
                std::thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
            }
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

#[cfg(test)]
#[path = "../tests/stream_joined.rs"]
mod joined_tests;

#[cfg(test)]
#[path = "../tests/stream_picked.rs"]
mod picked_tests;
