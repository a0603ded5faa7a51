//! Every tower of a model, from made-up inputs to unit vectors.

use super::args::Args;
use super::compare::{cosine, difference, text};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_encoders::clips::Clips;
use unisono_encoders::{Modality, Mode, Model, Result, families, to_vec};

pub(super) fn measure(args: &Args, dir: &Path, device: Device) -> Result<Value, String> {
    let mut there = families::load(dir, device).map_err(text)?.model;
    there.prepare(args.precision).map_err(text)?;
    let here = match args.no_compare {
        true => None,
        false => Some(families::load(dir, Device::Cpu).map_err(text)?.model),
    };
    let batch = i64::from(args.batch);
    let mut all = serde_json::Map::new();
    for modality in there.embeds() {
        let one = || -> Result<Value, String> {
            let inputs = Inputs::new(&there, modality, batch).map_err(text)?;
            let found = inputs.vectors(&there).map_err(text)?;
            let mut value = json!({});
            if let Some(here) = &here {
                let same = Inputs::new(here, modality, batch).map_err(text)?;
                let want = to_vec(&same.vectors(here).map_err(text)?).map_err(text)?;
                let found = to_vec(&found).map_err(text)?;
                let dim = usize::try_from(here.config().embed_dim).unwrap_or(1);
                value["difference"] = json!(difference(&found, &want));
                value["cosine"] = json!(cosine(&found, &want, dim));
            }
            if args.rounds > 0 {
                let begun = Instant::now();
                let mut last = None;
                for _ in 0..args.rounds {
                    last = Some(inputs.vectors(&there).map_err(text)?);
                }
                // Reading the last one waits for all of them.
                last.as_ref().map(to_vec).transpose().map_err(text)?;
                let seconds = begun.elapsed().as_secs_f64();
                value["items_per_second"] = json!(batch as f64 * f64::from(args.rounds) / seconds);
            }
            Ok(value)
        };
        // One tower's fault does not hide the others.
        let value = one().unwrap_or_else(|e| json!({ "fault": crate::error::one_line(&e) }));
        all.insert(modality.name().into(), value);
    }
    Ok(Value::Object(all))
}

/// A batch on a model's device: made before the clock runs, as a peer's bench makes it.
enum Inputs {
    Text { ids: Tensor, mask: Tensor },
    Image(Tensor),
    Video { pixels: Tensor, clips: Clips },
    Audio { mel: Tensor, lengths: Tensor },
}

impl Inputs {
    /// Made-up inputs, the same on every device.
    fn new(model: &Model, modality: Modality, batch: i64) -> Result<Self> {
        let (c, device) = (model.config(), model.device());
        Ok(match (modality, &c.text, &c.image) {
            (Modality::Text, Some(text), _) => {
                let t = text.context_length.min(16);
                let ids: Vec<i64> = (0..batch * t).map(|i| i * 7919 % text.vocab_size).collect();
                let ids = Tensor::f_from_slice(&ids)?.f_view([batch, t])?.f_to_device(device)?;
                Self::Text { ids, mask: Tensor::f_ones([batch, t], (Kind::Bool, device))? }
            }
            (Modality::Image, _, Some(image)) => {
                let [h, w] = image.size().sides;
                Self::Image(wave(&[batch, 3, h, w], device)?)
            }
            (Modality::Video, _, Some(image)) => {
                let ([h, w], frames) = (image.size().sides, model.frames());
                let clips = Clips::new(&vec![frames; batch as usize], device)?;
                Self::Video { pixels: wave(&[batch * frames as i64, 3, h, w], device)?, clips }
            }
            _ => {
                let audio = c.audio.as_ref().ok_or_else(|| model.no_tower(modality))?;
                let [frames, mels] = audio.most();
                let lengths = Tensor::f_full([batch], frames, (Kind::Int64, device))?;
                Self::Audio { mel: wave(&[batch, frames, mels], device)?, lengths }
            }
        })
    }

    /// `[B, D]` unit vectors.
    fn vectors(&self, model: &Model) -> Result<Tensor> {
        tch::no_grad(|| {
            let (modality, pooled) = match self {
                Self::Text { ids, mask } => {
                    (Modality::Text, model.forward_text(ids, mask, Mode::Eval)?.pooled)
                }
                Self::Image(pixels) => (Modality::Image, model.forward_image(pixels, Mode::Eval)?.pooled),
                Self::Video { pixels, clips } => {
                    let seen = model.forward_frames(pixels, clips.sizes().1, Mode::Eval)?.pooled;
                    (Modality::Video, model.forward_video(&seen, clips, None, Mode::Eval)?)
                }
                Self::Audio { mel, lengths } => {
                    (Modality::Audio, model.forward_audio(mel, lengths, Mode::Eval)?.pooled)
                }
            };
            model.project(modality, &pooled)
        })
    }
}

/// Numbers between -1 and 1, computed on the CPU wherever they go.
pub(super) fn wave(shape: &[i64], device: Device) -> Result<Tensor> {
    let n: i64 = shape.iter().product();
    let x = Tensor::f_arange(n, (Kind::Float, Device::Cpu))?.f_mul_scalar(0.37)?.f_sin()?;
    Ok(x.f_view(shape)?.f_to_device(device)?)
}
