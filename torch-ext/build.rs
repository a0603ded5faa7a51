//! Compiles `src/ext.cpp` and `src/c10d.cpp` against the libtorch that `torch-sys` links.

use std::path::PathBuf;
use std::process::exit;

const AVX2: &[&str] = &["-mavx2", "-mfma"];
const AVX512: &[&str] = &["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"];

/// A set of instructions that kernels of `src/rows` are compiled for.
struct Level {
    name: &'static str,
    /// How the compiler is told.
    flags: &'static [&'static [&'static str]],
    /// Which kernels.
    files: &'static [&'static str],
}

const EVERYWHERE: &[&str] = &["src/rows/layer.cpp", "src/rows/attend.cpp"];
const VNNI: &[&str] = &["-mavx512vnni"];
/// A compiler that does not know tiles makes the same products as without them.
const AMX: &[&str] = &["-mamx-tile", "-mamx-int8"];
const LEVELS: [Level; 5] = [
    Level { name: "plain", flags: &[], files: EVERYWHERE },
    Level { name: "avx2", flags: &[AVX2], files: EVERYWHERE },
    Level {
        name: "avx512",
        flags: &[AVX2, AVX512],
        files: &["src/rows/layer.cpp", "src/rows/attend.cpp", "src/rows/bottleneck.cpp"],
    },
    Level { name: "vnni", flags: &[AVX2, AVX512, VNNI], files: &["src/rows/product.cpp"] },
    Level { name: "amx", flags: &[AVX2, AVX512, VNNI, AMX], files: &["src/rows/product.cpp"] },
];

fn main() {
    for part in ["src/ext.cpp", "src/c10d.cpp", "src/guard.h", "include"] {
        println!("cargo:rerun-if-changed={part}");
    }
    println!("cargo:rerun-if-changed=src/rows");
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
        // gloo's headers, of which the wheels have none.
        .include("include")
        .define("USE_C10D_GLOO", None)
        .files(["src/ext.cpp", "src/c10d.cpp"])
        .compile("unisono_torch_ext");
    rows();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-lib=dl");
    }
}

/// The kernels of `src/rows`, optimised whatever the profile: they are written to be vectorised.
fn rows() {
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64");
    for Level { name, flags, files } in &LEVELS[..if x86 { LEVELS.len() } else { 1 }] {
        let mut build = cc::Build::new();
        build.cpp(true).pic(true).warnings(false).opt_level(3).flag_if_supported("-std=c++17");
        // The C library's error number and the processor's exceptions are nobody's here, and keep loops from being vectorised.
        build.flag_if_supported("-fno-math-errno").flag_if_supported("-fno-trapping-math");
        // No vector is handed to another compiler's code.
        build.flag_if_supported("-Wno-psabi");
        for flag in flags.iter().copied().flatten() {
            build.flag_if_supported(flag);
        }
        build.define("UNISONO_ISA", Some(*name));
        build.files(*files).compile(&format!("unisono_rows_{name}"));
    }
}
