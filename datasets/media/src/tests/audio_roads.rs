//! Audio files as people have them: tags of any size, strangers' bytes, files joined to one, broken frames; and what FFmpeg reads.

use super::shapes::{old, some_ffmpeg};
use super::*;
use std::process::Command;

const MP3: &[u8] = include_bytes!("../../fixtures/tone.mp3");
const OGG: &[u8] = include_bytes!("../../fixtures/tone.ogg");
const FLAC: &[u8] = include_bytes!("../../fixtures/tone.flac");

fn samples(bytes: &[u8]) -> Vec<f32> {
    decode_bytes(bytes, &Limits::default()).unwrap().samples
}

/// A tag of ID3 version 2 that holds so many bytes of an image.
fn id3(bytes: usize) -> Vec<u8> {
    let length = [21, 14, 7, 0].map(|shift| (bytes >> shift) as u8 & 127);
    let noise = (0..bytes).map(|i| ((i * 37 + i / 251) % 251) as u8 | 0xe0);
    [b"ID3\x03\0\0".to_vec(), length.to_vec(), noise.collect()].concat()
}

fn ape(header: bool) -> Vec<u8> {
    let items = b"a stranger's words: \xff\xfb\x90\x64".repeat(20);
    let end = |flags: u32| {
        let numbers = [2000, items.len() as u32 + 32, 1, flags].map(u32::to_le_bytes).concat();
        [b"APETAGEX".to_vec(), numbers, vec![0; 8]].concat()
    };
    let head = if header { end(0xa000_0000) } else { Vec::new() };
    [head, items.clone(), end(if header { 0x8000_0000 } else { 0 })].concat()
}

#[test]
fn tags_of_any_size_are_passed_over() {
    let plain = samples(MP3);
    let (v1, lyrics) = ([b"TAG".as_slice(), &[0; 125]].concat(), b"LYRICSBEGINxyz000014LYRICS200".to_vec());
    for before in [id3(0), id3(1_100_000), [id3(300), id3(2_000_000)].concat()] {
        for after in [
            Vec::new(),
            v1.clone(),
            ape(false),
            [ape(true), v1.clone()].concat(),
            [lyrics.clone(), v1.clone()].concat(),
        ] {
            let file = [before.clone(), MP3.to_vec(), after].concat();
            assert_eq!(samples(&file), plain, "{} bytes before", before.len());
        }
    }
    // Padding that the tag does not count.
    assert_eq!(samples(&[id3(50), vec![0; 4000], MP3.to_vec()].concat()), plain);
    assert_eq!(samples(&[id3(1_100_000), FLAC.to_vec()].concat()), samples(FLAC));
    assert_eq!(samples(&[id3(70), OGG.to_vec()].concat()), samples(OGG));
}

#[test]
fn bytes_before_the_first_frame_are_passed_over() {
    let plain = samples(MP3);
    for noise in [1usize, 417, 5000, 400_000] {
        let bytes: Vec<u8> = (0..noise).map(|i| (i * 31 % 256) as u8).collect();
        assert_eq!(samples(&[bytes, MP3.to_vec()].concat()), plain, "{noise}");
    }
    // The search has an end.
    assert!(
        error(&[vec![1; 1_100_000], MP3.to_vec()].concat())
            .contains("expected a WAV, OGG Vorbis, MP3 or FLAC audio file")
    );
}

