#![no_main]
//! A tar shard, and the index of one.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_datasets::fuzzing::shards(file::folder(), bytes));
