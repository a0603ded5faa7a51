//! Vectors of shots, and the frames that stand for them.

use super::models::Models;
use super::work::Analysis;
use crate::Result;
use unisono_media::video::Time;
use unisono_scenes::record::Shot;

/// What is known of a shot besides its frames.
pub(super) struct ShotEmbedding {
    /// Frames kept of it: indices, a range.
    pub(super) kept: std::ops::Range<usize>,
    /// Mean of its frames' vectors, of length 1.
    pub(super) image: Option<Vec<f32>>,
    pub(super) audio: Option<Vec<f32>>,
    /// Both together.
    pub(super) vector: Option<Vec<f32>>,
}

/// Vectors of shots, from the frames and the audio within them.
pub(super) fn embed_shots(
    models: &Models,
    analysis: &Analysis,
    shots: &[Shot],
    rows: &[&[f32]],
) -> Result<Vec<ShotEmbedding>> {
    let pieces: Vec<&[f32]> = match &analysis.samples {
        Some(heard) => {
            let samples = (*heard.samples).as_ref();
            let sample = |time: Time| {
                let at = (time.seconds() - heard.timing.start) * f64::from(heard.rate);
                (at.max(0.0) as usize).min(samples.len())
            };
            shots
                .iter()
                .map(|s| &samples[sample(s.start.time)..sample(s.end.time).max(sample(s.start.time))])
                .collect()
        }
        None => vec![&[]; shots.len()],
    };
    let audios = models.embed_audio(&pieces)?;
    let mut next = 0;
    let seen = shots.iter().zip(audios).map(|(shot, audio)| {
        let from = next;
        while next < analysis.kept.len() && analysis.kept[next].frame < shot.end.frame {
            next += 1;
        }
        let kept = from..next;
        let image = unit(rows.get(kept.clone()).unwrap_or_default().iter().map(|v| (*v, 1.0)));
        let both = [&image, &audio].into_iter().flatten().map(|v| (v.as_slice(), 1.0));
        let vector = unit(both);
        ShotEmbedding { kept, image, audio, vector }
    });
    Ok(seen.collect())
}

/// The frame kept of a shot that stands for it: the one most like all of them; without vectors the one nearest its middle.
pub(super) fn stands_for(
    seen: &ShotEmbedding,
    rows: &[&[f32]],
    shot: &Shot,
    analysis: &Analysis,
) -> Option<usize> {
    let middle = (shot.start.time.seconds() + shot.end.time.seconds()) / 2.0;
    seen.kept.clone().max_by(|x, y| {
        let like = |i: usize| match (&seen.image, rows.get(i)) {
            (Some(mean), Some(row)) => f64::from(crate::similarity(mean, row)),
            _ => -(analysis.kept[i].time.seconds() - middle).abs(),
        };
        like(*x).total_cmp(&like(*y)).then(y.cmp(x))
    })
}

/// The unit vector along a weighted sum; `None` of nothing, or where it has no direction.
pub(super) fn unit<'a>(vectors: impl Iterator<Item = (&'a [f32], f64)>) -> Option<Vec<f32>> {
    let mut sum: Vec<f64> = Vec::new();
    for (vector, weight) in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(s, v)| *s += weight * f64::from(*v));
    }
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-9).then(|| sum.iter().map(|v| (v / length) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let (a, b) = ([3.0f32, 0.0], [0.0f32, 4.0]);
        assert_eq!(unit([(&a[..], 4.0), (&b[..], 0.0)].into_iter()), Some(vec![1.0, 0.0]));
        assert_eq!(unit(std::iter::empty()), None);
        assert_eq!(unit([(&a[..], 1.0), (&[-3.0f32, 0.0][..], 1.0)].into_iter()), None);
    }
}
