//! Adapters in `peft`'s files: `adapter_config.json` and `adapter_model.safetensors`, whose tensors are named by the modules of the library that
//! wrote the base model.

use crate::config::AdapterKind;
use crate::{Error, Model, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_files::printable;
use unisono_nn::weights::Weights;
use unisono_nn::{Map, merged, number, tensors};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What every name begins with.
const ROOT: &str = "base_model.model.";

/// What of `adapter_config.json` decides what an adapter comes to.
#[derive(Debug, Deserialize)]
struct Said {
    peft_type: String,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default = "eight")]
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn eight() -> f64 {
    8.0
}

/// Settings that change more than the product of two matrices does.
const REFUSED: [&str; 13] = [
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

impl Said {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(CONFIG);
        let said: Self = unisono_processors::read_json(&path)?;
        if said.peft_type != "LORA" {
            let found = &said.peft_type;
            return Err(Error::format(
                &path,
                format!("peft_type: expected LORA (DoRA is of it), found {found:?}"),
            ));
        }
        let idle = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
            _ => false,
        };
        if let Some(key) = REFUSED.iter().find(|key| said.rest.get(**key).is_some_and(|v| !idle(v))) {
            return Err(Error::format(
                &path,
                format!("{key}: expected none, found {}; merge it with peft", said.rest[*key]),
            ));
        }
        if said.rest.get("bias").is_some_and(|bias| bias != "none") {
            return Err(Error::format(&path, "bias: expected none; merge it with peft"));
        }
        if said.alpha_pattern.keys().any(|name| name.contains(['*', '\\', '(', '|', '^', '$', '[', '+'])) {
            return Err(Error::format(
                &path,
                "alpha_pattern: expected ends of names, found expressions; merge it with peft",
            ));
        }
        Ok(said)
    }

    /// The factor on a module's product.
    fn scale(&self, module: &str, rank: i64) -> f64 {
        let ends =
            |name: &str| module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let alpha =
            self.alpha_pattern.iter().find(|(name, _)| ends(name)).map_or(self.lora_alpha, |(_, a)| *a);
        let rank = rank.max(1) as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

/// Whether `dir` holds an adapter and no model.
pub(crate) fn is(dir: &Path) -> bool {
    let there = |name: &str| dir.join(name).is_file();
    there(CONFIG) && !there("config.json") && !there("open_clip_config.json")
}

/// The base model that an adapter without a model names: a folder, or a hub id. `None` where `dir` is none of these.
///
/// # Errors
/// A broken file.
pub fn named_base(dir: &Path) -> Result<Option<String>> {
    if is(dir) { Ok(Said::read(dir)?.base_model_name_or_path) } else { Ok(None) }
}

/// The folder of an adapter's base model: as it is written, from the adapter's folder or from here, or in the hub's cache.
pub(crate) fn base(dir: &Path) -> Result<PathBuf> {
    let path = dir.join(CONFIG);
    let advice = "unisono model merge BASE ADAPTER --out DIR takes another";
    let Some(named) = Said::read(dir)?.base_model_name_or_path.filter(|name| !name.is_empty()) else {
        return Err(Error::format(&path, format!("names no base model (base_model_name_or_path); {advice}")));
    };
    let places = [dir.join(&named), PathBuf::from(&named)].into_iter().map(|at| crate::model_dir(&at));
    places.chain(cached(&named)).find(|at| at.is_dir()).ok_or_else(|| {
        Error::format(
            &path,
            format!(
                "its base model {} is neither a folder nor in the hub's cache; {advice}",
                printable(&named)
            ),
        )
    })
}

/// A model of the hub in its cache.
fn cached(id: &str) -> Option<PathBuf> {
    let (owner, name) = id.split_once('/')?;
    if name.contains('/') || [owner, name].iter().any(|part| part.is_empty() || part.starts_with('.')) {
        return None;
    }
    let home = match std::env::var_os("HF_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()?.join(".cache/huggingface"),
    };
    let at = home.join("hub").join(format!("models--{owner}--{name}"));
    let revision = std::fs::read_to_string(at.join("refs/main")).ok()?;
    Some(at.join("snapshots").join(revision.trim())).filter(|_| !revision.contains(['/', '.']))
}

/// What a model's layers are called in the library that wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Ours and theirs, `{l}` for a block's number.
    pub layers: BTreeMap<String, String>,
    /// Modules of theirs that are left behind knowingly.
    ignored: Vec<String>,
}

