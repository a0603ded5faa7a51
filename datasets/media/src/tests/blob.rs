#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::forms::{alike, forms};
use crate::video::{
    Ffmpeg, FrameOptions, Ratio, Span, Time, VideoLimits, animation, is_animation, shows_images,
};
use crate::{Error, ImageOptions, Limits, decode};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

const BYTES: &[u8] = b"0123456789";

fn part(dir: &Path, offset: u64, length: u64) -> Blob {
    let file = dir.join("shard-00001.tar");
    std::fs::write(&file, BYTES).unwrap();
    Blob::part(file, offset, length, "000012.jpg")
}

fn whole(blob: &Blob) -> String {
    let mut text = String::new();
    blob.open().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_part_is_what_it_holds_and_nothing_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let blob = part(dir.path(), 3, 4);
    assert_eq!((whole(&blob), blob.open().unwrap().len()), ("3456".to_owned(), 4));
    assert!(blob.name().ends_with("shard-00001.tar/000012.jpg"));
    assert_eq!((blob.path(), blob.is_missing()), (None, false));
    assert_eq!(whole(&part(dir.path(), 10, 0)), "");
    for (offset, length) in [(0, 11), (10, 1), (11, 0), (u64::MAX, 2), (2, u64::MAX)] {
        let said = part(dir.path(), offset, length).open().unwrap_err().to_string();
        let expected =
            format!("000012.jpg: expected {length} bytes from byte {offset} on, found a file of 10");
        assert!(said.ends_with(&expected), "{said}");
    }
    // A member's name leads nowhere.
    let named = |member: &str| Blob::part("a.tar", 0, 1, member).name().to_owned();
    assert_eq!(named("/etc/passwd"), PathBuf::from("a.tar/etc/passwd"));
    std::fs::remove_file(dir.path().join("shard-00001.tar")).unwrap();
    assert!(blob.is_missing() && blob.stamp().is_none());
    assert!(blob.open().unwrap_err().to_string().contains("shard-00001.tar: cannot read: "));
}

proptest! {
    #[test]
    fn reading_and_seeking_is_that_of_a_slice(
        ops in prop::collection::vec((0u8..4, -4i64..16), 0..20),
        (from, to) in (0usize..10, 0usize..=10),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let to = to.max(from);
        let slice = &BYTES[from..to];
        let blobs = [part(dir.path(), from as u64, slice.len() as u64), Blob::bytes("b", slice)];
        for blob in blobs {
            let (mut opened, mut naive) = (blob.open().unwrap(), std::io::Cursor::new(slice));
            for (op, n) in &ops {
                match op {
                    0 => {
                        let size = n.unsigned_abs() as usize;
                        let (mut a, mut b) = (vec![0; size], vec![0; size]);
                        // A file may give less at a time: not one of ten bytes.
                        prop_assert_eq!(opened.read(&mut a).unwrap(), naive.read(&mut b).unwrap());
                        prop_assert_eq!(a, b);
                    }
                    1 => prop_assert_eq!(opened.seek(SeekFrom::Start(n.unsigned_abs())).unwrap(), naive.seek(SeekFrom::Start(n.unsigned_abs())).unwrap()),
                    2 => prop_assert_eq!(opened.seek(SeekFrom::Current(*n)).ok(), naive.seek(SeekFrom::Current(*n)).ok()),
                    _ => prop_assert_eq!(opened.seek(SeekFrom::End(*n)).ok(), naive.seek(SeekFrom::End(*n)).ok()),
                }
            }
            opened.rewind().unwrap();
            prop_assert_eq!(opened.head(3).unwrap(), &slice[..slice.len().min(3)]);
            let mut rest = Vec::new();
            opened.read_to_end(&mut rest).unwrap();
            prop_assert_eq!(rest, slice);
        }
    }
}

