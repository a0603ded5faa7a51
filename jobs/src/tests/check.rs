//! Small manifests, checked.

use super::*;
use crate::Error;
use image::{Rgb, RgbImage, imageops};
use std::fs;
use std::path::Path;
use unisono_datasets::Manifest;

fn look(manifest: &Path) -> Checked {
    let source = Manifest::load(manifest).unwrap();
    let options = CheckOptions { workers: 2, ..CheckOptions::default() };
    check(&source, None, &options, &mut |_| Flow::Continue).unwrap()
}

fn image(seed: u32) -> RgbImage {
    RgbImage::from_fn(60, 48, |x, y| {
        let wave = |k: u32| ((x * (k + seed) + y * (3 + k * seed)) as f32 / 25.0).sin() * 100.0 + 128.0;
        Rgb([wave(1) as u8, wave(2) as u8, wave(5) as u8])
    })
}

#[test]
fn files_are_judged_by_their_content() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    RgbImage::new(2, 2).save(at("ok.png")).unwrap();
    fs::copy(at("ok.png"), at("photo.jpg")).unwrap();
    fs::copy(at("ok.png"), at("ok")).unwrap();
    fs::write(at("words.png"), "not found").unwrap();
    fs::write(at("words.wav"), "not found").unwrap();
    let lines = [
        r#"{"id":"1","image":"ok.png"}"#,
        r#"{"id":"2","image":"photo.jpg"}"#,
        r#"{"id":"3","image":"ok"}"#,
        r#"{"id":"4","image":"words.png"}"#,
        r#"{"id":"5","audio":"words.wav"}"#,
        r#"{"id":"6","image":"."}"#,
        r#"{"id":"7","image":"words.png","text":"the same broken file"}"#,
    ];
    fs::write(at("m.jsonl"), lines.join("\n")).unwrap();
    let found = look(&at("m.jsonl"));
    let said = |name: &str| {
        found.problems.iter().find(|p| p.id.ends_with(name)).map_or("", |p| p.reason.as_str()).to_owned()
    };
    assert_eq!(
        (found.problem_count, found.problems.len(), found.broken_records),
        (3, 3, 4),
        "{:?}",
        found.problems
    );
    assert!(said("/.").contains("a folder"), "{}", said("/."));
    assert!(said("words.png").ends_with("found text") && said("words.wav").ends_with("found text"));
    assert_eq!(found.misnamed.len(), 1);
    assert!(found.misnamed[0].path.ends_with("photo.jpg"));
    assert_eq!(found.misnamed[0].content, "a PNG image");
    let stages: Vec<_> = found.causes.iter().map(|c| c.stage).collect();
    assert_eq!(stages.iter().filter(|s| **s == "decode").count(), 2, "{:?}", found.causes);
    // Three names of one content.
    assert_eq!((found.exact.groups, found.exact.members, found.exact.leaks), (1, 3, 0));
    let manifest = Manifest::load(&at("m.jsonl")).unwrap();
    let stopped = check(&manifest, None, &CheckOptions::default(), &mut |_| Flow::Stop);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn duplicates_and_leaks() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (a, b, c) = (image(1), image(4), image(9));
    a.save(at("a.png")).unwrap();
    fs::copy(at("a.png"), at("copy.png")).unwrap();
    imageops::brighten(&a, 4).save(at("bright.png")).unwrap();
    b.save(at("b.png")).unwrap();
    imageops::flip_horizontal(&b).save(at("turned.jpg")).unwrap();
    c.save(at("c.png")).unwrap();
    let lines = [
        r#"{"id":"a","image":"a.png","split":"train"}"#,
        r#"{"id":"copy","image":"copy.png","split":"train"}"#,
        r#"{"id":"bright","image":"bright.png","split":"test"}"#,
        r#"{"id":"b","image":"b.png","split":"train","group":"b"}"#,
        r#"{"id":"turned","image":"turned.jpg","split":"train","group":"b"}"#,
        r#"{"id":"c1","image":"c.png","split":"train","text":"one file"}"#,
        r#"{"id":"c2","image":"c.png","split":"train","text":"in two records"}"#,
        r#"{"id":"c3","image":"c.png","split":"val","text":"and in another split"}"#,
        r#"{"id":"t1","text":"a text alone","split":"train"}"#,
        r#"{"id":"t2","text":"a text alone","split":"test"}"#,
        r#"{"id":"t3","text":"another"}"#,
    ];
    fs::write(at("m.jsonl"), lines.join("\n")).unwrap();
    let found = look(&at("m.jsonl"));
    assert_eq!((found.problem_count, found.files, found.broken_records), (0, 6, 0));
    let ids = |group: &Group| group.members.iter().map(|m| m.record.clone()).collect::<Vec<_>>();
    // The copy, and the two texts, which cross.
    assert_eq!((found.exact.groups, found.exact.members, found.exact.leaks), (2, 4, 1));
    assert_eq!(ids(&found.exact.listed[0]), ["t1", "t2"]);
    assert_eq!(found.exact.listed[0].members[0].file, None);
    assert_eq!(ids(&found.exact.listed[1]), ["a", "copy"]);
    // The brighter one is like both; the mirror image is known.
    assert_eq!((found.alike.groups, found.alike.leaks, found.alike.unknown), (2, 1, 1), "{:?}", found.alike);
    assert_eq!(ids(&found.alike.listed[0]), ["a", "copy", "bright"]);
    assert!(found.alike.listed[0].leak && found.alike.listed[0].closest.unwrap() <= 4.0);
    assert!(found.alike.listed[1].known && ids(&found.alike.listed[1]) == ["b", "turned"]);
    assert_eq!((found.shared.groups, found.shared.leaks), (1, 1));
    assert_eq!(ids(&found.shared.listed[0]), ["c1", "c3"]);
    assert_eq!((found.duplicates(), found.leaks(), found.compared), (4, 3, None));
}

#[test]
fn of_too_many_the_first_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for n in 0..6 {
        image(n / 2).save(dir.path().join(format!("{n}.bmp"))).unwrap();
        lines += &format!("{{\"id\":\"{n}\",\"image\":\"{n}.bmp\"}}\n");
    }
    let path = dir.path().join("m.jsonl");
    fs::write(&path, lines).unwrap();
    let source = Manifest::load(&path).unwrap();
    let options = CheckOptions { most: 2, ..CheckOptions::default() };
    let found = check(&source, None, &options, &mut |_| Flow::Continue).unwrap();
    assert_eq!((found.compared, found.exact.groups), (Some(2), 3));
}
