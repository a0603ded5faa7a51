#![no_main]
//! Moving pictures.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::animation(file::folder(), bytes));
