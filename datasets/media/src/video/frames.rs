//! Frames as they come, each with its time; decoding runs ahead in its own process.

use super::beside::AudioPipe;
use super::graph::Branch;
use super::probe::EXPECTED;
use super::stream::{Ending, Part, Track};
use super::{Failures, Ffmpeg, Layout, Time, Video, VideoLimits};
use crate::{Error, Result};
use image::RgbImage;
use std::path::PathBuf;

/// Which frames, and how large.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameOptions {
    /// Only those at exactly these times, of one base, as [`index`](Ffmpeg::index) tells them; `None`: all.
    pub only: Option<Vec<Time>>,
    /// Width and height to scale to; `None`: as they are, turned as the container says.
    pub size: Option<(u32, u32)>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When it is shown.
    pub time: Time,
    /// For how long, in ticks of the time's base; 0 where the container does not tell.
    pub ticks: i64,
    /// What is shown.
    pub image: RgbImage,
}

/// Frames of a video in the order in which they are shown. Ends at the video's end, or with one error. Dropping it ends the decoder.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    track: Option<Track>,
    ending: Option<Ending>,
    failures: Failures,
}

impl Ffmpeg {
    /// Decodes `video`.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a video track; ffmpeg cannot be started.
    pub fn frames(&self, video: &Video, options: &FrameOptions, limits: &VideoLimits) -> Result<Frames> {
        let part = Part { only: options.only.as_deref(), ..Part::default() };
        Ok(self.frames_of(video, options.size, part, limits)?.0)
    }

    /// Those of a part, and the audio beside them.
    pub(super) fn frames_of(
        &self,
        video: &Video,
        size: Option<(u32, u32)>,
        part: Part,
        limits: &VideoLimits,
    ) -> Result<(Frames, Option<AudioPipe>)> {
        let most = part.only.map_or(limits.max_frames + 1, |times| times.len() as u64);
        let scale = size.map(|size| (size, "area"));
        let branch = Branch { every: None, scale, grid: None, layout: Layout::Rgb, most };
        let (tracks, ending, audio) = self.branches(video, &[branch], part, None, limits)?;
        let frames = Frames {
            path: video.blob.name().to_owned(),
            track: tracks.into_iter().next(),
            ending: Some(ending),
            failures: Failures::default(),
        };
        Ok((frames, audio))
    }
}

impl Frames {
    /// What could not be decoded; whole once the frames have ended.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    fn read(&mut self) -> Result<Option<Frame>> {
        let mut pixels = Vec::new();
        let shape = match &mut self.track {
            Some(track) => track.next(&mut pixels)?,
            None => None,
        };
        let Some(shape) = shape else {
            if let Some(ending) = self.ending.take() {
                self.failures = ending.failures()?;
            }
            return Ok(None);
        };
        RgbImage::from_raw(shape.width, shape.height, pixels)
            .map(|image| Some(Frame { time: shape.time, ticks: shape.ticks, image }))
            .ok_or_else(|| Error::media(&self.path, EXPECTED, "an empty frame"))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Result<Frame>> {
        self.track.as_ref()?;
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.track = None;
        }
        next
    }
}
