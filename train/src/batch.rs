//! From the samples of a batch through the towers to unit vectors and tokens.

use crate::Result;
use crate::data::Sample;
use image::RgbImage;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use tch::{Device, Tensor};
use unisono_encoders::clips::{Clips, known_frames, unit};
use unisono_encoders::{Modality, Mode, Model, Pass};
use unisono_fusion::objective::{Items, TowerTokens, View};

/// What the objective knows of a batch.
pub fn items<S: Borrow<Sample>>(samples: &[S]) -> Items {
    let samples = || samples.iter().map(Borrow::borrow);
    let mut items = Items {
        labels: samples().map(|s| s.label).collect(),
        texts: samples().map(|s| s.text).collect(),
        sources: samples().map(|s| s.source).collect(),
        again: (0..).zip(samples()).filter_map(|(row, s)| Some((row, s.of?))).collect(),
        mined: (0..).zip(samples()).filter(|(_, s)| s.mined).map(|(row, _)| row).collect(),
        ..Items::default()
    };
    for (row, sample) in samples().enumerate() {
        for (to, from) in [(&mut items.teachers, &sample.taught), (&mut items.features, &sample.frozen)] {
            from.iter().for_each(|(modality, vector)| to.entry(*modality).or_default().push(row, vector));
        }
    }
    items
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
    /// Floating-point operations of the towers' forward pass, a lower bound.
    pub flops: f64,
}

/// How the towers of a step run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run<'a> {
    /// Whose tokens are wanted.
    pub fused: &'a [Modality],
    /// What is wanted of these is a token that is their vector, and no token of a tower; no gradient flows back through it.
    pub vectors: bool,
    /// Frozen towers: they run as in evaluation.
    pub still: &'a [Modality],
    /// Towers that do not run.
    pub without: &'a [Modality],
}

/// Runs each tower over the samples that have its modality, and projects: the views of a contrastive batch, and the tokens that are wanted.
/// Where draws are a function of the sample, the pass knows what each sample is known by.
///
/// # Errors
/// libtorch's.
pub fn forward<S: Borrow<Sample>>(model: &Model, samples: &[S], pass: &Pass, run: &Run) -> Result<Forwarded> {
    let samples: Vec<&Sample> = samples.iter().map(Borrow::borrow).collect();
    let (samples, fused) = (samples.as_slice(), if run.vectors { &[] } else { run.fused });
    let known = |rows: &[usize]| pass.known(rows);
    // A projection is trained whether its tower is or not.
    let projecting = *pass;
    let pass = |modality| Pass {
        // A frozen tower does not change: no dropout, and the statistics of its norms stay what they are.
        mode: if run.still.contains(&modality) { Mode::Eval } else { pass.mode },
        frames: FRAME_ROUND,
        ..*pass
    };
    let (mut views, mut tokens, mut flops) = (BTreeMap::new(), BTreeMap::new(), 0.0);
    let rows_of = |modality: Modality, has: &dyn Fn(&Sample) -> bool| -> Vec<usize> {
        let runs = !run.without.contains(&modality);
        let there = samples.iter().enumerate().filter(|(_, s)| runs && has(s));
        there.map(|(i, _)| i).collect()
    };
    for modality in Modality::ALL {
        let rows = rows_of(modality, &|s| s.pooled.contains_key(&modality));
        if !rows.is_empty() {
            let vectors = model.project_in(
                modality,
                &kept(samples, modality, model.device())?,
                &projecting.over(&known(&rows)),
            )?;
            flops += projection_flops(model, modality) * rows.len() as f64;
            views.insert(modality, View { vectors, rows });
        }
    }
    let runs = |m: Modality, rows: &[usize]| !rows.is_empty() && !samples[rows[0]].pooled.contains_key(&m);
    let rows = rows_of(Modality::Text, &|s| s.ids.is_some());
    if runs(Modality::Text, &rows) {
        let ids: Vec<&[i64]> = samples.iter().filter_map(|s| s.read()).collect();
        let out = model.encode_texts(&ids, &pass(Modality::Text).over(&known(&rows)), false)?;
        flops += out.flops;
        let vectors = model.project_in(Modality::Text, &out.pooled, &projecting.over(&known(&rows)))?;
        views.insert(Modality::Text, View { vectors, rows });
    }
    let rows = rows_of(Modality::Image, &|s| !s.squares.is_empty());
    if !rows.is_empty() {
        let squares: Vec<&[RgbImage]> = rows.iter().map(|i| samples[*i].squares.as_slice()).collect();
        let counts: Vec<usize> = squares.iter().map(|frames| frames.len()).collect();
        let keep = fused.contains(&Modality::Image);
        let (out, clips) = model.encode_frames(&squares, &pass(Modality::Image).over(&known(&rows)), keep)?;
        flops += out.flops;
        if let Some((of, mask)) = out.tokens {
            let frames = match clips.are_images() {
                true => vec![(of, mask)],
                false => clips.tokens(&of, mask.as_ref())?,
            };
            tokens.insert(Modality::Image, TowerTokens { frames, rows: rows.clone() });
        }
        if model.config().video.is_some() {
            let seen = Squares { pooled: &out.pooled, rows: &rows, counts: &counts };
            let (of, more) =
                seen.views(model, samples, &projecting, [&pass(Modality::Video), &pass(Modality::Audio)])?;
            views.extend(of);
            flops += more;
        } else {
            // Without a table for videos they are images of several frames.
            let known = known_frames(&projecting.over(&known(&rows)), &counts);
            let vectors = model.project_in(Modality::Image, &out.pooled, &projecting.over(&known))?;
            let vectors = match clips.are_images() {
                true => vectors,
                false => unit(&clips.mean(&clips.rows(&vectors)?)?)?,
            };
            views.insert(Modality::Image, View { vectors, rows });
        }
    }
    let rows = rows_of(Modality::Audio, &|s| s.mel.is_some());
    if !rows.is_empty() {
        let mels: Vec<&[f32]> = samples.iter().filter_map(|s| s.mel.as_deref()).collect();
        let keep = fused.contains(&Modality::Audio);
        let out = model.encode_audio(&mels, &pass(Modality::Audio).over(&known(&rows)), keep)?;
        flops += out.flops;
        if let Some(of) = out.tokens {
            tokens.insert(Modality::Audio, TowerTokens { frames: vec![of], rows: rows.clone() });
        }
        let vectors = model.project_in(Modality::Audio, &out.pooled, &projecting.over(&known(&rows)))?;
        views.insert(Modality::Audio, View { vectors, rows });
    }
    for modality in run.fused.iter().filter(|_| run.vectors) {
        if let Some(view) = views.get(modality) {
            // What captions want of a space does not bend it.
            let frames = vec![(view.vectors.f_detach()?.f_unsqueeze(1)?, None)];
            tokens.insert(*modality, TowerTokens { frames, rows: view.rows.clone() });
        }
    }
    Ok(Forwarded { views, tokens, flops })
}

