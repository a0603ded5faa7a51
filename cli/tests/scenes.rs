//! `unisono scenes` as it is built: stopped, killed and repeated runs, its files, and inputs that are none.
#![allow(clippy::unwrap_used)]

#[path = "../../jobs/tests/support/scenes.rs"]
mod media;
mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;
#[path = "scenes/usage.rs"]
mod usage;

use media::{same, video};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::{fails, json, outcome, s, succeeds, unisono};

/// Copies of small fixtures under names of their own.
fn copies(dir: &Path, count: usize) -> PathBuf {
    let folder = dir.join("videos");
    fs::create_dir(&folder).unwrap();
    let names = ["late.mp4", "turned.mp4", "late.ts", "small.webm", "one.mp4", "half.avi"];
    for i in 0..count {
        let from = video(names[i % names.len()]);
        let ending = from.extension().unwrap().to_str().unwrap();
        fs::copy(&from, folder.join(format!("v{i:02}.{ending}"))).unwrap();
    }
    folder
}

/// Folders of videos that are whole, and those under temporary names.
fn progress(out: &Path) -> (usize, usize) {
    let names =
        fs::read_dir(out.join("videos")).map(|d| d.flatten().map(|e| e.file_name()).collect::<Vec<_>>());
    let names = names.unwrap_or_default();
    let begun = names.iter().filter(|n| n.as_bytes().starts_with(b".unisono-")).count();
    let hidden = names.iter().filter(|n| n.as_bytes().starts_with(b".")).count();
    (names.len() - hidden, begun)
}

/// Starts the command and waits until `ready` or its end.
fn until(command: &mut Command, ready: impl Fn() -> bool) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !ready() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_killed_command_goes_on_and_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (videos, model) = (copies(dir.path(), 12), tiny::model_dir(dir.path()));
    let command = |out: &Path| {
        unisono([
            "scenes",
            "--model",
            s(&model),
            "--workers",
            "2",
            "--out",
            s(out),
            s(&videos),
            "--device",
            "cpu",
        ])
    };
    let whole = dir.path().join("whole");
    assert_eq!(outcome(&mut command(&whole)).0, 0);
    // One job that is killed again and again: when so many are whole, and in the middle of writing the first and the last.
    let out = dir.path().join("often");
    for done in [1, 4, 8, 11] {
        let mut child = until(&mut command(&out), || progress(&out).0 >= done);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(outcome(&mut command(&out)).0, 0);
    same(&whole, &out);
    type Ready = fn(&Path) -> bool;
    let moments: [(&str, Ready); 3] = [
        ("first", |out| progress(out).1 > 0),
        ("gathering", |out| out.join("scenes.jsonl").exists()),
        ("begun", |out| out.exists()),
    ];
    for (name, ready) in moments {
        let out = dir.path().join(name);
        let mut child = until(&mut command(&out), || ready(&out));
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, text, notes) = outcome(&mut command(&out));
        assert_eq!(code, 0, "{text}{notes}");
        same(&whole, &out);
    }
    // All is done: nothing is decoded, so no program is needed for it.
    let again =
        succeeds(["scenes", "--model", s(&model), "--out", s(&out), s(&videos), "--ffmpeg", "/nonexistent"]);
    assert!(again.contains("12 videos (12 done before)"), "{again}");
    same(&whole, &out);
    // The index that was gathered is one.
    let hits = json(["search", "--index", s(&out.join("index")), "a red bus", "-k", "3", "--json"]);
    let hits = hits["hits"].as_array().unwrap();
    assert!(
        hits.len() == 3
            && hits.iter().all(|h| h["span"]["start"].is_string() || h["span"]["start"].is_object()),
        "{hits:?}"
    );
}

#[test]
fn ctrl_c_ends_it_with_what_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let videos = copies(dir.path(), 1);
    // Long enough to be in work when the short one is done.
    let words =
        ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25", "-frames:v", "1500", "-c:v", "mpeg4", "-q:v", "20"];
    media::ffmpeg(words, &videos.join("w.mkv"));
    let command =
        |out: &Path| unisono(["scenes", "--workers", "2", "--format", "csv", "--out", s(out), s(&videos)]);
    let (whole, out) = (dir.path().join("whole"), dir.path().join("out"));
    assert_eq!(outcome(&mut command(&whole)).0, 0);
    // As a terminal does it: the signal goes to all of the group, to what decodes, too.
    let child = until(command(&out).process_group(0), || progress(&out).0 >= 1);
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let notes = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.status.signal()), (Some(130), None), "{notes}");
    assert!(
        notes.ends_with("error: interrupted; what is done is kept; the same command goes on there\n"),
        "{notes}"
    );
    assert!(ended.stdout.is_empty());
    assert_eq!(progress(&out), (1, 0), "the long one is not there, nor anything of it");
    let done = succeeds(["scenes", "--workers", "2", "--format", "csv", "--out", s(&out), s(&videos)]);
    assert!(done.contains("2 videos (1 done before)"), "{done}");
    same(&whole, &out);
}

