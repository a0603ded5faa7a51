//! Names, captions and times that mean harm, through every writer.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "write/cases.rs"]
mod cases;

use std::path::{Path, PathBuf};
use unisono_media::video::{Ratio, Time};
use unisono_scenes::record::{EventKind, Label, Moment, Spoken, VideoScenes};
use unisono_scenes::write::{self, Cut, Options, Unit};

const HOSTILE: [&str; 9] = [
    "\"; <script>alert('1')</script> & \\ = ; # , \"\"",
    "a\r\n001  AX V C 00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00\r\n* LOC: x\n[CHAPTER]\nSTART=0",
    "=HYPERLINK(\"http://example.org\",\"x\")\n-1\t@x",
    "\u{202e}gpj.exe\u{2066}\u{0}\u{7}\u{1b}[31m\u{2028}\u{feff}",
    "</style></title><!-- ]]> {{x}} ${x} %n%s",
    "",
    "   ",
    "🎬 映画 שלום مرحبا é̂",
    "../../../../etc/passwd",
];

/// The first case with `text` wherever a stranger's may stand.
fn video(path: PathBuf, text: &str) -> VideoScenes {
    let mut of = cases::cases().iter().find(|c| c.name == "film").unwrap().video();
    of.video.path = path;
    of.video.failures.count = 3;
    of.video.failures.first = Some(text.into());
    of.video.detector = text.into();
    of.events[0].detector = text.into();
    of.events[1].score = f64::NAN;
    of.scores.names = vec![text.into()];
    of.scores.times = vec![of.video.start.time];
    of.scores.rows = vec![vec![1.0]];
    for scene in &mut of.scenes {
        let label = || Label { label: text.into(), probability: f64::INFINITY };
        scene.caption = Some(text.into());
        scene.labels.insert(text.into(), vec![label()]);
        scene.labels.insert("none".into(), Vec::new());
        scene.sounds = vec![label()];
        scene.thumbnail = Some(text.into());
        scene.transcript =
            vec![Spoken { start: f64::NAN, end: -1.0, text: text.into(), speaker: Some(text.into()) }];
    }
    of
}

