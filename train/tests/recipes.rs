//! The recipes of the house: each is sound, says how it is followed, and what became of it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use unisono_fusion::Objective;
use unisono_fusion::objective::Term;
use unisono_train::Recipe;

fn recipes() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    all.sort();
    all
}

fn load(name: &str) -> Recipe {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    Recipe::load(&dir.join(name).with_extension("toml"), &[], &[]).unwrap()
}

#[test]
fn every_recipe_is_sound_and_its_head_says_how_to_follow_it() {
    let all = recipes();
    assert!(all.len() > 6, "{all:?}");
    for path in all {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let head: String =
            text.lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        for said in [format!("unisono train recipes/{name}"), "Machine".into()] {
            assert!(head.contains(&said), "{name}: its head does not say {said:?}");
        }
        let recipe = Recipe::load(&path, &[], &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        // What is written beside a run is the same recipe.
        let again = Recipe::parse(&recipe.to_toml().unwrap(), &path).unwrap();
        assert_eq!(again, recipe, "{name}");
        // A source is reached by its name, and something is measured.
        let names: BTreeSet<&str> = recipe.data.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names.len(), recipe.data.len(), "{name}: two sources of one name");
        assert!(!recipe.evaluate.is_empty(), "{name}: nothing is measured");
    }
}

#[test]
fn each_recipe_is_what_its_name_says() {
    let kinds = |objective: &Objective| -> Vec<&'static str> {
        let kind = |term: &Term| match term {
            Term::Contrastive(_) => "contrastive",
            Term::Sigmoid(_) => "sigmoid",
            Term::Distill(_) => "distill",
            _ => "other",
        };
        objective.terms.iter().map(kind).collect()
    };
    let lora = load("finetune-lora");
    assert!(lora.init.is_some() && lora.adapter.is_some() && lora.canary.is_some());
    let lit = load("lit");
    assert!(lit.tower.values().all(|tower| tower.frozen) && lit.model.unwrap().text.is_some());
    let siglip = load("siglip");
    assert_eq!(kinds(&siglip.objective), ["sigmoid"]);
    assert!(siglip.model.unwrap().logit_bias);
    let clap = load("clap");
    assert!(clap.init.is_some() && clap.adapter.is_none());
    assert_eq!(kinds(&load("distill").objective), ["contrastive", "distill"]);
    assert!(load("video").video.is_some());
}
