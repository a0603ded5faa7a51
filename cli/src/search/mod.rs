//! `unisono search`: a sentence, an image, an audio file or a video → what an index holds nearest to it.

mod ask;
mod find;
mod show;

use crate::error::Error;
use crate::filter::FilterArgs;
use crate::index::{RootArg, opened};
use crate::inputs::{DeviceArg, name_skipped};
use crate::limits::LimitArgs;
use crate::texts::TextArgs;
use crate::window::WindowArg;
use crate::{interrupt, out, style};
use ask::{Asked, Given};
use find::{Sought, find};
use serde_json::json;
use show::{Chances, cut, document, show, tables, write_sheet};
use std::path::PathBuf;
use std::time::Instant;
use unisono_jobs::index::{Effort, Filter};
use unisono_jobs::understand::{Found, Understander, rerank};
use unisono_jobs::{Hit, Modality};

/// Find what is nearest to a sentence, an image, an audio file, a video, or several of them together
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["query", "image", "audio", "video", "like"])))]
pub(crate) struct Args {
    /// The index's folder
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// A sentence to search for
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    /// An image to search with
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// An audio file to search with
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// A video to search with
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// An item of the index, by its id, to search for others like it
    #[arg(long, value_name = "ID")]
    like: Option<String>,
    /// A sentence to keep away from; may be given several times
    #[arg(long, value_name = "TEXT")]
    not: Vec<String>,
    /// How much each query counts, in the order of their kinds: the sentence, image, audio, video, like, each not [default: 1 each, 0.5 for each not]
    #[arg(long, value_name = "W,W,…", value_delimiter = ',')]
    weights: Vec<f32>,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// How many to find
    #[arg(short = 'k', long = "top", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Only this modality: text, image, audio or video; may be given several times [default: all, but a sentence finds texts
    /// only where there is nothing else]
    #[arg(long, value_name = "MODALITY")]
    modality: Vec<Modality>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    root: RootArg,
    /// Only hits that are so rare: 1e-4 are those that one random pair in ten thousand equals; a search for what is not there finds nothing
    #[arg(long, value_name = "P")]
    chance: Option<f64>,
    /// Rank by cosine, or by chance, which puts modalities whose cosines lie apart into one order
    #[arg(long, value_enum, value_name = "BY", default_value = "cosine")]
    order: Order,
    /// Find by the words of texts, captions, labels, file names and keys; with --meaning by both, put together
    #[arg(long)]
    words: bool,
    /// Find by what is meant, as is done without --words
    #[arg(long)]
    meaning: bool,
    /// How many of the nearest by the index's form or graph are compared exactly: more find more and take longer [default: as the index says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    candidates: Option<u32>,
    /// Compare every vector exactly, whatever form or graph the index has
    #[arg(long, conflicts_with = "candidates")]
    exact: bool,
    /// Model directory, where it has moved since the index was built
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A model with a matching head (unisono match), or for texts one that compares texts: it looks at the sentence and at the best hits together,
    /// four times as many as are shown, and ranks them anew by the probability that they match; those that it cannot look at come apart
    // The group already demands one of the four: a sentence, where the others are excluded. (`requires` would be dropped beside them.)
    #[arg(long, value_name = "DIR_OR_ID", conflicts_with_all = ["image", "audio", "video", "like"])]
    rerank: Option<PathBuf>,
    /// Cut the hits that are videos, or scenes of them, out into this folder
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    window: WindowArg,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    limits: LimitArgs,
    /// Print the hits as JSON
    #[arg(long)]
    json: bool,
    /// Write a contact sheet (HTML) and show it in the browser where there is one
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "search.html")]
    open: Option<PathBuf>,
}

