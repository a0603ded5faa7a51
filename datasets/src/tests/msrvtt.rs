#![allow(clippy::unwrap_used)]

use super::*;
use crate::Manifest;
use serde_json::json;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("videos")).unwrap();
    std::fs::create_dir_all(dir.path().join("TestVideo")).unwrap();
    for name in [
        "video1.mp4",
        "videos/video2.webm",
        "videos/video2.mkv",
        "TestVideo/video7010.MP4",
        "videos/notes.txt",
    ] {
        std::fs::write(dir.path().join(name), b"x").unwrap();
    }
    dir
}

fn data() -> Value {
    json!({
        "info": {"year": "2016"},
        "videos": [
            {"category": 9, "url": "u", "video_id": "video1", "start time": 137.72, "end time": 149.44, "split": "train", "id": 1},
            {"category": 3, "video_id": "video2", "start time": 0.0, "end time": 9.0, "split": "validate", "id": 2},
            {"video_id": "video7010", "split": "test", "id": 7010},
        ],
        "sentences": [
            {"caption": "second of one", "video_id": "video1", "sen_id": 5},
            {"caption": "first of one", "video_id": "video1", "sen_id": 4},
            {"caption": "a cat, \"purring\"", "video_id": "video2", "sen_id": 1},
        ],
    })
}

fn load_as(name: &str, content: &str) -> (tempfile::TempDir, crate::Result<Manifest>) {
    let dir = folder();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    let loaded = load(&path, None).map(|records| Manifest { path, records });
    (dir, loaded)
}

#[test]
fn its_own_files_are_read() {
    for content in [data().to_string(), serde_json::to_string_pretty(&data()).unwrap()] {
        let (dir, manifest) = load_as("MSRVTT_data.json", &content);
        let manifest = manifest.unwrap();
        let [one, two, test] = &manifest.records[..] else { panic!("{manifest:?}") };
        assert_eq!((one.key(), one.split.as_deref()), ("video1", Some("train")));
        assert_eq!(one.text, ["first of one", "second of one"]);
        assert_eq!(one.video, Some(dir.path().join("video1.mp4").into()));
        // Places in the video that the file was cut from.
        assert!(one.span.is_whole());
        assert_eq!(one.extra["start time"], json!(137.72));
        assert_eq!(two.video, Some(dir.path().join("videos/video2.webm").into()));
        assert_eq!(test.video, Some(dir.path().join("TestVideo/video7010.MP4").into()));
        assert_eq!((test.text.len(), manifest.split("validate").len()), (0, 1));
    }
    let (dir, manifest) = load_as(
        "MSRVTT_JSFUSION_test.csv",
        "key,vid_key,video_id,sentence\r\nret0,msr1,video1,a woman sings\r\nret1,msr2,video2,\"a cat, \"\"purring\"\"\nloudly\"\r\nret2,msr9,video9,gone\n",
    );
    let manifest = manifest.unwrap();
    assert_eq!(manifest.split("test").len(), 3);
    let [one, two, gone] = &manifest.records[..] else { panic!("{manifest:?}") };
    assert_eq!(
        (one.id.as_str(), one.key(), &one.text[..]),
        ("ret0", "video1", &["a woman sings".to_owned()][..])
    );
    assert_eq!(two.text, ["a cat, \"purring\"\nloudly"]);
    assert_eq!(gone.video, Some(dir.path().join("videos/video9.mp4").into()));
}

