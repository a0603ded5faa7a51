//! From probabilities to shots.

/// First and last frame of each shot, as the reference cuts: a frame above `threshold` belongs to a transition; a shot lasts from the end of one
/// through the first frame of the next. A film of transitions alone is one shot; one without frames has none.
pub fn scenes(probabilities: &[f32], threshold: f32) -> Vec<[usize; 2]> {
    let (mut shots, mut start, mut before) = (Vec::new(), 0, false);
    for (i, p) in probabilities.iter().enumerate() {
        let inside = *p > threshold;
        if before && !inside {
            start = i;
        }
        if !before && inside && i != 0 {
            shots.push([start, i]);
        }
        before = inside;
    }
    match probabilities.len().checked_sub(1) {
        Some(last) if !before => shots.push([start, last]),
        Some(last) if shots.is_empty() => shots.push([0, last]),
        _ => {}
    }
    shots
}

#[cfg(test)]
mod tests {
    use crate::scenes;

    /// What the reference's `predictions_to_scenes` gives.
    #[test]
    fn cuts_are_the_references() {
        let cut = |bits: &str| {
            let p: Vec<f32> = bits.chars().map(|c| if c == '1' { 0.9 } else { 0.1 }).collect();
            scenes(&p, 0.5)
        };
        assert_eq!(cut("0000"), [[0, 3]]);
        assert_eq!(cut("00100"), [[0, 2], [3, 4]]);
        assert_eq!(cut("0011100"), [[0, 2], [5, 6]]);
        assert_eq!(cut("1100"), [[2, 3]]);
        assert_eq!(cut("0011"), [[0, 2]]);
        assert_eq!(cut("101"), [[1, 2]]);
        assert_eq!(cut("0"), [[0, 0]]);
        assert_eq!(cut("1"), [[0, 0]]);
        assert_eq!(cut("1111"), [[0, 3]]);
        assert!(cut("").is_empty());
        assert_eq!(scenes(&[0.5, 0.5], 0.5), [[0, 1]]);
    }
}
