//! Prepared inputs → the tensors that towers take.

use crate::{Error, Result};
use image::RgbImage;
use std::borrow::Borrow;
use std::mem::MaybeUninit;
use tch::{Device, Kind, Tensor};
use unisono_processors::{ImageProcessor, LogMel, TextProcessor};

/// Images from [`ImageProcessor::prepare`], all of one size → `[B, 3, H, W]` fp32, normalised, with channels-last strides.
///
/// # Errors
/// Images of different sizes, or no room on the device.
pub fn images<P: Borrow<RgbImage>>(
    processor: &ImageProcessor,
    images: &[P],
    device: Device,
) -> Result<Tensor> {
    let images: Vec<&RgbImage> = images.iter().map(Borrow::borrow).collect();
    let first = images.first().map(|p| [p.height(), p.width()]);
    let [h, w] = processor.output_size().or(first).unwrap_or_else(|| processor.sides());
    for q in &images {
        if q.dimensions() != (w, h) {
            let (fw, fh) = q.dimensions();
            return Err(Error::Input(format!("image of {fw}x{fh} pixels in a batch of {w}x{h}")));
        }
    }
    let shape = [images.len() as i64, i64::from(h), i64::from(w), 3];
    if images.is_empty() {
        return Ok(Tensor::f_empty([0, 3, shape[1], shape[2]], (Kind::Float, device))?);
    }
    if device == Device::Cpu {
        let out = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        let len = images.len() * (w as usize * h as usize * 3);
        // SAFETY: a fresh, contiguous CPU tensor of `len` floats that nothing else refers to; every one of them is written below
        // before it is read, and the slice ends before the tensor is used again.
        let floats =
            unsafe { std::slice::from_raw_parts_mut(out.data_ptr().cast::<MaybeUninit<f32>>(), len) };
        normalise(processor, &images, floats);
        return Ok(out.f_permute([0, 3, 1, 2])?);
    }
    // Bytes travel to the device, a quarter of the floats; both affine steps are one multiply-add there.
    let bytes: Vec<u8> = images.iter().flat_map(|q| q.as_raw().iter().copied()).collect();
    let u8s = Tensor::f_from_data_size(&bytes, &shape, Kind::Uint8)?;
    let scale: Vec<f32> = processor.std.iter().map(|d| 1.0 / (255.0 * d)).collect();
    let shift: Vec<f32> = processor.mean.iter().zip(processor.std).map(|(m, d)| -m / d).collect();
    let (scale, shift) = (Tensor::f_from_slice(&scale)?, Tensor::f_from_slice(&shift)?);
    let mut x = u8s.f_to_device(device)?.f_to_kind(Kind::Float)?;
    let x = x.f_mul_(&scale.f_to_device(device)?)?.f_add_(&shift.f_to_device(device)?)?;
    Ok(x.f_permute([0, 3, 1, 2])?)
}

/// Bytes for which another thread is worth its start.
const MANY: usize = 1 << 20;

/// Bytes → floats, one look-up each: every value of a channel is known beforehand. `floats` has one for each byte. Large batches on as many threads as
/// libtorch has, which has nothing to do meanwhile.
fn normalise(processor: &ImageProcessor, images: &[&RgbImage], floats: &mut [MaybeUninit<f32>]) {
    let table: [[f32; 256]; 3] = [0, 1, 2].map(|c| {
        let (mean, std) = (f64::from(processor.mean[c]), f64::from(processor.std[c]));
        std::array::from_fn(|v| ((v as f64 / 255.0 - mean) / std) as f32)
    });
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).min(floats.len() / MANY);
    if threads < 2 {
        return looked_up(&table, images, floats);
    }
    let each = images.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let mut rest = floats;
        for part in images.chunks(each) {
            let bytes = part.iter().map(|image| image.as_raw().len()).sum::<usize>().min(rest.len());
            let (own, after) = std::mem::take(&mut rest).split_at_mut(bytes);
            let table = &table;
            scope.spawn(move || looked_up(table, part, own));
            rest = after;
        }
    });
}

