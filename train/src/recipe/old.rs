//! Keys of earlier recipes: what stands in their place now, with the recipe's own values.

use toml::{Table, Value};
use unisono_fusion::objective::{Caption, Contrastive, Match, Pair, Term};

/// What a recipe of an earlier form is told; `None` where it is of none.
pub(super) fn advice(recipe: &Table) -> Option<String> {
    let mut said = Vec::new();
    if let Some(Value::Table(old)) = recipe.get("objective") {
        said.push(format!(
            "[objective] is a list of terms now; in its place write, above the recipe's first table, objective = {} (or a [[objective]] each)",
            objective(old, recipe)
        ));
    }
    if let Some(Value::Table(old)) = recipe.get("evaluate") {
        said.push(evaluate(old));
    }
    if let Some(Value::Table(report)) = recipe.get("report") {
        let kinds = moved(report, "report.evaluate", "report.");
        if !kinds.is_empty() {
            said.push(format!(
                "[report] has one list of protocols now: {}; their other keys stay",
                kinds.join(", ")
            ));
        }
    }
    if anywhere(recipe, "manifest") {
        said.push("manifest = \"…\" is source = \"…\" now, in every table; the source = \"…\" of a [[report.data_set]] is origin".into());
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Whether a table of the recipe, or one within it, has a key.
fn anywhere(table: &Table, key: &str) -> bool {
    let within = |value: &Value| match value {
        Value::Table(table) => anywhere(table, key),
        Value::Array(list) => list.iter().filter_map(Value::as_table).any(|table| anywhere(table, key)),
        _ => false,
    };
    table.contains_key(key) || table.values().any(within)
}

/// The names of the protocols of an earlier list.
fn named(old: &Table, key: &str) -> Vec<String> {
    let list = old.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<String> =
        list.filter_map(|p| Some(format!("{:?}", p.get("name")?.as_str()?))).collect();
    names.dedup();
    names
}

/// Lists of a kind each, whose protocols stand in one list now.
fn moved(old: &Table, now: &str, before: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    for (key, kind) in [("protocol", "retrieval"), ("captions", "captioning")] {
        let names = named(old, key).join(", ");
        if !names.is_empty() {
            kinds.push(format!("[[{now}]] with kind = \"{kind}\" in place of [[{before}{key}]] ({names})"));
        }
    }
    kinds
}

/// The protocols that measure the same: only where they stand is another.
fn evaluate(old: &Table) -> String {
    let (protocols, captions) = (named(old, "protocol"), named(old, "captions"));
    let mut said = "[evaluate] is a list of protocols now: ".to_owned();
    if let Some(every) = old.get("every") {
        said += &format!("write evaluate_every = {every} above the recipe's first table, ");
    }
    said += &moved(old, "evaluate", "evaluate.").join(", ");
    if !protocols.is_empty() && !captions.is_empty() {
        said += "; and above the first table what chooses the best checkpoint, as best = \"NAME.r5\" or \"NAME.cider_d\"";
    }
    said + "; their other keys stay"
}

/// The terms that learn the same: pairs of one weight are a term, in the order in which their losses were added.
fn objective(old: &Table, recipe: &Table) -> String {
    let number = |key: &str, default: f64| match old.get(key) {
        Some(Value::Float(v)) => *v,
        Some(Value::Integer(v)) => *v as f64,
        _ => default,
    };
    let label_smoothing = number("label_smoothing", 0.0);
    // A pair that is not named counted where the model had it: not without a tower or a table for videos.
    let table = |v: &Table, key: &str| v.get(key).and_then(Value::as_table).cloned();
    let model = table(recipe, "model");
    let has = |modality: &str| match (&model, modality) {
        (_, "video") if recipe.contains_key("video") => true,
        (Some(model), "audio") => model.contains_key("audio") || model.contains_key("htsat"),
        (Some(model), modality) => model.contains_key(modality),
        (None, modality) => modality != "video",
    };
    let counts = |pair: &Pair| {
        let name = pair.to_string();
        old.contains_key(&name) || name.split('_').all(&has)
    };
    let pairs: Vec<(Pair, f64)> =
        Pair::ALL.into_iter().filter(counts).map(|p| (p, number(&p.to_string(), 1.0))).collect();
    let mut terms = Vec::new();
    for group in pairs.chunk_by(|a, b| a.1 == b.1) {
        let weight = group[0].1;
        // All pairs need not be named.
        let named = if group.len() == pairs.len() { &[] } else { group };
        if weight > 0.0 {
            let pairs = named.iter().map(|(pair, _)| *pair).collect();
            terms.push(Term::Contrastive(Contrastive {
                pairs,
                weight,
                label_smoothing,
                ..Contrastive::default()
            }));
        }
    }
    let (caption, matching) = (number("caption", 0.0), number("match", 0.0));
    if caption > 0.0 {
        terms.push(Term::Caption(Caption { weight: caption, label_smoothing }));
    }
    if matching > 0.0 {
        terms.push(Term::Match(Match { weight: matching }));
    }
    inline(&Value::try_from(terms).unwrap_or(Value::Array(Vec::new())))
}

/// A value in one line, keys that say nothing left out.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => {
            // What it is comes first.
            let kind = table.get_key_value("kind");
            let rest = table.iter().filter(|(k, v)| {
                let usual = match k.as_str() {
                    "label_smoothing" => Some(0.0),
                    "weight" => Some(1.0),
                    _ => None,
                };
                k.as_str() != "kind" && (usual.is_none() || v.as_float() != usual)
            });
            let fields = kind.into_iter().chain(rest).map(|(k, v)| format!("{k} = {}", inline(v)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_fusion::Objective;

    /// What the advice tells to write, read again.
    fn translated(text: &str) -> Vec<Term> {
        let said = advice(&text.parse().unwrap()).unwrap();
        let line = said.split("first table, ").nth(1).unwrap().split(" (or a").next().unwrap();
        let mut table: Table = line.parse().unwrap();
        let objective: Objective = table.remove("objective").unwrap().try_into().unwrap();
        objective.validate().unwrap();
        objective.terms
    }

    fn contrastive(pairs: &[&str], weight: f64) -> Term {
        let pairs = pairs.iter().map(|p| p.parse().unwrap()).collect();
        Term::Contrastive(Contrastive { pairs, weight, ..Contrastive::default() })
    }

    #[test]
    fn an_earlier_evaluation_is_told_where_its_keys_stand() {
        let text = "[evaluate]\nevery = 200\n[[evaluate.protocol]]\nname = \"a\"\n[[evaluate.protocol]]\nname = \"b\"\n";
        assert_eq!(
            advice(&text.parse().unwrap()).unwrap(),
            "[evaluate] is a list of protocols now: write evaluate_every = 200 above the recipe's first table, \
             [[evaluate]] with kind = \"retrieval\" in place of [[evaluate.protocol]] (\"a\", \"b\"); their other keys stay"
        );
        let both =
            advice(&format!("{text}[[evaluate.captions]]\nname = \"c\"\n[objective]\n").parse().unwrap());
        let both = both.unwrap();
        assert!(both.contains("kind = \"captioning\" in place of [[evaluate.captions]] (\"c\")"), "{both}");
        assert!(both.contains("best = ") && both.starts_with("[objective] is a list"), "{both}");
    }

    #[test]
    fn an_earlier_report_is_told_where_its_protocols_stand() {
        let list = |key: &str, name: &str| format!("[[report.{key}]]\nname = \"{name}\"\n");
        let text = [list("protocol", "a"), list("protocol", "a"), list("captions", "b")].concat();
        assert_eq!(
            advice(&text.parse().unwrap()).unwrap(),
            "[report] has one list of protocols now: [[report.evaluate]] with kind = \"retrieval\" in place of [[report.protocol]] (\"a\"), \
             [[report.evaluate]] with kind = \"captioning\" in place of [[report.captions]] (\"b\"); their other keys stay"
        );
        assert!(advice(&list("evaluate", "a").parse().unwrap()).is_none());
    }

    #[test]
    fn an_earlier_objective_is_shown_as_terms() {
        let all = [contrastive(&[], 1.0)];
        assert_eq!(translated("[objective]"), all);
        assert_eq!(translated("[objective]\ntext_image = 1\ntext_audio = 1.0"), all);
        let two = translated("[model.text]\n[model.image]\n[objective]\ntext_image = 0.5");
        assert_eq!(two, [contrastive(&[], 0.5)]);
        let fused = "init = \"run\"\n[objective]\ntext_image = 0.5\ntext_audio = 0.0\nimage_audio = 0.0\ncaption = 1.0\nmatch = 0.5\n";
        assert_eq!(
            translated(fused),
            [
                contrastive(&["text_image"], 0.5),
                Term::Caption(Caption { weight: 1.0, label_smoothing: 0.0 }),
                Term::Match(Match { weight: 0.5 }),
            ]
        );
        // The order in which losses were added stays.
        let text = "[model.text]\n[model.image]\n[model.audio]\n[objective]\nlabel_smoothing = 0.1\ntext_audio = 0.5\n";
        let smoothed = |pairs: &[&str], weight| {
            let Term::Contrastive(term) = contrastive(pairs, weight) else { unreachable!() };
            Term::Contrastive(Contrastive { label_smoothing: 0.1, ..term })
        };
        assert_eq!(
            translated(text),
            [smoothed(&["text_image"], 1.0), smoothed(&["text_audio"], 0.5), smoothed(&["image_audio"], 1.0)]
        );
        let video = translated("init = \"run\"\n[video]\n[objective]\ntext_image = 2.0\ntext_video = 2.0");
        assert_eq!(video[0], contrastive(&["text_image"], 2.0));
        assert!(advice(&"objective = [{ kind = \"match\" }]".parse().unwrap()).is_none());
    }
}
