#![no_main]
//! The record of a stopped job.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_jobs::fuzzing::ledger(file::folder(), bytes));
