//! What follows a text's pooling, module after module.

use crate::Result;
use crate::clips::unit;
use crate::config::{DenseActivation, ModuleConfig};
use tch::Tensor;
use unisono_nn::{LayerNorm, Linear, Scope};

/// A module with its parameters.
#[derive(Debug)]
enum Module {
    Dense { linear: Linear, activation: DenseActivation, residual: Residual },
    LayerNorm(LayerNorm),
    Normalize,
}

/// What of its input a dense module adds to its output.
#[derive(Debug)]
enum Residual {
    None,
    Same,
    Linear(Linear),
}

/// Modules, one after another.
#[derive(Debug)]
pub(crate) struct Modules(Vec<Module>);

impl Modules {
    /// Under `scope`, each by its number, for vectors of `width`.
    pub fn new(scope: &Scope, modules: &[ModuleConfig], mut width: i64) -> Result<Self> {
        let mut made = Vec::with_capacity(modules.len());
        for (i, module) in modules.iter().enumerate() {
            let scope = scope.child(i);
            let std = (width as f64).powf(-0.5);
            made.push(match *module {
                ModuleConfig::Dense { width: out, bias, activation, residual } => Module::Dense {
                    linear: Linear::new(&scope, width, out, bias, std)?,
                    activation,
                    residual: match residual {
                        false => Residual::None,
                        true if out == width => Residual::Same,
                        true => {
                            Residual::Linear(Linear::new(&scope.child("residual"), width, out, false, std)?)
                        }
                    },
                },
                ModuleConfig::LayerNorm { eps } => Module::LayerNorm(LayerNorm::new(&scope, width, eps)?),
                ModuleConfig::Normalize => Module::Normalize,
            });
            width = module.out_width(width);
        }
        Ok(Self(made))
    }

    /// `[B, W]` → `[B, W']`.
    pub fn forward(&self, mut x: Tensor) -> Result<Tensor> {
        for module in &self.0 {
            x = module.forward(&x)?;
        }
        Ok(x)
    }
}

impl Module {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense { linear, activation, residual } => {
                let y = activation.forward(linear.forward(x)?)?;
                Ok(match residual {
                    Residual::None => y,
                    Residual::Same => y.f_add(x)?,
                    Residual::Linear(residual) => y.f_add(&residual.forward(x)?)?,
                })
            }
            Self::LayerNorm(norm) => Ok(norm.forward(x)?),
            Self::Normalize => unit(x),
        }
    }
}

impl DenseActivation {
    /// Applied to every element.
    fn forward(self, x: Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => x,
            Self::Tanh => x.f_tanh()?,
            Self::Relu => x.f_relu()?,
            Self::Relu6 => x.f_relu6()?,
            Self::LeakyRelu => x.f_leaky_relu()?,
            Self::Elu => x.f_elu()?,
            Self::Selu => x.f_selu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::Silu => x.f_silu()?,
            Self::Mish => x.f_mish()?,
            Self::Sigmoid => x.f_sigmoid()?,
            Self::Softplus => x.f_softplus()?,
            Self::Softsign => x.f_div(&x.f_abs()?.f_add_scalar(1.0)?)?,
            Self::Hardtanh => x.f_hardtanh()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn each_activation_is_its_formula() {
        let softplus = |x: f64| (1.0 + x.exp()).ln();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        type Formula<'a> = &'a dyn Fn(f64) -> f64;
        let formulas: [(DenseActivation, Formula); 13] = [
            (DenseActivation::Identity, &|x| x),
            (DenseActivation::Tanh, &|x| (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
            (DenseActivation::Relu, &|x| x.max(0.0)),
            (DenseActivation::Relu6, &|x| x.clamp(0.0, 6.0)),
            (DenseActivation::LeakyRelu, &|x| if x < 0.0 { x / 100.0 } else { x }),
            (DenseActivation::Elu, &|x| if x < 0.0 { x.exp() - 1.0 } else { x }),
            (DenseActivation::Selu, &|x| {
                1.050_700_987_355_480_5 * if x < 0.0 { 1.673_263_242_354_377_2 * (x.exp() - 1.0) } else { x }
            }),
            (DenseActivation::Silu, &|x| x * sigmoid(x)),
            (DenseActivation::Mish, &|x| x * softplus(x).tanh()),
            (DenseActivation::Sigmoid, &sigmoid),
            (DenseActivation::Softplus, &softplus),
            (DenseActivation::Softsign, &|x| x / (1.0 + x.abs())),
            (DenseActivation::Hardtanh, &|x| x.clamp(-1.0, 1.0)),
        ];
        for (activation, formula) in formulas {
            for x in [-2.5, -0.4, 0.0, 0.9, 7.0] {
                let found = activation.forward(Tensor::from_slice(&[x])).unwrap().double_value(&[0]);
                assert!((found - formula(x)).abs() < 1e-7, "{activation:?}({x}): {found}, {}", formula(x));
            }
        }
        assert_eq!(DenseActivation::NAMES.len(), formulas.len() + 1);
    }

    /// A residual of the same width is what came in, one of another goes through its own layer; widths follow each other.
    #[test]
    fn modules_follow_each_other() {
        let dense = |width, residual| ModuleConfig::Dense {
            width,
            bias: true,
            activation: DenseActivation::Identity,
            residual,
        };
        let all =
            [dense(3, true), dense(3, true), ModuleConfig::LayerNorm { eps: 1e-5 }, ModuleConfig::Normalize];
        let root = Scope::root(1, Device::Cpu);
        let modules = Modules::new(&root, &all, 2).unwrap();
        let params = root.finish();
        let names: Vec<&str> = params.iter().map(|(n, _)| n).collect();
        let named = ["0.bias", "0.residual.weight", "0.weight", "1.bias", "1.weight", "2.bias", "2.weight"];
        assert_eq!(names, named);
        let get = |name: &str| params.get(name).unwrap().tensor.detach();
        let x = Tensor::from_slice(&[0.3f32, -1.2, 2.0, 0.1]).view([2, 2]);
        let one = x.matmul(&(get("0.weight") + get("0.residual.weight")).transpose(0, 1));
        let two = one.matmul(&get("1.weight").transpose(0, 1)) + &one;
        let centred = &two - two.mean_dim([-1i64].as_slice(), true, tch::Kind::Float);
        let want =
            &centred / centred.square().sum_dim_intlist([-1i64].as_slice(), true, tch::Kind::Float).sqrt();
        let found = tch::no_grad(|| modules.forward(x).unwrap());
        assert!((found - want).abs().max().double_value(&[]) < 1e-5);
    }
}
