#![no_main]
//! A model folder whose configurations are the bytes: `config.json`, then each other file behind a zero byte.

mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    unisono_encoders::fuzzing::configuration(file::folder(), bytes);
    let _ = unisono_fusion::import::load(file::folder(), tch_device());
});

fn tch_device() -> unisono_encoders::fuzzing::Device {
    unisono_encoders::fuzzing::Device::Cpu
}
