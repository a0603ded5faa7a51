//! Building an index: beside its place, checked, then renamed.

use super::{
    BuildOptions, Built, FORMAT_VERSION, HEADER, Header, ITEMS, ModelRef, SUM, Texts, VECTORS, check,
};
use crate::crossmodal::{self, Recall};
use crate::identity::hex;
use crate::output::{safetensors, write_items};
use crate::{Embedded, Embedder, Error, Flow, Item, Progress, Result, Skip, embed, identity};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tch::Device;
use unisono_encoders::Precision;
use unisono_files::{
    Budget, Lock, folder_beside, is_empty_folder, only_holds, read_json, real_folder, replace_folder,
    write_atomic, write_json,
};

/// What was built.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildReport {
    /// The index's `index.json`.
    pub header: Header,
    /// Inputs that could not be used, each with its reason.
    pub skipped: Vec<Skip>,
    /// Files in folders that were no wanted media.
    pub left_out: usize,
    /// The same by the endings of their names.
    pub left_out_kinds: BTreeMap<String, usize>,
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
/// A folder that is no index at `out`; as [`Inputs::list`](crate::Inputs::list) and [`embed()`]; [`Error::SelfCheck`].
pub fn build(
    model: &Path,
    device: Device,
    out: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<BuildReport> {
    build_with(model, |dir| Embedder::load(dir, device), out, options, progress)
}

/// [`build()`] with a model that `load` prepares: its device, its precision.
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
    let (left_out, left_out_kinds) = (listing.left_out, std::mem::take(&mut listing.left_out_kinds));
    let repeated = drop_repeated(&mut listing.items);
    // Made first: a folder that cannot be written is known before the work.
    let folder = folder_beside(out)?;
    let embedded = embed(&embedder, listing, &options.embed, progress)?;
    let checked = check::finds_itself(&embedder, &embedded, &options.embed, progress)?;
    let recalls = crossmodal::recalls(&embedded.items, &embedded.vectors)?;
    let sha256 = identity(&model)?;
    let header = write(folder.path(), &embedded, model, sha256, |header_model, sum| {
        let how = (options.embed.batch, embedder.precision());
        header(&embedded, header_model, sum, options.inputs.absolute()?, how, recalls)
    })?;
    let kept = replace_folder(folder, out, |old| refuse_foreign(old).is_ok())?;
    let skipped = embedded.skipped;
    Ok(BuildReport { header, skipped, left_out, left_out_kinds, repeated, checked, kept })
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
    write(folder.path(), &embedded, model, identity.to_owned(), |header_model, sum| {
        header(&embedded, header_model, sum, inputs.absolute()?, (0, Precision::Fp32), Vec::new())
    })?;
    replace_folder(folder, out, |old| refuse_foreign(old).is_ok())?;
    Ok(())
}

fn header(
    embedded: &Embedded,
    model: ModelRef,
    sum: String,
    mut inputs: crate::Inputs,
    (batch, precision): (usize, Precision),
    recalls: Vec<Recall>,
) -> Result<Header> {
    // They stand in the items already: a count and a sum say which they were.
    let texts = Texts::of(&std::mem::take(&mut inputs.texts));
    let mut modalities = BTreeMap::new();
    for item in &embedded.items {
        *modalities.entry(item.modality).or_insert(0) += 1;
    }
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let unisono = env!("CARGO_PKG_VERSION").to_owned();
    let skipped = embedded.skipped.len();
    let built = Built { at, unisono, inputs, texts, batch, precision, skipped, recalls };
    let (dim, count) = (embedded.vectors.dim, embedded.items.len());
    Ok(Header { format_version: FORMAT_VERSION, model, dim, count, modalities, sum, built })
}

/// Writes the three files into `folder`, `index.json` last.
fn write(
    folder: &Path,
    embedded: &Embedded,
    model: PathBuf,
    sha256: String,
    header: impl FnOnce(ModelRef, String) -> Result<Header>,
) -> Result<Header> {
    let mut lines = Vec::new();
    let items = folder.join(ITEMS);
    write_items(&mut lines, &embedded.items).map_err(Error::io(&items, "write"))?;
    let sum = sum(&lines, &sha256);
    write_atomic(&items, |w| w.write_all(&lines))?;
    let metadata = HashMap::from([(SUM.to_owned(), sum.clone())]);
    safetensors(&folder.join(VECTORS), &embedded.vectors, metadata)?.place()?;
    let header = header(ModelRef { path: model, sha256 }, sum)?;
    write_json(&folder.join(HEADER), &header)?;
    Ok(header)
}

/// [`Header::sum`] of these lines and this model.
pub(crate) fn sum(lines: &[u8], model: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(model.as_bytes());
    hash.update(lines);
    hex(&hash.finalize())
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

/// Manifests repeat a picture for every language of its captions; a search should show it once.
fn drop_repeated(items: &mut Vec<Item>) -> usize {
    let before = items.len();
    let mut seen = HashSet::new();
    items.retain(|item| {
        let words = if item.path.is_none() { item.text.clone() } else { None };
        // Texts by themselves are kept as given: each has an id of its own and no label.
        let part = if item.span.is_whole() { None } else { Some(item.span.to_string()) };
        item.label.is_none()
            || seen.insert((item.modality, item.path.clone(), part, words, item.label.clone()))
    });
    before - items.len()
}
