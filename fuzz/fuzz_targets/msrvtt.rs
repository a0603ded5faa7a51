#![no_main]
//! MSR-VTT's JSON or CSV, by the first byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = if bytes.first() == Some(&b'{') { "m.json" } else { "m.csv" };
    let _ = unisono_datasets::msrvtt::load(&file::file(name, bytes));
});
