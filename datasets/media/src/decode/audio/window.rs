//! A part of an audio file of packets: all of them are counted, those alone are decoded that tell the part's samples.

use super::super::samples::{Audio, Excerpt, Extent, Wanted, check_length, check_rate};
use super::mix::Mix;
use super::packets::Container;
use crate::{Limits, Result};
use std::path::Path;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::formats::TrackType;
use symphonia::core::packet::Packet;

/// MPEG frames borrow bits from as much as 511 bytes of those before them.
const BORROWED: usize = 1024;
/// Windows overlap by a frame, the filter bank's memory is shorter.
const FRAMES: usize = 2;

/// The samples that are wanted. `None` where a decoder that begins at the start has to tell them: something is broken, cut off, or not as its
/// packets say.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit), and a rate that cannot be.
pub(super) fn part(
    path: &Path,
    bytes: &[u8],
    container: Container,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Option<Excerpt>> {
    let Some(stream) = Stream::read(bytes, container) else { return Ok(None) };
    let extent = Extent { samples: stream.samples(), sample_rate: stream.rate };
    check_rate(path, extent.sample_rate)?;
    check_length(path, extent.samples, extent.sample_rate, limits)?;
    let range = wanted.of(extent);
    // Where the first packets cannot be decoded, all that follows is that much earlier.
    if stream.decode((0, 0), 0..1).is_none() {
        return Ok(None);
    }
    let Some(samples) = stream.part(range.start, range.end) else { return Ok(None) };
    let audio = Audio { samples, sample_rate: extent.sample_rate };
    Ok(Some(Excerpt { audio, start: range.start, extent }))
}

struct Stream {
    container: Container,
    parameters: AudioCodecParameters,
    rate: u32,
    packets: Vec<Packet>,
    /// Where each packet's samples begin, and where the last one's end.
    places: Vec<u64>,
}

impl Stream {
    fn read(bytes: &[u8], container: Container) -> Option<Self> {
        let mut format = container.open(bytes).ok()?;
        let track = format.default_track(TrackType::Audio)?;
        let (id, promised) = (track.id, track.num_frames);
        let parameters = track.codec_params.as_ref()?.audio()?.clone();
        let rate = parameters.sample_rate?;
        let (mut packets, mut places, mut longest) = (Vec::new(), vec![0], 0);
        while let Some(packet) = format.next_packet().ok()? {
            if packet.track_id != id {
                continue;
            }
            longest = longest.max(packet.block_dur().get());
            places.push(places.last()? + container.samples(&packet));
            packets.push(packet);
        }
        let stream = Self { container, parameters, rate, packets, places };
        let slack = container.slack(longest);
        let whole = promised.is_none_or(|promised| stream.samples().saturating_add(slack) >= promised);
        (whole && !stream.packets.is_empty()).then_some(stream)
    }

    fn samples(&self) -> u64 {
        self.places.last().copied().unwrap_or(0)
    }

    fn decoder(&self) -> Option<Box<dyn AudioDecoder>> {
        let options = AudioDecoderOptions::default();
        symphonia::default::get_codecs().make_audio_decoder(&self.parameters, &options).ok()
    }

    /// The packet with which decoding begins, so that `first` is what it is behind all others; and the packet from which on none may be broken.
    fn before(&self, first: usize) -> (usize, usize) {
        match self.container {
            Container::Mpeg { .. } => {
                let sure = self.back(first.saturating_sub(FRAMES), BORROWED);
                // Their own bits may be missing: some of these cannot be decoded.
                (self.back(sure.saturating_sub(FRAMES), 2 * BORROWED), sure)
            }
            // A window overlaps with the one before it; FLAC's frames are alone.
            Container::Ogg | Container::Flac => (first.saturating_sub(2), 0),
        }
    }

    /// So many bytes before a packet.
    fn back(&self, mut at: usize, bytes: usize) -> usize {
        let mut seen = 0;
        while at > 0 && seen < bytes {
            at -= 1;
            seen += self.packets[at].data.len();
        }
        at
    }

    /// The mean over the channels of some packets, decoded from the packet `begin` on; `None` where one of them is not what it says, or one from
    /// `sure` on is broken.
    fn decode(&self, (begin, sure): (usize, usize), packets: std::ops::Range<usize>) -> Option<Vec<f32>> {
        let mut decoder = self.decoder()?;
        let (mut mix, mut layout, mut samples) = (Mix::new(1), 0, Vec::<f32>::new());
        for at in begin..packets.end {
            let packet = &self.packets[at];
            let buffer = match decoder.decode(packet) {
                Ok(buffer) => buffer,
                // Its bits are in packets before those.
                Err(_) if at < sure => continue,
                Err(_) => return None,
            };
            if at < packets.start {
                continue;
            }
            let channels = buffer.spec().channels().count().max(1);
            samples.resize(buffer.samples_interleaved(), 0.0);
            if (samples.len() / channels) as u64 != self.container.samples(packet) {
                return None;
            }
            if layout == 0 {
                (layout, mix) = (channels, Mix::new(channels));
            }
            if (channels, buffer.spec().rate()) != (layout, self.rate) {
                return None;
            }
            buffer.copy_to_slice_interleaved(&mut samples);
            mix.push(&samples);
        }
        Some(mix.finish())
    }

    /// The samples from one up to another.
    fn part(&self, start: u64, end: u64) -> Option<Vec<f32>> {
        if start == end {
            return Some(Vec::new());
        }
        // The last packet that begins at the start or before it, and the first that ends at the end or behind it.
        let first = self.places.partition_point(|place| *place <= start).checked_sub(1)?;
        let last = self.places.partition_point(|place| *place < end);
        let mut found = self.decode(self.before(first), first..last)?;
        let skip = usize::try_from(start - self.places[first]).ok()?;
        found.truncate(skip + usize::try_from(end - start).ok()?);
        found.drain(..skip);
        Some(found)
    }
}
