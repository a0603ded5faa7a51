//! A folder of this layout as a plan: its encoder, the pooling, what comes after it, what the model as a whole keeps.

use super::super::load::{family, plan};
use super::super::source::Plan;
use super::file::{MODULES, Module, is, listed, tower};
use super::{after, model, pooling, router, settings, words};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use unisono_processors::Role;

/// Encoders whose tokens are pooled.
const POOLED: [&str; 5] = ["bert", "roberta", "xlm-roberta", "mpnet", "distilbert"];

/// The folders below `dir` that its modules have files in, `1_Pooling` and the like; none where it has another layout.
///
/// # Errors
/// A broken list.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if is(dir) {
        for module in listed(dir)? {
            if module.class == "Router" {
                found.extend(router::all(&module)?.into_iter().map(|m| m.at));
            }
            found.push(module.at);
        }
    }
    found.retain(|at| at.is_dir());
    let mut found: Vec<PathBuf> =
        found.iter().filter_map(|at| at.strip_prefix(dir).ok()).map(|at| at.components().collect()).collect();
    found.retain(|at| !at.as_os_str().is_empty());
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether texts of another role take other modules.
///
/// # Errors
/// A broken list.
pub fn has_routes(dir: &Path) -> Result<bool> {
    Ok(is(dir) && listed(dir)?.iter().any(|module| module.class == "Router"))
}

/// What the folder asks for, for texts of this role.
pub(in super::super) fn read(dir: &Path, role: Option<Role>) -> Result<Plan> {
    let mut modules = Vec::new();
    for module in listed(dir)? {
        match module.class.as_str() {
            "Router" => modules.extend(router::route(&module, role)?),
            _ => modules.push(module),
        }
    }
    let Some((first, rest)) = modules.split_first() else {
        return Err(Error::format(&dir.join(MODULES), "expected modules, found none"));
    };
    let (mut plan, rest) = match first.class.as_str() {
        "StaticEmbedding" => (words::plan(first)?, rest),
        "Transformer" | "CLIPModel" => encoder(dir, first, rest)?,
        other => {
            let expected = "expected Transformer, CLIPModel or StaticEmbedding as the first one";
            return Err(Error::format(
                &dir.join(MODULES),
                format!("module {other:?} is not supported; {expected}"),
            ));
        }
    };
    after::read(dir, &mut plan, rest)?;
    model::read(dir, &mut plan)?;
    Ok(plan)
}

/// The encoder, pooled where it has to be, and the modules that are left.
fn encoder<'a>(dir: &Path, first: &Module, rest: &'a [Module]) -> Result<(Plan, &'a [Module])> {
    first.there()?;
    if !first.at.join("config.json").exists() {
        let message = "not a model: neither config.json nor open_clip_config.json is there";
        return Err(Error::format(&first.at, message));
    }
    let family = family(&first.at)?;
    let pooled = POOLED.contains(&family.as_str());
    if !pooled && family != "clip" {
        let message = format!("a {family} model as an encoder of sentence-transformers is not supported");
        return Err(Error::format(&first.at, format!("{message}; expected {} or clip", POOLED.join(", "))));
    }
    let mut plan = plan(&first.at.join("config.json"), &first.at, &family)?;
    let settings = settings::read(&first.at, if pooled { "transformer" } else { "clip" })?;
    if let Some(text) = plan.processors.text.take() {
        let text = if settings.lower_case { text.lower_cased() } else { text };
        let most = settings.limit.and_then(|limit| usize::try_from(limit).ok());
        plan.processors.text = Some(text.at_most(most.unwrap_or(usize::MAX)));
    }
    if !pooled {
        return Ok((plan, rest));
    }
    let Some((pooling, rest)) = rest.split_first().filter(|(m, _)| m.class == "Pooling") else {
        let found = rest.first().map_or("none", |m| m.class.as_str());
        let message = format!("expected a Pooling after the Transformer, found {found}");
        return Err(Error::format(&dir.join(MODULES), message));
    };
    let text = tower(&mut plan.config, dir)?;
    (text.pooling, text.include_prompt) = pooling::read(pooling, text.transformer.width)?;
    Ok((plan, rest))
}
