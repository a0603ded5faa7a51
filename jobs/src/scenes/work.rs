//! What workers are asked for, what they have at hand, and what they send.

use super::job::VideoDone;
use super::spool::Numbers;
use crate::understand::AudioTiming;
use crate::{Error, Result, Vectors};
use image::RgbImage;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use unisono_files::Lock;
use unisono_media::Limits;
use unisono_media::video::{Ffmpeg, Ratio, Time, Video, VideoLimits};
use unisono_processors::{ImageProcessor, LogMel};
use unisono_scenes::detect::Found;
use unisono_scenes::gradual::Gradual;
use unisono_scenes::record::{FailureRecord, Resized};
use unisono_scenes::settings::SceneSettings;
use unisono_scenes::shots::Times;

/// Width and height of TransNetV2's frames.
pub(super) const TINY: (u32, u32) = (48, 27);

/// What is looked at in every video.
pub(super) struct Wanted<'a> {
    pub(super) settings: &'a SceneSettings,
    /// Frames are prepared for it and sent on.
    pub(super) image: Option<&'a ImageProcessor>,
    /// The audio track is wanted at this rate, for the embedding model.
    pub(super) audio_rate: Option<u32>,
    /// And as a spectrogram for a speech model.
    pub(super) speech: Option<&'a LogMel>,
    /// Frames that are kept are kept as it sees them, too.
    pub(super) caption: Option<&'a ImageProcessor>,
    /// Images are kept at all.
    pub(super) images: bool,
    /// Every score is wanted, those too that no detector needs.
    pub(super) scores: bool,
    pub(super) ffmpeg: Option<&'a Ffmpeg>,
    pub(super) transnet: Option<&'a Path>,
    /// Folder for a temporary file.
    pub(super) spool: &'a Path,
    pub(super) limits: &'a VideoLimits,
    /// Of the images in folders.
    pub(super) files: &'a Limits,
    pub(super) rate: u32,
    pub(super) threads: usize,
    pub(super) stop: &'a AtomicBool,
    pub(super) frames: &'a AtomicU64,
    pub(super) behind: &'a AtomicU64,
}

/// What workers send.
pub(super) enum Message {
    /// A frame for the embedding model, the next of the video `at`.
    Image { at: usize, image: RgbImage },
    /// A video is over, which was as [`of`](super::store::of) says.
    Done { at: usize, of: serde_json::Value, found: Box<Result<(Analysis, Lock)>> },
    /// Its files are written.
    Written { at: usize, made: Result<VideoDone> },
}

/// A video of which all is seen: what is left is to say what it shows, and to write it.
pub(super) struct Seen {
    pub(super) at: usize,
    pub(super) of: serde_json::Value,
    pub(super) analysis: Analysis,
    /// Vectors of its frames.
    pub(super) vectors: Option<Vectors>,
    /// The right to write its folder.
    pub(super) lock: Lock,
}

/// A frame that was kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Frames before it.
    pub(super) frame: u64,
    pub(super) time: Time,
    /// Its JPEG, for people.
    pub(super) jpeg: Piece,
    /// Its pixels as a captioning model sees them, and their width and height.
    pub(super) seen: Option<(Piece, (u32, u32))>,
}

/// A part of the file of what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) from: u64,
    pub(super) length: usize,
}

/// The audio of a video, as a model takes it.
#[derive(Clone)]
pub(super) struct Heard {
    /// Mono, on the disk.
    pub(super) samples: Arc<Numbers>,
    /// Samples a second.
    pub(super) rate: u32,
    /// When it is.
    pub(super) timing: AudioTiming,
}

/// All that a video showed.
pub(super) struct Analysis {
    pub(super) video: Option<Video>,
    pub(super) times: Times,
    pub(super) size: (u32, u32),
    pub(super) sizes: Vec<Resized>,
    pub(super) rate: Option<Ratio>,
    pub(super) found: Option<Found>,
    /// TransNetV2's probabilities of each frame: of a transition's middle, and of being within one.
    pub(super) learned: Vec<(f32, f32)>,
    pub(super) gradual: Vec<Gradual>,
    pub(super) kept: Vec<Kept>,
    pub(super) spool: Option<File>,
    pub(super) audio: bool,
    /// For the embedding model.
    pub(super) samples: Option<Heard>,
    /// For the speech model.
    pub(super) speech: Option<Heard>,
    pub(super) failures: FailureRecord,
}

impl Analysis {
    /// What was kept in a part of the file.
    pub(super) fn read(&mut self, piece: Piece) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; piece.length];
        if let Some(spool) = &mut self.spool {
            spool.seek(SeekFrom::Start(piece.from))?;
            spool.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }
}

/// How much of a file is behind.
pub(super) struct FileProgress<'a> {
    pub(super) share: AtomicU64,
    pub(super) bytes: u64,
    pub(super) behind: &'a AtomicU64,
}

impl FileProgress<'_> {
    pub(super) fn to(&self, part: f64) {
        let now = (part.clamp(0.0, 1.0) * self.bytes as f64) as u64;
        let before = self.share.fetch_max(now, Ordering::Relaxed);
        self.behind.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
    }

    pub(super) fn all(&self) {
        self.to(1.0);
    }
}

/// What a worker that watches a video has at hand.
pub(super) struct VideoTask<'a> {
    pub(super) at: usize,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) sender: &'a SyncSender<Message>,
    pub(super) progress: &'a FileProgress<'a>,
}

impl VideoTask<'_> {
    pub(super) fn go_on(&self) -> Result<()> {
        if self.wanted.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
