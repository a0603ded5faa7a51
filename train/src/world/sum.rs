//! Gradients of all ranks added up, and parameters handed on.

use super::{World, on_host, zeros};
use crate::Result;
use tch::{Kind, Tensor};
use unisono_encoders::Params;
use unisono_torch_ext::c10d::{Reduce, Work};

/// Bytes of a bucket: while one is on its way the next is filled.
const BUCKET: usize = 25 << 20;

/// Tensors that travel as one, flat.
struct Bucket {
    flat: Tensor,
    /// Whose.
    of: Vec<usize>,
    work: Work,
}

impl World {
    /// The sums of the gradients of all ranks, of parameters of these shapes; where no rank has one there is none. Alone they are it. All ranks have the same
    /// bits, and a second run has them, too.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn sum(&self, gradients: Vec<Option<Tensor>>, params: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
        let Some(shared) = &self.0 else { return Ok(gradients) };
        let there: Vec<f32> = gradients.iter().map(|g| f32::from(u8::from(g.is_some()))).collect();
        let there = Tensor::f_from_slice(&there)?;
        let work = shared.begin(shared.reduced(&there), |group| group.all_reduce(&there, Reduce::Max))?;
        shared.finish(work)?;
        let there = Vec::<f32>::try_from(there)?;
        let wanted: Vec<usize> =
            (0..params.len()).filter(|i| there.get(*i).is_some_and(|t| *t > 0.0)).collect();
        let mut buckets = Vec::new();
        for of in buckets_of(&wanted, params) {
            let parts = of.iter().map(|i| {
                let own = gradients.get(*i).and_then(Option::as_ref);
                match (own, params.get(*i)) {
                    (Some(own), _) => Ok(on_host(own)?.f_reshape([-1])?),
                    (None, Some(param)) => zeros(&[param.numel() as i64], param.kind()),
                    (None, None) => zeros(&[0], Kind::Float),
                }
            });
            let flat = Tensor::f_cat(&parts.collect::<Result<Vec<_>>>()?, 0)?;
            let work = shared.begin(shared.reduced(&flat), |group| group.all_reduce(&flat, Reduce::Sum))?;
            buckets.push(Bucket { flat, of, work });
        }
        let mut sums: Vec<Option<Tensor>> = params.iter().map(|_| None).collect();
        for Bucket { flat, of, work } in buckets {
            shared.finish(work)?;
            let mut first = 0;
            for i in of {
                let Some(param) = params.get(i) else { continue };
                let n = param.numel() as i64;
                let sum = flat.f_narrow(0, first, n)?.f_view_as(param)?.f_to_device(param.device())?;
                first += n;
                if let Some(place) = sums.get_mut(i) {
                    *place = Some(sum);
                }
            }
        }
        Ok(sums)
    }

    /// Each of `tensors` becomes that of its `owner`, in place: what every rank has of its own goes to all others at once.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn share(&self, tensors: &[&Tensor], owners: &[usize]) -> Result<()> {
        let Some(shared) = &self.0 else { return Ok(()) };
        for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half] {
            let of = |rank: usize| {
                let all = tensors.iter().zip(owners);
                all.filter(move |(t, owner)| **owner == rank && t.kind() == kind).map(|(t, _)| *t)
            };
            let length = |rank| of(rank).map(|t| t.numel() as i64).sum::<i64>();
            let most = (0..self.size()).map(length).max().unwrap_or(0);
            if most == 0 {
                continue;
            }
            let own = zeros(&[most], kind)?;
            let mut first = 0;
            for tensor in of(self.rank()) {
                let n = tensor.numel() as i64;
                own.f_narrow(0, first, n)?.f_copy_(&on_host(tensor)?.f_reshape([-1])?)?;
                first += n;
            }
            let all: Vec<Tensor> = (0..self.size()).map(|_| zeros(&[most], kind)).collect::<Result<_>>()?;
            let work = shared.begin(shared.gathered(&own), |group| group.all_gather(&all, &own))?;
            shared.finish(work)?;
            for (rank, flat) in all.iter().enumerate().filter(|(rank, _)| *rank != self.rank()) {
                let mut first = 0;
                for tensor in of(rank) {
                    let n = tensor.numel() as i64;
                    let given = flat.f_narrow(0, first, n)?.f_view_as(tensor)?;
                    tch::no_grad(|| tensor.shallow_clone().f_copy_(&given))?;
                    first += n;
                }
            }
        }
        Ok(())
    }

    /// The leader's parameters, on every rank: processors of several kinds draw and round a little differently.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn follow_leader(&self, params: &Params) -> Result<()> {
        let all: Vec<&Tensor> = params.iter().map(|(_, p)| &p.tensor).collect();
        all.iter().try_for_each(|tensor| self.broadcast(tensor, 0))
    }

    /// Each of `tensors` becomes the mean of all ranks', in place: running statistics, of which every rank has those of its part of the batches.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn mean(&self, tensors: &[&Tensor]) -> Result<()> {
        if self.is_alone() || tensors.is_empty() {
            return Ok(());
        }
        let own = tensors.iter().map(|t| Ok(Some(t.f_detach_copy()?))).collect::<Result<Vec<_>>>()?;
        for (tensor, sum) in tensors.iter().zip(self.sum(own, tensors)?) {
            let Some(sum) = sum else { continue };
            let mean = sum.f_div_scalar(self.size() as f64)?;
            tch::no_grad(|| tensor.shallow_clone().f_copy_(&mean))?;
        }
        Ok(())
    }
}

/// Parameters in buckets of one kind and of about one size, in their order.
fn buckets_of(wanted: &[usize], params: &[&Tensor]) -> Vec<Vec<usize>> {
    let mut buckets: Vec<Vec<usize>> = Vec::new();
    let (mut kind, mut filled) = (None, 0);
    for i in wanted {
        let Some(param) = params.get(*i) else { continue };
        let bytes = param.numel() * param.kind().elt_size_in_bytes();
        match buckets.last_mut() {
            Some(last) if kind == Some(param.kind()) && filled + bytes <= BUCKET => last.push(*i),
            _ => {
                buckets.push(vec![*i]);
                filled = 0;
            }
        }
        (kind, filled) = (Some(param.kind()), filled + bytes);
    }
    buckets
}
