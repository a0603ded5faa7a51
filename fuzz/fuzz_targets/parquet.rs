#![no_main]
//! A Parquet file: its footer, its pages, its rows as records.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::parquet(file::folder(), bytes));
