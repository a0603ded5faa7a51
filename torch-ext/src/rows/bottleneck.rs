//! The face of `bottleneck.cpp`.

use super::panels::{LANES, panels};
use super::{Activation, plain, refused};
use crate::Result;
use tch::{Device, Kind, Tensor};

/// `Bottleneck` of `bottleneck.cpp`.
#[repr(C)]
struct RawBottleneck {
    x: *const f32,
    out: *mut f32,
    expand: *const f32,
    expand_bias: *const f32,
    depthwise: *const f32,
    depthwise_bias: *const f32,
    project: *const f32,
    project_bias: *const f32,
    room: *mut f32,
    room_step: i64,
    batch: i64,
    height: i64,
    width: i64,
    input: i64,
    channels: i64,
    narrow: i64,
    kernel: i64,
    stride: i64,
    top: i64,
    left: i64,
    rows: i64,
    pieces: i64,
    activation: i64,
    residual: i64,
}

/// Bytes that a band may take of a core's second-level cache of a mebibyte.
const ROOM: i64 = 480 << 10;

/// A convolution's weight, `[out, in, k, k]`, and its bias `[out]`.
pub type Layer<'a> = (&'a Tensor, &'a Tensor);

/// An inverted bottleneck: a pointwise convolution and an activation (absent where nothing is widened), a depthwise convolution of 3 or 5
/// places a side and the activation again, a pointwise one, and the input added where asked for.
#[derive(Debug)]
pub struct Bottleneck {
    expand: Option<(Tensor, Tensor)>,
    depthwise: (Tensor, Tensor),
    project: (Tensor, Tensor),
    input: i64,
    channels: i64,
    output: i64,
    kernel: i64,
    stride: i64,
    activation: Activation,
    residual: bool,
}

/// Whether [`Bottleneck`] runs here, with this activation and this side of the depthwise kernel: processors with AVX-512.
pub fn narrows(activation: Activation, kernel: i64, stride: i64, device: Device) -> bool {
    #[cfg(target_arch = "x86_64")]
    let here = super::level() == super::Level::Avx512;
    #[cfg(not(target_arch = "x86_64"))]
    let here = false;
    let known = matches!(activation, Activation::Relu | Activation::Relu6 | Activation::Silu);
    here && known && [3, 5].contains(&kernel) && [1, 2].contains(&stride) && device == Device::Cpu
}

impl Bottleneck {
    /// Layers of shapes that fit each other, of which [`narrows`] says that they run here.
    ///
    /// # Errors
    /// Shapes that do not fit, or what does not run here.
    pub fn new(
        expand: Option<Layer>,
        depthwise: Layer,
        project: Layer,
        stride: i64,
        activation: Activation,
        residual: bool,
    ) -> Result<Self> {
        let ((channels, one, kernel, side), (output, narrowed, ..)) =
            (depthwise.0.size4()?, project.0.size4()?);
        let input = match expand {
            Some((weight, _)) => weight.size4()?.1,
            None => channels,
        };
        let widened = expand.map_or(channels, |(weight, _)| weight.size()[0]);
        let fits = one == 1 && side == kernel && narrowed == channels && widened == channels;
        if !fits
            || !narrows(activation, kernel, stride, depthwise.0.device())
            || residual && (stride, input) != (1, output)
        {
            return Err(refused(&format!(
                "a bottleneck of {input} → {widened}, {channels} x {kernel} x {side} by {stride}, {narrowed} → {output}"
            )));
        }
        let filled = |x: &Tensor| -> Result<Tensor> {
            let n = x.size().last().copied().unwrap_or(0);
            plain(&x.f_constant_pad_nd([0, (n + LANES - 1) / LANES * LANES - n])?, Kind::Float)
        };
        let pointwise = |(weight, bias): Layer| -> Result<(Tensor, Tensor)> {
            Ok((panels(&plain(&weight.f_flatten(1, -1)?, Kind::Float)?, 1)?, filled(bias)?))
        };
        Ok(Self {
            expand: expand.map(pointwise).transpose()?,
            depthwise: (filled(&depthwise.0.f_flatten(1, -1)?.f_tr()?)?, filled(depthwise.1)?),
            project: pointwise(project)?,
            input,
            channels,
            output,
            kernel,
            stride,
            activation,
            residual,
        })
    }

