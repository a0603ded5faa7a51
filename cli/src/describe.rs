//! Configurations as people read them: a line a setting, nested ones in words.

use serde_json::{Map, Value};

/// The settings of an object as a table of two columns, indented. What is off or absent is left out.
pub(crate) fn table(settings: &Value) -> String {
    let rows: Vec<(String, String)> = settings
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
        .map(|(key, value)| (spaced(key), words(value)))
        .collect();
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(key, value)| format!("  {key:width$}  {value}\n")).collect()
}

/// `context_length` → `context length`.
fn spaced(key: &str) -> String {
    key.replace('_', " ")
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Bool(on) => if *on { "yes" } else { "no" }.into(),
        Value::Number(n) => number(n),
        Value::String(text) => spaced(text),
        Value::Array(all) => list(all),
        Value::Object(settings) => nested(settings),
    }
}

/// At most four digits behind the point: enough to recognise a number by; the file has them all.
fn number(n: &serde_json::Number) -> String {
    match n.as_f64() {
        Some(v) if n.is_f64() && v != 0.0 && v.abs() < 1e-3 => format!("{v:.1e}"),
        Some(v) if n.is_f64() => {
            let text = format!("{v:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => n.to_string(),
    }
}

/// Two numbers are height and width.
fn list(all: &[Value]) -> String {
    let each: Vec<String> = all.iter().map(words).collect();
    match all {
        [a, b] if a.is_number() && b.is_number() => each.join(" x "),
        [Value::Object(_), ..] => each.iter().map(|v| format!("({v})")).collect::<Vec<_>>().join(" "),
        _ => each.join(", "),
    }
}

fn nested(settings: &Map<String, Value>) -> String {
    let kind = settings.get("kind").map(words);
    let rest: Vec<String> = settings
        .iter()
        .filter(|(key, value)| *key != "kind" && !matches!(value, Value::Null | Value::Bool(false)))
        .map(|(key, value)| match value {
            Value::Bool(_) => spaced(key),
            Value::Object(inner) => format!("{} ({})", spaced(key), nested(inner)),
            value => format!("{} {}", spaced(key), words(value)),
        })
        .collect();
    match (kind, rest.is_empty()) {
        (Some(kind), true) => kind,
        (Some(kind), false) => format!("{kind}, {}", rest.join(", ")),
        (None, true) => "as it is".into(),
        (None, false) => rest.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_lines_and_nested_ones_words() {
        let config = json!({"vocab_size": 97, "pooler": false, "pad": null, "transformer": {"width": 32, "causal": true, "gated": false,
            "mlp_ratio": 4.0, "norm_eps": 1e-5, "activation": "quick_gelu"}, "pooling": {"end": 96}, "size": [30, 60],
            "projection": {"kind": "linear", "bias": false}, "layers": [{"channels": 3}, {"channels": 4}],
            "mean": [0.48145466, 0.4578275, 0.5], "rules": {}});
        assert_eq!(
            table(&config),
            "  vocab size   97\n  \
               transformer  width 32, causal, mlp ratio 4, norm eps 1.0e-5, activation quick gelu\n  \
               pooling      end 96\n  \
               size         30 x 60\n  \
               projection   linear\n  \
               layers       (channels 3) (channels 4)\n  \
               mean         0.4815, 0.4578, 0.5\n  \
               rules        as it is\n"
        );
    }
}
