//! Videos whose clock goes back or jumps, whose frames change their size, and files that change while they are read.

use super::media::{self, joined, recording};
use super::*;
use unisono_jobs::scenes::cut_span;
use unisono_jobs::scenes::write::Cut;
use unisono_media::video::{Ffmpeg, Span};

/// Six shots of 25 frames, by times that go on, each with its key frame.
fn six_shots(made: &VideoScenes, name: &str) {
    let starts: Vec<u64> = made.shots.iter().map(|s| s.start.frame).collect();
    assert_eq!(starts, [0, 25, 50, 75, 100, 125], "{name}: {}", made.video.detector);
    goes_on(made, name);
    for shot in &made.shots {
        let length = shot.end.time.seconds() - shot.start.time.seconds();
        assert!((length - 1.0).abs() < 0.05, "{name}: {shot:?}");
    }
}

/// Nothing of 150 frames is lost, a shot begins with the second recording, and each has its key frame.
fn goes_on(made: &VideoScenes, name: &str) {
    assert!(made.shots.iter().any(|s| s.start.frame == 75), "{name}");
    assert_eq!(made.video.end.frame, 150, "{name}");
    tiles(&made.shots.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>(), made);
    tiles(&made.scenes.iter().map(|s| (s.start, s.end)).collect::<Vec<_>>(), made);
    for shot in &made.shots {
        assert!(shot.start.frame <= shot.key.frame && shot.key.frame < shot.end.frame, "{name}: {shot:?}");
    }
}

/// As `name`, of two recordings of these sizes, the second of which begins at `offset` seconds.
fn two(dir: &Path, name: &str, codec: &str, sizes: [&str; 2], offset: &str) -> PathBuf {
    let (stem, ending) = name.rsplit_once('.').unwrap();
    let words = ["-c:v", codec, "-q:v", "3"];
    let first = recording(dir, &format!("{stem}-first.{ending}"), sizes[0], &words);
    let second = [&words[..], &["-output_ts_offset", offset]].concat();
    let second = recording(dir, &format!("{stem}-second.{ending}"), sizes[1], &second);
    joined(&dir.join(name), &[&first, &second]);
    fs::remove_file(first).unwrap();
    fs::remove_file(second).unwrap();
    dir.join(name)
}

#[test]
fn clocks_that_break_and_sizes_that_change_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (["96x64", "96x64"], ["640x360", "640x360"]);
    let cases = [
        ("back.ts", "libx264", small, "0"),
        ("back.mpg", "mpeg1video", large, "0"),
        ("back.mkv", "libvpx", small, "0"),
        ("on.ts", "mpeg4", large, "40000"),
        ("resized.ts", "libx264", ["96x64", "160x96"], "3"),
        ("picked.ts", "libx264", ["640x360", "320x240"], "3"),
        ("both.mkv", "mjpeg", ["640x360", "66x48"], "0"),
    ];
    let paths: Vec<PathBuf> = cases
        .iter()
        .map(|(name, codec, sizes, offset)| two(dir.path(), name, codec, *sizes, offset))
        .collect();
    let learned = unisono_files::cache_folder().join("transnetv2").is_dir();
    if !learned {
        eprintln!("skipped: TransNetV2's weights are not there; `cargo xtask setup` fetches them");
    }
    let mut asked = vec![vec![DetectorName::Content], vec![DetectorName::Adaptive, DetectorName::Histogram]];
    asked.extend(learned.then(|| vec![DetectorName::Transnet]));
    for detectors in asked {
        let out = dir.path().join(detectors[0].name());
        let settings = SceneSettings { detectors, ..SceneSettings::default() };
        let outputs = [FILES.as_slice(), &[Output::Report]].concat();
        let job = SceneJob { outputs: &outputs, ..job(&out, &settings) };
        let report = run(&job, &Models::default(), &paths, "1/1").unwrap();
        for (done, (name, codec, sizes, offset)) in report.videos.iter().zip(cases) {
            let made = read(&done.folder).unwrap();
            // The others see more in moving test images than cuts.
            let check = if out.ends_with("content") { six_shots } else { goes_on };
            check(&made, name);
            // The first H.264 ends a frame after its clock says, where the second begins.
            let jumps = usize::from(["0", "40000"].contains(&offset) || codec == "libx264");
            assert_eq!(made.video.failures.jumps.len(), jumps, "{name}: {:?}", made.video.failures);
            assert_eq!(
                (done.failures, done.complaint.is_some()),
                (jumps, jumps > 0),
                "{name}: {:?}",
                made.video.failures
            );
            let changes: Vec<u64> = made.video.sizes.iter().map(|s| s.frame).collect();
            assert_eq!(changes, if sizes[0] == sizes[1] { &[][..] } else { &[75] }, "{name}");
            // An image of each scene, of its own shape.
            let last =
                image::open(done.folder.join(made.scenes[made.scenes.len() - 1].thumbnail.as_ref().unwrap()))
                    .unwrap();
            let (width, height) = sizes[1].split_once('x').unwrap();
            let ratio = width.parse::<f64>().unwrap() / height.parse::<f64>().unwrap();
            assert!((f64::from(last.width()) / f64::from(last.height()) - ratio).abs() < 0.05, "{name}");
        }
    }
}

