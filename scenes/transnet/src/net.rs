//! The network.

use crate::config::{HEIGHT, TransNetConfig, WIDTH};
use crate::gemm::LANES;
use crate::kernel::{Cell, End, Map};
use crate::similarity::{Histogram, Similarity};
use crate::stage::Stage;
use tch::{Device, Kind, Tensor};
use unisono_nn::weights::Weights;
use unisono_nn::{Error, Linear, LoadReport, Params, Precision, Result, Scope};

/// The network.
#[derive(Debug)]
pub struct TransNet {
    pub(crate) config: TransNetConfig,
    pub(crate) params: Params,
    device: Device,
    stages: Vec<Stage>,
    /// The stages in the form of the CPU's kernel, where it serves.
    packed: Option<Vec<Vec<Cell>>>,
    similarity: Similarity,
    histogram: Histogram,
    fc: Linear,
    single: Linear,
    many_hot: Linear,
}

impl TransNet {
    /// Builds it with weights that `fill` puts in.
    pub(crate) fn build(
        config: TransNetConfig,
        device: Device,
        weights: &Weights,
        fill: impl FnOnce(&Params) -> Result<LoadReport>,
    ) -> Result<Self> {
        config.validate()?;
        let root = Scope::blank(device, weights.room());
        let stages: Result<_> =
            (0..config.stages).map(|s| Stage::new(&root.child("stages").child(s), &config, s)).collect();
        let (seen, hidden) = (config.features() + 2 * config.compared, config.hidden);
        let (std, last) = ((seen as f64).powf(-0.5), (hidden as f64).powf(-0.5));
        let mut net = Self {
            device,
            stages: stages?,
            packed: None,
            similarity: Similarity::new(&root.child("similarity"), &config)?,
            histogram: Histogram::new(&root.child("histogram"), &config)?,
            fc: Linear::new(&root.child("fc"), seen, hidden, true, std)?,
            single: Linear::new(&root.child("single"), hidden, 1, true, last)?,
            many_hot: Linear::new(&root.child("many_hot"), hidden, 1, true, last)?,
            params: root.finish(),
            config,
        };
        fill(&net.params)?;
        tch::no_grad(|| net.fc.prepare(Precision::Fp32))?;
        if device == Device::Cpu {
            net.packed = net.stages.iter().map(Stage::pack).collect::<Result<_>>()?;
        }
        Ok(net)
    }

    /// Its sizes.
    pub fn config(&self) -> &TransNetConfig {
        &self.config
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The plain form on every device, for comparisons.
    #[doc(hidden)]
    pub fn without_kernel(mut self) -> Self {
        self.packed = None;
        self
    }

    /// Frames `[B, T, 27, 48, 3]` of bytes → logits `[B, T]` that a shot ends with the frame, and that the frame is of a transition between two.
    ///
    /// # Errors
    /// Another shape or kind; libtorch's.
    pub fn forward(&self, frames: &Tensor) -> Result<(Tensor, Tensor)> {
        let t = frames.size().get(1).copied().unwrap_or(0);
        self.forward_part(frames, 0, t)
    }

    /// [`forward`](Self::forward) for the `count` frames from `from` on, of which all the others are the surroundings.
    pub(crate) fn forward_part(&self, frames: &Tensor, from: i64, count: i64) -> Result<(Tensor, Tensor)> {
        let wanted = [HEIGHT as i64, WIDTH as i64, 3];
        let shape = frames.size();
        if shape.len() != 5 || shape[2..] != wanted || frames.kind() != Kind::Uint8 || frames.numel() == 0 {
            return Err(Error::Input(format!(
                "expected frames [B, T, {HEIGHT}, {WIDTH}, 3] of Uint8, found {shape:?} of {:?}",
                frames.kind()
            )));
        }
        let frames = frames.f_to_device(self.device)?.f_contiguous()?;
        tch::no_grad(|| {
            let (seen, last) = match &self.packed {
                Some(packed) => run_packed(packed, &frames)?,
                None => self.run_plain(&frames)?,
            };
            let x = Tensor::f_cat(
                &[
                    self.histogram.forward(&frames)?.f_narrow(1, from, count)?,
                    self.similarity.forward(&seen)?.f_narrow(1, from, count)?,
                    last.f_narrow(1, from, count)?,
                ],
                2,
            )?;
            let x = self.fc.forward(&x)?.f_relu()?;
            Ok((self.single.forward(&x)?.f_squeeze_dim(2)?, self.many_hot.forward(&x)?.f_squeeze_dim(2)?))
        })
    }

    /// The stages' features over the image, `[B, T, C]` each, and the last one's at every place, `[B, T, H' W' C]`.
    fn run_plain(&self, frames: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let (b, t) = (frames.size()[0], frames.size()[1]);
        let x = frames.f_view([b * t, HEIGHT as i64, WIDTH as i64, 3])?.f_permute([0, 3, 1, 2])?;
        let mut x = x.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
        let mut seen = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.forward(&x, t)?;
            seen.push(x.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)?.f_view([b, t, -1])?);
        }
        Ok((seen, x.f_permute([0, 2, 3, 1])?.f_reshape([b, t, -1])?))
    }
}

/// The same through the CPU's kernel.
fn run_packed(stages: &[Vec<Cell>], frames: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
    let t = frames.size()[1];
    let mut bytes = vec![0u8; frames.numel()];
    frames.f_copy_data_u8(&mut bytes, frames.numel())?;
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    let mut map = Map::of_bytes(&bytes, [t as usize, HEIGHT, WIDTH, 3]);
    let mut seen = Vec::with_capacity(stages.len());
    let mut last = Tensor::new();
    for cells in stages {
        let mut shortcut: Option<Map> = None;
        for (i, cell) in cells.iter().enumerate() {
            let from = if i == 1 { shortcut.as_ref() } else { None };
            let end = match &shortcut {
                Some(shortcut) if i + 1 == cells.len() => End::Pool(shortcut),
                _ => End::Relu,
            };
            let next = cell.run(from.unwrap_or(&map), end, threads);
            // The first layer's result is kept for the shortcut, and is the second one's input.
            if i == 0 { shortcut = Some(next) } else { map = next }
        }
        let shape = [map.windows(), map.height * map.width, map.channels, t as usize].map(|n| n as i64);
        let [place, channel] = [map.place, map.eights].map(|n| (n * LANES) as i64);
        let strides = [shape[1] * place, place, channel, 1];
        last = Tensor::f_from_slice(map.data.as_flattened())?.f_as_strided(shape, strides, None)?;
        seen.push(last.f_mean_dim([1i64].as_slice(), false, Kind::Float)?.f_transpose(1, 2)?.f_contiguous()?);
    }
    Ok((seen, last.f_permute([0, 3, 1, 2])?.f_flatten(2, 3)?))
}