#[test]
fn a_broken_frame_is_silent_and_what_follows_keeps_its_time() {
    // Long enough for a scratch to be a scratch.
    let file = [MP3, MP3, MP3, MP3].concat();
    let plain = samples(&file);
    let frames: Vec<usize> = {
        let first = mpeg::first(MP3).unwrap();
        (first..MP3.len() - 4).filter(|i| MP3[*i..].starts_with(&MP3[first..first + 2])).collect()
    };
    for at in [frames[3], frames[4] + MP3.len()] {
        // Its head is gone; its whole content is; a stretch over two frames is; bytes were put in.
        let length = frames[1] - frames[0];
        let head = [&file[..at], &[0; 4], &file[at + 4..]].concat();
        let content = [&file[..at + 4], &vec![0x55; length - 4], &file[at + length..]].concat();
        let both = [&file[..at + 10], &vec![0; length], &file[at + 10 + length..]].concat();
        let more = [&file[..at], &[7; 40], &file[at..]].concat();
        for (name, broken) in [("head", head), ("content", content), ("both", both), ("more", more)] {
            let found = samples(&broken);
            assert_eq!(found.len(), plain.len(), "{name}");
            let apart = |range: std::ops::Range<usize>| {
                plain[range.clone()].iter().zip(&found[range]).filter(|(a, b)| a != b).count()
            };
            let (begin, end) = (plain.len() * at / file.len(), plain.len());
            assert_eq!(apart(0..begin.saturating_sub(3000)), 0, "{name}");
            assert_eq!(apart((begin + 6000).min(end)..end), 0, "{name}");
        }
    }
    // A heap of shards is none.
    let mut shards = MP3.to_vec();
    for at in &frames[3..8] {
        shards[*at..*at + 4].fill(0);
    }
    assert!(error(&shards).ends_with("frames 5 are broken"), "{}", error(&shards));
}

#[test]
fn files_that_were_joined_are_all_heard() {
    let mp3 = samples(MP3);
    let joined = samples(&[MP3, &id3(40), MP3, &[b"TAG".as_slice(), &[0; 125]].concat(), MP3].concat());
    assert_eq!(joined, [mp3.as_slice(), &mp3, &mp3].concat());
    let ogg = samples(OGG);
    assert_eq!(samples(&[OGG, OGG, OGG].concat()), [ogg.as_slice(), &ogg, &ogg].concat());
    // A link that is cut.
    assert!(error(&[OGG, &OGG[..OGG.len() - 100]].concat()).contains("cut off"));
    let limits = Limits { max_seconds: 0.4, ..Limits::default() };
    assert!(matches!(
        decode_bytes(&[OGG, OGG].concat(), &limits),
        Err(Error::Limit { option: "max_seconds", .. })
    ));
}

#[test]
fn a_wav_that_lies_is_bounded() {
    let wav = integers(1, 16, &[100; 1000]);
    let with = |at: usize, bytes: &[u8]| [&wav[..at], bytes, &wav[at + bytes.len()..]].concat();
    assert!(
        error(&with(22, &[0xff, 0xff]))
            .ends_with("expected a WAV audio file of 1 to 1024 channels, found 65535")
    );
    assert!(error(&with(22, &[0, 0])).contains("found 0"));
    assert!(
        error(&with(40, &[0, 0, 0, 0x40]))
            .contains("cut off: 1073741824 bytes of samples are promised, 2000 are there")
    );
    // The format chunk is the whole rest, and more.
    assert!(error(&with(16, &[0xff; 4])).contains("no data chunk"));
    let many = [b"RIFF\0\0\0\0WAVE".to_vec(), b"junk\0\0\0\0".repeat(100_000), wav[12..].to_vec()].concat();
    assert!(error(&many).contains("no format chunk"));
    // Codings that FFmpeg would take for others.
    assert!(error(&with(20, &[0x38, 0])).contains("NMS ADPCM"));
    assert!(error(&with(20, &[0x40, 0])).contains("G.721"));
}

/// Makes a file of a second of a tone, 16 kHz unless `output` says else.
pub(super) fn made(ffmpeg: &Ffmpeg, dir: &Path, name: &str, output: &[&str]) -> Option<std::path::PathBuf> {
    let path = dir.join(name);
    let tone = "sine=frequency=440:sample_rate=16000:duration=1.5,volume=4";
    let run = Command::new(ffmpeg.program())
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", tone])
        .args(output)
        .arg(&path)
        .output()
        .unwrap();
    // Its own experiments are refused by some builds; encoders may be left out.
    run.status.success().then_some(path)
}

