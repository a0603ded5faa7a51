//! Every value of a recipe is looked at before any device or file is touched.

use super::{BatchMethod, CaptionConfig, CaptionRule, DataConfig, OptimizerKind, Recipe, tower, tuned};
use crate::{Error, Result};
use std::collections::BTreeSet;
use unisono_datasets::Tail;
use unisono_datasets::augment::ImageAugment;
use unisono_encoders::Modality;

impl Recipe {
    /// Checks every value before any device or file is touched.
    pub(super) fn checked(self) -> Result<Self> {
        match (&self.model, &self.init) {
            (Some(_), None) if self.video.is_some() => {
                return Err(Error::setting("video", "goes with init; beside [model] it is [model.video]"));
            }
            (Some(model), None) if model.classifier.is_some() => {
                let message = "no objective trains a classifier; leave the table out";
                return Err(Error::setting("model.classifier", message));
            }
            (Some(model), None) if self.tower.is_empty() => model.validate()?,
            (Some(model), None) => tower::check(&self.tower, model)?,
            (None, Some(_)) if self.tower.is_empty() => {}
            (None, Some(_)) => {
                return Err(Error::setting("tower", "init brings its own towers: leave one of the two out"));
            }
            (Some(_), Some(_)) => {
                return Err(Error::setting("model", "init brings its own towers: leave [model] out"));
            }
            (None, None) if !self.tower.is_empty() => {
                let message =
                    "missing beside [tower]; give the width of the shared space, as embed_dim = 512";
                return Err(Error::setting("model", message));
            }
            (None, None) => {
                return Err(Error::setting(
                    "model",
                    "missing; give [model], or init = \"a run or model directory\"",
                ));
            }
        }
        tuned::check(&self)?;
        self.objective.validate()?;
        self.batch.check()?;
        if self.batch.method() == BatchMethod::Accumulate && self.objective.negatives() > 0 {
            let message = "the negatives of a record may come into another micro-batch than the record: take method = \"cached\", or leave negatives out";
            return Err(Error::setting("batch.method", message));
        }
        self.check_terms()?;
        self.check_views()?;
        self.best()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = self.evaluate.iter().find(|p| !names.insert(p.name())) {
            let name = twice.name();
            return Err(Error::setting("evaluate", format!("two protocols are named {name:?}")));
        }
        let fuses = self.objective.fuses();
        match &self.fusion {
            None if fuses => {
                return Err(Error::setting("objective", "caption and match need a [fusion] table"));
            }
            Some(f) if !fuses => {
                let found = format!(
                    "no term of [[objective]] is of kind caption or match: {} blocks would learn nothing",
                    f.transformer.depth
                );
                return Err(Error::setting("fusion", found));
            }
            Some(f)
                if f.memory.is_empty()
                    || !f.memory.iter().all(|m| [Modality::Image, Modality::Audio].contains(m)) =>
            {
                return Err(Error::setting("fusion.memory", "expected image, audio, or both"));
            }
            Some(f) if !(f.share > 0.0 && f.share <= 1.0) => {
                let message = format!("expected a number above 0 and at most 1, found {}", f.share);
                return Err(Error::setting("fusion.share", message));
            }
            Some(f) if !(0..=1024).contains(&f.prefix) => {
                let message = format!("expected 0 to 1024 tokens, found {}", f.prefix);
                return Err(Error::setting("fusion.prefix", message));
            }
            _ => {}
        }
        if self.data.is_empty() {
            return Err(Error::setting("data", "no [[data]] is left; a training needs at least one"));
        }
        let taught = self.data.iter().find(|d| d.teacher.is_some());
        match (taught, self.objective.distills()) {
            (None, true) => {
                let message = "a term of kind distill follows a teacher: name the folder of its vectors in a [[data]], as teacher = \"taught\", which unisono data teach writes";
                return Err(Error::setting("objective", message));
            }
            (Some(d), false) => {
                let message =
                    "no term of [[objective]] is of kind distill: its vectors would not be looked at";
                return Err(Error::setting(format!("data.{}.teacher", d.name), message));
            }
            _ => {}
        }
        for d in &self.data {
            self.share(d)?;
            for p in [d.caption.first, d.caption.with_name] {
                if !(0.0..=1.0).contains(&p) {
                    let field = format!("data.{}.caption", d.name);
                    return Err(Error::setting(field, format!("expected probabilities, found {p}")));
                }
            }
        }
        if let Some(mixture) = &self.mixture
            && (mixture.batch_size == 0 || !(mixture.temperature.is_finite() && mixture.temperature > 0.0))
        {
            let found = format!("{} and {}", mixture.batch_size, mixture.temperature);
            return Err(Error::setting(
                "mixture",
                format!("expected a batch_size of at least 1 and a positive temperature, found {found}"),
            ));
        }
        let fraction = self.loader.max_skip_fraction;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::setting(
                "loader.max_skip_fraction",
                format!("expected 0 to 1, found {fraction}"),
            ));
        }
        self.augment.image.validate()?;
        self.augment.audio.validate()?;
        self.augment.spectrogram.validate()?;
        self.augment.text.validate()?;
        let dropped = self.augment.patch_dropout;
        if !(0.0..1.0).contains(&dropped) {
            let message = format!("expected a share below 1, found {dropped}");
            return Err(Error::setting("augment.patch_dropout", message));
        }
        self.optimizer.check()?;
        let muon = self.optimizer.kind == OptimizerKind::Muon;
        self.group.iter().enumerate().try_for_each(|(i, rule)| rule.check(i, muon))?;
        self.checkpoint.check()?;
        self.world.check()?;
        self.energy.check()?;
        Ok(self)
    }

    /// Two views of a modality are of one micro-batch, and not the same.
    fn check_views(&self) -> Result<()> {
        let twice = self.objective.twice();
        if self.batch.method() == BatchMethod::Accumulate && !twice.is_empty() {
            let message = "the second view of a record may come into another micro-batch than the first: take method = \"cached\", or leave text_text and image_image out of pairs";
            return Err(Error::setting("batch.method", message));
        }
        if !twice.contains(&Modality::Image) {
            return Ok(());
        }
        if self.augment.image == ImageAugment::default() {
            let message = "image_image in pairs of [[objective]] wants two views of each image, and nothing changes them: say how in [augment.image], as flip = 0.5";
            return Err(Error::setting("augment.image", message));
        }
        let of_vectors =
            |d: &&DataConfig| d.uses(Modality::Image) && d.vectors.contains_key(&Modality::Image);
        match self.data.iter().find(of_vectors) {
            Some(d) => Err(Error::setting(
                format!("data.{}.vectors", d.name),
                "image_image in pairs of [[objective]] wants two views of each image, and vectors in place of images are one: leave image out of them",
            )),
            None => Ok(()),
        }
    }

    /// A source's part of each batch, and its captions.
    fn share(&self, d: &DataConfig) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::setting(format!("data.{}.{key}", d.name), message));
        let positive = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        match (&self.mixture, d.per_batch) {
            (None, None) => {
                return wrong(
                    "per_batch",
                    "missing: say how many records a batch holds, or write a [mixture]",
                );
            }
            (None, Some(0)) => {
                return wrong(
                    "per_batch",
                    "expected at least 1, found 0; leave the source out with --without",
                );
            }
            (Some(_), Some(_)) => return wrong("per_batch", "[mixture] divides the batch: leave it out"),
            _ => {}
        }
        if self.mixture.is_none() && (d.weight.is_some() || d.epochs.is_some()) {
            return wrong("weight", "weights and epochs divide the batch of a [mixture], and there is none");
        }
        if d.weight.is_some() && d.epochs.is_some() {
            return wrong("weight", "a source has a weight or epochs, found both");
        }
        if !positive(d.weight) || !positive(d.epochs) {
            return wrong("weight", "expected a positive number");
        }
        if self.mixture.is_some() && (d.one_language || d.tail != Tail::Across) {
            return wrong("tail", "one_language and tail need a per_batch in place of a [mixture]");
        }
        for modality in d.vectors.keys() {
            if !self.tower.get(modality).is_some_and(|tower| tower.frozen && !tower.keep_projection) {
                let message = format!(
                    "vectors of {modality} stand in for a frozen [tower.{modality}] with a new projection: give it, with frozen = true"
                );
                return wrong("vectors", &message);
            }
        }
        if d.teacher_views {
            if d.teacher.is_none() {
                return wrong(
                    "teacher_views",
                    "whose views? name the folder that has them, as teacher = \"taught\"",
                );
            }
            if !d.uses(Modality::Image) || d.vectors.contains_key(&Modality::Image) {
                return wrong("teacher_views", "views are of images, and no images of this source are seen");
            }
        }
        if let Some(second) = &d.caption.second_lang {
            if !self.objective.twice().contains(&Modality::Text) {
                let message = format!(
                    "second_lang = {second:?} is of pairs of two texts: name text_text in pairs of an [[objective]], or leave it out"
                );
                return wrong("caption", &message);
            }
            if d.caption.lang.is_some() || d.vectors.contains_key(&Modality::Text) {
                let message = "second_lang goes with a record's own captions, which are read: leave caption.lang and vectors of text out";
                return wrong("caption", message);
            }
        }
        let CaptionConfig { rule, weights, .. } = &d.caption;
        let weighted = *rule == CaptionRule::Weighted;
        let sound =
            weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.last().is_none_or(|w| *w > 0.0);
        if weighted == weights.is_empty() || !sound {
            return wrong(
                "caption",
                "rule = \"weighted\" has weights, none below 0, the last above it; other rules have none",
            );
        }
        Ok(())
    }
}
