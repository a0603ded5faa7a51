#![no_main]
//! A table, by its first byte of tabs or of commas; every record of it.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::table(file::folder(), bytes));
