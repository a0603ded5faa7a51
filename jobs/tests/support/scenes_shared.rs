//! Folders that several runs, and other programs, write into.

use super::media::tree;
use super::*;
use unisono_files::Lock;

fn refused(job: &SceneJob, paths: &[PathBuf], shard: &str) -> String {
    let text = run(job, &Models::default(), paths, shard).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn one_run_does_a_part_and_one_a_video() {
    let dir = tempfile::tempdir().unwrap();
    let (out, settings) = (dir.path().join("out"), SceneSettings::default());
    let (job, paths) = (job(&out, &settings), [video("late.mp4"), video("one.mp4")]);
    fs::create_dir(&out).unwrap();
    let other = Lock::take(&out.join("shard-1-of-2")).unwrap();
    let text = refused(&job, &paths, "1/2");
    assert!(text.contains("out: is being written by another run (process "), "{text}");
    assert!(text.ends_with("wait for it or choose another --out"), "{text}");
    // The other part goes on meanwhile.
    assert_eq!(run(&job, &Models::default(), &paths, "2/2").unwrap().gathered, None);
    drop(other);
    let whole = run(&job, &Models::default(), &paths, "1/2").unwrap();
    assert!(whole.gathered.is_some());
    // All of it while one video is in another run's work.
    let folder = &whole.videos[0].folder;
    let other = Lock::take(folder).unwrap();
    let before = tree(folder);
    let again = SceneJob { fresh: true, ..job.clone() };
    let text = refused(&again, &paths, "1/1");
    assert!(text.starts_with(&format!("{}: is being written", folder.display())), "{text}");
    assert_eq!(tree(folder), before);
    drop(other);
    run(&again, &Models::default(), &paths, "1/1").unwrap();
    assert_eq!(media::names(&out), ["scenes.jsonl", "videos"]);
    assert_eq!(fs::read_dir(out.join("videos")).unwrap().count(), 2, "no lock is left");
}

#[test]
fn runs_at_the_same_time_end_as_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["late.mp4", "one.mp4", "turned.mp4", "late.ts"].map(video);
    let settings = SceneSettings::default();
    let (alone, out) = (dir.path().join("alone"), dir.path().join("out"));
    plain(&alone, &paths);
    let found: Vec<Result<SceneReport>> = std::thread::scope(|scope| {
        let shards = ["1/2", "2/2"].map(|shard| {
            let (out, settings, paths) = (&out, &settings, &paths);
            scope.spawn(move || run(&job(out, settings), &Models::default(), paths, shard))
        });
        shards.map(|shard| shard.join().unwrap()).into()
    });
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    assert!(found.iter().any(|report| report.as_ref().unwrap().gathered.is_some()));
    media::same(&alone, &out);
}

#[test]
fn what_others_wrote_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SceneSettings::default();
    let paths = [video("late.mp4")];
    // A user's own file where all scenes would be gathered, before anything is done.
    for (name, text) in [("a", "{\"my\": \"scenes\"}\n"), ("b", "words")] {
        let out = dir.path().join(name);
        fs::create_dir(&out).unwrap();
        fs::write(out.join("scenes.jsonl"), text).unwrap();
        fs::write(out.join("notes.txt"), "mine").unwrap();
        let before = tree(&out);
        let said = refused(&job(&out, &settings), &paths, "1/1");
        assert!(said.contains("scenes.jsonl: was not written by this program"), "{said}");
        assert_eq!(tree(&out), before);
    }
    // What lies beside is nobody's business.
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let done = plain(&out, &paths);
    // What somebody put into a video's folder.
    let folder = done.videos[0].folder.clone();
    for (name, within) in [("notes.txt", ""), ("notes.txt", "thumbnails"), ("index", "")] {
        fs::create_dir_all(folder.join(within)).unwrap();
        let mine = folder.join(within).join(name);
        fs::write(&mine, "mine").unwrap();
        let fresh = SceneJob { fresh: true, ..job(&out, &settings) };
        let said = refused(&fresh, &paths, "1/1");
        assert!(said.contains("was not written by this program and would be replaced"), "{said}");
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        // What is done is still found.
        assert!(plain(&out, &paths).videos[0].before);
        fs::remove_file(mine).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    assert!(refused(&job(&out, &settings), &paths, "1/1").contains("was not written by this program"));
    assert_eq!(fs::read_to_string(&folder).unwrap(), "a file");
}

#[test]
fn what_killed_runs_left_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (out, paths) = (dir.path().join("out"), [video("late.mp4")]);
    let videos = out.join("videos");
    let left = |name: &str, file: &str, text: &str| {
        let folder = videos.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
        folder
    };
    let dead = left(".unisono-dead.tmp", "unisono-scenes-of", "gone-12345678");
    fs::create_dir(dead.join("half")).unwrap();
    fs::write(dead.join("half/scenes.csv"), "half").unwrap();
    let alive = left(".unisono-alive.tmp", "unisono-scenes-of", "busy-12345678");
    let others = left(".unisono-other.tmp", "mine.txt", "mine");
    let odd = left(".unisono-odd.tmp", "unisono-scenes-of", "../../etc");
    let named = left("unisono-x.tmp", "unisono-scenes-of", "gone-12345678");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("unisono-scenes-of"), "gone-12345678").unwrap();
    std::os::unix::fs::symlink(&outside, videos.join(".unisono-link.tmp")).unwrap();
    for (name, text) in [(".gone-12345678.lock", "1"), (".mine.lock", "mine")] {
        fs::write(videos.join(name), text).unwrap();
    }
    let _work = Lock::take(&videos.join("busy-12345678")).unwrap();
    plain(&out, &paths);
    assert!(!dead.exists() && !videos.join(".gone-12345678.lock").exists());
    assert_eq!(fs::read_to_string(videos.join(".mine.lock")).unwrap(), "mine");
    for kept in [alive, others, odd, named, outside.join("unisono-scenes-of")] {
        assert!(kept.exists(), "{}", kept.display());
    }
}
