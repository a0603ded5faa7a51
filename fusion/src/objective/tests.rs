use super::*;
use crate::objective::{Caption, Contrastive, Match, Sigmoid};

fn contrastive(pairs: &[&str]) -> Term {
    let pairs = pairs.iter().map(|p| p.parse().unwrap()).collect();
    Term::Contrastive(Contrastive { pairs, ..Contrastive::default() })
}

fn said(terms: Vec<Term>) -> String {
    Objective { terms }.validate().unwrap_err().to_string()
}

#[test]
fn what_no_model_could_learn_by_is_refused_by_name() {
    let caption = |weight, label_smoothing| Term::Caption(Caption { weight, label_smoothing });
    Objective { terms: vec![contrastive(&[]), caption(1.0, 0.1), Term::Match(Match { weight: 0.5 })] }
        .validate()
        .unwrap();
    assert!(said(vec![]).contains("nothing to learn"));
    assert!(said(vec![caption(0.0, 0.0)]).contains("nothing to learn"));
    assert!(
        said(vec![contrastive(&[]), caption(-1.0, 0.0)]).starts_with("objective.1.weight: expected 0 or")
    );
    assert!(said(vec![contrastive(&[]), caption(f64::NAN, 0.0)]).starts_with("objective.1.weight"));
    assert!(said(vec![caption(1.0, 1.0)]).starts_with("objective.0.label_smoothing: expected 0 to below 1"));
    let twice = said(vec![contrastive(&["text_image"]), contrastive(&["text_audio", "image_text"])]);
    assert!(twice.starts_with("objective.1: text_image is learned by an earlier term"), "{twice}");
    assert!(said(vec![caption(1.0, 0.0), caption(2.0, 0.0)]).contains("caption is learned"));
    // One pair by two kinds of loss is two losses.
    let sigmoid = Sigmoid { pairs: vec!["text_image".parse().unwrap()], ..Sigmoid::default() };
    Objective { terms: vec![contrastive(&["text_image"]), Term::Sigmoid(sigmoid)] }.validate().unwrap();
}

#[test]
fn pairs_within_a_modality_are_named_and_contrastive() {
    let named = Objective { terms: vec![contrastive(&["text_text", "text_image"])] };
    named.validate().unwrap();
    assert_eq!(named.twice(), [Modality::Text].into());
    // Who names none learns none of them.
    assert!(Objective { terms: vec![contrastive(&[])] }.twice().is_empty());
    let sigmoid = Sigmoid { pairs: vec!["text_text".parse().unwrap()], ..Sigmoid::default() };
    let found = said(vec![Term::Sigmoid(sigmoid)]);
    assert_eq!(found, "objective.0.pairs: text_text is learned by a term of kind contrastive, found sigmoid");
    let scaled = |pairs: &[&str], scale| {
        let Term::Contrastive(t) = contrastive(pairs) else { panic!() };
        vec![Term::Contrastive(Contrastive { scale: Some(scale), ..t })]
    };
    assert!(said(scaled(&["text_text"], 0.0)).starts_with("objective.0.scale: expected more than 0"));
    assert!(said(scaled(&["text_image"], 20.0)).starts_with("objective.0.scale: is of pairs within"));
    Objective { terms: scaled(&["image_image"], 10.0) }.validate().unwrap();
}

#[test]
fn only_terms_with_a_weight_count() {
    let terms = vec![contrastive(&[]), Term::Caption(Caption { weight: 0.0, label_smoothing: 0.0 })];
    let mut objective = Objective { terms };
    assert!(!objective.fuses() && objective.active().count() == 1);
    objective.terms.push(Term::Match(Match { weight: 1.0 }));
    assert!(objective.fuses() && objective.matches());
}

