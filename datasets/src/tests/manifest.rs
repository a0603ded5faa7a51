use super::*;
use serde_json::{Map, Value};

fn load(content: &[u8]) -> (tempfile::TempDir, Result<Manifest>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    std::fs::write(&path, content).unwrap();
    let result = Manifest::load(&path);
    (dir, result)
}

/// The message without the folder's name.
fn error(content: &str) -> String {
    let (dir, result) = load(content.as_bytes());
    let text = result.unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn reads_every_field_and_keeps_the_rest() {
    let line = r#"{"id": "cat#fr", "text": ["un chat", "le chat"], "image": "a/cat.png", "audio": "cat.ogg", "video": "/v.mp4",
        "label": "cat", "group": "cats", "split": "train", "lang": "fr", "mood": {"x": [1]}, "n": 7}"#;
    let content = format!(
        "\u{feff}{}\r\n\n{{\"id\":\"b\",\"text\":\"only text\",\"image\":null}}",
        line.replace('\n', " ")
    );
    let (dir, manifest) = load(content.as_bytes());
    let manifest = manifest.unwrap();
    let [cat, b] = &manifest.records[..] else { panic!("{manifest:?}") };
    assert_eq!(cat.text, ["un chat", "le chat"]);
    assert_eq!(cat.image, Some(dir.path().join("a/cat.png").into()));
    assert_eq!(cat.audio, [dir.path().join("cat.ogg").into()]);
    assert_eq!(cat.video, Some("/v.mp4".into()));
    assert_eq!((cat.key(), cat.group.as_deref(), cat.lang.as_deref()), ("cat", Some("cats"), Some("fr")));
    assert_eq!(cat.extra.keys().collect::<Vec<_>>(), ["mood", "n"]);
    assert_eq!((b.key(), &b.text, &b.image), ("b", &vec!["only text".to_owned()], &None));
    assert_eq!(manifest.split("train"), [cat]);
    assert_eq!(manifest.splits(), [("".to_owned(), 1), ("train".to_owned(), 1)].into());
}

