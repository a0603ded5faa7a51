//! ADPCM of WAV files, a nibble a sample: IMA's (the recommended practices of 1992) and Microsoft's, each block by itself.

/// Decodes one block of so many channels, and adds its samples, interleaved; of a block that is cut, the whole frames.
///
/// An error says what was found.
pub(super) type Decode = fn(&[u8], usize, &mut Vec<i16>) -> Result<(), String>;

/// Whether blocks of so many bytes hold their head and a sample: `head` bytes a channel.
pub(super) fn possible(block: usize, channels: usize, head: usize) -> bool {
    block > head * channels && channels <= 8
}

/// IMA's sizes of a step.
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88,
    97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658,
    724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660,
    4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818,
    18500, 20350, 22385, 24623, 27086, 29794, 32767,
];

/// How a nibble without its sign moves IMA's step.
const MOVES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// A block of IMA ADPCM: a sample and a step for each channel, then eight nibbles of each channel in turn.
pub(super) fn ima(block: &[u8], channels: usize, out: &mut Vec<i16>) -> Result<(), String> {
    let Some((heads, body)) = block.split_at_checked(4 * channels) else { return Ok(()) };
    let (heads, _) = heads.as_chunks::<4>();
    let mut states = Vec::with_capacity(channels);
    for head in heads {
        let step = i32::from(head[2]);
        if step >= STEPS.len() as i32 {
            return Err(format!("a step of number {step}, above the {} there are", STEPS.len()));
        }
        let first = i16::from_le_bytes([head[0], head[1]]);
        out.push(first);
        states.push((i32::from(first), step));
    }
    for group in body.chunks_exact(4 * channels) {
        let base = out.len();
        out.resize(base + 8 * channels, 0);
        for (channel, (word, (sample, step))) in group.as_chunks::<4>().0.iter().zip(&mut states).enumerate()
        {
            let nibbles = word.iter().flat_map(|byte| [byte & 15, byte >> 4]);
            for (i, nibble) in nibbles.enumerate() {
                let size = STEPS[*step as usize];
                let parts = [(4, size), (2, size >> 1), (1, size >> 2)];
                let change: i32 = (size >> 3)
                    + parts.iter().filter(|(bit, _)| nibble & bit != 0).map(|(_, part)| part).sum::<i32>();
                let moved = if nibble & 8 == 0 { *sample + change } else { *sample - change };
                *sample = moved.clamp(i16::MIN.into(), i16::MAX.into());
                *step = (*step + MOVES[usize::from(nibble & 7)]).clamp(0, STEPS.len() as i32 - 1);
                out[base + i * channels + channel] = *sample as i16;
            }
        }
    }
    Ok(())
}

/// Microsoft's pairs of weights for the last two samples.
const WEIGHTS: [(i32, i32); 7] =
    [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];

/// How a nibble changes Microsoft's step, in 256ths.
const GROWTH: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

/// A block of Microsoft's ADPCM: weights, steps and two samples of each channel, then the channels' nibbles in turn.
pub(super) fn microsoft(block: &[u8], channels: usize, out: &mut Vec<i16>) -> Result<(), String> {
    let Some((heads, body)) = block.split_at_checked(7 * channels) else { return Ok(()) };
    let (kinds, numbers) = heads.split_at(channels);
    let number = |at: usize| i32::from(i16::from_le_bytes([numbers[2 * at], numbers[2 * at + 1]]));
    let mut states = Vec::with_capacity(channels);
    for (channel, kind) in kinds.iter().enumerate() {
        let Some(weights) = WEIGHTS.get(usize::from(*kind)) else {
            return Err(format!("weights of number {kind}, above the {} there are", WEIGHTS.len()));
        };
        let (last, before) = (number(channels + channel), number(2 * channels + channel));
        states.push((*weights, number(channel), last, before));
    }
    out.extend(states.iter().map(|state| state.3 as i16));
    out.extend(states.iter().map(|state| state.2 as i16));
    let whole = body.len() * 2 / channels * channels;
    let nibbles = body.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(whole);
    for (i, nibble) in nibbles.enumerate() {
        let (weights, step, last, before) = &mut states[i % channels];
        let signed = i32::from(nibble) - if nibble & 8 == 0 { 0 } else { 16 };
        let guess = (*last * weights.0 + *before * weights.1) >> 8;
        let sample =
            guess.saturating_add(signed.saturating_mul(*step)).clamp(i16::MIN.into(), i16::MAX.into());
        *step = (GROWTH[usize::from(nibble)].saturating_mul(*step) >> 8).max(16);
        (*before, *last) = (*last, sample);
        out.push(sample as i16);
    }
    Ok(())
}
