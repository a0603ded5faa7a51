//! What can be built, and what cannot.

use super::*;

fn transformer(width: i64, heads: i64) -> TransformerConfig {
    TransformerConfig::new(width, 1, heads)
}

fn text(width: i64, heads: i64) -> ModelConfig {
    ModelConfig { text: Some(TextConfig::new(10, 4, transformer(width, heads))), ..ModelConfig::new(8) }
}

#[test]
fn heads_must_divide_width() {
    text(12, 3).validate().unwrap();
    let e = text(192, 5).validate().unwrap_err().to_string();
    assert_eq!(e, "text.transformer.heads: 5 does not divide width 192; choose a divisor, such as 4");
}

#[test]
fn impossible_sizes_are_named() {
    let mut c = text(12, 3);
    c.embed_dim = 0;
    assert!(c.validate().unwrap_err().to_string().starts_with("embed_dim: expected 1 to"));
    assert!(ModelConfig::new(8).validate().is_err());
}

#[test]
fn unknown_keys_are_errors() {
    let mut v = serde_json::to_value(text(12, 3)).unwrap();
    v["text"]["hight"] = 3.into();
    assert!(serde_json::from_value::<ModelConfig>(v).unwrap_err().to_string().contains("hight"));
}

#[test]
fn grids_round_up() {
    let conv = StemConfig::Conv {
        layers: vec![
            ConvConfig { channels: 4, stride: [2, 2], residual: false },
            ConvConfig { channels: 4, stride: [2, 1], residual: false },
        ],
        activation: Activation::Relu,
    };
    assert_eq!(conv.grid([9, 7]), [3, 4]);
    assert_eq!(conv.stride(), 4);
}

