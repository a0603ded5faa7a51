//! Videos that are pictures already: animations and folders.

use super::Source;
use super::keep::Keeper;
use super::watcher::Watcher;
use super::work::{Analysis, Eyes, FRAMES, TINY};
use crate::{Error, Result};
use image::imageops::{FilterType, resize};
use std::sync::atomic::Ordering;
use unisono_media::video::{self, Layout, Ratio, Shape, Time};
use unisono_scenes::record::FailureRecord;
use unisono_transnet::{TransNet, TransNetStream};

impl Eyes<'_> {
    /// Frames that are pictures already.
    pub(super) fn pictures(
        &self,
        frames: video::Animation,
        of: &Source,
        net: Option<&TransNet>,
    ) -> Result<Analysis> {
        let mut watcher = Watcher::new(self.wanted, None);
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
                    if matches!(of, Source::Animation(_))
                        && (last.is_none() || matches!(e, unisono_media::Error::Limit { .. })) =>
                {
                    return Err(e.into());
                }
                Err(e) => {
                    failures.count += 1;
                    failures.first.get_or_insert_with(|| e.to_string());
                    // A broken picture in a folder is one frame less; what follows a broken frame of an animation is not known.
                    if matches!(of, Source::Folder(_)) {
                        continue;
                    }
                    break;
                }
            };
            let source = frame.picture.dimensions();
            let (width, height) = *first.get_or_insert(source);
            // As FFmpeg does with a video's: bicubic, to the size of the first.
            let scaled = (source != (width, height))
                .then(|| resize(&frame.picture, width, height, FilterType::CatmullRom));
            bgr.clear();
            bgr.extend(scaled.as_ref().unwrap_or(&frame.picture).pixels().flat_map(|p| [p[2], p[1], p[0]]));
            // Animations tell their own times; a rate is only what lengths in frames mean.
            let rate = if matches!(of, Source::Folder(_)) { self.wanted.rate } else { FRAMES };
            let rate = Ratio { num: rate, den: 1 };
            let (number, time, ticks) = (count, frame.time, frame.ticks);
            count += 1;
            let (layout, matrix) = (Layout::Bgr, "unknown");
            let shape = Shape { frame: number, time, ticks, width, height, source, layout, matrix, rate };
            watcher.push(&shape, &bgr)?;
            if let Some(stream) = &mut network {
                let tiny = resize(&frame.picture, TINY.0, TINY.1, FilterType::CatmullRom);
                learned.extend(stream.push(tiny.as_raw())?);
            }
            let due = last.is_none_or(|last| {
                frame.time.seconds() - last.seconds() >= self.wanted.settings.sample.every
            });
            if due {
                if self.wanted.pictures {
                    keeper.push(number, frame.time, &frame.picture)?;
                }
                last = Some(frame.time);
            }
            self.wanted.frames.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(stream) = network {
            learned.extend(stream.finish()?);
        }
        let watched = watcher.finish()?;
        if watched.times.frames.is_empty() {
            let first = failures.first.map_or_else(String::new, |first| format!(" ({first})"));
            return Err(Error::format(of.path(), format!("expected at least one frame, found none{first}")));
        }
        Ok(Analysis {
            video: None,
            rate: matches!(of, Source::Folder(_)).then_some(watched.rate).flatten(),
            times: watched.times,
            size: watched.size,
            sizes: watched.sizes,
            found: watched.found,
            learned: learned.iter().map(|b| (b.single, b.many_hot)).collect(),
            gradual: watched.gradual,
            kept: keeper.kept,
            spool: Some(keeper.spool),
            sound: false,
            samples: None,
            speech: None,
            failures,
        })
    }
}
