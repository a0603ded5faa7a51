//! `unisono data filter`: which records are kept.

use super::lang::LangArgs;
use crate::error::Error;
use crate::inputs::{WorkArgs, name_skipped, refuse_input, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::{interrupt, out, place, style};
use std::path::PathBuf;
use unisono_jobs::check::{CheckOptions, Opening};
use unisono_jobs::curate::{Conditions, Embedding, FilterOptions, Filtered, Likeness, filter, work_path};
use unisono_jobs::{Modality, ledger, output, partial};

/// Write which records meet conditions: sizes, lengths, languages, no copies, similarity as a model sees it
///
/// A condition is of what a record has: an image's size is not asked of an audio file. They are asked in the order of this list; a record falls by the first
/// that it does not meet. OUT is read as --only, or in a recipe as `only`; what was measured stands in it.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// Where they go: JSON Lines, the id and what was measured of each record that is kept
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only records of these languages (en is en-GB, too), as en,de
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    lang: Vec<String>,
    #[command(flatten)]
    detect: LangArgs,
    /// Least words of a caption
    #[arg(long, value_name = "N")]
    min_words: Option<usize>,
    /// Most words of a caption
    #[arg(long, value_name = "N")]
    max_words: Option<usize>,
    /// Least pixels of an image's shorter side
    #[arg(long, value_name = "PIXELS")]
    min_side: Option<u32>,
    /// Most times that an image's longer side is its shorter one
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    max_aspect: Option<f64>,
    /// Least seconds of audio files and videos
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    min_duration: Option<f64>,
    /// Most seconds of audio files and videos
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_duration: Option<f64>,
    /// Decode everything, and keep of files of equal bytes and of images that look alike the first, as `data check` finds them
    #[arg(long)]
    no_near_copies: bool,
    /// A model directory, a training run's, or a hub id, that says how similar --pair is
    #[arg(long, value_name = "DIR_OR_ID", requires = "pair")]
    model: Option<PathBuf>,
    /// Two modalities of a record, as image,text
    #[arg(long, value_name = "A,B", value_parser = pair, requires = "model")]
    pair: Option<(Modality, Modality)>,
    /// Least cosine of the pair
    #[arg(long, value_name = "COSINE", requires = "pair", value_parser = cosine, allow_negative_numbers = true)]
    min_similarity: Option<f32>,
    /// The share of the records with such a pair that is kept, the most similar ones, as 0.3
    #[arg(long, value_name = "SHARE", requires = "pair", value_parser = share)]
    keep_best: Option<f64>,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Begin anew, though an earlier run left work beside OUT
    #[arg(long, requires = "model")]
    fresh: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: WorkArgs,
}

fn number<T: std::str::FromStr>(text: &str, expected: &str, right: impl Fn(&T) -> bool) -> Result<T, String> {
    text.parse().ok().filter(right).ok_or_else(|| format!("expected {expected}"))
}

fn ratio(text: &str) -> Result<f64, String> {
    number(text, "a number from 1, as 3", |n: &f64| n.is_finite() && *n >= 1.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, "seconds, as 0.5", |n: &f64| n.is_finite() && *n >= 0.0)
}

fn share(text: &str) -> Result<f64, String> {
    number(text, "more than 0 and at most 1", |n: &f64| *n > 0.0 && *n <= 1.0)
}

pub(super) fn cosine(text: &str) -> Result<f32, String> {
    number(text, "a number from -1 to 1", |n: &f32| (-1.0..=1.0).contains(n))
}

/// Two different modalities.
pub(super) fn pair(text: &str) -> Result<(Modality, Modality), String> {
    let (a, b) = text.split_once(',').ok_or("expected two modalities, as image,text")?;
    let (a, b): (Modality, Modality) = (a.trim().parse()?, b.trim().parse()?);
    if a == b { Err("expected two different modalities, as image,text".into()) } else { Ok((a, b)) }
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let conditions = Conditions {
        min_side: args.min_side,
        max_aspect: args.max_aspect,
        min_seconds: args.min_duration,
        max_seconds: args.max_duration,
        min_words: args.min_words,
        max_words: args.max_words,
        langs: args.lang.clone(),
        detector: args.detect.get()?,
    };
    if conditions.is_empty() && !args.no_near_copies && args.model.is_none() {
        let message = "expected a condition, as --min-side 200, --no-near-copies or --model with --pair, or --detect-lang";
        return Err(Error::Usage(message.into()));
    }
    if let Some(idle) = args.how.of_models().filter(|_| args.model.is_none()) {
        return Err(Error::Usage(format!("{idle} goes with --model")));
    }
    if args.model.is_some() && args.min_similarity.is_none() && args.keep_best.is_none() {
        let message = "--model: expected --min-similarity or --keep-best, which say what its numbers decide";
        return Err(Error::Usage(message.into()));
    }
    if args.ffmpeg.is_some() && args.model.is_none() && !args.no_near_copies {
        return Err(Error::Usage("--ffmpeg goes with --no-near-copies or --model".into()));
    }
    refuse_input(&args.out, args.source.read())?;
    let _held = output::claim(&args.out)?;
    let work = work_path(&args.out);
    interrupt::keeps(interrupt::Kept::Lines(ledger(&work)));
    let how = args.how.options();
    let embedder = match &args.model {
        None => None,
        Some(model) => {
            let mut embedder = args.how.load(&place::model(model)?, None, args.how.device.get()?)?;
            embedder.set_ffmpeg(args.ffmpeg.clone());
            Some(embedder)
        }
    };
    let source = source::open(&args.source.get()?)?;
    let opening = Opening { limits: args.how.limits.get(), ffmpeg: args.ffmpeg.clone() };
    let checked = CheckOptions { opening, workers: how.workers, ..CheckOptions::default() };
    let (min, best) = (args.min_similarity, args.keep_best);
    let options = FilterOptions {
        conditions,
        copies: args.no_near_copies.then_some(checked),
        likeness: args.pair.map(|pair| Likeness { pair, min, best }),
        workers: how.workers,
    };
    let embedding =
        embedder.as_ref().map(|embedder| Embedding { embedder, options: &how, fresh: args.fresh });
    let mut resumed =
        |done| out::note(&format!("resumed: {done} are embedded, in {}", partial(&work).display()));
    let mut meter = Meter::new();
    let made = filter(
        &source,
        &options,
        embedding.as_ref(),
        &args.out,
        &mut resumed,
        &mut show_progress(&mut meter),
    )?;
    meter.finish();
    if args.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    out::print(&report(&made))
}

fn report(made: &Filtered) -> String {
    let Filtered { out, records, kept, fell, similarity, compared, .. } = made;
    let share = 100.0 * *kept as f64 / (*records).max(1) as f64;
    let mut text =
        format!("{}: {kept} of {}, {share:.1} %\n", out.display(), style::count(*records, "record"));
    for (by, n) in fell {
        text += &format!("  fell by {}: {n}\n", by.name());
    }
    if let Some([least, middle, greatest]) = similarity {
        text += &format!("similarity of the pairs: {least:.3} to {greatest:.3}, median {middle:.3}\n");
    }
    if let Some(most) = compared {
        text += &format!("note: of more than {most} images the first were compared\n");
    }
    text
}
