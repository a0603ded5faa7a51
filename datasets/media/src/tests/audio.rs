use super::*;
use crate::forms::alike;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::io::Cursor;

#[path = "audio_parts.rs"]
mod parts;
#[path = "audio_roads.rs"]
mod roads;
#[path = "audio_shapes.rs"]
mod shapes;
#[path = "audio_tables.rs"]
mod tables;

fn decode_bytes(bytes: &[u8], limits: &Limits) -> Result<Audio> {
    // The name lies on purpose: content decides.
    alike("sound.png", bytes, |blob| audio(blob, limits))
}

fn error(bytes: &[u8]) -> String {
    let text = decode_bytes(bytes, &Limits::default()).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("sound.png: "), "{text}");
    text
}

fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate: 16_000, bits_per_sample, sample_format }
}

fn integers(channels: u16, bits: u16, samples: &[i32]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec(channels, bits, SampleFormat::Int)).unwrap();
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn floats(samples: &[f32]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec(1, 32, SampleFormat::Float)).unwrap();
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn every_wav_width_has_full_scale_one() {
    for bits in [8, 16, 24, 32] {
        let half = 1i64 << (bits - 2);
        let samples = [0, half, -half, -2 * half].map(|s| s as i32);
        let decoded = decode_bytes(&integers(1, bits, &samples), &Limits::default()).unwrap();
        assert_eq!(
            decoded,
            Audio { samples: vec![0.0, 0.5, -0.5, -1.0], sample_rate: 16_000 },
            "{bits} bits"
        );
    }
    // Beyond full scale is clipped.
    let decoded = decode_bytes(&floats(&[0.25, -0.75, 1.5, -3.0]), &Limits::default()).unwrap();
    assert_eq!(decoded.samples, [0.25, -0.75, 1.0, -1.0]);
}

#[test]
fn channels_are_averaged() {
    let decoded = decode_bytes(&integers(2, 16, &[16384, 0, -16384, -16384]), &Limits::default()).unwrap();
    assert_eq!(decoded.samples, [0.25, -0.5]);
    assert_eq!(decoded.seconds(), 2.0 / 16_000.0);
}

#[test]
fn bad_samples_are_refused() {
    assert!(error(&floats(&[0.0, f32::NAN])).ends_with("expected finite samples, found NaN at sample 1"));
    assert!(error(&floats(&[f32::NEG_INFINITY])).ends_with("found -inf at sample 0"));
    assert!(error(&integers(1, 16, &[])).ends_with("expected at least one sample of audio, found none"));
}

#[test]
fn broken_files_say_what_they_are() {
    assert!(error(b"").ends_with("expected a WAV, OGG Vorbis, MP3 or FLAC audio file, found an empty file"));
    assert!(error(b"just text").ends_with("found text"));
    let wav = integers(1, 16, &[100; 1000]);
    for cut in [13, 30, 50, 1001, 1500] {
        assert!(error(&wav[..cut]).contains("expected a whole WAV audio file"), "{cut}");
    }
    assert!(
        error(b"OggS and then nothing of the kind")
            .ends_with("a whole OGG audio file, found one that is cut off")
    );
    assert!(error(b"fLaC\0\0\0\x22").ends_with("found one that is cut off"));
    assert!(error(&[0xff, 0xfb, 0x90, 0x00, 1, 2, 3]).contains("expected"));
    assert!(error(b"ID3\x04\0\0\0\0\0\0").contains("expected"));
}

#[test]
fn headers_are_checked_before_samples() {
    let mut wav = integers(1, 16, &[1; 100]);
    // Sample rate and bytes a second.
    wav[24..28].copy_from_slice(&1u32.to_le_bytes());
    wav[28..32].copy_from_slice(&2u32.to_le_bytes());
    assert!(error(&wav).ends_with("expected a sample rate of 1000 to 768000 Hz, found 1 Hz"));
    let limits = Limits { max_seconds: 0.5, ..Limits::default() };
    let text = decode_bytes(&integers(1, 16, &[0; 8001]), &limits).unwrap_err().to_string();
    assert!(
        text.contains("the audio is at least 0.5 seconds, the limit is 0.5 seconds: raise `max_seconds`"),
        "{text}"
    );
    assert!(decode_bytes(&integers(1, 16, &[0; 8000]), &limits).is_ok());
}

/// FLAC, Vorbis and MP3 of 440 Hz at 16 kHz, 0.25 s, half amplitude: made by FFmpeg, see `fixtures/README.md`. The MP3
/// encoder loses 5 % of the level; 0.4746 is what FFmpeg's own decoder finds.
#[test]
fn compressed_audios_hold_their_tone() {
    let flac: &[u8] = include_bytes!("../../fixtures/tone.flac");
    let files = [
        ("flac", 0.5, flac),
        ("ogg", 0.5, include_bytes!("../../fixtures/tone.ogg")),
        ("mp3", 0.4746, include_bytes!("../../fixtures/tone.mp3")),
    ];
    for (name, expected, bytes) in files {
        let decoded = decode_bytes(bytes, &Limits::default()).unwrap();
        assert_eq!(decoded.sample_rate, 16_000, "{name}");
        assert!(decoded.samples.len().abs_diff(4000) <= 1200, "{name}: {} samples", decoded.samples.len());
        // Amplitude by correlation with the tone over the middle, where no encoder's ramp reaches.
        let middle = &decoded.samples[1000..3000];
        let (mut sine, mut cosine) = (0.0f64, 0.0f64);
        for (k, &s) in middle.iter().enumerate() {
            let phase = std::f64::consts::TAU * 440.0 * k as f64 / 16_000.0;
            (sine, cosine) = (sine + f64::from(s) * phase.sin(), cosine + f64::from(s) * phase.cos());
        }
        let amplitude = 2.0 * sine.hypot(cosine) / middle.len() as f64;
        assert!((amplitude - expected).abs() < 0.01, "{name}: amplitude {amplitude}");
        let limits = Limits { max_seconds: 0.1, ..Limits::default() };
        assert!(
            matches!(decode_bytes(bytes, &limits), Err(Error::Limit { option: "max_seconds", .. })),
            "{name}"
        );
    }
    assert_eq!(decode_bytes(flac, &Limits::default()).unwrap().samples.len(), 4000);
    assert!(error(&flac[..flac.len() / 2]).contains("cut off"));
    let ogg = include_bytes!("../../fixtures/tone.ogg");
    assert!(error(&ogg[..ogg.len() - 100]).contains("cut off"));
}
