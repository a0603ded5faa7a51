#![no_main]
//! Vector images.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::vector(bytes));
