//! Building an index: beside its place, checked, then renamed.

use super::{BuildOptions, Built, FORMAT_VERSION, Header, ModelRef, Texts, check};
use crate::crossmodal::{self, Recall};
use crate::pipeline::{Round, Sink};
use crate::{
    Embedded, Embedder, Error, Flow, Item, Items, LeftOut, Modality, Progress, Result, Skip, identity,
};
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tch::Device;
use unisono_encoders::{AudioWindow, Precision, Role};
use unisono_files::{
    Budget, Lock, Sum, folder_beside, is_empty_folder, only_holds, read_json, real_folder, replace_folder,
    write_json,
};
use unisono_index::{HEADER, ITEMS, VECTORS, Writer};

/// What was built.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildReport {
    /// The index's `index.json`.
    pub header: Header,
    /// Inputs that could not be used, each with its reason.
    pub skipped: Vec<Skip>,
    /// Files in folders that were no wanted media.
    #[serde(flatten)]
    pub left_out: LeftOut,
    /// Items dropped because the same file or text with the same label is there already.
    pub repeated: usize,
    /// Items embedded a second time to see that each finds itself.
    pub checked: usize,
    /// Where the folder is kept that stood there before, because somebody put something else into it meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

impl BuildReport {
    /// Recall between modalities.
    pub fn recalls(&self) -> &[Recall] {
        &self.header.built.recalls
    }
}

