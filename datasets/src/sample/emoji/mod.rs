//! Emoji: concepts drawn by up to eight vendors, named in many languages.

mod concepts;
mod group;
mod package;
mod vendors;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use image::RgbaImage;
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::fetch::{self, Archive, Registry};
use super::groups::lot;
use super::progress::{Report, with_progress};
use super::{Progress, SampleOptions, SampleReport, Unit, layout, thumbnail};
use crate::similar::Thumbnail;
use crate::{Error, Record, Result};
use concepts::{Charts, Concept};
use unisono_media::{Blob, ImageOptions, decode};
use vendors::{IconSet, Names};

/// Changes whenever the same archives would give another manifest.
const RECIPE: &str = "emoji 1";
const MEDIA: &str = "images";
/// Edge of the images written, in pixels. Drawing them once here saves every training start from drawing them again.
const EDGE: u32 = 96;
/// Concepts drawn by fewer vendors are left out: what one hand invented teaches that hand.
const FEWEST: usize = 4;
/// The vendor that no training sees.
const HELD_OUT: &str = "twemoji";
/// One image in so many of the training vendors is kept for choosing the checkpoint.
const VAL: u64 = 25;
/// English captions a concept has at most, its name included.
const CAPTIONS: usize = 4;
/// Tags in a caption.
const TAGS: usize = 3;

const CHARTS: Archive = npm(
    "emojibase-data@17.0.0",
    "emojibase-data-17.0.0.tgz",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    6_711_091,
    "MIT",
);
const VENDORS: [(&str, Archive); 8] = [
    (
        "noto",
        npm(
            "@iconify-json/noto@1.2.9",
            "iconify-json-noto-1.2.9.tgz",
            "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
            3_102_958,
            "Apache-2.0",
        ),
    ),
    (
        "noto-v1",
        npm(
            "@iconify-json/noto-v1@1.2.5",
            "iconify-json-noto-v1-1.2.5.tgz",
            "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
            1_587_591,
            "Apache-2.0",
        ),
    ),
    (
        "twemoji",
        npm(
            "@iconify-json/twemoji@1.2.5",
            "iconify-json-twemoji-1.2.5.tgz",
            "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
            1_555_888,
            "CC-BY-4.0",
        ),
    ),
    (
        "openmoji",
        npm(
            "@iconify-json/openmoji@1.2.29",
            "iconify-json-openmoji-1.2.29.tgz",
            "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
            1_264_633,
            "CC-BY-SA-4.0",
        ),
    ),
    (
        "emojione",
        npm(
            "@iconify-json/emojione@1.2.3",
            "iconify-json-emojione-1.2.3.tgz",
            "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
            687_690,
            "CC-BY-4.0",
        ),
    ),
    (
        "emojione-v1",
        npm(
            "@iconify-json/emojione-v1@1.2.3",
            "iconify-json-emojione-v1-1.2.3.tgz",
            "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3",
            3_704_153,
            "CC-BY-SA-4.0",
        ),
    ),
    (
        "fxemoji",
        npm(
            "@iconify-json/fxemoji@1.2.2",
            "iconify-json-fxemoji-1.2.2.tgz",
            "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
            1_034_876,
            "Apache-2.0",
        ),
    ),
    (
        "fluent-3d",
        npm(
            "@lobehub/fluent-emoji-3d@1.1.0",
            "lobehub-fluent-emoji-3d-1.1.0.tgz",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            15_792_027,
            "MIT",
        ),
    ),
];

const fn npm(
    spec: &'static str,
    file: &'static str,
    sha256: &'static str,
    size: u64,
    licence: &'static str,
) -> Archive {
    Archive { spec, file, sha256, size, licence, registry: Registry::Npm }
}

/// An image to be made: concept, vendor, and where it comes from.
struct Drawing<'a> {
    concept: usize,
    vendor: &'static str,
    source: Artwork<'a>,
}

enum Artwork<'a> {
    Svg(String),
    Webp(&'a [u8]),
}

