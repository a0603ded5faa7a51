//! Any operator of libtorch by its schema name, through `c10::Dispatcher`.

use crate::ffi::{self, UteCall};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// One argument of an operator, in the schema's order. Arguments left off the end take the schema's defaults.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// `None` for an optional argument.
    None,
    /// `int`, `SymInt`, or an integer `Scalar`.
    Int(i64),
    /// `float`, or a floating `Scalar`.
    Double(f64),
    /// `bool`.
    Bool(bool),
    /// `str`.
    Str(&'a str),
    /// `Tensor`.
    Tensor(&'a Tensor),
    /// `Tensor[]`.
    Tensors(&'a [&'a Tensor]),
    /// `Tensor?[]`.
    OptionalTensors(&'a [Option<&'a Tensor>]),
    /// `int[]`.
    Ints(&'a [i64]),
    /// `float[]`, `Scalar[]` or `Scalar?[]`.
    Doubles(&'a [f64]),
    /// `ScalarType`.
    Kind(Kind),
}

/// Drops the C++ call whatever way the function is left.
struct Call(*mut UteCall);

impl Drop for Call {
    fn drop(&mut self) {
        // SAFETY: made by `ute_call_new`, dropped once.
        unsafe { ffi::ute_call_drop(self.0) }
    }
}

/// Calls the operator `name` (`"aten::mul.Tensor"`, `"aten::_fused_adamw_"`) and returns its tensors in order.
/// Lists are flattened; an undefined tensor is left out.
///
/// # Errors
/// No such operator, arguments that do not fit its schema, or the operator's own refusal.
pub fn call(name: &str, args: &[Arg]) -> Result<Vec<Tensor>> {
    let (base, overload) = match name.split_once("::").and_then(|(_, n)| n.split_once('.')) {
        Some((_, overload)) => (&name[..name.len() - overload.len() - 1], overload),
        None => (name, ""),
    };
    let (c_base, c_overload) = (ffi::c_string(base)?, ffi::c_string(overload)?);
    let mut raw = std::ptr::null_mut();
    // SAFETY: both strings live through the call; `raw` is set when null is returned.
    ffi::check(name, unsafe { ffi::ute_call_new(c_base.as_ptr(), c_overload.as_ptr(), &mut raw) })?;
    let call = Call(raw);
    for arg in args {
        push(&call, arg)?;
    }
    let mut n = 0;
    // SAFETY: the call was made above; the C++ side checks the stack against the schema before it runs.
    ffi::check(name, unsafe { ffi::ute_call_run(call.0, &mut n) })?;
    let mut out = vec![std::ptr::null_mut(); n];
    // SAFETY: `out` has room for the `n` tensors; each is owned by us from here on.
    unsafe {
        ffi::ute_call_take(call.0, out.as_mut_ptr());
        Ok(out.into_iter().filter_map(|p| ffi::own(p)).collect())
    }
}

/// [`call`] for an operator with exactly one result.
///
/// # Errors
/// As [`call`], and when there is another number of results.
pub fn call_one(name: &str, args: &[Arg]) -> Result<Tensor> {
    let mut out = call(name, args)?;
    match (out.pop(), out.len()) {
        (Some(t), 0) => Ok(t),
        (None, _) => Err(Error::Outputs { op: name.to_owned(), expected: 1, found: 0 }),
        (Some(_), rest) => Err(Error::Outputs { op: name.to_owned(), expected: 1, found: rest + 1 }),
    }
}

fn push(call: &Call, arg: &Arg) -> Result<()> {
    let c = call.0;
    // SAFETY: `c` is alive; every pointer passed lives through its call, and C++ copies what it keeps.
    unsafe {
        match *arg {
            Arg::None => ffi::ute_push_none(c),
            Arg::Int(v) => ffi::ute_push_int(c, v),
            Arg::Double(v) => ffi::ute_push_double(c, v),
            Arg::Bool(v) => ffi::ute_push_bool(c, v),
            Arg::Str(v) => ffi::ute_push_str(c, ffi::c_string(v)?.as_ptr()),
            Arg::Tensor(v) => ffi::ute_push_tensor(c, v.as_ptr()),
            Arg::Tensors(v) => {
                let p = ffi::pointers(v.iter().map(|t| Some(*t)));
                ffi::ute_push_tensors(c, p.as_ptr(), p.len());
            }
            Arg::OptionalTensors(v) => {
                let p = ffi::pointers(v.iter().copied());
                ffi::ute_push_optional_tensors(c, p.as_ptr(), p.len());
            }
            Arg::Ints(v) => ffi::ute_push_ints(c, v.as_ptr(), v.len()),
            Arg::Doubles(v) => ffi::ute_push_doubles(c, v.as_ptr(), v.len()),
            Arg::Kind(k) => ffi::ute_push_int(c, scalar_type(k)?),
        }
    }
    Ok(())
}

/// The number of a kind in `c10::ScalarType`, which is part of libtorch's serialised formats and so stable.
fn scalar_type(kind: Kind) -> Result<i64> {
    Ok(match kind {
        Kind::Uint8 => 0,
        Kind::Int8 => 1,
        Kind::Int16 => 2,
        Kind::Int => 3,
        Kind::Int64 => 4,
        Kind::Half => 5,
        Kind::Float => 6,
        Kind::Double => 7,
        Kind::Bool => 11,
        Kind::BFloat16 => 15,
        other => {
            return Err(Error::Torch {
                what: "argument".into(),
                message: format!("no ScalarType for {other:?}"),
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn calls_an_operator_with_an_overload() {
        let a = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        let b = Tensor::from_slice(&[4f32, 5.0, 6.0]);
        let c = call_one("aten::mul.Tensor", &[Arg::Tensor(&a), Arg::Tensor(&b)]).unwrap();
        assert_eq!(Vec::<f32>::try_from(c).unwrap(), [4.0, 10.0, 18.0]);
    }

    #[test]
    fn fills_defaults_and_returns_several() {
        let a = Tensor::from_slice(&[3f32, 1.0, 2.0]);
        let out = call("aten::sort", &[Arg::Tensor(&a)]).unwrap();
        assert_eq!(Vec::<f32>::try_from(&out[0]).unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(Vec::<i64>::try_from(&out[1]).unwrap(), [1, 2, 0]);
    }

    #[test]
    fn lists_of_tensors_and_scalars() {
        let mut a =
            [Tensor::ones([2], (Kind::Float, Device::Cpu)), Tensor::ones([3], (Kind::Float, Device::Cpu))];
        let refs: Vec<&Tensor> = a.iter().collect();
        call("aten::_foreach_mul_.Scalar", &[Arg::Tensors(&refs), Arg::Double(3.0)]).unwrap();
        assert_eq!(a[1].f_sum(Kind::Float).unwrap().double_value(&[]), 9.0);
        a[0] = Tensor::new();
    }

    #[test]
    fn int_lists_kinds_and_strings() {
        let a = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
        let s = call_one(
            "aten::sum.dim_IntList",
            &[Arg::Tensor(&a), Arg::Ints(&[1]), Arg::Bool(false), Arg::Kind(Kind::Double)],
        )
        .unwrap();
        assert_eq!((s.kind(), s.size()), (Kind::Double, vec![2]));
        let g = call_one("aten::gelu", &[Arg::Tensor(&a), Arg::Str("tanh")]).unwrap();
        assert!((g.double_value(&[0, 0]) - 0.841192).abs() < 1e-5);
    }

    #[test]
    fn refuses_what_does_not_exist_or_fit() {
        let a = Tensor::from_slice(&[1f32]);
        let e = call("aten::no_such_thing", &[]).unwrap_err().to_string();
        assert!(e.contains("no operator aten::no_such_thing"), "{e}");
        let e = call("aten::mul.Tensor", &[Arg::Tensor(&a)]).unwrap_err().to_string();
        assert!(e.contains("other is missing"), "{e}");
        let e = call("aten::mul.Tensor", &[Arg::Tensor(&a), Arg::Str("x")]).unwrap_err().to_string();
        assert!(e.contains("mul"), "{e}");
        assert!(call("aten::\0", &[]).is_err());
    }
}
