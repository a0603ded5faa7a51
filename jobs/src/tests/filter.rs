//! Conditions that need no model, and what is decided by similarities.

use super::*;
use unisono_datasets::{SourceConfig, open};

fn go_on(_: Progress) -> Flow {
    Flow::Continue
}

fn options(conditions: Conditions) -> FilterOptions {
    FilterOptions { conditions, workers: 2, ..FilterOptions::default() }
}

/// Images of two sizes, a copy of one, a file that is none, an audio file, texts.
fn source(dir: &Path) -> Arc<dyn Source> {
    let image = |seed: u32, width, height| {
        image::RgbImage::from_fn(width, height, |x, y| {
            let wave = |k: u32| ((x * (k + seed) + y * (3 + k * seed)) as f32 / 25.0).sin() * 100.0 + 128.0;
            image::Rgb([wave(1) as u8, wave(2) as u8, wave(5) as u8])
        })
    };
    image(1, 60, 48).save(dir.join("a.png")).unwrap();
    image(2, 90, 30).save(dir.join("b.png")).unwrap();
    std::fs::copy(dir.join("a.png"), dir.join("copy.png")).unwrap();
    std::fs::write(dir.join("c.png"), "no image").unwrap();
    let lines = [
        r#"{"id":"1","image":"a.png","text":"one two"}"#,
        r#"{"id":"2","image":"b.png","text":"one","lang":"en"}"#,
        r#"{"id":"3","image":"c.png","text":"one two three"}"#,
        r#"{"id":"4","image":"copy.png","text":"another caption"}"#,
        r#"{"id":"5","text":["a","a b c"],"lang":"de"}"#,
        r#"{"id":"6","image":"a.png","text":"of the same file"}"#,
        r#"{"id":"7","text":["a","a b c"],"lang":"de"}"#,
    ];
    std::fs::write(dir.join("m.jsonl"), lines.join("\n")).unwrap();
    open(&SourceConfig::new(dir.join("m.jsonl"))).unwrap()
}

fn kept(options: &FilterOptions) -> (Filtered, Vec<serde_json::Value>) {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    let out = dir.path().join("kept.jsonl");
    let made = filter(&source, options, None, &out, &mut |_| (), &mut go_on).unwrap();
    let lines: Vec<_> =
        std::fs::read_to_string(&out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    // It is read as it is meant to be.
    let config = SourceConfig { only: Some(out), ..SourceConfig::new(dir.path().join("m.jsonl")) };
    assert_eq!(open(&config).unwrap().len(), lines.len());
    assert_eq!((made.kept, made.records), (lines.len(), 7));
    assert_eq!(made.fell.values().sum::<usize>() + made.kept, 7);
    (made, lines)
}

fn ids(lines: &[serde_json::Value]) -> String {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

#[test]
fn records_fall_by_the_first_condition_that_they_do_not_meet() {
    let (made, lines) =
        kept(&options(Conditions { min_side: Some(40), min_words: Some(2), ..Conditions::default() }));
    assert_eq!(ids(&lines), "14567");
    assert_eq!(made.fell, [(Fell::Words, 1), (Fell::Unreadable, 1)].into());
    assert_eq!(lines[0], serde_json::json!({"id": "1", "width": 60, "height": 48, "words": 2}));
    assert_eq!(lines[2], serde_json::json!({"id": "5", "words": 3}));
    let (made, lines) = kept(&options(Conditions { max_aspect: Some(2.0), ..Conditions::default() }));
    assert_eq!((ids(&lines).as_str(), made.fell[&Fell::MaxAspect]), ("14567", 1));
    let (made, lines) = kept(&options(Conditions { langs: vec!["de".into()], ..Conditions::default() }));
    assert_eq!((ids(&lines).as_str(), made.fell[&Fell::Lang]), ("57", 5));
}

#[test]
fn of_copies_the_first_stays_and_so_do_records_of_its_file() {
    let (made, lines) =
        kept(&FilterOptions { copies: Some(CheckOptions::default()), ..options(Conditions::default()) });
    assert_eq!((ids(&lines).as_str(), &made.fell), ("12356", &[(Fell::NearCopy, 2)].into()));
}

#[test]
fn nothing_is_written_where_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (source(dir.path()), dir.path().join("kept.jsonl"));
    let asked = options(Conditions { langs: vec!["fr".into()], ..Conditions::default() });
    let said = filter(&source, &asked, None, &out, &mut |_| (), &mut go_on).unwrap_err().to_string();
    assert!(said.contains("none of 7 records meets the conditions: 7 fell by language"), "{said}");
    let likeness = Some(Likeness { pair: (Modality::Image, Modality::Text), min: None, best: Some(0.5) });
    let asked = FilterOptions { likeness, ..FilterOptions::default() };
    let said = filter(&source, &asked, None, &out, &mut |_| (), &mut go_on).unwrap_err().to_string();
    assert!(said.contains("no model is given") && !out.exists(), "{said}");
}

#[test]
fn the_most_similar_stay() {
    let likes = [Some(0.1), None, Some(0.5), Some(0.3), Some(0.5)];
    let judge = |min, best| {
        let mut judged: Vec<Judged> = vec![None; 6];
        judged[0] = Some(Fell::Lang);
        let asked = Likeness { pair: (Modality::Image, Modality::Text), min, best };
        assert_eq!(asked.judge(&[1, 2, 3, 4, 5], &likes, &mut judged), Some([0.1, 0.3, 0.5]));
        judged
    };
    let (lang, pair) = (Some(Fell::Lang), Some(Fell::NoPair));
    assert_eq!(judge(Some(0.3), None), [lang, Some(Fell::MinSimilarity), pair, None, None, None]);
    assert_eq!(
        judge(None, Some(0.25)),
        [lang, Some(Fell::KeepBest), pair, None, Some(Fell::KeepBest), Some(Fell::KeepBest)]
    );
    assert_eq!(judge(Some(0.2), Some(0.4))[3..], [None, Some(Fell::KeepBest), None]);
}

#[test]
fn languages_that_were_found_are_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    let lines = [
        r#"{"id":"1","text":"Ein Mann fährt mit dem Fahrrad die Straße hinunter."}"#,
        r#"{"id":"2","text":"taxi"}"#,
        r#"{"id":"3","text":"words","lang":"fr"}"#,
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let source = open(&SourceConfig::new(&path)).unwrap();
    let out = dir.path().join("told.jsonl");
    let detector = Some(crate::LangDetector::default());
    let asked = options(Conditions { detector, ..Conditions::default() });
    assert!(!asked.conditions.is_empty() && Conditions::default().is_empty());
    let made = filter(&source, &asked, None, &out, &mut |_| (), &mut go_on).unwrap();
    assert_eq!((made.kept, made.fell.len()), (3, 0), "all stay: it is a look alone");
    let config = SourceConfig { annotations: vec![out], ..SourceConfig::new(&path) };
    let told = open(&config).unwrap();
    let langs: Vec<_> = (0..3).map(|i| told.record(i).unwrap().lang.clone()).collect();
    assert_eq!(langs, [Some("de".to_owned()), None, Some("fr".to_owned())]);
    let first = told.record(0).unwrap();
    assert!(first.extra["lang_confidence"].as_f64().unwrap() >= 0.9);
}
