//! The image among the items of a HEIF file (ISO/IEC 23008-12; AVIF is one): what it is made of, and how it is to be turned. Nothing is
//! decoded; what a file claims is looked at as what it is, a claim.

use super::meta::{Fields, Found, Meta, boxes};
use std::borrow::Cow;

/// How an item's pixels are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Av1,
    Hevc,
}

/// Planes as a decoder gives them: bits of a sample, and by how many bits sides of colour planes are halved. `None`: there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) depth: u8,
    pub(super) halved: Option<(u8, u8)>,
}

/// What a file says of its colours beside what their coding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nclx {
    pub(super) matrix: u16,
    pub(super) full: bool,
}

/// One image, or one in tiles.
#[derive(Debug, Clone)]
pub(super) struct Coded<'a> {
    pub(super) codec: Codec,
    pub(super) size: (u32, u32),
    /// Of each tile; of an image without tiles its own.
    pub(super) tile: (u32, u32),
    pub(super) columns: u32,
    /// Row by row.
    pub(super) tiles: Vec<Cow<'a, [u8]>>,
    /// What the decoder is told first.
    pub(super) configuration: &'a [u8],
    pub(super) layout: Layout,
    pub(super) nclx: Option<Nclx>,
}

/// What is done to an image before it is shown, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Quarters of a turn, against the clock.
    Turn(u8),
    /// Top and bottom change places, or left and right.
    Mirror { sideways: bool },
    /// What is left: from the left, from the top, width, height.
    Crop([u32; 4]),
}

/// The image that a file shows.
#[derive(Debug, Clone)]
pub(super) struct Still<'a> {
    pub(super) colours: Coded<'a>,
    pub(super) alpha: Option<Coded<'a>>,
    /// Colours are multiplied by their opacity already.
    pub(super) premultiplied: bool,
    pub(super) steps: Vec<Step>,
}

/// Whether a file begins as HEIF does.
pub(crate) fn is_heif(head: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 10] =
        [b"mif1", b"mif2", b"heic", b"heix", b"heim", b"heis", b"avif", b"avis", b"msf1", b"hevc"];
    let [a, b, c, d, b'f', b't', b'y', b'p', brands @ ..] = head else { return false };
    let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_sub(8);
    let (brands, _) = brands[..brands.len().min(length)].as_chunks::<4>();
    // The version stands between the first brand and the others. A video may be compatible with much.
    let videos: [&[u8; 4]; 4] = [b"isom", b"mp41", b"mp42", b"qt  "];
    brands.first().is_some_and(|first| !videos.contains(&first))
        && brands.iter().any(|brand| BRANDS.contains(&brand))
}

/// Width and height of the image, as it is stored; `meta` is the box of that name.
pub(crate) fn size(meta: &[u8]) -> Option<(u32, u32)> {
    let meta = Meta::read(meta, &[]).ok()?;
    meta.size(meta.primary).ok()
}

impl<'a> Still<'a> {
    /// Finds the image in a file.
    ///
    /// # Errors
    /// What was found instead.
    pub(super) fn read(file: &'a [u8]) -> Found<Self> {
        let meta = boxes(file).find(|(name, _)| name == b"meta").ok_or("one without a list of its items")?;
        let meta = Meta::read(meta.1, file)?;
        let primary = meta.primary;
        let alpha = meta.alpha(primary);
        Ok(Self {
            colours: meta.coded(primary)?,
            alpha: alpha.map(|item| meta.coded(item)).transpose()?,
            premultiplied: alpha.is_some_and(|item| meta.refers(b"prem", primary).contains(&item)),
            steps: meta.steps(primary)?,
        })
    }
}

impl<'a> Meta<'a> {
    /// The item that holds another's opacity.
    fn alpha(&self, of: u32) -> Option<u32> {
        const KINDS: [&[u8]; 2] =
            [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];
        let beside = self.references.iter().filter(|(kind, _, to)| kind == b"auxl" && to.contains(&of));
        let opacity = |item: &u32| {
            let kind = self.property(*item, b"auxC").and_then(|body| body.get(4..));
            kind.is_some_and(|kind| KINDS.iter().any(|known| kind.starts_with(known)))
        };
        beside.map(|(_, item, _)| *item).find(opacity)
    }

