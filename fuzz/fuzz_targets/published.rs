#![no_main]
//! The annotation files of named data sets, by the first byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::published(file::folder(), bytes));
