//! `unisono ask`: an answer to a question about each picture, sound or video.

use super::generation::{GenerationArgs, TextLength};
use super::{FileArgs, FrameArgs, LineArgs, Stage};
use crate::error::Error;
use crate::interrupt;
use serde_json::{Value, json};
use std::path::PathBuf;
use unisono_fusion::Ability;
use unisono_jobs::Error as JobError;

/// Answer a question about each picture, sound or video
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model directory, a training run's (its best checkpoint), or a hub id such as Salesforce/blip-vqa-base
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Pictures, sounds, videos, and folders with all that lies below them
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    how: FileArgs,
    #[command(flatten)]
    frames: FrameArgs,
    /// The question
    #[arg(long, value_name = "TEXT")]
    question: String,
    /// An answer that may be right; given several times, they are ranked and none is made up
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["GenerationArgs", "TextLength"])]
    answer: Vec<String>,
    #[command(flatten)]
    lines: LineArgs,
    #[command(flatten)]
    generation: GenerationArgs,
    #[command(flatten)]
    length: TextLength,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let _held = args.lines.claim(&args.files, &args.how)?;
    let ready = args.how.ready(&args.model, &args.files, Ability::Ask)?;
    let failed = |e: unisono_fusion::Error| Error::Jobs(JobError::from(e));
    let options =
        args.length.over(args.generation.over(&ready.model.config().generation, false)?, ready.room())?;
    ready.model.fits("a question", &args.question).map_err(failed)?;
    for answer in &args.answer {
        ready.model.fits("an answer", answer).map_err(failed)?;
    }
    let settings = format!("ask {options:?} {:?} {:?}", args.question, args.answer);
    let stage = Stage { name: "ask", frames: args.frames.get(&ready)?, quiet: false, audio_track: None };
    let found = args.how.run(stage, ready, args.lines.lines(&settings)?, |model, run| {
        run(&mut |items, media, first| {
            let (ids, real) = model.batch(&vec![&args.question; items.len()])?;
            let considered = model.consider(&ids, &real, &media.tokens(model)?)?;
            if args.answer.is_empty() {
                let texts =
                    model.answer(&considered, &options, first, Some(&mut |_| interrupt::flow().into()))?;
                let one = |t| Ok(Ok(json!({ "answer": model.say(t)?, "score": t.score })));
                return texts.iter().map(one).collect();
            }
            let rows = model.rank(&considered, &args.answer)?;
            Ok(rows.iter().map(|row| Ok(ranked(row, &args.answer))).collect())
        })
    })?;
    args.lines.print(&found, |id, value| {
        let mut text = format!("{id}: {}\n", value["answer"].as_str().unwrap_or_default());
        for answer in value["answers"].as_array().into_iter().flatten() {
            let percent = 100.0 * answer["probability"].as_f64().unwrap_or_default();
            text += &format!("  {percent:5.1} %  {}\n", answer["answer"].as_str().unwrap_or_default());
        }
        text
    })
}

/// Answers by their probability among those given, best first.
fn ranked(log: &[f64], answers: &[String]) -> Value {
    let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = log.iter().map(|l| (l - most).exp()).sum();
    let mut order: Vec<usize> = (0..log.len()).collect();
    order.sort_by(|a, b| log[*b].total_cmp(&log[*a]).then(a.cmp(b)));
    let all: Vec<Value> = order
        .iter()
        .map(|i| json!({ "answer": answers[*i], "probability": (log[*i] - most).exp() / sum, "log_probability": log[*i] }))
        .collect();
    json!({ "answer": order.first().map(|i| answers[*i].as_str()), "answers": all })
}
