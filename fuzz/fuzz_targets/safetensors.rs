#![no_main]
//! Safetensors files.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_encoders::fuzzing::safetensors(bytes));