    /// `x` `[B, H, W, C]` → `[B, ⌈H / stride⌉, ⌈W / stride⌉, C']`, `before` zeros above and to the left, and as many after as it takes.
    /// A number does not depend on the batch, nor on how the work is cut.
    ///
    /// # Errors
    /// Another number of channels, or a tensor that is not on a CPU.
    pub fn forward(&self, x: &Tensor, before: [i64; 2]) -> Result<Tensor> {
        let (_, height, ..) = x.size4()?;
        let mut rows = 1;
        while rows * self.stride < height && self.room(x, before, rows + 1)? * 4 <= ROOM {
            rows += 1;
        }
        self.run(x, before, rows, i64::from(tch::get_num_threads()))
    }

    /// Numbers that a band of `rows` rows takes while it is worked on.
    fn room(&self, x: &Tensor, [_, left]: [i64; 2], rows: i64) -> Result<i64> {
        let inner = (self.channels + LANES - 1) / LANES * LANES;
        let (_, _, w, _) = x.size4()?;
        let width = (w + self.stride - 1) / self.stride;
        let line = ((width - 1) * self.stride + self.kernel).max(left + w) * inner;
        Ok(((rows - 1) * self.stride + self.kernel) * line + rows * width * inner)
    }

    /// In bands of `rows` rows, in so many pieces of work.
    fn run(&self, x: &Tensor, before: [i64; 2], rows: i64, pieces: i64) -> Result<Tensor> {
        let x = plain(x, Kind::Float)?;
        let (batch, height, width, input) = x.size4()?;
        let ends = [(height, before[0]), (width, before[1])];
        if input != self.input || ends.iter().any(|(n, before)| *n < 1 || !(0..self.kernel).contains(before))
        {
            return Err(refused(&format!(
                "images of {:?} with {before:?} zeros before, this bottleneck takes {} channels",
                x.size(),
                self.input
            )));
        }
        let [h, w] = [height, width].map(|n| (n + self.stride - 1) / self.stride);
        let pieces = pieces.clamp(1, (batch * ((h + rows - 1) / rows)).max(1));
        let room_step = self.room(&x, before, rows)?;
        let of = |shape: &[i64]| Tensor::f_empty(shape, (Kind::Float, Device::Cpu));
        let (out, room) = (of(&[batch, h, w, self.output])?, of(&[pieces, room_step])?);
        let lies = |x: &Tensor| x.data_ptr().cast_const().cast::<f32>();
        let mut raw = RawBottleneck {
            x: lies(&x),
            out: out.data_ptr().cast(),
            expand: self.expand.as_ref().map_or(std::ptr::null(), |(weight, _)| lies(weight)),
            expand_bias: self.expand.as_ref().map_or(std::ptr::null(), |(_, bias)| lies(bias)),
            depthwise: lies(&self.depthwise.0),
            depthwise_bias: lies(&self.depthwise.1),
            project: lies(&self.project.0),
            project_bias: lies(&self.project.1),
            room: room.data_ptr().cast(),
            room_step,
            batch,
            height,
            width,
            input,
            channels: self.channels,
            narrow: self.output,
            kernel: self.kernel,
            stride: self.stride,
            top: before[0],
            left: before[1],
            rows,
            pieces,
            activation: self.activation as i64,
            residual: i64::from(self.residual),
        };
        if batch > 0 {
            run(pieces, &mut raw)?;
        }
        Ok(out)
    }
}

#[cfg(target_arch = "x86_64")]
fn run(pieces: i64, raw: &mut RawBottleneck) -> Result<()> {
    use std::ffi::c_void;
    unsafe extern "C" {
        fn ute_bottleneck_avx512(begin: i64, end: i64, given: *mut c_void);
    }
    // SAFETY: `new` saw that the processor has AVX-512 and that weights and biases are of the channels that it tells; `x`, `out` and the room
    // were made for them; all live through the call. A piece's room is nobody else's.
    unsafe { super::run(ute_bottleneck_avx512, pieces, i64::MAX, raw) }
}

