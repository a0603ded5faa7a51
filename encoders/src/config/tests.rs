//! What can be built, and what cannot.

use super::*;

fn transformer(width: i64, heads: i64) -> TransformerConfig {
    TransformerConfig::new(width, 1, heads)
}

fn text(width: i64, heads: i64) -> ModelConfig {
    let text = TextConfig {
        vocab_size: 10,
        context_length: 4,
        transformer: transformer(width, heads),
        pooling: Pooling::Mean,
        token_dropout: 0.0,
        class_token: None,
        pooler: false,
        projection: ProjectionConfig::default(),
    };
    ModelConfig {
        embed_dim: 8,
        text: Some(text),
        image: None,
        audio: None,
        htsat: None,
        video: None,
        logit_bias: false,
    }
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
    let none = ModelConfig {
        embed_dim: 8,
        text: None,
        image: None,
        audio: None,
        htsat: None,
        video: None,
        logit_bias: false,
    };
    assert!(none.validate().is_err());
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