impl Names {
    /// Of what an import map takes; `seen` are the checkpoint's tensors.
    pub(crate) fn of<'a>(map: &Map, seen: impl Iterator<Item = &'a str>) -> Self {
        let mut layers = BTreeMap::new();
        for (ours, theirs) in map.layers() {
            let (above, last) = ours.rsplit_once('.').unwrap_or(("", ours));
            let parts = match last {
                "qkv" => vec!["q", "k", "v"],
                "kv" => vec!["k", "v"],
                own => vec![own],
            };
            if parts.len() == theirs.len() {
                let both = parts.iter().zip(theirs);
                layers.extend(both.map(|(part, theirs)| (format!("{above}.{part}"), theirs.to_owned())));
            }
        }
        let ignored = seen.filter(|name| map.ignores(name)).filter_map(|name| name.strip_suffix(".weight"));
        Self { layers, ignored: ignored.map(str::to_owned).collect() }
    }
}

/// Their name of a layer.
fn theirs(names: &BTreeMap<String, String>, layer: &str) -> Option<String> {
    let (general, block) = number(layer);
    names.get(layer).or_else(|| names.get(&general)).map(|name| name.replace("{l}", &block))
}

/// Writes the adapters of `model` into `dir` beside it. Where it was read from another library's checkpoint, `peft` puts them on the model that this
/// library reads. Nothing is written for a model without adapters.
///
/// # Errors
/// No space, no permission.
pub fn write(model: &Model, dir: &Path) -> Result<()> {
    let Some(config) = &model.config().adapter else { return Ok(()) };
    let adapted: Vec<&str> =
        model.adaptable().iter().filter(|of| of.adapted).map(|of| of.layer.as_str()).collect();
    // All by their names or all by ours.
    let named: Option<Vec<String>> = adapted.iter().map(|layer| theirs(&config.names, layer)).collect();
    let modules = named.unwrap_or_else(|| adapted.iter().map(|layer| (*layer).to_owned()).collect());
    let mut all: Vec<(String, Tensor)> = Vec::with_capacity(2 * modules.len());
    for (layer, module) in adapted.iter().zip(&modules) {
        for (ours, theirs) in [
            ("lora_A", "lora_A.weight"),
            ("lora_B", "lora_B.weight"),
            ("lora_magnitude", "lora_magnitude_vector"),
        ] {
            if let Some(param) = model.params().get(&format!("{layer}.{ours}")) {
                all.push((format!("{ROOT}{module}.{theirs}"), param.tensor.shallow_clone()));
            }
        }
    }
    let alpha = match config.alpha {
        whole if whole.fract() == 0.0 => json!(whole as i64),
        alpha => json!(alpha),
    };
    let said = json!({"peft_type": "LORA", "task_type": null, "base_model_name_or_path": config.base, "r": config.rank,
        "lora_alpha": alpha, "lora_dropout": config.dropout, "use_rslora": config.rslora, "use_dora": config.kind == AdapterKind::Dora,
        "target_modules": modules, "bias": "none", "fan_in_fan_out": false, "init_lora_weights": true, "modules_to_save": null,
        "rank_pattern": {}, "alpha_pattern": {}, "inference_mode": true});
    unisono_files::write_json(&dir.join(CONFIG), &said)?;
    Ok(tensors::write(&dir.join(WEIGHTS), &all, HashMap::from([("format".to_owned(), "pt".to_owned())]))?)
}

/// The matrices of one module.
#[derive(Default)]
struct Low {
    a: Option<Tensor>,
    b: Option<Tensor>,
    magnitude: Option<Tensor>,
}

