//! Metrics against closed forms, intervals against their promise, the control against made-up speech.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unisono_eval::{
    control::{Caption, DurationControl},
    metrics::RetrievalMetrics,
    retrieval::{Embeddings, QueryRank, Ranks, Right, ranks},
    stats::{Bootstrap, Clusters, percentile},
    table,
};

/// Outcomes with these ranks, in a gallery of `gallery` with one relevant item each.
fn with_ranks(ranks: &[usize], gallery: usize) -> Ranks {
    let outcome = |(query, &rank): (usize, &usize)| QueryRank {
        query,
        rank: rank as f64,
        above: rank - 1,
        tied: 0,
        tied_relevant: 1,
        gallery,
        relevant: 1,
        best_relevant: 0,
        relevant_score: 0.0,
        best_wrong: None,
        wrong_score: None,
    };
    Ranks { queries: ranks.iter().enumerate().map(outcome).collect(), left_out: vec![] }
}

#[test]
fn closed_forms() {
    let found = with_ranks(&[1, 2, 6, 20], 40);
    let m =
        RetrievalMetrics::new("text", "image", &found, &["a", "b", "c", "d"], &Bootstrap::default()).unwrap();
    assert_eq!((m.r1.value, m.r5.value, m.r10.value, m.median_rank.value), (0.25, 0.5, 0.75, 4.0));
    assert!((m.mrr.value - (1.0 + 0.5 + 1.0 / 6.0 + 0.05) / 4.0).abs() < 1e-12);
    assert_eq!((m.queries, m.gallery, m.relevant), (4, 40.0, 1.0));
    for (chance, k) in [(m.chance_r1, 1.0), (m.chance_r5, 5.0), (m.chance_r10, 10.0)] {
        assert!((chance - k / 40.0).abs() < 1e-12);
    }
    for e in [m.r1, m.r5, m.r10, m.median_rank, m.mrr] {
        assert!(e.low <= e.value && e.value <= e.high && e.low < e.high, "{e}");
    }
    let shown = table::recalls(&[("test", &m)]);
    assert!(shown.contains("25.0 [0.0, 75.0]") && shown.contains("text → image"), "{shown}");
    let json = serde_json::to_value(&m).unwrap();
    assert_eq!(
        (&json["r1"]["value"], &json["from"], &json["gallery"]),
        (&0.25.into(), &"text".into(), &40.0.into())
    );
}

#[test]
fn random_vectors_reach_chance() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut draw = || (0..600 * 8).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
    let (left, right) = (draw(), draw());
    // Six items share each key, so chance is hypergeometric and not k / N.
    let keys: Vec<String> = (0..600).map(|i| (i % 100).to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found =
        ranks(&Embeddings::new(8, &left).unwrap(), &keys, &Embeddings::new(8, &right).unwrap(), &keys, None);
    let m = RetrievalMetrics::new("a", "b", &found.unwrap(), &keys, &Bootstrap::default()).unwrap();
    assert_eq!(m.relevant, 6.0);
    assert!(m.r10.low <= m.chance_r10 && m.chance_r10 <= m.r10.high, "{} {}", m.chance_r10, m.r10.percent());
}

#[test]
fn empty_and_wrong_settings_are_refused() {
    let none = Ranks { queries: vec![], left_out: vec![3] };
    assert!(RetrievalMetrics::new("a", "b", &none, &[], &Bootstrap::default()).is_err());
    assert!(RetrievalMetrics::new("a", "b", &with_ranks(&[1, 1], 2), &["x"], &Bootstrap::default()).is_err());
    let clusters = Clusters::by_key(["a"]);
    for wrong in [
        Bootstrap { resamples: 0, ..Bootstrap::default() },
        Bootstrap { level: 1.0, ..Bootstrap::default() },
        Bootstrap { level: f64::NAN, ..Bootstrap::default() },
    ] {
        assert!(wrong.mean(&[1.0], &clusters).is_err());
    }
    assert!(Bootstrap::default().mean(&[1.0, 2.0], &clusters).is_err());
    assert!(Bootstrap::default().mean(&[], &Clusters::by_key([])).is_err());
}

#[test]
fn percentiles_interpolate() {
    assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
    assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
    assert_eq!((percentile(&[7.0], 0.9), percentile(&[], 0.5)), (Some(7.0), None));
    assert_eq!((percentile(&[1.0, 2.0], -3.0), percentile(&[1.0, 2.0], 3.0)), (Some(1.0), Some(2.0)));
}

/// How often intervals over `trials` samples hold the truth, 0.3; every query is asked `copies` times with one outcome.
fn coverage(trials: u64, copies: usize, clustered: bool) -> f64 {
    let covered = (0..trials).filter(|&trial| {
        let mut rng = ChaCha8Rng::seed_from_u64(trial);
        let outcomes: Vec<f64> = (0..80).map(|_| f64::from(u8::from(rng.random_bool(0.3)))).collect();
        let values: Vec<f64> = outcomes.iter().flat_map(|&v| vec![v; copies]).collect();
        let keys: Vec<String> =
            (0..values.len()).map(|i| if clustered { i / copies } else { i }.to_string()).collect();
        let clusters = Clusters::by_key(keys.iter().map(String::as_str));
        let bootstrap = Bootstrap { resamples: 400, seed: trial, level: 0.95 };
        bootstrap.mean(&values, &clusters).is_ok_and(|e| e.low <= 0.3 && 0.3 <= e.high)
    });
    covered.count() as f64 / trials as f64
}

#[test]
fn intervals_cover_what_they_promise_and_clusters_matter() {
    let plain = coverage(300, 1, true);
    assert!((0.91..=0.98).contains(&plain), "{plain}");
    assert!((0.91..=0.98).contains(&coverage(300, 4, true)));
    // Taking four copies for four independent queries halves the interval: it then holds the truth about two times in three.
    assert!(coverage(300, 4, false) < 0.8);
}

