//! What is there: gathered without judging.

use super::cpu::{self, Cpu};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use unisono_media::video::Ffmpeg;
use unisono_torch_ext::{cuda, library, threads};

/// Everything that `doctor` looks at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Facts {
    pub(super) unisono: &'static str,
    pub(super) libtorch: Libtorch,
    pub(super) cuda: Cuda,
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    /// Version lines of the programs that are installed; null for those that are not.
    pub(super) programs: BTreeMap<&'static str, Option<String>>,
    pub(super) cache: Cache,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Libtorch {
    pub(super) version: String,
    pub(super) path: PathBuf,
    pub(super) cpu_capability: String,
    pub(super) threads: usize,
    /// Whether the environment says how many.
    pub(super) threads_are_chosen: bool,
    /// The variables that say how threads wait for each other, as `NAME=value`.
    pub(super) waits: Vec<String>,
    /// What went wrong in a small matrix product; null when its result is right.
    pub(super) failure: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Cuda {
    /// `absent`, `broken`, `no device` or `ready`.
    pub(super) status: &'static str,
    pub(super) devices: Vec<String>,
    /// Where the CUDA part was looked for, or the loader's words.
    pub(super) detail: Option<String>,
    /// Whether the system has an NVIDIA driver.
    pub(super) driver: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Memory {
    pub(super) total_bytes: u64,
    pub(super) available_bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Cache {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// By folder or file in it.
    pub(super) parts: BTreeMap<String, u64>,
    /// Space left on its disk.
    pub(super) free_bytes: Option<u64>,
    /// Why it cannot be written; null when it can.
    pub(super) failure: Option<String>,
}

pub(super) fn gather() -> Facts {
    // First of all: libtorch remembers the answer of the first CUDA query, which must come after the CUDA part is loaded.
    let status = cuda::load();
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    Facts {
        unisono: env!("CARGO_PKG_VERSION"),
        libtorch: Libtorch {
            version: library::version(),
            path: library::path(),
            cpu_capability: library::cpu_capability(),
            threads: threads::set(None),
            threads_are_chosen: threads::are_chosen(),
            waits: threads::waits(),
            failure: product().err(),
        },
        cuda: describe(status),
        cpu: cpu::gather(),
        memory: Memory { total_bytes: system.total_memory(), available_bytes: system.available_memory() },
        programs: [("npm", "--version"), ("apt-get", "--version")]
            .map(|(name, option)| (name, version(name, option)))
            .into_iter()
            // The one that decodes, wherever it lies.
            .chain([("ffmpeg", Ffmpeg::find(None).ok().and_then(|f| version(f.program(), "-version")))])
            .collect(),
        cache: cache(&unisono_files::cache_folder()),
    }
}

/// A small matrix product whose result is known.
fn product() -> Result<(), String> {
    let ones =
        tch::Tensor::f_ones([64, 64], (tch::Kind::Float, tch::Device::Cpu)).map_err(|e| e.to_string())?;
    let sum = ones.f_matmul(&ones).and_then(|p| p.f_sum(tch::Kind::Float)).map_err(|e| e.to_string())?;
    let found = sum.f_double_value(&[]).map_err(|e| e.to_string())?;
    // 64 x 64 entries of 64.
    if found == 262_144.0 {
        Ok(())
    } else {
        Err(format!("a matrix product sums to {found}, expected 262144"))
    }
}

fn describe(status: &cuda::Status) -> Cuda {
    let driver = Path::new("/proc/driver/nvidia/version").exists() || Path::new("/dev/nvidiactl").exists();
    let (status, count, detail) = match status {
        cuda::Status::Absent { looked } => ("absent", 0, Some(looked.display().to_string())),
        cuda::Status::Broken { path, message } => {
            ("broken", 0, Some(format!("{}: {message}", path.display())))
        }
        cuda::Status::NoDevice => ("no device", 0, None),
        cuda::Status::Ready { devices } => ("ready", *devices, None),
    };
    let names = gpu_names();
    let devices = (0..count).map(|i| names.get(i).cloned().unwrap_or_else(|| format!("cuda:{i}"))).collect();
    Cuda { status, devices, detail, driver }
}

/// The driver's names of the GPUs, in the order of their bus addresses.
fn gpu_names() -> Vec<String> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    folders.sort();
    let name = |folder: &PathBuf| {
        let text = std::fs::read_to_string(folder.join("information")).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()))
    };
    folders.iter().filter_map(name).collect()
}

/// The first line that a program says of itself; `None` when it is not installed.
fn version(program: impl AsRef<OsStr>, option: &str) -> Option<String> {
    let output =
        Command::new(program).arg(option).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn cache(path: &Path) -> Cache {
    let mut parts = BTreeMap::new();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        parts.insert(entry.file_name().to_string_lossy().into_owned(), size(&entry.path()));
    }
    // The cache itself may not be there yet: what counts is the nearest folder that is.
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let real = existing.canonicalize().unwrap_or_else(|_| existing.to_owned());
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let disk = disks
        .iter()
        .filter(|d| real.starts_with(d.mount_point()))
        .max_by_key(|d| d.mount_point().as_os_str().len());
    Cache {
        path: path.to_owned(),
        bytes: parts.values().sum(),
        parts,
        free_bytes: disk.map(sysinfo::Disk::available_space),
        failure: writable(existing).err().map(|e| e.to_string()),
    }
}

fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".unisono-doctor-{}", std::process::id()));
    std::fs::write(&probe, "")?;
    std::fs::remove_file(&probe)
}

/// Bytes of a file or of all files below a folder; links count as nothing.
fn size(path: &Path) -> u64 {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
        }
        Ok(meta) if meta.is_file() => meta.len(),
        _ => 0,
    }
}
