//! How an encoder's tokens are pooled.

use super::file::{Module, with};
use crate::config::Pooling;
use crate::{Error, Result};
use unisono_processors::Json;

/// Its modes: the switch that older files have for each, the name that newer ones give it.
const MODES: [(&str, &str, Pooling); 6] = [
    ("pooling_mode_cls_token", "cls", Pooling::First),
    ("pooling_mode_max_tokens", "max", Pooling::Max),
    ("pooling_mode_mean_tokens", "mean", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrt),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", "lasttoken", Pooling::Last),
];

/// The pooling of tokens of `width`, and whether a prompt's tokens take part in it.
pub(super) fn read(module: &Module, width: i64) -> Result<(Pooling, bool)> {
    let (path, value) = module.config()?;
    with(&path, &value, "pooling", |json| {
        for key in ["embedding_dimension", "word_embedding_dimension"] {
            if json.int(key, width)? != width {
                return Err(json.wrong(key, format_args!("{width}, the width of the encoder")).into());
            }
        }
        let mut modes = modes(json)?;
        let pooling = if modes.len() == 1 { modes.swap_remove(0) } else { Pooling::Concat(modes) };
        Ok((pooling, json.bool("include_prompt", true)?))
    })
}

/// At least one, in the order in which their vectors follow each other.
fn modes(json: Json) -> Result<Vec<Pooling>> {
    let mut on = Vec::new();
    for (switch, _, mode) in &MODES {
        if json.bool(switch, false)? {
            on.push(mode.clone());
        }
    }
    let named = |name: &str| {
        let mode = MODES.iter().find(|(_, known, _)| *known == name);
        mode.map(|(_, _, mode)| mode.clone()).ok_or_else(|| {
            let known: Vec<&str> = MODES.iter().map(|(_, name, _)| *name).collect();
            Error::from(json.wrong("pooling_mode", format_args!("{} or a list of them", known.join(", "))))
        })
    };
    Ok(match json.get("pooling_mode") {
        // The switches are of older versions: a name overrules them.
        Some(serde_json::Value::Array(all)) if !all.is_empty() && all.len() <= 64 => {
            all.iter().map(|name| named(name.as_str().unwrap_or_default())).collect::<Result<_>>()?
        }
        Some(name) => vec![named(name.as_str().unwrap_or_default())?],
        None if on.is_empty() => vec![Pooling::Mean],
        None => on,
    })
}
