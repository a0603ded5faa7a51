//! The heads of pages: where the pages of a column lie, and what one holds before it is unpacked.

use super::footer::Chunk;
use super::limits::Limits;
use super::thrift::{Compact, FALSE, Fault, I32, STRUCT, TRUE};
use crate::columnar::{Cut, Place};
use crate::{Error, Result, position};
use parquet::basic::Encoding;
use parquet::column::page::Page;
use std::fs::File;
use std::path::Path;
use unisono_files::Budget;

/// The head of a page has a few dozen bytes, and the least and largest value, if the writer put them there.
const HEAD: Budget = Budget { bytes: 1 << 20, values: 1 << 12, depth: 8 };

/// Where pages are read, and what they may cost.
pub(super) struct Pages<'a> {
    pub(super) path: &'a Path,
    pub(super) file: &'a File,
    pub(super) limits: &'a Limits,
}

/// What a page's head says.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Its own length.
    size: usize,
    kind: i64,
    unpacked: i64,
    packed: i64,
    pub(super) values: i64,
    rows: Option<i64>,
    nulls: i64,
    encoding: i64,
    define: i64,
    repeat: i64,
    /// Bytes of levels that are never packed.
    levels: [i64; 2],
    plain: bool,
    sorted: bool,
}

const DATA: i64 = 0;
const INDEX: i64 = 1;
const DICTIONARY: i64 = 2;
const DATA_2: i64 = 3;

impl Head {
    fn read(path: &Path, bytes: &[u8], limits: &Limits) -> std::result::Result<Self, Fault> {
        let mut head = Self::default();
        let mut reader = Compact::new(bytes, HEAD.of(path));
        let mut of_kind = 0;
        reader.fields(&mut |reader, number, of| {
            let place = match (number, of) {
                (1, I32) => &mut head.kind,
                (2, I32) => &mut head.unpacked,
                (3, I32) => &mut head.packed,
                (5 | 7 | 8, STRUCT) => {
                    of_kind = number;
                    reader.fields(&mut |reader, field, of| head.field(reader, number, field, of))?;
                    return Ok(true);
                }
                _ => return Ok(false),
            };
            *place = reader.int()?;
            Ok(true)
        })?;
        head.size = reader.at();
        let expected = match head.kind {
            DATA => 5,
            DICTIONARY => 7,
            DATA_2 => 8,
            INDEX => return Ok(head),
            other => return Err(Fault::Bad(format!("a page of the unknown kind {other}"))),
        };
        if of_kind != expected {
            return Err(Fault::Bad("a page without its own head".into()));
        }
        head.looked_at(limits)
    }

    fn field(
        &mut self,
        reader: &mut Compact,
        page: i16,
        field: i16,
        of: u8,
    ) -> std::result::Result<bool, Fault> {
        let place = match (page, field, of) {
            (8, 7, TRUE | FALSE) => {
                self.plain = of == FALSE;
                return Ok(true);
            }
            (7, 3, TRUE | FALSE) => {
                self.sorted = of == TRUE;
                return Ok(true);
            }
            (_, 1, I32) => &mut self.values,
            (5 | 7, 2, I32) | (8, 4, I32) => &mut self.encoding,
            (5, 3, I32) => &mut self.define,
            (5, 4, I32) => &mut self.repeat,
            (8, 2, I32) => &mut self.nulls,
            (8, 3, I32) => self.rows.insert(0),
            (8, 5, I32) => &mut self.levels[0],
            (8, 6, I32) => &mut self.levels[1],
            _ => return Ok(false),
        };
        *place = reader.int()?;
        Ok(true)
    }

    fn looked_at(self, limits: &Limits) -> std::result::Result<Self, Fault> {
        let within = |what: &str, n: i64, most: i64| match (0..=most).contains(&n) {
            true => Ok(()),
            false => Err(Fault::Bad(format!("a page of {n} {what}, the most are {most}"))),
        };
        // What more may be allowed of is told apart from what cannot be.
        let allowed = |what: &str, n: i64, most: i64| match n > most {
            true => Err(Fault::Much(format!("a page of {n} {what}, the most are {most}"))),
            false => within(what, n, most),
        };
        let (bytes, values) = (i64::try_from(limits.page).unwrap_or(i64::MAX), limits.values());
        allowed("bytes", self.unpacked, bytes)?;
        allowed("packed bytes", self.packed, bytes)?;
        allowed("values", self.values, values)?;
        allowed("rows", self.rows.unwrap_or(0), values)?;
        within("values that are none", self.nulls, self.values)?;
        let levels = self.unpacked.min(self.packed);
        within("bytes of levels", self.levels[0], levels)?;
        within("bytes of levels", self.levels[1], levels - self.levels[0])?;
        Ok(self)
    }

    pub(super) fn is_data(&self) -> bool {
        matches!(self.kind, DATA | DATA_2)
    }

    /// Whether its values stand in the dictionary.
    pub(super) fn by_dictionary(&self) -> bool {
        matches!(self.encoding, 2 | 8)
    }

    fn whole(&self) -> u64 {
        self.size as u64 + self.packed as u64
    }
}

