#![no_main]
//! tokenizer.json, and texts through what it makes.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_encoders::fuzzing::tokenizer(bytes));
