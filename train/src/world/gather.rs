//! What every rank has, on every rank.

use super::{World, on_host, zeros};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Kind, Tensor};

/// Rows of all ranks, one rank's behind another's.
#[derive(Debug)]
pub struct Gathered {
    /// `[Σ n, D]`.
    pub rows: Tensor,
    /// How many are each rank's.
    pub counts: Vec<usize>,
}

impl Gathered {
    /// Where this rank's begin.
    pub fn first(&self, rank: usize) -> usize {
        self.counts.iter().take(rank).sum()
    }
}

impl World {
    /// The bytes of every rank, in the order of ranks.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        if self.is_alone() {
            return Ok(vec![own.to_vec()]);
        }
        let count = Tensor::f_from_slice(&[own.len() as i64])?;
        let counts = self.every(&count)?;
        let counts: Vec<i64> = counts.iter().map(|count| count.int64_value(&[0])).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return Ok(counts.iter().map(|_| Vec::new()).collect());
        }
        let padded = zeros(&[most], Kind::Uint8)?;
        if !own.is_empty() {
            padded.f_narrow(0, 0, own.len() as i64)?.f_copy_(&Tensor::f_from_slice(own)?)?;
        }
        let all = self.every(&padded)?;
        all.iter().zip(counts).map(|(of, n)| Ok(Vec::<u8>::try_from(of.f_narrow(0, 0, n)?)?)).collect()
    }

    /// What every rank says, in the order of ranks.
    ///
    /// # Errors
    /// As [`meet`](Self::meet); ranks of another version of this program.
    pub fn gather<T: Serialize + DeserializeOwned>(&self, own: &T) -> Result<Vec<T>> {
        let wrong = |e: serde_json::Error| Error::World {
            message: format!("what a rank said cannot be read ({e}): are all of one version?"),
        };
        let all = self.gather_bytes(&serde_json::to_vec(own).map_err(wrong)?)?;
        all.iter().map(|said| serde_json::from_slice(said).map_err(wrong)).collect()
    }

    /// The rows `[n, width]` of every rank; n may differ, and be none. Without a graph.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn gather_rows(&self, own: Option<&Tensor>, counts: &[usize], width: i64) -> Result<Gathered> {
        let most = counts.iter().copied().max().unwrap_or(0) as i64;
        let counts = counts.to_vec();
        // One width of number for all: of what is shorter nothing is lost.
        let padded = zeros(&[most, width], Kind::Float)?;
        if let Some(own) = own {
            padded.f_narrow(0, 0, own.size2()?.0)?.f_copy_(&on_host(own)?)?;
        }
        let all = self.every(&padded)?;
        let real = all.iter().zip(&counts).map(|(of, n)| of.f_narrow(0, 0, *n as i64));
        let real = real.collect::<Result<Vec<_>, _>>()?;
        Ok(Gathered { rows: Tensor::f_cat(&real, 0)?, counts })
    }

    /// A tensor of every rank, all of one shape, in the order of ranks.
    fn every(&self, own: &Tensor) -> Result<Vec<Tensor>> {
        let Some(shared) = &self.0 else { return Ok(vec![own.shallow_clone()]) };
        let all: Vec<Tensor> =
            (0..self.size()).map(|_| zeros(&own.size(), own.kind())).collect::<Result<_>>()?;
        let work = shared.begin(shared.gathered(own), |group| group.all_gather(&all, own))?;
        shared.finish(work)?;
        Ok(all)
    }
}
