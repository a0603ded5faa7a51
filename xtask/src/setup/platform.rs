//! Which wheels make a libtorch for this machine, with their checksums.

/// The version that `tch` binds.
pub(crate) const VERSION: &str = "2.11.0";

/// One wheel of a package index. The C++ libraries in it are the same for every Python, so one file (cp311) serves all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Hex digest; empty where only the index's own digest is known.
    pub(crate) sha256: &'static str,
    /// Bytes, for the space check ahead; 0 where not known.
    pub(crate) size: u64,
}

/// What the fetch needs to know of a platform.
#[derive(Debug)]
pub(crate) struct Platform {
    /// pip's platform tags, newest first.
    pub(crate) tags: &'static [&'static str],
    pub(crate) cpu: &'static [Wheel],
    /// Further wheels for a GPU.
    pub(crate) cuda: &'static [Wheel],
    /// Bytes that the unpacked CPU libraries and headers take; and the CUDA ones with them.
    pub(crate) unpacked: (u64, u64),
}

const fn wheel(name: &'static str, version: &'static str, size: u64, sha256: &'static str) -> Wheel {
    Wheel { name, version, sha256, size }
}

/// torch 2.11.0 asks for exactly these (its `Requires-Dist`, and those of cuda-toolkit 13.0.2). The first three make a
/// complete CPU libtorch: `libtorch_cpu.so` needs nothing but libcudart and libcupti beside itself.
const LINUX_X86_64: Platform = Platform {
    tags: &[
        "manylinux_2_28_x86_64",
        "manylinux_2_27_x86_64",
        "manylinux_2_25_x86_64",
        "manylinux_2_18_x86_64",
        "manylinux2014_x86_64",
    ],
    cpu: &[
        wheel(
            "torch",
            VERSION,
            530_604_548,
            "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        ),
        wheel(
            "nvidia-cuda-runtime",
            "13.0.96",
            2_243_632,
            "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        ),
        wheel(
            "nvidia-cuda-cupti",
            "13.0.85",
            10_715_597,
            "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        ),
    ],
    cuda: &[
        wheel(
            "nvidia-cublas",
            "13.1.0.3",
            423_133_236,
            "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        ),
        wheel(
            "nvidia-cufft",
            "12.0.0.61",
            214_085_489,
            "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
        ),
        wheel(
            "nvidia-cufile",
            "1.15.1.6",
            1_223_672,
            "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
        ),
        wheel(
            "nvidia-curand",
            "10.4.0.35",
            59_544_258,
            "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        ),
        wheel(
            "nvidia-cusolver",
            "12.0.4.66",
            200_941_980,
            "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
        ),
        wheel(
            "nvidia-cusparse",
            "12.6.3.3",
            145_942_937,
            "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
        ),
        wheel(
            "nvidia-nvjitlink",
            "13.0.88",
            40_713_933,
            "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
        ),
        wheel(
            "nvidia-cuda-nvrtc",
            "13.0.88",
            90_215_200,
            "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
        ),
        wheel(
            "nvidia-nvtx",
            "13.0.85",
            148_047,
            "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4",
        ),
        wheel(
            "nvidia-cudnn-cu13",
            "9.19.0.56",
            366_066_321,
            "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
        ),
        wheel(
            "nvidia-cusparselt-cu13",
            "0.8.0",
            169_884_119,
            "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
        ),
        wheel(
            "nvidia-nccl-cu13",
            "2.28.9",
            196_493_177,
            "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42",
        ),
        wheel(
            "nvidia-nvshmem-cu13",
            "3.4.5",
            60_412_546,
            "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
        ),
    ],
    unpacked: (520_000_000, 4_000_000_000),
};

/// Untested. The GPU's wheels are taken with the index's own checksums.
const LINUX_AARCH64: Platform = Platform {
    tags: &[
        "manylinux_2_28_aarch64",
        "manylinux_2_27_aarch64",
        "manylinux_2_25_aarch64",
        "manylinux_2_18_aarch64",
        "manylinux2014_aarch64",
    ],
    cpu: &[
        wheel(
            "torch",
            VERSION,
            419_718_178,
            "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
        ),
        wheel(
            "nvidia-cuda-runtime",
            "13.0.96",
            2_261_060,
            "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55",
        ),
        wheel(
            "nvidia-cuda-cupti",
            "13.0.85",
            10_310_827,
            "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151",
        ),
    ],
    cuda: &[
        wheel("nvidia-cublas", "13.1.0.3", 0, ""),
        wheel("nvidia-cufft", "12.0.0.61", 0, ""),
        wheel("nvidia-cufile", "1.15.1.6", 0, ""),
        wheel("nvidia-curand", "10.4.0.35", 0, ""),
        wheel("nvidia-cusolver", "12.0.4.66", 0, ""),
        wheel("nvidia-cusparse", "12.6.3.3", 0, ""),
        wheel("nvidia-nvjitlink", "13.0.88", 0, ""),
        wheel("nvidia-cuda-nvrtc", "13.0.88", 0, ""),
        wheel("nvidia-nvtx", "13.0.85", 0, ""),
        wheel("nvidia-cudnn-cu13", "9.19.0.56", 0, ""),
        wheel("nvidia-cusparselt-cu13", "0.8.0", 0, ""),
        wheel("nvidia-nccl-cu13", "2.28.9", 0, ""),
        wheel("nvidia-nvshmem-cu13", "3.4.5", 0, ""),
    ],
    unpacked: (350_000_000, 4_000_000_000),
};

/// Untested. The macOS wheel is a CPU (and Metal) libtorch by itself.
const MACOS_ARM64: Platform = Platform {
    tags: &["macosx_11_0_arm64"],
    cpu: &[wheel(
        "torch",
        VERSION,
        80_529_712,
        "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4",
    )],
    cuda: &[],
    unpacked: (270_000_000, 0),
};

/// The platform that `xtask` was built for, if a wheel serves it.
pub(crate) fn this() -> Option<&'static Platform> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        Some(&LINUX_X86_64)
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64", target_env = "gnu")) {
        Some(&LINUX_AARCH64)
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        Some(&MACOS_ARM64)
    } else {
        None
    }
}

/// `libNAME.so`, or `libNAME.dylib` on macOS.
pub(crate) fn library(name: &str) -> String {
    format!("lib{name}{}", std::env::consts::DLL_SUFFIX)
}

/// Whether this machine has an NVIDIA GPU with its driver loaded (the last path is the driver inside WSL).
pub(crate) fn has_gpu() -> bool {
    ["/dev/nvidia0", "/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_sha256() {
        let pinned =
            LINUX_X86_64.cpu.iter().chain(LINUX_X86_64.cuda).chain(LINUX_AARCH64.cpu).chain(MACOS_ARM64.cpu);
        for wheel in pinned {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.name);
            assert!(wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
            assert!(wheel.size > 0, "{}", wheel.name);
        }
    }

    #[test]
    fn both_linux_platforms_take_the_same_versions() {
        let versions =
            |wheels: &[Wheel]| wheels.iter().map(|wheel| (wheel.name, wheel.version)).collect::<Vec<_>>();
        assert_eq!(versions(LINUX_X86_64.cuda), versions(LINUX_AARCH64.cuda));
        assert_eq!(versions(LINUX_X86_64.cpu), versions(LINUX_AARCH64.cpu));
    }
}
