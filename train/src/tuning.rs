//! What becomes of a checkpoint's towers before they are trained further: other sizes, adapters, and what stays as it was.

use crate::optimizer::Optimizer;
use crate::{Error, Learner, Recipe, Result, checkpoint};
use unisono_encoders::config::ImageConfig;
use unisono_encoders::{Model, families};

/// The towers as the recipe wants them tuned.
///
/// # Errors
/// Sizes that this model cannot have, or an adapter whose names fit no layer.
pub(crate) fn tuned(recipe: &Recipe, model: Model) -> Result<Model> {
    let model = match &recipe.resize {
        Some(resize) => model.resized(resize.image.map(|size| size.sides), resize.context_length)?,
        None => model,
    };
    let patches = matches!(model.config().image, Some(ImageConfig::Transformer(_)));
    if recipe.augment.patch_dropout > 0.0 && !patches {
        let message = "expected an image tower over patches: there are none that could be left out";
        return Err(Error::setting("augment.patch_dropout", message));
    }
    let Some(adapter) = &recipe.adapter else { return Ok(model) };
    let mut config = adapter.config();
    if let Some(init) = &recipe.init {
        let base = checkpoint::model_dir(init);
        config.names = families::names(&base)?.layers;
        config.base = Some(base.display().to_string());
    }
    let live = recipe.tower.iter().filter(|(_, tower)| !tower.frozen);
    config.towers = live.map(|(modality, _)| modality.name().to_owned()).collect();
    Ok(model.with_adapter(config, recipe.seed)?)
}

/// Behind the recipe's own rules: which parameters a run with adapters trains (`false`) and which it freezes (`true`).
pub(crate) fn rules(recipe: &Recipe) -> Vec<(String, bool)> {
    if recipe.adapter.is_none() {
        return Vec::new();
    }
    let mut rules = vec![("*.lora_*".to_owned(), false)];
    if recipe.init.is_some() {
        // What is new is trained whole.
        rules.push(("fusion.*".to_owned(), false));
        rules.push(("distill.*".to_owned(), false));
        rules.extend(recipe.video.is_some().then(|| ("video.*".to_owned(), false)));
        rules.push(("*".to_owned(), true));
    }
    for (modality, tower) in recipe.tower.iter().filter(|(_, tower)| !tower.frozen) {
        if tower.projection().is_some() {
            rules.push((format!("{modality}.projection.*"), false));
        }
        rules.push((format!("{modality}.*"), true));
    }
    rules
}

/// What is said of a run with adapters.
pub(crate) fn describe(recipe: &Recipe, model: &Learner, optimizer: &Optimizer) -> Option<String> {
    let adapter = recipe.adapter.as_ref()?;
    let layers = model.towers().adaptable().iter().filter(|of| of.adapted).count();
    let trained: usize = optimizer.params().iter().map(|p| p.numel()).sum();
    let kind = format!("{:?}", adapter.kind).to_lowercase();
    Some(format!(
        "{kind} of rank {} on {layers} layers: {:.2} of {:.2} M parameters are trained",
        adapter.rank,
        trained as f64 / 1e6,
        model.params().count() as f64 / 1e6
    ))
}
