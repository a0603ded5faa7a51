//! From the samples of a batch through the towers to unit vectors and tokens.

use crate::Result;
use crate::data::Sample;
use image::RgbImage;
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_encoders::batch;
use unisono_encoders::clips::{Clips, Tokens, joined, unit};
use unisono_encoders::video::Heard;
use unisono_encoders::{Modality, Mode, Model};
use unisono_fusion::objective::{Items, TowerTokens, View};

/// What the objective knows of a batch.
pub fn items(samples: &[Sample]) -> Items {
    Items {
        labels: samples.iter().map(|s| s.label).collect(),
        texts: samples.iter().map(|s| s.text).collect(),
    }
}

/// A batch's shape, for counting its arithmetic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shapes {
    /// Texts and tokens a text, padding included, for each bucket.
    pub text: Vec<(i64, i64)>,
    /// Pictures.
    pub images: i64,
    /// Sounds and frames a sound, padding included, for each bucket.
    pub audio: Vec<(i64, i64)>,
}

/// Rounds spectrogram lengths so that few shapes occur.
const FRAME_ROUND: usize = 32;

/// What the towers make of a batch.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// Unit vectors by modality.
    pub views: BTreeMap<Modality, View>,
    /// Tokens of the modalities that were asked for.
    pub tokens: BTreeMap<Modality, TowerTokens>,
    /// For counting arithmetic.
    pub shapes: Shapes,
}

/// Runs each tower over the samples that have its modality, and projects: the views of a contrastive batch, and the tokens of the
/// modalities `fused`. Texts and sounds go through in `buckets` parts of like length. The towers `still` are frozen.
///
/// # Errors
/// libtorch's.
pub fn forward(
    model: &Model,
    samples: &[Sample],
    buckets: usize,
    fused: &[Modality],
    still: &[Modality],
) -> Result<Forwarded> {
    // A frozen tower does not change: no dropout, and the statistics of its norms stay what they are.
    let mode = |m: Modality| if still.contains(&m) { Mode::Eval } else { Mode::Train };
    let (mut views, mut shapes) = (BTreeMap::new(), Shapes::default());
    let mut tokens = BTreeMap::new();
    let rows_of = |has: fn(&Sample) -> bool| -> Vec<usize> {
        samples.iter().enumerate().filter(|(_, s)| has(s)).map(|(i, _)| i).collect()
    };
    let rows = rows_of(|s| s.ids.is_some());
    if !rows.is_empty() {
        let ids: Vec<&Vec<i64>> = samples.iter().filter_map(|s| s.ids.as_ref()).collect();
        let (vectors, _) = in_buckets(&ids, buckets, |part| {
            let part: Vec<Vec<i64>> = part.iter().map(|ids| (**ids).clone()).collect();
            let (ids, mask) = batch::token_ids(model.text_processor()?, &part, model.device())?;
            shapes.text.push(ids.size2()?);
            Ok((
                model.project(
                    Modality::Text,
                    &model.forward_text(&ids, &mask, mode(Modality::Text))?.pooled,
                )?,
                None,
            ))
        })?;
        views.insert(Modality::Text, View { vectors, rows });
    }
    let rows = rows_of(|s| !s.squares.is_empty());
    if !rows.is_empty() {
        let squares: Vec<RgbImage> = samples.iter().flat_map(|s| s.squares.iter().cloned()).collect();
        shapes.images = squares.len() as i64;
        let counts: Vec<usize> = rows.iter().map(|i| samples[*i].squares.len()).collect();
        let clips = Clips::new(&counts, model.device())?;
        let out = if model.mixes_frames() {
            let pixels = batch::images(model.image_processor()?, &squares, model.device())?;
            model.forward_frames(&pixels, &clips, mode(Modality::Image))?
        } else {
            model.forward_pictures(&squares, mode(Modality::Image))?
        };
        if fused.contains(&Modality::Image) {
            let frames = match clips.are_pictures() {
                true => vec![(out.tokens, out.mask)],
                false => clips.tokens(&out.tokens, out.mask.as_ref())?,
            };
            tokens.insert(Modality::Image, TowerTokens { frames, rows: rows.clone() });
        }
        if model.config().video.is_some() {
            let seen = Squares { pooled: &out.pooled, rows: &rows, counts: &counts };
            views.extend(seen.views(
                model,
                samples,
                mode(Modality::Video),
                mode(Modality::Audio),
                &mut shapes,
            )?);
        } else {
            // Without a table for videos they are pictures of several frames.
            let vectors = model.project(Modality::Image, &out.pooled)?;
            let vectors = match clips.are_pictures() {
                true => vectors,
                false => unit(&clips.mean(&clips.rows(&vectors)?)?)?,
            };
            views.insert(Modality::Image, View { vectors, rows });
        }
    }
    let rows = rows_of(|s| s.mel.is_some());
    if !rows.is_empty() {
        let mels: Vec<&Vec<f32>> = samples.iter().filter_map(|s| s.mel.as_ref()).collect();
        let keep = fused.contains(&Modality::Audio);
        let (vectors, heard) = in_buckets(&mels, buckets, |part| {
            let part: Vec<&[f32]> = part.iter().map(|m| m.as_slice()).collect();
            let (mel, lengths) =
                batch::spectrograms(model.audio_processor()?, &part, FRAME_ROUND, model.device())?;
            shapes.audio.push((mel.size()[0], mel.size()[1]));
            let out = model.forward_audio(&mel, &lengths, mode(Modality::Audio))?;
            let vectors = model.project(Modality::Audio, &out.pooled)?;
            Ok((vectors, if keep { Some((out.tokens, out.mask)) } else { None }))
        })?;
        if let Some((tokens_of, mask)) = heard {
            tokens
                .insert(Modality::Audio, TowerTokens { frames: vec![(tokens_of, mask)], rows: rows.clone() });
        }
        views.insert(Modality::Audio, View { vectors, rows });
    }
    Ok(Forwarded { views, tokens, shapes })
}

