//! The page, whole.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "write/cases.rs"]
mod cases;
#[path = "../../page/tests/support/document.rs"]
mod document;

use image::{Rgb, RgbImage};
use std::path::Path;
use unisono_scenes::record::VideoScenes;
use unisono_scenes::report::{Curve, Options, render};

fn case(name: &str) -> VideoScenes {
    cases::cases().iter().find(|c| c.name == name).unwrap().video()
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    RgbImage::from_pixel(320, 180, Rgb([10, 90, 200])).save(dir.path().join("1.jpg")).unwrap();
    let mut of = case("film");
    of.scenes[0].thumbnail = Some("1.jpg".into());
    of.scenes[1].thumbnail = Some("../1.jpg".into());
    of.video.failures.count = 1;
    of.video.failures.places = vec![of.shots[1].start.time];
    let page = render(&of, dir.path(), &Options::default());
    document::check(&page);
    for foreign in
        ["http:", "https:", "<script", "<link", "@import", "javascript:", "onload", "<iframe", "NaN", "inf%"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
    assert_eq!(page.matches("data:image/jpeg").count(), 2, "one image, on its card and in the strip");
    assert_eq!(page.matches("no image").count(), 2);
    assert!(
        page.contains("Not all of this file could be decoded.")
            && page.contains("Missing: 1 frame, at 0:02.002")
    );
    assert!(page.contains("id=\"scene-3\"") && page.contains("href=\"#scene-3\""));
}

#[test]
fn what_is_not_known_is_left_out() {
    for case in cases::cases() {
        let page = render(&case.video(), Path::new("/nonexistent"), &Options::default());
        document::check(&page);
        assert!(!page.contains("NaN") && !page.contains("id=\"scores\""), "{}", case.name);
    }
    let page = render(&case("nothing"), Path::new(""), &Options::default());
    assert!(page.contains("There is none: no frame was decoded.") && !page.contains("id=\"timeline\""));
    assert!(render(&case("broadcast"), Path::new(""), &Options::default()).contains("Clock starts at"));
}

#[test]
fn two_hours_of_scores_stay_small() {
    let mut of = case("sixty");
    let frames = 432_000u32;
    let base = of.video.start.time.base;
    of.video.end.time.pts = i64::from(frames) * 256;
    of.scores.names = vec!["content_val".into(), "empty".into()];
    of.scores.times =
        (0..frames).map(|n| unisono_media::video::Time { pts: i64::from(n) * 256, base }).collect();
    of.scores.rows = (0..frames).map(|n| vec![f64::from(n % 97), f64::NAN]).collect();
    let bare = render(&of, Path::new(""), &Options::default());
    assert!(bare.contains("content_val") && !bare.contains(">empty<"));
    let curve = |name: &str| Curve { name: name.into(), threshold: Some(27.0) };
    let options = Options { curves: vec![curve("content_val"), curve("empty"), curve("no such")] };
    let page = render(&of, Path::new(""), &options);
    document::check(&page);
    assert!(page.len() < 80_000, "{}", page.len());
    assert!(page.contains("threshold<b>27</b>") && page.contains("class=\"rule\""));
}
