use super::*;
use crate::forms::alike;
use image::{ExtendedColorType, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

fn decode_bytes_of(bytes: &[u8], options: &ImageOptions) -> Result<RgbImage> {
    // The name lies on purpose: content decides.
    alike("picture.txt", bytes, |blob| image(blob, options))
}

fn error(bytes: &[u8]) -> String {
    let text = decode_bytes_of(bytes, &ImageOptions::default()).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("picture.txt: "), "{text}");
    text
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn lossless_formats_give_their_pixels() {
    let image = RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 50, 9]));
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let decoded = decode_bytes_of(&encode(image.clone(), format), &ImageOptions::default()).unwrap();
        assert_eq!(decoded, image, "{format:?}");
    }
    let jpeg = decode_bytes_of(
        &encode(RgbImage::from_pixel(16, 16, Rgb([200, 10, 10])), ImageFormat::Jpeg),
        &ImageOptions::default(),
    );
    assert!(jpeg.unwrap().pixels().all(|p| p.0[0].abs_diff(200) < 6 && p.0[1] < 20));
}

#[test]
fn grey_deep_and_palette_images_become_rgb() {
    let options = ImageOptions::default();
    let grey = GrayImage::from_fn(3, 2, |x, _| Luma([x as u8 * 100]));
    let decoded = decode_bytes_of(&encode(grey, ImageFormat::Png), &options).unwrap();
    assert_eq!(decoded.get_pixel(1, 1), &Rgb([100; 3]));
    let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_pixel(2, 2, Rgb([0xffff, 0x8080, 0]));
    assert_eq!(
        decode_bytes_of(&encode(deep, ImageFormat::Png), &options).unwrap().get_pixel(0, 0),
        &Rgb([255, 128, 0])
    );
    // GIF is the palette format at hand.
    let gif = RgbImage::from_pixel(4, 4, Rgb([0, 255, 0]));
    let bytes = encode(DynamicImage::ImageRgb8(gif).into_rgba8(), ImageFormat::Gif);
    assert_eq!(decode_bytes_of(&bytes, &options).unwrap().get_pixel(2, 2), &Rgb([0, 255, 0]));
}

#[test]
fn transparency_is_laid_over_the_background() {
    let mut image = RgbaImage::from_pixel(3, 1, Rgba([255, 0, 0, 255]));
    image.put_pixel(1, 0, Rgba([255, 0, 0, 128]));
    image.put_pixel(2, 0, Rgba([255, 0, 0, 0]));
    let options = ImageOptions { background: [0, 0, 255], ..ImageOptions::default() };
    let decoded = decode_bytes_of(&encode(image, ImageFormat::Png), &options).unwrap();
    assert_eq!(decoded.as_raw(), &[255, 0, 0, 128, 0, 127, 0, 0, 255]);
    let grey = GrayAlphaImage::from_pixel(1, 1, LumaA([200, 0]));
    assert_eq!(decode_bytes_of(&encode(grey, ImageFormat::Png), &options).unwrap().as_raw(), &[0, 0, 255]);
}

#[test]
fn exif_turns_the_image_upright() {
    // A TIFF header with one entry: orientation (0x0112) = 6, turn clockwise by a quarter.
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let wide = RgbImage::from_fn(32, 16, |x, _| if x < 16 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
    encoder.encode(&wide, 32, 16, ExtendedColorType::Rgb8).unwrap();
    let upright = decode_bytes_of(&bytes, &ImageOptions::default()).unwrap();
    assert_eq!(upright.dimensions(), (16, 32));
    assert!(upright.get_pixel(8, 4).0[0] > 200 && upright.get_pixel(8, 28).0[2] > 200);
}

/// An image of `fixtures/images` (fixtures/images.py), decoded, and Pillow's `kind` of it.
fn beside_pillow(name: &str, kind: &str, options: &ImageOptions) -> (RgbImage, RgbImage) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/images");
    let bytes = std::fs::read(dir.join(format!("{name}.{kind}.ppm"))).unwrap();
    // P6, width and height, 255: three lines before the bytes.
    let lines: Vec<&[u8]> = bytes.splitn(4, |b| *b == b'\n').collect();
    let sides: Vec<u32> =
        std::str::from_utf8(lines[1]).unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    let want = RgbImage::from_raw(sides[0], sides[1], lines[3].to_vec()).unwrap();
    (image(dir.join(name), options).unwrap(), want)
}

