//! What the optimizers' tests start from, the same as in `fixtures/optimizers.py`.

use tch::Tensor;

/// Three steps of `step(number, params, grads, [state, state])` from three tensors, and where they led.
pub(super) fn three_steps(step: impl Fn(f64, &[&Tensor], &[&Tensor], &[Vec<&Tensor>; 2])) -> Vec<Tensor> {
    let params = [
        Tensor::from_slice2(&[[0.5f32, -1.0, 2.0], [0.25, 0.75, -0.5]]),
        Tensor::from_slice2(&[[1.0f32, 0.5], [-0.25, 0.125], [0.75, -1.5]]),
        Tensor::from_slice(&[0.1f32, -0.2, 0.3]),
    ];
    let zeros = || params.iter().map(Tensor::zeros_like).collect::<Vec<Tensor>>();
    let state = [zeros(), zeros()];
    for k in 0..3 {
        let grad = |p: &Tensor| {
            let n = p.numel() as i64;
            let values: Vec<f32> = (0..n).map(|i| ((i * 7 + k * 5) % 11 - 5) as f32 / 4.0).collect();
            Tensor::from_slice(&values).view_as(p)
        };
        let grads: Vec<Tensor> = params.iter().map(grad).collect();
        let (params, grads) = (params.iter().collect::<Vec<_>>(), grads.iter().collect::<Vec<_>>());
        let state = [state[0].iter().collect(), state[1].iter().collect()];
        step((k + 1) as f64, &params, &grads, &state);
    }
    params.into()
}

/// Every number is as near as that.
pub(super) fn near(found: &[Tensor], expected: &[&[f64]], within: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let found = Vec::<f32>::try_from(found.view([-1])).unwrap();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(*expected) {
            assert!((f64::from(*a) - b).abs() <= within, "{found:?}, expected {expected:?}");
        }
    }
}