/// What hits are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Order {
    /// The cosine
    Cosine,
    /// The chance
    Chance,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let filter = usage(args)?;
    let device = args.device.get()?;
    let mut index = opened(&args.index, &args.root)?;
    index.set_effort(Effort { candidates: args.candidates.map(|n| n as usize), exact: args.exact });
    let dim = index.header().dim;
    if let Some(dims) = args.texts.dims().filter(|dims| *dims != dim) {
        let at = args.index.display();
        return Err(Error::Failed(format!(
            "{at}: --dims {dims}: its embeddings have {dim} dimensions, which a search takes from it; leave --dims out, or build the index again with it"
        )));
    }
    let window = index.header().model.window;
    if let Some(given) = args.window.given().filter(|given| *given != window) {
        let at = args.index.display();
        return Err(Error::Failed(format!(
            "{at}: --window {given}: it was built with --window {window}, which a search takes from it; leave --window out, or build the index again with it"
        )));
    }
    let asked = Asked::of(&given(args), &index, device)?;
    let modality = asked.modality();
    let (by_words, by_meaning) = (args.words, args.meaning || !args.words);
    let searched = match &args.modality[..] {
        // Words lie in texts first of all.
        [] if !by_meaning => index.header().modalities.keys().copied().collect(),
        [] => index.searched(modality),
        some => some.to_vec(),
    };
    let filter = Filter { modalities: searched.clone(), ..filter };
    let begun = Instant::now();
    let top = args.top as usize;
    let candidates = if args.rerank.is_some() { top.saturating_mul(4) } else { top };
    let words = args.query.as_deref().filter(|_| by_words);
    let sought = Sought { words, meaning: by_meaning, by_chance: args.order == Order::Chance };
    let Found { mut hits, score, .. } = find(&index, &asked, &sought, candidates, &filter)?;
    // Of several queries together, and of words, no random pairs are known.
    let known = asked.parts.len() == 1 && !by_words;
    let chance = |hit: &Hit| if known { index.chance(modality, hit) } else { None };
    let chances: Chances = hits.iter().filter_map(|hit| Some((hit.index, chance(hit)?))).collect();
    let nearest = hits.len();
    if let Some(most) = args.chance {
        let unknown = searched.iter().find(|to| index.chances(modality, **to).is_none());
        if let Some(to) = unknown.filter(|_| !hits.is_empty()) {
            let at = args.index.display();
            return Err(Error::Failed(format!(
                "{at}: --chance: it does not know how random pairs of {modality} and {to} score (too few items, or an index of an older format); leave --chance out, or give --modality"
            )));
        }
        hits.retain(|hit| chances.get(&hit.index).is_some_and(|chance| *chance <= most));
    }
    let mut found = Found::by(score, hits);
    if let Some(model) = &args.rerank {
        let text = args.query.as_deref().unwrap_or_default();
        let hits = std::mem::take(&mut found.hits);
        let mut model = Understander::load(crate::place::model(model)?, device)?;
        model.set_ffmpeg(args.ffmpeg.clone());
        model.set_limits(args.limits.get());
        found = rerank(&model, &index, text, hits, &mut |_| interrupt::flow())?;
        name_skipped(&found.skipped);
        found.keep(top);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let hits = found.all();
    let clips = match &args.clips {
        Some(dir) => cut(dir, &index, &hits, args.ffmpeg.as_deref())?,
        None => Vec::new(),
    };
    let query = asked.item();
    let page = args.open.as_ref().map(|path| write_sheet(path, &index, query, &found)).transpose()?;
    if args.json {
        let mut document = document(&index, &asked, &searched, (&found, &chances), seconds, page.as_deref());
        for (rank, name) in clips.iter().enumerate() {
            if let (Some(name), Some(dir)) = (name, &args.clips) {
                document["hits"][rank]["clip"] = json!(dir.join(name));
            }
        }
        out::json(&document)?;
    } else {
        out::print(&tables(&index, &found, &chances))?;
        if hits.is_empty() {
            out::note(&match args.chance {
                Some(most) if nearest > 0 => format!(
                    "nothing found: random pairs score as high as the nearest more often than --chance {most}"
                ),
                _ => "nothing found: the index holds no such modality, or nothing that passes the filters"
                    .to_owned(),
            });
        }
        if let Some(dir) = &args.clips {
            let count = style::count(clips.iter().flatten().count(), "clip");
            out::print(&format!("{}: {count}\n", dir.display()))?;
        }
        if let Some(page) = &page {
            out::print(&format!("contact sheet: {}\n", page.display()))?;
        }
    }
    if let Some(page) = &page {
        show(page);
    }
    Ok(())
}

/// What is searched for.
fn given(args: &Args) -> Given<'_> {
    Given {
        query: args.query.as_deref(),
        image: args.image.as_deref(),
        audio: args.audio.as_deref(),
        video: args.video.as_deref(),
        like: args.like.as_deref(),
        not: &args.not,
        weights: &args.weights,
        embeds: args.meaning || !args.words,
        model: args.model.as_deref(),
        ffmpeg: args.ffmpeg.as_deref(),
        texts: &args.texts,
        limits: args.limits.get(),
    }
}

/// Refuses what says nothing, before anything is opened; the filter.
fn usage(args: &Args) -> Result<Filter, Error> {
    if args.query.as_ref().is_some_and(|query| query.trim().is_empty()) {
        return Err(Error::Usage("the query is empty: expected a sentence to search for".into()));
    }
    let files = args.image.is_some() || args.audio.is_some() || args.video.is_some();
    if !files && args.rerank.is_none() {
        args.limits.none("--image, --audio, --video or --rerank: no file is read for a sentence")?;
    }
    if args.query.is_none() && args.not.is_empty() {
        args.texts.no_prompt("it is put before a sentence, and none is searched with")?;
    }
    if args.chance.is_some_and(|chance| !(chance > 0.0 && chance <= 1.0)) {
        return Err(Error::Usage("--chance: expected a number above 0 and at most 1, such as 1e-4".into()));
    }
    let queries = [
        args.query.is_some(),
        args.image.is_some(),
        args.audio.is_some(),
        args.video.is_some(),
        args.like.is_some(),
    ];
    let queries = queries.iter().filter(|given| **given).count() + args.not.len();
    if !args.weights.is_empty() && args.weights.len() != queries {
        let found = args.weights.len();
        return Err(Error::Usage(format!(
            "--weights: expected a number for each of {queries} queries, found {found}"
        )));
    }
    if args.weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(Error::Usage(
            "--weights: expected numbers from 0 on; what is to be kept away from is given with --not".into(),
        ));
    }
    let by_chance = if args.chance.is_some() {
        Some("--chance")
    } else {
        (args.order == Order::Chance).then_some("--order chance")
    };
    if args.words {
        let other = [("--image", files), ("--like", args.like.is_some()), ("--not", !args.not.is_empty())];
        if args.query.is_none() {
            return Err(Error::Usage("--words: expected a sentence, whose words are looked for".into()));
        }
        if let Some((option, _)) = other.into_iter().find(|(_, given)| *given && !args.meaning) {
            let option = if option == "--image" { "--image, --audio or --video" } else { option };
            return Err(Error::Usage(format!(
                "{option} has no words: give --meaning beside --words, or leave it out"
            )));
        }
        if let Some(option) = by_chance {
            return Err(Error::Usage(format!("{option}: words have no chance; leave --words or it out")));
        }
    }
    if let Some(option) = by_chance.filter(|_| queries > 1) {
        return Err(Error::Usage(format!(
            "{option}: of several queries together no chance is known; give one"
        )));
    }
    args.filter.get(&[])
}
