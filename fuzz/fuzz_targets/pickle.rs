#![no_main]
//! PyTorch archives: zip and pickle.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_encoders::fuzzing::pickle(bytes));
