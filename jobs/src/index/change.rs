//! Changing an index that is there.

use super::grow::{Growth, grow, remove as drop_rows};
use super::place::{refuse_foreign, replace};
use super::{Built, Editor, Header, Index, Method, Texts, asked, linked, now, same_model};
use crate::{EmbedOptions, Embedder, Error, Flow, Inputs, Item, LeftOut, Modality, Progress, Result};
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use unisono_encoders::Prompt;
use unisono_files::{Lock, folder_beside, real_folder};
use unisono_index::{ASKED, Facts, Filter, Key, Parts};
use unisono_media::MediaLimits;

/// What [`add`] needs besides an index.
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// What to add.
    pub inputs: Inputs,
    /// How.
    pub embed: EmbedOptions,
    /// Where the model is, if it has moved.
    pub model: Option<PathBuf>,
    /// Where the root of the index's files is now, if it has moved.
    pub root: Option<PathBuf>,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<PathBuf>,
    /// What files may cost.
    pub limits: MediaLimits,
}

/// What was added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddReport {
    /// The index's `index.json`.
    pub header: Header,
    /// What came of the inputs.
    #[serde(flatten)]
    pub growth: Growth,
    /// Files in folders that were no wanted media.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// Embeds what is new or has changed among the inputs, into the index in `folder`; what is done stays, whatever ends this. `load` prepares the model: its
