//! Frames that models and people will see: aside as JPEG and as a captioning model sees them, and on to the embedding model.

use super::work::{Kept, Message, Piece, VideoTask};
use crate::{Error, Result};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use std::fs::File;
use std::io::Write;
use unisono_media::video::Time;

/// Puts frames aside, and hands them to the model.
pub(super) struct Keeper<'a> {
    task: &'a VideoTask<'a>,
    pub(super) spool: File,
    end: u64,
    pub(super) kept: Vec<Kept>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(task: &'a VideoTask<'a>) -> Result<Self> {
        let folder = task.wanted.spool;
        let spool = tempfile::tempfile_in(folder).map_err(Error::io(folder, "write"))?;
        Ok(Self { task, spool, end: 0, kept: Vec::new() })
    }

    pub(super) fn push(&mut self, frame: u64, time: Time, image: &RgbImage) -> Result<()> {
        let wanted = self.task.wanted;
        let small = shrunk(image, wanted.settings.sample.thumbnail);
        let small = small.as_ref().unwrap_or(image);
        let jpeg = jpeg(small).map_err(|e| Error::Input(format!("a frame as JPEG: {e}")))?;
        let jpeg = self.put(&jpeg)?;
        // Not of the JPEG: what a model is shown of a video is what was decoded.
        let seen = match wanted.caption.map(|processor| processor.prepare(image)) {
            Some(seen) => Some((self.put(seen.as_raw())?, seen.dimensions())),
            None => None,
        };
        self.kept.push(Kept { frame, time, jpeg, seen });
        if let Some(processor) = wanted.image {
            let image = processor.prepare(image);
            // Nobody listens any more: the job is ending.
            let at = self.task.at;
            self.task.sender.send(Message::Image { at, image }).map_err(|_| Error::Interrupted)?;
        }
        Ok(())
    }
}

impl Keeper<'_> {
    /// Writes behind what is there.
    fn put(&mut self, bytes: &[u8]) -> Result<Piece> {
        self.spool.write_all(bytes).map_err(Error::io(self.task.wanted.spool, "write"))?;
        let piece = Piece { from: self.end, length: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(piece)
    }
}

/// An image whose longer side is `side`; `None`: it is no longer than that.
pub(super) fn shrunk(image: &RgbImage, side: u32) -> Option<RgbImage> {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= side {
        return None;
    }
    let of = |n: u32| (u64::from(n) * u64::from(side) / u64::from(longer)).max(1) as u32;
    Some(image::imageops::thumbnail(image, of(width), of(height)))
}

/// As a JPEG file.
pub(super) fn jpeg(image: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 88).encode_image(image)?;
    Ok(bytes)
}
