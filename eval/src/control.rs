//! The duration control: what retrieval a blind model reaches that sees only how long a clip lasts.
//!
//! Longer captions take longer to say. A speech model that merely measures time beats chance by far, so a speech result
//! means something only beside this control. It predicts seconds from a caption's length in characters,
//! `seconds ≈ a_lang + b_lang · characters`, fitted on training clips, and ranks by `|predicted − actual|`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    retrieval::{Pool, Ranks, Right, Within, rank_all},
};

/// A caption in a language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caption<'a> {
    /// What is said.
    pub text: &'a str,
    /// The language, as the manifest names it; empty when unknown.
    pub lang: &'a str,
}

/// The fitted control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DurationControl {
    mean_characters: f64,
    everyone: Line,
    languages: BTreeMap<String, Line>,
}

/// `seconds = level + slope · (characters − mean_characters)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Line {
    level: f64,
    slope: f64,
}

/// A language's line is drawn towards everyone's with the weight of this many clips: few clips must not bend it.
const PRIOR_CLIPS: f64 = 10.0;

impl DurationControl {
    /// Fits on training clips: captions and their durations in seconds.
    ///
    /// # Errors
    /// No clip, lists of different length, or a duration that is not positive and finite.
    pub fn fit(captions: &[Caption], seconds: &[f64]) -> Result<Self> {
        check_durations(captions.len(), seconds)?;
        if captions.is_empty() {
            return Err(Error::Empty { what: "duration control" });
        }
        let characters: Vec<f64> = captions.iter().map(|c| c.text.chars().count() as f64).collect();
        let mean_characters = characters.iter().sum::<f64>() / characters.len() as f64;
        let points: Vec<(f64, f64)> =
            characters.iter().map(|c| c - mean_characters).zip(seconds.iter().copied()).collect();
        let spread = points.iter().map(|(x, _)| x * x).sum::<f64>() / points.len() as f64;
        let flat = Line { level: 0.0, slope: 0.0 };
        let everyone = shrunk_line(&points, flat, 0.0, spread);
        let mut by_language: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for (caption, &point) in captions.iter().zip(&points) {
            by_language.entry(caption.lang).or_default().push(point);
        }
        let languages = by_language
            .into_iter()
            .map(|(lang, points)| (lang.to_owned(), shrunk_line(&points, everyone, PRIOR_CLIPS, spread)))
            .collect();
        Ok(Self { mean_characters, everyone, languages })
    }

    /// Seconds that saying the caption should take; an unseen language is read at everyone's pace.
    pub fn predict(&self, caption: &Caption) -> f64 {
        let line = self.languages.get(caption.lang).unwrap_or(&self.everyone);
        line.level + line.slope * (caption.text.chars().count() as f64 - self.mean_characters)
    }

    /// Ranks captions for clips of given durations: the control beside audio → text.
    ///
    /// `right`, `within` and ties as in [`crate::retrieval::ranks_of`]. For audio → image give each image's caption.
    ///
    /// # Errors
    /// As [`crate::retrieval::ranks_of`], or a duration that is not positive and finite.
    pub fn rank_captions(
        &self,
        seconds: &[f64],
        captions: &[Caption],
        right: &Right,
        within: Within,
    ) -> Result<Ranks> {
        check_durations(seconds.len(), seconds)?;
        let pool = Pool::new(seconds.len(), captions.len(), right, within, false)?;
        let predicted: Vec<f64> = captions.iter().map(|caption| self.predict(caption)).collect();
        rank_by_distance(&pool, seconds, &predicted)
    }

    /// Ranks clips for captions: the control beside text → audio.
    ///
    /// # Errors
    /// As [`DurationControl::rank_captions`].
    pub fn rank_clips(
        &self,
        captions: &[Caption],
        seconds: &[f64],
        right: &Right,
        within: Within,
    ) -> Result<Ranks> {
        check_durations(seconds.len(), seconds)?;
        let pool = Pool::new(captions.len(), seconds.len(), right, within, false)?;
        let predicted: Vec<f64> = captions.iter().map(|caption| self.predict(caption)).collect();
        rank_by_distance(&pool, &predicted, seconds)
    }
}

fn rank_by_distance(pool: &Pool, queries: &[f64], gallery: &[f64]) -> Result<Ranks> {
    rank_all(pool, |rows, out| {
        for (scores, query) in out.chunks_exact_mut(gallery.len().max(1)).zip(&queries[rows]) {
            for (score, item) in scores.iter_mut().zip(gallery) {
                *score = -(query - item).abs() as f32;
            }
        }
    })
}

fn check_durations(expected: usize, seconds: &[f64]) -> Result<()> {
    if seconds.len() != expected {
        return Err(Error::Count { what: "durations", expected, found: seconds.len() });
    }
    match seconds.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
        Some(index) => Err(Error::Duration { index, seconds: seconds[index] }),
        None => Ok(()),
    }
}

/// Least squares through `(x, y)` plus `weight` imagined points on the `prior` line, spread like the real ones.
///
/// Minimises `Σ (y − a − b x)² + weight ((a − a₀)² + spread (b − b₀)²)`.
fn shrunk_line(points: &[(f64, f64)], prior: Line, weight: f64, spread: f64) -> Line {
    let (mut n, mut x1, mut x2, mut y1, mut xy) =
        (weight, 0.0, weight * spread, weight * prior.level, weight * spread * prior.slope);
    for &(x, y) in points {
        (n, x1, x2, y1, xy) = (n + 1.0, x1 + x, x2 + x * x, y1 + y, xy + x * y);
    }
    let determinant = n * x2 - x1 * x1;
    // All captions of one length: only the level can be known.
    if determinant <= 1e-9 * n * n {
        return Line { level: y1 / n, slope: prior.slope };
    }
    let slope = (n * xy - x1 * y1) / determinant;
    Line { level: (y1 - slope * x1) / n, slope }
}