fn frames_of(path: &Path) -> usize {
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), Default::default());
    let video = ffmpeg.probe(path, &limits).unwrap();
    ffmpeg.frames(&video, &Default::default(), &limits).unwrap().filter(|frame| frame.is_ok()).count()
}

#[test]
fn clips_of_such_videos_hold_their_scenes_or_say_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let audio = dir.path().join("sound.ts");
    let part = recording(dir.path(), "silent.ts", "96x64", &["-c:v", "libx264"]);
    media::ffmpeg(
        [
            "-i",
            part.to_str().unwrap(),
            "-f",
            "lavfi",
            "-i",
            "sine=sample_rate=16000",
            "-shortest",
            "-c:v",
            "copy",
            "-c:a",
            "mp2",
        ],
        &audio,
    );
    joined(&dir.path().join("back.ts"), &[&audio, &audio]);
    let paths = [
        dir.path().join("back.ts"),
        two(dir.path(), "resized.ts", "libx264", ["96x64", "160x96"], "3"),
        two(dir.path(), "both.ts", "libx264", ["96x64", "160x96"], "0"),
    ];
    let settings = SceneSettings { detectors: vec![DetectorName::Content], ..SceneSettings::default() };
    for (how, cut) in [("exact", Cut::default()), ("copy", Cut::Copy)] {
        let out = dir.path().join(how);
        let job = SceneJob { clips: Some(cut.clone()), ..job(&out, &settings) };
        let report = run(&job, &Models::default(), &paths, "1/1").unwrap();
        for done in &report.videos {
            let name = done.path.display();
            let made = read(&done.folder).unwrap();
            six_shots(&made, how);
            if how == "copy" {
                assert!(!done.folder.join("clips").exists(), "{name}");
                assert!(
                    done.complaint.as_ref().unwrap().starts_with("no clips: its clock"),
                    "{:?}",
                    done.complaint
                );
                continue;
            }
            let clips = media::names(&done.folder.join("clips"));
            assert_eq!(clips.len(), 6, "{name}");
            for clip in &clips {
                assert_eq!(frames_of(&done.folder.join("clips").join(clip)), 25, "{name}: {clip}");
            }
        }
        if how == "copy" {
            continue;
        }
        // As search does it: by the times of the records alone.
        let ffmpeg = Ffmpeg::find(None).unwrap();
        let made = read(&report.videos[0].folder).unwrap();
        let hits = dir.path().join("hits");
        for scene in &made.scenes {
            let span = Span { start: Some(scene.start.time), end: Some(scene.end.time) };
            let name = cut_span(&ffmpeg, &paths[0], &span, &cut, &hits, scene.index).unwrap();
            assert_eq!(frames_of(&hits.join(&name)), 25, "{name}");
            let clip = ffmpeg.probe(hits.join(&name), &Default::default()).unwrap();
            let heard = ffmpeg.audio(&clip, &Default::default()).unwrap().seconds();
            assert!((heard - 1.0).abs() < 0.1, "{name}: {heard} s of audio");
        }
        let all = Span { start: Some(made.video.start.time), end: None };
        assert_eq!(frames_of(&hits.join(cut_span(&ffmpeg, &paths[0], &all, &cut, &hits, 9).unwrap())), 150);
        assert_eq!(frames_of(&hits.join(cut_span(&ffmpeg, &paths[2], &all, &cut, &hits, 9).unwrap())), 150);
        let error = cut_span(&ffmpeg, &paths[2], &all, &Cut::Copy, &hits, 10).unwrap_err().to_string();
        assert!(error.contains("both.ts: no clip can be cut: its clock"), "{error}");
    }
}