#[test]
fn json_settings_and_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (one, broken) = (video("cuts-23.976.mp4"), video("broken.mkv"));
    let page = dir.path().join("page.mp4");
    fs::write(&page, "<!doctype html><title>404</title>").unwrap();
    let args = ["scenes", "--json", "--detector", "content", "--out", s(&out), s(&one), s(&page), s(&broken)];
    let found = json(args);
    let keys = |of: &Value| {
        let mut keys: Vec<String> = of.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(keys(&found), "gathered out skipped videos");
    let videos = found["videos"].as_array().unwrap();
    assert_eq!(keys(&videos[0]), "before failures folder frames path scenes seconds shots");
    assert_eq!(keys(&videos[1]), "before complaint failures folder frames path scenes seconds shots");
    assert_eq!((videos.len(), &videos[0]["frames"], &videos[0]["path"]), (2, &160.into(), &s(&one).into()));
    assert!(videos[1]["failures"].as_u64().unwrap() > 0 && videos[0]["failures"] == 0);
    assert!(Path::new(videos[0]["folder"].as_str().unwrap()).join("report.html").is_file());
    assert_eq!(found["gathered"]["scenes"], s(&out.join("scenes.jsonl")));
    assert!(found["gathered"]["count"].as_u64().unwrap() > 2 && found["gathered"]["index"].is_null());
    assert_eq!(found["skipped"].as_array().unwrap().len(), 1);
    assert!(json(args)["videos"][0]["before"].as_bool().unwrap());
    let (code, text, notes) = outcome(unisono(args).args(["--set", "content.threshold=30"]));
    assert_eq!((code, text.as_str(), notes.lines().count()), (1, "", 1), "{notes}");
    assert!(notes.contains("give --fresh"), "{notes}");
    assert_eq!(outcome(unisono(args).args(["--set", "content.threshold=30", "--fresh"])).0, 0);

    let printed = succeeds(["scenes", "--print-settings"]);
    let mine = dir.path().join("mine.toml");
    fs::write(&mine, &printed).unwrap();
    assert_eq!(outcome(unisono(args).args(["--settings", s(&mine), "--fresh"])).0, 0);
    let lines = succeeds(["scenes", "--write-labels", s(&dir.path().join("labels"))]);
    assert!(lines.contains("places.txt") && dir.path().join("labels/emotions.txt").is_file(), "{lines}");
    for wrong in [
        &["scenes"][..],
        &["scenes", "--out", "x"],
        &["scenes", s(&one)],
        &["scenes", "--out", "x", "--detector", "magic", s(&one)],
        &["scenes", "--out", "x", "--set", "content.treshold=1", s(&one)],
        &["scenes", "--out", "x", "--set", "content.threshold", s(&one)],
        &["scenes", "--out", "x", "--set", "sample.every=-1", s(&one)],
        &["scenes", "--out", "x", "--settings", s(&page), s(&one)],
        &["scenes", "--out", "x", "--labels", "places", s(&one)],
        &["scenes", "--out", "x", "--shard", "3/2", s(&one)],
        &["scenes", "--out", "x", "--workers", "0", s(&one)],
        &["scenes", "--out", "x", "--format", "pdf", s(&one)],
    ] {
        let (code, text, notes) = outcome(unisono(wrong).current_dir(dir.path()));
        assert_eq!((code, text.as_str()), (2, ""), "{wrong:?}: {notes}");
        assert!(notes.starts_with("error: ") && !dir.path().join("x").exists(), "{wrong:?}: {notes}");
    }
    let gone = fails(["scenes", "--out", s(&dir.path().join("y")), s(&dir.path().join("gone.mp4"))]);
    assert!(gone.contains("gone.mp4"), "{gone}");
}