fn encoding(n: i64) -> std::result::Result<Encoding, String> {
    Ok(match n {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[expect(deprecated, reason = "old files are read, too")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        other => return Err(format!("a page in the unknown encoding {other}")),
    })
}

/// A page's head at `at`, of a chunk that ends at `end`.
fn head(pages: &Pages, at: u64, end: u64) -> Result<Head> {
    let Pages { path, file, limits } = *pages;
    let broken = |message: &str| Error::archive(path, format!("at byte {at}: {message}: it is damaged"));
    let mut bytes = Vec::new();
    for most in [256, 1 << 14, HEAD.bytes] {
        let want = most.min(end - at) as usize;
        if want <= bytes.len() {
            break;
        }
        bytes.resize(want, 0);
        position::read(file, &mut bytes, at).map_err(Error::io(path, "read"))?;
        match Head::read(path, &bytes, limits) {
            Err(Fault::Short) => {}
            Err(Fault::Bad(message)) => return Err(broken(&message)),
            Err(Fault::Much(message)) => return Err(much(path, at, &message)),
            Ok(head) if head.packed as u64 > end - at - head.size as u64 => {
                return Err(broken("a page goes on behind its column's end"));
            }
            Ok(head) => return Ok(head),
        }
    }
    Err(broken("a page's head has no end"))
}

/// A page that is larger than it may be.
fn much(path: &Path, at: u64, message: &str) -> Error {
    let advice = "if that is meant, give the source a larger `max_page` (`--max-page`)";
    Error::archive(path, format!("at byte {at}: {message}; {advice}"))
}

/// How a column of a group is cut: by its pages, where a row lies in one of them; a column of lists is one piece, since pages may end within a row.
pub(super) fn cut(pages: &Pages, chunk: &Chunk, rows: u32, listed: bool) -> Result<Cut> {
    let path = pages.path;
    let end = chunk.start + chunk.length;
    let (mut cut, mut at, mut row) = (Cut::default(), chunk.start, 0u64);
    cut.first.push(0);
    while at < end && (listed || row < u64::from(rows)) {
        let head = head(pages, at, end)?;
        let length = u32::try_from(head.whole()).unwrap_or(u32::MAX);
        let place = Place { offset: at, length };
        at += head.whole();
        if head.is_data() {
            cut.pages.push(place);
            row += head.rows.unwrap_or(head.values) as u64;
            if !listed {
                cut.first.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        } else if head.kind == DICTIONARY && cut.pages.is_empty() && cut.dictionary.is_none() {
            cut.dictionary = Some(place);
        } else if head.kind == DICTIONARY {
            return Err(Error::archive(
                path,
                format!("at byte {}: a second dictionary: it is damaged", place.offset),
            ));
        }
    }
    if listed {
        cut.first.push(rows);
    } else if row != u64::from(rows) {
        let message = format!(
            "the pages from byte {} on hold {row} rows, their row group says {rows}: it is damaged",
            chunk.start
        );
        return Err(Error::archive(path, message));
    }
    Ok(cut)
}

/// A page, unpacked.
pub(super) fn page(pages: &Pages, place: Place, chunk: &Chunk) -> Result<(Head, Page)> {
    let Pages { path, file, limits } = *pages;
    let mut bytes = vec![0; place.length as usize];
    position::read(file, &mut bytes, place.offset).map_err(Error::io(path, "read"))?;
    let broken =
        |message: String| Error::archive(path, format!("at byte {}: {message}: it is damaged", place.offset));
    let head = match Head::read(path, &bytes, limits) {
        Ok(head) if head.whole() <= bytes.len() as u64 => head,
        Err(Fault::Bad(message)) => return Err(broken(message)),
        Err(Fault::Much(message)) => return Err(much(path, place.offset, &message)),
        _ => return Err(broken("a page has another length than before".into())),
    };
    let body = &bytes[head.size..head.size + head.packed as usize];
    let levels = (head.levels[0] + head.levels[1]) as usize;
    let size = head.unpacked as usize;
    let mut buf = Vec::with_capacity(size);
    buf.extend_from_slice(&body[..levels]);
    let codec = if head.plain { super::unpack::Codec::None } else { chunk.codec };
    // A page without a value may have nothing that could be unpacked.
    if size > levels {
        let unpacked = codec.unpack(&body[levels..], &mut buf, size - levels);
        unpacked.map_err(|m| Error::archive(path, format!("at byte {}: a page {m}", place.offset)))?;
    }
    let (buf, num_values) = (buf.into(), head.values as u32);
    let of = |n| encoding(n).map_err(broken);
    let page = match head.kind {
        DICTIONARY => {
            Page::DictionaryPage { buf, num_values, encoding: of(head.encoding)?, is_sorted: head.sorted }
        }
        DATA => Page::DataPage {
            buf,
            num_values,
            encoding: of(head.encoding)?,
            def_level_encoding: of(head.define)?,
            rep_level_encoding: of(head.repeat)?,
            statistics: None,
        },
        _ => Page::DataPageV2 {
            buf,
            num_values,
            encoding: of(head.encoding)?,
            num_nulls: head.nulls as u32,
            num_rows: head.rows.unwrap_or(0) as u32,
            def_levels_byte_len: head.levels[0] as u32,
            rep_levels_byte_len: head.levels[1] as u32,
            is_compressed: false,
            statistics: None,
        },
    };
    Ok((head, page))
}
