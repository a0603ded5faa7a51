#![no_main]
//! Images of pixels, by their first bytes.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::heif(bytes));
