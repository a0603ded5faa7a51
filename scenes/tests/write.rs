//! Files for editing programs and FFmpeg, byte for byte. `fixtures/timelines.py` reads the same files with OpenTimelineIO;
//! `UNISONO_GOLDEN=write` makes them again.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "write/cases.rs"]
mod cases;

use unisono_media::video::{Jump, Time};
use unisono_scenes::record::{Moment, Resized, VideoScenes};
use unisono_scenes::write::{self, Cut, Options, Output, Unit};

fn golden(name: &str, found: &str) {
    let path = cases::folder().join(name);
    if std::env::var_os("UNISONO_GOLDEN").is_some_and(|v| v == "write") {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "{} differs; found:\n{found}", path.display());
}

#[test]
fn edit_lists_timelines_and_chapters_are_the_golden_ones() {
    for case in cases::cases() {
        let (name, video) = (&case.name, case.video());
        golden(&format!("{name}.shots.edl"), &write::edl(&video, Unit::Shots));
        golden(&format!("{name}.scenes.edl"), &write::edl(&video, Unit::Scenes));
        golden(&format!("{name}.shots.otio"), &write::otio(&video, Unit::Shots));
        if name == "film" {
            golden(&format!("{name}.scenes.otio"), &write::otio(&video, Unit::Scenes));
        }
        golden(&format!("{name}.ffmeta"), &write::chapters(&video, None));
    }
}

fn case(name: &str) -> VideoScenes {
    cases::cases().iter().find(|c| c.name == name).unwrap().video()
}

#[test]
fn what_is_written_is_read_back() {
    for case in cases::cases() {
        let (dir, video) = (tempfile::tempdir().unwrap(), case.video());
        let files = write::all(dir.path(), &video, &Options::default()).unwrap();
        assert!(files.iter().all(|f| f.is_file()));
        assert_eq!(write::read(dir.path()).unwrap(), video, "{}", case.name);
        // Equal times may have other ticks: these must be the same, too.
        let (found, base) = (write::read(dir.path()).unwrap().video.end.time, video.video.end.time);
        assert_eq!((found.pts, found.base), (base.pts, base.base));
    }
    // A clock that breaks, frames of another size.
    let (dir, mut broken) = (tempfile::tempdir().unwrap(), case("film"));
    let at = |pts| Time { pts, base: "1/90000".parse().unwrap() };
    broken.video.failures.count = 1;
    broken.video.failures.jumps = vec![Jump { frame: 75, from: at(399_600), to: at(-3600) }];
    broken.video.sizes = vec![Resized { frame: 80, size: (160, 96) }];
    write::all(dir.path(), &broken, &Options::default()).unwrap();
    assert_eq!(write::read(dir.path()).unwrap(), broken);
    let text = std::fs::read_to_string(dir.path().join("video.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["sizes"], serde_json::json!([{ "frame": 80, "size": [160, 96] }]));
    assert_eq!(
        (&json["failures"]["jumps"][0]["frame"], &json["failures"]["jumps"][0]["to"]["time"]),
        (&75.into(), &"-1/25".into())
    );
}

#[test]
fn only_what_is_chosen_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/folder");
    let mut video = case("film");
    video.scores.names = vec!["content_val".into(), "=a,b".into()];
    video.scores.times = vec![video.video.start.time, Time { pts: 1001, base: "1/24000".parse().unwrap() }];
    video.scores.rows = vec![vec![f64::NAN, 0.25], vec![31.5]];
    let options = Options { outputs: vec![Output::Scores, Output::Chapters], ..Options::default() };
    let files = write::all(&out, &video, &options).unwrap();
    assert_eq!(files, [out.join("scores.csv"), out.join("chapters.ffmeta")]);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    let wanted = "frame,timecode,seconds,exact,content_val,\"'=a,b\"\r\n\
        0,00:00:00.000,0.000000,0,,0.25\r\n1,00:00:00.042,0.041708,1001/24000,31.5\r\n";
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), wanted);
}