fn looked_up(table: &[[f32; 256]; 3], images: &[&RgbImage], floats: &mut [MaybeUninit<f32>]) {
    let mut rest = floats;
    for image in images {
        let (floats, after) = rest.split_at_mut(image.as_raw().len().min(rest.len()));
        for (to, from) in floats.chunks_exact_mut(3).zip(image.as_raw().chunks_exact(3)) {
            for c in 0..3 {
                to[c].write(table[c][usize::from(from[c])]);
            }
        }
        rest = after;
    }
}

/// Spectrograms `[T_i, M]` → `[B, T, M]` fp32 padded with zeros, and `[B]` int64 lengths. T is the longest, rounded up to a
/// multiple of `round` frames: fewer distinct shapes let libtorch reuse its prepared kernels. Of processors that fuse: `[B, 4, T, M]`, and
/// how many of the four are an audio file's own: 4 where it is fused, else 1.
///
/// # Errors
/// A spectrogram that is not whole frames, or no room on the device.
pub fn spectrograms(
    processor: &LogMel,
    spectrograms: &[&[f32]],
    round: usize,
    device: Device,
) -> Result<(Tensor, Tensor)> {
    let config = processor.config();
    let m = config.mels;
    if config.frontend.as_ref().is_some_and(|f| f.fusion) {
        return fused(m, config.max_frames, spectrograms, device);
    }
    if let Some(bad) = spectrograms.iter().find(|s| s.is_empty() || s.len() % m != 0) {
        return Err(Error::Input(format!("spectrogram of {} values, expected frames of {m}", bad.len())));
    }
    let lengths: Vec<i64> =
        spectrograms.iter().map(|s| (s.len() / m).min(config.max_frames) as i64).collect();
    let longest = lengths.iter().copied().max().unwrap_or(1) as usize;
    let t = longest.next_multiple_of(round.max(1)).min(config.max_frames.max(longest));
    let mut data = vec![0f32; spectrograms.len() * t * m];
    for ((row, s), n) in data.chunks_mut(t * m).zip(spectrograms).zip(&lengths) {
        let n = *n as usize * m;
        row[..n].copy_from_slice(&s[..n]);
    }
    let mel = Tensor::f_from_slice(&data)?.f_view([spectrograms.len() as i64, t as i64, m as i64])?;
    Ok((
        mel.f_to_device(device)?,
        Tensor::f_from_slice(&lengths)?.f_to_device(device)?.f_to_kind(Kind::Int64)?,
    ))
}

fn fused(m: usize, t: usize, spectrograms: &[&[f32]], device: Device) -> Result<(Tensor, Tensor)> {
    let (mut data, mut own) = (Vec::with_capacity(spectrograms.len() * 4 * t * m), Vec::new());
    for s in spectrograms {
        match s.len() / (t * m) {
            1 if s.len() == t * m => (0..4).for_each(|_| data.extend_from_slice(s)),
            4 if s.len() == 4 * t * m => data.extend_from_slice(s),
            _ => {
                let n = s.len();
                return Err(Error::Input(format!("spectrogram of {n} values, expected {t} frames of {m}")));
            }
        }
        own.push((s.len() / (t * m)) as i64);
    }
    let mel = Tensor::f_from_slice(&data)?.f_view([own.len() as i64, 4, t as i64, m as i64])?;
    Ok((mel.f_to_device(device)?, Tensor::f_from_slice(&own)?.f_to_device(device)?))
}

