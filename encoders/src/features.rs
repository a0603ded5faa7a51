//! Prepared inputs through the towers: the one way, for training, evaluation and jobs.

use crate::batch;
use crate::clips::{Clips, Tokens};
use crate::gather::Gathered;
use crate::video::ClipAudio;
use crate::{Error, Modality, Model, Pass, Result};
use image::RgbImage;
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_processors::Prepared;

/// Frames that go through the image tower at once in evaluation: memory does not grow with the number of videos.
pub(crate) const AT_ONCE: usize = 64;

/// What a tower is given, from its processor.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Token ids.
    Text(&'a [i64]),
    /// An image of the processor's size.
    Image(&'a RgbImage),
    /// A log-mel spectrogram `[T, M]`.
    Audio(&'a [f32]),
    /// Frames of the processor's size, and the audio's spectrogram.
    Video(&'a [RgbImage], Option<&'a [f32]>),
}

impl Input<'_> {
    /// Whose tower takes it.
    pub fn modality(&self) -> Modality {
        match self {
            Self::Text(_) => Modality::Text,
            Self::Image(_) => Modality::Image,
            Self::Audio(_) => Modality::Audio,
            Self::Video(..) => Modality::Video,
        }
    }
}

impl<'a> From<&'a Prepared> for Input<'a> {
    fn from(prepared: &'a Prepared) -> Self {
        match prepared {
            Prepared::Text(ids) => Self::Text(ids),
            Prepared::Image(image) => Self::Image(image),
            Prepared::Audio(mel, _) => Self::Audio(mel),
            Prepared::Video(clip) => clip.into(),
        }
    }
}

impl<'a> From<&'a crate::Clip> for Input<'a> {
    fn from(clip: &'a crate::Clip) -> Self {
        Self::Video(&clip.frames, clip.audio.as_deref())
    }
}

/// What the towers make of some inputs.
#[derive(Debug, Default)]
pub struct Features {
    /// By modality, those that there are inputs of.
    pub towers: BTreeMap<Modality, TowerFeatures>,
    /// Floating-point operations that it took, a lower bound.
    pub flops: f64,
}

/// What one tower makes of the inputs of its modality.
#[derive(Debug)]
pub struct TowerFeatures {
    /// The input that each row belongs to, ascending.
    pub rows: Vec<usize>,
    /// `[n, W]`; of videos `[n, D]` in the shared space, not of length 1.
    pub pooled: Tensor,
    /// Tokens padded to the longest; of videos, for each frame.
    pub tokens: Vec<Tokens>,
}

