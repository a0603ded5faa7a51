//! What clips of one film cost: frames alone, and frames with audio, one clip after another at places spread over the film.
//!
//! ```text
//! cargo run --release -p unisono-media --example clip_speed -- FILM CLIPS
//! ```

use std::path::PathBuf;
use std::time::Instant;
use unisono_media::video::{Ffmpeg, Ratio, Span, Time, VideoLimits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let film = PathBuf::from(words.next().ok_or("a film is missing")?);
    let clips: u32 = words.next().ok_or("a number of clips is missing")?.parse()?;
    let (ffmpeg, limits) = (Ffmpeg::find(None)?, VideoLimits::default());
    let video = ffmpeg.probe(&film, &limits)?;
    let seconds = video.duration.ok_or("a film whose length nobody tells")?;
    // Places that jump about, as a shuffled list of clips does.
    let spans: Vec<Span> = (0..clips)
        .map(|n| {
            let start = f64::from(n) * 0.618_034 % 1.0 * (seconds - 2.0).max(0.0);
            let at =
                |seconds: f64| Time { pts: (seconds * 1000.0) as i64, base: Ratio { num: 1, den: 1000 } };
            Span { start: Some(at(start)), end: Some(at(start + 2.0)) }
        })
        .collect();
    let begun = Instant::now();
    for span in &spans {
        ffmpeg.sample_span(&video, span, 8, &limits)?;
    }
    println!("{clips} clips, 8 frames each: {:.2} s", begun.elapsed().as_secs_f64());
    let (begun, mut samples) = (Instant::now(), 0);
    for span in &spans {
        samples += ffmpeg.clip(&video, span, 8, &limits)?.1.map_or(0, |audio| audio.samples.len());
    }
    println!("with their {samples} samples: {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}