#[test]
fn no_two_are_told_alike() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        Blob::file("a"),
        Blob::file("b"),
        Blob::part("a", 0, 1, "m"),
        Blob::part("a", 0, 2, "m"),
        Blob::part("a", 1, 1, "m"),
        Blob::part("b", 0, 1, "m"),
        Blob::bytes("a", *b"x"),
        Blob::bytes("a", *b"y"),
        Blob::bytes("a", *b""),
    ];
    let identities: BTreeSet<Vec<u8>> = all.iter().map(|blob| blob.identity().into_owned()).collect();
    assert_eq!(identities.len(), all.len());
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    for (i, a) in all.iter().enumerate() {
        assert!(all.iter().enumerate().all(|(j, b)| (a == b) == (i == j)), "{a:?}");
        assert_eq!(a, &a.clone());
    }
    // A sum over paths, as manifests have it, does not change.
    assert_eq!(&*Blob::file("/data/é.png").identity(), "/data/é.png".as_bytes());
    let shard = part(dir.path(), 0, 2);
    assert_eq!(shard.stamp(), Blob::file(dir.path().join("shard-00001.tar")).stamp());
    assert!(shard.stamp().is_some() && Blob::bytes("a", *b"x").stamp().is_none());
}

#[test]
fn a_line_of_json_finds_it_again() {
    let again = |blob: &Blob| serde_json::from_str::<Blob>(&serde_json::to_string(blob).unwrap()).unwrap();
    let file = Blob::file("/data/a.png");
    assert_eq!(serde_json::to_string(&file).unwrap(), r#""/data/a.png""#);
    let part = Blob::part("/data/a.tar", 512, 99, "b.png");
    assert_eq!(
        serde_json::to_string(&part).unwrap(),
        r#"{"file":"/data/a.tar","offset":512,"length":99,"name":"/data/a.tar/b.png"}"#
    );
    assert_eq!((again(&file), again(&part)), (file, part));
    let said = serde_json::to_string(&Blob::bytes("m/a.png", *b"x")).unwrap_err().to_string();
    assert_eq!(said, "m/a.png: bytes in memory have no place");
    for broken in ["7", r#"{"file":"a"}"#, r#"{"file":"a","offset":-1,"length":1,"name":"b"}"#] {
        assert!(serde_json::from_str::<Blob>(broken).is_err(), "{broken}");
    }
}

#[test]
fn limits_count_before_anything_is_read_or_copied() {
    let limits = Limits { max_file_bytes: 9, ..Limits::default() };
    let options = ImageOptions { limits, ..ImageOptions::default() };
    let over = |e: &Error| matches!(e, Error::Limit { option: "max_file_bytes", .. });
    assert!(over(&alike("a.png", BYTES, |blob| decode::image(blob, &options)).unwrap_err()));
    assert!(over(&alike("a.wav", BYTES, |blob| decode::audio(blob, &limits)).unwrap_err()));
    // FFmpeg's to read, and not given to it.
    let mp4 = b"\0\0\0\x18ftypisom\0\0\0\0";
    assert!(over(&alike("a.mp4", mp4, |blob| decode::audio(blob, &limits)).unwrap_err()));
    for read in [
        |blob: &Blob| decode::image(blob, &ImageOptions::default()).map(drop),
        |blob: &Blob| decode::audio(blob, &Limits::default()).map(drop),
    ] {
        let said = alike("a", b"", read).unwrap_err().to_string();
        assert!(said.ends_with("found an empty file"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_folders_are_refused_whoever_opens_them() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for (path, found) in [(pipe.as_path(), "a named pipe"), (dir.path(), "a folder")] {
        let (limits, videos) = (Limits::default(), VideoLimits::default());
        for blob in [Blob::file(path), Blob::part(path, 0, 1, "m")] {
            let said = [
                decode::image(&blob, &ImageOptions::default()).map(drop),
                decode::audio(&blob, &limits).map(drop),
                animation(&blob, &videos).map(drop),
                is_animation(&blob).map(drop),
                shows_images(&blob).map(drop),
                Ffmpeg::find(None).unwrap().probe(&blob, &videos).map(drop),
            ];
            for said in said {
                let said = said.unwrap_err().to_string();
                let expected = format!("{}: expected a regular file, found {found}", path.display());
                assert_eq!(said, expected);
            }
        }
    }
}

fn media(dir: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn fixtures_read_alike_from_a_file_a_part_and_bytes() {
    let (mut images, mut audios) = (0, 0);
    for path in
        ["../../fixtures/images", "../../fixtures/cuts", "../../fixtures/audio", "../fixtures", "fixtures"]
            .iter()
            .filter(|dir| Path::new(env!("CARGO_MANIFEST_DIR")).join(dir).is_dir())
            .flat_map(|dir| media(dir))
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let options = ImageOptions::default();
        images += u32::from(alike(name, &bytes, |blob| decode::rgba(blob, &options)).is_ok());
        // Tables and texts are no audio files: that is told alike, too.
        audios += u32::from(alike(name, &bytes, |blob| decode::audio(blob, &Limits::default())).is_ok());
    }
    assert!(images > 20 && audios >= 4, "{images} images, {audios} audio files");
}

#[test]
fn moving_images_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let ffmpeg = Ffmpeg::find(None).unwrap();
    for name in ["a.gif", "a.png", "a.webp"] {
        let form = if name == "a.png" { "apng" } else { &name[2..] };
        let path = dir.path().join(name);
        let source = ["-f", "lavfi", "-i", "testsrc2=s=24x16:r=10:d=0.5", "-f", form];
        let made = Command::new(ffmpeg.program())
            .args(["-loglevel", "error", "-y"])
            .args(source)
            .arg(&path)
            .output();
        if !made.unwrap().status.success() {
            // A program without that encoder.
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(alike(name, &bytes, |blob| is_animation(blob)).unwrap(), "{name}");
        let frames =
            |blob: &Blob| animation(blob, &VideoLimits::default())?.collect::<crate::Result<Vec<_>>>();
        // Encoders may join frames that differ little.
        assert!(alike(name, &bytes, frames).unwrap().len() > 1, "{name}");
        drop(alike(name, &bytes[..bytes.len() / 2], frames));
    }
}

fn film(dir: &Path, name: &str, words: &[&str]) -> Vec<u8> {
    let path = dir.join(name);
    let mut command = Command::new(Ffmpeg::find(None).unwrap().program());
    command.args([
        "-hide_banner",
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=2",
    ]);
    command.args(["-f", "lavfi", "-i", "sine=f=440:r=16000:d=2"]).args(words).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(path).unwrap()
}

#[test]
fn a_video_reads_alike_frame_by_frame_and_sample_by_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), VideoLimits::default());
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac"];
    let second = |pts| Some(Time { pts, base: Ratio { num: 1, den: 10 } });
    let span = Span { start: second(11), end: second(17) };
    for (name, words) in [
        ("film.mp4", &x264[..]),
        ("film.mkv", &x264),
        ("film.avi", &["-c:v", "mpeg4", "-c:a", "pcm_s16le"]),
        ("film.ts", &["-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "32000"]),
    ] {
        let bytes = film(dir.path(), name, words);
        let probed = |blob: &Blob| {
            let video = ffmpeg.probe(blob, &limits)?;
            assert_eq!(&video.blob, blob);
            let times = ffmpeg.index(&video, &limits)?;
            Ok((video.size, video.duration, video.sample_rate, video.seeks, times, shows_images(blob)?))
        };
        alike(name, &bytes, probed).unwrap();
        let frames = |blob: &Blob| {
            let video = ffmpeg.probe(blob, &limits)?;
            ffmpeg.frames(&video, &FrameOptions::default(), &limits)?.collect::<crate::Result<Vec<_>>>()
        };
        assert_eq!(alike(name, &bytes, frames).unwrap().len(), 50, "{name}");
        let clip = |blob: &Blob| {
            let _lent = blob.lend()?;
            let video = ffmpeg.probe(blob, &limits)?;
            let audio = ffmpeg.audio_if_any(&video, &span, &limits)?;
            Ok((ffmpeg.sample_span(&video, &span, 3, &limits)?, audio, ffmpeg.audio_start(&video, &limits)?))
        };
        let (found, audio, _) = alike(name, &bytes, clip).unwrap();
        assert!(found.len() == 3 && audio.is_some_and(|audio| audio.seconds() > 0.2), "{name}");
        alike(name, &bytes, |blob| decode::audio_on_clock(blob, &Limits::default(), None)).unwrap();
        // What is cut off, what begins late, and what is none.
        for hostile in [&bytes[..bytes.len() / 2], &bytes[7..], &bytes[..40]] {
            drop(alike(name, hostile, probed));
            drop(alike(name, hostile, frames));
        }
    }
}

/// Copies of ours in the system's folder for such, whose names end so.
fn copies(ending: &str) -> BTreeSet<PathBuf> {
    let all = std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(|e| Some(e.ok()?.path()));
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(".unisono-") && name.ends_with(ending)
    };
    all.filter(ours).collect()
}

#[test]
fn a_copy_is_written_once_for_all_who_hold_it_and_goes_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    // An ending of its own: other tests have copies, too.
    let [file, part, memory] = forms(dir.path(), "a.onlyhere", BYTES);
    assert_eq!(file.on_disk().unwrap().path(), file.name());
    for blob in [part, memory] {
        assert!(copies(".onlyhere").is_empty());
        let lent = blob.lend().unwrap();
        let (a, b) = (blob.on_disk().unwrap(), blob.clone().on_disk().unwrap());
        assert_eq!(a.path(), b.path());
        assert_eq!(std::fs::read(a.path()).unwrap(), BYTES);
        assert_eq!(copies(".onlyhere").len(), 1);
        drop((lent, a));
        assert_eq!(copies(".onlyhere").len(), 1);
        drop(b);
    }
    assert!(copies(".onlyhere").is_empty());
    // Runs of a program hold it, and no longer than they last: also where frames are left unread.
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), VideoLimits::default());
    let bytes = film(dir.path(), "film.mkv", &["-c:v", "mpeg4"]);
    let blob = Blob::bytes("film.mkvhere", bytes);
    let video = ffmpeg.probe(&blob, &limits).unwrap();
    assert!(copies(".mkvhere").is_empty());
    let mut frames = ffmpeg.frames(&video, &FrameOptions::default(), &limits).unwrap();
    frames.next().unwrap().unwrap();
    drop(frames);
    let mut rest = ffmpeg.frames(&video, &FrameOptions::default(), &limits).unwrap();
    assert_eq!(rest.by_ref().count(), 50);
    drop(rest);
    ffmpeg.audio(&video, &limits).unwrap();
    assert!(copies(".mkvhere").is_empty());
}