    fn coded(&self, item: u32) -> Found<Coded<'a>> {
        let kind = self.kinds.get(&item).copied().unwrap_or_default();
        let size = self.size(item)?;
        if kind != *b"grid" {
            let one = Grid { size, columns: 1, rows: 1 };
            return self.tiled(item, &one, &[item]);
        }
        let grid = Grid::read(&self.bytes(item)?)?;
        let tiles = self.refers(b"dimg", item);
        if tiles.len() as u64 != u64::from(grid.columns) * u64::from(grid.rows) {
            let said = format!(
                "an image of {} x {} tiles, of which {} are there",
                grid.columns,
                grid.rows,
                tiles.len()
            );
            return Err(said);
        }
        self.tiled(item, &grid, &tiles)
    }

    fn tiled(&self, item: u32, grid: &Grid, tiles: &[u32]) -> Found<Coded<'a>> {
        let first = *tiles.first().ok_or("an image without tiles")?;
        let (codec, name) = match self.kinds.get(&first) {
            Some(b"av01") => (Codec::Av1, b"av1C"),
            Some(b"hvc1") => (Codec::Hevc, b"hvcC"),
            Some(kind) => return Err(format!("an image coded as {:?}", String::from_utf8_lossy(kind))),
            None => return Err("an image that is not among its items".into()),
        };
        let missing = "an image without what its decoder needs first";
        let configuration = self.property(first, name).ok_or(missing)?;
        let tile = self.size(first)?;
        // Whose colours a grid does not tell its tiles do.
        let colours =
            |item: u32| self.of(item).filter(|(name, _)| name == b"colr").find_map(|(_, body)| nclx(body));
        let mut coded = Coded {
            codec,
            size: grid.size,
            tile,
            columns: grid.columns,
            tiles: Vec::with_capacity(tiles.len()),
            configuration,
            layout: layout(codec, configuration).ok_or(missing)?,
            nclx: colours(item).or_else(|| colours(first)),
        };
        let covers = |tile: u32, count: u32, whole: u32| {
            let (tile, count, whole) = (u64::from(tile), u64::from(count), u64::from(whole));
            tile * count >= whole && tile * (count - 1) < whole
        };
        if !covers(tile.0, grid.columns, grid.size.0) || !covers(tile.1, grid.rows, grid.size.1) {
            return Err("an image that its tiles do not cover".into());
        }
        let mut total = 0;
        for one in tiles {
            let alike = self.kinds.get(one) == self.kinds.get(&first)
                && self.size(*one)? == tile
                && self.property(*one, name) == Some(configuration);
            if !alike {
                return Err("an image of tiles that are not alike".into());
            }
            let bytes = self.bytes(*one)?;
            total += bytes.len();
            if total > self.file.len() {
                return Err("an image whose parts lie on each other".into());
            }
            coded.tiles.push(bytes);
        }
        Ok(coded)
    }

    fn steps(&self, item: u32) -> Found<Vec<Step>> {
        let mut size = self.size(item)?;
        let mut steps = Vec::new();
        for (name, body) in self.of(item) {
            let mut fields = Fields(body);
            match name {
                b"irot" => {
                    let quarters = fields.number(1)? as u8 & 3;
                    if quarters % 2 == 1 {
                        size = (size.1, size.0);
                    }
                    steps.push(Step::Turn(quarters));
                }
                b"imir" => steps.push(Step::Mirror { sideways: fields.number(1)? & 1 == 1 }),
                b"clap" => {
                    let crop = crop(&mut fields, size)?;
                    size = (crop[2], crop[3]);
                    steps.push(Step::Crop(crop));
                }
                _ => {}
            }
        }
        Ok(steps)
    }
}

/// A picture in tiles.
struct Grid {
    size: (u32, u32),
    columns: u32,
    rows: u32,
}

impl Grid {
    fn read(bytes: &[u8]) -> Found<Self> {
        let mut fields = Fields(bytes);
        let flags = fields.number(2)? & 1;
        let (rows, columns) = (fields.number(1)? as u32 + 1, fields.number(1)? as u32 + 1);
        let wide = if flags == 1 { 4 } else { 2 };
        let size = (fields.number(wide)? as u32, fields.number(wide)? as u32);
        Ok(Self { size, columns, rows })
    }
}

/// A clean aperture (ISO/IEC 14496-12, 12.1.4): fractions of width, height, and of how far the middle is moved.
fn crop(fields: &mut Fields, (width, height): (u32, u32)) -> Found<[u32; 4]> {
    let mut numbers = [0i64; 8];
    for number in &mut numbers {
        *number = i64::from(fields.number(4)? as u32 as i32);
    }
    let wrong = || "an image that is cropped to nothing".to_owned();
    let side = |whole: u32, (n, d): (i64, i64), (o, p): (i64, i64)| {
        let fits = n > 0 && d > 0 && p > 0;
        let length = (fits.then(|| n / d)).filter(|length| (1..=i64::from(whole)).contains(length))?;
        // The middle is moved by o / p from that of the whole.
        let start = (f64::from(whole) - length as f64) / 2.0 + o as f64 / p as f64;
        let start = start.round() as i64;
        let inside = start >= 0 && start + length <= i64::from(whole);
        inside.then_some((start as u32, length as u32))
    };
    let [a, b, c, d, e, f, g, h] = numbers;
    let (left, wide) = side(width, (a, b), (e, f)).ok_or_else(wrong)?;
    let (top, high) = side(height, (c, d), (g, h)).ok_or_else(wrong)?;
    Ok([left, top, wide, high])
}

fn nclx(body: &[u8]) -> Option<Nclx> {
    let mut fields = Fields(body.strip_prefix(b"nclx")?);
    fields.take(4).ok()?;
    let matrix = fields.number(2).ok()? as u16;
    Some(Nclx { matrix, full: fields.number(1).ok()? & 0x80 != 0 })
}

/// Bits and planes by a decoder's configuration.
fn layout(codec: Codec, configuration: &[u8]) -> Option<Layout> {
    match codec {
        Codec::Av1 => {
            let flags = *configuration.get(2)?;
            let depth = match flags & 0x60 {
                0x40 => 10,
                0x60 => 12,
                _ => 8,
            };
            let halved = (flags & 0x10 == 0).then_some((flags >> 3 & 1, flags >> 2 & 1));
            Some(Layout { depth, halved })
        }
        Codec::Hevc => {
            let halved = [None, Some((1, 1)), Some((1, 0)), Some((0, 0))];
            let halved = halved[usize::from(configuration.get(16)? & 3)];
            Some(Layout { depth: 8 + (configuration.get(17)? & 7), halved })
        }
    }
}
