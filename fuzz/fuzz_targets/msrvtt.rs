#![no_main]
//! MSR-VTT's JSON or CSV, by the first byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::msrvtt(file::folder(), bytes));
