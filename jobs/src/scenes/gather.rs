//! All videos' scenes in one file, and their vectors in one index.

use super::job::Gathered;
use super::store::{Store, VECTORS};
use super::{SceneInput, Shard, models::Models};
use crate::{Embedded, Error, Inputs, Item, Modality, Result, Vectors, index};
use std::fs::File;
use std::io::BufReader;
use unisono_files::write_atomic;
use unisono_media::video::Span;
use unisono_scenes::record::VideoScenes;
use unisono_scenes::write;

/// Gathers once every video of `sources` is done or `unusable`; `None` while other shards work.
pub(super) fn gather(
    store: &Store,
    models: &Models,
    sources: &[SceneInput],
    unusable: &[&str],
    shard: Shard,
) -> Result<Option<Gathered>> {
    let mut folders = Vec::new();
    for source in sources {
        match store.done(source)? {
            Some(done) => folders.push(done.folder),
            None if unusable.contains(&source.id().as_str()) => {}
            None if shard.count > 1 => return Ok(None),
            None => {}
        }
    }
    let scenes = store.gathered();
    let mut count = 0;
    write_atomic(&scenes, |out| {
        for folder in &folders {
            std::io::copy(&mut BufReader::new(File::open(folder.join("scenes.jsonl"))?), out)?;
        }
        Ok(())
    })?;
    let (mut items, mut data) = (Vec::new(), Vec::new());
    for folder in &folders {
        let made = write::read(folder)?;
        count += made.scenes.len();
        let path = folder.join(VECTORS);
        if models.embedding().is_none() || !path.is_file() || made.video.path.to_str().is_none() {
            continue;
        }
        let (tensors, _) = unisono_nn::tensors::read(&path)?;
        let tensor =
            tensors.get(crate::output::TENSOR).ok_or_else(|| Error::format(&path, "holds no vectors"))?;
        let rows = unisono_encoders::to_vec(tensor)?;
        items.extend(found(&made));
        data.extend(rows);
    }
    let index = match models.embedding() {
        Some((dir, identity, dim)) if !items.is_empty() => {
            if data.len() != items.len() * dim {
                let message =
                    format!("expected {} vectors of {dim} values, found {} values", items.len(), data.len());
                return Err(Error::format(store.out(), message));
            }
            let out = store.out().join("index");
            let embedded = Embedded { vectors: Vectors { dim, data }, items, skipped: Vec::new() };
            let paths = sources.iter().map(|s| s.path().to_owned()).filter(|p| p.to_str().is_some());
            let inputs = Inputs { paths: paths.collect(), ..Inputs::default() };
            index::write_whole(dir, identity, &out, embedded, inputs)?;
            Some(out)
        }
        _ => None,
    };
    Ok(Some(Gathered { scenes, count, index }))
}

/// Scenes with a vector as items of an index.
fn found(made: &VideoScenes) -> impl Iterator<Item = Item> + '_ {
    made.scenes.iter().filter(|s| s.embedding.is_some()).map(|scene| {
        let said = || scene.transcript.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
        let text = scene.caption.clone().or_else(|| Some(said()).filter(|t| !t.is_empty()));
        let path = made.video.path.clone();
        Item {
            id: format!("{}#{}", path.display(), scene.index + 1),
            text,
            span: Span { start: Some(scene.start.time), end: Some(scene.end.time) },
            ..Item::video(path, Modality::Video)
        }
    })
}
