//! What went wrong with a video, as far as it can be known.

use super::frames::FrameAnalysis;
use crate::Result;
use unisono_media::video::{self, Ffmpeg, Time, Video, VideoLimits};
use unisono_scenes::record::FailureRecord;

/// So many things went wrong that no decoder tells.
pub(super) fn complain(failures: &mut FailureRecord, count: usize, what: impl FnOnce() -> String) {
    failures.count += count;
    failures.first.get_or_insert_with(what);
}

/// What did not come, with its places as far as they are known.
pub(super) fn unseen(
    video: &Video,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
    analysed: &FrameAnalysis,
    told: video::Failures,
) -> Result<FailureRecord> {
    let odd = !told.jumps.is_empty() || !analysed.sizes.is_empty();
    let mut failures =
        FailureRecord { count: told.count, first: told.first, places: Vec::new(), jumps: told.jumps };
    if odd {
        // Decoders may forget frames that they hold back when the size changes, and say nothing.
        let (stored, came) = (ffmpeg.stored(video, limits)?, analysed.times.frames.len());
        let lost = stored.saturating_sub(came);
        // Of interlaced images, two of which make a frame, nothing is lost.
        if lost > 0 && lost < came {
            let plural = if lost == 1 { "frame that is" } else { "frames that are" };
            complain(&mut failures, lost, || format!("{lost} {plural} stored did not come from the decoder"));
        }
    }
    if let Some(more) = video::unread(&video.blob) {
        complain(&mut failures, 1, || more);
    }
    if failures.count > 0
        && let Some(promised) = ffmpeg.index(video, limits)?
    {
        let came: std::collections::BTreeSet<Time> = analysed.times.frames.iter().copied().collect();
        failures.places = promised.into_iter().filter(|t| !came.contains(t)).take(100).collect();
    }
    Ok(failures)
}
