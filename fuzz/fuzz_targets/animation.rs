#![no_main]
//! Moving pictures.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = unisono_datasets::video::VideoLimits::default();
    let _ = unisono_datasets::video::animation(&file::file("a.gif", bytes), &limits);
});
