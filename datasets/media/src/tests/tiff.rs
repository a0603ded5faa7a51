//! TIFF files that say what they do not have: one line each. What whole ones hold is compared with Pillow's in the tests of images.

use crate::decode::{self, ImageOptions, Stored};
use crate::{Blob, Error, Limits, Result};
use image::{DynamicImage, RgbImage};
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/images").join(name)).unwrap()
}

fn read(bytes: &[u8]) -> Result<RgbImage> {
    decode::image(Blob::bytes("scan.tif", bytes.to_vec()), &ImageOptions::default())
}

fn error(bytes: &[u8]) -> String {
    let text = read(bytes).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.strip_prefix("scan.tif: ").unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// A little-endian file with the entry of `tag` changed: its kind, how many values, and what follows.
fn with(name: &str, tag: u16, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = fixture(name);
    let directory = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(bytes[directory..directory + 2].try_into().unwrap()));
    let at = (0..count).map(|i| directory + 2 + 12 * i).find(|at| bytes[*at..*at + 2] == tag.to_le_bytes());
    change(&mut bytes[at.unwrap()..][..12]);
    bytes
}

#[test]
fn colour_maps_are_whole_and_as_long_as_they_must_be() {
    assert!(read(&fixture("palette-4.tif")).is_ok());
    // The map stands at the end of the file.
    let whole = fixture("palette-4.tif");
    assert_eq!(
        error(&whole[..whole.len() - 2]),
        "expected a whole Tiff image, found a colour map that is cut off"
    );
    let long = with("palette-4.tif", 320, |entry| entry[4..8].copy_from_slice(&u32::MAX.to_le_bytes()));
    assert!(error(&long).ends_with("found a colour map of 4294967295 numbers for 16 colours"));
    let short = with("palette-4.tif", 320, |entry| entry[4] = 3);
    assert!(error(&short).ends_with("found a colour map of 3 numbers for 16 colours"));
    let far = with("palette-4.tif", 320, |entry| entry[8..12].copy_from_slice(&u32::MAX.to_le_bytes()));
    assert!(error(&far).ends_with("found a colour map that is cut off"));
    for wrong in
        [with("palette-4.tif", 320, |entry| entry[2] = 4), with("palette-4.tif", 320, |entry| entry[0] = 99)]
    {
        assert!(error(&wrong).ends_with("found one without a colour map"));
    }
}

#[test]
fn sizes_are_believed_within_the_limits_only() {
    let tall = |rows: u16| {
        let sides = |mut bytes: Vec<u8>| {
            let directory = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
            // Width and height come first, the strip's rows among the others.
            bytes[directory + 2 + 8..][..2].copy_from_slice(&rows.to_le_bytes());
            bytes[directory + 2 + 12 + 8..][..2].copy_from_slice(&rows.to_le_bytes());
            bytes
        };
        ["palette-4.tif", "grey-4.tif", "cmyk-planes.tif"]
            .map(|name| sides(with(name, 278, |entry| entry[8..10].copy_from_slice(&rows.to_le_bytes()))))
    };
    for bytes in tall(60_000) {
        let text = error(&bytes);
        assert!(
            text.contains("the image is 60000 x 60000 pixels, and cannot be read at a smaller scale"),
            "{text}"
        );
        assert!(matches!(read(&bytes), Err(Error::Limit { option: "max_pixels", .. })));
    }
    // Within the limits, and more than the file has.
    for bytes in tall(3_000) {
        assert!(error(&bytes).starts_with("expected a whole Tiff image, found "));
    }
    for bytes in tall(0) {
        assert!(error(&bytes).contains("0"));
    }
    let few = Limits { max_pixels: 98, ..Limits::default() };
    let options = ImageOptions { limits: few, ..ImageOptions::default() };
    assert!(decode::image(Blob::bytes("scan.tif", fixture("cmyk16.tif")), &options).is_err());
}

