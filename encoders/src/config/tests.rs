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
