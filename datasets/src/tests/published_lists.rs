use super::*;
use serde_json::json;

const TRAIN: &str = "Train_GCC-training.tsv";

#[test]
fn conceptual_captions_as_img2dataset_leaves_them() {
    let list = "a very \"typical\" bus station\thttp://lh6.example/a.jpg\nthe second\thttps://b.example/b\ngone\thttps://c.example/c\nsierra\thttps://d.example/d?x=1\n";
    let json = |url: &str| json!({"caption": "x", "url": url, "key": "0", "status": "success"}).to_string();
    let dir = laid(&[
        (TRAIN, list),
        ("training/00000/000000000.jpg", ""),
        ("training/00000/000000000.json", &json("http://lh6.example/a.jpg")),
        ("training/00000/000000000.txt", "x"),
        ("training/00000/000000003.jpg", ""),
        ("training/00000/000000003.json", &json("https://d.example/d?x=1")),
        ("training/00000_stats.json", "{}"),
    ]);
    let kind = SourceKind::ConceptualCaptions;
    let set = source(&dir, "", kind);
    let all = records(&*set);
    assert_eq!(
        all[0],
        Record {
            id: "training/0".into(),
            text: vec!["a very \"typical\" bus station".into()],
            image: Some(at(&dir, "training/00000/000000000.jpg")),
            split: Some("train".into()),
            extra: json!({"url": "http://lh6.example/a.jpg"}).as_object().unwrap().clone(),
            ..Record::default()
        }
    );
    assert_eq!(
        (all.len(), all[1].id.as_str(), all[1].image.clone()),
        (2, "training/3", Some(at(&dir, "training/00000/000000003.jpg")))
    );
    assert!(set.notes()[0].contains("2 rows have their image in"), "{:?}", set.notes());
    // As img2dataset wants it, and as the list of 12 million is.
    put(&dir, TRAIN, &format!("caption\turl\n{list}"));
    assert_eq!(records(&*source(&dir, TRAIN, kind)), all);
    let twelve = list
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(c, u)| format!("{u}\t{c}\n"))
        .collect::<String>();
    put(&dir, "cc12m.tsv", &twelve);
    let media = Some(dir.path().join("training"));
    let other = open(&SourceConfig { media, ..SourceConfig::new(dir.path().join("cc12m.tsv")) }).unwrap();
    let other = records(&*other);
    assert_eq!(
        (other[1].id.as_str(), &other[1].text, &other[1].image),
        ("cc12m/3", &all[1].text, &all[1].image)
    );
    put(&dir, TRAIN, list);
    refuses(
        &dir,
        TRAIN,
        kind,
        &[
            (
                TRAIN,
                "\thttp://lh6.example/a.jpg",
                " x",
                "Train_GCC-training.tsv:1: expected a caption and an image's address with a tab between them, found \"a very",
            ),
            (
                "training/00000/000000003.json",
                "d.example",
                "e.example",
                "000000003.json: expected the address of training/3 in",
            ),
        ],
    );
    misses(&dir, TRAIN, kind, "training/00000/000000003.json", "000000003.json");
    fs::remove_file(dir.path().join("cc12m.tsv")).unwrap();
    misses(
        &dir,
        "",
        kind,
        TRAIN,
        "expected a file of Conceptual Captions (Train_GCC-training.tsv, Validation_GCC-1.1.0-Validation.tsv, cc12m.tsv), found \"away\", \"training\"",
    );
    // A row that is broken is its record's error.
    put(&dir, TRAIN, &list.replace("\thttps://d.example/d?x=1", ""));
    let broken = open(&SourceConfig::new(dir.path().join(TRAIN))).unwrap();
    let said = broken.record(1).unwrap_err().to_string();
    assert!(said.contains("Train_GCC-training.tsv:4: expected a caption and an address"), "{said}");
    assert_eq!(*broken.record(0).unwrap(), all[0]);
}

#[test]
fn folders_of_img2dataset_count_as_their_names_do() {
    let list: String = (0..1200).map(|i| format!("c{i}\thttps://x.example/{i}\n")).collect();
    let json = |i: u32| json!({"url": format!("https://x.example/{i}")}).to_string();
    for (row, stem) in
        [(1101, "00011/0000001101"), (1101, "00011/01"), (1101, "00001/101"), (7, "00000/00000007")]
    {
        let dir =
            laid(&[(TRAIN, &list), (&format!("{stem}.png"), ""), (&format!("{stem}.json"), &json(row))]);
        // Of the first the folder's digits and the file's do not fit: no such row.
        let opened = open(&SourceConfig::new(dir.path().join(TRAIN)));
        if stem == "00011/0000001101" {
            assert!(opened.unwrap_err().to_string().contains("expected images"));
            continue;
        }
        let all = records(&*opened.unwrap());
        assert_eq!((all.len(), all[0].id.clone()), (1, format!("training/{row}")), "{stem}");
        assert_eq!(all[0].image, Some(at(&dir, &format!("{stem}.png"))));
    }
}

#[test]
fn conceptual_captions_by_the_sums_of_addresses() {
    // CRC-32 of "123456789", which every description of it gives.
    let mut crc = flate2::Crc::new();
    crc.update(b"123456789");
    assert_eq!(crc.sum(), 0xcbf4_3926);
    let sum = |url: &str| {
        let mut crc = flate2::Crc::new();
        crc.update(url.as_bytes());
        crc.sum()
    };
    let (a, b) = ("http://a.example", "http://b.example");
    let list = format!("one\t{a}\ntwo\t{b}\n");
    let kind = SourceKind::ConceptualCaptions;
    let name = "Validation_GCC-1.1.0-Validation.tsv";
    for file in [sum(b).to_string(), format!("1_{}", sum(b))] {
        let image = format!("validation/{file}");
        let dir = laid(&[(name, &list), (&image, "")]);
        let all = records(&*source(&dir, "", kind));
        assert_eq!(
            (all.len(), all[0].id.as_str(), all[0].split.as_deref()),
            (1, "validation/1", Some("val"))
        );
        assert_eq!(all[0].image, Some(at(&dir, &image)));
    }
    let dir = laid(&[(name, &list), ("validation/x.jpg", "")]);
    assert!(
        refused(&dir, name, kind)
            .contains("expected images as img2dataset (00000/000000000.jpg) or DownloadConceptualCaptions")
    );
    let dir = laid(&[(name, &list), ("validation/12345", "")]);
    assert!(refused(&dir, name, kind).contains("expected images of its rows in"));
}
