#![no_main]
//! Pictures of pixels, by their first bytes.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = unisono_datasets::Limits { max_pixels: 1 << 20, ..Default::default() };
    let options = unisono_datasets::ImageOptions { limits, ..Default::default() };
    let _ = unisono_datasets::decode::image(&file::file("p.png", bytes), &options);
});