#[test]
fn tables_have_a_row_each() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { outputs: vec![Output::Csv], ..Options::default() };
    write::all(dir.path(), &case("broadcast"), &options).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let columns = "start_frame,end_frame,start_timecode,end_timecode,start_seconds,end_seconds,start_exact,end_exact,\
        length_frames,length_seconds,key_frame,key_timecode";
    let shots = format!(
        "number,scene,{columns}\r\n\
        1,1,0,10,00:00:01.400,00:00:01.800,1.400000,1.800000,7/5,9/5,10,0.400000,5,00:00:01.600\r\n\
        2,2,10,30,00:00:01.800,00:00:02.600,1.800000,2.600000,9/5,13/5,20,0.800000,20,00:00:02.200\r\n"
    );
    assert_eq!(read("shots.csv"), shots);
    let head =
        format!("number,first_shot,last_shot,{columns},sound,sound_probability,caption,transcript\r\n");
    assert!(read("scenes.csv").starts_with(&head), "{}", read("scenes.csv"));
}

#[test]
fn a_moment_in_json_is_exact_and_checked() {
    let moment = Moment { frame: 1, time: Time { pts: 2002, base: "1/48000".parse().unwrap() } };
    let text = r#"{"frame":1,"time":"1001/24000","seconds":0.041708,"pts":2002,"base":"1/48000"}"#;
    assert_eq!(serde_json::to_string(&moment).unwrap(), text);
    let back: Moment = serde_json::from_str(text).unwrap();
    assert_eq!((back.frame, back.time.pts, back.time.base), (1, 2002, moment.time.base));
    for (from, to, says) in [
        ("1001/24000", "1/24", "expected \"1001/24000\", which pts 2002 and base 1/48000 make"),
        ("1/48000", "1/0", "expected a fraction as \"1/24000\", found \"1/0\""),
        ("\"frame\":1,", "", "missing field `frame`"),
        ("\"pts\":2002,", "", "missing field `pts`"),
        ("2002", "1e40", "pts"),
    ] {
        let error = serde_json::from_str::<Moment>(&text.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(says) || says == "pts", "{error}");
    }
    let extreme =
        Moment { frame: u64::MAX, time: Time { pts: i64::MIN, base: "4294967295/1".parse().unwrap() } };
    let back: Moment = serde_json::from_str(&serde_json::to_string(&extreme).unwrap()).unwrap();
    assert_eq!(back, extreme);
}

#[test]
fn clips_are_cut_by_the_containers_times() {
    let of = case("broadcast");
    let words = |cut: &Cut| -> String {
        let shot = &of.shots[1];
        let words = write::clip(&of.video, shot.start, shot.end, cut, "-out:1.mp4".as_ref());
        words.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join("|")
    };
    let exact = words(&Cut::default());
    assert!(exact.contains("|-copyts|-i|file:/films/My broadcast film.mp4|"), "{exact}");
    assert!(exact.contains("|-vf|trim=start=1.800000:end=2.600000,setpts='round(PTS-(9/5)/TB)'|"), "{exact}");
    assert!(exact.contains("|-enc_time_base|1/90000|") && exact.contains("|-an|"), "{exact}");
    assert!(exact.ends_with("|file:-out:1.mp4"), "{exact}");
    let copied = words(&Cut::Copy);
    assert!(
        copied.contains("|-seek_timestamp|1|-ss|1.800000|-i|") && copied.contains("|-t|0.800000|"),
        "{copied}"
    );
    // Where the clock breaks, frames are counted.
    let mut broken = case("broadcast").video;
    let at = |pts| Time { pts, base: "1/90000".parse().unwrap() };
    broken.failures.jumps = vec![Jump { frame: 5, from: at(9000), to: at(0) }];
    let shot = &of.shots[1];
    let counted = write::clip(&broken, shot.start, shot.end, &Cut::default(), "o.mp4".as_ref());
    let counted: Vec<_> = counted.iter().map(|w| w.to_string_lossy()).collect();
    assert!(
        counted.iter().any(|w| w.starts_with("trim=start_frame=10:end_frame=30,setpts='if(")),
        "{counted:?}"
    );
    assert!(!counted.iter().any(|w| w == "-ss"), "{counted:?}");
    assert!(
        write::uncuttable(&broken, &Cut::Copy).is_some()
            && write::uncuttable(&broken, &Cut::default()).is_none()
    );
    assert!(write::uncuttable(&of.video, &Cut::Copy).is_none());
    let mut video = of.video.clone();
    video.path = "/x/../\"; rm -rf %d\u{202e}.mp4".into();
    assert_eq!(write::clip_name(&video, "scene", 11, "mp4"), "rm_-rf__d-scene-012.mp4");
}
