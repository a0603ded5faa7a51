#![no_main]
//! Images that move.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::animation(file::folder(), bytes));