#[test]
fn one_seed_gives_one_interval_on_any_number_of_threads() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let keys: Vec<String> = (0..100).map(|i| (i / 3).to_string()).collect();
    let clusters = Clusters::by_key(keys.iter().map(String::as_str));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Bootstrap::default().mean(&values, &clusters).unwrap())
    };
    assert_eq!(run(1), run(4));
    let other = Bootstrap { seed: 1, ..Bootstrap::default() }.mean(&values, &clusters).unwrap();
    assert_ne!(run(1), other);
}

#[test]
fn the_control_learns_each_language_pace() {
    let texts: Vec<String> = (1..=40).map(|n| "é".repeat(n)).collect();
    let pace = |lang: &str, n: f64| if lang == "fr" { 0.5 + 0.07 * n } else { 1.0 + 0.15 * n };
    let mut captions = Vec::new();
    for lang in ["fr", "ja"] {
        captions.extend(texts.iter().map(|text| Caption { text, lang }));
    }
    let seconds: Vec<f64> = captions.iter().map(|c| pace(c.lang, c.text.chars().count() as f64)).collect();
    // Many repeats outweigh the pull towards everyone's line.
    let (many, long) = (captions.repeat(50), seconds.repeat(50));
    let control = DurationControl::fit(&many, &long).unwrap();
    for (caption, truth) in captions.iter().zip(&seconds) {
        assert!((control.predict(caption) - truth).abs() < 0.05, "{caption:?}");
    }
    let unseen = control.predict(&Caption { text: &texts[19], lang: "xx" });
    assert!(pace("fr", 20.0) < unseen && unseen < pace("ja", 20.0));
    // Perfectly regular speech is found by its length alone, in both directions.
    let keys: Vec<String> = (0..80).map(|i| i.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let right = Right::by_key(&keys, &keys);
    let langs: Vec<&str> = captions.iter().map(|c| c.lang).collect();
    let within = Some((langs.as_slice(), langs.as_slice()));
    let to_text = control.rank_captions(&seconds, &captions, &right, within).unwrap();
    let to_clip = control.rank_clips(&captions, &seconds, &right, within).unwrap();
    for found in [to_text, to_clip] {
        assert!(found.queries.iter().all(|q| q.rank == 1.0 && q.gallery == 40));
    }
}

#[test]
fn few_clips_do_not_bend_a_language() {
    let texts: Vec<String> = (1..=40).map(|n| "a".repeat(n)).collect();
    let mut captions: Vec<Caption> = texts.iter().map(|text| Caption { text, lang: "en" }).collect();
    let mut seconds: Vec<f64> = (1..=40).map(|n| 0.1 * f64::from(n)).collect();
    let before = DurationControl::fit(&captions, &seconds).unwrap();
    captions.push(Caption { text: &texts[4], lang: "da" });
    seconds.push(9.0);
    let after = DurationControl::fit(&captions, &seconds).unwrap();
    let far = Caption { text: &texts[34], lang: "da" };
    assert!((after.predict(&far) - before.predict(&far)).abs() < 1.5);
}

#[test]
fn the_control_refuses_impossible_clips() {
    let caption = Caption { text: "a", lang: "en" };
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = DurationControl::fit(&[caption], &[wrong]).unwrap_err().to_string();
        assert!(error.starts_with("clip 0 lasts"), "{error}");
    }
    assert!(DurationControl::fit(&[], &[]).is_err());
    assert!(DurationControl::fit(&[caption], &[]).is_err());
    // One clip, or one length only: a level without a slope.
    let control = DurationControl::fit(&[caption, caption], &[1.0, 3.0]).unwrap();
    assert!((control.predict(&caption) - 2.0).abs() < 1e-9);
    assert!(control.rank_captions(&[2.0], &[], &Right::by_key(&["x"], &[]), None).is_err());
}

#[test]
fn tables_align_by_display_width() {
    let mut table = table::Table::new(&[("name", table::Align::Left), ("n", table::Align::Right)]);
    table.row(["日本語", "7"]).row(["a\u{1b}[31m\n", "1234"]).row(["short"]);
    assert_eq!(table.render(), "name       n\n──────  ────\n日本語     7\na [31m  1234\nshort\n");
    assert_eq!(
        [0.0, 0.271, 0.0053, 0.0008, 0.00002, 1.0].map(table::percent),
        ["0.0", "27.1", "0.53", "0.08", "0.002", "100.0"]
    );
}

/// One language: its line is the least-squares line, whatever pull there is towards everyone's.
#[test]
fn the_control_of_one_language_is_least_squares() {
    let lengths = [3.0, 5.0, 8.0, 13.0, 21.0, 34.0];
    let seconds = [0.9, 1.1, 1.2, 2.4, 2.9, 5.1];
    let texts: Vec<String> = lengths.iter().map(|&n| "x".repeat(n as usize)).collect();
    let captions: Vec<Caption> = texts.iter().map(|text| Caption { text, lang: "en" }).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (x, y) = (mean(&lengths), mean(&seconds));
    let (mut across, mut along) = (0.0, 0.0);
    for (a, b) in lengths.iter().zip(&seconds) {
        across += (a - x) * (b - y);
        along += (a - x) * (a - x);
    }
    let control = DurationControl::fit(&captions, &seconds).unwrap();
    for n in [1usize, 10, 60] {
        let text = "x".repeat(n);
        let expected = y + across / along * (n as f64 - x);
        for lang in ["en", "unheard"] {
            let found = control.predict(&Caption { text: &text, lang });
            assert!((found - expected).abs() < 1e-9, "{n} {lang} {found} {expected}");
        }
    }
}
