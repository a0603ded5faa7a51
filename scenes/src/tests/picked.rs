#![allow(clippy::unwrap_used, missing_docs)]

use super::{Image, Matrix, Shrink};
use std::path::{Path, PathBuf};
use std::process::Command;
use unisono_media::video::{Ffmpeg, Layout, StreamOptions, VideoLimits};

fn make(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let mut command = Command::new(Ffmpeg::find(None).unwrap().program());
    command.args(["-loglevel", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]).args(words).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// The small images of a video's frames, of whole ones or of their pixels that are looked at.
fn images(path: &Path, picked: bool) -> (Vec<Image>, usize) {
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), VideoLimits::default());
    let video = ffmpeg.probe(path, &limits).unwrap();
    let (width, height) = video.size.unwrap();
    let mut shrink = Shrink::new(width as usize, height as usize).unwrap();
    let grid = shrink.grid().filter(|_| picked);
    let options = StreamOptions { whole: true, picked: grid, ..StreamOptions::default() };
    let mut stream = ffmpeg.stream(&video, &options, &limits).unwrap();
    let (mut track, mut data, mut found) = (stream.whole.take().unwrap(), Vec::new(), Vec::new());
    while let Some(shape) = track.next(&mut data).unwrap() {
        assert_eq!((shape.width, shape.height), (width, height));
        shrink.set_matrix(Matrix::named(shape.matrix));
        let mut image = Image::default();
        match shape.layout {
            Layout::Yuv420 { full_range } => shrink.yuv420(&data, full_range, &mut image).unwrap(),
            Layout::Picked { full_range } => {
                assert!(data.len() * 2 <= (width * height) as usize / 2 * 3);
                shrink.picked(&data, full_range, &mut image).unwrap();
            }
            other => unreachable!("{other:?}"),
        }
        found.push(image);
    }
    (found, stream.ending.failures().unwrap().count)
}

#[test]
fn few_pixels_make_the_images_of_whole_frames() {
    let dir = tempfile::tempdir().unwrap();
    for (size, few) in [
        // Each 5th and 15th; between two, from several cuttings; upright; each kind along one axis.
        ("1280x720", true),
        ("3840x2160", true),
        ("1920x1080", true),
        ("1600x900", true),
        ("2560x1440", true),
        ("1440x1080", true),
        ("1080x1920", true),
        ("1280x960", true),
        ("2048x1152", true),
        // Of the first every second pixel is looked at, of the second shares that are no part of a whole.
        ("640x360", false),
        ("1920x800", false),
    ] {
        let source = format!("testsrc2=s={size}:r=25,noise=alls=60:allf=t");
        // As files say it: chroma that lies elsewhere moves no pixel.
        let words = [&source, "-frames:v", "3", "-pix_fmt", "yuv420p", "-c:v", "mpeg4", "-q:v", "2"];
        let words = [&words[..], &["-chroma_sample_location", "left", "-colorspace", "bt709"]].concat();
        let path = make(dir.path(), &format!("{size}.mkv"), &words);
        let (width, height) = size.split_once('x').unwrap();
        let shrink = Shrink::new(width.parse().unwrap(), height.parse().unwrap()).unwrap();
        assert_eq!(shrink.grid().is_some(), few, "{size}");
        if few {
            let (picked, whole) = (images(&path, true), images(&path, false));
            assert_eq!((whole.0.len(), whole.1), (3, 0), "{size}");
            assert!(picked == whole, "{size}");
        }
    }
}

#[test]
fn frames_of_another_size_are_brought_to_the_first_as_whole_ones_are() {
    let dir = tempfile::tempdir().unwrap();
    let part = |name: &str, size: &str| {
        let source = format!("testsrc2=s={size}:r=25,noise=alls=60:allf=t");
        make(dir.path(), name, &[&source, "-frames:v", "3", "-pix_fmt", "yuv420p", "-c:v", "mpeg4"])
    };
    let (a, b) = (part("a.ts", "1920x1080"), part("b.ts", "640x360"));
    let path = dir.path().join("both.ts");
    std::fs::write(&path, [std::fs::read(a).unwrap(), std::fs::read(b).unwrap()].concat()).unwrap();
    let (picked, whole) = (images(&path, true), images(&path, false));
    assert_eq!(whole.0.len(), 6);
    assert!(picked == whole);
}