/// Floating-point operations of a vector through a projection: two for each of its weights.
fn projection_flops(model: &Model, modality: Modality) -> f64 {
    let scope = format!("{modality}.projection.");
    let own = model.params().iter().filter(|(name, _)| name.starts_with(&scope));
    2.0 * own.map(|(_, p)| p.tensor.numel() as f64).sum::<f64>()
}

/// The pooled vectors `[n, W]` of the samples of which one is kept.
fn kept(samples: &[&Sample], modality: Modality, device: Device) -> Result<Tensor> {
    let rows: Vec<&[f32]> =
        samples.iter().filter_map(|s| s.pooled.get(&modality)).map(Vec::as_slice).collect();
    let width = rows.first().map_or(0, |row| row.len()) as i64;
    let flat = Tensor::f_from_slice(&rows.concat())?.f_view([rows.len() as i64, width])?;
    Ok(flat.f_to_device(device)?)
}

/// Images and frames of videos that went through the image tower together.
struct Squares<'a> {
    /// `[N, W]`.
    pooled: &'a Tensor,
    /// The sample of each image or video.
    rows: &'a [usize],
    /// How many squares each has.
    counts: &'a [usize],
}

impl Squares<'_> {
    /// The views of images and of videos, each of which may be missing, and the operations that they took.
    fn views(
        &self,
        model: &Model,
        samples: &[&Sample],
        projecting: &Pass,
        [pass, hearing]: [&Pass; 2],
    ) -> Result<(Vec<(Modality, View)>, f64)> {
        let (mut images, mut videos) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (mut counts, mut first) = (Vec::new(), 0i64);
        for (row, count) in self.rows.iter().zip(self.counts) {
            let (rows, squares) = if samples[*row].video { &mut videos } else { &mut images };
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
        let (mut views, mut flops) = (Vec::new(), 0.0);
        if !images.0.is_empty() {
            let vectors = model.project_in(
                Modality::Image,
                &pick(&images.1)?,
                &projecting.over(&projecting.known(&images.0)),
            )?;
            views.push((Modality::Image, View { vectors, rows: images.0 }));
        }
        if !videos.0.is_empty() {
            let tracks: Vec<Option<&[f32]>> = videos.0.iter().map(|r| samples[*r].track.as_deref()).collect();
            let known = pass.known(&videos.0);
            let heard = model.clip_audio(&tracks, &hearing.over(&known))?;
            let clips = Clips::new(&counts, model.device())?;
            flops +=
                model.config().video_flops(clips.sizes()) + heard.as_ref().map_or(0.0, |(_, flops)| *flops);
            let heard = heard.as_ref().map(|(heard, _)| heard);
            let vectors = model.forward_video(&pick(&videos.1)?, &clips, heard, pass.over(&known))?;
            let vectors = model.project(Modality::Video, &vectors)?;
            views.push((Modality::Video, View { vectors, rows: videos.0 }));
        }
        Ok((views, flops))
    }
}