/// Id lists → `[B, T]` int64, padded, and `[B, T]` bool, true where a token is attended to.
///
/// # Errors
/// An empty list, or no room on the device.
pub fn token_ids<S: AsRef<[i64]>>(
    processor: &TextProcessor,
    ids: &[S],
    device: Device,
) -> Result<(Tensor, Tensor)> {
    let ids: Vec<&[i64]> = ids.iter().map(AsRef::as_ref).collect();
    if ids.iter().any(|ids| ids.is_empty()) {
        return Err(Error::Input("a text without tokens".into()));
    }
    let longest = ids.iter().map(|ids| ids.len()).max().unwrap_or(1);
    let (t, pad, seen) = match processor.rules().fixed_pad {
        Some(pad) => (longest.max(processor.context_length()), pad, true),
        None => (longest, 0, false),
    };
    let mut data = vec![pad; ids.len() * t];
    let mut mask = vec![seen; ids.len() * t];
    for (i, row) in ids.iter().enumerate() {
        data[i * t..i * t + row.len()].copy_from_slice(row);
        mask[i * t..i * t + row.len()].fill(true);
    }
    let shape = [ids.len() as i64, t as i64];
    let data = Tensor::f_from_slice(&data)?.f_view(shape)?.f_to_device(device)?;
    let mask = Tensor::f_from_slice(&mask)?.f_view(shape)?.f_to_device(device)?;
    Ok((data, mask.f_to_kind(Kind::Bool)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use unisono_processors::{MelConfig, Vocabulary, train_tokenizer};

    fn q_of(n: u8) -> RgbImage {
        RgbImage::from_fn(224, 224, |x, y| Rgb([x as u8, y as u8, n]))
    }

    #[test]
    fn images_are_the_affine_map_of_their_bytes() {
        let p = ImageProcessor { mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 2.0], ..ImageProcessor::new(2) };
        let q = RgbImage::from_fn(2, 2, |x, y| Rgb([x as u8 * 100, y as u8 * 50, 255]));
        let b = images(&p, &[q], Device::Cpu).unwrap();
        assert_eq!(b.size(), [1, 3, 2, 2]);
        let near = |at: &[i64], want: f64| assert!((b.double_value(at) - want).abs() < 1e-6);
        near(&[0, 0, 0, 1], (100.0 / 255.0 - 0.1) / 0.5);
        near(&[0, 1, 1, 0], (50.0 / 255.0 - 0.2) / 0.25);
        near(&[0, 2, 0, 0], 0.35);
        // So many that threads share them: the same.
        let many = vec![q_of(7); 40];
        let p224 = ImageProcessor { size: ImageProcessor::new(224).size, ..p.clone() };
        let all = images(&p224, &many, Device::Cpu).unwrap();
        assert_eq!(all.get(39), images(&p224, &many[..1], Device::Cpu).unwrap().get(0));
        let wrong = RgbImage::new(3, 3);
        assert!(images(&p, &[wrong], Device::Cpu).is_err());
        assert_eq!(images::<RgbImage>(&p, &[], Device::Cpu).unwrap().size(), [0, 3, 2, 2]);
    }

    #[test]
    fn spectrograms_pad_with_zeros() {
        let mel = LogMel::new(MelConfig::speech(2, 100)).unwrap();
        let (x, n) = spectrograms(&mel, &[&[1.0; 6], &[2.0; 10]], 4, Device::Cpu).unwrap();
        assert_eq!(x.size(), [2, 8, 2]);
        assert_eq!(Vec::<i64>::try_from(n).unwrap(), [3, 5]);
        assert_eq!((x.double_value(&[0, 2, 1]), x.double_value(&[0, 3, 0])), (1.0, 0.0));
    }

    #[test]
    fn token_ids_pad_and_mask() {
        let tokenizer = train_tokenizer(["a red bus", "a blue bus"].iter(), 300, Vocabulary::Bpe).unwrap();
        let p = TextProcessor::new(tokenizer, 16, 300).unwrap();
        let (ids, mask) = token_ids(&p, &[vec![5, 1], vec![6, 7, 1]], Device::Cpu).unwrap();
        assert_eq!(Vec::<i64>::try_from(ids.view([-1])).unwrap(), [5, 1, 0, 6, 7, 1]);
        assert_eq!(Vec::<bool>::try_from(mask.view([-1])).unwrap(), [true, true, false, true, true, true]);
        assert!(token_ids(&p, &[Vec::new()], Device::Cpu).is_err());
    }
}
