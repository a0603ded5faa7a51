//! Compiles `src/ext.cpp` against the libtorch that `torch-sys` links.

use std::path::PathBuf;
use std::process::exit;

fn main() {
    println!("cargo:rerun-if-changed=src/ext.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let Some(root) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        eprintln!("LIBTORCH is not set: run `cargo xtask setup` once; it finds or fetches libtorch 2.11");
        exit(1);
    };
    let include = root.join("include");
    if !include.join("torch/csrc/autograd/autograd.h").exists() {
        eprintln!(
            "no libtorch headers under {}: expected include/torch/csrc/autograd/autograd.h; run `cargo xtask setup --force`",
            root.display()
        );
        exit(1);
    }
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .flag_if_supported("-std=c++17")
        .flag(format!("-D_GLIBCXX_USE_CXX11_ABI={abi}"))
        .file("src/ext.cpp")
        .compile("unisono_torch_ext");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-lib=dl");
    }
}
