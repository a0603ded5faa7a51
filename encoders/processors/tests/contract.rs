//! The one way from a medium to what a tower sees: it is what its parts make of it, whatever the medium is opened from.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use image::RgbImage;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use unisono_media::video::{Ffmpeg, Ratio, Span, Time, VideoLimits};
use unisono_media::{Blob, MediaLimits, decode};
use unisono_processors::{
    AudioTiming, Contract, Error, Fill, Framing, Frontend, ImageProcessor, Log, LogMel, Medium, MelConfig,
    Prepared, Processors, Scale, TextProcessor, Vocabulary, prepare, train_tokenizer,
};

fn processors() -> Processors {
    let tokenizer =
        train_tokenizer(["a red bus", "a blue bus"].iter().cycle().take(40), 280, Vocabulary::Bpe).unwrap();
    Processors {
        text: Some(TextProcessor::new(tokenizer, 16, 300).unwrap()),
        image: Some(ImageProcessor::new(12)),
        audio: Some(LogMel::new(MelConfig::speech(8, 20)).unwrap()),
        speech: None,
    }
}

fn ffmpeg() -> Ffmpeg {
    Ffmpeg::find(None).unwrap()
}

/// Two seconds of a moving image and a tone.
fn film(dir: &Path) -> PathBuf {
    let path = dir.join("film.mp4");
    let mut command = Command::new(ffmpeg().program());
    command.args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=32x24:r=25:d=2"]);
    command.args([
        "-f",
        "lavfi",
        "-i",
        "sine=f=440:r=16000:d=2",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "10",
        "-c:a",
        "aac",
    ]);
    let output = command.arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

fn wav(dir: &Path, name: &str, rate: u32, samples: usize) -> PathBuf {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let path = dir.join(name);
    let mut wav = hound::WavWriter::create(&path, spec).unwrap();
    (0..samples).for_each(|i| wav.write_sample(((i * 37) % 2000) as i16 - 1000).unwrap());
    wav.finalize().unwrap();
    path
}

/// A file as itself, as a part of a larger one, and as bytes.
fn forms(path: &Path) -> [Blob; 3] {
    let (bytes, name) = (std::fs::read(path).unwrap(), path.file_name().unwrap().to_str().unwrap());
    let shard = path.with_extension("shard");
    std::fs::write(&shard, [b"before", bytes.as_slice(), b"behind"].concat()).unwrap();
    [path.into(), Blob::part(shard, 6, bytes.len() as u64, name), Blob::bytes(name, bytes)]
}

fn tenths(from: i64, to: i64) -> Span {
    let at = |pts| Some(Time { pts, base: Ratio { num: 1, den: 10 } });
    Span { start: at(from), end: at(to) }
}

#[test]
fn media_are_what_their_processors_make_of_what_is_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let processors = processors();
    let contract = Contract { frames: 3, ..Contract::new(&processors) };
    let (image, audio) = (processors.image().unwrap(), processors.audio().unwrap());
    let limits = MediaLimits::default();

    let Prepared::Text(ids) = contract.prepare(Medium::Text("a red bus")).unwrap() else { panic!() };
    assert_eq!(ids, processors.text().unwrap().encode("a red bus").unwrap());

    let path = dir.path().join("a.png");
    RgbImage::from_fn(30, 20, |x, y| image::Rgb([x as u8 * 8, y as u8 * 12, 77])).save(&path).unwrap();
    let options = prepare::image_options(image, limits.files());
    let want = Prepared::Image(image.prepare(&decode::image(&path, &options).unwrap()));
    for blob in forms(&path) {
        assert_eq!(contract.prepare(Medium::Image(&blob)).unwrap(), want, "{blob:?}");
    }

    // At another rate than the model's.
    let path = wav(dir.path(), "a.wav", 8_000, 12_000);
    let decoded = decode::audio(&path, &limits.files()).unwrap();
    let samples = decode::resample(&decoded, 16_000).unwrap().samples;
    let timing = AudioTiming { start: 0.0, seconds: 1.5 };
    let want = Prepared::Audio(audio.process(&samples).unwrap(), timing);
    for blob in forms(&path) {
        assert_eq!(contract.prepare(Medium::Audio(&blob)).unwrap(), want, "{blob:?}");
        assert_eq!(contract.samples(Medium::Audio(&blob)).unwrap().unwrap(), samples);
        assert_eq!(contract.seconds(Medium::Audio(&blob)).unwrap(), Some(1.5));
    }
    assert_eq!(contract.seconds(Medium::Text("a")).unwrap(), None);
}

