#![no_main]
//! An Arrow file: its messages, its rows as records.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::arrow(file::folder(), bytes));
