#![no_main]
//! Vector pictures.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = unisono_datasets::Limits { max_pixels: 1 << 16, ..Default::default() };
    let options = unisono_datasets::ImageOptions { limits, svg_size: 64, ..Default::default() };
    let _ = unisono_datasets::decode::image(&file::file("v.svg", bytes), &options);
});