#[test]
fn of_a_long_audio_file_the_beginning_is_what_it_is_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let config = |fill| {
        let frontend = Frontend {
            framing: Framing::Centered,
            scale: Scale::Slaney,
            log: Log::Log10,
            fill,
            samples: 16_000,
            drop_last: true,
            symmetric: false,
            remove_mean: false,
            preemphasis: 0.0,
            range: Some(8.0),
            fusion: false,
        };
        MelConfig { frontend: Some(frontend), ..MelConfig::speech(8, 100) }
    };
    let configs = [
        MelConfig::speech(8, 20),
        config(Fill::Pad),
        config(Fill::RepeatPad),
        config(Fill::Repeat),
        MelConfig { max_frames: 50, ..config(Fill::Frames) },
    ];
    for (rate, samples) in [(16_000, 90_000), (44_100, 200_000), (44_100, 30_000), (8_000, 7_999)] {
        let path = wav(dir.path(), "long.wav", rate, samples);
        let decoded = decode::audio(&path, &MediaLimits::default().files()).unwrap();
        let whole = decode::resample(&decoded, 16_000).unwrap().samples;
        for config in &configs {
            let processors =
                Processors { audio: Some(LogMel::new(config.clone()).unwrap()), ..Processors::default() };
            let contract = Contract::new(&processors);
            let blob = Blob::file(&path);
            let mel = processors.audio().unwrap().process(&whole).unwrap();
            let timing = AudioTiming { start: 0.0, seconds: samples as f64 / f64::from(rate) };
            let found = contract.prepare(Medium::Audio(&blob)).unwrap();
            assert!(found == Prepared::Audio(mel, timing), "{rate} Hz, {samples} samples, {config:?}");
            for start in [0, 1000, 12_345, whole.len() as u64 - 1, whole.len() as u64 + 5] {
                let part = |of: u64| {
                    assert_eq!(of, whole.len() as u64);
                    start..start + 800
                };
                let (from, to) = (whole.len().min(start as usize), whole.len().min(start as usize + 800));
                assert!(contract.samples_in(&blob, &part).unwrap() == whole[from..to], "{rate} Hz, {start}");
            }
        }
    }
}

#[test]
fn clips_are_their_frames_and_their_audio() {
    let dir = tempfile::tempdir().unwrap();
    let (path, span) = (film(dir.path()), tenths(5, 15));
    let processors = processors();
    let contract = Contract { frames: 3, ffmpeg: Some(ffmpeg()), ..Contract::new(&processors) };
    let (image, audio) = (processors.image().unwrap(), processors.audio().unwrap());
    let limits = VideoLimits::default();
    let video = ffmpeg().probe(&path, &limits).unwrap();
    let frames: Vec<RgbImage> = ffmpeg()
        .sample_span(&video, &span, 3, &limits)
        .unwrap()
        .iter()
        .map(|f| image.prepare(&f.image))
        .collect();
    let heard = ffmpeg().audio_span(&video, &span, &limits).unwrap();
    let heard = decode::resample(&heard, 16_000).unwrap();
    let mel = audio.process(&heard.samples).unwrap();
    let clip = |audio| Prepared::Video(prepare::Clip { frames: frames.clone(), audio });
    let listening = Contract { listens: true, ..contract.clone() };
    for blob in forms(&path) {
        assert_eq!(contract.prepare(Medium::Frames(&blob, span)).unwrap(), clip(None), "{blob:?}");
        assert_eq!(contract.prepare(Medium::Video(&blob, span)).unwrap(), clip(None), "{blob:?}");
        assert_eq!(
            listening.prepare(Medium::Video(&blob, span)).unwrap(),
            clip(Some(mel.clone())),
            "{blob:?}"
        );
        let Prepared::Audio(found, timing) = contract.prepare(Medium::Track(&blob, span)).unwrap() else {
            panic!()
        };
        assert_eq!((found, timing.start), (mel.clone(), 0.5), "{blob:?}");
        assert_eq!(contract.samples(Medium::Track(&blob, span)).unwrap().unwrap(), heard.samples, "{blob:?}");
        // The audio of a video file, as an audio file.
        let Prepared::Audio(whole, _) = contract.prepare(Medium::Audio(&blob)).unwrap() else { panic!() };
        assert_eq!(whole.len(), 20 * 8, "{blob:?}");
    }
    let bytes = clip(Some(mel.clone())).bytes();
    assert_eq!(bytes, 3 * 12 * 12 * 3 + 4 * mel.len());
    // Beyond its end nothing is shown, and nothing is heard.
    let beyond = tenths(90, 95);
    let said = contract.prepare(Medium::Frames(&path.clone().into(), beyond)).unwrap_err().to_string();
    assert!(said.contains("expected a part of the video in which something is shown"), "{said}");
    assert!(contract.prepare(Medium::Track(&path.into(), beyond)).is_err());
}