/// Pictures and frames of videos that went through the image tower together.
struct Squares<'a> {
    /// `[N, W]`.
    pooled: &'a Tensor,
    /// The sample of each picture or video.
    rows: &'a [usize],
    /// How many squares each has.
    counts: &'a [usize],
}

impl Squares<'_> {
    /// The views of pictures and of videos, each of which may be missing.
    fn views(
        &self,
        model: &Model,
        samples: &[Sample],
        mode: Mode,
        hearing: Mode,
        shapes: &mut Shapes,
    ) -> Result<Vec<(Modality, View)>> {
        let (mut pictures, mut videos) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (mut counts, mut first) = (Vec::new(), 0i64);
        for (row, count) in self.rows.iter().zip(self.counts) {
            let (rows, squares) = if samples[*row].video { &mut videos } else { &mut pictures };
            rows.push(*row);
            squares.extend(first..first + *count as i64);
            first += *count as i64;
            if samples[*row].video {
                counts.push(*count);
            }
        }
        let pick = |squares: &[i64]| -> Result<Tensor> {
            let at = Tensor::f_from_slice(squares)?.f_to_device(self.pooled.device())?;
            Ok(self.pooled.f_index_select(0, &at)?)
        };
        let mut views = Vec::new();
        if !pictures.0.is_empty() {
            let vectors = model.project(Modality::Image, &pick(&pictures.1)?)?;
            views.push((Modality::Image, View { vectors, rows: pictures.0 }));
        }
        if !videos.0.is_empty() {
            let tracks: Vec<Option<&[f32]>> = videos.0.iter().map(|r| samples[*r].track.as_deref()).collect();
            let heard = hear(model, &tracks, hearing, shapes)?;
            let clips = Clips::new(&counts, model.device())?;
            let vectors = model.forward_video(&pick(&videos.1)?, &clips, heard.as_ref(), mode)?;
            let vectors = model.project(Modality::Video, &vectors)?;
            views.push((Modality::Video, View { vectors, rows: videos.0 }));
        }
        Ok(views)
    }
}

/// The sounds of those videos that have one.
fn hear(model: &Model, tracks: &[Option<&[f32]>], mode: Mode, shapes: &mut Shapes) -> Result<Option<Heard>> {
    let rows: Vec<usize> = (0..tracks.len()).filter(|i| tracks[*i].is_some()).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let mels: Vec<&[f32]> = tracks.iter().copied().flatten().collect();
    let (mel, lengths) = batch::spectrograms(model.audio_processor()?, &mels, FRAME_ROUND, model.device())?;
    shapes.audio.push((mel.size()[0], mel.size()[1]));
    let pooled = model.forward_audio(&mel, &lengths, mode)?.pooled;
    let vectors = model.project(Modality::Audio, &pooled)?;
    Ok(Some(Heard { pooled, vectors, rows }))
}

/// Sequences through `tower` in parts of like length; rows come back in their order.
fn in_buckets<T>(
    sequences: &[&Vec<T>],
    buckets: usize,
    mut tower: impl FnMut(&[&Vec<T>]) -> Result<(Tensor, Option<Tokens>)>,
) -> Result<(Tensor, Option<Tokens>)> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|i| sequences[*i].len());
    let (mut parts, mut tokens) = (Vec::new(), Vec::new());
    for bucket in order.chunks(sequences.len().div_ceil(buckets.max(1)).max(1)) {
        let (vectors, of) = tower(&bucket.iter().map(|i| sequences[*i]).collect::<Vec<_>>())?;
        parts.push(vectors);
        tokens.extend(of);
    }
    let mut back = vec![0i64; order.len()];
    for (position, item) in order.iter().enumerate() {
        back[*item] = position as i64;
    }
    let all = Tensor::f_cat(&parts, 0)?;
    let back = Tensor::f_from_slice(&back)?.f_to_device(all.device())?;
    let tokens = match tokens.as_slice() {
        [] => None,
        parts => {
            let (tokens, mask) = joined(parts)?;
            let ordered = |t: &Tensor| t.f_index_select(0, &back);
            Some((ordered(&tokens)?, mask.as_ref().map(ordered).transpose()?))
        }
    };
    Ok((all.f_index_select(0, &back)?, tokens))
}
