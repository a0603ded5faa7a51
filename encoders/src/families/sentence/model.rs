//! What the model as a whole keeps: prompts, and the sizes that its embeddings may be cut to.

use super::super::source::Plan;
use super::file::with;
use crate::config::Matryoshka;
use crate::{Error, Result};
use std::path::Path;
use unisono_files::Budget;
use unisono_processors::{Prompts, optional_json};

/// Adds them to the plan.
pub(super) fn read(dir: &Path, plan: &mut Plan) -> Result<()> {
    let path = dir.join("config_sentence_transformers.json");
    let (mut prompts, mut default) = (Prompts::default(), None);
    if let Some(value) = optional_json(&path)? {
        with(&path, &value, "model", |json| {
            let named = json.object("prompts");
            for key in named.value.as_object().into_iter().flatten().map(|(key, _)| key) {
                prompts.named.insert(key.clone(), named.text(key, "")?.to_owned());
            }
            prompts.default =
                Some(json.text("default_prompt_name", "")?.to_owned()).filter(|name| !name.is_empty());
            if let Some(name) = prompts.default.as_ref().filter(|name| !prompts.named.contains_key(*name)) {
                let names: Vec<&str> = prompts.named.keys().map(String::as_str).collect();
                let message =
                    format!("default_prompt_name: expected one of {}, found {name:?}", names.join(", "));
                return Err(Error::format(&path, message));
            }
            default = json.has("truncate_dim").then(|| json.int("truncate_dim", 1)).transpose()?;
            match default {
                Some(dim) if dim < 1 => Err(json.wrong("truncate_dim", "1 or more").into()),
                _ => Ok(()),
            }
        })?;
    }
    if let Some(text) = plan.processors.text.take() {
        plan.processors.text = Some(text.with_prompts(prompts));
    }
    let width = plan.config.embed_dim;
    let sizes: Vec<i64> = trained(dir).into_iter().filter(|n| (1..=width).contains(n)).collect();
    let default = default.filter(|dim| *dim < width);
    if default.is_some() || !sizes.is_empty() {
        plan.config.matryoshka = Some(Matryoshka { sizes, default });
    }
    Ok(())
}

/// The sizes that the model card names, largest first: it is written for people, so what cannot be read of it is passed over.
fn trained(dir: &Path) -> Vec<i64> {
    let path = dir.join("README.md");
    let card =
        if path.is_file() { unisono_files::read_text(&path, &Budget::CONFIG) } else { return Vec::new() };
    let mut sizes = sizes(&card.unwrap_or_default());
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes
}

/// The numbers of every `"matryoshka_dims": [768, 256]` of a text.
fn sizes(card: &str) -> Vec<i64> {
    let mut found = Vec::new();
    for rest in card.split("\"matryoshka_dims\":").skip(1) {
        let list = rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let numbers =
            list.map(|(list, _)| list.split(',').map(|n| n.trim().parse()).collect::<Result<Vec<i64>, _>>());
        found.extend(numbers.and_then(Result::ok).unwrap_or_default());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_off_a_model_card() {
        let card = "* Loss with these parameters:\n  ```json\n  {\"loss\": \"x\",\n    \"matryoshka_dims\": [\n  16,\n  8,\n 4 ],\n \"n\": -1}\n```\n\
                    again \"matryoshka_dims\": [32, 8] and \"matryoshka_dims\": [a, 2] and \"matryoshka_dims\": nothing";
        assert_eq!(sizes(card), [16, 8, 4, 32, 8]);
        assert!(sizes("").is_empty() && sizes("\"matryoshka_dims\": [1").is_empty());
        let dir = tempfile::tempdir().unwrap();
        assert!(trained(dir.path()).is_empty());
        std::fs::write(dir.path().join("README.md"), card).unwrap();
        assert_eq!(trained(dir.path()), [32, 16, 8, 4]);
        std::fs::write(dir.path().join("README.md"), b"\xff\xfe \"matryoshka_dims\": [4]").unwrap();
        assert!(trained(dir.path()).is_empty());
    }
}
