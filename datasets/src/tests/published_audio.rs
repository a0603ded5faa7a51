use super::*;
use serde_json::json;

#[test]
fn esc50s_clips() {
    let csv = "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n5-9032-A-0.wav,5,12,crackling_fire,False,9032,A\n";
    let dir = laid(&[("meta/esc50.csv", csv), ("audio/1-100032-A-0.wav", "")]);
    let kind = SourceKind::Esc50;
    let all = records(&*source(&dir, "", kind));
    assert_eq!(all, records(&*source(&dir, "meta/esc50.csv", kind)));
    assert_eq!(
        all[1],
        Record {
            id: "5-9032-A-0".into(),
            text: vec!["crackling fire".into()],
            audio: vec![at(&dir, "audio/5-9032-A-0.wav")],
            label: Some("crackling_fire".into()),
            group: Some("9032".into()),
            split: Some("fold5".into()),
            extra: json!({"target": 12, "esc10": false}).as_object().unwrap().clone(),
            ..Record::default()
        }
    );
    assert_eq!(all[0].extra["esc10"], true);
    let file = "meta/esc50.csv";
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                file,
                "filename",
                "file",
                "esc50.csv:1: expected the columns filename, fold, target, category, esc10, src_file of ESC-50; filename missing; found \"file\", \"fold\"",
            ),
            (file, ",1,0,dog", ",6,0,dog", "esc50.csv:2: fold: expected 1 to 5, found \"6\""),
            (file, ",12,", ",twelve,", "esc50.csv:3: target: expected a class's number, found \"twelve\""),
            (file, "dog", "", "esc50.csv:2: category: expected the name of a class"),
            (file, "5-9032-A-0.wav", "1-100032-A-0.wav", "esc50.csv:3: \"1-100032-A-0\" was already used"),
            (file, "1-100032-A-0.wav", "..", "esc50.csv:2: expected the name of a file, found \"..\""),
            (file, ",100032,A", "", "esc50.csv:2: expected 7 columns, found 5"),
            (file, "1-100032", "\"1-100032", "a quoted field has no end"),
        ],
    );
    misses(
        &dir,
        "",
        kind,
        file,
        "expected a file of ESC-50 (meta/esc50.csv), found \"audio\", \"away\", \"meta\"",
    );
}

#[test]
fn clothos_captions() {
    let csv = |file: &str| {
        format!(
            "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n{file},one,\"two, three\",four,five,six\n"
        )
    };
    let dir = laid(&[
        ("clotho_captions_development.csv", &csv("Waves (1).wav")),
        ("clotho_captions_evaluation.csv", &csv("Waves (1).wav")),
        ("development/Waves (1).wav", ""),
        ("clotho_audio_evaluation/evaluation/Waves (1).wav", ""),
    ]);
    let kind = SourceKind::Clotho;
    let all = records(&*source(&dir, "", kind));
    let [train, test] = &all[..] else { panic!("{all:?}") };
    assert_eq!(
        *train,
        Record {
            id: "development/Waves (1).wav".into(),
            text: ["one", "two, three", "four", "five", "six"].map(String::from).to_vec(),
            audio: vec![at(&dir, "development/Waves (1).wav")],
            split: Some("train".into()),
            ..Record::default()
        }
    );
    assert_eq!(
        (test.split.as_deref(), &test.audio[..]),
        (Some("test"), &[at(&dir, "clotho_audio_evaluation/evaluation/Waves (1).wav")][..])
    );
    let file = "clotho_captions_development.csv";
    refuses(
        &dir,
        file,
        kind,
        &[
            (
                file,
                "caption_3",
                "caption_6",
                "development.csv:1: expected the columns file_name, caption_1, caption_2, caption_3, caption_4, caption_5 of Clotho; caption_3 missing",
            ),
            (file, ",six", "", "development.csv:2: expected 6 columns, found 5"),
            (file, "Waves (1).wav", "/Waves.wav", "development.csv:2: expected the name of a file"),
        ],
    );
    let said = refused(&dir, "development", kind);
    assert!(said.contains("expected a file of Clotho (clotho_captions_development.csv, clotho_captions_validation.csv, clotho_captions_evaluation.csv), found \"Waves (1).wav\""), "{said}");
}