fn most(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn pixels_are_those_of_pillow() {
    let drop = ImageOptions { drop_alpha: true, ..ImageOptions::default() };
    let exact = [
        "bit.png",
        "grey.png",
        "grey-transparent.png",
        "grey-alpha.png",
        "rgb-transparent.png",
        "rgba.png",
        "palette.png",
        "palette-transparent.png",
        "palette-alpha.png",
        "palette-transparent.gif",
        "palette.bmp",
        "rgba.webp",
        "rgb16.png",
        "rgba16.png",
        "cmyk.tif",
        "cmyk-planes.tif",
        "cmyk16.tif",
        "cmyk.jpg",
        "cmyk-bare.jpg",
        "ycck.jpg",
        "palette-1.tif",
        "palette-2.tif",
        "palette-4.tif",
        "palette-8.tif",
        "grey-2.tif",
        "grey-4.tif",
        "negative-2.tif",
        "negative-4.tif",
    ];
    for name in exact {
        let (found, want) = beside_pillow(name, "rgb", &drop);
        assert_eq!(most(&found, &want), 0, "{name}");
    }
    // Two decoders of lossy data may round apart.
    let (found, want) = beside_pillow("grey.jpg", "rgb", &drop);
    assert!(most(&found, &want) <= 1);
}

#[test]
fn images_over_white_are_those_of_transformers() {
    for name in [
        "grey-transparent.png",
        "grey-alpha.png",
        "rgb-transparent.png",
        "rgba.png",
        "palette-transparent.png",
        "palette-alpha.png",
        "rgba.webp",
        "rgba16.png",
    ] {
        let (found, want) = beside_pillow(name, "white", &ImageOptions::default());
        assert!(most(&found, &want) <= 1, "{name}: {}", most(&found, &want));
    }
}

#[test]
fn what_differs_from_pillow_on_purpose() {
    let (upright, stored) = beside_pillow("turned.jpg", "rgb", &ImageOptions::default());
    let off = most(&upright, &image::imageops::rotate90(&stored));
    assert!(off <= 2, "{off}");
    let (deep, white) = beside_pillow("grey16.png", "rgb", &ImageOptions::default());
    assert!(white.as_raw().iter().filter(|v| **v == 255).count() > 250);
    assert!(deep.as_raw().iter().filter(|v| **v == 255).count() < 30);
}

#[test]
fn broken_files_say_what_they_are() {
    assert!(error(b"").ends_with(
        "expected a PNG, JPEG, WebP, GIF, BMP, TIFF, SVG, HEIC or AVIF image, found an empty file"
    ));
    assert!(error(b"hello, I am text").ends_with("found text"));
    assert!(error(&[0, 1, 2, 3]).ends_with("that begins with bytes 00 01 02 03"));
    let png =
        encode(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])), ImageFormat::Png);
    for cut in [10, 20, 40, png.len() / 2] {
        assert!(error(&png[..cut]).contains("expected a whole Png image, found "), "{cut}");
    }
    let jpeg = encode(RgbImage::new(64, 64), ImageFormat::Jpeg);
    assert!(error(&jpeg[..30]).contains("a whole Jpeg image"));
    assert!(
        error(b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0")
            .contains("expected a whole SVG drawing, found ")
    );
    let folder = image(Path::new("/"), &ImageOptions::default()).unwrap_err().to_string();
    assert!(folder.ends_with("found a folder"), "{folder}");
    #[cfg(unix)]
    {
        // Opening a pipe would wait for a writer, a device may have no end.
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.png");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let endless = dir.path().join("endless.png");
        std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
        for (path, what) in [(pipe, "a named pipe"), (endless, "a device")] {
            let error = image(&path, &ImageOptions::default()).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {what}")), "{error}");
            assert!(crate::video::is_animation(&path).is_err());
        }
    }
    let missing = image(Path::new("/no/such.png"), &ImageOptions::default()).unwrap_err();
    assert!(matches!(missing, Error::Files(unisono_files::Error::Io { .. })));
}

#[test]
fn a_pixel_bomb_is_refused_from_its_header() {
    // IHDR of 50,000 x 50,000 with a right checksum, then nothing: decoding it would be another error.
    let png = |side: u32| {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
        png.extend([8, 2, 0, 0, 0]);
        png.extend(crc32(&png[12..]).to_be_bytes());
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        png
    };
    // Two thousand million pixels wide, as many as the format has, and more than that.
    for side in [0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let text = error(&png(side));
        assert!(text.lines().count() == 1, "{text}");
    }
    let text = error(&png(50_000));
    assert!(text.ends_with("the image is 50000 x 50000 pixels, the limit is 100000000 pixels in all: raise `max_pixels` if the file is meant to be that large"), "{text}");
}

