//! How much arithmetic the towers ask for: floating-point operations of a forward pass, two a multiply-add, of one input. Norms,
//! activations and pooling are left out, so that a rate computed from it is a lower bound.

use super::{
    AudioConfig, FramePooling, HtsatConfig, ImageConfig, ModelConfig, ProjectionConfig, SpectrogramConfig,
    StemConfig, TextConfig, TransformerConfig,
};

impl ProjectionConfig {
    fn flops(self, width: i64, dim: i64) -> f64 {
        let (w, d) = (width as f64, dim as f64);
        match self {
            Self::None => 0.0,
            Self::Linear { .. } => 2.0 * w * d,
            Self::Mlp { hidden, .. } => 2.0 * hidden as f64 * (w + d),
        }
    }
}

impl TextConfig {
    /// Of a text of `t` tokens, padding included; `dim`: the shared space's.
    pub fn flops(&self, t: i64, dim: i64) -> f64 {
        // A class token follows the padded context.
        let t = if self.class_token.is_some() { self.context_length + 1 } else { t };
        self.transformer.flops(t) + self.projection.flops(self.out_width(), dim)
    }
}

impl ImageConfig {
    /// Of an image of this height and width; `dim`: the shared space's.
    pub fn flops(&self, sides: [i64; 2], dim: i64) -> f64 {
        self.flops_of(sides, dim, |patches| patches)
    }

    /// [`flops`](Self::flops) where of so many patches the blocks see `seen`.
    pub fn flops_of(&self, sides: [i64; 2], dim: i64, seen: impl Fn(i64) -> i64) -> f64 {
        let tower = match self {
            Self::Transformer(c) => {
                let [h, w] = c.stem.grid(sides);
                let tokens = c.prefix + seen(h * w);
                c.stem.flops(sides, 3, c.transformer.width, false) + c.transformer.flops(tokens)
            }
            Self::EfficientNet(c) => c.flops(sides),
        };
        tower + self.projection().flops(self.out_width(), dim)
    }
}

impl SpectrogramConfig {
    fn flops(&self, frames: i64, dim: i64) -> f64 {
        let input = [frames, self.mels];
        let [t, bands] = self.stem.grid(input);
        let tokens = if self.grid { self.prefix + t * bands } else { t };
        self.stem.flops(input, 1, self.transformer.width, !self.grid)
            + self.transformer.flops(tokens)
            + self.projection.flops(self.out_width(), dim)
    }
}

impl AudioConfig {
    /// Of an audio file of so many frames, padding included; `dim`: the shared space's.
    pub fn flops(&self, frames: i64, dim: i64) -> f64 {
        match self {
            Self::Transformer(c) => c.flops(frames, dim),
            Self::Htsat(c) => c.flops() + c.projection.flops(c.out_width(), dim),
        }
    }
}

impl ModelConfig {
    /// Of the video tower over `n` clips of `frames` frames, which the image tower has seen.
    pub fn video_flops(&self, (n, frames): (i64, i64)) -> f64 {
        let width = self.image.as_ref().map_or(0, ImageConfig::out_width);
        let each = match self.video.as_ref().map(|v| &v.pooling) {
            None | Some(FramePooling::Mean) => 0.0,
            Some(FramePooling::Temporal { transformer: t }) => {
                t.flops(frames) + 2.0 * (frames * t.width * (width + self.embed_dim)) as f64
            }
            Some(FramePooling::Integration { transformer }) => transformer.flops(frames),
        };
        // Every frame's vector is projected; the image tower counts its own pooled one.
        n as f64 * each
    }
}