#[test]
fn errors_name_the_line_and_the_cause() {
    let good = r#"{"id": "a", "text": "x"}"#;
    let cases = [
        (
            r#"{"id": "b", "text": 3}"#,
            r#"m.jsonl:2: "text" must be a string or a list of strings, found a number"#,
        ),
        (
            r#"{"id": "b", "text": ["x", {}]}"#,
            r#"m.jsonl:2: "text" must be a string or a list of strings, found a list with an object"#,
        ),
        (r#"{"id": "b", "image": ["x"]}"#, r#"m.jsonl:2: "image" must be a string, found a list"#),
        (r#"{"id": 5, "text": "x"}"#, r#"m.jsonl:2: "id" must be a string, found a number: write "5""#),
        (r#"{"id": "b", "text": "x", "text": "y"}"#, r#"m.jsonl:2: the key "text" stands twice"#),
        (
            r#"{"id": "b", "image": ""}"#,
            r#"m.jsonl:2: "image" is empty: leave it out, or give a file's path"#,
        ),
        (
            r#"{"id": "b", "image": "a\u0000.png"}"#,
            r#"m.jsonl:2: "image": a path cannot hold NUL, found "a\0.png""#,
        ),
        (r#"{"id": "b", "text": NaN}"#, "m.jsonl:2: NaN is no JSON: write null where there is no number"),
        (
            r#"{"id": "b", "text": "x", "score": -Infinity}"#,
            "m.jsonl:2: Infinity is no JSON: write null where there is no number",
        ),
        (
            r#"{"id": "b", "text": "x", "n": 1e999}"#,
            "m.jsonl:2: not valid JSON: number out of range (column 35)",
        ),
        (
            "{\n",
            "m.jsonl:2: a record stands on one line of its own (JSON Lines); this is JSON over several lines",
        ),
        (
            r#"{"id": "b", "audio": ["a.wav", "https://example.org/a.wav"]}"#,
            r#"m.jsonl:2: "audio": "https://example.org/a.wav" is a web address: download the file first and give its path"#,
        ),
        (
            r#"{"id": "b", "video": "s3://bucket/a.mp4"}"#,
            r#"m.jsonl:2: "video": "s3://bucket/a.mp4" is an address of a remote store: download the file first and give its path"#,
        ),
        (r#"{"text": "x"}"#, r#"m.jsonl:2: the record has no "id""#),
        (r#"{"id": "", "text": "x"}"#, r#"m.jsonl:2: "id" is empty"#),
        (
            r#"{"id": "a", "text": "x"}"#,
            r#"m.jsonl:2: id "a" was already used on line 1: ids must be unique"#,
        ),
        (
            r#"{"id": "b", "text": " "}"#,
            r#"m.jsonl:2: record "b" has no usable modality: expected at least one of "text", "image", "audio", "video""#,
        ),
        (
            r#"{"id": "b", "video": "v", "start": 3, "end": "5/2"}"#,
            r#"m.jsonl:2: "end" must come after "start" 3, found 5/2"#,
        ),
        (
            r#"{"id": "b", "video": "v", "start": "1:30"}"#,
            r#"m.jsonl:2: "start": expected seconds as a number or a fraction such as "1001/24000", found "1:30""#,
        ),
        (
            r#"{"id": "b", "video": "v", "end": [2]}"#,
            r#"m.jsonl:2: "end": expected seconds as a number or a fraction, found a list"#,
        ),
        (r#"["id"]"#, "m.jsonl:2: a record must be a JSON object, found a list"),
        (r#"{"id": "b" "text": "x"}"#, "m.jsonl:2: not valid JSON: expected `,` or `}` (column 12)"),
        (r#"{"id": "b", "text": "x""#, "m.jsonl:2: not valid JSON: EOF while parsing an object (column 23)"),
    ];
    for (line, expected) in cases {
        assert_eq!(error(&format!("{good}\n{line}\n")), expected);
    }
    assert_eq!(error("\n\n"), "m.jsonl:1: expected one JSON record a line, found no record");
}

#[test]
fn hostile_files_are_refused() {
    let (_dir, result) = load(b"{\"id\": \"a\", \"text\": \"\xff\"}\n");
    assert!(result.unwrap_err().to_string().contains("m.jsonl:1: the line is not UTF-8 text; save"));
    let wide: Vec<u8> = "\u{feff}{\"id\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_dir, result) = load(&wide);
    assert!(
        result.unwrap_err().to_string().ends_with("m.jsonl:1: the file is UTF-16 text; save it as UTF-8")
    );
    let (_dir, result) = load(&wide[2..]);
    assert!(result.unwrap_err().to_string().contains("m.jsonl:1: the line holds NUL bytes: is this UTF-16"));
    let deep = format!("{{\"id\": \"a\", \"x\": {}", "[".repeat(100_000));
    assert!(
        error(&deep).starts_with("m.jsonl:1: the line has 65 levels of nesting or more"),
        "{}",
        error(&deep)
    );
    let wide = format!("{{\"id\": \"a\", \"x\": [{}0]}}", "0,".repeat(1 << 20));
    assert!(error(&wide).contains("more than the 1048576 values that a record may have"));
    let long = format!("{{\"id\": \"{}\", \"n\": 1}}", "x".repeat(1 << 20));
    assert!(error(&long).len() < 300);
    let endless = vec![b'x'; MAX_LINE as usize + 10];
    let (_dir, result) = load(&endless);
    assert!(result.unwrap_err().to_string().contains("is this a JSON Lines file?"));
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path| Manifest::load(path).unwrap_err().to_string();
    assert!(refused(dir.path()).ends_with("expected a regular file, found a folder"));
    #[cfg(unix)]
    for (name, target) in [("m.jsonl", "/dev/zero"), ("m.csv", "/dev/zero"), ("m.json", "/dev/zero")] {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert!(refused(&link).ends_with("expected a regular file, found a device"));
    }
    assert!(refused(Path::new("https://example.org/m.jsonl")).contains("is a web address: download"));
    let missing = Manifest::load(Path::new("/nonexistent/m.jsonl")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/m.jsonl: cannot read: "), "{missing}");
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    let records = [
        Record {
            id: "a\n\"ü\"".into(),
            text: vec!["one".into(), "two".into()],
            image: Some(dir.path().join("x/a b.png").into()),
            audio: vec!["/elsewhere/a.ogg".into()],
            extra: Map::from_iter([("k".to_owned(), Value::from(1.5))]),
            ..Record::default()
        },
        Record { id: "b".into(), text: vec!["t".into()], split: Some("test".into()), ..Record::default() },
    ];
    Manifest::write(&path, &records).unwrap();
    assert_eq!(Manifest::load(&path).unwrap().records, records);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#""image":"x/a b.png","audio":"/elsewhere/a.ogg""#), "{text}");
    // The folder moves as a whole.
    let moved = dir.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    std::fs::rename(&path, moved.join("m.jsonl")).unwrap();
    let again = Manifest::load(&moved.join("m.jsonl")).unwrap();
    assert_eq!(again.records[0].image, Some(moved.join("x/a b.png").into()));
}

#[test]
fn parts_of_videos_are_exact() {
    let content = r#"{"id": "a", "video": "v.mp4", "start": 12.5, "end": "1001/24"}
{"id": "b", "video": "v.mp4", "start": "0.1"}
{"id": "c", "video": "v.mp4", "end": 7, "note": 1}
{"id": "d", "text": "no video: keys like any other", "start": "soon"}"#;
    let (dir, manifest) = load(content.as_bytes());
    let records = manifest.unwrap().records;
    let spans: Vec<String> = records.iter().map(|r| r.span.to_string()).collect();
    assert_eq!(
        spans,
        ["25/2 to 1001/24 s", "1/10 to the end s", "the beginning to 7 s", "the beginning to the end s"]
    );
    assert_eq!((records[2].extra.len(), &records[3].extra["start"]), (1, &Value::from("soon")));
    let again = dir.path().join("again.jsonl");
    Manifest::write(&again, &records).unwrap();
    assert_eq!(Manifest::load(&again).unwrap().records, records);
    assert!(
        std::fs::read_to_string(&again)
            .unwrap()
            .contains(r#""video":"v.mp4","start":"25/2","end":"1001/24""#)
    );
}

#[test]
fn a_hundred_thousand_lines() {
    let mut content = String::new();
    for i in 0..100_000 {
        content += &format!(
            "{{\"id\": \"{i}\", \"text\": [\"caption {i}\", \"more\"], \"image\": \"{i}.png\", \"split\": \"train\"}}\n"
        );
    }
    let (_dir, manifest) = load(content.as_bytes());
    assert_eq!(manifest.unwrap().split("train").len(), 100_000);
}
