//! A job that was stopped, split, repeated or changed.

use super::media::{self, same, tree, video};
use super::support::TOWERS;
use super::*;
use std::time::{Duration, SystemTime};

/// Copies of videos in `dir`.
fn some(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join("some");
    fs::create_dir_all(&folder).unwrap();
    let copy = |name: &str| {
        let to = folder.join(name);
        if !to.exists() {
            fs::copy(video(name), &to).unwrap();
        }
        to
    };
    ["late.mp4", "turned.mp4", "one.mp4", "small.webm", "half.avi"].map(copy).to_vec()
}

/// A folder of images that are frames, of two shots.
fn images(dir: &Path) -> PathBuf {
    let folder = dir.join("frames");
    fs::create_dir_all(&folder).unwrap();
    for i in 0..40 {
        let shade = if i < 20 { 30 } else { 200 };
        image::RgbImage::from_pixel(32, 24, image::Rgb([shade, 60, 90]))
            .save(folder.join(format!("f{i}.png")))
            .unwrap();
    }
    folder
}

#[test]
fn any_number_of_workers_and_runs_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = some(dir.path());
    paths.push(images(dir.path()));
    let loud = dir.path().join("loud.mkv");
    media::with_audio("late.ts", None, &loud);
    paths.push(loud);
    let settings = SceneSettings::default();
    let models = eyes(dir.path(), &TOWERS, &settings);
    let out = |name: &str| dir.path().join(name);
    let work = |name: &str, workers: Option<usize>, shard: &str| {
        let place = out(name);
        let mut job = job(&place, &settings);
        (job.workers, job.outputs) = (workers, &Output::ALL);
        run(&job, &models, &paths, shard).unwrap()
    };
    let first = work("one", Some(1), "1/1");
    assert_eq!(first.gathered.as_ref().unwrap().count, first.videos.iter().map(|v| v.scenes).sum::<usize>());
    work("two", Some(2), "1/1");
    same(&out("one"), &out("two"));
    work("many", None, "1/1");
    same(&out("one"), &out("many"));
    // In two parts: the first waits for the other, and a run of the whole finds all done.
    let half = work("parts", None, "1/2");
    assert_eq!((half.videos.len(), half.gathered), (4, None));
    assert!(!out("parts").join("scenes.jsonl").exists());
    let other = work("parts", None, "2/2");
    assert!(other.videos.len() == 3 && other.gathered.is_some(), "the last part gathers");
    same(&out("one"), &out("parts"));
    let whole = work("parts", None, "1/1");
    assert!(whole.videos.iter().all(|v| v.before) && whole.videos.len() == 7);
    assert_eq!(whole.gathered.unwrap().count, first.gathered.unwrap().count);
    same(&out("one"), &out("parts"));
}

#[test]
fn what_is_done_is_not_done_again_and_what_changed_is() {
    let dir = tempfile::tempdir().unwrap();
    let copies = some(dir.path());
    let out = dir.path().join("out");
    let done = |report: &SceneReport| report.videos.iter().map(|v| v.before).collect::<Vec<_>>();
    assert_eq!(done(&plain(&out, &copies)), [false; 5]);
    let before = tree(&out);
    assert_eq!(done(&plain(&out, &copies)), [true; 5]);
    assert_eq!(tree(&out), before);
    // Another time of writing, another content, and a new file.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&copies[1]).unwrap().set_modified(long_ago).unwrap();
    fs::copy(video("late.ts"), &copies[3]).unwrap();
    let more = dir.path().join("more.mkv");
    fs::copy(video("varied.mkv"), &more).unwrap();
    let again = plain(&out, &[&copies[..], &[more]].concat());
    assert_eq!(done(&again), [true, false, true, false, true, false]);
    assert_eq!(read(&again.videos[3].folder).unwrap().video.size, (256, 144));
    // A video that is not named any more is not gathered; its folder stays.
    let fewer = plain(&out, &copies[..2]);
    assert_eq!(fewer.gathered.unwrap().count, fewer.videos.iter().map(|v| v.scenes).sum::<usize>());
    assert_eq!(media::names(&out.join("videos")).len(), 6);
    // What somebody deleted or damaged is made again.
    fs::remove_file(fewer.videos[0].folder.join("video.json")).unwrap();
    fs::write(fewer.videos[1].folder.join("video.json"), "{").unwrap();
    assert_eq!(done(&plain(&out, &copies[..2])), [false, false]);
    // Asked for.
    let settings = SceneSettings::default();
    let mut job = job(&out, &settings);
    job.fresh = true;
    let fresh = run(&job, &Models::default(), &copies, "1/1").unwrap();
    assert_eq!(done(&fresh), [false; 5]);
}

