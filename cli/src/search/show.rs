//! What a search shows: tables, JSON, a contact sheet, clips.

use super::ask::Asked;
use crate::error::Error;
use crate::{out, style};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use unisono_eval::report::write_text;
use unisono_eval::table::{Align, Table};
use unisono_jobs::scenes::cut_span;
use unisono_jobs::scenes::write::Cut;
use unisono_jobs::understand::{Found, Score};
use unisono_jobs::{Error as JobError, Hit, Index, Item, Modality, sheet};
use unisono_media::Blob;
use unisono_media::video::{Ffmpeg, Span};

/// The chances of hits, by their rows.
pub(super) type Chances = HashMap<usize, f64>;

/// `1 in 40,000`: how many random pairs score as high.
fn rarity(chance: f64) -> String {
    let one_in = (1.0 / chance.clamp(1e-9, 1.0)).round();
    // Of large numbers the first two figures are known at best.
    let unit = 10f64.powi((one_in.log10().floor() as i32 - 1).max(0));
    let digits = format!("{:.0}", (one_in / unit).round() * unit);
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("1 in {text}")
}

/// The hits under the name of their score, and those that were not looked at under theirs.
pub(super) fn tables(index: &Index, found: &Found, chances: &Chances) -> String {
    let mut text = String::new();
    if !found.hits.is_empty() || found.others.is_empty() {
        text += &table(index, &found.hits, 0, found.score.name(), chances);
    }
    if !found.others.is_empty() {
        text += if text.is_empty() { "" } else { "\n" };
        text += "not looked at, by their cosine:\n";
        text += &table(index, &found.others, found.hits.len(), Score::Cosine.name(), chances);
    }
    text
}

fn table(index: &Index, hits: &[Hit], before: usize, score: &'static str, chances: &Chances) -> String {
    let mut columns = vec![
        ("#", Align::Right),
        (score, Align::Right),
        ("chance", Align::Right),
        ("what", Align::Left),
        ("text", Align::Left),
        ("where", Align::Left),
    ];
    let known = hits.iter().any(|hit| chances.contains_key(&hit.index));
    columns.retain(|(name, _)| known || *name != "chance");
    let mut table = Table::new(&columns);
    for (rank, (item, hit)) in items(index, hits).enumerate() {
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
        let chance = chances.get(&hit.index).map_or_else(String::new, |chance| rarity(*chance));
        let mut cells = vec![
            rank,
            format!("{:.3}", hit.score),
            item.modality.to_string(),
            style::shorten(text, 48),
            place,
        ];
        if known {
            cells.insert(2, chance);
        }
        table.row(cells);
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
pub(super) fn cut(
    dir: &Path,
    index: &Index,
    hits: &[Hit],
    ffmpeg: Option<&Path>,
) -> Result<Vec<Option<String>>, Error> {
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

fn items(index: &Index, hits: &[Hit]) -> impl Iterator<Item = (Item, Hit)> {
    hits.iter().filter_map(|hit| Some((index.item(hit.index)?, *hit)))
}

pub(super) fn document(
    index: &Index,
    asked: &Asked,
    searched: &[Modality],
    (found, chances): (&Found, &Chances),
    seconds: f64,
    page: Option<&Path>,
) -> Value {
    let query = asked.item();
    let all = found.all();
    let hits: Vec<Value> = items(index, &all)
        .enumerate()
        .map(|(rank, (item, Hit { index, score }))| {
            let of = if rank < found.hits.len() { found.score } else { Score::Cosine };
            let mut hit = json!({
                "rank": rank + 1, "score": score, "score_is": of.name(), "id": item.id, "modality": item.modality, "path": item.blob,
                "text": item.text, "label": item.label, "lang": item.lang,
            });
            if let Some(chance) = chances.get(&index) {
                hit["chance"] = json!(chance);
            }
            if !item.meta.is_empty() {
                hit["meta"] = json!(item.meta);
            }
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
    let mut document = json!({
        "index": index.folder(), "count": index.len(), "modalities": searched,
        "query": { "modality": query.modality, "text": query.text, "path": query.blob },
        "seconds": seconds, "sheet": page, "hits": hits,
    });
    if asked.parts.len() > 1 {
        document["queries"] = asked.parts.iter().map(|part| {
            json!({ "modality": part.item.modality, "text": part.item.text, "path": part.item.blob, "weight": part.weight })
        }).collect();
    }
    document
}

pub(super) fn write_sheet(path: &Path, index: &Index, query: &Item, found: &Found) -> Result<PathBuf, Error> {
    let parts =
        [(found.score.name(), found.hits.as_slice()), (Score::Cosine.name(), found.others.as_slice())];
    write_text(path, &sheet::html_of_parts(index, query, &parts))?;
    Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// Shows the page where there is someone to look at it; that it cannot be shown is no failure.
pub(super) fn show(page: &Path) {
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

#[cfg(test)]
mod tests {
    use super::rarity;

    #[test]
    fn rarities_have_two_figures() {
        for (chance, said) in [
            (1.0, "1 in 1"),
            (0.5, "1 in 2"),
            (0.013, "1 in 77"),
            (2.51e-5, "1 in 40,000"),
            (1e-9, "1 in 1,000,000,000"),
        ] {
            assert_eq!(rarity(chance), said);
        }
    }
}