#[test]
fn what_the_kept_decoders_do_not_know_goes_through_ffmpeg() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hear = |path: &Path| audio(path, &Limits::default());
    let wav = hear(&made(&ffmpeg, dir.path(), "a.wav", &[]).unwrap()).unwrap();
    let m4a = made(&ffmpeg, dir.path(), "a.m4a", &["-c:a", "aac", "-movflags", "+faststart"]).unwrap();
    let found = hear(&m4a).unwrap();
    // FFmpegs before 6 leave what fills the last frame of 1,024 samples.
    let more = found.samples.len().checked_sub(wav.samples.len());
    assert!(more.is_some_and(|more| more < 1024) && found.sample_rate == 16_000, "{more:?}");
    assert!(more == Some(0) || old(&ffmpeg), "{more:?}");
    // What is cut off is refused, as of the others.
    let whole = std::fs::read(&m4a).unwrap();
    let cut = dir.path().join("cut");
    std::fs::write(&cut, &whole[..whole.len() * 7 / 10]).unwrap();
    let text = hear(&cut).unwrap_err().to_string();
    assert!(text.contains("or any other that FFmpeg reads, found one that is cut off"), "{text}");
    let aiff = std::fs::read(made(&ffmpeg, dir.path(), "a.aiff", &[]).unwrap()).unwrap();
    std::fs::write(&cut, &aiff[..aiff.len() * 7 / 10]).unwrap();
    assert!(hear(&cut).unwrap_err().to_string().contains("cut off: 1.0 of 1.5 seconds"));
    let opus = made(&ffmpeg, dir.path(), "a.opus", &["-c:a", "libopus"]);
    if let Some(opus) = opus {
        assert_eq!(hear(&opus).unwrap().samples.len(), 72_000);
        let bytes = std::fs::read(&opus).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() - 30]).unwrap();
        assert!(hear(&cut).unwrap_err().to_string().contains("cut off"));
        // One after another.
        std::fs::write(&cut, [bytes.as_slice(), &bytes].concat()).unwrap();
        let both = hear(&cut).unwrap().samples.len();
        assert!(both == 144_000 || old(&ffmpeg) && (144_000..145_000).contains(&both), "{both}");
    }
    // Channels become their mean, not what a cinema makes of them.
    let pan = "pan=5.1|FL=c0|FR=0*c0|FC=0*c0|LFE=0*c0|BL=0*c0|BR=0*c0";
    let six =
        hear(&made(&ffmpeg, dir.path(), "six.caf", &["-af", pan, "-c:a", "pcm_s16le"]).unwrap()).unwrap();
    assert!(six.samples.iter().zip(&wav.samples).all(|(a, b)| *a == b * (1.0 / 6.0)));
    let limits = Limits { max_seconds: 1.0, ..Limits::default() };
    let text = audio(&m4a, &limits).unwrap_err().to_string();
    assert!(text.contains("the audio is 1.5 seconds, the limit is 1 seconds"), "{text}");
    std::fs::write(&cut, b"\x01\x02\x03 nothing that anybody knows \xfe").unwrap();
    let text = hear(&cut).unwrap_err().to_string();
    assert!(
        text.ends_with(
            "FFmpeg reads, found a file of an unknown format that begins with bytes 01 02 03 20 6e 6f 74 68"
        ),
        "{text}"
    );
}

#[test]
fn links_of_other_rates_are_heard_at_the_first_ones() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(slow) = made(&ffmpeg, dir.path(), "a.ogg", &["-ar", "8000", "-c:a", "libvorbis"]) else {
        return;
    };
    let slow = std::fs::read(slow).unwrap();
    let found = decode_bytes(&[OGG, &slow].concat(), &Limits::default()).unwrap();
    assert_eq!((found.sample_rate, found.samples.len()), (16_000, samples(OGG).len() + 24_000));
}

