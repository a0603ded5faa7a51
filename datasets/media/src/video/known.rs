//! What is known of the files that this process has looked at: their headers and the times of their frames. Many clips of one film cost one
//! look at it, not one each.

use super::index::Index;
use super::{Ffmpeg, Video, VideoLimits};
use crate::Blob;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unisono_files::Stamp;

/// Files that are remembered, and frames of all of them together: 16 bytes each.
const FILES: usize = 64;
const FRAMES: usize = 4_000_000;

/// One for the process: clips come from many places, each of which finds the program anew. The file that was asked for last stands last.
static KNOWN: Mutex<VecDeque<Known>> = Mutex::new(VecDeque::new());

/// Whose word it is, of which file, within which limits.
#[derive(Debug, Clone, PartialEq)]
struct Of {
    ffmpeg: Ffmpeg,
    blob: Blob,
    stamp: Stamp,
    limits: VideoLimits,
}

struct Known {
    of: Of,
    video: Video,
    /// `None`: not looked for yet; within: there is none.
    index: Option<Option<Arc<Index>>>,
}

fn known() -> MutexGuard<'static, VecDeque<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ffmpeg {
    fn key(&self, blob: &Blob, limits: &VideoLimits) -> Option<Of> {
        Some(Of { ffmpeg: self.clone(), blob: blob.clone(), stamp: blob.stamp()?, limits: *limits })
    }

    /// A file's headers, asked for by `look` where they are not known.
    pub(super) fn known_headers<E>(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        look: impl FnOnce() -> Result<Video, E>,
    ) -> Result<Video, E> {
        let Some(of) = self.key(blob, limits) else { return look() };
        let mut files = known();
        if let Some(at) = files.iter().position(|k| k.of == of)
            && let Some(found) = files.remove(at)
        {
            let video = found.video.clone();
            files.push_back(found);
            return Ok(video);
        }
        // Nobody waits for the lock while a program runs.
        drop(files);
        let video = look()?;
        if blob.stamp() == Some(of.stamp) {
            let mut files = known();
            files.retain(|k| k.of != of);
            files.push_back(Known { of, video: video.clone(), index: None });
            shorten(&mut files);
        }
        Ok(video)
    }

    /// The times of a file's frames, asked for by `look` where they are not known.
    pub(super) fn known_index<E>(
        &self,
        video: &Video,
        limits: &VideoLimits,
        look: impl FnOnce() -> Result<Option<Index>, E>,
    ) -> Result<Option<Arc<Index>>, E> {
        let of = self.key(&video.blob, limits);
        let kept = |of: &Of| known().iter().find(|k| k.of == *of && k.video == *video)?.index.clone();
        if let Some(index) = of.as_ref().and_then(kept) {
            return Ok(index);
        }
        let index = look()?.map(Arc::new);
        if let Some(of) = of.filter(|of| video.blob.stamp() == Some(of.stamp)) {
            let mut files = known();
            files.retain(|k| k.of != of);
            files.push_back(Known { of, video: video.clone(), index: Some(index.clone()) });
            shorten(&mut files);
        }
        Ok(index)
    }
}

/// Forgets what was asked for longest ago.
fn shorten(files: &mut VecDeque<Known>) {
    let frames = |k: &Known| k.index.iter().flatten().map(|index| index.len()).sum::<usize>();
    while files.len() > FILES || (files.len() > 1 && files.iter().map(frames).sum::<usize>() > FRAMES) {
        files.pop_front();
    }
}
