#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use super::*;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Rgb, RgbImage, Rgba};
use std::fs::File;
use std::io::Cursor;

const RED: [u8; 4] = [255, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 255, 255];
const CLEAR: [u8; 4] = [0, 0, 0, 0];

fn plain(colour: [u8; 4]) -> RgbaImage {
    RgbaImage::from_pixel(6, 4, Rgba(colour))
}

/// Frames with their delays in milliseconds.
fn gif(path: &Path, frames: &[(RgbaImage, u32)]) {
    let mut encoder = GifEncoder::new(File::create(path).unwrap());
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for (image, ms) in frames {
        let delay = Delay::from_numer_denom_ms(*ms, 1);
        encoder.encode_frame(image::Frame::from_parts(image.clone(), 0, 0, delay)).unwrap();
    }
}

fn still(image: &RgbaImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// Chunks of a RIFF file: name and content, padded to even lengths.
fn riff(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in chunks {
        out.extend(*name);
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out.extend(vec![0; data.len() % 2]);
    }
    out
}

/// An animated WebP, written as its specification says: the library writes still ones, whose image chunks these are.
fn webp(path: &Path, frames: &[(RgbaImage, u32)]) {
    let (width, height) = frames[0].0.dimensions();
    let three = |n: u32| n.to_le_bytes()[..3].to_vec();
    let mut head = vec![0b0001_0010, 0, 0, 0];
    head.extend([three(width - 1), three(height - 1)].concat());
    let mut chunks = vec![(b"VP8X", head), (b"ANIM", vec![0; 6])];
    for (image, ms) in frames {
        let whole = still(image, ImageFormat::WebP);
        let mut frame =
            [three(0), three(0), three(width - 1), three(height - 1), three(*ms), vec![0b10]].concat();
        // Past `RIFF`, its length and `WEBP`.
        frame.extend(&whole[12..]);
        chunks.push((b"ANMF", frame));
    }
    let body = riff(&chunks);
    std::fs::write(path, riff(&[(b"RIFF", [b"WEBP".to_vec(), body].concat())])).unwrap();
}

/// An animated PNG, written as its specification says; delays are fractions of a second.
fn apng(path: &Path, frames: &[(RgbaImage, (u16, u16))]) {
    let (width, height) = frames[0].0.dimensions();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(data);
        out.extend([name, data, &sum.sum().to_be_bytes()].concat());
    };
    let mut number = 0u32;
    for (i, (image, (num, den))) in frames.iter().enumerate() {
        let bytes = still(image, ImageFormat::Png);
        let found = chunks_of(&bytes);
        if i == 0 {
            chunk(b"IHDR", found.iter().find(|(n, _)| n == b"IHDR").unwrap().1);
            chunk(b"acTL", &[(frames.len() as u32).to_be_bytes(), [0; 4]].concat());
        }
        let mut control = Vec::new();
        for value in [number, width, height, 0, 0] {
            control.extend(value.to_be_bytes());
        }
        control.extend([num.to_be_bytes(), den.to_be_bytes()].concat());
        control.extend([0, 0]);
        chunk(b"fcTL", &control);
        number += 1;
        for (_, data) in found.iter().filter(|(n, _)| n == b"IDAT") {
            if i == 0 {
                chunk(b"IDAT", data);
            } else {
                chunk(b"fdAT", &[&number.to_be_bytes(), *data].concat());
                number += 1;
            }
        }
    }
    chunk(b"IEND", &[]);
    std::fs::write(path, out).unwrap();
}

fn chunks_of(png: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let (mut at, mut found) = (8, Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        found.push((png[at + 4..at + 8].try_into().unwrap(), &png[at + 8..at + 8 + length]));
        at += 12 + length;
    }
    found
}

fn limits() -> VideoLimits {
    VideoLimits::default()
}

/// Times and lengths in microseconds, and the colours of the pixel in the corner.
fn seen(path: &Path) -> Vec<(i64, i64, [u8; 3])> {
    let frames = animation(path, &limits()).unwrap();
    let one = |f: Result<Frame>| {
        let f = f.unwrap();
        assert_eq!((f.time.base.num, f.time.base.den), (1, 1_000_000));
        assert_eq!(f.image.dimensions(), (6, 4));
        (f.time.pts, f.ticks, f.image.get_pixel(0, 0).0)
    };
    frames.map(one).collect()
}

