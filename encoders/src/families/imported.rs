//! A checkpoint's towers with their weights.

use super::load::{family, plan};
use super::source::Plan;
use super::{open_clip, reranker, sentence};
use crate::adapters::{self, Names};
use crate::{Error, LoadReport, Model, Result};
use std::path::Path;
use tch::Device;
use unisono_processors::Role;

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Imported {
    /// What wrote it: `clip`, `open_clip`, `bert`, …
    pub family: String,
    /// The model.
    pub model: Model,
    /// What was taken from the weights and what was left.
    pub report: LoadReport,
}

/// Reads the model in `dir`, this project's own or another library's checkpoint.
///
/// # Errors
/// An unknown family, a setting of it that is not supported, missing or broken files, weights that do not fit.
pub fn load(dir: &Path, device: Device) -> Result<Imported> {
    load_as(dir, None, device)
}

/// [`load`] for texts of this role: with the prompt that serves it, and where the model has other modules for it, with those.
///
/// # Errors
/// As [`load`].
pub fn load_as(dir: &Path, role: Option<Role>, device: Device) -> Result<Imported> {
    if adapters::is(dir) {
        return load_with(&adapters::base(dir)?, dir, role, device);
    }
    let family = family(dir)?;
    let (mut model, report) = if family == crate::files::MODEL_TYPE {
        Model::load_own(dir, device)?
    } else {
        let plan = planned(dir, &family, role)?;
        let model = Model::blank(plan.config, plan.processors, device, plan.weights.room())?;
        let report = plan.map.fill(model.params(), &plan.weights)?;
        (model, report)
    };
    if role.is_some() {
        model.set_role(role)?;
    }
    Ok(Imported { family, model, report })
}

/// Reads the model in `base` and adds to its weights the adapter of `peft`'s files in `adapter`.
///
/// # Errors
/// As [`load`], and an adapter of another model or of another kind than LoRA and DoRA.
pub fn load_with(base: &Path, adapter: &Path, role: Option<Role>, device: Device) -> Result<Imported> {
    if adapters::is(base) {
        let message = "expected a model, found an adapter: merge that one first";
        return Err(Error::format(base, message));
    }
    let found = load_as(base, role, device)?;
    let model = found.model.merged()?;
    adapters::apply(&model, &names(base)?, adapter)?;
    Ok(Imported { model, ..found })
}

/// What the layers of the model in `dir` are called in the library that wrote it; none of this project's own.
///
/// # Errors
/// As [`load`].
pub fn names(dir: &Path) -> Result<Names> {
    if adapters::is(dir) {
        return names(&adapters::base(dir)?);
    }
    let family = family(dir)?;
    if family == crate::files::MODEL_TYPE {
        return Ok(Names::default());
    }
    let Plan { map, weights, .. } = planned(dir, &family, None)?;
    Ok(Names::of(&map, weights.names()))
}

/// What another library's checkpoint asks for, for texts of this role.
fn planned(dir: &Path, family: &str, role: Option<Role>) -> Result<Plan> {
    let listed = family != "open_clip" && sentence::is(dir) && !reranker::is(dir)?;
    let path = dir.join(match family {
        "open_clip" => "open_clip_config.json",
        _ if listed => sentence::MODULES,
        _ => "config.json",
    });
    let plan = match family {
        "open_clip" => open_clip::plan(dir)?,
        _ if listed => sentence::read(dir, role)?,
        _ => plan(&path, dir, family)?,
    };
    plan.config.validate().map_err(|e| Error::format(&path, e.to_string()))?;
    Ok(plan)
}

impl Model {
    /// Reads a model from `dir`, this project's own or the checkpoint of another library ([`crate::families`]); strict: every tensor
    /// must be there, of its shape, and none left over.
    ///
    /// # Errors
    /// A missing or broken file, an unknown family, another format version, sizes that do not fit each other.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        load(dir, device).map(|found| found.model)
    }

    /// [`load`](Self::load) for texts of this role: with the prompt that serves it, and where the model has other modules for it, with
    /// those.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_as(dir: &Path, role: Option<Role>, device: Device) -> Result<Self> {
        load_as(dir, role, device).map(|found| found.model)
    }
}
