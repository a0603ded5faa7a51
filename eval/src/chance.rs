//! What blind guessing reaches: the hypergeometric law of the first relevant item.

/// Probability that at least one of `relevant` items stands among the first `k` of `gallery` items in random order.
///
/// `1 − C(gallery − relevant, k) / C(gallery, k)`, computed as a product so that nothing overflows.
pub fn recall_at(k: usize, gallery: usize, relevant: usize) -> f64 {
    let relevant = relevant.min(gallery);
    let wrong = gallery - relevant;
    if relevant == 0 || k == 0 {
        return 0.0;
    }
    if k > wrong {
        return 1.0;
    }
    // Either factorisation is exact; the one with fewer factors is also the quicker and the more accurate.
    let miss: f64 = if k <= relevant {
        (0..k).map(|i| (wrong - i) as f64 / (gallery - i) as f64).product()
    } else {
        (0..relevant).map(|i| (gallery - k - i) as f64 / (gallery - i) as f64).product()
    };
    1.0 - miss
}

/// Expected 1-based position of the first of `relevant` items among `gallery` items in random order.
pub fn first_position(gallery: usize, relevant: usize) -> f64 {
    (gallery + 1) as f64 / (relevant + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every subset of positions that the relevant items may take, counted by bit masks.
    fn enumerate(k: usize, gallery: usize, relevant: usize) -> (f64, f64) {
        let (mut hits, mut first, mut all) = (0u32, 0u32, 0u32);
        for mask in 1u32..1 << gallery {
            if mask.count_ones() as usize == relevant {
                all += 1;
                hits += u32::from((mask.trailing_zeros() as usize) < k);
                first += mask.trailing_zeros() + 1;
            }
        }
        (f64::from(hits) / f64::from(all), f64::from(first) / f64::from(all))
    }

    #[test]
    fn agrees_with_enumeration() {
        for gallery in 1..=10 {
            for relevant in 1..=gallery {
                for k in 0..=gallery + 1 {
                    let (hit, first) = enumerate(k, gallery, relevant);
                    assert!(
                        (recall_at(k, gallery, relevant) - hit).abs() < 1e-12,
                        "{k} {gallery} {relevant}"
                    );
                    assert!(
                        (first_position(gallery, relevant) - first).abs() < 1e-12,
                        "{gallery} {relevant}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_relevant_item_is_k_over_n() {
        assert!((recall_at(10, 1238, 1) - 10.0 / 1238.0).abs() < 1e-15);
        assert_eq!(recall_at(10, 0, 0), 0.0);
        assert_eq!(recall_at(5, 3, 9), 1.0);
    }
}
