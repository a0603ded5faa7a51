//! Texts that a model writes about made-up images and audio files: the same ids on both devices, and tokens a second.

use super::args::Args;
use super::compare::text;
use super::towers::wave;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode};
use unisono_fusion::{FusionModel, Generation, Generator, Result, Sequence};

pub(super) fn measure(args: &Args, dir: &Path, device: Device) -> Result<Value, String> {
    if !unisono_fusion::import::is(dir).unwrap_or(false) {
        return Ok(Value::Null);
    }
    let load = |device| unisono_fusion::import::load(dir, device).map(|found| found.model).map_err(text);
    let here = match load(Device::Cpu) {
        Ok(here) => here,
        // Nothing of the device's: no model takes it.
        Err(e) => return Ok(json!({ "refused": crate::error::one_line(&e) })),
    };
    let mut there = load(device)?;
    there.prepare(args.precision).map_err(text)?;
    let here = if args.no_compare { None } else { Some(here) };
    let batch = i64::from(args.batch);
    let mut all = serde_json::Map::new();
    for beams in [1, 3] {
        let options = |model: &FusionModel| Generation {
            max_length: usize::from(args.tokens),
            beams,
            // The end is never written: every text has the same length.
            end: Vec::new(),
            suppress: model.config().tokens.end.clone(),
            ..Generation::default()
        };
        let Some(found) = ids(&there, batch, &options(&there)).map_err(text)? else { return Ok(Value::Null) };
        let mut value = json!({});
        if let Some(here) = &here {
            let want = ids(here, batch, &options(here)).map_err(text)?.unwrap_or_default();
            let equal = found.iter().flatten().zip(want.iter().flatten()).filter(|(a, b)| a == b).count();
            value["equal_tokens"] = json!(format!("{equal} of {}", want.iter().map(Vec::len).sum::<usize>()));
        }
        if args.rounds > 0 {
            let begun = Instant::now();
            let mut tokens = 0;
            for _ in 0..args.rounds {
                let texts = ids(&there, batch, &options(&there)).map_err(text)?.unwrap_or_default();
                tokens += texts.iter().map(|t| t.len() - 1).sum::<usize>();
            }
            value["tokens_per_second"] = json!(tokens as f64 / begun.elapsed().as_secs_f64());
        }
        all.insert(format!("beams {beams}"), value);
    }
    Ok(Value::Object(all))
}

/// The ids of a text about each of some made-up items, their towers included; `None` for a model that writes none.
fn ids(model: &FusionModel, batch: i64, options: &Generation) -> Result<Option<Vec<Vec<i64>>>> {
    let Some(stack) = model.writer() else { return Ok(None) };
    let (towers, device) = (model.towers(), model.towers().device());
    let c = towers.config();
    let (modality, out) = match (&model.config().speech, &c.image, &c.audio) {
        (Some(speech), _, Some(audio)) => {
            let frames = i64::try_from(speech.frames).unwrap_or(0);
            let mel = wave(&[batch, frames, audio.most()[1]], device)?;
            let lengths = Tensor::f_full([batch], frames, (Kind::Int64, device))?;
            (Modality::Audio, tch::no_grad(|| towers.forward_audio(&mel, &lengths, Mode::Eval))?)
        }
        (None, Some(image), _) => {
            let [h, w] = image.size().sides;
            let pixels = wave(&[batch, 3, h, w], device)?;
            (Modality::Image, tch::no_grad(|| towers.forward_image(&pixels, Mode::Eval))?)
        }
        _ => return Ok(None),
    };
    let memory = model.cross_kv(&[Sequence { modality, tokens: out.tokens, mask: out.mask, frame: 0 }])?;
    let prompts = vec![vec![model.config().tokens.start]; batch as usize];
    let generator = Generator { stack, memory: Some(&memory), options, rule: None, first: 0 };
    Ok(Some(generator.run(&prompts, None)?.into_iter().map(|t| t.ids).collect()))
}
