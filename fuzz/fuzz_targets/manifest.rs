#![no_main]
//! A manifest of JSON lines.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = unisono_datasets::Manifest::load(&file::file("m.jsonl", bytes));
});
