//! Every frame of a video: its time, and what detectors make of it.

use super::work::Wanted;
use crate::Result;
use unisono_media::video::{Layout, Ratio, Shape, Time, Video};
use unisono_scenes::Mini;
use unisono_scenes::detect::{Clock, Detection, Found, Image, Matrix, Shrink, average_rate};
use unisono_scenes::gradual::{Gradual, GradualFinder};
use unisono_scenes::record::Resized;
use unisono_scenes::shots::Times;

/// So many changes of the size are kept.
const KEPT: usize = 1000;

/// What detectors saw of every frame.
#[derive(Default)]
pub(super) struct FrameAnalysis {
    pub(super) times: Times,
    /// The first frame's.
    pub(super) size: (u32, u32),
    pub(super) sizes: Vec<Resized>,
    pub(super) rate: Option<Ratio>,
    pub(super) found: Option<Found>,
    pub(super) gradual: Vec<Gradual>,
}

pub(super) struct FrameAnalyser<'a> {
    wanted: &'a Wanted<'a>,
    detection: Option<(Detection, Shrink)>,
    gradual: Option<GradualFinder>,
    image: Image,
    times: Vec<Time>,
    size: (u32, u32),
    sizes: Vec<Resized>,
    last: Option<Shape>,
    /// The file, where it is one that FFmpeg decodes.
    file: Option<&'a Video>,
    /// Frames a second, once it is known.
    average: Option<Ratio>,
}

impl<'a> FrameAnalyser<'a> {
    pub(super) fn new(wanted: &'a Wanted<'a>, file: Option<&'a Video>) -> Self {
        let looked_for = wanted.settings.gradual;
        let some = looked_for.max_frames > 0 || looked_for.flash_frames > 0;
        Self {
            wanted,
            detection: None,
            gradual: some.then(|| GradualFinder::new(looked_for)),
            image: Image::default(),
            times: Vec::new(),
            size: (0, 0),
            sizes: Vec::new(),
            last: None,
            file,
            average: None,
        }
    }

    /// `data` of all frames is of one size, whatever that of the file's is: PySceneDetect leaves out frames of another, which may be most.
    pub(super) fn push(&mut self, shape: &Shape, data: &[u8]) -> Result<()> {
        if self.detection.is_none() {
            let shrink = Shrink::new(shape.width as usize, shape.height as usize)?;
            let rate = self.rate(shape)?;
            self.average = Some(rate);
            let clock = Clock::new(rate, shape.time);
            let settings = self.wanted.settings.classical();
            let detection = Detection::new(&settings, clock, shrink.small(), self.wanted.scores)?;
            self.image = Image::new(shrink.small().0, shrink.small().1);
            self.detection = Some((detection, shrink));
        }
        if let Some((detection, shrink)) = &mut self.detection {
            match shape.layout {
                Layout::Yuv420 { full_range } => {
                    shrink.set_matrix(Matrix::named(shape.matrix));
                    shrink.yuv420(data, full_range, &mut self.image)?;
                }
                Layout::Picked { full_range } => {
                    shrink.set_matrix(Matrix::named(shape.matrix));
                    shrink.picked(data, full_range, &mut self.image)?;
                }
                // Whole frames that are no YUV come in this order.
                Layout::Bgr | Layout::Rgb => shrink.bgr(data, &mut self.image)?,
            }
            detection.push(&self.image, shape.time);
        }
        if let Some(finder) = &mut self.gradual {
            finder.push(Mini::of_image(&self.image));
        }
        self.note(shape);
        Ok(())
    }

    /// A frame that only the network sees.
    pub(super) fn small(&mut self, shape: &Shape, data: &[u8]) {
        if let Some(finder) = &mut self.gradual {
            finder.push(Mini::of(data, shape.width as usize, shape.height as usize));
        }
        self.note(shape);
    }

    /// The average rate: what lengths in frames mean, and what the video is said to have. Where the decoder guesses another, the file's packets
    /// are asked.
    fn rate(&self, shape: &Shape) -> Result<Ratio> {
        let (Some(file), Some(ffmpeg)) = (self.file, self.wanted.ffmpeg) else { return Ok(shape.rate) };
        let Some(told) = file.rate else { return Ok(shape.rate) };
        let mut candidates = vec![shape.rate];
        if (shape.rate.value() - told).abs() >= 0.005 {
            candidates.extend(ffmpeg.mean_rate(file, self.wanted.limits)?);
        }
        Ok(average_rate(told, &candidates).unwrap_or(shape.rate))
    }

    fn note(&mut self, shape: &Shape) {
        match self.last {
            None => self.size = shape.source,
            Some(last) if last.source != shape.source && self.sizes.len() < KEPT => {
                self.sizes.push(Resized { frame: self.times.len() as u64, size: shape.source });
            }
            Some(_) => {}
        }
        self.times.push(shape.time);
        self.last = Some(*shape);
    }

    pub(super) fn since_start(&self, time: Time) -> f64 {
        time.seconds() - self.times.first().map_or(0.0, |t| t.seconds())
    }

    pub(super) fn finish(self) -> Result<FrameAnalysis> {
        let Some(last) = self.last else { return Ok(FrameAnalysis::default()) };
        let rate = match self.average {
            Some(rate) => rate,
            None => self.rate(&last)?,
        };
        // The last frame is shown as long as it says, or as the one before was, or as the rate says.
        let gap = match self.times.as_slice() {
            [.., a, b] if a.base == b.base => b.pts - a.pts,
            _ => (1.0 / (rate.value() * last.time.base.value())).round() as i64,
        };
        let ticks = if last.ticks > 0 { last.ticks } else { gap.max(1) };
        let end = Time { pts: last.time.pts + ticks, base: last.time.base };
        Ok(FrameAnalysis {
            times: Times { frames: self.times, end },
            size: self.size,
            sizes: self.sizes,
            rate: Some(rate),
            found: self.detection.map(|(detection, _)| detection.finish()),
            gradual: self.gradual.map(GradualFinder::finish).unwrap_or_default(),
        })
    }
}
