//! TensorBoard event files: TFRecords of `Event` protocol buffers, written without a protocol-buffer library.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Appends scalars to one event file.
pub struct EventWriter(File);

impl EventWriter {
    /// Opens `events.out.tfevents.<start>` in `dir`, made when missing; a new file begins with the format's version.
    pub fn open(dir: &Path, start: u64) -> io::Result<Self> {
        unisono_files::own_folder(dir).map_err(io::Error::other)?;
        let path = dir.join(format!("events.out.tfevents.{start:010}.unisono"));
        let mut file = unisono_files::open_own(&path).map_err(io::Error::other)?;
        if file.metadata()?.len() == 0 {
            let mut event = field_double(1, now());
            event.extend(field_bytes(3, b"brain.Event:2"));
            file.write_all(&record(&event))?;
        }
        Ok(Self(file))
    }

    /// One event with all `values` of a step, written at `time` (seconds since 1970: TensorBoard's "wall" axis shows dates).
    pub fn scalars(&mut self, time: f64, step: u64, values: &[(String, f64)]) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut v = field_bytes(1, tag.as_bytes());
            v.extend(field_float(2, *value as f32));
            summary.extend(field_bytes(1, &v));
        }
        let mut event = field_double(1, time);
        event.push(2 << 3);
        event.extend(varint(step));
        event.extend(field_bytes(5, &summary));
        self.0.write_all(&record(&event))
    }
}

/// Seconds since 1970; 0 on a machine whose clock stands before that.
pub fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

/// TFRecord's mask keeps a checksum of data that holds checksums from being weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn varint(mut v: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
    out
}

fn field_bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

fn field_double(number: u8, v: f64) -> Vec<u8> {
    let mut out = vec![number << 3 | 1];
    out.extend(v.to_le_bytes());
    out
}

fn field_float(number: u8, v: f32) -> Vec<u8> {
    let mut out = vec![number << 3 | 5];
    out.extend(v.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_checksums() {
        // crc32c("123456789") is the Castagnoli check value 0xE3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let r = record(b"abc");
        assert_eq!((r.len(), &r[..8], &r[12..15]), (19, 3u64.to_le_bytes().as_slice(), b"abc".as_slice()));
        assert_eq!(varint(300), [0xac, 0x02]);
    }

    #[test]
    fn an_event_file_starts_with_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let mut w = EventWriter::open(dir.path(), 7).unwrap();
        w.scalars(1.5, 300, &[("loss".into(), 0.25), ("lr".into(), 1e-3)]).unwrap();
        let bytes = std::fs::read(dir.path().join("events.out.tfevents.0000000007.unisono")).unwrap();
        let first = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        // The first field is the wall time: after the first of January 2020, not the run's seconds.
        assert!(f64::from_le_bytes(bytes[13..21].try_into().unwrap()) > 1.577e9);
        assert!(bytes[12..12 + first].ends_with(b"brain.Event:2"));
        let second = &bytes[16 + first..];
        assert!(
            second.windows(4).any(|w| w == b"loss") && second.windows(4).any(|w| w == 0.25f32.to_le_bytes())
        );
    }
}