#[test]
fn terms_are_written_as_recipes_state_them() {
    let json = r#"[{"kind":"contrastive","pairs":["text_image"],"weight":0.5,"label_smoothing":0.0},{"kind":"match","weight":1.0}]"#;
    let objective: Objective = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&objective).unwrap(), json);
    let bare: Objective = serde_json::from_str(r#"[{"kind":"caption"}]"#).unwrap();
    assert_eq!(bare.terms, [Term::Caption(Caption { weight: 1.0, label_smoothing: 0.0 })]);
    for (json, says) in [
        (r#"[{"kind":"triplet"}]"#, "unknown variant `triplet`"),
        (r#"[{"kind":"match","margin":1}]"#, "unknown field `margin`"),
        (r#"[{"kind":"sigmoid","pairs":["text_smell"]}]"#, "expected a pair of modalities"),
    ] {
        let said = serde_json::from_str::<Objective>(json).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn items_of_a_source_are_told_from_each_other_only() {
    let vectors = |seed: f64, rows: &[usize]| {
        let values: Vec<f64> =
            rows.iter().flat_map(|r| (0..3).map(move |k| ((r * 3 + k) as f64 * seed).sin())).collect();
        let of = Tensor::from_slice(&values).view([rows.len() as i64, 3]);
        let length = of.norm_scalaropt_dim(2.0, [1i64].as_slice(), true);
        View { vectors: of / length, rows: rows.to_vec() }
    };
    // Items 0, 2, 4 of one source, 1, 3 of another, 5 of a third, by itself; 6 has only one side.
    let (x, y) = (vectors(1.3, &[0, 1, 2, 3, 4, 5, 6]), vectors(0.7, &[0, 1, 2, 3, 4, 5]));
    let items = Items {
        labels: (0..7).collect(),
        texts: vec![None; 7],
        sources: vec![0, 1, 0, 1, 0, 2, 1],
        ..Items::default()
    };
    let scale = Tensor::from(1.5);
    let term = Contrastive::default();
    let loss = |rows: &[usize]| {
        let (x, y) = (vectors(1.3, rows), vectors(0.7, rows));
        term.loss(&x, &y, &items, &scale).unwrap().unwrap().double_value(&[])
    };
    let whole = |x: &View, y: &View| term.loss(x, y, &items, &scale);
    let found = apart(&x, &y, &items, &whole).unwrap().unwrap().double_value(&[]);
    let expected = (3.0 * loss(&[0, 2, 4]) + 2.0 * loss(&[1, 3])) / 5.0;
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    let one = Items { sources: Vec::new(), ..items.clone() };
    let found = apart(&x, &y, &one, &whole).unwrap().unwrap().double_value(&[]);
    assert!((found - loss(&[0, 1, 2, 3, 4, 5])).abs() < 1e-12);
    let alone = Items { sources: (0..7).collect(), ..items.clone() };
    assert!(apart(&x, &y, &alone, &whole).unwrap().is_none());
}

#[test]
fn the_losses_of_each_process_s_own_items_add_up_to_the_whole() {
    let vectors = |seed: f64, rows: &[usize]| {
        let values: Vec<f64> =
            rows.iter().flat_map(|r| (0..3).map(move |k| ((r * 3 + k) as f64 * seed).sin())).collect();
        let of = Tensor::from_slice(&values).view([rows.len() as i64, 3]);
        let length = of.norm_scalaropt_dim(2.0, [1i64].as_slice(), true);
        View { vectors: of / length, rows: rows.to_vec() }
    };
    // Item 1 has no second side, 3 and 6 are positives of each other, 7 is a mined negative.
    let (x, y) = (vectors(1.3, &[0, 1, 2, 3, 4, 5, 6, 7]), vectors(0.7, &[0, 2, 3, 4, 5, 6]));
    let items = Items {
        labels: vec![0, 1, 2, 3, 4, 5, 3, 7],
        texts: vec![None; 8],
        mined: vec![7],
        ..Items::default()
    };
    let scale = Tensor::from(1.5).set_requires_grad(true);
    for tile in [None, Some(2)] {
        for (label_smoothing, hard_negative_beta, negatives) in [(0.0, 0.0, 0), (0.1, 0.0, 1), (0.1, 0.5, 1)]
        {
            let term = Contrastive {
                tile,
                label_smoothing,
                hard_negative_beta,
                negatives,
                ..Contrastive::default()
            };
            let loss = |own: Option<&[usize]>| {
                let items = Items { own: own.map(<[usize]>::to_vec), ..items.clone() };
                let loss = term.loss(&x, &y, &items, &scale).unwrap().unwrap();
                let of =
                    unisono_torch_ext::autograd::grad(&[&loss], &[None], &[&scale], false, false).unwrap();
                [loss.double_value(&[]), of[0].as_ref().map_or(0.0, |g| g.double_value(&[]))]
            };
            // Of three processes one has nothing that has both sides.
            let parts: [&[usize]; 3] = [&[0, 2, 5], &[3, 4, 6], &[1, 7]];
            let whole = loss(None);
            let sum = parts
                .map(|own| loss(Some(own)))
                .into_iter()
                .fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
            for (a, b) in whole.iter().zip(sum) {
                assert!((a - b).abs() < 1e-12, "{tile:?} {term:?}: {whole:?} {sum:?}");
            }
        }
    }
}
