//! `unisono data teach`: a teacher's vectors beside the data.

use super::run::RunArgs;
use crate::error::Error;
use crate::inputs::{name_skipped, show_progress};
use crate::progress::Meter;
use crate::source::{self, PathArgs};
use crate::{interrupt, out, place, style};
use std::path::{Path, PathBuf};
use unisono_datasets::augment::ImageAugment;
use unisono_files::Budget;
use unisono_jobs::Modality;
use unisono_jobs::curate::{TeachOptions, Views, teach};
use unisono_jobs::output::Format;

/// Store a model's embeddings of the data beside them, a file for each modality
///
/// OUT/image.safetensors and the like, each with what its rows are (.jsonl) and which model made them (.model.json); views as OUT/image-view-1.safetensors, with how
/// they were made (.view.json). What is there of this model and these data stays.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// A model directory, a training run's, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    model: PathBuf,
    /// Folder for the vectors
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The form of the vectors: npy, safetensors or parquet
    #[arg(long, value_name = "FORMAT", default_value = "safetensors")]
    format: Format,
    /// Only this modality: text, image, audio or video; may be given several times [default: all that the model takes]
    #[arg(long, value_name = "MODALITY")]
    modality: Vec<Modality>,
    /// Besides each image as it is, so many changed views of it, a file each, as DataCompDR does
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    views: Option<u16>,
    /// With --views: a recipe (TOML) whose [augment.image] says what is changed [default: crops of 8 % to 100 % of the image]
    #[arg(long, value_name = "FILE", requires = "views")]
    augment: Option<PathBuf>,
    /// With --views: another number draws others [default: 0]
    #[arg(long, value_name = "N", requires = "views")]
    seed: Option<u64>,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// The views that are asked for.
    fn views(&self) -> Result<Option<Views>, Error> {
        let Some(count) = self.views else { return Ok(None) };
        let mut views = Views { seed: self.seed.unwrap_or(0), ..Views::crops(count.into()) };
        if let Some(path) = &self.augment {
            views.augment = augment(path)?;
        }
        Ok(Some(views))
    }
}

/// What a recipe says of images.
fn augment(path: &Path) -> Result<ImageAugment, Error> {
    let text = unisono_files::read_text(path, &Budget::CONFIG).map_err(unisono_jobs::Error::from)?;
    let bad = |message: String| Error::Failed(format!("{}: {message}", path.display()));
    let plain = |e: toml::de::Error| bad(format!("augment.image: {}", e.message()));
    let recipe: toml::Table = toml::from_str(&text).map_err(|e| bad(e.message().to_owned()))?;
    let image = recipe.get("augment").and_then(|augment| augment.get("image"));
    let image = image.ok_or_else(|| bad("expected [augment.image], which says what is changed".into()))?;
    let augment: ImageAugment = image.clone().try_into().map_err(plain)?;
    augment.validate().map_err(|e| bad(format!("augment.image: {e}")))?;
    Ok(augment)
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let views = args.views()?;
    interrupt::keeps(interrupt::Kept::If(args.out.clone()));
    let how = args.run.how.options();
    let mut embedder = args.run.how.load(&place::model(&args.model)?, None, args.run.how.device.get()?)?;
    embedder.set_ffmpeg(args.run.ffmpeg.clone());
    let source = source::open(&args.source.get()?)?;
    let options = TeachOptions {
        how: &how,
        format: args.format,
        modalities: &args.modality,
        views: views.as_ref(),
        fresh: args.run.fresh,
    };
    let mut resumed = |done| out::note(&format!("resumed: {done} are done, in {}", args.out.display()));
    let mut meter = Meter::new();
    let mut progress = show_progress(&mut meter);
    let made = teach(&*source, &mut embedder, &options, &args.out, &mut resumed, &mut progress)?;
    drop(progress);
    meter.finish();
    if args.run.json {
        return out::json(&made);
    }
    name_skipped(&made.skipped);
    let mut text = String::new();
    for (name, vectors) in &made.vectors {
        let there = if made.kept.contains(name) { ", there already" } else { "" };
        let (file, n) = (made.out.join(&vectors.file), style::count(vectors.count, "embedding"));
        text += &format!("{}: {n} of width {}{there}\n", file.display(), vectors.dim);
    }
    out::print(&text)
}
