use super::*;
use serde_json::json;
use unisono_media::video::Span;

#[test]
fn didemos_moments() {
    let moments = json!([
        {"annotation_id": 1, "description": "someone kicks the bug.", "dl_link": "https://x.example", "num_segments": 6,
         "times": [[4, 5], [4, 4], [0, 0], [4, 5], [4, 4], [0, 0]], "video": "26292851@N04_4253489686_265c3c8051.m4v"},
        {"annotation_id": 2, "description": "gone", "num_segments": 5, "times": [[0, 0]], "video": "gone.mov"},
        {"annotation_id": 3, "description": "the first", "num_segments": 5, "times": [[1, 2], [0, 0]], "video": "a.avi"},
    ]);
    let dir = laid(&[
        ("data/val_data.json", &moments.to_string()),
        ("videos/26292851@N04_4253489686_265c3c8051.m4v.mp4", ""),
        ("videos/a.webm", ""),
    ]);
    let kind = SourceKind::DiDeMo;
    let set = source(&dir, "", kind);
    let all = records(&*set);
    assert_eq!(
        all[0],
        Record {
            id: "val/1".into(),
            text: vec!["someone kicks the bug.".into()],
            video: Some(at(&dir, "videos/26292851@N04_4253489686_265c3c8051.m4v.mp4")),
            // Of three pairs that two annotators each chose the first.
            span: Span { start: Some("20".parse().unwrap()), end: Some("30".parse().unwrap()) },
            group: Some("26292851@N04_4253489686_265c3c8051".into()),
            split: Some("val".into()),
            extra: json!({"times": [[4, 5], [4, 4], [0, 0], [4, 5], [4, 4], [0, 0]]})
                .as_object()
                .unwrap()
                .clone(),
            ..Record::default()
        }
    );
    assert_eq!((all.len(), all[1].id.as_str(), all[1].span.to_string()), (2, "val/3", "5 to 15 s".into()));
    assert!(
        set.notes()[0].contains("1 of 3 moments passed over: their videos are not in"),
        "{:?}",
        set.notes()
    );
    let file = "data/val_data.json";
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                file,
                "[4,5]",
                "[5,4]",
                "[0] (annotation_id 1): times: expected segments below num_segments (6), found [5, 4]",
            ),
            (
                file,
                "[[1,2],[0,0]]",
                "[[1,5]]",
                "[2] (annotation_id 3): times: expected segments below num_segments (5), found [1, 5]",
            ),
            (
                file,
                "[[1,2],[0,0]]",
                "[]",
                "[2] (annotation_id 3): times: expected pairs of segments, found none",
            ),
            (
                file,
                "[4,5]",
                "[4]",
                "val_data.json:1: expected DiDeMo's form (a list of moments with \"times\"): invalid length 1",
            ),
            (file, "\"description\":\"gone\"", "\"text\":\"gone\"", "missing field `description`"),
            (
                file,
                "a.avi",
                "../a.avi",
                "[2] (annotation_id 3): video: expected the name of a file, found \"../a.avi\"",
            ),
            (
                file,
                "\"annotation_id\":3",
                "\"annotation_id\":1",
                "[2] (annotation_id 1): \"val/1\" was already used",
            ),
        ],
    );
    misses(
        &dir,
        "",
        kind,
        file,
        "expected a file of DiDeMo (train_data.json, val_data.json, test_data.json), found \"away\", \"data\", \"videos\"",
    );
    fs::remove_dir_all(dir.path().join("videos")).unwrap();
    assert!(
        refused(&dir, "", kind)
            .contains("expected videos that were fetched, found \"data\": name their folder by media")
    );
}

#[test]
fn msvds_descriptions() {
    let text = "# MSVD\n# lines of remarks\n\n-4wsuPCjDBc_5_15 a squirrel is eating a peanut in it's shell\n-4wsuPCjDBc_5_15 a chipmunk is eating\n-7KMZQEsJW4_205_208 a woman speaks\n";
    let dir = laid(&[
        ("AllVideoDescriptions.txt", text),
        ("train_list.txt", "-4wsuPCjDBc_5_15\n"),
        ("test_list.txt", "-7KMZQEsJW4_205_208\n"),
        ("YouTubeClips/-4wsuPCjDBc_5_15.avi", ""),
    ]);
    let kind = SourceKind::Msvd;
    let all = records(&*source(&dir, "", kind));
    assert_eq!(
        all[0],
        Record {
            id: "-4wsuPCjDBc_5_15".into(),
            text: vec!["a squirrel is eating a peanut in it's shell".into(), "a chipmunk is eating".into()],
            video: Some(at(&dir, "YouTubeClips/-4wsuPCjDBc_5_15.avi")),
            split: Some("train".into()),
            ..Record::default()
        }
    );
    assert_eq!(
        (all[1].split.as_deref(), all[1].video.clone()),
        (Some("test"), Some(at(&dir, "YouTubeClips/-7KMZQEsJW4_205_208.avi")))
    );
    let file = "AllVideoDescriptions.txt";
    refuses(
        &dir,
        file,
        kind,
        &[
            (
                file,
                "-7KMZQEsJW4_205_208 a woman speaks",
                "-7KMZQEsJW4_205_208",
                "AllVideoDescriptions.txt:6: expected a clip's name and a description behind it, found \"-7KMZQEsJW4_205_208\"",
            ),
            (
                file,
                "-7KMZQEsJW4_205_208",
                "a/b",
                "AllVideoDescriptions.txt:6: expected the name of a clip, found \"a/b\"",
            ),
            (
                "test_list.txt",
                "-7KMZQEsJW4_205_208",
                "vid1",
                "test_list.txt:1: expected the name of a clip that",
            ),
            (
                "test_list.txt",
                "-7KMZQEsJW4_205_208",
                "-4wsuPCjDBc_5_15",
                "test_list.txt:1: \"-4wsuPCjDBc_5_15\" is of the split train, too",
            ),
        ],
    );
    misses(&dir, "", kind, file, "expected a file of MSVD (AllVideoDescriptions.txt, with train_list.txt");
    for list in ["train_list.txt", "test_list.txt"] {
        fs::remove_file(dir.path().join(list)).unwrap();
    }
    assert_eq!(records(&*source(&dir, "", kind))[0].split, None);
}
