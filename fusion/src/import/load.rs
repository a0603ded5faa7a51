//! Which part a checkpoint has, and its model with its weights.

use super::{blip, coca, faster_whisper, whisper};
use crate::model::{FusionModel, Imported};
use crate::{Error, Result};
use std::path::Path;
use tch::Device;
use unisono_encoders::families;

/// Whether the model in `dir` has a fusion part.
///
/// # Errors
/// No model there.
pub fn is(dir: &Path) -> Result<bool> {
    Ok(match families::family(dir)?.as_str() {
        "blip" | "whisper" | "faster-whisper" => true,
        "open_clip" => coca::is(dir)?,
        "unisono" if crate::files::has(dir) => true,
        _ => families::numbers_of_a_pair(dir)? == Some(1),
    })
}

/// Reads the model in `dir`.
///
/// # Errors
/// No fusion part there, a setting that is not supported, missing or broken files, weights that do not fit.
pub fn load(dir: &Path, device: Device) -> Result<Imported> {
    let family = families::family(dir)?;
    let plan = match family.as_str() {
        "blip" => blip::plan(dir)?,
        "whisper" => whisper::plan(dir)?,
        "faster-whisper" => faster_whisper::plan(dir)?,
        "open_clip" if coca::is(dir)? => coca::plan(dir)?,
        "unisono" if crate::files::has(dir) => return crate::files::load(dir, device),
        _ if families::numbers_of_a_pair(dir)?.is_some() => return pairs(dir, device),
        _ => {
            return Err(Error::Config(format!(
                "{}: this {family} model has towers only: no head for captions, matching, answers or speech",
                dir.display()
            )));
        }
    };
    plan.config.validate().map_err(|e| told(dir, &e))?;
    let towers = families::load(dir, device)?.model;
    let model = FusionModel::blank(plan.config, towers, plan.text, plan.weights.room())?;
    let report = plan.map.fill(model.params(), &plan.weights)?;
    Ok(Imported { family, model, report })
}

/// A model that compares texts.
fn pairs(dir: &Path, device: Device) -> Result<Imported> {
    let families::Imported { family, model, report } = families::load(dir, device)?;
    let labels = model.classifier().map(|c| c.labels.as_slice()).unwrap_or_default();
    if labels.len() != 1 {
        return Err(Error::Config(format!(
            "{}: it tells pairs of texts apart by {} labels ({}); expected one number a pair, as re-rankers give",
            dir.display(),
            labels.len(),
            unisono_files::printable(
                labels.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ")
            )
        )));
    }
    Ok(Imported { family, model: FusionModel::of_pairs(model), report })
}

/// An impossible value told with the folder that it was read from.
fn told(dir: &Path, e: &Error) -> Error {
    unisono_encoders::Error::format(dir, e.to_string()).into()
}

impl FusionModel {
    /// Reads a model with a fusion part: this project's own, or a checkpoint of BLIP, CoCa or Whisper, or a scorer of pairs of texts.
    ///
    /// # Errors
    /// No such part, missing or broken files, weights that do not fit.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        load(dir, device).map(|found| found.model)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{GENERATION, generation};
    use super::*;
    use serde_json::{Value, json};
    use unisono_processors::Keys;

    /// Every key that the library writes into `generation_config.json` (fixtures/keys.py) is read, listed with a reason, or refused by its name.
    #[test]
    fn generation_settings_pass_over_nothing() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let whole: Value =
            serde_json::from_slice(&std::fs::read(fixtures.join("keys.json")).unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixtures.join("fusion/whisper-speech")).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
        }
        let read = |family: &str, value: &Value| {
            std::fs::write(dir.path().join("generation_config.json"), value.to_string()).unwrap();
            Ok::<_, Error>(match family {
                "whisper" => format!("{:?}", whisper::plan(dir.path())?.config),
                _ => format!("{:?}", generation(dir.path())?),
            })
        };
        let (keys, never) = (Keys::new(&[GENERATION]).unwrap(), json!({"never": 1}));
        let (mut wrong, mut count) = (Vec::new(), 0);
        for (family, written) in whole["generation_config.json"].as_object().unwrap() {
            let usual = read(family, written).unwrap();
            for key in written.as_object().unwrap().keys() {
                count += 1;
                let mut changed = written.clone();
                changed[key] = never.clone();
                match read(family, &changed) {
                    Err(e) if e.to_string().contains(key.as_str()) => {}
                    Ok(found) if found == usual && keys.reason(key, &never, family).is_some() => {}
                    other => wrong.push(format!("{family} {key}: neither read nor listed: {other:?}")),
                }
            }
            let mut more = written.clone();
            more["a_new_key"] = json!(1);
            let e = read(family, &more).unwrap_err().to_string();
            assert!(e.contains("a_new_key: expected no such key"), "{e}");
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(count > 100, "{count}");
    }
}
