//! Videos that are images already: animations and folders.

use super::SceneInput;
use super::frames::FrameAnalyser;
use super::inputs::FRAMES;
use super::keep::Keeper;
use super::work::{Analysis, TINY, VideoTask};
use crate::{Error, Result};
use image::imageops::{FilterType, resize};
use std::sync::atomic::Ordering;
use unisono_media::video::{self, Layout, Ratio, Shape, Time};
use unisono_scenes::record::FailureRecord;
use unisono_transnet::{TransNet, TransNetStream};

impl VideoTask<'_> {
    /// Frames that are images already.
    pub(super) fn images(
        &self,
        frames: video::Animation,
        of: &SceneInput,
        net: Option<&TransNet>,
    ) -> Result<Analysis> {
        let mut analyser = FrameAnalyser::new(self.wanted, None);
        let mut keeper = Keeper::new(self)?;
        let mut network = net.map(|net| TransNetStream::new(net, 1));
        let (mut learned, mut failures, mut last) = (Vec::new(), FailureRecord::default(), None::<Time>);
        let (mut bgr, mut first, mut count) = (Vec::new(), None, 0u64);
        for frame in frames {
            self.go_on()?;
            let frame = match frame {
                Ok(frame) => frame,
                // Nothing of it can be seen, or it is more than may be.
                Err(e)
                    if matches!(of, SceneInput::Animation(_))
                        && (last.is_none() || matches!(e, unisono_media::Error::Limit { .. })) =>
                {
                    return Err(e.into());
                }
                Err(e) => {
                    failures.count += 1;
                    failures.first.get_or_insert_with(|| e.to_string());
                    // A broken image in a folder is one frame less; what follows a broken frame of an animation is not known.
                    if matches!(of, SceneInput::Folder(_)) {
                        continue;
                    }
                    break;
                }
            };
            let source = frame.image.dimensions();
            let (width, height) = *first.get_or_insert(source);
            // As FFmpeg does with a video's: bicubic, to the size of the first.
            let scaled = (source != (width, height))
                .then(|| resize(&frame.image, width, height, FilterType::CatmullRom));
            bgr.clear();
            bgr.extend(scaled.as_ref().unwrap_or(&frame.image).pixels().flat_map(|p| [p[2], p[1], p[0]]));
            // Animations tell their own times; a rate is only what lengths in frames mean.
            let rate = if matches!(of, SceneInput::Folder(_)) { self.wanted.rate } else { FRAMES };
            let rate = Ratio { num: rate, den: 1 };
            let (number, time, ticks) = (count, frame.time, frame.ticks);
            count += 1;
            let (layout, matrix) = (Layout::Bgr, "unknown");
            let shape = Shape { frame: number, time, ticks, width, height, source, layout, matrix, rate };
            analyser.push(&shape, &bgr)?;
            if let Some(stream) = &mut network {
                let tiny = resize(&frame.image, TINY.0, TINY.1, FilterType::CatmullRom);
                learned.extend(stream.push(tiny.as_raw())?);
            }
            let due = last.is_none_or(|last| {
                frame.time.seconds() - last.seconds() >= self.wanted.settings.sample.every
            });
            if due {
                if self.wanted.images {
                    keeper.push(number, frame.time, &frame.image)?;
                }
                last = Some(frame.time);
            }
            self.wanted.frames.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(stream) = network {
            learned.extend(stream.finish()?);
        }
        let analysed = analyser.finish()?;
        if analysed.times.frames.is_empty() {
            let first = failures.first.map_or_else(String::new, |first| format!(" ({first})"));
            return Err(Error::format(of.path(), format!("expected at least one frame, found none{first}")));
        }
        Ok(Analysis {
            video: None,
            rate: matches!(of, SceneInput::Folder(_)).then_some(analysed.rate).flatten(),
            times: analysed.times,
            size: analysed.size,
            sizes: analysed.sizes,
            found: analysed.found,
            learned: learned.iter().map(|b| (b.single, b.many_hot)).collect(),
            gradual: analysed.gradual,
            kept: keeper.kept,
            spool: Some(keeper.spool),
            audio: false,
            samples: None,
            speech: None,
            failures,
        })
    }
}
