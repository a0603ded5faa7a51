//! What is known of the files that this process has looked at: their headers, the times of their frames and the sums of their audio. Many
//! clips of one film cost one look at it, not one each; who meets a film that another looks at waits for what is found.

use super::audio_index::AudioIndex;
use super::index::Index;
use super::{Ffmpeg, Time, Video, VideoLimits};
use crate::Blob;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unisono_files::Stamp;

/// Files that are remembered, and frames of all of them together: 16 bytes each.
const FILES: usize = 64;
const FRAMES: usize = 4_000_000;
/// So many times more than it was of use may it be of none that decoding begins in the middle of a film's audio.
const TRUST: i32 = 3;

/// One for the process: clips come from many places, each of which finds the program anew. The file that was asked for last stands last.
static KNOWN: Mutex<VecDeque<Arc<Known>>> = Mutex::new(VecDeque::new());

/// Whose word it is, of which file, within which limits.
#[derive(Debug, Clone, PartialEq)]
struct Of {
    ffmpeg: Ffmpeg,
    blob: Blob,
    stamp: Stamp,
    limits: VideoLimits,
}

/// A file. Each part is held while it is looked for, so that others wait for it.
#[derive(Debug)]
struct Known {
    of: Of,
    headers: Mutex<Option<Video>>,
    /// Of the video as it was described; `None` within: there is none.
    index: Mutex<Option<(Video, Option<Arc<Index>>)>>,
    audio: Mutex<Option<(Video, AudioKnown)>>,
    /// Frames of both.
    frames: AtomicUsize,
}

/// What is known of a file's audio.
#[derive(Debug, Default)]
pub(super) struct AudioKnown {
    /// When it begins; `None` within: its times are not known.
    pub(super) start: Option<Option<Time>>,
    /// Seconds of it that were decoded to come to where a clip begins.
    pub(super) spent: f64,
    /// `None` within: there is none.
    pub(super) index: Option<Option<Arc<AudioIndex>>>,
    /// How much more often decoding from its middle was of use than of none.
    luck: i32,
}

impl AudioKnown {
    /// Whether decoding may begin in the middle.
    pub(super) fn trusted(&self) -> bool {
        self.luck > -TRUST
    }

    /// Whether it was of use.
    pub(super) fn tried(&mut self, useful: bool) {
        self.luck = if useful { (self.luck + 1).min(TRUST) } else { self.luck - 1 };
    }
}

fn held<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ffmpeg {
    /// What is known of a file, which may be nothing yet; `None` where nobody tells whether it is the same: of bytes in memory nothing is remembered.
    fn known(&self, blob: &Blob, limits: &VideoLimits) -> Option<Arc<Known>> {
        let of = Of { ffmpeg: self.clone(), blob: blob.clone(), stamp: blob.stamp()?, limits: *limits };
        let mut files = held(&KNOWN);
        let place = files.iter().position(|k| k.of == of);
        let found = place.and_then(|at| files.remove(at)).unwrap_or_else(|| {
            let (headers, index, audio) = Default::default();
            Arc::new(Known { of, headers, index, audio, frames: AtomicUsize::new(0) })
        });
        files.push_back(Arc::clone(&found));
        shorten(&mut files);
        Some(found)
    }

    /// A file's headers, asked for by `look` where they are not known.
    pub(super) fn known_headers<E>(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        look: impl FnOnce() -> Result<Video, E>,
    ) -> Result<Video, E> {
        let Some(known) = self.known(blob, limits) else { return look() };
        let mut headers = held(&known.headers);
        if let Some(video) = &*headers {
            return Ok(video.clone());
        }
        let video = look()?;
        *headers = known.is_still().then(|| video.clone());
        Ok(video)
    }

    /// The times of a file's frames, asked for by `look` where they are not known.
    pub(super) fn known_index<E>(
        &self,
        video: &Video,
        limits: &VideoLimits,
        look: impl FnOnce() -> Result<Option<Index>, E>,
    ) -> Result<Option<Arc<Index>>, E> {
        let Some(known) = self.known(&video.blob, limits) else { return Ok(look()?.map(Arc::new)) };
        let mut kept = held(&known.index);
        if let Some((_, index)) = kept.as_ref().filter(|(of, _)| of == video) {
            return Ok(index.clone());
        }
        let index = look()?.map(Arc::new);
        *kept = known.is_still().then(|| (video.clone(), index.clone()));
        drop(kept);
        known.grow(index.as_ref().map_or(0, |index| index.len()));
        Ok(index)
    }

    /// What is known of a file's audio, for `f` to use and to add to; `None` where nothing can be remembered of it. Others wait meanwhile.
    pub(super) fn known_audio<T>(
        &self,
        video: &Video,
        limits: &VideoLimits,
        f: impl FnOnce(&mut AudioKnown) -> T,
    ) -> Option<T> {
        let known = self.known(&video.blob, limits)?;
        let mut kept = held(&known.audio);
        let (_, mut audio) = kept
            .take()
            .filter(|(of, _)| of == video)
            .unwrap_or_else(|| (video.clone(), AudioKnown::default()));
        let indexed = audio.index.is_some();
        let made = f(&mut audio);
        let more = audio.index.iter().flatten().map(|index| index.len()).sum();
        *kept = known.is_still().then(|| (video.clone(), audio));
        drop(kept);
        if !indexed {
            known.grow(more);
        }
        Some(made)
    }
}

impl Known {
    /// Whether what was found is of this file: it did not change meanwhile.
    fn is_still(&self) -> bool {
        self.of.blob.stamp() == Some(self.of.stamp)
    }

    fn grow(&self, frames: usize) {
        if frames > 0 {
            self.frames.fetch_add(frames, Ordering::Relaxed);
            shorten(&mut held(&KNOWN));
        }
    }
}

/// Forgets what was asked for longest ago.
fn shorten(files: &mut VecDeque<Arc<Known>>) {
    let frames = |k: &Arc<Known>| k.frames.load(Ordering::Relaxed);
    while files.len() > FILES || (files.len() > 1 && files.iter().map(frames).sum::<usize>() > FRAMES) {
        files.pop_front();
    }
}