#[test]
fn delays_add_up_and_nothing_shows_through() {
    let dir = tempfile::tempdir().unwrap();
    let (red, blue, black) = ([255, 0, 0], [0, 0, 255], [0, 0, 0]);
    let path = dir.path().join("a.gif");
    gif(&path, &[(plain(RED), 40), (plain(BLUE), 0), (plain(RED), 1000), (plain(BLUE), 70)]);
    assert!(is_animation(&path).unwrap());
    // No delay: a tenth of a second.
    let expected =
        [(0, 40_000, red), (40_000, 100_000, blue), (140_000, 1_000_000, red), (1_140_000, 70_000, blue)];
    assert_eq!(seen(&path), expected);
    gif(&path, &[(plain(CLEAR), 50), (plain(RED), 50), (plain(CLEAR), 50)]);
    let colours: Vec<[u8; 3]> = seen(&path).iter().map(|f| f.2).collect();
    // The encoder clears the image after each frame.
    assert_eq!(colours, [black, red, black]);

    let path = dir.path().join("a.webp");
    let half = [200, 100, 0, 128];
    webp(&path, &[(plain(RED), 33), (plain(half), 0), (plain(CLEAR), 70_000), (plain(BLUE), 1)]);
    assert!(is_animation(&path).unwrap());
    let found = seen(&path);
    let times: Vec<(i64, i64)> = found.iter().map(|f| (f.0, f.1)).collect();
    assert_eq!(times, [(0, 33_000), (33_000, 100_000), (133_000, 70_000_000), (70_133_000, 1000)]);
    let colours: Vec<[u8; 3]> = found.iter().map(|f| f.2).collect();
    assert_eq!(colours, [red, [100, 50, 0], black, blue]);

    let path = dir.path().join("a.png");
    apng(
        &path,
        &[
            (plain(RED), (1, 30)),
            (plain(half), (1001, 24_000)),
            (plain(BLUE), (0, 100)),
            (plain(CLEAR), (2, 1)),
        ],
    );
    assert!(is_animation(&path).unwrap());
    let found = seen(&path);
    let times: Vec<(i64, i64)> = found.iter().map(|f| (f.0, f.1)).collect();
    // A thirtieth of a second, in whole microseconds.
    assert_eq!(times, [(0, 33_333), (33_333, 41_708), (75_041, 100_000), (175_041, 2_000_000)]);
    let colours: Vec<[u8; 3]> = found.iter().map(|f| f.2).collect();
    assert_eq!(colours, [red, [100, 50, 0], blue, black]);
}

/// As an image the first frame is read, as a video all are.
#[test]
fn an_image_that_moves_is_its_first_frame_or_a_video() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    gif(&at("a.gif"), &[(plain(RED), 100), (plain(BLUE), 100), (plain(RED), 100)]);
    let frames = [RED, BLUE, RED].map(|colour| (plain(colour), (1, 10)));
    apng(&at("a.png"), &frames);
    for name in ["a.gif", "a.png"] {
        let image = crate::decode::image(at(name), &crate::ImageOptions::default()).unwrap();
        assert_eq!(image.get_pixel(3, 2).0, [255, 0, 0], "{name}");
        let Ok(ffmpeg) = crate::video::Ffmpeg::find(None) else { return };
        let video = ffmpeg.probe(at(name), &limits()).unwrap();
        let found = ffmpeg.sample_span(&video, &crate::video::Span::WHOLE, 8, &limits()).unwrap();
        let colours: Vec<[bool; 3]> =
            found.iter().map(|frame| frame.image.get_pixel(3, 2).0.map(|c| c > 128)).collect();
        assert_eq!(colours, [[true, false, false], [false, false, true], [true, false, false]], "{name}");
    }
}