impl Model {
    /// Inputs of any modalities through their towers. Images go through by sizes, texts and audio files in parts of like length
    /// ([`Pass::parts`]), and what comes out is in the order of the inputs; the tokens of images of several shapes are padded and masked.
    ///
    /// # Errors
    /// No tower for one of them, an input that it does not take, or libtorch's.
    pub fn features<'a, I>(&self, inputs: I, pass: &Pass) -> Result<Features>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let inputs: Vec<Input> = inputs.into_iter().map(Into::into).collect();
        self.run(&inputs, pass, true)
    }

    /// Inputs of any modalities → `[N, D]` in their order, without a graph: unit vectors, or of the length that the projection gives; D is
    /// [`dims`](Self::dims).
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn embed<'a, I>(&self, inputs: I, normalize: bool) -> Result<Tensor>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let inputs: Vec<Input> = inputs.into_iter().map(Into::into).collect();
        tch::no_grad(|| {
            let (mut vectors, mut order) = (Vec::new(), Vec::new());
            for (modality, of) in self.run(&inputs, &Pass::EVAL, false)?.towers {
                vectors.push(self.embed_pooled(modality, &of.pooled, normalize)?);
                order.extend(of.rows);
            }
            match vectors.len() {
                0 => Err(Error::Input("nothing to embed".into())),
                1 => Ok(vectors.swap_remove(0)),
                _ => crate::gather::back(&Tensor::f_cat(&vectors, 0)?, &order),
            }
        })
    }

    /// Inputs of one modality → their pooled vectors `[N, W]` in their order, from which a projection leads on; without a graph.
    ///
    /// # Errors
    /// As [`features`](Self::features), and nothing or several modalities.
    pub fn pooled<'a, I>(&self, inputs: I) -> Result<Tensor>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let inputs: Vec<Input> = inputs.into_iter().map(Into::into).collect();
        let mut towers = tch::no_grad(|| self.run(&inputs, &Pass::EVAL, false))?.towers;
        match (towers.pop_first(), towers.is_empty()) {
            (Some((_, of)), true) => Ok(of.pooled),
            _ => Err(Error::Input("expected inputs of one modality".into())),
        }
    }

    pub(crate) fn run(&self, inputs: &[Input], pass: &Pass, tokens: bool) -> Result<Features> {
        if let Some(draws) = pass.draws {
            // For what is drawn without a look at the sample.
            tch::manual_seed(draws.seed as i64);
        }
        let mut features = Features::default();
        for modality in Modality::ALL {
            let rows: Vec<usize> = (0..inputs.len()).filter(|i| inputs[*i].modality() == modality).collect();
            if rows.is_empty() {
                continue;
            }
            let (mut ids, mut images, mut mels, mut clips) = (vec![], vec![], vec![], vec![]);
            let known = pass.known(&rows);
            let pass = &pass.over(&known);
            for row in &rows {
                match inputs[*row] {
                    Input::Text(of) => ids.push(of),
                    Input::Image(of) => images.push(std::slice::from_ref(of)),
                    Input::Audio(of) => mels.push(of),
                    Input::Video(frames, audio) => clips.push((frames, audio)),
                }
            }
            let gathered = match modality {
                Modality::Text => self.encode_texts(&ids, pass, tokens)?,
                Modality::Image => self.encode_frames(&images, pass, tokens)?.0,
                Modality::Audio => self.encode_audio(&mels, pass, tokens)?,
                Modality::Video => {
                    let (of, flops) = self.videos(rows, &clips, pass, tokens)?;
                    features.flops += flops;
                    features.towers.insert(modality, of);
                    continue;
                }
            };
            features.flops += gathered.flops;
            let of = TowerFeatures {
                rows,
                pooled: gathered.pooled,
                tokens: gathered.tokens.into_iter().collect(),
            };
            features.towers.insert(modality, of);
        }
        Ok(features)
    }

    /// Id lists through the text tower, in [`Pass::parts`] parts of like length; their tokens where they are wanted.
    ///
    /// # Errors
    /// No text tower, an empty or too long list, or libtorch's.
    pub fn encode_texts<S: AsRef<[i64]>>(&self, ids: &[S], pass: &Pass, tokens: bool) -> Result<Gathered> {
        let (processor, mut all) = (self.text_processor()?, Gathered::of(tokens));
        let lengths: Vec<usize> = ids.iter().map(|ids| ids.as_ref().len()).collect();
        for rows in like(&lengths, pass.parts) {
            let part: Vec<&[i64]> = rows.iter().map(|i| ids[*i].as_ref()).collect();
            let (ids, mask) = batch::token_ids(processor, &part, self.device())?;
            let each =
                self.config().text.as_ref().map_or(0.0, |c| c.flops(ids.size()[1], self.config().embed_dim));
            let flops = each * rows.len() as f64;
            let out = self.forward_text(&ids, &mask, pass.over(&pass.known(&rows)))?;
            all.push(out, rows, flops);
        }
        all.done()
    }

    /// Log-mel spectrograms `[T, M]` through the audio tower, in [`Pass::parts`] parts of like length; their tokens where they are wanted.
    ///
    /// # Errors
    /// No audio tower, a spectrogram of other bands, or libtorch's.
    pub fn encode_audio<S: AsRef<[f32]>>(&self, mels: &[S], pass: &Pass, tokens: bool) -> Result<Gathered> {
        let (processor, mut all) = (self.audio_processor()?, Gathered::of(tokens));
        let lengths: Vec<usize> = mels.iter().map(|mel| mel.as_ref().len()).collect();
        let whole = self.audio_window().is_whole();
        // Windows that are cut go together by size: an embedding does not depend on what is heard beside it.
        let parts = if whole && !processor.cuts() { like(&lengths, pass.parts) } else { alike(&lengths) };
        for rows in parts {
            let part: Vec<&[f32]> = rows.iter().map(|i| mels[*i].as_ref()).collect();
            let round = if whole && !processor.cuts() { pass.frames } else { 1 };
            let (mel, lengths) = batch::spectrograms(processor, &part, round, self.device())?;
            let frames = mel.size().get(mel.dim() - 2).copied().unwrap_or(0);
            let each = self.config().audio.as_ref().map_or(0.0, |c| c.flops(frames, self.config().embed_dim));
            let flops = each * rows.len() as f64;
            let known = pass.known(&rows);
            let out = match whole {
                true => self.forward_audio(&mel, &lengths, pass.over(&known))?,
                false => self.forward_cut_audio(&mel, pass.over(&known))?,
            };
            all.push(out, rows, flops);
        }
        all.done()
    }

    /// The frames of clips through the image tower, all of one size together, → pooled vectors and tokens of all frames, one after
    /// another, and whose each is. An image is a clip of one frame. Most towers see each frame by itself; where a clip's frames hear
    /// each other, clips of one length go through together.
    ///
    /// # Errors
    /// No image tower, a clip without a frame, a size that it does not take, or libtorch's.
    pub fn encode_frames(
        &self,
        clips: &[&[RgbImage]],
        pass: &Pass,
        tokens: bool,
    ) -> Result<(Gathered, Clips)> {
        let (tower, processor) = (self.image_tower()?, self.image_processor()?);
        let counts: Vec<usize> = clips.iter().map(|frames| frames.len()).collect();
        let of = Clips::new(&counts, self.device())?;
        let (mut groups, mut first) = (BTreeMap::<_, (Vec<&RgbImage>, Vec<usize>)>::new(), 0);
        let known = crate::clips::known_frames(pass, &counts);
        for clip in clips {
            for unit in clip.chunks(if tower.mixes_frames() { clip.len() } else { 1 }) {
                let (images, rows) = groups.entry((unit.len(), unit[0].dimensions())).or_default();
                images.extend(unit);
                rows.extend(first..first + unit.len());
                first += unit.len();
            }
        }
        let mut all = Gathered::of(tokens);
        for ((frames, _), (images, rows)) in groups {
            let pixels = batch::images(processor, &images, self.device())?;
            let size = pixels.size4()?;
            let each = self
                .config()
                .image
                .as_ref()
                .map_or(0.0, |c| c.flops_of([size.2, size.3], self.config().embed_dim, |n| pass.seen(n)));
            let known: Vec<u64> = rows.iter().filter_map(|row| known.get(*row).copied()).collect();
            let out = self.forward_frames(&pixels, frames as i64, pass.over(&known))?;
            all.push(out, rows, each * size.0 as f64);
        }
        Ok((all.done()?, of))
    }

    /// Clips through the image tower, the audio tower where the model listens, and the video tower.
    fn videos(
        &self,
        rows: Vec<usize>,
        clips: &[(&[RgbImage], Option<&[f32]>)],
        pass: &Pass,
        tokens: bool,
    ) -> Result<(TowerFeatures, f64)> {
        // A training step's statistics are those of the whole batch.
        let most = if pass.trains() { usize::MAX } else { AT_ONCE };
        let (mut pooled, mut flat, mut flops) = (Vec::new(), Vec::new(), 0.0);
        for part in parts(clips, most) {
            let frames: Vec<&[RgbImage]> = part.iter().map(|(frames, _)| *frames).collect();
            let (seen, of) = self.encode_frames(&frames, pass, tokens)?;
            let audios: Vec<Option<&[f32]>> = part.iter().map(|(_, audio)| *audio).collect();
            let heard = if self.listens() { self.clip_audio(&audios, pass)? } else { None };
            pooled.push(self.forward_video(&seen.pooled, &of, heard.as_ref().map(|(h, _)| h), pass)?);
            flops += seen.flops + heard.map_or(0.0, |(_, flops)| flops);
            flops += self.config().video_flops(of.sizes());
            flat.extend(seen.tokens);
        }
        let tokens = match flat.is_empty() {
            true => Vec::new(),
            false => {
                let (tokens, mask) = crate::clips::joined(&flat)?;
                let counts: Vec<usize> = clips.iter().map(|(frames, _)| frames.len()).collect();
                Clips::new(&counts, self.device())?.tokens(&tokens, mask.as_ref())?
            }
        };
        let pooled = match pooled.len() {
            1 => pooled.swap_remove(0),
            _ => Tensor::f_cat(&pooled, 0)?,
        };
        Ok((TowerFeatures { rows, pooled, tokens }, flops))
    }

    /// What is heard of those clips that have audio, and the operations that it took.
    ///
    /// # Errors
    /// As [`encode_audio`](Self::encode_audio).
    pub fn clip_audio(&self, audios: &[Option<&[f32]>], pass: &Pass) -> Result<Option<(ClipAudio, f64)>> {
        let rows: Vec<usize> = (0..audios.len()).filter(|i| audios[*i].is_some()).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let mels: Vec<&[f32]> = audios.iter().copied().flatten().collect();
        // All together: a clip's audio is one token beside its frames.
        let known = pass.known(&rows);
        let of = self.encode_audio(&mels, &Pass { parts: 1, ..pass.over(&known) }, false)?;
        let vectors = self.project(Modality::Audio, &of.pooled)?;
        Ok(Some((ClipAudio { pooled: of.pooled, vectors, rows }, of.flops)))
    }
}

