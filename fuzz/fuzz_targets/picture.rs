#![no_main]
//! Pictures of pixels, by their first bytes.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::picture(file::folder(), bytes));
