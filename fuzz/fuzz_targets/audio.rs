#![no_main]
//! Audio that the kept decoders read, WAV above all.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_media::fuzzing::audio(bytes));
