//! The page of an inspection, read back.

use super::*;
use std::fs;
use std::path::Path;
use unisono_datasets::{Manifest, Record};
use unisono_media::Blob;

#[path = "../../../page/tests/support/document.rs"]
mod document;

fn made(source: &dyn Source, page_path: &Path, samples: usize) -> String {
    let found = inspect(source, &InspectOptions::default(), &mut |_| Flow::Continue).unwrap();
    let made = page(source, "<data>", &found, &PageOptions { page: page_path, samples, seed: 3 });
    document::check(&made);
    made
}

const EVIL: &str = "<script>alert(1)</script>\"' onload=\"alert(1)</style>\u{202e}";

/// Records of every kind, with a stranger's words wherever there may be some.
fn records(dir: &Path) -> Vec<Record> {
    image::RgbImage::from_pixel(300, 200, image::Rgb([9, 99, 199])).save(dir.join("ok.png")).unwrap();
    let evil = dir.join("<img src=x onerror=alert(1)>.png");
    fs::copy(dir.join("ok.png"), &evil).unwrap();
    fs::copy(dir.join("ok.png"), dir.join("named.jpg")).unwrap();
    let wav = |name: &str, bytes: usize| {
        fs::write(dir.join(name), [b"RIFF\0\0\0\0WAVEfmt ".as_slice(), &vec![0; bytes]].concat()).unwrap();
        Blob::from(dir.join(name))
    };
    fs::write(dir.join("clip.mp4"), b"\0\0\0\x18ftypisom none").unwrap();
    let record = |id: &str| Record { id: id.into(), ..Record::default() };
    let evil_words = || Some(EVIL.to_owned());
    vec![
        Record {
            text: vec![EVIL.into(), "two".into(), "three".into(), "four".into()],
            image: Some(evil.into()),
            label: evil_words(),
            group: evil_words(),
            split: Some("train".into()),
            lang: evil_words(),
            ..record(EVIL)
        },
        Record {
            image: Some(dir.join("named.jpg").into()),
            group: evil_words(),
            split: evil_words(),
            ..record("b")
        },
        Record {
            text: vec!["un bruit".into()],
            lang: Some("fr".into()),
            audio: vec![
                wav("a.wav", 500),
                wav("large #1.wav", 2 << 20),
                dir.join("gone.wav").into(),
                wav("d.wav", 9),
            ],
            ..record("heard")
        },
        Record { video: Some(dir.join("clip.mp4").into()), ..record("seen") },
        Record { image: Some(dir.join("gone.png").into()), ..record("missing") },
        Record { text: vec!["only text".into()], ..record("read") },
    ]
}

#[test]
fn strangers_words_stay_words_and_everything_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let source = Manifest { path: "m.jsonl".into(), records: records(dir.path()) };
    let page = made(&source, &dir.path().join("pages/page.html"), 24);
    assert!(!page.contains("<script") && !page.contains("onerror=alert(1)>\"") && !page.contains('\u{202e}'));
    assert_eq!(page.matches("<article").count(), 6);
    assert_eq!(page.matches("<img").count(), 2, "two images can be shown");
    // Two small audio files of the three that are shown; of the large one there is a link.
    assert_eq!(page.matches("<audio").count(), 1, "the fourth is not shown");
    assert!(page.contains("href=\"../large%20%231.wav\"") && page.contains("(audio, 2.1 MB)"), "{page}");
    assert!(page.contains("and 1 more audio files") && page.contains("and 1 more captions"));
    assert!(
        page.contains("<video controls"),
        "a small video is carried, whether there is a frame of it or not"
    );
    assert!(
        page.contains("gone.wav: ") && page.matches("No such file").count() >= 4,
        "in its card and in the list"
    );
    assert!(page.contains("lang=\"fr\">un bruit") && !page.contains("lang=\"&lt;"));
    assert!(page.contains("is a PNG image") && page.contains("1 group stands"));
    for heading in ["Records", "Splits and modalities", "Sizes", "Languages and labels", "Problems"] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    for chart in ["Words of a caption", "Characters of a caption", "Width of images", "Height of images"] {
        assert!(page.contains(&format!("<strong dir=\"auto\">{chart}</strong>")), "{chart}");
    }
    assert_eq!(page, made(&source, &dir.path().join("pages/page.html"), 24), "the same data, the same page");
}

#[test]
fn what_is_carried_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let audio = |i: usize| Record {
        id: i.to_string(),
        audio: vec![Blob::bytes(
            format!("{i}.wav"),
            [b"RIFF\0\0\0\0WAVE".as_slice(), &vec![i as u8; 1_000_000]].concat(),
        )],
        ..Record::default()
    };
    let source = Manifest { path: "m.jsonl".into(), records: (0..20).map(audio).collect() };
    let page = made(&source, &dir.path().join("page.html"), 20);
    assert_eq!(page.matches("<audio").count(), 16);
    assert_eq!(page.matches("(audio, 1.0 MB)").count(), 4);
    assert!(page.len() < 24 << 20, "{}", page.len());
}

#[test]
fn nothing_is_fine_too() {
    let source = Manifest { path: "m.jsonl".into(), records: Vec::new() };
    let page = made(&source, Path::new("page.html"), 24);
    assert!(page.contains("Every file is there") && !page.contains("<article"));
    let record = Record { id: "a".into(), text: vec!["a".into()], ..Record::default() };
    let source = Manifest { path: "m.jsonl".into(), records: vec![record] };
    assert!(!made(&source, Path::new("page.html"), 0).contains("<article"));
}