#[cfg(not(target_arch = "x86_64"))]
fn run(_: i64, _: &mut RawBottleneck) -> Result<()> {
    Err(refused("no kernel for a bottleneck on this processor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(shape: &[i64], speed: f64) -> Tensor {
        let n: i64 = shape.iter().product();
        (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
    }

    /// By libtorch's convolutions in double precision.
    #[test]
    fn it_is_its_layers_however_it_is_cut() {
        if !narrows(Activation::Relu6, 3, 1, Device::Cpu) {
            return;
        }
        for (batch, sides, [input, channels, output], kernel, stride, before, activation) in [
            (2, [13, 9], [8, 24, 8], 3, 1, [1, 1], Activation::Relu6),
            (1, [14, 14], [5, 40, 70], 3, 2, [0, 0], Activation::Relu),
            (3, [7, 12], [24, 144, 24], 5, 1, [2, 2], Activation::Silu),
            (2, [11, 6], [16, 80, 33], 5, 2, [2, 1], Activation::Relu6),
            (2, [5, 5], [32, 32, 16], 3, 1, [1, 1], Activation::Relu6),
            (1, [1, 3], [70, 70, 70], 5, 1, [2, 2], Activation::Relu),
        ] {
            let x = wave(&[batch, sides[0], sides[1], input], 0.37);
            let widens = input != channels;
            let layers = [
                (wave(&[channels, input, 1, 1], 0.71) * 0.5, wave(&[channels], 1.1)),
                (wave(&[channels, 1, kernel, kernel], 0.53) * 0.4, wave(&[channels], 1.7)),
                (wave(&[output, channels, 1, 1], 0.91) * 0.2, wave(&[output], 2.3)),
            ];
            let act = |x: &Tensor| match activation {
                Activation::Relu => x.relu(),
                Activation::Silu => x.silu(),
                _ => x.clamp(0, 6),
            };
            let after = |axis: usize| {
                let places = (sides[axis] + stride - 1) / stride;
                ((places - 1) * stride + kernel - sides[axis] - before[axis]).max(0)
            };
            let conv = |x: &Tensor, (weight, bias): &(Tensor, Tensor), stride: i64, groups: i64| {
                x.conv2d(weight, Some(bias), [stride; 2], [0, 0], [1, 1], groups)
            };
            let first = x.permute([0, 3, 1, 2]);
            let wide = if widens { act(&conv(&first, &layers[0], 1, 1)) } else { first.shallow_clone() };
            let wide = wide.constant_pad_nd([before[1], after(1), before[0], after(0)]);
            let seen = act(&conv(&wide, &layers[1], stride, channels));
            let narrow = conv(&seen, &layers[2], 1, 1);
            let residual = stride == 1 && input == output;
            let want = if residual { narrow + &first } else { narrow }.permute([0, 2, 3, 1]);

            let single = layers.each_ref().map(|(w, b)| (w.to_kind(Kind::Float), b.to_kind(Kind::Float)));
            let of = |i: usize| (&single[i].0, &single[i].1);
            let expand = widens.then(|| of(0));
            let made = Bottleneck::new(expand, of(1), of(2), stride, activation, residual).unwrap();
            let x = x.to_kind(Kind::Float);
            let found = made.forward(&x, before).unwrap();
            assert_eq!(found.size(), want.size());
            let off = (&found - &want).abs().max().double_value(&[]);
            assert!(off < 1e-5, "{input} {channels} {output}, {kernel} by {stride}: {off}");
            for (rows, pieces) in [(1, 1), (2, 3), (3, 2), (100, 5)] {
                assert!(made.run(&x, before, rows, pieces).unwrap() == found, "{rows} rows, {pieces} pieces");
            }
            let alone = made.forward(&x.narrow(0, batch - 1, 1), before).unwrap();
            assert!(alone == found.narrow(0, batch - 1, 1));
            assert!(made.forward(&x.narrow(3, 1, input - 1), before).is_err());
            assert!(made.forward(&x, [kernel, 0]).is_err());
            assert_eq!(made.forward(&x.narrow(0, 0, 0), before).unwrap().size()[0], 0);
        }
        let of = |shape: &[i64]| wave(shape, 0.3).to_kind(Kind::Float);
        let (wide, seen, narrow, bias) =
            (of(&[32, 8, 1, 1]), of(&[32, 1, 3, 3]), of(&[8, 16, 1, 1]), of(&[32]));
        let e = Bottleneck::new(
            Some((&wide, &bias)),
            (&seen, &bias),
            (&narrow, &bias),
            1,
            Activation::Relu,
            false,
        );
        assert!(e.unwrap_err().to_string().contains("8 → 32, 32 x 3 x 3 by 1, 16 → 8"));
    }
}
