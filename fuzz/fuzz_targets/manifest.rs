#![no_main]
//! A manifest of JSON lines.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::manifest(file::folder(), bytes));