#[test]
fn formats_write_only_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let always = ["events.jsonl", "scenes.jsonl", "shots.jsonl", "video.json"];
    for (format, more) in [
        ("none", &[][..]),
        ("csv", &["scenes.csv", "shots.csv"]),
        ("scores", &["scores.csv"]),
        ("edl", &["scenes.edl", "shots.edl"]),
        ("otio", &["scenes.otio", "shots.otio"]),
        ("chapters", &["chapters.ffmeta"]),
        ("report", &["report.html", "thumbnails"]),
    ] {
        let out = dir.path().join(format);
        let made = json(["scenes", "--json", "--format", format, "--out", s(&out), s(&video("late.mp4"))]);
        let found = media::names(Path::new(made["videos"][0]["folder"].as_str().unwrap()));
        let mut expected: Vec<&str> = [&always[..], more].concat();
        expected.sort_unstable();
        assert_eq!(found, expected, "{format}");
    }
    let help = succeeds(["scenes", "--help"]);
    assert!(help.contains("chapters.ffmeta"), "{help}");
}

#[test]
fn clips_hold_their_scenes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, how) in
        [("varied.mp4", "exact"), ("late.ts", "exact"), ("turned.mp4", "exact"), ("late.mp4", "copy")]
    {
        let out = dir.path().join(name);
        let from = video(name);
        let made = json(["scenes", "--json", "--format", "none", "--clips", how, "--out", s(&out), s(&from)]);
        let folder = PathBuf::from(made["videos"][0]["folder"].as_str().unwrap());
        let scenes = fs::read_to_string(folder.join("scenes.jsonl")).unwrap();
        let clips = media::names(&folder.join("clips"));
        assert_eq!((clips.len(), scenes.lines().count() > 1), (scenes.lines().count(), true), "{name}");
        for (clip, line) in clips.iter().zip(scenes.lines()) {
            let scene: Value = serde_json::from_str(line).unwrap();
            let frames = scene["end"]["frame"].as_u64().unwrap() - scene["start"]["frame"].as_u64().unwrap();
            // What decodes it is this library, on the clip alone.
            let ffmpeg = unisono_media::video::Ffmpeg::find(None).unwrap();
            let limits = unisono_media::video::VideoLimits::default();
            let clip = ffmpeg.probe(folder.join("clips").join(clip), &limits).unwrap();
            let frames_of = ffmpeg.frames(&clip, &Default::default(), &limits).unwrap();
            let count = frames_of.collect::<Result<Vec<_>, _>>().unwrap().len() as u64;
            assert!(
                if how == "exact" { count == frames } else { count >= frames },
                "{name}: {count}, {frames}"
            );
        }
    }
}

/// Things that are no videos, each with a part of the reason.
fn unusable(dir: &Path) -> Vec<(PathBuf, &'static str)> {
    let local = s(&video("late.ts")).to_owned();
    let list = |target: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n").into_bytes()
    };
    let cut = fs::read(video("late.mp4")).unwrap();
    let named: [(&str, Vec<u8>, &str); 9] = [
        ("page.mp4", b"<!doctype html><html><body>Not found</body></html>".to_vec(), "expected a video"),
        ("empty.mp4", Vec::new(), "an empty file"),
        ("list.m3u8", list("http://127.0.0.1:9/a.ts"), "names other files"),
        // Newer programs do not take it for a list at all, for its name.
        ("local.mp4", list(&local), "expected a video"),
        ("script.mp4", format!("ffconcat version 1.0\nfile '{local}'\n").into_bytes(), "names other files"),
        ("sound.mp4", fs::read(video("sound.m4a")).unwrap(), "only audio"),
        ("none.mkv", fs::read(video("empty.mkv")).unwrap(), "expected"),
        ("cut.mp4", cut[..cut.len() * 6 / 10].to_vec(), "expected a video"),
        ("huge.y4m", b"YUV4MPEG2 W20000 H20000 F25:1 Ip A1:1 C420\nFRAME\nabc".to_vec(), "20000"),
    ];
    let write = |(name, bytes, reason): (&str, Vec<u8>, &'static str)| {
        fs::write(dir.join(name), bytes).unwrap();
        (dir.join(name), reason)
    };
    named.into_iter().map(write).collect()
}