/// Adds the adapter in `dir` to the weights of `model`, whose layers are `names` where it comes from.
///
/// # Errors
/// A broken file, settings of peft that are more than LoRA and DoRA, modules that this model does not have, other shapes. Nothing is changed then.
pub(crate) fn apply(model: &Model, names: &Names, dir: &Path) -> Result<usize> {
    let (said, path) = (Said::read(dir)?, dir.join(WEIGHTS));
    let mut places: BTreeMap<String, (String, Option<(i64, i64)>)> = BTreeMap::new();
    for of in model.adaptable() {
        let place = (of.weight.clone(), Some((of.first, of.rows)));
        places.extend(theirs(&names.layers, &of.layer).map(|name| (name, place.clone())));
        places.insert(of.layer.clone(), place);
    }
    for (ours, name) in &names.layers {
        let weight = format!("{ours}.weight");
        if model.params().get(&weight).is_some_and(|p| p.tensor.dim() == 2) {
            places.entry(name.clone()).or_insert((weight, None));
        }
    }
    let mut sums = Vec::new();
    for (module, low) in read(&path)? {
        let wrong = |message: String| Error::format(&path, format!("{}: {message}", printable(&module)));
        let Some((name, rows)) = places.get(&module) else {
            if names.ignored.contains(&module) {
                continue;
            }
            return Err(wrong(
                "the base model has no such linear layer; is it the model that the adapter is for?".into(),
            ));
        };
        let Some(weight) = model.params().get(name) else { continue };
        let weight = weight.tensor.f_detach()?;
        let own = match rows {
            Some((first, rows)) => weight.f_narrow(0, *first, *rows)?,
            None => weight,
        };
        let (Some(a), Some(b)) = (low.a, low.b) else {
            return Err(wrong("expected lora_A and lora_B".into()));
        };
        let (o, i) = own.size2()?;
        let (a, b) = (a.f_to_device(own.device())?, b.f_to_device(own.device())?);
        let fits = matches!((a.size().as_slice(), b.size().as_slice()), ([r, x], [y, s]) if r == s && *x == i && *y == o);
        let length = low.magnitude.as_ref().is_none_or(|m| m.numel() as i64 == o);
        if !fits || !length {
            let (a, b) = (a.size(), b.size());
            return Err(wrong(format!("expected matrices for [{o}, {i}], found {a:?} and {b:?}")));
        }
        let magnitude = low.magnitude.map(|m| m.f_view([-1])?.f_to_device(own.device())).transpose()?;
        let scale = said.scale(&module, a.size()[0]);
        sums.push((merged(&own, &a, &b, magnitude.as_ref(), scale)?, own));
    }
    if sums.is_empty() {
        return Err(Error::format(
            &path,
            "expected an adapter's matrices, found none of this model's layers",
        ));
    }
    for (sum, own) in &sums {
        own.shallow_clone().f_copy_(sum)?;
    }
    Ok(sums.len())
}

/// The matrices of `adapter_model.safetensors` by module.
fn read(path: &Path) -> Result<BTreeMap<String, Low>> {
    let weights = Weights::open_file(path)?;
    let mut modules: BTreeMap<String, Low> = BTreeMap::new();
    for name in weights.names() {
        let rest = name.strip_prefix(ROOT).unwrap_or(name);
        let ends =
            [".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector", ".lora_magnitude_vector.weight"];
        let found = ends.into_iter().find_map(|end| Some((rest.strip_suffix(end)?, end)));
        let Some((module, end)) = found else {
            let message = format!(
                "tensor {}: expected those of LoRA and DoRA alone; merge it with peft",
                printable(name)
            );
            return Err(Error::format(path, message));
        };
        let low = modules.entry(module.to_owned()).or_default();
        let value = weights.get(name)?;
        match end {
            ".lora_A.weight" => low.a = value,
            ".lora_B.weight" => low.b = value,
            _ => low.magnitude = value,
        }
    }
    Ok(modules)
}
