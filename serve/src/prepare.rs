//! Decoding and tokenizing on a pool of threads, while the model works on what came before.

use crate::given::Given;
use crate::model::Served;
use crate::refusal::{Answer, Refusal};
use crate::search::Searched;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use unisono_encoders::Modality;
use unisono_jobs::{Error as JobError, Item};
use unisono_media::video::Ffmpeg;
use unisono_media::{Blob, MediaLimits};
use unisono_processors::{Contract, Medium, Prepared};

/// Threads that decode.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    slots: Arc<Semaphore>,
    limits: MediaLimits,
    ffmpeg: Option<PathBuf>,
}

impl Workers {
    pub(crate) fn new(count: usize, limits: MediaLimits, ffmpeg: Option<PathBuf>) -> Self {
        Self { slots: Arc::new(Semaphore::new(count.max(1))), limits, ffmpeg }
    }

    /// Does `work` on a thread of the pool, once one is free. Whoever stops waiting before it began costs nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| Refusal::ending())?;
        let work = move || {
            let _slot = slot;
            work()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| {
            Err(Refusal::broken("a worker thread stopped (this is a bug, please report it)"))
        })
    }

    /// What the model's towers see of each, in their order; `field` names them in messages. Rows are looked up in `index`.
    pub(crate) async fn prepare(
        &self,
        model: &Arc<Served>,
        given: Vec<Given>,
        field: &str,
        index: Option<&Arc<Searched>>,
    ) -> Answer<Vec<Prepared>> {
        let many = given.len() > 1;
        let (mut texts, mut work) = (Vec::new(), tokio::task::JoinSet::new());
        let mut made: Vec<Option<Prepared>> = given.iter().map(|_| None).collect();
        for (i, given) in given.into_iter().enumerate() {
            let at = if many { format!("{field}[{i}]") } else { field.to_owned() };
            if let Given::Text(text) = given {
                texts.push((i, at, text));
                continue;
            }
            let (pool, model, index) = (self.clone(), model.clone(), index.cloned());
            work.spawn(async move {
                let decoder = pool.clone();
                let prepare = move || decoder.decode(&model, &item(given, &at, index.as_ref())?, &at);
                pool.run(prepare).await.map(|prepared| (i, prepared))
            });
        }
        if !texts.is_empty() {
            let (pool, model) = (self.clone(), model.clone());
            // A thread for each text would cost more than the text.
            let all = move || {
                let one = |(i, at, text): (usize, String, String)| {
                    Ok((i, pool.decode(&model, &Item::text("", text), &at)?))
                };
                texts.into_iter().map(one).collect::<Answer<Vec<_>>>()
            };
            for (i, prepared) in self.run(all).await? {
                made[i] = Some(prepared);
            }
        }
        while let Some(done) = work.join_next().await {
            let (i, prepared) = done.unwrap_or_else(|_| Err(Refusal::broken("a decoder stopped")))?;
            made[i] = Some(prepared);
        }
        Ok(made.into_iter().flatten().collect())
    }

    /// Decodes one thing as the model was trained to see it.
    fn decode(&self, model: &Served, item: &Item, at: &str) -> Answer<Prepared> {
        if !model.embeds.contains(&item.modality) {
            let has: Vec<&str> = model.embeds.iter().map(|m| m.name()).collect();
            let (name, modality, has) = (&model.name, item.modality, has.join(", "));
            return Err(Refusal::field(at, format!("{name} has no {modality} tower; it has: {has}")));
        }
        let ffmpeg = self.ffmpeg.as_deref().map(|program| Ffmpeg::find(Some(program))).transpose();
        let ffmpeg = ffmpeg.map_err(JobError::from)?;
        let own = model.contract(&model.processors);
        let contract = Contract { limits: self.limits, ffmpeg, ..own };
        let medium = match (item.modality, &item.blob) {
            (Modality::Text, _) => Medium::Text(item.text.as_deref().unwrap_or_default()),
            (_, None) => return Err(Refusal::field(at, "there is no file")),
            (Modality::Image, Some(blob)) if item.video => Medium::Frames(blob, item.span),
            (Modality::Audio, Some(blob)) if item.video => Medium::Track(blob, item.span),
            (Modality::Image, Some(blob)) => Medium::Image(blob),
            (Modality::Audio, Some(blob)) => Medium::Audio(blob),
            (Modality::Video, Some(blob)) => Medium::Video(blob, item.span),
        };
        contract.prepare(medium).map_err(|e| {
            let refusal = Refusal::from(JobError::from(e));
            Refusal { param: Some(at.to_owned()), ..refusal }
        })
    }
}

/// What is given, as an item whose messages name it `at`.
fn item(given: Given, at: &str, index: Option<&Arc<Searched>>) -> Answer<Item> {
    match given {
        Given::Text(text) => Ok(Item::text(at, text)),
        Given::Media { modality, bytes } => Ok(Item::file(Blob::bytes(at, bytes), modality)),
        Given::Row(row) => {
            let index = index.ok_or_else(|| Refusal::field(at, "there is no index here (--index)"))?;
            index.readable(row, at)
        }
    }
}
