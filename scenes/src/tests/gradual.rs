#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use super::*;

/// An image of its own for each seed, moving a little with `n`.
fn scene(seed: u32, n: u32) -> Vec<f32> {
    (0..48 * 27)
        .flat_map(|i| {
            let (x, y) = ((i % 48) as f32 + n as f32 / 12.0, (i / 48) as f32);
            let s = seed as f32;
            let at = |c: f32| 128.0 + 90.0 * ((x * (0.11 + 0.07 * s) + y * (0.23 - 0.05 * s) + c * s).sin());
            [at(1.0), at(2.0), at(3.0)]
        })
        .collect()
}

fn mini(pixels: &[f32]) -> Mini {
    let bytes: Vec<u8> = pixels.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    Mini::of(&bytes, 48, 27)
}

fn blend(a: &[f32], b: &[f32], part: f32) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + part * (b - a)).collect()
}

fn found(frames: impl IntoIterator<Item = Vec<f32>>) -> Vec<(EventKind, u64, u64)> {
    let mut finder = GradualFinder::new(GradualSettings::default());
    for frame in frames {
        finder.push(mini(&frame));
    }
    finder.finish().iter().map(|g| (g.kind, g.start, g.end)).collect()
}

#[test]
fn a_dissolve_has_a_start_and_an_end() {
    for length in [8u32, 12, 25, 40] {
        let frames = (0..60 + length).map(|n| {
            let part = (n as f32 - 29.0) / (length + 1) as f32;
            blend(&scene(1, n), &scene(2, n), part.clamp(0.0, 1.0))
        });
        // Frames 30 .. 30 + length are mixed.
        let events = found(frames);
        assert_eq!(events.len(), 1, "{length}: {events:?}");
        let (kind, start, end) = events[0];
        assert_eq!(kind, EventKind::Dissolve);
        // What moves meanwhile blurs the ends of long ones.
        let slack = 2 + u64::from(length) / 6;
        assert!(
            start.abs_diff(30) <= slack && end.abs_diff(30 + u64::from(length)) <= slack,
            "{length}: {events:?}"
        );
    }
}

#[test]
fn a_fade_out_and_in_is_one_event_and_a_blank_end_is_one_too() {
    let black = vec![0.0; 48 * 27 * 3];
    let frames = (0..90).map(|n| match n {
        0..30 => scene(1, n),
        30..42 => blend(&scene(1, n), &black, (n - 29) as f32 / 13.0),
        42..48 => black.clone(),
        48..60 => blend(&black, &scene(2, n), (n - 47) as f32 / 13.0),
        _ => scene(2, n),
    });
    let events = found(frames);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].0 == EventKind::Fade && events[0].1.abs_diff(30) <= 2 && events[0].2.abs_diff(60) <= 2);
    // Two of them, a second of image between: two events.
    let frames = (0..150).map(|n| match n {
        0..30 => scene(1, n),
        30..42 => blend(&scene(1, n), &black, (n - 29) as f32 / 13.0),
        42..54 => blend(&black, &scene(2, n), (n - 41) as f32 / 13.0),
        54..74 => scene(2, n),
        74..86 => blend(&scene(2, n), &black, (n - 73) as f32 / 13.0),
        86..98 => blend(&black, &scene(1, n), (n - 85) as f32 / 13.0),
        _ => scene(1, n),
    });
    assert_eq!(found(frames).len(), 2);
    let white = vec![255.0; 48 * 27 * 3];
    let frames = (0..60).map(|n| blend(&scene(1, n), &white, ((n as f32 - 29.0) / 13.0).clamp(0.0, 1.0)));
    let events = found(frames);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].0 == EventKind::Fade && events[0].1.abs_diff(30) <= 2);
}

#[test]
fn a_flash_is_seen_and_is_no_fade() {
    for length in [1u32, 2, 4] {
        let frames = (0..60).map(|n| match (30..30 + length).contains(&n) {
            true => scene(1, n).iter().map(|v| v + 90.0).collect(),
            false => scene(1, n),
        });
        assert_eq!(found(frames), [(EventKind::Flash, 30, 30 + u64::from(length))], "{length}");
    }
}

#[test]
fn cuts_pans_and_changes_of_light_are_none_of_them() {
    assert_eq!(found((0..60).map(|n| scene(if n < 30 { 1 } else { 2 }, n))), []);
    // The image moves by a cell a frame.
    assert_eq!(found((0..80).map(|n| scene(1, n * 24))), []);
    let light = |n: u32| scene(1, 0).iter().map(|v| v * (0.4 + 0.6 * n as f32 / 50.0)).collect::<Vec<f32>>();
    assert_eq!(found((0..50).map(light)), []);
    assert_eq!(found([]), []);
    assert_eq!(found([scene(1, 0)]), []);
    // A dark image that stays is no flash when it grows light for good.
    assert_eq!(found((0..40).map(|n| if n < 20 { vec![20.0; 3888] } else { vec![120.0; 3888] })), []);
}
