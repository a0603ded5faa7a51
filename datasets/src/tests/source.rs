use super::*;
use crate::Manifest;

fn manifest() -> Manifest {
    let record = |i: usize| Record {
        id: format!("r{i}"),
        text: if i.is_multiple_of(2) { vec![format!("text {i}")] } else { Vec::new() },
        image: i.is_multiple_of(3).then(|| format!("{i}.png").into()),
        split: (i != 4).then(|| if i < 3 { "train" } else { "val" }.to_owned()),
        lang: (i > 1).then(|| "fr".to_owned()),
        ..Record::default()
    };
    Manifest { path: "m.jsonl".into(), records: (0..6).map(record).collect() }
}

fn ids<'a>(records: impl IntoIterator<Item = Cow<'a, Record>>) -> Vec<String> {
    records.into_iter().map(|r| r.id.clone()).collect()
}

#[test]
fn splits_and_records_of_one() {
    let m = manifest();
    assert_eq!(
        Source::splits(&m),
        [("".to_owned(), 1), ("train".to_owned(), 3), ("val".to_owned(), 2)].into()
    );
    assert_eq!(ids(m.records_of("val").unwrap()), ["r3", "r5"]);
    assert!(m.records_of("test").unwrap().is_empty() && !Source::is_empty(&m));
    let said = Source::record(&m, 6).unwrap_err().to_string();
    assert_eq!(said, "m.jsonl: there is no record of number 6");
    assert_eq!(Source::key(&m, 6), Key::default());
}

#[test]
fn a_part_is_chosen_by_keys_and_keeps_the_order() {
    let source: Arc<dyn Source> = Arc::new(manifest());
    let part = Part::of(source.clone(), |k| k.lang == Some("fr") && !k.image).unwrap();
    assert_eq!(ids(part.records().map(Result::unwrap)), ["r2", "r4", "r5"]);
    assert_eq!((part.len(), part.record(1).unwrap().id.as_str()), (3, "r4"));
    assert_eq!((part.key(0).split, part.key(1).split), (Some("train"), None));
    assert!(part.record(3).is_err() && part.key(3) == Key::default());
    let none = Part::of(source, |k| k.video).unwrap();
    assert!(none.is_empty() && none.records().next().is_none());
}

#[test]
fn the_sum_is_of_what_a_training_sees() {
    let sum = |change: &dyn Fn(&mut Manifest)| {
        let mut m = manifest();
        change(&mut m);
        m.sum().unwrap()
    };
    let before = sum(&|_| {});
    assert_eq!(before.len(), 64);
    assert_eq!(before, sum(&|m| m.path = "elsewhere.jsonl".into()));
    assert_eq!(before, sum(&|m| drop(m.records[0].extra.insert("note".into(), 1.into()))));
    type Change = dyn Fn(&mut Manifest);
    let changes: [&Change; 9] = [
        &|m| m.records[1].text.push("more".into()),
        &|m| m.records[0].text = vec!["text".into(), " 0".into()],
        &|m| m.records[0].image = None,
        &|m| m.records[0].audio.push("0.png".into()),
        &|m| m.records[3].label = Some("r3".into()),
        &|m| m.records[3].lang = None,
        &|m| m.records[3].split = None,
        &|m| m.records.swap(0, 1),
        &|m| drop(m.records.pop()),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        assert_ne!(before, sum(change), "{i}");
    }
}
