use super::*;
use proptest::prelude::*;

fn written(store: Store, values: &[f32], dim: usize) -> (tempfile::TempDir, Codes) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("codes.bin");
    Codes::write(&path, store, values, dim).unwrap();
    let codes = Codes::open(&path, store, values.len() / dim, dim).unwrap();
    (dir, codes)
}

/// How far a score may lie from the true one, for vectors whose numbers are at most 1.
fn bound(store: Store, a: &[f32], b: &[f32]) -> f64 {
    let (n, most) = (a.len() as f64, |v: &[f32]| v.iter().fold(0f64, |m, x| m.max(f64::from(x.abs()))));
    match store {
        Store::F32 => 1e-4,
        // Eight bits of a number: it moves by half of the last at most.
        Store::Bf16 => n * most(a) * most(b) / 256.0 + 1e-4,
        // Half a step of each number of both, and of their product.
        _ => n * (most(a) * most(b)) * (1.0 / 127.0 + 1.0 / 64516.0) + 1e-4,
    }
}

proptest! {
    #[test]
    fn scores_are_products_within_half_a_step(
        values in prop::collection::vec(-1f32..1.0, 1..400), query in prop::collection::vec(-1f32..1.0, 1..140),
    ) {
        let dim = query.len();
        let values: Vec<f32> = values.iter().copied().cycle().take(values.len().div_ceil(dim) * dim).collect();
        for store in [Store::F32, Store::Bf16, Store::I8] {
            let (_dir, codes) = written(if store == Store::F32 { Store::Bf16 } else { store }, &values, dim);
            let rows = if store == Store::F32 { Rows::Floats { values: &values, dim } } else { Rows::Codes(&codes) };
            let asked = rows.ask(&query);
            for (row, vector) in values.chunks_exact(dim).enumerate() {
                let naive: f64 = vector.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let far = (f64::from(rows.score(&asked, row)) - naive).abs();
                prop_assert!(far <= bound(store, vector, &query), "{store}: {far}");
            }
            prop_assert_eq!(rows.score(&asked, values.len() / dim), f32::NEG_INFINITY);
        }
    }

    #[test]
    fn signs_are_counted(values in prop::collection::vec(-1f32..1.0, 70..280), dim in 1usize..70) {
        let values = &values[..values.len() / dim * dim];
        let (_dir, codes) = written(Store::B1, values, dim);
        let (rows, query) = (Rows::Codes(&codes), &values[..dim]);
        for (row, vector) in values.chunks_exact(dim).enumerate() {
            let other = vector.iter().zip(query).filter(|(a, b)| (**a > 0.0) != (**b > 0.0)).count();
            let naive = 1.0 - 2.0 * other as f32 / dim as f32;
            prop_assert_eq!(rows.score(&rows.ask(query), row), naive);
        }
    }
}

#[test]
fn bfloat16_is_rounded_to_the_nearest_even() {
    // torch.tensor([1.00390625, 1.01171875, 2.7, -0.1, 3.4e38]).bfloat16().view(torch.int16)
    let (given, expected) =
        ([1.003_906_3f32, 1.011_718_8, 2.7, -0.1, 3.4e38], [16256u16, 16258, 16429, 48589, 32640]);
    assert_eq!(given.map(bf16), expected);
    assert!(f32::from_bits(u32::from(bf16(f32::NAN)) << 16).is_nan());
}

#[test]
fn a_vector_of_zeros_scores_zero_and_other_files_are_refused() {
    let (dir, codes) = written(Store::I8, &[0.0, 0.0, 3.0, -4.0], 2);
    let rows = Rows::Codes(&codes);
    let asked = rows.ask(&[3.0, -4.0]);
    assert!(rows.score(&asked, 0) == 0.0 && (rows.score(&asked, 1) - 25.0).abs() < 0.2);
    let path = dir.path().join("codes.bin");
    for (store, n, dim) in
        [(Store::Bf16, 2, 2), (Store::I8, 3, 2), (Store::I8, 2, 3), (Store::I8, usize::MAX, 2)]
    {
        let said = Codes::open(&path, store, n, dim).unwrap_err().to_string();
        assert!(said.contains("codes.bin") && said.contains("unisono index check"), "{said}");
    }
}
