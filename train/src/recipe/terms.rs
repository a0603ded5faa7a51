//! What a recipe's terms are of, looked at before any model or record is opened: what its towers cannot have is refused.

use super::Recipe;
use crate::{Error, Result};
use std::collections::BTreeSet;
use unisono_encoders::Modality;
use unisono_encoders::config::ProjectionConfig;
use unisono_fusion::objective::{Able, Term};

impl Recipe {
    /// Refuses terms over what the towers of `[model]` and `[tower]` do not have; those of `init` are known when it is loaded.
    pub(super) fn check_terms(&self) -> Result<()> {
        if let Some(model) = &self.model {
            let own = [
                (Modality::Text, model.text.is_some()),
                (Modality::Image, model.image.is_some()),
                (Modality::Audio, model.audio.is_some()),
                (Modality::Video, model.video.is_some()),
            ];
            let mut modalities: BTreeSet<Modality> =
                own.into_iter().filter(|(_, has)| *has).map(|(m, _)| m).collect();
            modalities.extend(self.tower.keys().copied());
            self.objective.check_able(&Able {
                modalities,
                bias: model.logit_bias,
                width: model.embed_dim,
            })?;
        }
        self.check_structure()
    }

    /// The structure of a frozen tower's features is kept where these are kept, and something new bends them.
    fn check_structure(&self) -> Result<()> {
        let terms = self.objective.terms.iter().enumerate();
        let of = terms.filter_map(|(i, term)| match term {
            Term::Structure(t) if t.weight > 0.0 => Some((i, t)),
            _ => None,
        });
        for (i, term) in of {
            let wrong =
                |key: &str, message: String| Err(Error::setting(format!("objective.{i}.{key}"), message));
            if !self.loader.keep_features {
                let message =
                    "structure is that of kept features, and loader.keep_features = false keeps none";
                return wrong("kind", message.into());
            }
            let bent = |modality: &Modality| {
                let tower = self.tower.get(modality);
                tower.is_some_and(|t| {
                    t.frozen && !t.keep_projection && t.projection != Some(ProjectionConfig::None)
                })
            };
            if let Some(modality) = term.modalities.iter().find(|m| !bent(m)) {
                let message = format!(
                    "structure of {modality} is that of a frozen [tower.{modality}] with a new projection: give it with frozen = true, or leave {modality} out"
                );
                return wrong("modalities", message);
            }
            if !Modality::ALL.iter().any(bent) {
                let message = "structure is that of a frozen tower's features behind a new projection, and there is none: give a [tower] with frozen = true, or leave the term out";
                return wrong("kind", message.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What is said of a recipe with these towers and terms.
    fn said(towers: &str, terms: &str) -> Result<(), String> {
        let text = format!(
            "seed = 1\nsteps = 1\n{terms}\n[model]\nembed_dim = 16\n{towers}\n\
             [[data]]\nname = \"a\"\nsource = \"nothing.jsonl\"\nper_batch = 2\n[optimizer]\nlr = 1.0\n"
        );
        let recipe = Recipe::parse(&text, Path::new("r.toml")).unwrap();
        recipe.checked().map(|_| ()).map_err(|e| e.to_string())
    }

    const FROZEN: &str = "[tower.text]\nfrom = \"none\"\nfrozen = true\n[tower.image]\nfrom = \"none\"\n";

    #[test]
    fn pairs_that_no_tower_is_of_are_refused_before_anything_is_opened() {
        let term = |more: &str| format!("objective = [{{ kind = \"contrastive\"{more} }}]");
        said(FROZEN, &term("")).unwrap();
        said(FROZEN, &term(", pairs = [\"text_text\", \"text_image\"]")).unwrap();
        for (towers, terms, says) in [
            (
                FROZEN,
                term(", pairs = [\"text_audio\"]"),
                "objective.0.pairs: text_audio, and the pairs of this model are: text_image, text_text, image_image",
            ),
            (
                FROZEN,
                term(", pairs = [\"text_video\"]"),
                "videos are a pair's side with a [model.video] table",
            ),
            (FROZEN, term(", dims = [16]"), "objective.0.dims: expected widths below embed_dim, which is 16"),
            (
                FROZEN,
                "objective = [{ kind = \"sigmoid\" }]".into(),
                "a sigmoid needs model.logit_bias = true",
            ),
            (
                "[tower.text]\nfrom = \"none\"\n",
                term(""),
                "objective.0.pairs: all pairs, and the pairs of this model are: text_text",
            ),
        ] {
            let found = said(towers, &terms).unwrap_err();
            assert!(found.contains(says), "{found}");
        }
    }

    #[test]
    fn structure_is_of_frozen_towers_behind_something_new() {
        let terms = |more: &str| {
            format!("objective = [{{ kind = \"contrastive\" }}, {{ kind = \"structure\"{more} }}]")
        };
        said(FROZEN, &terms("")).unwrap();
        let found = said(FROZEN, &terms(", modalities = [\"image\"]")).unwrap_err();
        assert!(
            found.starts_with("objective.1.modalities: structure of image is that of a frozen [tower.image]"),
            "{found}"
        );
        let live = FROZEN.replace("frozen = true\n", "");
        assert!(
            said(&live, &terms(""))
                .unwrap_err()
                .starts_with("objective.1.kind: structure is that of a frozen")
        );
        let same = FROZEN.replace("frozen = true", "frozen = true\nprojection = { kind = \"none\" }");
        assert!(
            said(&same, &terms(""))
                .unwrap_err()
                .starts_with("objective.1.kind: structure is that of a frozen")
        );
        let kept = format!("loader = {{ keep_features = false }}\n{}", terms(""));
        assert!(said(FROZEN, &kept).unwrap_err().contains("loader.keep_features = false keeps none"));
        // A term that does not count is not looked at.
        said(&live, &terms(", weight = 0.0")).unwrap();
    }
}