/// device; its precision is the index's.
///
/// # Errors
/// Another model than the index's; as [`build_with`](super::build_with) but for the self-check.
pub fn add(
    folder: &Path,
    load: impl FnOnce(&Path, &Built) -> Result<Embedder>,
    options: &AddOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<AddReport> {
    let folder = &real_folder(folder);
    let _held = Lock::take(folder)?;
    let mut editor = open(folder, options.root.as_deref())?;
    let header = editor.index().header();
    let path = options.model.clone().unwrap_or_else(|| header.model.path.clone());
    same_model(editor.index(), &path, options.model.is_some())?;
    let mut embedder = load(&path, &header.built)?;
    if header.dim != embedder.dim() {
        embedder.model_mut().set_dims(i64::try_from(header.dim).unwrap_or(i64::MAX))?;
    }
    embedder.model_mut().set_audio_window(header.model.window)?;
    // Texts get what those of the index got: nothing, where it had none.
    if embedder.model().embeds().contains(&Modality::Text) {
        let none = || Prompt { name: None, text: String::new() };
        embedder.model_mut().set_prompt(header.model.prompt.clone().unwrap_or_else(none))?;
    }
    embedder.set_ffmpeg(options.ffmpeg.clone());
    embedder.set_limits(options.limits);
    progress(Progress { stage: "list inputs", done: 0, total: 0, skipped: 0 }).check()?;
    let inputs = Inputs { meta: true, ..options.inputs.clone() };
    let mut listing = inputs.list(&embedder.model().embeds())?;
    let before = header.built.texts.as_ref().map_or(0, |texts| texts.count);
    listing.items = listing.items.iter().map(|item| numbered(item, before)).collect();
    crate::embed::possible(&embedder, &listing.items)?;
    let (growth, _) = grow(&mut editor, &embedder, &listing, &options.embed, progress)?;
    editor.settle_told(&mut linked(progress))?;
    let absolute = options.inputs.absolute()?;
    let built = &mut editor.header_mut().built;
    let new: Vec<PathBuf> =
        absolute.paths.into_iter().filter(|path| !built.inputs.paths.contains(path)).collect();
    built.inputs.paths.extend(new);
    built.inputs.source = built.inputs.source.take().or(absolute.source);
    built.texts = Texts::and(built.texts.take(), &options.inputs.texts);
    built.skipped = growth.skipped.len();
    measured(&mut editor)?;
    Ok(AddReport { header: editor.index().header().clone(), growth, left_out: listing.left_out })
}

/// Texts by themselves go on in the order in which they were given.
fn numbered(item: Item, before: usize) -> Item {
    let number = item.id.strip_prefix("text:").and_then(|n| n.parse::<usize>().ok());
    match number.filter(|_| item.blob.is_none() && item.label.is_none()) {
        Some(number) => Item { id: format!("text:{}", number + before), ..item },
        None => item,
    }
}

/// Opens an index to change it, its files' root where it is now.
fn open(folder: &Path, root: Option<&Path>) -> Result<Editor<Built>> {
    let mut editor = Editor::open(folder)?;
    editor.sweep();
    if let Some(root) = root {
        let root = std::path::absolute(root).map_err(Error::io(root, "resolve"))?;
        editor.set_root(&root)?;
    }
    Ok(editor)
}

/// Says what random pairs score now, and when it was changed.
fn measured(editor: &mut Editor<Built>) -> Result<()> {
    let index = editor.index();
    let asked = asked::read(index.folder(), index.header().dim)?;
    let (chances, recalled) = (index.measure(&asked), index.recall(&asked)?);
    let header = editor.header_mut();
    (header.parts.chances, header.parts.recalled) = (chances, recalled);
    header.built.changed = Some(now());
    Ok(editor.save()?)
}

/// What is to be removed.
#[derive(Debug, Clone, Default)]
pub struct Removal {
    /// Items of these ids, files of these paths, and all that lies below a folder.
    pub named: Vec<PathBuf>,
    /// Items that this lets through.
    pub filter: Option<Filter>,
    /// Items whose files are not there any more.
    pub missing: bool,
    /// Where the root of the index's files is now, if it has moved.
    pub root: Option<PathBuf>,
}

/// Removes items from the index in `folder`; how many. Their files stay.
///
/// # Errors
/// No index that can be changed; something named that it does not hold.
pub fn remove(folder: &Path, what: &Removal) -> Result<(usize, Header)> {
    let folder = &real_folder(folder);
    let _held = Lock::take(folder)?;
    let mut editor = open(folder, what.root.as_deref())?;
    let index = editor.index();
    let mut named: Vec<(PathBuf, PathBuf, bool)> = Vec::new();
    for path in &what.named {
        let absolute = std::path::absolute(path).map_err(Error::io(path, "resolve"))?;
        named.push((path.clone(), absolute, false));
    }
    let mut gone = Vec::new();
    for row in index.rows() {
        let Some(item) = index.item(row) else { continue };
        let place = item.blob.as_ref().map(unisono_media::Blob::name);
        let mut hit = false;
        for (given, absolute, found) in &mut named {
            let is = Path::new(&item.id) == given || place.is_some_and(|place| place.starts_with(&*absolute));
            *found |= is;
            hit |= is;
        }
        let passes = |filter: &Filter| index.passes(row, filter);
        if hit || what.filter.as_ref().is_some_and(passes) || (what.missing && item.is_missing()) {
            gone.push(row);
        }
    }
    if let Some((given, ..)) = named.iter().find(|(_, _, found)| !found) {
        let message =
            format!("holds nothing of the name {}, and no file there; nothing was removed", given.display());
        return Err(Error::format(folder, message));
    }
    if !gone.is_empty() {
        drop_rows(&mut editor, &gone)?;
        measured(&mut editor)?;
    }
    Ok((gone.len(), editor.index().header().clone()))
}

/// Writes the index in `folder` anew, in one segment, without what was removed; of an index of the first format one that can be changed. With `root`,
/// its files' root is written as it is now; with `method`, it looks in this way for what is near.
///
/// # Errors
/// No index; something else beside it.
pub fn compact(folder: &Path, root: Option<&Path>, method: Option<Method>) -> Result<Header> {
    let folder = &real_folder(folder);
    let _held = Lock::take(folder)?;
    refuse_foreign(folder)?;
    let mut index = Index::open(folder)?;
    if let Some(root) = root {
        index.set_root(&std::path::absolute(root).map_err(Error::io(root, "resolve"))?)?;
    }
    let method = method.unwrap_or(index.header().parts.method);
    rewrite(&[index], folder, method)
}

/// Writes one index of several, of one model and one root, to the folder `out`. What two of them hold is taken from the first.
///
/// # Errors
/// Indexes whose vectors do not compare; something that is no index at `out`.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<Header> {
    let out = &real_folder(out);
    let _held = Lock::make(out)?;
    refuse_foreign(out)?;
    let indexes: Vec<Index> = folders.iter().map(Index::open).collect::<unisono_index::Result<_>>()?;
    let Some((first, others)) = indexes.split_first() else {
        return Err(Error::Input("no index to merge".into()));
    };
    for other in others {
        let (a, b) = (first.header(), other.header());
        let differ = |what: &str| {
            let message = format!(
                "its {what} differ from those of {}: the two do not compare",
                first.folder().display()
            );
            Err(Error::format(other.folder(), message))
        };
        if a.model.contract() != b.model.contract() {
            return differ("model, prompt or windows");
        }
        if a.dim != b.dim {
            return differ("dimensions");
        }
        if a.parts.root_now() != b.parts.root_now() {
            return differ("roots");
        }
    }
    rewrite(&indexes, out, first.header().parts.method)
}

