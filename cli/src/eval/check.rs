//! Which of `unisono eval`'s options can be had with this data; the others are refused, each by name and with what there is instead.

use super::args::Args;
use crate::error::Error;
use crate::out;
use std::collections::BTreeSet;
use unisono_datasets::{Manifest, Record};
use unisono_encoders::Modality;
use unisono_eval::protocol::controlled;

/// What the options say of the manifest: splits and languages that are there.
pub(super) fn manifest(args: &Args, manifest: &Manifest) -> Result<(), Error> {
    split(manifest, "--split", &args.split)?;
    if let Some(name) = &args.duration_control {
        split(manifest, "--duration-control", name)?;
    }
    for (i, name) in args.distractors.iter().enumerate() {
        split(manifest, "--distractors", name)?;
        if *name == args.split || args.distractors[..i].contains(name) {
            return Err(usage(format!("--distractors {name}: the gallery has that split already")));
        }
    }
    let mut records = manifest.split(&args.split);
    languages("--query-lang", &args.query_lang, &records)?;
    if args.same_lang && records.iter().all(|r| r.lang.is_none()) {
        return Err(usage(format!(
            "--same-lang: no record of split {:?} has a \"lang\" in {}",
            args.split,
            manifest.path.display()
        )));
    }
    records.extend(args.distractors.iter().flat_map(|name| manifest.split(name)));
    languages("--gallery-lang", &args.gallery_lang, &records)?;
    // They name a protocol, which scripts run over many data sets: said, not refused.
    let one_language = records.windows(2).all(|w| w[0].lang == w[1].lang);
    let one_caption = records.iter().all(|r| r.text.len() <= 1);
    for (given, name, idle, why) in [
        (args.same_lang, "--same-lang", one_language, "all records are of one language"),
        (args.all_captions, "--all-captions", one_caption, "no record has a second caption"),
        (args.joined_captions, "--joined-captions", one_caption, "no record has a second caption"),
    ] {
        if given && idle {
            out::note(&format!("note: {name} changes nothing, {why}"));
        }
    }
    Ok(())
}

/// What the options say of the pairs that are measured: the distractors join a gallery, the control stands beside a result.
pub(super) fn pairs(args: &Args, manifest: &Manifest, pairs: &[(Modality, Modality)]) -> Result<(), Error> {
    let measured = || pairs.iter().map(|(a, b)| format!("{a} → {b}")).collect::<Vec<_>>().join(", ");
    let alike = args.query_lang == args.gallery_lang && args.distractors.is_empty();
    let apart = !args.query_lang.is_empty()
        && !args.gallery_lang.is_empty()
        && args.query_lang.iter().all(|lang| !args.gallery_lang.contains(lang));
    if let Some((same, _)) = pairs.iter().find(|(from, to)| from == to && !alike && !apart) {
        return Err(usage(format!(
            "--from {same} --to {same}: choose two different modalities, or languages for --query-lang and --gallery-lang that have none in common"
        )));
    }
    for name in &args.distractors {
        let records = manifest.split(name);
        if !pairs.iter().any(|(_, to)| records.iter().any(|r| has(r, *to))) {
            return Err(usage(format!(
                "--distractors {name}: the split has nothing that joins a gallery of {}",
                measured()
            )));
        }
    }
    let decoded = |m: &Modality| [Modality::Video, Modality::Audio].contains(m);
    if args.ffmpeg.is_some() && !pairs.iter().any(|(from, to)| decoded(from) || decoded(to)) {
        return Err(usage(format!(
            "--ffmpeg: it decodes videos and audio files, and what is measured is {}",
            measured()
        )));
    }
    let about_texts = [(args.all_captions, "--all-captions"), (args.joined_captions, "--joined-captions")];
    if let Some((_, name)) = about_texts.into_iter().find(|(given, _)| *given)
        && !pairs.iter().any(|(from, to)| [from, to].contains(&&Modality::Text))
    {
        return Err(usage(format!("{name}: no captions take part in {}", measured())));
    }
    let Some(name) = &args.duration_control else { return Ok(()) };
    if !pairs.iter().any(|(from, to)| controlled(*from, *to)) {
        return Err(usage(format!(
            "--duration-control: it stands beside audio → text and text → audio, and what is measured is {}",
            measured()
        )));
    }
    let spoken = |r: &&Record| !r.audio.is_empty() && !r.text.is_empty();
    if !manifest.split(name).iter().any(spoken) {
        return Err(usage(format!(
            "--duration-control {name}: the split has no audio with a caption to fit it on"
        )));
    }
    Ok(())
}

/// Whether a record has something of this modality.
pub(super) fn has(record: &Record, modality: Modality) -> bool {
    match modality {
        Modality::Text => !record.text.is_empty(),
        Modality::Image => record.image.is_some(),
        Modality::Audio => !record.audio.is_empty(),
        Modality::Video => record.video.is_some(),
    }
}

fn split(manifest: &Manifest, option: &str, name: &str) -> Result<(), Error> {
    let splits = manifest.splits();
    if !name.is_empty() && splits.contains_key(name) {
        return Ok(());
    }
    let path = manifest.path.display();
    let there: Vec<String> =
        splits.iter().filter(|(name, _)| !name.is_empty()).map(|(name, n)| format!("{name} ({n})")).collect();
    Err(usage(match there.is_empty() {
        true => format!("{option} {name}: no record of {path} has a \"split\"; write one into its records"),
        false => format!("{option} {name}: {path} has no such split; it has: {}", there.join(", ")),
    }))
}

fn languages(option: &str, wanted: &[String], records: &[&Record]) -> Result<(), Error> {
    let there: BTreeSet<&str> = records.iter().map(|r| r.lang.as_deref().unwrap_or_default()).collect();
    match wanted.iter().find(|lang| !there.contains(lang.as_str())) {
        None => Ok(()),
        Some(lang) => {
            let named: Vec<&str> =
                there.into_iter().map(|l| if l.is_empty() { "(none)" } else { l }).collect();
            Err(usage(format!(
                "{option} {lang}: no record is of that language; there are: {}",
                named.join(", ")
            )))
        }
    }
}

fn usage(message: String) -> Error {
    Error::Usage(message)
}
