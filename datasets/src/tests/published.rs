//! Data sets in the form that they are published in, made up and tiny.

use crate::source::Source;
use crate::{Record, SourceConfig, SourceKind, open};
use std::fs;
use std::path::Path;
use std::sync::Arc;

#[path = "published_audio.rs"]
mod audio;
#[path = "published_images.rs"]
mod images;
#[path = "published_lists.rs"]
mod lists;
#[path = "published_video.rs"]
mod video;

/// A folder with these files; media are empty ones.
fn laid(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| put(&dir, name, content));
    dir
}

fn put(dir: &tempfile::TempDir, name: &str, content: &str) {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A path in the folder as a source, its kind seen from it and told, which is the same.
fn source(dir: &tempfile::TempDir, path: &str, kind: SourceKind) -> Arc<dyn Source> {
    let at = if path.is_empty() { dir.path().to_path_buf() } else { dir.path().join(path) };
    let told = open(&SourceConfig { kind: Some(kind), ..SourceConfig::new(&at) }).unwrap();
    let seen = open(&SourceConfig::new(&at)).unwrap();
    assert_eq!(told.sum().unwrap(), seen.sum().unwrap(), "{kind} is not seen");
    assert!(told.record(told.len()).is_err());
    assert_eq!(told.key(told.len()), Default::default());
    told
}

/// All records, whose keys are theirs.
fn records(source: &dyn Source) -> Vec<Record> {
    let all: Vec<Record> = (0..source.len()).map(|i| source.record(i).unwrap().into_owned()).collect();
    for (i, record) in all.iter().enumerate() {
        assert_eq!(source.key(i), record.part_key(), "{record:?}");
    }
    all
}

/// The line that refuses a path of a kind.
fn refused(dir: &tempfile::TempDir, path: &str, kind: SourceKind) -> String {
    let at = if path.is_empty() { dir.path().to_path_buf() } else { dir.path().join(path) };
    let said = open(&SourceConfig { kind: Some(kind), ..SourceConfig::new(at) }).unwrap_err().to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with(dir.path().to_str().unwrap()), "{said}");
    said
}

/// Each file with some of its words replaced is refused with words.
fn refuses(dir: &tempfile::TempDir, path: &str, kind: SourceKind, changes: &[(&str, &str, &str, &str)]) {
    for (file, from, to, words) in changes {
        let was = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(was.contains(from), "{from} is not in {file}");
        put(dir, file, &was.replacen(from, to, 1));
        let said = refused(dir, path, kind);
        assert!(said.contains(words), "expected {words}: {said}");
        put(dir, file, &was);
    }
}

/// A file that is not there is told by its name.
fn misses(dir: &tempfile::TempDir, path: &str, kind: SourceKind, file: &str, words: &str) {
    let (there, away) = (dir.path().join(file), dir.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let said = refused(dir, path, kind);
    assert!(said.contains(words), "expected {words}: {said}");
    fs::rename(away, there).unwrap();
}

fn at(dir: &tempfile::TempDir, path: &str) -> unisono_media::Blob {
    dir.path().join(path).into()
}

#[test]
fn several_sets_in_one_folder_are_told_by_type() {
    let dir = laid(&[
        (
            "annotations/captions_val2014.json",
            r#"{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}"#,
        ),
        ("dataset_coco.json", "{}"),
        ("val2014/a.jpg", ""),
    ]);
    let said = open(&SourceConfig::new(dir.path())).unwrap_err().to_string();
    assert!(
        said.contains("holds files of karpathy and of coco-captions: say by type which is meant"),
        "{said}"
    );
    let config = SourceConfig { kind: Some(SourceKind::CocoCaptions), ..SourceConfig::new(dir.path()) };
    assert_eq!(open(&config).unwrap().len(), 1);
    let columns = crate::Columns { text: crate::Names(vec!["caption".into()]), ..Default::default() };
    let said = open(&SourceConfig { columns, ..config }).unwrap_err().to_string();
    assert!(said.contains("has fixed keys, found columns.text"), "{said}");
}

#[test]
fn files_of_these_names_are_others_too() {
    let dir = laid(&[
        ("train.csv", "image,caption\na.jpg,x\n"),
        ("train_data.json", "{\"id\": \"a\", \"text\": \"b\"}\n"),
    ]);
    for (name, records) in [("train.csv", 1), ("train_data.json", 1)] {
        assert_eq!(open(&SourceConfig::new(dir.path().join(name))).unwrap().len(), records, "{name}");
    }
    let said = open(&SourceConfig {
        kind: Some(SourceKind::Clotho),
        ..SourceConfig::new(dir.path().join("train.csv"))
    });
    let said = said.unwrap_err().to_string();
    assert!(said.contains("expected a file of Clotho (clotho_captions_development.csv, "), "{said}");
    assert!(said.contains("found a file of the name \"train.csv\""), "{said}");
    let gone = Path::new("nowhere/dataset_coco.json");
    let said = open(&SourceConfig::new(gone)).unwrap_err().to_string();
    assert!(said.contains("nowhere/dataset_coco.json"), "{said}");
}

mod any_bytes {
    use proptest::prelude::*;

    /// What each target of [`crate::fuzzing::published`] reads, in its order.
    const WHOLE: [&str; 11] = [
        r#"{"dataset":"coco","images":[{"filepath":"a","filename":"b.jpg","imgid":0,"cocoid":1,"split":"restval","sentences":[{"raw":"x"}]}]}"#,
        r#"{"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"id":2,"image_id":1,"caption":"x"}]}"#,
        r#"{"data_subtype":"test2015","questions":[{"image_id":1,"question":"x","question_id":2}]}"#,
        r#"[{"annotation_id":1,"description":"x","video":"a.mov","times":[[0,1],[0,1]],"num_segments":6}]"#,
        "filename,fold,target,category,esc10,src_file,take\na.wav,1,0,dog,True,1,A\n",
        "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\na.wav,1,2,3,4,\"5\"\n",
        "audiocap_id,youtube_id,start_time,caption\n1,--PJHxphWEs,30,x\n",
        "# YTID, positive_labels\n--PJHxphWEs, 30.000, 40.000, \"/m/09x0r\"\n",
        "# x\na two words\n",
        "https://a.example\tx\n",
        "n01440764 tench, Tinca tinca\nn01440765 b\n",
    ];

    #[test]
    fn a_blank_caption_is_none() {
        for (which, blank) in [
            (6, "audiocap_id,youtube_id,start_time,caption\n1,--PJHxphWEs,30, \n"),
            (9, "https://a.example\t \n"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            crate::fuzzing::published(dir.path(), &[&[which], blank.as_bytes()].concat());
        }
    }

    #[test]
    fn what_the_fuzzer_begins_with_is_read() {
        for (which, whole) in WHOLE.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            crate::fuzzing::published(dir.path(), &[&[which as u8], whole.as_bytes()].concat());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_bytes_panic(which in 0_u8..11, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            crate::fuzzing::published(dir.path(), &[&[which], &bytes[..]].concat());
        }

        #[test]
        fn no_spoilt_file_panics(which in 0_u8..11, changes in prop::collection::vec((0_usize..120, any::<u8>()), 1..4)) {
            let mut bytes = WHOLE[usize::from(which)].as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.min(bytes.len().saturating_sub(1));
                match byte % 3 {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, byte),
                    _ if bytes.is_empty() => {}
                    _ => bytes[at] = byte,
                }
            }
            let dir = tempfile::tempdir().unwrap();
            crate::fuzzing::published(dir.path(), &[&[which], &bytes[..]].concat());
        }
    }
}