#[test]
fn its_files_are_seen_and_manifests_of_that_ending_stay_manifests() {
    let dir = folder();
    let open = |name: &str, content: &str| {
        std::fs::write(dir.path().join(name), content).unwrap();
        crate::open(&crate::SourceConfig::new(dir.path().join(name)))
    };
    // Under whatever name, the head shows it.
    assert_eq!(open("nine-thousand.json", &data().to_string()).unwrap().len(), 3);
    let csv = "key,vid_key,video_id,sentence\nret0,msr1,video1,a woman sings\n";
    assert_eq!(open("test.csv", csv).unwrap().record(0).unwrap().id, "ret0");
    for lines in [
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"y\"}\n",
        "\n\u{feff}{\"id\":\"a\",\"text\":\"x\",\"videos\":[],\"sentences\":[]}\n",
    ] {
        let source = open("m.json", lines).unwrap();
        assert_eq!(source.record(0).unwrap().text, ["x"]);
    }
    let said = load(&dir.path().join("m.json"), None).unwrap_err().to_string();
    assert!(said.contains("expected one of MSR-VTT's files, MSRVTT_data.json"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("data.json"), data().to_string()).unwrap();
    let records = load(&elsewhere.path().join("data.json"), Some(dir.path())).unwrap();
    assert_eq!(records[0].video, Some(dir.path().join("video1.mp4").into()));
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let change = |f: &dyn Fn(&mut Value)| {
        let mut data = data();
        f(&mut data);
        data.to_string()
    };
    for (name, content, says) in [
        (
            "d.json",
            change(&|d| d["videos"][1]["video_id"] = json!("video1")),
            "videos[1]: video_id \"video1\" was already used",
        ),
        (
            "d.json",
            change(&|d| d["videos"][0]["video_id"] = json!("../x")),
            "videos[0]: expected the name of a video, found \"../x\"",
        ),
        (
            "d.json",
            change(&|d| d["videos"][0]["video_id"] = json!(3)),
            "videos[0]: \"video_id\" must be a string, found 3",
        ),
        (
            "d.json",
            change(&|d| d["sentences"][0]["video_id"] = json!("video5")),
            "a sentence is of \"video5\", which is not among the videos",
        ),
        ("d.json", change(&|d| d["sentences"][2] = json!([])), "sentences[2] must be an object"),
        ("d.json", change(&|d| d["videos"] = json!({})), "\"videos\" must be a list"),
        (
            "d.json",
            json!({"videos": [], "sentences": []}).to_string(),
            "expected MSR-VTT's videos, found none",
        ),
        (
            "t.csv",
            "a,b\n1,2\n".into(),
            "t.csv:1: expected the columns key, vid_key, video_id, sentence of MSR-VTT's test table; key, video_id, sentence missing; found \"a\", \"b\"",
        ),
        ("t.csv", "key,vid_key,video_id,sentence\nr,m,v\n".into(), "t.csv:2: expected 4 columns, found 3"),
        ("t.csv", "key,vid_key,video_id,sentence\nr,m,v,\"x\n".into(), "t.csv:2: a quoted field has no end"),
        (
            "t.csv",
            "key,vid_key,video_id,sentence\nr,m,v,x\nr,m,w,y\n".into(),
            "t.csv:3: key \"r\" is empty or was already used",
        ),
        ("t.csv", String::new(), "expected MSR-VTT's videos, found none"),
    ] {
        let text = load_as(name, &content).1.unwrap_err().to_string();
        assert!(text.contains(says) && text.lines().count() == 1, "{says}: {text}");
    }
    let dir = folder();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, b"key\xff").unwrap();
    assert!(load(&path, None).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn tables_as_spreadsheets_save_them() {
    let csv = "\u{feff}key;vid_key;video_id;sentence\r\nr;m;v;x\r\n";
    let said = load_as("t.csv", csv).1.unwrap_err().to_string();
    assert!(said.contains("found \"key;vid_key;video_id;sentence\""), "{said}");
    let csv = "\u{feff}sentence,video_id,key\r\n\"two\r\nlines\",video1,a\r\nplain,video1,b";
    let records = load_as("t.csv", csv).1.unwrap().records;
    assert_eq!((records[0].text[0].as_str(), records[1].text[0].as_str()), ("two\r\nlines", "plain"));
    // The same video twice: both captions are of one thing.
    assert_eq!((records[0].key(), records[1].key()), ("video1", "video1"));
    let bytes = |name: &str, bytes: &[u8]| {
        let dir = folder();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        load(&path, None).unwrap_err().to_string()
    };
    let head = b"key,vid_key,video_id,sentence\na,m,video1,";
    assert!(bytes("t.csv", &[head, &b"caf\xe9\n"[..]].concat()).contains("t.csv:2: the line is not UTF-8"));
    assert!(bytes("t.csv", &[head, &b"x\0\n"[..]].concat()).contains("t.csv:2: the line holds NUL"));
    assert!(bytes("t.csv", b"\xff\xfek\0e\0y\0").contains("t.csv:1: the file is UTF-16 text"));
    assert!(bytes("d.json", b"\xff\xfe{\0}\0").contains("d.json:1: the file is UTF-16 text"));
}

#[test]
fn large_files_are_bounded() {
    let commas = ",".repeat(BUDGET.values as usize + 2);
    let said = load_as("t.csv", &commas).1.unwrap_err().to_string();
    assert!(said.contains("t.csv:1: 4194305 values or more, more than the 4194304 values"), "{said}");
    let dir = folder();
    let path = dir.path().join("t.csv");
    // Nothing of it is on the disk, and nothing is read.
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let said = load(&path, None).unwrap_err().to_string();
    assert!(said.contains("bytes") && said.lines().count() == 1, "{said}");
    let long = "x".repeat(1 << 20);
    for content in [
        json!({"videos": [{"video_id": [&long], "split": "test"}], "sentences": []}),
        json!({"videos": [{"video_id": format!("../{long}"), "split": "test"}], "sentences": []}),
        json!({"videos": [], "sentences": [{"video_id": &long, "caption": "x"}]}),
    ] {
        let said = load_as("d.json", &content.to_string()).1.unwrap_err().to_string();
        assert!(said.len() < 400, "{}", said.len());
    }
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    fn never_panics(name: &str, content: &[u8]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let read = match name.ends_with("jsonl") {
            true => Manifest::load(&path).map(drop),
            false => load(&path, None).map(drop),
        };
        if let Err(e) = read {
            assert_eq!(e.to_string().lines().count(), 1, "{e}");
        }
    }

    /// `content` with some of its bytes changed, cut, or put elsewhere.
    fn spoilt(content: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let n = content.len();
        prop::collection::vec((0..n, any::<u8>(), 0..n), 0..6).prop_map(move |changes| {
            let mut bytes = content.as_bytes().to_vec();
            for (at, byte, from) in changes {
                let at = at.min(bytes.len().saturating_sub(1));
                match byte % 4 {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, byte),
                    2 => bytes.extend_from_within(from.min(bytes.len())..),
                    _ if bytes.is_empty() => {}
                    _ => bytes[at] = byte,
                }
            }
            bytes
        })
    }

    const CSV: &str = "key,vid_key,video_id,sentence\r\na,m,video1,\"x, \"\"y\"\"\nz\"\nb,n,video2,w\n";
    const DATA: &str = r#"{"videos":[{"video_id":"video1","split":"test","id":1}],"sentences":[{"video_id":"video1","caption":"x","sen_id":-3}]}"#;
    const LINES: &str = "{\"id\":\"a\",\"text\":[\"x\",\"\"],\"image\":\"a.png\",\"n\":1e3}\n{\"id\":\"b\",\"video\":\"v.mp4\",\"start\":12.5,\"end\":\"1001/24\"}\n";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for name in ["a.csv", "a.json", "a.jsonl"] {
                never_panics(name, &bytes);
            }
        }

        #[test]
        fn no_spoilt_file_panics(csv in spoilt(CSV), data in spoilt(DATA), lines in spoilt(LINES)) {
            for (name, bytes) in [("a.csv", csv), ("a.json", data), ("a.jsonl", lines)] {
                never_panics(name, &bytes);
            }
        }
    }
}