#[test]
fn a_limit_is_named_by_its_option_whatever_it_is_a_limit_of() {
    let dir = tempfile::tempdir().unwrap();
    let processors = processors();
    let image = dir.path().join("a.gif");
    RgbImage::new(40, 30).save(&image).unwrap();
    let (audio, film) = (wav(dir.path(), "a.wav", 16_000, 32_000), film(dir.path()));
    let none = MediaLimits::default();
    let named = |e: Error| match e {
        Error::Media(unisono_media::Error::Limit { option, path, .. }) => (option, path),
        other => panic!("{other}"),
    };
    type Make = for<'a> fn(&'a Blob) -> Medium<'a>;
    let (as_image, as_audio): (Make, Make) = (|b| Medium::Image(b), |b| Medium::Audio(b));
    let (as_frames, as_track): (Make, Make) =
        (|b| Medium::Frames(b, Span::WHOLE), |b| Medium::Track(b, Span::WHOLE));
    for (path, make, limits, option) in [
        (&image, as_image, MediaLimits { max_pixels: Some(1199), ..none }, "max_pixels"),
        (&image, as_image, MediaLimits { max_file_bytes: Some(10), ..none }, "max_file_bytes"),
        (&audio, as_audio, MediaLimits { max_file_bytes: Some(10), ..none }, "max_file_bytes"),
        (&audio, as_audio, MediaLimits { max_seconds: Some(1.9), ..none }, "max_seconds"),
        (&film, as_audio, MediaLimits { max_file_bytes: Some(10), ..none }, "max_file_bytes"),
        (&film, as_frames, MediaLimits { max_pixels: Some(767), ..none }, "max_pixels"),
        (&film, as_frames, MediaLimits { max_seconds: Some(1.5), ..none }, "max_seconds"),
        (&film, as_frames, MediaLimits { max_frames: Some(49), ..none }, "max_frames"),
        (&film, as_track, MediaLimits { max_seconds: Some(1.5), ..none }, "max_seconds"),
    ] {
        for blob in forms(path) {
            let contract = Contract { limits, ..Contract::new(&processors) };
            let (found, path) = named(contract.prepare(make(&blob)).unwrap_err());
            assert_eq!((found, path.as_path()), (option, blob.name()));
            assert_ne!(limits.fingerprint(), none.fingerprint());
        }
    }
}

#[test]
fn what_a_model_came_without_is_told_before_anything_is_decoded() {
    let none = Processors::default();
    let contract = Contract::new(&none);
    let blob = Blob::bytes("a", *b"no medium");
    for (medium, file) in [
        (Medium::Text("a"), "tokenizer.json: its text tower"),
        (Medium::Image(&blob), "preprocessor_config.json: its image tower"),
        (Medium::Audio(&blob), "preprocessor_config.json: its audio tower"),
        (Medium::Frames(&blob, Span::WHOLE), "preprocessor_config.json: its image tower"),
        (Medium::Track(&blob, Span::WHOLE), "preprocessor_config.json: its audio tower"),
    ] {
        let said = contract.prepare(medium).unwrap_err().to_string();
        assert_eq!(said, format!("the model came without its {file} cannot be fed"));
    }
    assert!(contract.samples(Medium::Audio(&blob)).unwrap_err().to_string().contains("audio tower"));
    // A length needs no model.
    let dir = tempfile::tempdir().unwrap();
    let audio = wav(dir.path(), "a.wav", 16_000, 8_000).into();
    assert_eq!(contract.seconds(Medium::Audio(&audio)).unwrap(), Some(0.5));
}

#[test]
fn keys_of_media_are_their_own() {
    let (a, b) = (Blob::file("/a"), Blob::file("/b"));
    let part = tenths(1, 2);
    let all = [
        Medium::Text("/a"),
        Medium::Image(&a),
        Medium::Image(&b),
        Medium::Audio(&a),
        Medium::Video(&a, Span::WHOLE),
        Medium::Video(&a, part),
        Medium::Frames(&a, Span::WHOLE),
        Medium::Frames(&a, part),
        Medium::Track(&a, part),
        Medium::Track(&a, tenths(1, 3)),
    ];
    let keys: BTreeSet<Vec<u8>> = all.iter().map(Medium::key).collect();
    assert_eq!(keys.len(), all.len());
    assert_eq!(Medium::Image(&a).key(), Medium::Image(&Blob::file("/a")).key());
}

#[test]
fn a_time_is_cut_to_the_millisecond_and_never_beyond_the_end() {
    for (seconds, whole) in [(0.0, 0.0), (1.0, 1.0), (1.9999, 1.999), (0.0004, 0.0), (30.0125, 30.012)] {
        assert_eq!(AudioTiming { start: 5.0, seconds }.whole_millis(), whole);
    }
}