/// Fetches the emoji and writes their manifest.
///
/// Each image is a record `1f600/noto` with English captions; each concept seen in training has, for every other language,
/// a record `1f600#de` with its name and tags and one of its training images. Splits: `train`; `val`, some images of the
/// training vendors; `test-vendor`, seen concepts by a vendor no training sees; `test-concept`, concepts no training sees, by
/// that vendor; `unused`, those concepts by the other vendors.
///
/// # Errors
/// [`Error::Options`] for archives that are none of it, [`Error::ToolMissing`] without `npm`, [`Error::Command`] when a package cannot be had, [`Error::Checksum`],
/// [`Error::Files`].
pub fn emoji(options: &SampleOptions, progress: &mut dyn FnMut(Progress)) -> Result<SampleReport> {
    let packages: Vec<&Archive> = VENDORS.iter().map(|(_, archive)| archive).chain([&CHARTS]).collect();
    fetch::check_given(options, &packages)?;
    if let Some(report) = layout::complete(options, RECIPE) {
        return Ok(report);
    }
    let _held = layout::claim(&options.out, MEDIA)?;
    let charts = fetch::locate(&CHARTS, options, progress)?;
    let archives = VENDORS
        .iter()
        .map(|(vendor, archive)| Ok((*vendor, fetch::locate(archive, options, progress)?)))
        .collect::<Result<Vec<_>>>()?;
    let part = layout::begin(&options.out, MEDIA)?;
    let (charts, sets, webp) =
        with_progress(progress, "read packages", (None, Unit::Items), |done| read(&charts, &archives, done))?;

    let mut concepts = charts.concepts.clone();
    let sources = drawings(&mut concepts, &charts, &sets, &webp);
    let thumbnails = draw(part.path(), &concepts, &sources, progress)?;
    let groups = with_progress(progress, "compare concepts", (None, Unit::Items), |_| {
        let mut by_vendor: BTreeMap<&str, Vec<Option<Thumbnail>>> = BTreeMap::new();
        for (drawing, look) in sources.iter().zip(&thumbnails) {
            let of = by_vendor.entry(drawing.vendor).or_insert_with(|| vec![None; concepts.len()]);
            of[drawing.concept] = Some(look.clone());
        }
        group::group(&concepts, &by_vendor)
    });
    let media = layout::publish(part, &options.out, MEDIA, RECIPE)?;
    let records = records(&concepts, &groups, &sources, &media);
    let licences = std::iter::once(&CHARTS).chain(VENDORS.iter().map(|(_, a)| a));
    let licences = licences.map(|a| format!("{}: {}", a.spec, a.licence)).collect();
    // Seen and unseen concepts are the two sides; the splits of seen ones share concepts on purpose.
    let side = |split: &str| if ["test-concept", "unused"].contains(&split) { "unseen" } else { "seen" };
    layout::finish(options, RECIPE, &records, side, sources.len(), licences)
}

type Webp = BTreeMap<String, Vec<u8>>;

fn read(
    charts: &Path,
    archives: &[(&'static str, PathBuf)],
    done: &AtomicU64,
) -> Result<(Charts, BTreeMap<&'static str, IconSet>, Webp)> {
    let charts = concepts::read(charts)?;
    let (mut sets, mut webp) = (BTreeMap::new(), Webp::new());
    for (vendor, archive) in archives {
        done.fetch_add(1, Ordering::Relaxed);
        if *vendor == "fluent-3d" {
            let files = package::read(archive, |p| p.starts_with("assets/") && p.ends_with(".webp"))?;
            let hex = |p: &str| concepts::plain(p.trim_start_matches("assets/").trim_end_matches(".webp"));
            webp = files.into_iter().map(|(path, bytes)| (hex(&path), bytes)).collect();
        } else {
            sets.insert(*vendor, IconSet::read(archive)?);
        }
    }
    Ok((charts, sets, webp))
}

/// The drawings of all concepts that enough vendors draw; other concepts are removed.
fn drawings<'a>(
    concepts: &mut Vec<Concept>,
    charts: &Charts,
    sets: &BTreeMap<&'static str, IconSet>,
    webp: &'a Webp,
) -> Vec<Drawing<'a>> {
    let names = Names::new(charts, &sets.values().collect::<Vec<_>>());
    let icons: BTreeMap<_, _> = sets.iter().map(|(vendor, set)| (*vendor, set.by_concept(&names))).collect();
    let mut drawings = Vec::new();
    concepts.retain({
        let mut kept = 0;
        let drawings = &mut drawings;
        move |concept| {
            let mut own: Vec<Drawing> = Vec::new();
            for (vendor, _) in &VENDORS {
                let icon = icons.get(vendor).and_then(|icons| sets[vendor].svg(icons.get(&concept.hex)?));
                let source = match icon {
                    Some(svg) => Artwork::Svg(svg),
                    None if *vendor == "fluent-3d" && webp.contains_key(&concept.hex) => {
                        Artwork::Webp(&webp[&concept.hex])
                    }
                    None => continue,
                };
                own.push(Drawing { concept: kept, vendor, source });
            }
            let enough = own.len() >= FEWEST && own.iter().any(|d| d.vendor == HELD_OUT);
            if enough {
                kept += 1;
                drawings.extend(own);
            }
            enough
        }
    });
    drawings
}