/// Image towers as they were written before they had a kind, and as they are now.
#[test]
fn an_image_tower_without_a_kind_is_a_transformer() {
    let plain = r#""size": 8, "stem": {"kind": "patch", "size": [4, 4]}, "pooling": "mean",
        "transformer": {"width": 8, "depth": 1, "heads": 2}"#;
    let net = r#""size": [9, 8], "stem": 4, "stages": [{"channels": 8, "repeats": 2, "stride": 2, "expansion": 3}], "head": 8"#;
    let of = |image: &str| {
        serde_json::from_str::<ModelConfig>(&format!(r#"{{"embed_dim": 8, "image": {{{image}}}}}"#))
    };
    let told = |kind: &str, of: &str| format!(r#""kind": "{kind}", {of}"#);
    let old = of(plain).unwrap();
    assert!(matches!(&old.image, Some(ImageConfig::Transformer(c)) if c.transformer.width == 8));
    assert_eq!(old, of(&told("transformer", plain)).unwrap());
    let net = of(&told("efficientnet", net)).unwrap();
    assert!(matches!(&net.image, Some(ImageConfig::EfficientNet(c)) if c.stages[0].kernel == 3));
    for config in [old, net] {
        config.validate().unwrap();
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains("\"image\":{\"kind\":"), "{written}");
        assert_eq!(serde_json::from_str::<ModelConfig>(&written).unwrap(), config);
    }
    let refused = |image: &str| of(image).unwrap_err().to_string();
    let other = refused(&told("resnet", plain));
    assert!(other.contains(r#"expected "transformer" or "efficientnet", found "resnet""#), "{other}");
    assert!(refused(&told("efficientnet", plain)).contains("unknown field `"));
    assert!(refused(&format!(r#""kind": 3, {plain}"#)).contains("found 3"));
}

/// CLAP's audio tower as folders have it that were written before it had a kind, and as they have it now; and plain ones without a kind.
#[test]
fn audio_towers_are_read_as_they_were_written() {
    let htsat = r#"{"mels": 4, "size": 8, "patch": [2, 2], "stride": [2, 2], "width": 4, "depths": [1], "heads": [1],
        "window": 2, "mlp_ratio": 2.0, "norm_eps": 1e-5, "stem_norm": false}"#;
    let plain = r#"{"mels": 4, "max_frames": 8, "stem": {"kind": "patch", "size": [4, 4]}, "pooling": "mean",
        "transformer": {"width": 8, "depth": 1, "heads": 2}}"#;
    let read = |text: String| serde_json::from_str::<ModelConfig>(&text);
    let of = |audio: &str| read(format!(r#"{{"embed_dim": 8, "audio": {audio}}}"#));
    let told = |kind: &str, of: &str| format!(r#"{{"kind": "{kind}", {}"#, &of[1..]);
    let old = read(format!(r#"{{"embed_dim": 8, "htsat": {htsat}}}"#)).unwrap();
    assert!(matches!(&old.audio, Some(AudioConfig::Htsat(c)) if c.window == 2));
    assert_eq!(old, of(&told("htsat", htsat)).unwrap());
    assert_eq!(of(plain).unwrap(), of(&told("transformer", plain)).unwrap());
    for config in [old, of(plain).unwrap()] {
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains("\"kind\":") && !written.contains("\"htsat\":"), "{written}");
        assert_eq!(read(written).unwrap(), config);
    }
    let refused = |audio: &str| of(audio).unwrap_err().to_string();
    assert!(
        refused(&told("conformer", plain))
            .contains(r#"expected "transformer" or "htsat", found "conformer""#)
    );
    let wrong = refused(&told("htsat", plain));
    assert!(wrong.contains("unknown field `"), "{wrong}");
    let both = format!(r#"{{"embed_dim": 8, "audio": {plain}, "htsat": {htsat}}}"#);
    assert!(read(both).unwrap_err().to_string().contains("one audio tower"));
}

#[test]
fn a_classifier_is_of_a_tower_that_is_there() {
    let of = |change: &dyn Fn(&mut ClassifierConfig)| {
        let labels = vec!["bus".to_owned(), "bus".to_owned()];
        let mut classifier = ClassifierConfig::new(crate::Modality::Text, labels);
        change(&mut classifier);
        ModelConfig { classifier: Some(classifier), ..text(12, 3) }
    };
    let said = |change: &dyn Fn(&mut ClassifierConfig)| of(change).validate().unwrap_err().to_string();
    of(&|_| ()).validate().unwrap();
    let written = serde_json::to_value(of(&|c| c.norm_eps = Some(1e-6))).unwrap();
    assert_eq!(serde_json::from_value::<ModelConfig>(written).unwrap(), of(&|c| c.norm_eps = Some(1e-6)));
    let e = said(&|c| c.modality = crate::Modality::Audio);
    assert_eq!(e, "classifier.modality: the model has no tower for audio");
    of(&|c| c.pair = Some(PairConfig { segments: true })).validate().unwrap();
    let mut sees = of(&|c| c.pair = Some(PairConfig { segments: true }));
    sees.audio = Some(AudioConfig::Transformer(SpectrogramConfig {
        mels: 8,
        max_frames: 16,
        stem: StemConfig::Patch { size: [8, 8], stride: None },
        grid: false,
        prefix: 0,
        transformer: transformer(12, 3),
        pooling: Pooling::Mean,
        decoder: None,
        projection: ProjectionConfig::default(),
    }));
    if let Some(c) = &mut sees.classifier {
        c.modality = crate::Modality::Audio;
    }
    let e = sees.validate().unwrap_err().to_string();
    assert_eq!(e, "classifier.pair: expected a classifier of texts, this one is of audio");
    assert!(said(&|c| c.labels.clear()).starts_with("classifier.labels: expected 1 to 65536, found 0"));
    assert!(said(&|c| c.norm_eps = Some(f64::NAN)).starts_with("classifier.norm_eps: expected"));
    assert!(
        said(&|c| c.input = ClassifierInput::FirstMean).starts_with("classifier.input: first_mean needs")
    );
}