#[test]
fn a_link_in_a_clip_s_place_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (hits, target) = (dir.path().join("hits"), dir.path().join("target"));
    fs::create_dir(&hits).unwrap();
    fs::write(&target, "another's").unwrap();
    let ffmpeg = Ffmpeg::find(None).unwrap();
    for name in ["late-hit-001.mp4", "late-hit-001.part.mp4"] {
        std::os::unix::fs::symlink(&target, hits.join(name)).unwrap();
    }
    let name = cut_span(&ffmpeg, &video("late.mp4"), &Span::WHOLE, &Cut::default(), &hits, 0).unwrap();
    assert_eq!(name, "late-hit-001.mp4");
    assert!(fs::symlink_metadata(hits.join(&name)).unwrap().is_file() && frames_of(&hits.join(&name)) == 85);
    assert_eq!(fs::read_to_string(&target).unwrap(), "another's");
    assert_eq!(fs::read_dir(&hits).unwrap().count(), 2, "nothing is left beside");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_complained_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.mp4");
    fs::copy(video("late.mp4"), &path).unwrap();
    let program = dir.path().join("ffmpeg");
    let real = Ffmpeg::find(None).unwrap();
    let lines =
        format!("#!/bin/sh\necho >> '{}'\nexec '{}' \"$@\"\n", path.display(), real.program().display());
    fs::write(&program, lines).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (out, settings) = (dir.path().join("out"), SceneSettings::default());
    let job = SceneJob { ffmpeg: Some(&program), ..job(&out, &settings) };
    let report = run(&job, &Models::default(), &[path], "1/1").unwrap();
    let complaint = report.videos[0].complaint.as_deref();
    assert_eq!((report.videos[0].failures, complaint), (1, Some("it changed while it was read")));
}

#[test]
fn images_of_a_folder_may_be_of_several_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("frames");
    fs::create_dir(&folder).unwrap();
    for i in 0..60u32 {
        let (width, height) = if i < 30 { (48, 32) } else { (20, 50) };
        let shade = if i / 20 % 2 == 0 { 30 } else { 220 };
        image::RgbImage::from_pixel(width, height, image::Rgb([shade, shade / 2, 90]))
            .save(folder.join(format!("f{i:02}.png")))
            .unwrap();
    }
    let settings = SceneSettings { detectors: vec![DetectorName::Content], ..SceneSettings::default() };
    let out = dir.path().join("out");
    let made = one(&run(&job(&out, &settings), &Models::default(), &[folder], "1/1").unwrap());
    assert_eq!(made.shots.iter().map(|s| s.start.frame).collect::<Vec<_>>(), [0, 20, 40]);
    assert_eq!(
        (made.video.size, made.video.sizes[0].frame, made.video.sizes[0].size),
        ((48, 32), 30, (20, 50))
    );
}
