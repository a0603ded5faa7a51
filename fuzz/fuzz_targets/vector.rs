#![no_main]
//! Vector images.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::vector(file::folder(), bytes));
