//! Stamps: images with captions in some sixty languages, thousands of them spoken.

mod catalog;
mod group;
mod unpack;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::fetch::{self, Archive, Registry};
use super::progress::{Report, with_progress};
use super::{Progress, SampleOptions, SampleReport, Unit, layout, thumbnail};
use crate::similar::Thumbnail;
use crate::{Record, Result};
use catalog::Stamp;
use unisono_media::{Blob, ImageOptions, decode};

/// Changes whenever the same archive would give another manifest.
const RECIPE: &str = "stamps 2";
const MEDIA: &str = "media";
/// Longest edge of the images written, in pixels: more than small towers see, less than decoding costs at every start.
const EDGE: u32 = 256;

const ARCHIVE: Archive = Archive {
    spec: "tuxpaint-stamps-default=2022.06.04-1",
    file: "tuxpaint-stamps-default_2022.06.04-1_all.deb",
    sha256: "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    size: 160_880_444,
    licence: "GPL-2",
    registry: Registry::Debian,
};

/// Fetches the stamps and writes their manifest.
///
/// A stamp `animals/cat` gives a record `animals/cat#fr` for each language it is spoken in (text in that language, image,
/// recordings), one for English in any case, one `#mul` with the captions of all other languages, and one `#effect` where
/// there is the audio of the thing itself. Splits `train`, `val`, `test` are made of whole groups of near-copies.
///
/// # Errors
/// [`crate::Error::Options`] for archives that are none of it, [`crate::Error::ToolMissing`] without `apt-get` or `dpkg-deb`, [`crate::Error::Command`] when the package cannot be had,
/// [`crate::Error::Checksum`], [`crate::Error::Files`].
pub fn stamps(options: &SampleOptions, progress: &mut dyn FnMut(Progress)) -> Result<SampleReport> {
    fetch::check_given(options, &[&ARCHIVE])?;
    if let Some(report) = layout::complete(options, RECIPE) {
        return Ok(report);
    }
    let _held = layout::claim(&options.out, MEDIA)?;
    let archive = fetch::locate(&ARCHIVE, options, progress)?;
    let part = layout::begin(&options.out, MEDIA)?;
    let unpacked = unpack::unpack(&archive, part.path(), progress)?;
    let mut stamps = catalog::read(part.path(), unpacked)?;
    let thumbnails = draw(part.path(), &mut stamps, progress)?;
    let total = (Some(stamps.len() as u64), Unit::Items);
    let (groups, splits) = with_progress(progress, "compare stamps", total, |_| {
        group::split(part.path(), &stamps, &thumbnails)
    })?;
    let media = layout::publish(part, &options.out, MEDIA, RECIPE)?;
    let mut records: Vec<Record> = Vec::new();
    for (index, stamp) in stamps.iter().enumerate() {
        for mut record in records_of(stamp, &media) {
            record.group = Some(groups[index].clone());
            record.split = Some(splits[index].to_owned());
            records.push(record);
        }
    }
    let licences = vec![format!("{}: {}", ARCHIVE.spec, ARCHIVE.licence)];
    let side = |split: &str| match split {
        "train" => "train",
        "val" => "val",
        _ => "test",
    };
    layout::finish(options, RECIPE, &records, side, stamps.len(), licences)
}

/// Replaces every image by a small PNG. An image that cannot be read leaves its stamp out.
fn draw(part: &Path, stamps: &mut Vec<Stamp>, progress: Report) -> Result<Vec<Option<Thumbnail>>> {
    let options = ImageOptions { svg_size: EDGE, ..ImageOptions::default() };
    let total = (Some(stamps.len() as u64), Unit::Items);
    let thumbnails = with_progress(progress, "draw images", total, |done| {
        let draw = |stamp: &mut Stamp| -> Result<Option<Thumbnail>> {
            let source = part.join(&stamp.image);
            let image = decode::rgba(&source, &options);
            done.fetch_add(1, Ordering::Relaxed);
            let Ok(image) = image else { return Ok(None) };
            let image = thumbnail::shrink(image, EDGE);
            stamp.image = format!("{}.png", stamp.name).into();
            thumbnail::save(&image, &part.join(&stamp.image))?;
            if source.extension().is_some_and(|e| e == "svg") {
                std::fs::remove_file(&source).map_err(crate::Error::io(&source, "remove"))?;
            }
            Ok(Some(Thumbnail::new(&image)))
        };
        stamps.par_iter_mut().map(draw).collect::<Result<Vec<_>>>()
    })?;
    let mut drawn = thumbnails.iter().map(Option::is_some);
    stamps.retain(|_| drawn.next().unwrap_or(false));
    Ok(thumbnails.into_iter().filter(Option::is_some).collect())
}

fn records_of(stamp: &Stamp, media: &Path) -> Vec<Record> {
    let resolve = |p: &PathBuf| Blob::from(media.join(p));
    let record = |kind: &str, lang: Option<&str>, text: Vec<String>, audio: Vec<PathBuf>| Record {
        id: format!("{}#{}", stamp.name, lang.unwrap_or(kind)),
        text,
        image: Some(resolve(&stamp.image)),
        audio: audio.iter().map(resolve).collect(),
        label: Some(stamp.name.clone()),
        lang: lang.map(str::to_owned),
        extra: Map::from_iter([("kind".to_owned(), Value::from(kind))]),
        ..Record::default()
    };
    let mut records = Vec::new();
    let english = stamp.spoken.get("en").cloned().unwrap_or_default();
    records.push(record("caption", Some("en"), vec![stamp.english.clone()], english));
    for (lang, audio) in stamp.spoken.iter().filter(|(lang, _)| *lang != "en") {
        let text = stamp.texts.get(lang).cloned().into_iter().collect();
        records.push(record("caption", Some(lang), text, audio.clone()));
    }
    let others = stamp.unspoken_texts();
    if !others.is_empty() {
        records.push(record("translations", Some("mul"), others, Vec::new()));
    }
    if !stamp.effects.is_empty() {
        records.push(record("effect", None, Vec::new(), stamp.effects.clone()));
    }
    records
}