#[test]
fn the_track_is_the_default_one_or_the_chosen() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let tracks = ["-filter_complex", "[0:a]asplit=2[a][b];[b]volume=0.25[c]", "-map", "[c]", "-map", "[a]"];
    let marks = [
        "-c:a",
        "pcm_s16le",
        "-disposition:a:0",
        "0",
        "-disposition:a:1",
        "default",
        "-metadata:s:a:0",
        "language=deu",
    ];
    let path = made(&ffmpeg, dir.path(), "two.mka", &[tracks.as_slice(), &marks].concat()).unwrap();
    let peak = |ffmpeg: Option<&Ffmpeg>| {
        let heard = audio_by(&path, &Limits::default(), ffmpeg).unwrap();
        heard.samples.iter().fold(0f32, |a, b| a.max(b.abs()))
    };
    let (first, second) =
        (peak(Some(&ffmpeg.clone().hearing(Some(1)))), peak(Some(&ffmpeg.clone().hearing(Some(2)))));
    assert!((second / first - 4.0).abs() < 0.01, "{first} {second}");
    assert_eq!(peak(None), second);
    let third = ffmpeg.clone().hearing(Some(3));
    let text = audio_by(&path, &Limits::default(), Some(&third)).unwrap_err().to_string();
    assert!(
        text.ends_with(
            "two.mka: expected audio track 3, found 2: 1 (deu, pcm_s16le, mono), 2 (pcm_s16le, mono, default)"
        ),
        "{text}"
    );
    let wav = made(&ffmpeg, dir.path(), "a.wav", &[]).unwrap();
    assert!(audio_by(&wav, &Limits::default(), Some(&ffmpeg.clone().hearing(Some(1)))).is_ok());
    let text = audio_by(&wav, &Limits::default(), Some(&third)).unwrap_err().to_string();
    assert!(text.ends_with("expected audio track 3, found one audio track"), "{text}");
}

#[test]
fn audios_begin_when_their_container_says() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let start = |path: &Path| audio_on_clock(path, &Limits::default(), None).unwrap().1;
    let late = made(&ffmpeg, dir.path(), "a.mka", &["-output_ts_offset", "2", "-c:a", "pcm_s16le"]).unwrap();
    assert!((start(&late) - 2.0).abs() < 1e-3, "{}", start(&late));
    // The encoder's priming is no part of it.
    let aac = made(&ffmpeg, dir.path(), "a.m4a", &["-c:a", "aac"]).unwrap();
    assert_eq!(start(&aac), 0.0);
    assert_eq!(start(&made(&ffmpeg, dir.path(), "a.wav", &[]).unwrap()), 0.0);
}

#[test]
fn containers_tell_whether_they_show_images() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let shown = |path: &Path| crate::video::shows_images(path).unwrap();
    let image = ["-f", "lavfi", "-i", "color=size=32x32:duration=0.2"];
    for (name, video, audio) in [
        ("a.mp4", "mpeg4", "aac"),
        ("b.mov", "mpeg4", "pcm_s16le"),
        ("c.mkv", "mpeg4", "pcm_s16le"),
        ("d.webm", "libvpx", "libopus"),
        ("e.ogg", "libtheora", "libvorbis"),
        ("f.wma", "wmv2", "wmav2"),
        ("g.3gp", "mpeg4", "aac"),
    ] {
        let only = made(&ffmpeg, dir.path(), name, &["-c:a", audio]);
        let both = made(
            &ffmpeg,
            dir.path(),
            &format!("v{name}"),
            &[image.as_slice(), &["-c:v", video, "-c:a", audio]].concat(),
        );
        // An encoder may be left out.
        assert!(only.is_none_or(|path| shown(&path) == Some(false)), "{name}");
        assert!(both.is_none_or(|path| shown(&path) == Some(true)), "{name}");
    }
    let other = dir.path().join("x");
    for bytes in [
        b"RIFF1234WAVE".as_slice(),
        b"",
        b"\0\0\0\x20ftypisom",
        b"\x1a\x45\xdf\xa3\xff\xff\xff",
        b"\0\0\0\x01ftyp\0\0\0\0\0\0\0\x01moov",
    ] {
        std::fs::write(&other, bytes).unwrap();
        assert_eq!(shown(&other), None);
    }
}
