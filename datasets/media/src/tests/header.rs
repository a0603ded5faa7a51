//! Heads beside what is decoded.

use super::{image_size, seconds};
use crate::video::Ffmpeg;
use crate::{Blob, Limits, decode};
use image::{ImageFormat, RgbImage};
use std::io::Cursor;
use std::process::Command;

fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn sizes_of_images() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Png, Jpeg, Gif, Bmp, WebP, Tiff] {
        let bytes = encoded(format, 300, 7);
        assert_eq!(image_size(Blob::bytes("x", bytes.clone())).unwrap(), Some((300, 7)), "{format:?}");
        // A head that is cut says nothing, and nothing worse.
        for cut in 0..bytes.len().min(64) {
            let found = image_size(Blob::bytes("x", &bytes[..cut])).unwrap();
            assert!(found.is_none_or(|size| size == (300, 7)), "{format:?} {cut} {found:?}");
        }
    }
    // A long segment before the frame, and bytes that fill.
    let jpeg = encoded(Jpeg, 33, 44);
    let note =
        [&[0xff, 0xd8, 0xff, 0xe1, 0xea, 0x62][..], &[0xff; 60_000], &[0xff, 0xff], &jpeg[2..]].concat();
    assert_eq!(image_size(Blob::bytes("x", note)).unwrap(), Some((33, 44)));
    for other in [&b"<svg/>"[..], b"RIFF\0\0\0\0WEBPVP9 ", b"", b"\xff\xd8\xff\xda\0\0"] {
        assert_eq!(image_size(Blob::bytes("x", other)).unwrap(), None);
    }
}

fn wav(samples: u32, rate: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: rate,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut out = hound::WavWriter::new(&mut bytes, spec).unwrap();
    (0..2 * samples).for_each(|i| out.write_sample((i % 100) as i32).unwrap());
    out.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn lengths_of_waves() {
    let bytes = wav(12_000, 8_000);
    let of = |bytes: &[u8]| seconds(Blob::bytes("x", bytes)).unwrap();
    assert_eq!(of(&bytes), Some(1.5));
    // A recorder that was cut off, or that did not know how much would come, leaves what there is.
    assert_eq!(of(&bytes[..bytes.len() - 8_000 * 6]), Some(0.5));
    let at = bytes.windows(4).position(|w| w == b"data").unwrap();
    let mut open = bytes.clone();
    open[at + 4..at + 8].fill(0xff);
    assert_eq!(of(&open), Some(1.5));
    let tag = [&b"ID3\x04\0\0\0\0\x01\x00"[..], &[0; 128], &bytes].concat();
    assert_eq!(of(&tag), Some(1.5));
    for cut in 0..60 {
        of(&bytes[..cut]);
    }
    assert_eq!(of(b"words"), None);
}

/// Forms that ffmpeg writes everywhere.
#[test]
fn lengths_are_those_that_are_decoded() {
    let ffmpeg = Ffmpeg::find(None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let tone = ["-f", "lavfi", "-i", "sine=frequency=300:sample_rate=24000:duration=2.5"];
    let show = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2.5"];
    for name in ["a.flac", "a.ogg", "a.mp3", "a.aiff", "a.mp4", "a.mkv", "a.webm", "a.avi", "a.wmv", "a.m4a"]
    {
        let path = dir.path().join(name);
        let video = ["mp4", "mkv", "webm", "avi", "wmv"].iter().any(|e| name.ends_with(e));
        let mut command = Command::new(ffmpeg.program());
        command.args(["-loglevel", "error", "-y"]).args(if video { show } else { tone });
        if name == "a.mp4" {
            command.args(["-pix_fmt", "yuv420p"]);
        }
        if !command.arg(&path).status().unwrap().success() {
            // Not every build has every encoder.
            continue;
        }
        let told = seconds(path.as_path()).unwrap().unwrap_or_else(|| panic!("{name}"));
        assert!((told - 2.5).abs() < 0.12, "{name}: {told}");
        if !video && name != "a.m4a" && name != "a.aiff" {
            let heard = decode::audio(path.as_path(), &Limits::default()).unwrap().seconds();
            assert!((told - heard).abs() < 0.08, "{name}: {told}, decoded {heard}");
        }
        let bytes = std::fs::read(&path).unwrap();
        // Without an encoder's summary it is an estimate; what is cut says less, and nothing worse.
        for cut in [10, 30, 100, 500, bytes.len() / 2] {
            seconds(Blob::bytes(name, &bytes[..cut.min(bytes.len())])).unwrap();
        }
    }
}
