//! `unisono index duplicates` and `map`: looking at what an index holds.

use super::say::{RootArg, opened};
use crate::error::Error;
use crate::filter::FilterArgs;
use crate::inputs::show_progress;
use crate::progress::Meter;
use crate::{interrupt, out, style};
use serde_json::json;
use std::path::PathBuf;
use unisono_eval::report::write_text;
use unisono_jobs::Modality;
use unisono_jobs::index::{Alike, Effort, Likeness, duplicates, map};

/// Groups that are printed, and items of one that are.
const GROUPS: usize = 40;
const ITEMS: usize = 8;

/// Name items that are nearly the same: copies, other sizes, other cuts of one picture, sound or text
#[derive(clap::Args, Debug)]
pub(crate) struct DuplicatesArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// Least cosine of two items of one modality that count as the same
    #[arg(long, value_name = "COSINE", default_value_t = 0.97, value_parser = cosine, allow_negative_numbers = true)]
    cosine: f32,
    /// Only this modality: text, image, audio or video; may be given several times
    #[arg(long, value_name = "MODALITY")]
    modality: Vec<Modality>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    root: RootArg,
    /// Compare every vector exactly, whatever form or graph the index has
    #[arg(long)]
    exact: bool,
    /// Print all groups as JSON
    #[arg(long)]
    json: bool,
}

/// Draw an index as a page: its items where their vectors lie (principal components), with thumbnails
#[derive(clap::Args, Debug)]
pub(crate) struct MapArgs {
    /// The index's folder
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// The page, self-contained HTML
    #[arg(long, value_name = "FILE", default_value = "map.html")]
    out: PathBuf,
    /// How many items are drawn, evenly spread over the index
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u16).range(1..))]
    items: u16,
    #[command(flatten)]
    root: RootArg,
}

fn cosine(text: &str) -> Result<f32, String> {
    let cosine: Option<f32> = text.parse().ok().filter(|c| (-1.0..=1.0).contains(c));
    cosine.ok_or_else(|| "expected a number from -1 to 1".to_owned())
}

pub(crate) fn run_duplicates(args: &DuplicatesArgs) -> Result<(), Error> {
    interrupt::install();
    let filter = args.filter.get(&args.modality)?;
    let mut index = opened(&args.index, &args.root)?;
    index.set_effort(Effort { candidates: None, exact: args.exact });
    let mut meter = Meter::new();
    let what = Likeness { cosine: args.cosine, filter };
    let groups = duplicates(&index, &what, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        return out::json(&json!({ "index": index.folder(), "cosine": args.cosine, "groups": groups }));
    }
    let all: usize = groups.iter().map(|group| group.items.len()).sum();
    let more = all - groups.len();
    let mut text = format!(
        "{}: {} of {}, {more} more than one of each\n",
        args.index.display(),
        style::count(groups.len(), "group"),
        style::count(all, "item")
    );
    groups.iter().take(GROUPS).for_each(|group| text += &lines(group));
    if groups.len() > GROUPS {
        text += &format!("and {} (--json lists them all)\n", style::count(groups.len() - GROUPS, "group"));
    }
    out::print(&text)
}

/// An item a line.
fn lines(group: &Alike) -> String {
    let mut text = format!("{} × {}\n", group.items.len(), group.modality);
    for like in group.items.iter().take(ITEMS) {
        let item = &like.item;
        let name = item.blob.as_ref().map_or_else(|| item.id.clone(), |b| b.name().display().to_string());
        let said = if item.blob.is_none() { item.text.as_deref().unwrap_or_default() } else { "" };
        let how = if like.copy { "copy ".to_owned() } else { format!("{:.3}", like.cosine) };
        text += &format!("  {how}  {name}  {}", style::shorten(said, 60));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if group.items.len() > ITEMS {
        text += &format!("  and {} more\n", group.items.len() - ITEMS);
    }
    text
}

pub(crate) fn run_map(args: &MapArgs) -> Result<(), Error> {
    let index = opened(&args.index, &args.root)?;
    write_text(&args.out, &map(&index, args.items.into()))?;
    out::print(&format!(
        "{}: a map of {}\n",
        args.out.display(),
        style::count(index.len().min(args.items.into()), "item")
    ))
}
