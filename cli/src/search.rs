//! `unisono search`: a sentence, an image, an audio file or a video → what an index holds nearest to it.

use crate::error::Error;
use crate::inputs::{DeviceArg, name_skipped};
use crate::limits::LimitArgs;
use crate::texts::TextArgs;
use crate::window::WindowArg;
use crate::{interrupt, out, style};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use unisono_eval::report::write_text;
use unisono_eval::table::{Align, Table};
use unisono_jobs::hub::model_dir;
use unisono_jobs::scenes::cut_span;
use unisono_jobs::scenes::write::Cut;
use unisono_jobs::understand::{Found, Score, Understander, rerank};
use unisono_jobs::{Embedder, Error as JobError, Hit, Index, Item, Modality, sheet};
use unisono_media::Blob;
use unisono_media::video::{Ffmpeg, Span};

/// Find what is nearest to a sentence, an image, an audio file or a video
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["query", "image", "audio", "video"])))]
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
    /// Model directory, where it has moved since the index was built
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A model with a matching head (unisono match), or for texts one that compares texts: it looks at the sentence and at the best hits together,
    /// four times as many as are shown, and ranks them anew by the probability that they match; those that it cannot look at come apart
    // The group already demands one of the four: a sentence, where the others are excluded. (`requires` would be dropped beside them.)
    #[arg(long, value_name = "DIR_OR_ID", conflicts_with_all = ["image", "audio", "video"])]
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

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if args.query.as_ref().is_some_and(|query| query.trim().is_empty()) {
        return Err(Error::Usage("the query is empty: expected a sentence to search for".into()));
    }
    let device = args.device.get()?;
    if args.query.is_some() && args.rerank.is_none() {
        args.limits.none("--image, --audio, --video or --rerank: no file is read for a sentence")?;
    }
    if args.query.is_none() {
        args.texts.no_prompt("it is put before a sentence, and none is searched with")?;
    }
    let index = Index::open(&args.index).map_err(JobError::from)?;
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
    let moved = args.model.as_deref().map(model_dir);
    let mut embedder = Embedder::of_index(&index, moved.as_deref(), device)?;
    embedder.set_ffmpeg(args.ffmpeg.clone());
    embedder.set_limits(args.limits.get());
    args.texts.set_prompt(embedder.model_mut()).map_err(JobError::from)?;
    if args.query.is_some() {
        args.texts.note(embedder.model(), "the query");
    }
    let (query, vector) = embed(args, &embedder)?;
    let searched =
        if args.modality.is_empty() { index.searched(query.modality) } else { args.modality.clone() };
    let begun = Instant::now();
    let top = args.top as usize;
    let candidates = if args.rerank.is_some() { top.saturating_mul(4) } else { top };
    let mut found = Found::by_cosine(index.search(&vector, candidates, &searched).map_err(JobError::from)?);
    if let Some(model) = &args.rerank {
        let text = query.text.as_deref().unwrap_or_default();
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
    let page = args.open.as_ref().map(|path| write_sheet(path, &index, &query, &found)).transpose()?;
    if args.json {
        let mut document = document(&index, &query, &searched, &found, seconds, page.as_deref());
        for (rank, name) in clips.iter().enumerate() {
            if let (Some(name), Some(dir)) = (name, &args.clips) {
                document["hits"][rank]["clip"] = json!(dir.join(name));
            }
        }
        out::json(&document)?;
    } else {
        out::print(&tables(&index, &found))?;
        if hits.is_empty() {
            out::note("nothing found: the index holds no such modality");
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

/// The query as an item, and its vector `[D]`.
fn embed(args: &Args, embedder: &Embedder) -> Result<(Item, Vec<f32>), Error> {
    Ok(if let Some(path) = &args.image {
        (Item::file(path.clone(), Modality::Image), embedder.image(path)?)
    } else if let Some(path) = &args.audio {
        (Item::file(path.clone(), Modality::Audio), embedder.audio(path)?)
    } else if let Some(path) = &args.video {
        (Item::video(path.clone(), Modality::Video), embedder.video(path, &Span::WHOLE)?)
    } else {
        let text = args.query.as_deref().unwrap_or_default();
        (Item::text("query", text), embedder.texts(&[text])?.data)
    })
}

/// The hits under the name of their score, and those that were not looked at under theirs.
fn tables(index: &Index, found: &Found) -> String {
    let mut text = String::new();
    if !found.hits.is_empty() || found.others.is_empty() {
        text += &table(index, &found.hits, 0, found.score.name());
    }
    if !found.others.is_empty() {
        text += if text.is_empty() { "" } else { "\n" };
        text += "not looked at, by their cosine:\n";
        text += &table(index, &found.others, found.hits.len(), Score::Cosine.name());
    }
    text
}

fn table(index: &Index, hits: &[Hit], before: usize, score: &'static str) -> String {
    let mut table = Table::new(&[
        ("#", Align::Right),
        (score, Align::Right),
        ("what", Align::Left),
        ("text", Align::Left),
        ("where", Align::Left),
    ]);
    for (rank, (item, score)) in items(index, hits).enumerate() {
        let text = item.text.as_deref().or(item.label.as_deref()).unwrap_or_default();
        let mut place =
            item.blob.as_ref().map_or_else(|| item.id.clone(), |b| b.name().display().to_string());
        if !item.span.is_whole() {
            place += &format!("  {}", stretch(&item.span));
        }
        if item.is_missing() {
            place += "  (not there any more)";
        }
        let rank = (before + rank + 1).to_string();
        table.row([rank, format!("{score:.3}"), item.modality.to_string(), style::shorten(text, 48), place]);
    }
    table.render()
}

/// `0:01:02.345 - 0:01:10.000`.
fn stretch(span: &Span) -> String {
    let side =
        |t: Option<unisono_media::video::Time>| t.map_or_else(String::new, |t| style::timecode(t.seconds()));
    format!("{} - {}", side(span.start), side(span.end))
}

/// Cuts the hits that are parts of videos out into `dir`; the names of the files, by rank.
fn cut(dir: &Path, index: &Index, hits: &[Hit], ffmpeg: Option<&Path>) -> Result<Vec<Option<String>>, Error> {
    let ffmpeg = Ffmpeg::find(ffmpeg).map_err(JobError::from)?;
    let mut names = Vec::with_capacity(hits.len());
    for (rank, (item, _)) in items(index, hits).enumerate() {
        names.push(match (item.blob.as_ref().and_then(Blob::path), item.modality) {
            (Some(path), Modality::Video) => {
                match cut_span(&ffmpeg, path, &item.span, &Cut::default(), dir, rank) {
                    Ok(name) => Some(name),
                    Err(e) => {
                        out::note(&format!("no clip of {}: {e}", path.display()));
                        None
                    }
                }
            }
            _ => None,
        });
    }
    Ok(names)
}

fn items(index: &Index, hits: &[Hit]) -> impl Iterator<Item = (Item, f32)> {
    hits.iter().filter_map(|hit| Some((index.item(hit.index)?, hit.score)))
}

fn document(
    index: &Index,
    query: &Item,
    searched: &[Modality],
    found: &Found,
    seconds: f64,
    page: Option<&Path>,
) -> Value {
    let all = found.all();
    let hits: Vec<Value> = items(index, &all)
        .enumerate()
        .map(|(rank, (item, score))| {
            let of = if rank < found.hits.len() { found.score } else { Score::Cosine };
            let mut hit = json!({
                "rank": rank + 1, "score": score, "score_is": of.name(), "id": item.id, "modality": item.modality, "path": item.blob,
                "text": item.text, "label": item.label, "lang": item.lang,
            });
            if item.blob.is_some() {
                hit["missing"] = json!(item.is_missing());
            }
            if !item.span.is_whole() {
                hit["span"] = json!(item.span);
                hit["seconds"] =
                    json!([item.span.start.map(|t| t.seconds()), item.span.end.map(|t| t.seconds())]);
            }
            hit
        })
        .collect();
    json!({
        "index": index.folder(), "count": index.len(), "modalities": searched,
        "query": { "modality": query.modality, "text": query.text, "path": query.blob },
        "seconds": seconds, "sheet": page, "hits": hits,
    })
}

fn write_sheet(path: &Path, index: &Index, query: &Item, found: &Found) -> Result<PathBuf, Error> {
    let parts =
        [(found.score.name(), found.hits.as_slice()), (Score::Cosine.name(), found.others.as_slice())];
    write_text(path, &sheet::html_of_parts(index, query, &parts))?;
    Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// Shows the page where there is someone to look at it; that it cannot be shown is no failure.
fn show(page: &Path) {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !std::io::stdout().is_terminal()
        || !(set("DISPLAY") || set("WAYLAND_DISPLAY") || cfg!(target_os = "macos"))
    {
        return;
    }
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    drop(
        Command::new(opener)
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn(),
    );
}
