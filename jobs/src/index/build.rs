//! Building an index: beside its place, checked, then renamed. What a build that was stopped has done stays beside, and the next goes on there.

use super::grow::{grow, remove};
use super::place::{fits, forget, refuse_foreign, replace};
use super::{
    BuildOptions, Built, Editor, FORMAT_VERSION, Header, Method, ModelRef, Texts, again as items_of, asked,
    check, linked, now, seen,
};
use crate::crossmodal::{self, Recall};
use crate::pipeline::partial;
use crate::{
    Embedded, Embedder, Error, Flow, Item, Items, LeftOut, Modality, Progress, Result, Skip, identity,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::{AudioWindow, Precision, Role};
use unisono_files::{Lock, Sum, folder_beside, real_folder};
use unisono_index::{Facts, HEADER, Parts};

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
    /// Items that hold what another item holds: they have its vector.
    pub copies: usize,
    /// Items that a build which was stopped had embedded.
    pub resumed: usize,
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
    build_of(model, load, out, options, None, progress)
}

/// [`build_with`], of the items of the index `again` where that is given: the inputs of `options` say where these came from.
pub(super) fn build_of(
    model: &Path,
    load: impl FnOnce(&Path) -> Result<Embedder>,
    out: &Path,
    options: &BuildOptions,
    again: Option<&Path>,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<BuildReport> {
    let out = &real_folder(out);
    let _held = Lock::make(out)?;
    refuse_foreign(out)?;
    let model = std::path::absolute(model).map_err(Error::io(model, "resolve"))?;
    let root =
        options.root.as_ref().map(|root| std::path::absolute(root).map_err(Error::io(root, "resolve")));
    let root = root.transpose()?;
    let mut embedder = load(&model)?;
    embedder.set_ffmpeg(options.ffmpeg.clone());
    embedder.set_limits(options.limits);
    progress(Progress { stage: "list inputs", done: 0, total: 0, skipped: 0 }).check()?;
    let inputs = crate::Inputs { meta: true, ..options.inputs.clone() };
    let embeds = embedder.model().embeds();
    let (mut listing, before) = match again {
        Some(folder) => {
            items_of::listing(folder, &embeds).map(|(listing, header)| (listing, Some(header)))?
        }
        None => (inputs.list(&embeds)?, None),
    };
    let repeated = if before.is_none() { drop_repeated(&mut listing.items) } else { 0 };
    if options.shard != crate::Shard::WHOLE {
        let own = |item: &Item| options.shard.takes(&Facts::of(item, root.as_deref()).key);
        listing.items = listing.items.iter().filter(own).collect();
        if listing.items.is_empty() {
            let message = "--shard: none of the inputs is of this part; give fewer parts";
            return Err(Error::Input(message.into()));
        }
    }
    crate::embed::possible(&embedder, &listing.items)?;
    let texts = listing.items.counts().contains_key(&Modality::Text);
    let prompt = embedder.prompt().filter(|_| texts).cloned();
    let seen = seen(&model);
    let made_by =
        ModelRef { sha256: identity(&model)?, path: model, prompt, window: embedder.window(), seen };
    let built = Built {
        at: now(),
        changed: None,
        unisono: env!("CARGO_PKG_VERSION").to_owned(),
        inputs: crate::Inputs { texts: Vec::new(), ..options.inputs.absolute()? },
        texts: before.map_or_else(|| Texts::of(&options.inputs.texts), |before| before.built.texts),
        batch: options.embed.batch,
        precision: embedder.precision(),
        skipped: 0,
        recalls: Vec::new(),
    };
    let header = header(made_by, embedder.dim(), root, options.method, built);
    // What is done when this is stopped stays beside, and goes when nothing is.
    let beside = Beside(partial(out));
    let mut editor = beside.editor(header)?;
    let resumed = editor.index().len();
    let (growth, listed) = grow(&mut editor, &embedder, &listing, &options.embed, progress)?;
    let known =
        |row: &usize| editor.index().find(*row).is_some_and(|(_, s, at)| listed.contains(&s.facts(at).key));
    let others: Vec<usize> = editor.index().rows().filter(|row| !known(row)).collect();
    if !others.is_empty() {
        remove(&mut editor, &others)?;
    }
    editor.merge_told(0, &mut linked(progress))?;
    let found: Items = editor.index().items().collect();
    let values = editor.index().segments().first().map_or(&[][..], |segment| segment.vectors());
    let checked = match check::finds_itself(&embedder, &found, values, &options.embed, progress) {
        Err(e @ Error::SelfCheck(_)) => return beside.forget().and(Err(e)),
        checked => checked?,
    };
    let recalls = crossmodal::recalls(&found, embedder.dim(), values)?;
    asked::write(&mut embedder, editor.index().folder())?;
    let asked = asked::read(editor.index().folder(), embedder.dim())?;
    let chances = editor.index().measure(&asked);
    progress(Progress { stage: "try searches", done: 0, total: 0, skipped: 0 }).check()?;
    let recalled = editor.index().recall(&asked)?;
    let header = editor.header_mut();
    (header.parts.chances, header.parts.recalled) = (chances, recalled);
    (header.built.skipped, header.built.recalls) = (growth.skipped.len(), recalls);
    editor.save()?;
    let header = editor.index().header().clone();
    drop(editor);
    let kept = beside.place(out)?;
    let (skipped, left_out, copies) = (growth.skipped, listing.left_out, growth.copies);
    let repeated = repeated + growth.repeated;
    Ok(BuildReport { header, skipped, left_out, repeated, copies, resumed, checked, kept })
}

/// A folder of work: gone when nothing was done in it.
struct Beside(PathBuf);

impl Beside {
    /// Goes on with the work that lies there, if it is the same.
    fn editor(&self, header: Header) -> Result<Editor<Built>> {
        if let Ok(editor) = Editor::<Built>::open(&self.0) {
            let (before, built) = (editor.index().header(), &header.built);
            let same = before.model.contract() == header.model.contract()
                && (before.dim, before.built.precision, before.built.batch)
                    == (header.dim, built.precision, built.batch)
                && before.parts.root == header.parts.root;
            if same {
                let mut editor = editor;
                let before = editor.header_mut();
                (before.built, before.model) = (header.built, header.model);
                before.parts.method = header.parts.method;
                return Ok(editor);
            }
        }
        if fs::symlink_metadata(&self.0).is_ok() {
            refuse_foreign(&self.0)?;
            self.forget()?;
        }
        fs::create_dir(&self.0).map_err(Error::io(&self.0, "create"))?;
        Ok(Editor::begin(&self.0, header))
    }

    fn forget(&self) -> Result<()> {
        forget(&self.0)
    }

    fn place(self, out: &Path) -> Result<Option<PathBuf>> {
        // It takes a name that a replaced folder may keep.
        let folder = folder_beside(out)?;
        fs::rename(&self.0, folder.path()).map_err(Error::io(out, "write"))?;
        replace(folder, out)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if fs::symlink_metadata(self.0.join(HEADER)).is_err() && fits(&self.0) {
            let _ = forget(&self.0);
        }
    }
}

fn header(model: ModelRef, dim: usize, root: Option<PathBuf>, method: Method, built: Built) -> Header {
    let parts = Parts { root, method, ..Parts::default() };
    let (modalities, sum) = (BTreeMap::new(), String::new());
    Header { format_version: FORMAT_VERSION, model, dim, count: 0, modalities, sum, parts, built }
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
    let seen = seen(&model);
    let (sha256, window) = (identity.to_owned(), AudioWindow::Whole);
    let made_by = ModelRef { path: model, sha256, prompt: None, window, seen };
    let built = Built {
        at: now(),
        changed: None,
        unisono: env!("CARGO_PKG_VERSION").to_owned(),
        inputs: inputs.absolute()?,
        texts: None,
        batch: 0,
        precision: Precision::Fp32,
        skipped: embedded.skipped.len(),
        recalls: Vec::new(),
    };
    let mut editor =
        Editor::begin(folder.path(), header(made_by, embedded.vectors.dim, None, Method::default(), built));
    let mut segment = editor.segment()?;
    for (item, row) in embedded.items.iter().zip(embedded.vectors.rows()) {
        segment.push(item, &Facts::of(item, None), row)?;
    }
    editor.commit(Some(segment), &[])?;
    editor.header_mut().parts.chances = editor.index().measure(&[]);
    editor.save()?;
    drop(editor);
    replace(folder, out)?;
    Ok(())
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
