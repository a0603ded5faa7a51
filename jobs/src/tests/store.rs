use super::*;
use unisono_encoders::Modality;

#[path = "../../tests/support/mod.rs"]
mod tiny;

fn named(text: &str) -> Named {
    text.parse().unwrap()
}

#[test]
fn versions_are_added_found_pinned_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    tiny::model(7, &tiny::TOWERS).save(&at("a")).unwrap();
    tiny::model(8, &[Modality::Text, Modality::Image]).save(&at("b")).unwrap();
    std::fs::write(at("b").join("evaluation.json"), r#"{"step": 3, "score": 0.5, "by": "*.r1"}"#).unwrap();
    std::fs::write(at("b").join("training.safetensors"), "state").unwrap();
    let store = Store::new(Some(&at("store")));
    assert!(store.list().unwrap().is_empty() && store.find(&named("m")).unwrap().is_none());
    let first = store.add(&at("a"), &at("a"), &named("m")).unwrap();
    assert!(!first.known && first.card.version == "1" && first.card.able.can == ["embed"]);
    assert!(store.add(&at("a"), &at("a"), &named("m")).unwrap().known);
    let second = store.add(&at("b"), &at("b"), &named("m")).unwrap().card;
    assert_eq!((second.version.as_str(), second.able.embeds.len()), ("2", 3));
    assert_eq!(second.evaluation.as_ref().unwrap()["score"], 0.5);
    assert!(second.files.iter().all(|file| file.name != "training.safetensors"));
    let said = store.add(&at("a"), &at("a"), &named("m@2")).unwrap_err().to_string();
    assert!(said.contains("there already"), "{said}");
    store.add(&at("a"), &at("a"), &named("m@best")).unwrap();
    let versions: Vec<String> = store.list().unwrap().iter().map(Card::spec).collect();
    assert_eq!(versions, ["m@1", "m@2", "m@best"]);
    // A name alone: the latest, until another is pinned.
    assert_eq!(store.find(&named("m")).unwrap().unwrap().version, "best");
    store.pin(&named("m@1")).unwrap();
    assert_eq!(store.find(&named("m")).unwrap().unwrap().version, "1");
    assert!(store.remove(&named("m@1")).unwrap_err().to_string().contains("pinned"));
    store.unpin("m").unwrap();
    store.remove(&named("m@best")).unwrap();
    assert_eq!(store.find(&named("m")).unwrap().unwrap(), second);
    let said = store.find(&named("m@9")).unwrap_err().to_string();
    assert!(said.contains("there are 1, 2"), "{said}");
    assert!(store.pin(&named("other")).unwrap_err().to_string().contains("not in the store"));
    // What is stored is the model, and what changes is seen.
    let place = store.place(&second);
    assert_eq!(crate::identity(&place).unwrap(), crate::identity(&at("b")).unwrap());
    assert!(store.check(&second).unwrap().is_empty());
    std::fs::write(place.join("config.json"), "{}").unwrap();
    std::fs::remove_file(place.join("tokenizer.json")).unwrap();
    let wrong = store.check(&second).unwrap();
    assert_eq!(
        wrong,
        [("config.json".to_owned(), "changed"), ("tokenizer.json".to_owned(), "cannot be read")]
    );
    store.remove(&named("m@2")).unwrap();
    store.remove(&named("m")).unwrap();
    assert!(store.list().unwrap().is_empty() && !at("store/m").exists());
}

#[test]
fn what_is_no_model_is_not_added() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(Some(&dir.path().join("store")));
    std::fs::create_dir(dir.path().join("none")).unwrap();
    assert!(store.add(&dir.path().join("none"), dir.path(), &named("m")).is_err());
    let adapter = r#"{"peft_type": "LORA", "base_model_name_or_path": "x/y", "r": 2, "lora_alpha": 4}"#;
    std::fs::write(dir.path().join("none/adapter_config.json"), adapter).unwrap();
    let said = store.add(&dir.path().join("none"), dir.path(), &named("m")).unwrap_err().to_string();
    assert!(said.contains("model merge"), "{said}");
    assert!(!dir.path().join("store").exists());
}