#[test]
fn still_images_do_not_move() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, format) in
        [("a.png", ImageFormat::Png), ("a.webp", ImageFormat::WebP), ("b.gif", ImageFormat::Gif)]
    {
        std::fs::write(at(name), still(&plain(RED), format)).unwrap();
    }
    RgbImage::from_pixel(6, 4, Rgb([1, 2, 3])).save(at("c.jpg")).unwrap();
    gif(&at("one.gif"), &[(plain(RED), 40)]);
    std::fs::write(at("words.gif"), "only words").unwrap();
    std::fs::write(at("empty.gif"), "").unwrap();
    // The name says nothing.
    gif(&at("moves.txt"), &[(plain(RED), 40), (plain(BLUE), 40)]);
    for name in ["a.png", "a.webp", "b.gif", "c.jpg", "one.gif", "words.gif", "empty.gif"] {
        assert!(!is_animation(at(name)).unwrap(), "{name}");
    }
    assert!(is_animation(at("moves.txt")).unwrap());
    assert!(is_animation(at("none.gif")).is_err());
    for name in ["c.jpg", "words.gif", "empty.gif"] {
        let error = animation(at(name), &limits()).err().unwrap().to_string();
        assert!(error.contains("expected a GIF, WebP or PNG that moves, found"), "{error}");
    }
}

#[test]
fn what_breaks_off_ends_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let noise = |n: u32| {
        RgbaImage::from_fn(64, 48, |x, y| Rgba([(x * 7 + n * 50) as u8, (y * 5) as u8, (x * y) as u8, 255]))
    };
    let write = |name: &str| {
        let path = dir.path().join(name);
        match name {
            "a.gif" => gif(&path, &[(noise(0), 40), (noise(1), 40), (noise(2), 40)]),
            "a.webp" => webp(&path, &[(noise(0), 40), (noise(1), 40), (noise(2), 40)]),
            _ => apng(&path, &[(noise(0), (1, 25)), (noise(1), (1, 25)), (noise(2), (1, 25))]),
        }
        path
    };
    for name in ["a.gif", "a.webp", "a.png"] {
        let path = write(name);
        let whole = std::fs::read(&path).unwrap();
        // Every beginning of the file: frames, then at most errors; never a panic or an endless run.
        for length in (0..whole.len()).step_by(whole.len() / 97 + 1) {
            std::fs::write(&path, &whole[..length]).unwrap();
            drop(is_animation(&path));
            if let Ok(frames) = animation(&path, &limits()) {
                assert!(frames.take(10).filter(|f| f.is_ok()).count() <= 3, "{name} {length}");
            }
        }
        // Damage in its middle.
        let mut broken = whole.clone();
        let from = broken.len() / 2;
        broken[from..from + 40].fill(0xa5);
        std::fs::write(&path, &broken).unwrap();
        if let Ok(frames) = animation(&path, &limits()) {
            let found: Vec<Result<Frame>> = frames.take(10).collect();
            assert!(found.len() <= 4, "{name}");
            for error in found.into_iter().filter_map(Result::err) {
                assert_eq!(error.to_string().lines().count(), 1, "{name}: {error}");
            }
        }
    }
}

#[test]
fn bounds_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gif");
    gif(&path, &[(plain(RED), 40), (plain(BLUE), 40), (plain(RED), 40)]);
    let few = VideoLimits { max_frames: 2, ..limits() };
    let found: Vec<Result<Frame>> = animation(&path, &few).unwrap().collect();
    assert_eq!((found.len(), found[0].is_ok(), found[1].is_ok()), (3, true, true));
    let error = found[2].as_ref().unwrap_err();
    assert!(
        matches!(error, Error::Limit { .. }) && error.to_string().contains("more than 2 frames"),
        "{error}"
    );
    // Frames of some bytes fill a canvas each: their pixels are counted together.
    let little = VideoLimits { max_total_pixels: 2 * 24, ..limits() };
    let found: Vec<_> = animation(&path, &little).unwrap().collect();
    let error = found.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(found.len() == 3 && error.contains("more than 48 pixels in all its frames"), "{error}");
    assert!(error.contains("raise `max_total_pixels`"), "{error}");
    let small = VideoLimits { max_pixels: 23, ..limits() };
    let wide = dir.path().join("a.webp");
    webp(&wide, &[(plain(RED), 40), (plain(BLUE), 40)]);
    let moving = dir.path().join("a.png");
    apng(&moving, &[(plain(RED), (1, 10)), (plain(BLUE), (1, 10))]);
    for path in [&path, &wide, &moving] {
        let error = animation(path, &small).err().unwrap().to_string();
        assert!(error.contains("a frame is 6 x 4 pixels, the limit is 23 pixels"), "{error}");
        assert_eq!(
            animation(path, &VideoLimits { max_pixels: 24, ..limits() }).unwrap().count() % 4,
            3.min(animation(path, &limits()).unwrap().count())
        );
    }
    // A few bytes that promise 65,535 x 65,535 pixels.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[6..10].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = animation(&path, &limits()).err().unwrap();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

