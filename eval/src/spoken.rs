//! How long captions take to say: what the duration control learns from.

use crate::Result;
use crate::control::Caption;
use crate::side::Reading;
use rayon::prelude::*;
use unisono_datasets::{Record, Source};
use unisono_media::Blob;
use unisono_processors::{Contract, Medium, Processors};

/// Captions that are spoken, and for how long: what the duration control learns from.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    captions: Vec<(String, String)>,
    pub(crate) seconds: Vec<f64>,
}

impl Spoken {
    /// The first caption and the length of every audio file among the records of a split; audio files that cannot be decoded are left out.
    ///
    /// # Errors
    /// The source cannot be read; no FFmpeg where one was named.
    pub fn measure(source: &dyn Source, split: &str, reading: &Reading) -> Result<Self> {
        let none = Processors::default();
        let contract = Contract { limits: reading.limits, ffmpeg: reading.named()?, ..Contract::new(&none) };
        let records = source.records_of(split)?;
        let clips: Vec<(&Record, &Blob)> = records
            .iter()
            .map(|r| &**r)
            .filter(|r| !r.text.is_empty())
            .flat_map(|r| r.audio.iter().map(move |a| (r, a)))
            .collect();
        let lengths: Vec<Option<f64>> = clips
            .par_iter()
            .map(|(_, audio)| contract.seconds(Medium::Audio(audio)).ok().flatten())
            .collect();
        let mut out = Self::default();
        for ((r, _), seconds) in clips.into_iter().zip(lengths) {
            if let Some(seconds) = seconds {
                out.captions.push((r.text[0].clone(), r.lang.clone().unwrap_or_default()));
                out.seconds.push(seconds);
            }
        }
        Ok(out)
    }

    /// Without the languages every clip is fitted by one line.
    pub(crate) fn captions(&self, languages: bool) -> Vec<Caption<'_>> {
        self.captions
            .iter()
            .map(|(text, lang)| Caption { text, lang: if languages { lang } else { "" } })
            .collect()
    }
}