#[test]
fn other_settings_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let (out, paths) = (dir.path().join("out"), [video("late.mp4")]);
    plain(&out, &paths);
    let before = tree(&out);
    let refused = |job: &SceneJob, models: &Models| {
        let text = run(job, models, &paths, "1/1").unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("other settings, models or outputs; give --fresh"), "{text}");
        assert_eq!(tree(&out), before);
    };
    let default = SceneSettings::default();
    let other = SceneSettings { detectors: vec![DetectorName::Content], ..default.clone() };
    refused(&job(&out, &other), &Models::default());
    let small = SceneSettings::load(None, &["adaptive.min_scene_len=3".into()]).unwrap();
    refused(&job(&out, &small), &Models::default());
    let models = eyes(dir.path(), &TOWERS, &default);
    refused(&job(&out, &default), &models);
    refused(&SceneJob { outputs: &[Output::Json], ..job(&out, &default) }, &Models::default());
    refused(
        &SceneJob { clips: Some(unisono_jobs::scenes::write::Cut::Copy), ..job(&out, &default) },
        &Models::default(),
    );
    // Where it is wanted.
    let fresh = SceneJob { fresh: true, ..job(&out, &other) };
    assert!(!run(&fresh, &Models::default(), &paths, "1/1").unwrap().videos[0].before);
    assert!(run(&job(&out, &other), &Models::default(), &paths, "1/1").unwrap().videos[0].before);
    // A file in the folder's place.
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let text = run(&job(&file, &default), &Models::default(), &paths, "1/1").unwrap_err().to_string();
    assert!(text.contains("expected a folder, found a file"), "{text}");
}

#[test]
fn what_a_killed_run_left_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let (out, whole) = (dir.path().join("out"), dir.path().join("whole"));
    plain(&whole, &some(dir.path()));
    // Half a folder under its temporary name, half a folder under its own without its last file, a lone file.
    let done = fs::read_dir(whole.join("videos")).unwrap().next().unwrap().unwrap().path();
    let begun = out.join("videos").join(done.file_name().unwrap());
    for folder in [out.join("videos/.unisono-abc123.tmp"), begun] {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("scenes.jsonl"), "{\"half\":").unwrap();
    }
    fs::write(out.join(".unisono-xyz.tmp"), "half").unwrap();
    plain(&out, &some(dir.path()));
    same(&whole, &out);
}

#[test]
fn a_stopped_job_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    plain(&whole, &some(dir.path()));
    let settings = SceneSettings::default();
    for (name, stop) in [("a", 0), ("b", 1), ("c", 3)] {
        let out = dir.path().join(name);
        let mut job = job(&out, &settings);
        job.workers = Some(1);
        let mut progress = |p: unisono_jobs::scenes::SceneProgress| {
            assert_eq!(p.total, 5);
            if p.videos >= stop { Flow::Stop } else { Flow::Continue }
        };
        let sources = listed(&some(dir.path()));
        let stopped = scenes(&job, &Models::default(), &sources, Shard::WHOLE, &mut progress);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{name}");
        assert!(!out.join("scenes.jsonl").exists(), "{name}");
        let again = plain(&out, &some(dir.path()));
        assert_eq!(again.videos.iter().filter(|v| v.before).count(), stop, "{name}");
        same(&whole, &out);
        // Nothing is left of the temporary folders.
        let hidden = fs::read_dir(out.join("videos")).unwrap();
        assert_eq!(hidden.count(), 5, "{name}");
    }
}

#[test]
fn videos_may_lie_where_the_files_go() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("videos")).unwrap();
    let (one, two) = (dir.path().join("one.mp4"), dir.path().join("videos/two.mp4"));
    fs::copy(video("late.mp4"), &one).unwrap();
    fs::copy(video("turned.mp4"), &two).unwrap();
    let settings = SceneSettings::default();
    let mut job = job(dir.path(), &settings);
    job.clips = Some(unisono_jobs::scenes::write::Cut::Copy);
    for before in [false, true] {
        // The second time their clips lie there, too.
        let report = run(&job, &Models::default(), &[dir.path().to_owned()], "1/1").unwrap();
        let found: Vec<(&Path, bool)> = report.videos.iter().map(|v| (v.path.as_path(), v.before)).collect();
        assert_eq!(found, [(one.as_path(), before), (two.as_path(), before)]);
    }
}

#[test]
fn folders_of_images_are_videos() {
    let dir = tempfile::tempdir().unwrap();
    let folder = images(dir.path());
    let out = dir.path().join("out");
    // A broken image, be it the first, is one frame less.
    for broken in ["f0.png", "f7.png"] {
        fs::write(folder.join(broken), "broken").unwrap();
    }
    let report = plain(&out, std::slice::from_ref(&folder));
    let made = one(&report);
    assert_eq!((report.videos[0].frames, report.videos[0].failures), (38, 2));
    assert_eq!(made.shots.iter().map(|s| s.start.time.to_string()).collect::<Vec<_>>(), ["1/25", "4/5"]);
    assert_eq!(made.video.end.time.to_string(), "8/5");
    assert!(plain(&out, std::slice::from_ref(&folder)).videos[0].before);
    // A frame that is painted anew, in its place.
    let path = folder.join("f0.png");
    image::RgbImage::from_pixel(32, 24, image::Rgb([30, 60, 90])).save(&path).unwrap();
    let again = plain(&out, std::slice::from_ref(&folder));
    assert_eq!((again.videos[0].before, again.videos[0].frames), (false, 39));
    // None that can be read.
    for i in 0..40 {
        fs::write(folder.join(format!("f{i}.png")), "broken").unwrap();
    }
    let settings = SceneSettings::default();
    let error = run(&job(&out, &settings), &Models::default(), &[folder], "1/1").unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
}
