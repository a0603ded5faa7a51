//! What the headers of a tar file say of one member, GNU's and POSIX' extensions taken together.

use tar::{EntryType, Header, PaxExtensions};

/// A block; everything in a tar file begins at a multiple of it.
pub(super) const BLOCK: u64 = 512;
/// Longest name, and all that a POSIX header says of a member: far above what systems allow for a path.
pub(super) const LONGEST: u64 = 64 << 10;

/// What headers before a member's own said of it.
#[derive(Debug, Default)]
pub(super) struct Before {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file, whose bytes lie there as they are.
    File,
    /// A regular file with holes, whose bytes do not.
    Sparse,
    /// A link to another member or elsewhere.
    Link,
    /// A folder.
    Folder,
    /// A device, a pipe, a volume's label, …
    Other,
}

/// What a header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A member of this kind, with so many bytes of data behind the header.
    Member(Kind, u64),
    /// The name of the next member, in so many bytes.
    Name(u64),
    /// Records of the next member, in so many bytes.
    Records(u64),
    /// Something of no use here, of so many bytes.
    Nothing(u64),
}

/// Whether the sum in a header is that of its bytes; some old programs added them as signed numbers.
pub(super) fn sums_up(header: &Header) -> bool {
    let Ok(expected) = header.cksum() else { return false };
    let bytes = header.as_bytes();
    let sum = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
    // The sum's own place counts as blanks.
    let unsigned = sum(bytes) - sum(&bytes[148..156]) + 8 * u32::from(b' ');
    let high = |bytes: &[u8]| bytes.iter().filter(|b| **b >= 128).count() as u32;
    unsigned == expected || unsigned.wrapping_sub(256 * (high(bytes) - high(&bytes[148..156]))) == expected
}

impl Before {
    /// What a header is for; `None` where its numbers are none.
    pub(super) fn what(&self, header: &Header) -> Option<What> {
        let size = header.entry_size().ok()?;
        let folder = || header.path_bytes().last() == Some(&b'/');
        Some(match header.entry_type() {
            EntryType::GNULongName => What::Name(size),
            EntryType::XHeader => What::Records(size),
            EntryType::GNULongLink | EntryType::XGlobalHeader => What::Nothing(size),
            EntryType::GNUSparse => What::Member(Kind::Sparse, self.size.unwrap_or(size)),
            // Links, folders and devices have no data, whatever their size says.
            EntryType::Link | EntryType::Symlink => What::Member(Kind::Link, 0),
            EntryType::Directory => What::Member(Kind::Folder, 0),
            EntryType::Char | EntryType::Block | EntryType::Fifo => What::Member(Kind::Other, 0),
            EntryType::Regular | EntryType::Continuous if folder() => What::Member(Kind::Folder, 0),
            EntryType::Regular | EntryType::Continuous => {
                let kind = if self.sparse { Kind::Sparse } else { Kind::File };
                What::Member(kind, self.size.unwrap_or(size))
            }
            _ => What::Member(Kind::Other, self.size.unwrap_or(size)),
        })
    }

    /// GNU's long name.
    pub(super) fn name(&mut self, data: &[u8]) {
        self.name = data.split(|b| *b == 0).next().map(<[u8]>::to_vec);
    }

    /// POSIX' records; those that cannot be read say nothing.
    pub(super) fn records(&mut self, data: &[u8]) {
        for record in PaxExtensions::new(data).map_while(Result::ok) {
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"GNU.sparse.name" => {
                    self.sparse = true;
                    self.name = Some(value.to_vec());
                }
                b"size" => {
                    self.size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).or(self.size)
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
    }

    /// The member's name as it is written.
    pub(super) fn name_of(&self, header: &Header) -> Vec<u8> {
        self.name.clone().unwrap_or_else(|| header.path_bytes().into_owned())
    }
}

/// Whether more of a sparse file's map follows behind the header, and behind each further block of it.
pub(super) fn map_goes_on(block: &[u8], further: bool) -> bool {
    block.get(if further { 504 } else { 482 }).is_some_and(|b| *b != 0)
}