#[test]
fn audiocaps_of_what_was_fetched() {
    let train = "audiocap_id,youtube_id,start_time,caption\n91139,r1nicOVtvkQ,130,A woman talks nearby as water pours\n58146,UDGBjjwyaqE,20,\"Clanging, clanking\"\n";
    let test = "audiocap_id,youtube_id,start_time,caption\n1,-0RWZT-miFs,420,one\n2,--PJHxphWEs,30,two\n3,-0RWZT-miFs,420,three\n4,7fmOlUlwoNg,0,four\n";
    let dir = laid(&[
        ("dataset/train.csv", train),
        ("dataset/test.csv", test),
        ("audio/train/58146.wav", ""),
        ("audio/test/Y-0RWZT-miFs.flac", ""),
        ("audio/test/--PJHxphWEs_30.000_40.000.wav", ""),
        ("audio/test/7fmOlUlwoNg_0.m4a", ""),
        ("audio/notes.txt", ""),
    ]);
    let kind = SourceKind::AudioCaps;
    let caps = source(&dir, "", kind);
    let all = records(&*caps);
    assert_eq!(
        all.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(),
        ["test/-0RWZT-miFs_420", "test/--PJHxphWEs_30", "test/7fmOlUlwoNg_0", "train/UDGBjjwyaqE_20"]
    );
    assert_eq!(
        all[0],
        Record {
            id: "test/-0RWZT-miFs_420".into(),
            text: vec!["one".into(), "three".into()],
            audio: vec![at(&dir, "audio/test/Y-0RWZT-miFs.flac")],
            split: Some("test".into()),
            ..Record::default()
        }
    );
    assert_eq!(all[1].audio, [at(&dir, "audio/test/--PJHxphWEs_30.000_40.000.wav")]);
    assert_eq!(all[3].audio, [at(&dir, "audio/train/58146.wav")]);
    let notes = caps.notes();
    assert!(notes[0].contains("1 of 5 clips passed over: no audio file of theirs in"), "{notes:?}");
    let file = "dataset/train.csv";
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                file,
                "youtube_id",
                "ytid",
                "train.csv:1: expected the columns audiocap_id, youtube_id, start_time, caption of AudioCaps; youtube_id missing",
            ),
            (
                file,
                "r1nicOVtvkQ",
                "r1nic",
                "train.csv:2: expected a video's id on YouTube, 11 characters, found \"r1nic\"",
            ),
            (file, ",20,", ",soon,", "train.csv:3: start_time: expected seconds, found \"soon\""),
        ],
    );
    let said = refused(&dir, "audio", kind);
    assert!(said.contains("expected a file of AudioCaps (train.csv, val.csv, test.csv)"), "{said}");
    for (media, words) in [
        ("empty", "expected audio files that were fetched, found nothing"),
        ("other", "expected audio files of its clips (YOUTUBE-ID.wav, "),
    ] {
        put(&dir, &format!("{media}/x.txt"), "");
        if media == "other" {
            put(&dir, "other/x.wav", "");
        } else {
            fs::remove_file(dir.path().join("empty/x.txt")).unwrap();
        }
        let media = Some(dir.path().join(media));
        let said = open(&SourceConfig { media, ..SourceConfig::new(dir.path().join("dataset")) })
            .unwrap_err()
            .to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn audiosets_segments() {
    let rows = "# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=2, num_segs=2\n# YTID, start_seconds, end_seconds, positive_labels\n--PJHxphWEs, 30.000, 40.000, \"/m/09x0r,/t/dd00088\"\n--ZhevVpy1s, 50.000, 60.000, \"/m/012xff\"\n";
    let classes = "index,mid,display_name\n0,/m/09x0r,\"Speech\"\n1,/t/dd00088,\"Gush\"\n2,/m/012xff,\"Toothbrush, electric\"\n";
    let eval = rows.replace("--PJHxphWEs", "-0RWZT-miFs");
    let dir = laid(&[
        ("balanced_train_segments.csv", rows),
        ("eval_segments.csv", &eval),
        ("class_labels_indices.csv", classes),
        ("audio/--PJHxphWEs_30-40.wav", ""),
        ("audio/-0RWZT-miFs_30000_40000.ogg", ""),
        ("audio/Y--ZhevVpy1s.wav", ""),
    ]);
    let kind = SourceKind::AudioSet;
    let segments = source(&dir, "", kind);
    let all = records(&*segments);
    assert_eq!(
        all.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(),
        ["balanced_train/--PJHxphWEs", "balanced_train/--ZhevVpy1s", "eval/-0RWZT-miFs", "eval/--ZhevVpy1s"]
    );
    assert_eq!(
        all[0],
        Record {
            id: "balanced_train/--PJHxphWEs".into(),
            text: vec!["Speech".into(), "Gush".into()],
            audio: vec![at(&dir, "audio/--PJHxphWEs_30-40.wav")],
            split: Some("train".into()),
            extra: json!({"mids": ["/m/09x0r", "/t/dd00088"], "start_seconds": 30.0, "end_seconds": 40.0})
                .as_object()
                .unwrap()
                .clone(),
            ..Record::default()
        }
    );
    assert_eq!(
        (all[2].split.as_deref(), &all[3].text[..]),
        (Some("test"), &["Toothbrush, electric".to_owned()][..])
    );
    assert_eq!(segments.splits().into_iter().collect::<Vec<_>>(), [("test".into(), 2), ("train".into(), 2)]);
    assert!(segments.notes()[1].contains("2 segments have their audio file in"), "{:?}", segments.notes());
    // One that is not fetched is passed over; a row that is broken is its record's error.
    fs::remove_file(dir.path().join("audio/Y--ZhevVpy1s.wav")).unwrap();
    let file = "balanced_train_segments.csv";
    assert_eq!(source(&dir, file, kind).len(), 1);
    let was = fs::read_to_string(dir.path().join(file)).unwrap();
    for (from, to, words) in [
        (
            "/m/012xff",
            "/m/0",
            "balanced_train_segments.csv:5: positive_labels: expected classes of class_labels_indices.csv, found \"/m/0\"",
        ),
        ("--ZhevVpy1s", "short", "5: expected a video's id on YouTube"),
        (", 50.000", "", "5: expected 4 columns, found 3"),
        (" 60.000", " -1", "5: end_seconds: expected seconds, found \"-1\""),
    ] {
        put(&dir, file, &was.replace(from, to));
        let broken = source(&dir, file, kind);
        let said = broken.record(1).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
        assert_eq!(broken.record(0).unwrap().id, "balanced_train/--PJHxphWEs");
    }
    put(&dir, file, &was);
    let classes = "class_labels_indices.csv";
    refuses(
        &dir,
        file,
        kind,
        &[
            (file, "# YTID", "# ID", "balanced_train_segments.csv:1: expected AudioSet's remarks"),
            (
                classes,
                "mid",
                "id",
                "class_labels_indices.csv:1: expected the columns mid, display_name of AudioSet's classes; mid missing",
            ),
            (
                classes,
                "/t/dd00088",
                "/m/09x0r",
                "class_labels_indices.csv:3: mid \"/m/09x0r\" is empty, has no name or stands twice",
            ),
        ],
    );
    misses(&dir, file, kind, classes, "expected class_labels_indices.csv beside it, found none");
    put(&dir, "other/x.wav", "");
    let media = Some(dir.path().join("other"));
    let said =
        open(&SourceConfig { media, ..SourceConfig::new(dir.path().join(file)) }).unwrap_err().to_string();
    assert!(said.contains("expected audio files of its segments (YTID.wav, "), "{said}");
}
