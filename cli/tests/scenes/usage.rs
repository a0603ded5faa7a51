//! Options of `unisono scenes`, and outputs that are taken.

use super::*;

#[test]
fn options_that_would_do_nothing_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, model) = (video("one.mp4"), tiny::model_dir(dir.path()));
    let frames = dir.path().join("frames");
    fs::create_dir(&frames).unwrap();
    for i in 0..3 {
        image::RgbImage::from_pixel(16, 16, image::Rgb([i * 90, 0, 0]))
            .save(frames.join(format!("{i}.png")))
            .unwrap();
    }
    let moves = dir.path().join("moves.gif");
    media::ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=32x32:r=5", "-t", "1"], &moves);
    let (one, model, frames) = (s(&one), s(&model), s(&frames));
    for (wrong, what) in [
        (&["--transnet", "x", one][..], "--detector transnet"),
        (&["--rate", "10", one], "--rate is for folders of images"),
        (&["--rate", "10", s(&moves)], "--rate is for folders of images"),
        (&["--precision", "int8", one], "--precision is for models"),
        (&["--precision", "fp32", "--detector", "transnet", one], "--precision is for models"),
        (&["--device", "cpu", one], "--device is for models"),
        (&["--labels", "places", one], "--labels is for --model"),
        (&["--labels", "nosuch", "--model", model, one], "labels.sets: expected a file, or one of"),
        (&["--language", "de", one], "--speech-model"),
        (&["--clips", "exact", frames], "--clips cuts videos"),
        (&["--format", "none", "--format", "csv", one], "--format none"),
        (&["--set", "content.threshold=30", one], "--detector content"),
        (&["--set", "transnet.threshold=0.3", one], "--detector transnet"),
        (&["--set", "group.window=3", one], "--model"),
        (&["--set", "labels.top=3", one], "--model"),
        (&["--set", "sample.every=3", "--format", "csv", one], "--format report"),
        (&["--set", "shots.flashes=drop", "--set", "shots.flashes=keep", one], "expected one value"),
        (&["--detector", "hash", "--set", "detectors=[\"content\"]", one], "give one of them"),
        (&["--print-settings", one], "cannot be used with"),
        (&["--print-settings", "--write-labels", "y"], "cannot be used with"),
        (&["--print-settings", "--fresh"], "cannot be used with"),
        (&["--print-settings", "--device", "cpu"], "--device"),
        (&["--print-settings", "--ffmpeg", "x"], "--ffmpeg"),
        (&["--write-labels", "y", "--set", "shots.flashes=drop"], "cannot be used with"),
        (&["--write-labels", "y", "--clips", "copy"], "cannot be used with"),
    ] {
        let mut command = unisono(["scenes"]);
        if !wrong.iter().any(|w| ["--print-settings", "--write-labels"].contains(w)) {
            command.args(["--out", "x"]);
        }
        let (code, text, notes) = outcome(command.args(wrong).current_dir(dir.path()));
        assert_eq!((code, text.as_str()), (2, ""), "{wrong:?}: {notes}");
        assert!(notes.starts_with("error: ") && notes.contains(what), "{wrong:?}: {notes}");
        assert!(!dir.path().join("x").exists() && !dir.path().join("y").exists(), "{wrong:?}");
    }
    for (rank, code) in [("x", 2), ("3", 2), ("0", 0)] {
        let mut command = unisono(["scenes", "--out", "ranked", one]);
        let (found, _, notes) =
            outcome(command.current_dir(dir.path()).env("RANK", rank).env("WORLD_SIZE", "2"));
        assert_eq!(found, code, "{rank}: {notes}");
        assert!(code == 0 || notes.contains("give --shard"), "{notes}");
    }
    // Where they mean something.
    let fine = ["--rate", "2", "--clips", "copy", "--format", "none", "--out", "y", one, frames];
    let (code, _, notes) = outcome(unisono(["scenes"]).args(fine).current_dir(dir.path()));
    assert_eq!(code, 0, "{notes}");
}

#[test]
fn settings_and_labels_are_printed_as_they_would_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let usual = succeeds(["scenes", "--print-settings"]);
    let changed =
        succeeds(["scenes", "--print-settings", "--set", "content.threshold=31.5", "--detector", "content"]);
    let lines: Vec<&str> =
        changed.lines().filter(|line| !usual.lines().any(|usual| usual == *line)).collect();
    assert_eq!(lines, ["detectors = [\"content\"]", "threshold = 31.5"]);
    // Printed again from a file of them they are the same.
    let file = dir.path().join("mine.toml");
    fs::write(&file, &changed).unwrap();
    assert_eq!(succeeds(["scenes", "--print-settings", "--settings", s(&file)]), changed);
    let labels = ["scenes", "--print-settings", "--settings", s(&file), "--labels", "voices", "--json"];
    let found = json(labels);
    assert_eq!(found["labels"]["sets"], serde_json::json!(["voices"]));
    assert_eq!(
        (found["content"]["threshold"].as_f64(), found["limits"]["max_frames"].as_u64()),
        (Some(31.5), Some(2_000_000))
    );
    let place = dir.path().join("labels");
    let written = json(["scenes", "--write-labels", s(&place), "--json"]);
    assert_eq!(
        (written["folder"].as_str(), written["written"].as_array().unwrap().len()),
        (Some(s(&place)), 7)
    );
    let again = json(["scenes", "--write-labels", s(&place), "--json"]);
    assert_eq!(again["written"], serde_json::json!([]));
    // A limit that is too low is told with the option that raises it.
    let line = fails([
        "scenes",
        "--out",
        s(&dir.path().join("out")),
        "--set",
        "limits.max_frames=20",
        s(&video("late.mp4")),
    ]);
    assert!(line.contains("raise `--max-frames` if"), "{line}");
}

#[test]
fn a_second_run_into_the_same_folder_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (out, go, waits) = (dir.path().join("out"), dir.path().join("go"), dir.path().join("ffmpeg"));
    // The first decodes only once the second has been refused.
    let real = unisono_media::video::Ffmpeg::find(None).unwrap();
    let lines = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\nexec '{}' \"$@\"\n",
        go.display(),
        real.program().display()
    );
    fs::write(&waits, lines).unwrap();
    fs::set_permissions(&waits, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let one = video("late.mp4");
    let lock = out.join(".shard-1-of-1.lock");
    let held = || fs::read_to_string(&lock).is_ok_and(|holder| !holder.is_empty());
    let first = until(&mut unisono(["scenes", "--out", s(&out), "--ffmpeg", s(&waits), s(&one)]), held);
    let line = fails(["scenes", "--out", s(&out), s(&one)]);
    fs::write(&go, "").unwrap();
    let holder = format!("out: is being written by another run (process {}); wait for it", first.id());
    assert!(line.contains(&holder), "{line}");
    let ended = first.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let hidden = fs::read_dir(&out).unwrap().chain(fs::read_dir(out.join("videos")).unwrap());
    assert!(hidden.flatten().all(|e| !e.file_name().as_bytes().starts_with(b".")));
}
