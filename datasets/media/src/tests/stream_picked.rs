#![allow(clippy::unwrap_used, missing_docs)]

use super::tests::{ffmpeg, limits, make};
use super::*;
use crate::video::Picks;

#[test]
fn picked_pixels_are_those_of_whole_frames() {
    let dir = tempfile::tempdir().unwrap();
    let noise = "testsrc2=s=320x180:r=25,noise=alls=60:allf=t";
    let path = make(dir.path(), "p.mp4", &[noise, "-frames:v", "5", "-pix_fmt", "yuv420p"]);
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    assert!(video.plain);
    let read = |options: &StreamOptions| {
        let mut stream = ffmpeg().stream(&video, options, &limits()).unwrap();
        let (mut track, mut data, mut frames) = (stream.whole.take().unwrap(), Vec::new(), Vec::new());
        while let Some(shape) = track.next(&mut data).unwrap() {
            frames.push((shape, data.clone()));
        }
        drop(track);
        let log = stream.ending.process.end().log.text;
        assert!(!log.contains("dts"), "FFmpeg complains of our outputs: {log}");
        frames
    };
    let whole = read(&StreamOptions { whole: true, ..StreamOptions::default() });
    let grid = Grid { across: Picks::even(320, 64), down: Picks::even(180, 36) };
    let picked = read(&StreamOptions { whole: true, picked: Some(grid), ..StreamOptions::default() });
    assert_eq!((whole.len(), picked.len()), (5, 5));
    for ((shape, frame), (small, pixels)) in whole.iter().zip(&picked) {
        assert_eq!(
            (small.time, small.source, small.layout),
            (shape.time, (320, 180), Layout::Picked { full_range: false })
        );
        let (luma, chroma) = frame.split_at(320 * 180);
        let (u, v) = chroma.split_at(160 * 90);
        for y in 0..36 {
            for x in 0..64 {
                let (column, row, to) = (5 * x + 2, 5 * y + 2, 64 * y + x);
                let of = row / 2 * 160 + column / 2;
                let expected = [luma[row * 320 + column], u[of], v[of]];
                assert_eq!([pixels[to], pixels[to + 64 * 36], pixels[to + 2 * 64 * 36]], expected, "{x} {y}");
            }
        }
    }
}
