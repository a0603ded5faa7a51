#![no_main]
//! An index: its header, its items and its vectors, each behind a zero byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_jobs::fuzzing::index(file::folder(), bytes));
