//! Tokens a second of a model that writes: `generate_speed DIR THREADS ROUNDS LENGTH [fp32|int8]` → one JSON line a setting and round.
//!
//! For a captioner: texts of LENGTH tokens about made-up images, 1 and 8 at once, greedy and with 3 beams, memory and prefill
//! included, the image tower not. For Whisper: whole windows of 30 seconds, encoder included, LENGTH tokens each.
//! benches/generate.py runs it beside transformers.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode, Precision};
use unisono_fusion::{FusionModel, Generation, Sequence};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args[i].parse::<usize>().unwrap();
    tch::set_num_threads(number(1) as i32);
    unisono_torch_ext::library::keep_freed_memory();
    let mut model = FusionModel::load(Path::new(&args[0]), Device::Cpu).unwrap();
    let precision: Precision = args.get(4).map_or("fp32", String::as_str).parse().unwrap();
    model.prepare(precision).unwrap();
    let length = number(3);
    let end = model.config().tokens.end.clone();
    let speech = model.config().speech.clone();
    for round in 0..number(2) + 1 {
        for (batch, beams) in [(1, 1), (1, 3), (8, 1), (8, 3)] {
            if speech.is_some() && batch > 1 {
                continue;
            }
            // The end is never written: every text has the same length.
            let options = Generation {
                max_length: length,
                beams,
                end: vec![],
                suppress: end.clone(),
                ..Generation::default()
            };
            let begun = Instant::now();
            let (seen, prompt) = match &speech {
                Some(speech) => {
                    let bands = model.towers().config().audio.as_ref().unwrap().most()[1];
                    let mel = Tensor::zeros([batch, speech.frames as i64, bands], (Kind::Float, Device::Cpu));
                    let lengths = Tensor::full([batch], speech.frames as i64, (Kind::Int64, Device::Cpu));
                    let out =
                        tch::no_grad(|| model.towers().forward_audio(&mel, &lengths, Mode::Eval)).unwrap();
                    (
                        Sequence { modality: Modality::Audio, tokens: out.tokens, mask: None, frame: 0 },
                        vec![model.config().tokens.start],
                    )
                }
                None => {
                    let image = model.towers().config().image.clone().unwrap();
                    let [h, w] = image.size().sides;
                    let pixels = Tensor::zeros([batch, 3, h, w], (Kind::Float, Device::Cpu));
                    let out = tch::no_grad(|| model.towers().forward_image(&pixels, Mode::Eval)).unwrap();
                    (
                        Sequence { modality: Modality::Image, tokens: out.tokens, mask: None, frame: 0 },
                        vec![model.config().tokens.start],
                    )
                }
            };
            let tower = begun.elapsed().as_secs_f64();
            let memory = model.cross_kv(&[seen]).unwrap();
            let stack = model.writer().unwrap();
            let generator = unisono_fusion::Generator {
                stack,
                memory: Some(&memory),
                options: &options,
                rule: None,
                first: 0,
            };
            let texts = generator.run(&vec![prompt; batch as usize], None).unwrap();
            let seconds = begun.elapsed().as_secs_f64();
            let tokens: usize = texts.iter().map(|t| t.ids.len() - t.prompt).sum();
            // The first round warms up.
            if round > 0 {
                println!(
                    "{{\"batch\":{batch},\"beams\":{beams},\"tower\":{tower},\"seconds\":{seconds},\"tokens\":{tokens}}}"
                );
            }
        }
    }
}
