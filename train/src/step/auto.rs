//! `micro = "auto"`: how many samples go through the towers at once, found at the first step.

use super::cached::restore;
use super::{Asked, Step};
use crate::recipe::BatchMethod;
use crate::{Error, Result, memory};
use tch::{Device, Tensor};
use unisono_torch_ext::autograd;

/// Of the memory that is free so much is used: what follows the first step (evaluations, checkpoints, longer texts) has the rest.
const SHARE: f64 = 0.75;

/// The first trial on a CPU is of this share of the batch: memory is not asked for before it is known how much a sample takes.
const FIRST: usize = 16;

impl Step<'_> {
    /// As many samples of a batch as there is memory for: all of them, half, a quarter, …
    ///
    /// # Errors
    /// Not even one sample goes through, or libtorch's.
    pub(super) fn choose(&mut self, asked: Asked) -> Result<usize> {
        let statistics = self.statistics()?;
        let all = asked.samples.len();
        let trial = |micro: usize| -> Result<()> {
            let samples = asked.samples.get(..micro).unwrap_or(asked.samples);
            let tried = self.trial(Asked { samples, ..asked });
            restore(&statistics)?;
            tried
        };
        let (micro, why) = match (self.model.towers().device(), memory::room()) {
            (Device::Cpu, Some(room)) => {
                memory::forget_peak();
                let before = memory::resident().unwrap_or(0);
                let room = (SHARE * room as f64) as u64;
                let measured = |micro: usize| {
                    trial(micro)?;
                    Ok(memory::peak().unwrap_or(0).saturating_sub(before))
                };
                (by_memory(all, room, measured)?, format!("{:.1} GiB are free", room as f64 / SHARE / GIB))
            }
            _ => (by_refusal(all, trial)?, "by trial".to_owned()),
        };
        let count = all.div_ceil(micro.max(1));
        self.notes.push(format!(
            "batch: micro = {micro}: {count} micro-batches a step ({why}); a checkpoint keeps it"
        ));
        Ok(micro)
    }

    /// What a micro-batch costs: a forward and a backward pass whose gradients are let go.
    fn trial(&self, asked: Asked) -> Result<()> {
        let Asked { samples, params, at } = asked;
        if self.method == BatchMethod::Accumulate {
            let mut clock = crate::clock::Clock::start();
            return self.accumulated(asked, samples.len(), &mut clock).map(drop);
        }
        let seen = self.part(samples, 0, &(0..samples.len()), at.0, &self.idle)?;
        let vectors = seen.views.values().map(|v| &v.vectors);
        let tokens = seen.tokens.values().flat_map(|t| t.frames.iter().map(|(x, _)| x));
        let outputs: Vec<&Tensor> = vectors.chain(tokens).filter(|x| x.requires_grad()).collect();
        let ones = outputs.iter().map(|x| x.f_ones_like()).collect::<Result<Vec<_>, _>>()?;
        let ones: Vec<Option<&Tensor>> = ones.iter().map(Some).collect();
        if !outputs.is_empty() {
            autograd::grad(&outputs, &ones, params, false, false)?;
        }
        Ok(())
    }
}

const GIB: f64 = (1u64 << 30) as f64;

/// The largest of `all`, its half, its quarter, … whose peak fits into `room`: from the smallest on, each only where twice the last one's peak does.
fn by_memory(all: usize, room: u64, mut peak: impl FnMut(usize) -> Result<u64>) -> Result<usize> {
    let mut sizes = halves(all);
    sizes.reverse();
    let first = sizes.iter().position(|n| n * FIRST >= all).unwrap_or(0);
    let mut at = first;
    let mut taken = refused(peak(sizes.get(at).copied().unwrap_or(1)))?.unwrap_or(u64::MAX);
    // Too much already: a smaller one is taken on trust, by the same measure.
    while taken > room && at > 0 {
        at -= 1;
        taken /= 2;
    }
    if at < first {
        return Ok(sizes.get(at).copied().unwrap_or(1));
    }
    while at + 1 < sizes.len() && taken.saturating_mul(2) <= room {
        match refused(peak(sizes.get(at + 1).copied().unwrap_or(all)))? {
            Some(next) if next <= room => (at, taken) = (at + 1, next),
            _ => break,
        }
    }
    Ok(sizes.get(at).copied().unwrap_or(1))
}

/// The first of `all`, its half, its quarter, … that the device does not refuse for want of memory.
fn by_refusal(all: usize, mut trial: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    let sizes = halves(all);
    for micro in &sizes {
        if refused(trial(*micro))?.is_some() {
            return Ok(*micro);
        }
    }
    Err(Error::setting(
        "batch.micro",
        "there is not memory enough for a single sample: smaller towers, or another device",
    ))
}

/// `n`, its half rounded up, … 1.
fn halves(n: usize) -> Vec<usize> {
    let mut sizes = vec![n.max(1)];
    while let Some(last) = sizes.last().copied().filter(|n| *n > 1) {
        sizes.push(last.div_ceil(2));
    }
    sizes
}

/// `None` where memory was asked for in vain.
fn refused<T>(tried: Result<T>) -> Result<Option<T>> {
    match tried {
        Ok(found) => Ok(Some(found)),
        Err(e) if out_of_memory(&e.to_string()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// As libtorch says it, of a GPU and of the machine.
fn out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    ["out of memory", "can't allocate memory", "not enough memory"].iter().any(|said| message.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vain() -> Error {
        let message = "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes".into();
        Error::TorchExt(unisono_torch_ext::Error::Torch { what: "grad".into(), message })
    }

    #[test]
    fn as_many_as_fit() {
        // A sample takes ten, and something is taken whatever their number.
        for (all, room, want, tried) in [
            (64, 10_000, 64, vec![4, 8, 16, 32, 64]),
            (64, 400, 32, vec![4, 8, 16, 32]),
            (64, 100, 8, vec![4, 8]),
            (64, 30, 2, vec![4]),
            (100, 5_000, 100, vec![7, 13, 25, 50, 100]),
            (1, 5, 1, vec![1]),
        ] {
            let mut seen = Vec::new();
            let found = by_memory(all, room, |n| {
                seen.push(n);
                Ok(10 * n as u64 + 3)
            });
            assert_eq!((found.unwrap(), seen), (want, tried), "{all} in {room}");
        }
    }

    #[test]
    fn halves_until_nothing_is_refused() {
        let limit = |most: usize| move |n: usize| if n > most { Err(vain()) } else { Ok(()) };
        assert_eq!(by_refusal(64, limit(100)).unwrap(), 64);
        assert_eq!(by_refusal(64, limit(20)).unwrap(), 16);
        assert_eq!(by_refusal(37, limit(9)).unwrap(), 5);
        assert!(by_refusal(8, limit(0)).unwrap_err().to_string().contains("a single sample"));
        let other = by_refusal(8, |_| Err(Error::setting("x", "y")));
        assert!(other.unwrap_err().to_string().contains('y'));
        assert!(out_of_memory("CUDA out of memory. Tried to allocate 2.00 GiB") && !out_of_memory("shape"));
    }
}
