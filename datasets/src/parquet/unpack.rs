//! Unpacking a page into exactly as many bytes as it says: whatever it holds, no more are written.

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use std::io::Read;

/// How pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
    Lz4,
    /// One that is not read.
    Other(&'static str),
}

impl Codec {
    pub(super) fn of(compression: Compression) -> Self {
        match compression {
            Compression::UNCOMPRESSED => Self::None,
            Compression::SNAPPY => Self::Snappy,
            Compression::GZIP(_) => Self::Gzip,
            Compression::ZSTD(_) => Self::Zstd,
            Compression::LZ4_RAW => Self::Lz4,
            Compression::LZ4 => Self::Other("Hadoop's LZ4"),
            Compression::BROTLI(_) => Self::Other("Brotli"),
            Compression::LZO => Self::Other("LZO"),
        }
    }

    /// Unpacks `packed` behind what `out` has already; it becomes `size` bytes, or the reason is told.
    pub(super) fn unpack(self, packed: &[u8], out: &mut Vec<u8>, size: usize) -> Result<(), String> {
        let before = out.len();
        let other = |n: usize| format!("unpacks to {n} bytes, says that it has {size}");
        let exact = |n: usize| if n == size { Ok(()) } else { Err(other(n)) };
        match self {
            Self::None => {
                exact(packed.len())?;
                out.extend_from_slice(packed);
            }
            Self::Snappy => {
                // Its own head says how much comes out: asked before memory is taken.
                exact(snap::raw::decompress_len(packed).map_err(|e| e.to_string())?)?;
                out.resize(before + size, 0);
                let n = snap::raw::Decoder::new().decompress(packed, &mut out[before..]);
                exact(n.map_err(|e| e.to_string())?)?;
            }
            Self::Gzip => {
                let mut unpacked = MultiGzDecoder::new(packed).take(size as u64 + 1);
                let n = unpacked.read_to_end(out).map_err(|e| e.to_string())?;
                if n > size {
                    return Err(format!("unpacks to more than the {size} bytes that it says"));
                }
                exact(n)?;
            }
            Self::Zstd => {
                let unpacked = zstd::bulk::decompress(packed, size).map_err(|e| e.to_string())?;
                exact(unpacked.len())?;
                out.extend_from_slice(&unpacked);
            }
            Self::Lz4 => {
                out.resize(before + size, 0);
                let n = lz4_flex::block::decompress_into(packed, &mut out[before..]);
                exact(n.map_err(|e| e.to_string())?)?;
            }
            Self::Other(name) => {
                return Err(format!(
                    "is packed with {name}, which is not read: write it with Snappy or zstd"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Codec::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Codec::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
            Codec::Lz4 => lz4_flex::block::compress(bytes),
            Codec::None | Codec::Other(_) => bytes.to_vec(),
        }
    }

    #[test]
    fn a_page_has_as_many_bytes_as_it_says() {
        let bytes = vec![7u8; 5 << 20];
        for codec in [Codec::None, Codec::Snappy, Codec::Gzip, Codec::Zstd, Codec::Lz4] {
            let packed = packed(codec, &bytes);
            let mut out = vec![1, 2];
            codec.unpack(&packed, &mut out, bytes.len()).unwrap();
            assert_eq!((&out[..2], out.len(), out.ends_with(&bytes)), (&[1, 2][..], bytes.len() + 2, true));
            for lie in [0, 100, bytes.len() - 1, bytes.len() + 1] {
                let mut out = Vec::new();
                assert!(codec.unpack(&packed, &mut out, lie).is_err(), "{codec:?} {lie}");
                assert!(out.capacity() <= 2 * bytes.len(), "{codec:?} {lie}");
            }
            assert!(codec.unpack(&packed[..packed.len() / 2], &mut Vec::new(), bytes.len()).is_err());
        }
        let said = Codec::Other("Brotli").unpack(b"", &mut Vec::new(), 0).unwrap_err();
        assert!(said.contains("Brotli, which is not read: write it with Snappy"));
    }
}