/// Draws every image as a PNG below `part`, all cores at work.
fn draw(part: &Path, concepts: &[Concept], drawings: &[Drawing], progress: Report) -> Result<Vec<Thumbnail>> {
    for (vendor, _) in &VENDORS {
        let folder = part.join(vendor);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "create folder"))?;
    }
    let options = ImageOptions { svg_size: EDGE, ..ImageOptions::default() };
    let draw = |drawing: &Drawing| -> Result<Thumbnail> {
        let path = part.join(file_of(&concepts[drawing.concept], drawing.vendor));
        let bytes = match &drawing.source {
            Artwork::Svg(svg) => svg.as_bytes(),
            Artwork::Webp(bytes) => bytes,
        };
        let image: RgbaImage = decode::rgba(Blob::bytes(&path, bytes), &options)?;
        let image = thumbnail::square(image, EDGE);
        thumbnail::save(&image, &path)?;
        Ok(Thumbnail::new(&image))
    };
    let total = (Some(drawings.len() as u64), Unit::Items);
    with_progress(progress, "draw images", total, |done| {
        let all = drawings.par_iter().map(|d| {
            let look = draw(d);
            done.fetch_add(1, Ordering::Relaxed);
            look
        });
        all.collect()
    })
}

fn file_of(concept: &Concept, vendor: &str) -> PathBuf {
    Path::new(vendor).join(format!("{}.png", concept.hex))
}

fn records(concepts: &[Concept], groups: &[String], drawings: &[Drawing], media: &Path) -> Vec<Record> {
    let unseen: BTreeSet<String> = group::unseen(groups).into_iter().collect();
    let mut vendors: Vec<Vec<&str>> = vec![Vec::new(); concepts.len()];
    drawings.iter().for_each(|d| vendors[d.concept].push(d.vendor));
    let mut records = Vec::new();
    for (index, concept) in concepts.iter().enumerate() {
        let held_back = unseen.contains(&groups[index]);
        let record =
            |id: String, text: Vec<String>, vendor: &str, split: &str, lang: &str, kind: &str| Record {
                id,
                text,
                image: Some(media.join(file_of(concept, vendor)).into()),
                label: Some(concept.hex.clone()),
                group: Some(groups[index].clone()),
                split: Some(split.to_owned()),
                lang: Some(lang.to_owned()),
                extra: Map::from_iter([
                    ("vendor".to_owned(), Value::from(vendor)),
                    ("kind".to_owned(), Value::from(kind)),
                ]),
                ..Record::default()
            };
        let (english, mut training) = (captions(&concept.name, &concept.tags, CAPTIONS), Vec::new());
        for vendor in &vendors[index] {
            let id = format!("{}/{vendor}", concept.hex);
            let split = match (*vendor == HELD_OUT, held_back) {
                (true, true) => "test-concept",
                (true, false) => "test-vendor",
                (false, true) => "unused",
                (false, false) if lot("val", &id).is_multiple_of(VAL) => "val",
                (false, false) => "train",
            };
            if split == "train" {
                training.push(*vendor);
            }
            records.push(record(id, english.clone(), vendor, split, "en", "caption"));
        }
        if held_back || training.is_empty() {
            continue;
        }
        for (lang, (name, tags)) in concept.translations.iter().filter(|(lang, _)| !lang.starts_with("en")) {
            let id = format!("{}#{lang}", concept.hex);
            // Different languages go with different vendors.
            let vendor = training[(lot("hand", &id) % training.len() as u64) as usize];
            records.push(record(id, captions(name, tags, 2), vendor, "train", lang, "translation"));
        }
    }
    records
}

/// The name, then the name with some tags at a time.
fn captions(name: &str, tags: &[String], most: usize) -> Vec<String> {
    let tags: Vec<&str> = tags.iter().map(String::as_str).filter(|t| *t != name).collect();
    let with_tags = tags.chunks(TAGS).map(|some| format!("{name}, {}", some.join(", ")));
    std::iter::once(name.to_owned()).chain(with_tags).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_begin_with_the_name() {
        let tags = ["animal", "dog", "face", "pet", "puppy"].map(str::to_owned);
        let expected = ["dog", "dog, animal, face, pet", "dog, puppy"];
        assert_eq!(captions("dog", &tags, 4), expected);
        assert_eq!(captions("dog", &tags, 2), expected[..2]);
        assert_eq!(captions("dog", &[], 4), ["dog"]);
    }
}