fn rewrite(indexes: &[Index], out: &Path, method: Method) -> Result<Header> {
    let Some(first) = indexes.first() else { return Err(Error::Input("no index to write".into())) };
    if let Some((index, (segment, why))) = indexes.iter().find_map(|i| Some((i, i.damaged().first()?))) {
        let message =
            format!("segment {segment} is damaged ({why}): `unisono index check --repair` takes it out");
        return Err(Error::format(index.folder(), message));
    }
    let folder = folder_beside(out)?;
    let mut header = first.header().clone();
    header.parts = Parts { root: header.parts.root_now().map(Path::to_owned), method, ..Parts::default() };
    let root = header.parts.root.clone();
    let mut editor = Editor::begin(folder.path(), header);
    let mut segment = editor.segment()?;
    let (mut keys, mut contents, mut copies) = (HashSet::<Key>::new(), HashSet::<Key>::new(), Vec::new());
    for index in indexes {
        for row in index.rows() {
            let Some((_, from, at)) = index.find(row) else { continue };
            let item = index.item(row).ok_or_else(|| {
                Error::format(
                    index.folder(),
                    format!("row {row} is no item: damaged; `unisono index check` says where"),
                )
            })?;
            let mut facts = from.facts(at);
            if facts.key == Key::default() {
                // Of the first format: whether its file has changed since is not known.
                facts = Facts { size: 0, written: 0, ..Facts::of(&item, root.as_deref()) };
            }
            if !keys.insert(facts.key) {
                continue;
            }
            let known = facts.is_known() && contents.contains(&facts.content);
            match index.vector(row).filter(|_| !known) {
                Some(vector) => {
                    segment.push(&item, &facts, vector)?;
                    contents.insert(facts.content);
                }
                None => copies.push((item, facts)),
            }
        }
    }
    copies.into_iter().for_each(|(item, facts)| segment.copy(item, facts));
    editor.commit(Some(segment), &[])?;
    let asked = first.folder().join(ASKED);
    if asked.is_file() {
        let to = folder.path().join(ASKED);
        fs::copy(&asked, &to).map_err(Error::io(&to, "write"))?;
    }
    let built = &mut editor.header_mut().built;
    for index in indexes.iter().skip(1) {
        let other = &index.header().built;
        built.inputs.paths.extend(other.inputs.paths.iter().cloned());
        built.skipped += other.skipped;
    }
    measured(&mut editor)?;
    let header = editor.index().header().clone();
    drop(editor);
    replace(folder, out)?;
    Ok(header)
}
