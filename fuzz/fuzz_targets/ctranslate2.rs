#![no_main]
//! CTranslate2's `model.bin`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_encoders::fuzzing::ctranslate2(bytes));
