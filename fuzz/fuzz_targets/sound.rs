#![no_main]
//! Sounds, WAV above all.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = unisono_datasets::Limits { max_seconds: 60.0, ..Default::default() };
    let _ = unisono_datasets::decode::sound(&file::file("s.wav", bytes), &limits);
});
