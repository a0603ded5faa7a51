//! Learned position embeddings.

use crate::config::TransformerConfig;
use crate::{Init, Result, Scope};
use tch::Tensor;

/// The places that tokens can stand at, and a learned vector for each; none in front of rotary blocks, which tell places by themselves,
/// unless their configuration says so ([`RotaryConfig::learned`](crate::config::RotaryConfig)).
#[derive(Debug)]
pub struct Positions {
    /// `[places, W]`.
    table: Option<Tensor>,
    places: i64,
}

impl Positions {
    /// `places` before blocks of `c`, as `position.weight`, normal with `std`.
    ///
    /// # Errors
    /// The name is taken.
    pub fn new(scope: &Scope, c: &TransformerConfig, places: i64, std: f64) -> Result<Self> {
        let init = Init::Normal(std);
        let table = || scope.child("position").param("weight", &[places, c.width], init);
        let learned = c.rotary.is_none_or(|rotary| rotary.learned);
        Ok(Self { table: if learned { Some(table()?) } else { None }, places })
    }

    /// `places` of which nothing is learned.
    pub fn none(places: i64) -> Self {
        Self { table: None, places }
    }

    /// How many places there are.
    pub fn places(&self) -> i64 {
        self.places
    }

    /// The vectors of all places, where they are learned.
    pub fn table(&self) -> Option<&Tensor> {
        self.table.as_ref()
    }

    /// Tokens `[B, T, W]` that stand from place `first` on → the same with what is learned of their places.
    ///
    /// # Errors
    /// Fewer places, or libtorch's.
    pub fn forward(&self, x: Tensor, first: i64) -> Result<Tensor> {
        let Some(table) = &self.table else { return Ok(x) };
        let t = x.size3()?.1;
        Ok(x.f_add(&table.f_narrow(0, first, t)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RotaryConfig;
    use tch::{Device, Kind};

    #[test]
    fn rotary_blocks_have_none_unless_they_say_so() {
        let plain = TransformerConfig::new(4, 1, 2);
        let rotary = |learned| TransformerConfig {
            rotary: Some(RotaryConfig { learned, ..RotaryConfig::default() }),
            ..plain.clone()
        };
        for (config, learned) in [(plain.clone(), true), (rotary(false), false), (rotary(true), true)] {
            let root = Scope::root(1, Device::Cpu);
            let positions = Positions::new(&root, &config, 6, 0.5).unwrap();
            let names: Vec<String> = root.finish().iter().map(|(n, _)| n.to_owned()).collect();
            assert_eq!(names, if learned { vec!["position.weight"] } else { vec![] });
            assert_eq!((positions.places(), positions.table().is_some()), (6, learned));
            let x = Tensor::ones([2, 3, 4], (Kind::Float, Device::Cpu));
            let y = positions.forward(x.shallow_clone(), 2).unwrap();
            match positions.table() {
                Some(table) => assert_eq!(y.get(1), table.narrow(0, 2, 3) + 1.0),
                None => assert_eq!(y, x),
            }
        }
    }

    #[test]
    fn there_are_no_more_places_than_that() {
        let root = Scope::root(1, Device::Cpu);
        let positions = Positions::new(&root, &TransformerConfig::new(4, 1, 2), 6, 0.5).unwrap();
        let x = Tensor::ones([2, 3, 4], (Kind::Float, Device::Cpu));
        assert!(positions.forward(x, 4).is_err());
    }
}