#[derive(Debug)]
struct Table(PathBuf);

impl crate::Rows for Table {
    fn file(&self) -> &Path {
        &self.0
    }

    fn read(&self, row: u64, column: &str) -> crate::Result<Vec<u8>> {
        Ok(format!("{row} of {column}").into_bytes())
    }
}

#[test]
fn a_row_of_a_table_is_read_when_it_is_opened() {
    let table = || std::sync::Arc::new(Table("a.parquet".into()));
    let blob = Blob::row(table(), 7, "image.bytes", "7.png");
    let read = |blob: &Blob| {
        let mut bytes = Vec::new();
        blob.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(read(&blob), b"7 of image.bytes");
    assert_eq!((blob.name(), blob.table()), (Path::new("a.parquet/7.png"), Some(Path::new("a.parquet"))));
    assert_eq!(blob, Blob::row(table(), 7, "image.bytes", "7.png"));
    assert_ne!(blob.identity(), Blob::row(table(), 8, "image.bytes", "7.png").identity());
    // A line says where it lies; whoever reads the line opens the table.
    let line = serde_json::to_string(&blob).unwrap();
    assert_eq!(line, r#"{"file":"a.parquet","row":7,"column":"image.bytes","name":"a.parquet/7.png"}"#);
    let closed: Blob = serde_json::from_str(&line).unwrap();
    assert_eq!(closed, blob);
    let said = closed.open().unwrap_err().to_string();
    assert!(said.starts_with("a.parquet: ") && said.contains("a table that was not opened"), "{said}");
    assert_eq!(read(&closed.within(table())), b"7 of image.bytes");
    let wrong: std::result::Result<Blob, _> = serde_json::from_str(r#"{"file": "a", "row": 1}"#);
    assert!(wrong.is_err());
}