/// Rows in `n` parts of like length; one part keeps their order.
fn like(lengths: &[usize], n: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    if n > 1 {
        order.sort_by_key(|i| lengths[*i]);
    }
    order.chunks(lengths.len().div_ceil(n.max(1)).max(1)).map(<[usize]>::to_vec).collect()
}

/// Rows of one length together.
fn alike(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut parts = BTreeMap::<usize, Vec<usize>>::new();
    for (row, length) in lengths.iter().enumerate() {
        parts.entry(*length).or_default().push(row);
    }
    parts.into_values().collect()
}

/// Clips in parts of at most `most` frames, at least one clip each.
pub(crate) fn parts<C: Frames>(clips: &[C], most: usize) -> Vec<&[C]> {
    let (mut parts, mut start, mut frames) = (Vec::new(), 0, 0usize);
    for (i, clip) in clips.iter().enumerate() {
        if i > start && frames + clip.count() > most {
            parts.push(&clips[start..i]);
            (start, frames) = (i, 0);
        }
        frames += clip.count();
    }
    parts.push(&clips[start..]);
    parts
}

/// What has frames.
pub(crate) trait Frames {
    /// How many.
    fn count(&self) -> usize;
}

impl Frames for Borrowed<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }
}

impl Frames for Vec<RgbImage> {
    fn count(&self) -> usize {
        self.len()
    }
}

/// A clip's frames and audio.
type Borrowed<'a> = (&'a [RgbImage], Option<&'a [f32]>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_like_length_and_lose_nothing() {
        assert_eq!(like(&[5, 1, 4, 2], 1), [[0, 1, 2, 3]]);
        assert_eq!(like(&[5, 1, 4, 2], 2), [[1, 3], [2, 0]]);
        assert_eq!(like(&[5, 1, 4], 9), [[1], [2], [0]]);
        assert!(like(&[], 3).is_empty());
    }

    #[test]
    fn clips_are_cut_where_there_are_too_many_frames() {
        let clip = |n: usize| vec![RgbImage::new(1, 1); n];
        let clips = [clip(3), clip(4), clip(2), clip(9), clip(1)];
        let of: Vec<Borrowed> = clips.iter().map(|c| (c.as_slice(), None)).collect();
        let counts = |most| parts(&of, most).iter().map(|p| p.len()).collect::<Vec<_>>();
        assert_eq!(counts(7), [2, 1, 1, 1]);
        assert_eq!(counts(usize::MAX), [5]);
        assert_eq!(counts(1), [1; 5]);
    }
}
