//! Two hours that never were.

use image::{Rgb, RgbImage};
use std::path::Path;
use unisono_media::video::{Ratio, Time};
use unisono_scenes::record::{
    Event, EventKind, FailureRecord, Label, Moment, Scene, Scores, Shot, Spoken, VideoRecord, VideoScenes,
};

/// 24000/1001 frames a second for two hours.
const FRAMES: u64 = 172_627;
const SCENES: usize = 24;
const BASE: Ratio = Ratio { num: 1, den: 24_000 };

/// A number between 0 and 1 that looks like chance (the finaliser of MurmurHash3).
fn chance(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53_u64] {
        x = (x ^ (x >> 33)).wrapping_mul(factor);
    }
    ((x ^ (x >> 33)) >> 11) as f64 / (1u64 << 53) as f64
}

fn at(frame: u64) -> Moment {
    Moment { frame, time: Time { pts: frame as i64 * 1001, base: BASE } }
}

pub fn video() -> VideoScenes {
    let mut bounds: Vec<u64> = (1..SCENES as u64)
        .map(|i| ((i as f64 + 0.9 * chance(i * 77) - 0.45) / SCENES as f64 * FRAMES as f64) as u64)
        .collect();
    bounds.extend([0, FRAMES]);
    bounds.sort_unstable();
    let (mut shots, mut scenes, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for (index, pair) in bounds.windows(2).enumerate() {
        let (first, count) = (shots.len(), 1 + (chance(index as u64 + 900) * 12.0) as u64);
        for n in 0..count {
            let [start, end] = [n, n + 1].map(|n| pair[0] + (pair[1] - pair[0]) * n / count);
            if start > 0 {
                events.push(event(start, shots.len() as u64));
            }
            shots.push(Shot {
                index: shots.len(),
                start: at(start),
                end: at(end),
                key: at((start + end) / 2),
            });
        }
        scenes.push(scene(index, pair[0], pair[1], (first, shots.len())));
    }
    for n in 0..5 {
        let start = (chance(n + 4000) * FRAMES as f64) as u64;
        let score = 41.0 + n as f64;
        events.push(Event {
            kind: EventKind::Flash,
            start: at(start),
            end: at(start + 3),
            detector: "content".into(),
            score,
        });
    }
    events.sort_by_key(|e| e.start.frame);
    let scores = scores(&events);
    VideoScenes { video: record(), events, shots, scenes, scores }
}

fn event(start: u64, n: u64) -> Event {
    let (kind, length, detector) = match n % 11 {
        4 => (EventKind::Dissolve, 22, "transnet"),
        8 => (EventKind::Fade, 61, "threshold"),
        _ => (EventKind::Cut, 0, "content"),
    };
    let (start, score) = (start - length / 2, 28.0 + 60.0 * chance(n + 31));
    Event { kind, start: at(start), end: at(start + length), detector: detector.into(), score }
}

fn record() -> VideoRecord {
    let name = "The Lighthouse Keeper's Daughter & Other Stories (1958) [Restored from the camera negative, 4K scan, \
        director's commentary].mkv";
    VideoRecord {
        path: Path::new("/archive/films/restorations/1950-1959").join(name),
        size: (1920, 804),
        sizes: Vec::new(),
        rate: Some(Ratio { num: 24_000, den: 1001 }),
        variable_rate: false,
        start: at(0),
        end: at(FRAMES),
        audio: true,
        failures: FailureRecord {
            count: 14,
            first: Some("error while decoding MB 37 21, bytestream -5 <b>not bold</b>".into()),
            places: vec![at(88_211).time, at(88_212).time],
            jumps: Vec::new(),
        },
        detector: "content, threshold, transnet; content.min_length = 12".into(),
    }
}

const CAPTIONS: [&str; 8] = [
    "A woman in a yellow raincoat climbs the spiral stairs of a lighthouse at night.",
    "Two men argue over a chart in a small boat while the sea gets rough.",
    "امرأة ترتدي معطفًا أصفر تنظر إلى البحر من نافذة المنارة.",
    "Close-up of a brass lamp being polished.",
    "A crowded harbour market in the morning; gulls over crates of fish, children running between the stalls, a dog asleep.",
    "灯台の前で子どもが凧を揚げている。",
    "An empty kitchen, a kettle steaming on the stove.",
    "The whole village walks along the beach with lanterns.",
];
const PLACES: [&str; 6] = [
    "lighthouse",
    "fishing boat",
    "kitchen",
    "harbour market",
    "beach at night",
    "living room with a fireplace",
];
const OBJECTS: [&str; 6] = ["lamp", "raincoat", "rope", "kettle", "nautical chart", "lantern"];
const MOODS: [&str; 4] = ["calm", "tense", "joyful", "melancholic"];
const SOUNDS: [&str; 5] = ["wind", "sea waves", "speech", "piano", "gulls"];
const SAID: [(&str, &str); 6] = [
    ("Anna", "You can't go out there tonight, the wind has turned."),
    ("Father", "The lamp has to burn."),
    ("Anna", "Then I'm coming with you."),
    (
        "Father",
        "No. Somebody has to keep the fire, and somebody has to be here when the boats come back in the morning.",
    ),
    ("Anna", "Listen. Did you hear that?"),
    ("Radio", "… south-westerly nine, increasing ten, rain later …"),
];

fn labels(words: &[&str], seed: u64) -> Vec<Label> {
    let first = 0.35 + 0.6 * chance(seed);
    let of = |n: usize| words[(seed as usize + n) % words.len()].to_owned();
    let share = |n: usize| if n == 0 { first } else { (1.0 - first) * 0.6 / n as f64 };
    (0..3).map(|n| Label { label: of(n), probability: share(n) }).collect()
}

fn scene(index: usize, start: u64, end: u64, shots: (usize, usize)) -> Scene {
    let seed = index as u64;
    let spoken = |n: usize| {
        let (speaker, text) = SAID[(index + n) % SAID.len()];
        let begin = at(start).time.seconds() + 3.0 * n as f64;
        Spoken { start: begin, end: begin + 2.4, text: text.into(), speaker: Some(speaker.into()) }
    };
    let sets = [
        ("places", labels(&PLACES, seed)),
        ("objects", labels(&OBJECTS, seed + 7)),
        ("moods", labels(&MOODS, seed + 3)),
    ];
    // One scene of which little is known, and some without an image, audio file, caption or words.
    let bare = index == 3;
    Scene {
        index,
        start: at(start),
        end: at(end),
        shots,
        key: at((start + end) / 2),
        thumbnail: (index % 9 != 5).then(|| format!("thumbnails/{:04}.jpg", index + 1).into()),
        labels: sets.into_iter().filter(|_| !bare).map(|(set, found)| (set.to_owned(), found)).collect(),
        sounds: if index.is_multiple_of(3) { Vec::new() } else { labels(&SOUNDS, seed + 11) },
        caption: (index % 7 != 6).then(|| CAPTIONS[index % CAPTIONS.len()].to_owned()),
        transcript: (0..[0, 2, 4, 9][index % 4]).filter(|_| !bare).map(spoken).collect(),
        embedding: Some(index),
    }
}

fn scores(events: &[Event]) -> Scores {
    let mut rows = Vec::new();
    let mut next = events.iter().filter(|e| e.kind != EventKind::Fade).peekable();
    let fades: Vec<&Event> = events.iter().filter(|e| e.kind == EventKind::Fade).collect();
    for frame in 0..FRAMES {
        let slow = (frame as f64 / 3700.0).sin().abs();
        let mut content = 1.5 + 5.0 * slow + 7.0 * chance(frame).powi(3);
        while let Some(event) = next.next_if(|e| e.start.frame <= frame) {
            content = if event.start.frame == frame { event.score } else { content };
        }
        let light = 40.0 + 30.0 * (frame as f64 / 9000.0).sin() + 6.0 * chance(frame / 400);
        let dark = fades.iter().any(|e| (e.start.frame..e.end.frame).contains(&frame));
        rows.push(vec![if frame == 0 { f64::NAN } else { content }, if dark { 2.0 } else { light }]);
    }
    let names = ["content_val", "average_rgb"].map(String::from).to_vec();
    Scores { names, rows, times: (0..FRAMES).map(|f| at(f).time).collect() }
}

/// A landscape of three colours: sky, sun, ground.
pub fn image(index: usize) -> RgbImage {
    let hue = |n: u64| (60.0 + 170.0 * chance(index as u64 * 13 + n)) as u8;
    let (sky, ground) = ([hue(1), hue(2), hue(3)], [hue(4) / 3, hue(5) / 3, hue(6) / 3]);
    let (sun_x, sun_y) = (60.0 + 280.0 * chance(index as u64), 30.0 + 60.0 * chance(index as u64 + 50));
    RgbImage::from_fn(400, 168, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let hill = 110.0 + 24.0 * ((x / 70.0 + index as f64).sin() + 0.5 * (x / 23.0 + index as f64).sin());
        let shade = |c: u8| (f64::from(c) * (0.55 + 0.45 * y / 110.0)) as u8;
        match () {
            () if y > hill => Rgb(ground),
            () if (x - sun_x).hypot(y - sun_y) < 22.0 => Rgb([250, 226, 160]),
            () => Rgb(sky.map(shade)),
        }
    })
}