impl StemConfig {
    /// One input through the stem and the layer that gives it the blocks' width.
    fn flops(&self, input: [i64; 2], channels: i64, width: i64, folded: bool) -> f64 {
        let [h, w] = self.grid(input);
        match self {
            Self::Frames { strides, .. } => {
                let (mut frames, mut from, mut sum) = (input[0], input[1], 0.0);
                for stride in strides {
                    frames = (frames + stride - 1) / stride;
                    sum += 6.0 * (frames * from * width) as f64;
                    from = width;
                }
                sum
            }
            Self::Patch { size, .. } => {
                let patch = 2.0 * (h * w * channels * size[0] * size[1] * width) as f64;
                patch + if folded { 2.0 * (h * w * width * width) as f64 } else { 0.0 }
            }
            Self::Conv { layers, .. } => {
                let (mut at, mut from, mut sum) = (input, channels, 0.0);
                for l in layers {
                    at = [(at[0] + l.stride[0] - 1) / l.stride[0], (at[1] + l.stride[1] - 1) / l.stride[1]];
                    sum += 2.0 * 9.0 * (at[0] * at[1] * from * l.channels) as f64;
                    from = l.channels;
                }
                sum + 2.0 * (h * w * from * width) as f64
            }
        }
    }
}

impl HtsatConfig {
    /// Of an audio file, whatever its length: it fills the square.
    fn flops(&self) -> f64 {
        let mut grid = [self.size / self.stride[0], self.size / self.stride[1]];
        let patch = self.patch[0] * self.patch[1] * self.width;
        let mut sum = 2.0 * (grid[0] * grid[1] * patch) as f64;
        for (stage, (depth, heads)) in self.depths.iter().zip(&self.heads).enumerate() {
            let (width, window) = (self.width << stage, self.window.min(grid[0]).min(grid[1]));
            let blocks = TransformerConfig {
                mlp_ratio: self.mlp_ratio,
                ..TransformerConfig::new(width, *depth, *heads)
            };
            // Tokens attend within their windows.
            let windows = (grid[0] * grid[1]) as f64 / (window * window) as f64;
            sum += windows * blocks.flops(window * window);
            if stage + 1 < self.depths.len() {
                grid = grid.map(|g| (g + 1) / 2);
                sum += 2.0 * (grid[0] * grid[1] * 4 * width * 2 * width) as f64;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use crate::ModelConfig;

    /// Layer by layer, by hand.
    #[test]
    fn operations_are_those_of_the_layers() {
        let text = r#"{"embed_dim": 6,
            "text": {"vocab_size": 9, "context_length": 7, "pooling": "mean", "transformer": {"width": 8, "depth": 0, "heads": 2}},
            "image": {"size": 8, "stem": {"kind": "patch", "size": [4, 4]}, "pooling": "mean",
                "projection": {"kind": "mlp", "hidden": 5, "activation": "gelu"},
                "transformer": {"width": 8, "depth": 0, "heads": 2}},
            "htsat": {"mels": 4, "size": 8, "patch": [2, 2], "stride": [2, 2], "width": 4, "depths": [1, 1], "heads": [1, 1],
                "window": 2, "mlp_ratio": 2.0, "norm_eps": 1e-5, "stem_norm": false},
            "video": {"frames": 3, "pooling": {"kind": "temporal", "transformer": {"width": 4, "depth": 0, "heads": 1}}}}"#;
        let c: ModelConfig = serde_json::from_str(text).unwrap();
        c.validate().unwrap();
        let (t, i, a) = (c.text.as_ref().unwrap(), c.image.as_ref().unwrap(), c.audio.as_ref().unwrap());
        assert_eq!(t.flops(5, 6), 2.0 * 8.0 * 6.0);
        // Four patches of 3 · 16 numbers; 8 → 5 → 6.
        assert_eq!(i.flops([8, 8], 6), 2.0 * (4.0 * 48.0 * 8.0) + 2.0 * 5.0 * (8.0 + 6.0));
        assert_eq!(c.video_flops((2, 3)), 2.0 * 2.0 * 3.0 * 4.0 * (8.0 + 6.0));
        // 16 patches of 4 numbers; 4 windows of 4 tokens of width 4, merged; 1 window of width 8; projected.
        let window = |w: f64| 4.0 * 2.0 * (4.0 * w * w + 2.0 * w * 2.0 * w) + 2.0 * 2.0 * 16.0 * w;
        let want =
            2.0 * 16.0 * 16.0 + 4.0 * window(4.0) + 2.0 * 4.0 * 16.0 * 8.0 + window(8.0) + 2.0 * 8.0 * 6.0;
        assert_eq!(a.flops(1, 6), want);
    }
}
