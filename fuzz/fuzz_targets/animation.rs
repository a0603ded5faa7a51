#![no_main]
//! Images that move.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::animation(bytes));
