use super::*;
use crate::sample::groups::lot;
use image::{Rgba, RgbaImage};

fn stamp(name: &str, english: &str) -> Stamp {
    Stamp { name: name.into(), english: english.into(), ..Stamp::default() }
}

fn spoken(mut stamp: Stamp, lang: &str, text: &str, file: &str) -> Stamp {
    stamp.texts.insert(lang.into(), text.into());
    stamp.spoken.insert(lang.into(), vec![file.into()]);
    stamp
}

/// An image that is unlike every other number's.
fn thumbnail(number: u64) -> Option<Thumbnail> {
    let shade = |x: u32, y: u32| (lot("shade", &format!("{number} {} {}", x / 4, y / 4)) % 256) as u8;
    Some(Thumbnail::new(&RgbaImage::from_fn(32, 32, |x, y| Rgba([shade(x, y), shade(y, x), 128, 255]))))
}

#[test]
fn every_kind_of_near_copy_shares_a_group() {
    let media = tempfile::tempdir().unwrap();
    for (file, content) in [("a.ogg", "x"), ("b.ogg", "y"), ("c.ogg", "y"), ("d.ogg", "z")] {
        std::fs::write(media.path().join(file), content).unwrap();
    }
    let stamps = [
        stamp("a/cat", "A cat."),
        stamp("b/kitten", "The cat!"),
        spoken(stamp("a/dog", "A dog."), "fr", "Un chien.", "a.ogg"),
        spoken(stamp("a/hound", "A hound."), "fr", "Un chien", "d.ogg"),
        spoken(stamp("a/oak", "An oak."), "fr", "Un chêne.", "b.ogg"),
        spoken(stamp("a/elm", "An elm."), "ru", "Вяз.", "c.ogg"),
        stamp("c/x", "The letter X in sign language."),
        stamp("c/y", "The letter Y in sign language."),
        stamp("d/drum-big", "Boom."),
        stamp("d/drum_2", "Rataplan."),
        stamp("e/sun", "The Sun."),
        stamp("e/lamp", "A lamp."),
        stamp("e/alone", "Something else."),
    ];
    let mut thumbnails: Vec<_> = (0..stamps.len() as u64).map(thumbnail).collect();
    thumbnails[11] = thumbnails[10].clone();
    let (groups, splits) = split(media.path(), &stamps, &thumbnails).unwrap();
    let expected = [
        "a/cat",
        "a/cat",
        "a/dog",
        "a/dog",
        "a/oak",
        "a/oak",
        "c/x",
        "c/x",
        "d/drum-big",
        "d/drum-big",
        "e/sun",
        "e/sun",
        "e/alone",
    ];
    assert_eq!(groups, expected);
    assert_eq!(splits.len(), stamps.len());
}

#[test]
fn series_are_blanked_captions() {
    let key = |name: &str, text: &str| series(&stamp(name, text));
    assert_eq!(key("food/pie1", "Two pies."), key("food/pie2", "Three pies."));
    assert_eq!(key("food/pie", "A pie."), None);
    assert_eq!(key("symbols/math/2", "Two."), key("symbols/math/plus", "Plus."));
    assert_ne!(key("food/pie1", "Two pies."), key("toys/pie1", "Two pies."));
}

#[test]
fn groups_go_whole_into_one_split() {
    let media = tempfile::tempdir().unwrap();
    // Pairs of siblings, spoken in four languages as tested stamps must be.
    let make = |i: usize| {
        let name = format!("f{}/thing_{i}", i / 2);
        let mut stamp = stamp(&name, &format!("caption {}", lot("words", &name)));
        ["fr", "ru", "ro", "ca"].iter().for_each(|l| drop(stamp.spoken.insert((*l).into(), Vec::new())));
        stamp
    };
    let stamps: Vec<Stamp> = (0..1000).map(make).collect();
    let thumbnails = vec![None; stamps.len()];
    let (groups, splits) = split(media.path(), &stamps, &thumbnails).unwrap();
    let count = |split| splits.iter().filter(|s| **s == split).count();
    assert_eq!((count("test"), count("val")), (TEST - TEST % 2, VAL - VAL % 2));
    for pair in 0..500 {
        assert_eq!((&groups[2 * pair], splits[2 * pair]), (&groups[2 * pair + 1], splits[2 * pair + 1]));
    }
}