/// Embeds the inputs with the model at `model` and writes an index to the folder `out`, which is locked meanwhile; folders above it are made. An
/// index that stands there is replaced when the new one is whole; anything else, and an index with other files beside, is left alone and refused.
///
/// Before it is put in place some items are embedded again, and each must find itself.
///
/// # Errors
/// A folder that is no index at `out`; as [`Inputs::list`](crate::Inputs::list) and [`embed()`](crate::embed()); [`Error::SelfCheck`].
pub fn build(
    model: &Path,
    device: Device,
    out: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<BuildReport> {
    build_with(model, |dir| Embedder::load_as(dir, Some(Role::Document), device), out, options, progress)
}

/// [`build()`] with a model that `load` prepares: its device, its precision, what is put before texts, which are documents.
///
/// # Errors
/// As [`build()`], and those of `load`.
pub fn build_with(
    model: &Path,
    load: impl FnOnce(&Path) -> Result<Embedder>,
    out: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<BuildReport> {
    let out = &real_folder(out);
    let _held = Lock::make(out)?;
    refuse_foreign(out)?;
    let model = std::path::absolute(model).map_err(Error::io(model, "resolve"))?;
    let mut embedder = load(&model)?;
    embedder.set_ffmpeg(options.ffmpeg.clone());
    embedder.set_limits(options.limits);
    progress(Progress { stage: "list inputs", done: 0, total: 0, skipped: 0 }).check()?;
    let mut listing = options.inputs.list(&embedder.model().embeds())?;
    let repeated = drop_repeated(&mut listing.items);
    crate::embed::possible(&embedder, &listing.items)?;
    // Made first: a folder that cannot be written is known before the work.
    let folder = folder_beside(out)?;
    let texts = listing.items.counts().contains_key(&Modality::Text);
    let prompt = embedder.prompt().filter(|_| texts).cloned();
    let made_by = ModelRef { sha256: identity(&model)?, path: model, prompt, window: embedder.window() };
    let writer = Writer::begin(folder.path(), &made_by.contract(), embedder.dim())?;
    let mut rows = Rows { writer, items: Items::default() };
    let skipped = crate::embed::run(&embedder, &listing, &options.embed, &mut rows, progress)?;
    let Rows { mut writer, items } = rows;
    let mapped = writer.rows()?;
    let checked = check::finds_itself(&embedder, &items, mapped.values(), &options.embed, progress)?;
    let recalls = crossmodal::recalls(&items, embedder.dim(), mapped.values())?;
    drop(mapped);
    let made = Made {
        items: &items,
        dim: embedder.dim(),
        inputs: options.inputs.absolute()?,
        batch: options.embed.batch,
        precision: embedder.precision(),
        skipped: skipped.len(),
        recalls,
    };
    let header = finish(folder.path(), writer, made_by, made)?;
    let kept = replace_folder(folder, out, |old| refuse_foreign(old).is_ok())?;
    let left_out = listing.left_out;
    Ok(BuildReport { header, skipped, left_out, repeated, checked, kept })
}

/// Rows that go into an index, and what they are.
struct Rows {
    writer: Writer,
    items: Items,
}

impl Sink<Vec<f32>> for Rows {
    fn keep(&mut self, round: Round<'_, Vec<f32>>) -> Result<()> {
        for (item, outcome) in round.items.iter().zip(round.outcomes) {
            if let Ok(row) = outcome {
                self.writer.push(item, &row)?;
                self.items.push(item);
            }
        }
        Ok(())
    }
}

/// Writes an index of vectors that are there already, replacing one that stands at `out`. `identity` is that of the model in the folder
/// `model`, which made them.
///
/// # Errors
/// A folder that is no index at `out`; the system's.
pub(crate) fn write_whole(
    model: &Path,
    identity: &str,
    out: &Path,
    embedded: Embedded,
    inputs: crate::Inputs,
) -> Result<()> {
    let out = &real_folder(out);
    refuse_foreign(out)?;
    let model = std::path::absolute(model).map_err(Error::io(model, "resolve"))?;
    let folder = folder_beside(out)?;
    let made_by =
        ModelRef { path: model, sha256: identity.to_owned(), prompt: None, window: AudioWindow::Whole };
    let mut writer = Writer::begin(folder.path(), &made_by.contract(), embedded.vectors.dim)?;
    for (item, row) in embedded.items.iter().zip(embedded.vectors.rows()) {
        writer.push(item, row)?;
    }
    let made = Made {
        items: &embedded.items.into_iter().collect(),
        dim: embedded.vectors.dim,
        inputs: inputs.absolute()?,
        batch: 0,
        precision: Precision::Fp32,
        skipped: embedded.skipped.len(),
        recalls: Vec::new(),
    };
    finish(folder.path(), writer, made_by, made)?;
    replace_folder(folder, out, |old| refuse_foreign(old).is_ok())?;
    Ok(())
}

/// What the header of an index tells besides its model.
struct Made<'a> {
    items: &'a Items,
    dim: usize,
    inputs: crate::Inputs,
    batch: usize,
    precision: Precision,
    skipped: usize,
    recalls: Vec<Recall>,
}

/// Ends the three files in `folder`, `index.json` last.
fn finish(folder: &Path, writer: Writer, model: ModelRef, made: Made) -> Result<Header> {
    let sum = writer.finish()?;
    let Made { items, dim, mut inputs, batch, precision, skipped, recalls } = made;
    // They stand in the items already: a count and a sum say which they were.
    let texts = Texts::of(&std::mem::take(&mut inputs.texts));
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let unisono = env!("CARGO_PKG_VERSION").to_owned();
    let built = Built { at, unisono, inputs, texts, batch, precision, skipped, recalls };
    let (count, modalities) = (items.len(), items.counts().clone());
    let header = Header { format_version: FORMAT_VERSION, model, dim, count, modalities, sum, built };
    write_json(&folder.join(HEADER), &header)?;
    Ok(header)
}

/// A wrong `--out` must never cost a folder that is no index: what may be replaced is nothing, an empty folder, or an index of ours and nothing
/// beside it.
fn refuse_foreign(out: &Path) -> Result<()> {
    if fs::symlink_metadata(out).is_err() || is_empty_folder(out) {
        return Ok(());
    }
    let foreign = |why: &str| {
        let message = format!(
            "something that is no index stands there ({why}): nothing is replaced; choose another name"
        );
        Err(Error::format(out, message))
    };
    if !out.is_dir() {
        return foreign("no folder");
    }
    let path = out.join(HEADER);
    if fs::symlink_metadata(&path).is_err() {
        return foreign("it has no index.json");
    }
    // Of any version: what every one of them has.
    let ours = read_json(&path, &Budget::VOCABULARY).is_ok_and(|header: serde_json::Value| {
        header["format_version"].is_u64()
            && header["built"]["unisono"].is_string()
            && header["sum"].is_string()
    });
    if !ours {
        return foreign("its index.json is not one that this program wrote, or damaged");
    }
    let whole = |name: &str| fs::symlink_metadata(out.join(name)).is_ok_and(|m| m.is_file());
    Ok(only_holds(out, |name| [HEADER, VECTORS, ITEMS].contains(&name) && whole(name))?)
}

/// Manifests repeat an image for every language of its captions; a search should show it once.
fn drop_repeated(items: &mut Items) -> usize {
    let before = items.len();
    let mut seen = HashSet::new();
    let mut once = |item: &Item| {
        let words = if item.blob.is_none() { item.text.as_deref() } else { None };
        let part = if item.span.is_whole() { String::new() } else { item.span.to_string() };
        let label = item.label.as_deref()?;
        let mut sum = Sum::default();
        let words = words.unwrap_or_default().as_bytes();
        for part in [item.modality.name().as_bytes(), &item.place(), part.as_bytes(), words, label.as_bytes()]
        {
            sum.part(part);
        }
        Some(seen.insert(sum.letters()))
    };
    // Texts by themselves are kept as given: each has an id of its own and no label.
    *items = items.iter().filter(|item| once(item).unwrap_or(true)).collect();
    before - items.len()
}
