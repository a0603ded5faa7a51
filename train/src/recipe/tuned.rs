//! What a recipe says of a checkpoint that is trained further, looked at before any device or file is touched.

use super::Recipe;
use crate::{Error, Result};
use unisono_encoders::config::within;
use unisono_nn::params::matches;

/// Checks `[resize]`, `[adapter]` and `[canary]`.
pub(super) fn check(recipe: &Recipe) -> Result<()> {
    resize(recipe)?;
    adapter(recipe)?;
    canary(recipe)
}

/// Checks `[adapter]` and what it is put on.
fn adapter(recipe: &Recipe) -> Result<()> {
    if recipe.model.as_ref().is_some_and(|model| model.adapter.is_some()) {
        return Err(Error::setting("model.adapter", "adapters are said in a table [adapter] of their own"));
    }
    let Some(adapter) = &recipe.adapter else { return Ok(()) };
    adapter.config().validate("adapter").map_err(unisono_encoders::Error::from)?;
    let wrong = |message: &str| Err(Error::setting("adapter", message));
    if recipe.init.is_none() && recipe.tower.is_empty() {
        return wrong(
            "goes with init or [tower]: it keeps what a checkpoint has learned, and new towers have learned nothing",
        );
    }
    if recipe.init.is_none() && recipe.tower.values().all(|tower| tower.frozen) {
        return wrong(
            "every [tower] is frozen and has no adapter: leave frozen out of those that shall have one",
        );
    }
    Ok(())
}

/// Checks `[canary]`.
fn canary(recipe: &Recipe) -> Result<()> {
    let Some(canary) = &recipe.canary else { return Ok(()) };
    if !(canary.tolerance.is_finite() && canary.tolerance >= 0.0) {
        let message = format!("expected 0 or more points, found {}", canary.tolerance);
        return Err(Error::setting("canary.tolerance", message));
    }
    let names = || recipe.evaluate.iter().map(|p| p.name());
    let none = canary.evaluate.iter().find(|pattern| !names().any(|name| matches(pattern, name)));
    if canary.evaluate.is_empty() || none.is_some() {
        let all: Vec<&str> = names().collect();
        let (asked, there) = (none.map(String::as_str).unwrap_or_default(), all.join(", "));
        let message =
            format!("expected names of [[evaluate]] protocols, found {asked:?}; there are: {there}");
        return Err(Error::setting("canary.evaluate", message));
    }
    Ok(())
}

/// Checks `[resize]`.
fn resize(recipe: &Recipe) -> Result<()> {
    let Some(resize) = &recipe.resize else { return Ok(()) };
    if recipe.init.is_none() && recipe.tower.is_empty() {
        return Err(Error::setting(
            "resize",
            "goes with init or [tower]; new towers have their sizes in [model]",
        ));
    }
    for side in resize.image.iter().flat_map(|size| size.sides) {
        within("resize.image", side, 1 << 14).map_err(unisono_encoders::Error::from)?;
    }
    if let Some(tokens) = resize.context_length {
        within("resize.context_length", tokens, 1 << 20).map_err(unisono_encoders::Error::from)?;
    }
    if resize.image.is_none() && resize.context_length.is_none() {
        return Err(Error::setting("resize", "expected image, context_length, or both; found none"));
    }
    Ok(())
}