#[test]
fn what_is_no_video_is_told_in_a_line_and_the_others_are_done() {
    let dir = tempfile::tempdir().unwrap();
    let bad = unusable(dir.path());
    let mut args: Vec<&str> = bad.iter().map(|(path, _)| s(path)).collect();
    let (good, truncated) = (video("late.mp4"), video("broken.ts"));
    args.extend([s(&good), s(&truncated)]);
    let out = dir.path().join("out");
    let run = |out: &Path, more: &[&str], args: &[&str]| {
        outcome(unisono(["scenes", "--out", s(out)]).args(more).args(args))
    };
    let (code, text, notes) = run(&out, &["--json"], &args);
    assert_eq!(code, 0, "{notes}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["videos"].as_array().unwrap().len(), 2, "{text}");
    let skipped = found["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), bad.len(), "{text}");
    for (path, part) in &bad {
        let skip = skipped.iter().find(|k| k["id"] == s(path)).unwrap();
        let reason = skip["reason"].as_str().unwrap();
        assert!(reason.contains(part) && reason.lines().count() == 1, "{skip}");
        assert!(!reason.contains("Connection") && !reason.starts_with(s(path)), "{skip}");
    }
    assert_eq!(progress(&out), (2, 0));
    let (code, text, notes) = run(&out, &[], &args);
    assert!(code == 0 && text.contains("2 videos (2 done before)") && text.contains("9 skipped"), "{text}");
    assert_eq!(notes.lines().filter(|l| l.starts_with("skipped ")).count(), 9, "{notes}");
    // One more than may be.
    let (code, _, notes) = run(&dir.path().join("few"), &["--max-skip", "3", "--workers", "1"], &args);
    assert!(code == 1 && notes.contains("4 inputs could not be used, more than the 3 allowed"), "{notes}");
    // Alone, or nothing but such.
    for (i, (path, part)) in bad.iter().enumerate() {
        let out = dir.path().join(format!("alone{i}"));
        let line = fails(["scenes", "--out", s(&out), s(path)]);
        assert!(line.contains(part) && line.contains(s(path)), "{line}");
        assert_eq!((progress(&out), out.join("scenes.jsonl").exists()), ((0, 0), false), "{line}");
    }
    let none: Vec<&str> = bad.iter().map(|(path, _)| s(path)).collect();
    let (code, text, notes) = run(&dir.path().join("all"), &[], &none);
    assert!(code == 1 && text.is_empty() && notes.lines().count() == 1, "{notes}");
    assert!(notes.contains("none of the 9 inputs could be used"), "{notes}");
}

#[test]
fn names_are_names() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let names: [&[u8]; 8] = [
        b"it's \"quoted\".mp4",
        b"two\nlines.mp4",
        b"-y.mp4",
        b"frame%03d.mp4",
        b"a:b.mp4",
        b"$(touch x) `id` ;.mp4",
        b"not \xff utf-8.mp4",
        "ж é 視.mp4".as_bytes(),
    ];
    for name in names {
        fs::copy(video("late.mp4"), dir.path().join(OsStr::from_bytes(name))).unwrap();
    }
    let mut command =
        unisono(["scenes", "--out", "out", "--clips", "exact", "--model", s(&model), "--json", "--"]);
    command.current_dir(dir.path()).args(names.map(OsStr::from_bytes));
    let (code, text, notes) = outcome(&mut command);
    assert_eq!(code, 0, "{notes}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (found["videos"].as_array().unwrap().len(), &found["skipped"]),
        (8, &Value::Array(Vec::new())),
        "{text}"
    );
    let mut folders = Vec::new();
    for (name, done) in names.iter().zip(found["videos"].as_array().unwrap()) {
        let folder = PathBuf::from(done["folder"].as_str().unwrap());
        assert_eq!(done["frames"], 85, "{name:?}");
        let made = unisono_scenes::write::read(&folder).unwrap();
        assert_eq!(made.video.path, dir.path().canonicalize().unwrap().join(OsStr::from_bytes(name)));
        for clip in media::names(&folder.join("clips")) {
            assert!(clip.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{clip}");
        }
        folders.push(folder);
    }
    folders.dedup();
    assert_eq!(folders.len(), 8);
    assert!(!dir.path().join("x").exists());
    assert!(found["gathered"]["index"].is_string(), "{text}");
    // Lines stay lines.
    let (code, text, _) =
        outcome(unisono(["scenes", "--fresh", "--out", "plain", "two\nlines.mp4"]).current_dir(dir.path()));
    assert!(code == 0 && text.lines().all(|l| !l.starts_with("lines.mp4")), "{text}");
}