#[test]
fn what_a_png_carries_beside_its_pixels_is_bounded() {
    use std::io::Write;
    let png = encode(RgbImage::new(4, 4), ImageFormat::Png);
    let zeros = |n: usize| {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(&vec![0; n]).unwrap();
        out.finish().unwrap()
    };
    let carrying = |kind: &[u8; 4], n: usize| {
        let data = [b"x\0\0", &zeros(n)[..]].concat();
        let named = [&kind[..], &data].concat();
        let length = (data.len() as u32).to_be_bytes();
        // After the header, whose length is known.
        [&png[..33], &length, &named, &crc32(&named).to_be_bytes(), &png[33..]].concat()
    };
    for kind in [b"iCCP", b"zTXt"] {
        assert!(decode_bytes_of(&carrying(kind, 1 << 20), &ImageOptions::default()).is_ok());
        // More than is ever held of it: refused, or left aside.
        if let Err(e) = decode_bytes_of(&carrying(kind, 80 << 20), &ImageOptions::default()) {
            assert!(e.to_string().contains("a whole Png image"), "{e}");
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
    })
}

#[test]
fn large_files_are_not_read() {
    let options = ImageOptions {
        limits: Limits { max_file_bytes: 10, ..Limits::default() },
        ..ImageOptions::default()
    };
    let text = decode_bytes_of(&[7; 11], &options).unwrap_err().to_string();
    assert!(text.contains("the file is 11 bytes, the limit is 10 bytes: raise `max_file_bytes`"), "{text}");
}

const SVG: &str = r##"<?xml version="1.0"?><!-- drawn --><svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">
    <rect width="10" height="10" fill="#f00"/></svg>"##;

#[test]
fn svg_is_drawn_at_the_size_asked_for() {
    let options = ImageOptions { svg_size: 40, background: [0, 0, 255], ..ImageOptions::default() };
    let drawn = decode_bytes_of(SVG.as_bytes(), &options).unwrap();
    assert_eq!(drawn.dimensions(), (40, 20));
    assert_eq!((drawn.get_pixel(5, 10), drawn.get_pixel(35, 10)), (&Rgb([255, 0, 0]), &Rgb([0, 0, 255])));
    let huge = ImageOptions { svg_size: 60_000, ..ImageOptions::default() };
    assert!(matches!(decode_bytes_of(SVG.as_bytes(), &huge), Err(Error::Limit { option: "max_pixels", .. })));
    // A drawing a thousand times as wide as high still has a row.
    let thin = SVG.replace(r#"height="10""#, r#"height="0.001""#);
    assert_eq!(decode_bytes_of(thin.as_bytes(), &options).unwrap().dimensions(), (40, 1));
}

#[test]
fn svg_reads_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret.png");
    RgbImage::from_pixel(8, 8, Rgb([0, 0, 0])).save(&secret).unwrap();
    let svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="8" height="8"><image width="8" height="8" xlink:href="{}"/></svg>"#,
        secret.display()
    );
    let drawn = decode_bytes_of(svg.as_bytes(), &ImageOptions::default()).unwrap();
    assert!(drawn.pixels().all(|p| p.0 == [255; 3]), "the image beside was drawn");
    let entity = r#"<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg" width="8" height="8">&x;</svg>"#;
    assert!(error(entity.as_bytes()).contains("a whole SVG drawing"));
}

#[test]
fn svg_bombs_are_refused() {
    let mut laughs = String::from("<!DOCTYPE svg [<!ENTITY l0 '<rect/>'>");
    for i in 1..12 {
        let reference = format!("&l{};", i - 1);
        laughs += &format!("<!ENTITY l{i} '{}'>", reference.repeat(10));
    }
    laughs += "]><svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'>&l11;</svg>";
    assert!(error(laughs.as_bytes()).contains("a whole SVG drawing"));

    // On a thread with a small stack, as a loader's worker may have.
    let nested = |depth: usize| {
        let (open, close) = ("<g>".repeat(depth), "</g>".repeat(depth));
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'>{open}<rect width='8' height='8'/>{close}</svg>"
        )
    };
    let worker = std::thread::Builder::new().stack_size(2 << 20);
    let worker = worker.spawn(move || {
        assert!(decode_bytes_of(nested(200).as_bytes(), &ImageOptions::default()).is_ok());
        for depth in [300, 100_000] {
            let text = error(nested(depth).as_bytes());
            assert!(text.contains("a whole SVG drawing"), "{text}");
        }
    });
    worker.unwrap().join().unwrap();
}
