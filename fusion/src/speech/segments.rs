//! From a window's ids to segments of speech.

use super::Segment;
use crate::config::SpeechConfig;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// How much smaller the ids become when they are compressed: text that repeats itself becomes much smaller.
pub(super) fn compression(ids: &[i64], vocab: i64) -> f64 {
    let each = ((vocab.max(2) as f64).log2() / 8.0) as usize + 1;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes().into_iter().take(each)).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    packed.map_or(0.0, |p| bytes.len() as f64 / p.len().max(1) as f64)
}

/// The segments of a window's ids, and by how many frames the audio moves on. `frame`: seconds of a spectrogram frame.
pub(super) fn cut(
    ids: &[i64],
    seek: usize,
    frames: usize,
    speech: &SpeechConfig,
    frame: f64,
) -> (Vec<Segment>, usize) {
    let begin = speech.no_timestamps + 1;
    let step = frame * speech.stride as f64;
    let offset = seek as f64 * step / speech.stride as f64;
    let is_time = |id: i64| id >= begin;
    let time = |id: i64| offset + (id - begin) as f64 * step;
    let n = ids.len();
    // The window ends inside a segment's text or with one time: nothing of it is left.
    let single = n >= 2 && is_time(ids[n - 1]) && !is_time(ids[n - 2]);
    let mut slices: Vec<usize> =
        (0..n.saturating_sub(1)).filter(|i| is_time(ids[*i]) && is_time(ids[i + 1])).map(|i| i + 1).collect();
    if slices.is_empty() {
        let mut last = (frames as f64 * frame / step).floor();
        if let Some(at) = ids.iter().rev().find(|id| is_time(**id))
            && *at != begin
        {
            last = (at - begin) as f64;
        }
        let segment = Segment { start: offset, end: offset + last * step, ids: ids.to_vec() };
        return (vec![segment], frames);
    }
    if single {
        slices.push(n);
    } else if let Some(last) = slices.last_mut() {
        *last += 1;
    }
    let mut segments = Vec::with_capacity(slices.len());
    let mut from = 0;
    let count = slices.len();
    for (i, to) in slices.into_iter().enumerate() {
        let part = &ids[from..to];
        let back = if i + 1 < count || single { 1 } else { 2 };
        let (first, last) = (part.first().copied(), part.len().checked_sub(back).map(|at| part[at]));
        if let (Some(first), Some(last)) = (first, last) {
            segments.push(Segment { start: time(first), end: time(last), ids: part.to_vec() });
        }
        from = to;
    }
    if single {
        return (segments, frames);
    }
    let last = ids[from - 2] - begin;
    (segments, usize::try_from(last).unwrap_or(0) * speech.stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech() -> SpeechConfig {
        let text = r#"{"no_timestamps": 9, "frames": 3000, "stride": 2}"#;
        serde_json::from_str(text).unwrap()
    }

    /// Times are ids from 10 on, 0.02 s apart; words are below 9.
    #[test]
    fn segments_lie_between_their_times() {
        let speech = speech();
        let said = |start, end, ids: &[i64]| Segment { start, end, ids: ids.to_vec() };
        let close = |found: &[Segment], want: &[Segment]| {
            assert_eq!(found.len(), want.len());
            for (a, b) in found.iter().zip(want) {
                assert!(
                    (a.start - b.start).abs() < 1e-9 && (a.end - b.end).abs() < 1e-9 && a.ids == b.ids,
                    "{a:?}"
                );
            }
        };
        // Two segments, and the audio goes on where the second one ended.
        let (found, moved) = cut(&[10, 1, 2, 60, 60, 3, 110, 110], 0, 3000, &speech, 0.01);
        close(&found, &[said(0.0, 1.0, &[10, 1, 2, 60]), said(1.0, 2.0, &[60, 3, 110, 110])]);
        assert_eq!(moved, 200);
        // One time at the end: the window is done. It begins 5 seconds into the audio.
        let (found, moved) = cut(&[10, 1, 60, 60, 2, 110], 500, 3000, &speech, 0.01);
        close(&found, &[said(5.0, 6.0, &[10, 1, 60]), said(6.0, 7.0, &[60, 2, 110])]);
        assert_eq!(moved, 3000);
        // No pair of times: all of it, to its last time or the window's end.
        assert_eq!(cut(&[10, 1, 2], 0, 3000, &speech, 0.01).0, [said(0.0, 30.0, &[10, 1, 2])]);
        close(&cut(&[10, 1, 35], 0, 3000, &speech, 0.01).0, &[said(0.0, 0.5, &[10, 1, 35])]);
    }

    #[test]
    fn repetition_compresses() {
        let varied: Vec<i64> = (0..200).map(|i| i * 7919 % 50_000).collect();
        assert!(compression(&[7; 200], 50_000) > 10.0 && compression(&varied, 50_000) < 1.2);
        assert_eq!(compression(&[], 50_000), 0.0);
    }
}
