//! The same items by another model: embedded beside, judged by votes, and put in the index's place at once where it is better.

use super::build::build_of;
use super::place::{forget, replace};
use super::{BuildOptions, Header, Index};
use crate::crossmodal::Recall;
use crate::feedback::{Judged, Voted, judge};
use crate::{EmbedOptions, Embedder, Error, Flow, Progress, Result, Skip};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::Modality;
use unisono_files::{Lock, folder_beside, real_folder};
use unisono_media::MediaLimits;

/// How an index is rebuilt.
#[derive(Debug, Clone, Default)]
pub struct RebuildOptions {
    /// How items are embedded.
    pub embed: EmbedOptions,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<PathBuf>,
    /// What files may cost.
    pub limits: MediaLimits,
    /// Votes that judge, none of which the new model learned from; none: the new index takes the place in any case.
    pub votes: BTreeMap<String, Voted>,
    /// By how much R@10 between two modalities may fall, from 0 to 1.
    pub tolerance: f64,
}

/// R@10 between two modalities that fell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fell {
    /// Modality of the queries.
    pub from: Modality,
    /// Modality of the gallery.
    pub to: Modality,
    /// By the model before.
    pub before: f64,
    /// By the new one.
    pub after: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rebuilt {
    /// The header of the index that stands there now.
    pub header: Header,
    /// Whether that is the new one.
    pub replaced: bool,
    /// What votes say of the index before.
    pub before: Option<Judged>,
    /// What votes say of the new one.
    pub after: Option<Judged>,
    /// What fell by more than the tolerance.
    pub fell: Vec<Fell>,
    /// Items that could not be embedded.
    pub skipped: Vec<Skip>,
}

/// Embeds the items of the index in `folder` anew with the model at `model`, beside it. With votes both are asked what these are on, and the new one takes the
/// place only where more is found and recall between modalities does not fall. Whoever reads the index sees one of the two, whole. A rebuild that is stopped goes on where it was.
///
/// # Errors
/// No index; a modality that the new model does not embed; as [`build()`](super::build()); no vote on anything that it holds.
pub fn rebuild(
    folder: &Path,
    model: &Path,
    device: Device,
    load: impl FnOnce(&Path) -> Result<Embedder>,
    options: &RebuildOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Rebuilt> {
    let folder = &real_folder(folder);
    let _held = Lock::take(folder)?;
    let old = Index::open(folder)?;
    let before = match options.votes.is_empty() {
        true => None,
        false => Some(judge(&old, &Embedder::of_index(&old, None, device)?, &options.votes)?),
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = folder.with_file_name(format!("{name}.candidate"));
    let build = BuildOptions {
        inputs: old.header().built.inputs.clone(),
        embed: options.embed,
        ffmpeg: options.ffmpeg.clone(),
        limits: options.limits,
        root: old.header().parts.root_now().map(Path::to_owned),
        method: old.header().parts.method,
        shard: crate::Shard::WHOLE,
    };
    let report = build_of(model, load, &beside, &build, Some(folder), progress)?;
    let new = Index::open(&beside)?;
    let after = match before {
        None => None,
        Some(_) => Some(judge(&new, &Embedder::of_index(&new, None, device)?, &options.votes)?),
    };
    let fell = fell(&old.header().built.recalls, &new.header().built.recalls, options.tolerance);
    let better = match (&before, &after) {
        (Some(before), Some(after)) => after.is_better_than(before) && fell.is_empty(),
        _ => true,
    };
    let skipped = report.skipped;
    if !better {
        forget(&beside)?;
        let header = old.header().clone();
        return Ok(Rebuilt { header, replaced: false, before, after, fell, skipped });
    }
    let header = new.header().clone();
    drop((old, new));
    // It takes a name that a replaced folder may keep.
    let place = folder_beside(folder)?;
    fs::rename(&beside, place.path()).map_err(Error::io(folder, "write"))?;
    replace(place, folder)?;
    Ok(Rebuilt { header, replaced: true, before, after, fell, skipped })
}

fn fell(before: &[Recall], after: &[Recall], tolerance: f64) -> Vec<Fell> {
    let of = |was: &Recall| {
        let is = after.iter().find(|is| (is.from, is.to) == (was.from, was.to));
        let after = is.map_or(0.0, |is| is.r10);
        let fell = was.r10 - after > tolerance + 1e-12;
        fell.then_some(Fell { from: was.from, to: was.to, before: was.r10, after })
    };
    before.iter().filter_map(of).collect()
}