/// Paths below `dir` of images in shades of their own, in this order.
fn images(dir: &Path, names: &[&str]) {
    for (i, name) in names.iter().enumerate() {
        RgbImage::from_pixel(6, 4, Rgb([i as u8 * 10; 3])).save(dir.join(name)).unwrap();
    }
}

#[test]
fn a_folders_images_come_in_the_order_of_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "frame1.png",
        "frame02.png",
        "frame9.png",
        "frame10.png",
        "frame100.png",
        "frame100b.png",
        "frames3.png",
    ];
    // Written in another order than they are shown.
    images(dir.path(), &names);
    std::fs::write(dir.path().join("notes.txt"), "no image").unwrap();
    std::fs::write(dir.path().join(".frame5.png"), "hidden").unwrap();
    std::fs::create_dir(dir.path().join("frame3.png")).unwrap();
    let found: Vec<Frame> =
        folder(dir.path(), 24, &limits(), &Limits::default()).unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(
        found.iter().map(|f| f.image.get_pixel(0, 0)[0]).collect::<Vec<_>>(),
        [0, 10, 20, 30, 40, 50, 60]
    );
    for (i, frame) in found.iter().enumerate() {
        assert_eq!((frame.time, frame.ticks), (Time { pts: i as i64, base: Ratio { num: 1, den: 24 } }, 1));
    }
    let empty = tempfile::tempdir().unwrap();
    let error = folder(empty.path(), 24, &limits(), &Limits::default()).err().unwrap().to_string();
    assert!(error.contains("expected a folder of images, found none"), "{error}");
    assert!(folder(&empty.path().join("none"), 24, &limits(), &Limits::default()).is_err());
}

#[test]
fn a_folders_broken_images_are_told_and_the_rest_comes() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &["1.png", "2.png", "3.png", "4.png"]);
    std::fs::write(dir.path().join("2.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    // More than a smaller scale helps with.
    RgbImage::new(200, 200).save(dir.path().join("3.png")).unwrap();
    let bounds = VideoLimits { max_pixels: 1000, ..limits() };
    let found: Vec<Result<Frame>> = folder(dir.path(), 10, &bounds, &Limits::default()).unwrap().collect();
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    // Times count the places of all.
    assert_eq!(found[3].as_ref().unwrap().time.pts, 3);
    for error in found.iter().filter_map(|f| f.as_ref().err()) {
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
    let few = VideoLimits { max_frames: 3, ..limits() };
    let error = folder(dir.path(), 10, &few, &Limits::default()).err().unwrap();
    assert!(matches!(error, Error::Limit { .. }) && error.to_string().contains("4 frames"), "{error}");
}

#[test]
fn names_have_an_order() {
    let mut names = [
        "b",
        "a10",
        "a9",
        "a",
        "",
        "10",
        "9",
        "a9b10",
        "a9b9",
        "00009",
        "99999999999999999999999999999999999999999999",
    ];
    names.sort_by_key(|n| natural(n));
    assert_eq!(
        names,
        [
            "",
            "00009",
            "9",
            "10",
            "99999999999999999999999999999999999999999999",
            "a",
            "a9",
            "a9b9",
            "a9b10",
            "a10",
            "b"
        ]
    );
}