#[test]
fn texts_stay_texts_in_every_file() {
    let mut texts: Vec<String> = HOSTILE.map(String::from).to_vec();
    texts.extend(["x".repeat(1000), "é<\n".repeat(400)]);
    for text in &texts {
        let of = video(Path::new("/films").join(text.trim_start_matches("../").replace('\0', "")), text);
        let dir = tempfile::tempdir().unwrap();
        write::all(dir.path(), &of, &Options::default()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();

        let lines = read("scenes.jsonl");
        assert_eq!(lines.lines().count(), of.scenes.len());
        let back = write::read(dir.path()).unwrap();
        assert_eq!(back.scenes[0].caption, of.scenes[0].caption);
        assert!(back.events[1].score.is_nan() && back.scenes[0].sounds[0].probability.is_nan());
        assert_eq!(back.video.path, of.video.path);

        let page = read("report.html");
        assert!(
            !page.contains("<script")
                && page.matches("</style>").count() == 1
                && page.matches("</title>").count() == 1
        );
        let acts = |c: char| {
            (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!page.contains(acts));

        for (name, pieces) in [("shots.edl", of.shots.len()), ("scenes.edl", of.scenes.len())] {
            let list = read(name);
            // A dissolve takes two lines.
            let lines = list.lines().filter(|l| l.starts_with("00")).count();
            assert_eq!(
                lines,
                pieces + list.lines().filter(|l| l.starts_with("* TO CLIP NAME:")).count(),
                "{list}"
            );
            let reel = list
                .lines()
                .find(|l| l.starts_with("001"))
                .unwrap()
                .split_whitespace()
                .nth(1)
                .unwrap()
                .to_owned();
            assert!(
                reel.len() <= 8 && reel.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{reel}"
            );
            assert!(!list.contains(acts));
        }
        assert_eq!(read("chapters.ffmeta").lines().filter(|l| *l == "[CHAPTER]").count(), of.scenes.len());
        let timeline: serde_json::Value = serde_json::from_str(&read("shots.otio")).unwrap();
        assert_eq!(timeline["tracks"]["children"][1]["children"].as_array().unwrap().len(), of.shots.len());
        let name = write::clip_name(&of.video, text, 0, text);
        assert!(
            name.len() < 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
            "{name}"
        );

        for row in table(&read("scenes.csv")) {
            assert_eq!(row.len(), 3 + 12 + 2 * 2 + 2 + 2, "{row:?}");
            assert!(
                row.iter().skip(15).all(|cell| !cell.trim_start().starts_with(['=', '+', '-', '@'])),
                "{row:?}"
            );
        }
    }
}

/// RFC 4180, read plainly.
fn table(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty());
    rows
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_are_kept() {
    use std::os::unix::ffi::OsStringExt;
    let name = std::ffi::OsString::from_vec(b"/films/caf\xe9 \xff.mp4".to_vec());
    let of = video(name.clone().into(), "x");
    let dir = tempfile::tempdir().unwrap();
    write::all(dir.path(), &of, &Options::default()).unwrap();
    assert_eq!(write::read(dir.path()).unwrap().video.path, of.video.path);
    assert!(write::otio(&of, Unit::Shots).contains("file:///films/caf%E9%20%FF.mp4"));
    let words = write::clip(&of.video, of.shots[0].start, of.shots[0].end, &Cut::Copy, Path::new("a.mp4"));
    let mut source = std::ffi::OsString::from("file:");
    source.push(&name);
    assert!(words.contains(&source));
    let line = std::fs::read_to_string(dir.path().join("shots.jsonl")).unwrap();
    let hex =
        "\"video\":\"/films/caf\u{fffd} \u{fffd}.mp4\",\"video_hex\":\"2f66696c6d732f636166e920ff2e6d7034\"";
    assert!(line.contains(hex), "{line}");
}

#[test]
fn times_that_cannot_be_end_nothing() {
    let times = [
        Time { pts: i64::MAX, base: Ratio { num: u32::MAX, den: 1 } },
        Time { pts: i64::MIN, base: Ratio { num: 1, den: u32::MAX } },
        Time { pts: 7, base: Ratio { num: 1, den: 0 } },
        Time { pts: 7, base: Ratio { num: 0, den: 1 } },
    ];
    for (n, &time) in times.iter().enumerate() {
        let mut of = video("a".into(), "x");
        let odd = Moment { frame: u64::MAX, time };
        of.shots[1].end = odd;
        of.shots[2].start = odd;
        of.scenes[1].start = odd;
        of.events.push(of.events[0].clone());
        (of.events[0].start, of.events[0].kind) = (odd, EventKind::Dissolve);
        (of.video.start, of.video.end) = if n % 2 == 0 { (odd, of.video.end) } else { (of.video.start, odd) };
        of.video.rate = Some(Ratio { num: 0, den: 0 });
        let dir = tempfile::tempdir().unwrap();
        write::all(dir.path(), &of, &Options::default()).unwrap();
        write::clip(&of.video, odd, of.video.end, &Cut::default(), Path::new("a.mp4"));
    }
}

#[test]
fn a_broken_folder_is_refused_with_its_place() {
    let of = cases::cases()[0].video();
    let dir = tempfile::tempdir().unwrap();
    write::all(dir.path(), &of, &Options::default()).unwrap();
    let whole = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let (shots, video) = (whole("shots.jsonl"), whole("video.json"));
    let refused = |name: &str, text: &str, says: &str| {
        let before = std::fs::read(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
        let error = write::read(dir.path()).unwrap_err().to_string();
        std::fs::write(dir.path().join(name), before).unwrap();
        assert!(error.contains(name) && error.contains(says) && error.lines().count() == 1, "{error}");
    };
    refused("shots.jsonl", &shots[..shots.len() / 2], "line 3");
    refused(
        "shots.jsonl",
        shots.split_inclusive('\n').next().unwrap(),
        "expected 5 lines, as video.json says, found 1",
    );
    refused("shots.jsonl", &shots.replacen("film film", "other", 1), "line 1: expected the video");
    refused("shots.jsonl", "\n", "line 1");
    refused(
        "video.json",
        &video.replace("\"version\": 1", "\"version\": 9"),
        "expected version 1 or older, found 9",
    );
    refused("video.json", "", "EOF");
    write::read(dir.path()).unwrap();
}