#[test]
fn what_would_be_read_wrongly_is_refused() {
    let reversed = with("grey-4.tif", 284, |entry| {
        entry[..2].copy_from_slice(&266u16.to_le_bytes());
        entry[8] = 2;
    });
    assert!(error(&reversed).ends_with("(fill order 2): write it anew with fill order 1"));
    // Numbers below 0, and a palette of two samples a pixel.
    let signed = with("cmyk-planes.tif", 284, |entry| {
        entry[..2].copy_from_slice(&339u16.to_le_bytes());
        entry[8] = 2;
    });
    assert!(error(&signed).starts_with("expected a whole Tiff image, found "));
    assert!(
        error(&with("palette-4.tif", 277, |entry| entry[8] = 2)).starts_with("expected a whole Tiff image")
    );
    for cut in [4, 8, 20, 60, 100] {
        assert!(error(&fixture("palette-4.tif")[..cut]).starts_with("expected a whole Tiff image"), "{cut}");
    }
}

#[test]
fn every_kind_is_kept_as_what_it_is_and_turned_upright() {
    let stored =
        |bytes: Vec<u8>| decode::stored(Blob::bytes("scan.tif", bytes), &ImageOptions::default()).unwrap();
    let colours = |name: &str| match stored(fixture(name)) {
        Stored::Indexed(_, palette) => palette.len(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        ["palette-1.tif", "palette-2.tif", "palette-4.tif", "palette-8.tif"].map(colours),
        [2, 4, 16, 256]
    );
    for name in ["cmyk.tif", "cmyk-planes.tif", "cmyk16.tif", "cmyk.jpg", "ycck.jpg"] {
        let Stored::Inks(inks) = stored(fixture(name)) else { panic!("{name}") };
        assert_eq!(decode::printed(&inks), read(&fixture(name)).unwrap(), "{name}");
    }
    for name in ["grey16.tif", "negative16.tif", "grey16.png"] {
        assert!(matches!(stored(fixture(name)), Stored::Deep(_)), "{name}");
    }
    let turned = with("palette-4.tif", 284, |entry| {
        // The order of planes says nothing of one plane: it becomes the orientation.
        entry[..2].copy_from_slice(&274u16.to_le_bytes());
        entry[8] = 6;
    });
    let upright = DynamicImage::from(read(&fixture("palette-4.tif")).unwrap()).rotate90().into_rgb8();
    assert_eq!(read(&turned).unwrap(), upright);
    // Four inks on white paper: nothing printed is white, black is black whatever lies under it.
    let inks = image::RgbaImage::from_raw(3, 1, vec![0, 0, 0, 0, 255, 0, 0, 0, 9, 8, 7, 255]).unwrap();
    assert_eq!(decode::printed(&inks).as_raw(), &[255, 255, 255, 0, 255, 255, 0, 0, 0]);
}

/// A little-endian file of one strip, whose values of more than two numbers come after the entries.
fn made(entries: &[(u16, Vec<u16>)], data: &[u8]) -> Vec<u8> {
    let begin = 8 + data.len() + data.len() % 2;
    let mut bytes = [&b"II*\0"[..], &(begin as u32).to_le_bytes(), data, &vec![0; data.len() % 2]].concat();
    let mut after = begin + 2 + 12 * entries.len() + 4;
    let mut beside = Vec::new();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, values) in entries {
        let mut raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        bytes.extend([tag.to_le_bytes(), 3u16.to_le_bytes()].concat());
        bytes.extend((values.len() as u32).to_le_bytes());
        if raw.len() > 4 {
            bytes.extend((after as u32).to_le_bytes());
            after += raw.len();
            beside.extend(raw);
        } else {
            raw.resize(4, 0);
            bytes.extend(raw);
        }
    }
    bytes.extend([0; 4]);
    [bytes, beside].concat()
}

#[test]
fn what_stands_beside_the_inks_is_left_out_or_refused() {
    let inks = |extra: u16| {
        let one = |tag, value| (tag, vec![value]);
        let entries = [
            one(256, 2),
            one(257, 1),
            (258, vec![8; 5]),
            one(259, 1),
            one(262, 5),
            one(273, 8),
            one(277, 5),
            one(278, 1),
            one(279, 10),
            one(338, extra),
        ];
        made(&entries, &[0, 0, 0, 0, 77, 255, 0, 255, 0, 99])
    };
    // Of no known meaning, as Pillow has it.
    assert_eq!(read(&inks(0)).unwrap().as_raw(), &[255, 255, 255, 0, 255, 0]);
    assert!(error(&inks(2)).starts_with("expected a whole Tiff image, found "));
}
