//! What a HEIF file says of its items: their kinds, places, properties, and which belong to which.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// An error is what was found instead.
pub(super) type Found<T> = Result<T, String>;

/// Properties of an item, at most.
const MOST_PROPERTIES: usize = 256;

/// Numbers one after another.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Found<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or("one whose list of items is cut off")?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn number(&mut self, bytes: usize) -> Found<u64> {
        Ok(self.take(bytes)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// Version and flags of a box.
    pub(super) fn version(&mut self) -> Found<(u8, u32)> {
        let word = self.number(4)?;
        Ok(((word >> 24) as u8, word as u32 & 0xff_ffff))
    }

    /// The number of an item: 16 bits, or 32.
    pub(super) fn item(&mut self, long: bool) -> Found<u32> {
        Ok(self.number(if long { 4 } else { 2 })? as u32)
    }
}

/// Boxes side by side; one that is longer than what it lies in ends the walk.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let [a, b, c, d, name @ ..] = *head;
        let (body, length) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (rest, rest.len() as u64),
            1 => {
                let (long, rest) = rest.split_first_chunk::<8>()?;
                (rest, u64::from_be_bytes(*long).checked_sub(16)?)
            }
            length => (rest, u64::from(length).checked_sub(8)?),
        };
        let (body, after) = body.split_at_checked(usize::try_from(length).ok()?)?;
        bytes = after;
        Some((name, body))
    })
}

/// Where a part of an item lies.
struct Extent {
    /// Among the items' own bytes, and not in the file.
    inside: bool,
    start: u64,
    length: u64,
}

/// All that the file says of its items.
pub(super) struct Meta<'a> {
    pub(super) file: &'a [u8],
    inside: &'a [u8],
    pub(super) primary: u32,
    pub(super) kinds: BTreeMap<u32, [u8; 4]>,
    places: BTreeMap<u32, Vec<Extent>>,
    properties: Vec<([u8; 4], &'a [u8])>,
    /// Places in `properties`, in the item's order.
    owned: BTreeMap<u32, Vec<usize>>,
    pub(super) references: Vec<([u8; 4], u32, Vec<u32>)>,
}

impl<'a> Meta<'a> {
    pub(super) fn read(meta: &'a [u8], file: &'a [u8]) -> Found<Self> {
        let mut found = Self {
            file,
            inside: &[],
            primary: 0,
            kinds: BTreeMap::new(),
            places: BTreeMap::new(),
            properties: Vec::new(),
            owned: BTreeMap::new(),
            references: Vec::new(),
        };
        let mut primary = None;
        for (name, body) in boxes(meta.get(4..).unwrap_or_default()) {
            let mut fields = Fields(body);
            match &name {
                b"idat" => found.inside = body,
                b"pitm" => {
                    let long = fields.version()?.0 > 0;
                    primary = Some(fields.item(long)?);
                }
                b"iinf" => found.kinds(fields)?,
                b"iloc" => found.places(fields)?,
                b"iref" => found.references(fields)?,
                b"iprp" => found.properties(body)?,
                _ => {}
            }
        }
        found.primary = primary.ok_or("one that does not say which of its items is the image")?;
        Ok(found)
    }

    fn kinds(&mut self, mut fields: Fields<'a>) -> Found<()> {
        let long = fields.version()?.0 > 0;
        fields.item(long)?;
        for (name, body) in boxes(fields.0) {
            let mut fields = Fields(body);
            let version = fields.version()?.0;
            // Older ones do not say what an item is.
            if &name == b"infe" && version >= 2 {
                let item = fields.item(version > 2)?;
                fields.take(2)?;
                self.kinds.insert(item, fields.number(4).map(|kind| (kind as u32).to_be_bytes())?);
            }
        }
        Ok(())
    }

    fn places(&mut self, mut fields: Fields) -> Found<()> {
        let version = fields.version()?.0;
        let sizes = fields.number(2)?;
        let wide = |shift: u32| (sizes >> shift & 15) as usize;
        let (offset, length, base, index) = (wide(12), wide(8), wide(4), wide(0));
        if [offset, length, base, index].iter().any(|wide| ![0, 4, 8].contains(wide)) {
            return Err("one whose items lie nowhere".into());
        }
        let count = fields.item(version == 2)?;
        for _ in 0..count {
            let item = fields.item(version == 2)?;
            let method = if version > 0 { fields.number(2)? & 15 } else { 0 };
            fields.take(2)?;
            let base = fields.number(base)?;
            let extents = fields.number(2)?;
            let mut parts = Vec::new();
            for _ in 0..extents {
                fields.take(if version > 0 { index } else { 0 })?;
                let start = fields.number(offset)?.checked_add(base).ok_or("one whose items lie nowhere")?;
                parts.push(Extent { inside: method == 1, start, length: fields.number(length)? });
            }
            // Items that are made of others in a way of their own are not read.
            if method < 2 {
                self.places.insert(item, parts);
            }
        }
        Ok(())
    }

    fn references(&mut self, mut fields: Fields<'a>) -> Found<()> {
        let long = fields.version()?.0 > 0;
        for (name, body) in boxes(fields.0) {
            let mut fields = Fields(body);
            let from = fields.item(long)?;
            let count = fields.number(2)?;
            let to = (0..count).map(|_| fields.item(long)).collect::<Found<_>>()?;
            self.references.push((name, from, to));
        }
        Ok(())
    }

    fn properties(&mut self, body: &'a [u8]) -> Found<()> {
        for (name, body) in boxes(body) {
            let mut fields = Fields(body);
            match &name {
                b"ipco" => self.properties = boxes(body).collect(),
                b"ipma" => {
                    let (version, flags) = fields.version()?;
                    let count = fields.number(4)?;
                    for _ in 0..count {
                        let item = fields.item(version > 0)?;
                        let properties = fields.number(1)?;
                        for _ in 0..properties {
                            // The highest bit says that it matters.
                            let number = match flags & 1 {
                                0 => fields.number(1)? & 0x7f,
                                _ => fields.number(2)? & 0x7fff,
                            };
                            let owned = self.owned.entry(item).or_default();
                            // What nobody has, in a list that is looked through for each tile.
                            if owned.len() < MOST_PROPERTIES
                                && let Some(place) = number.checked_sub(1)
                            {
                                owned.push(place as usize);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, item: u32) -> impl Iterator<Item = &([u8; 4], &'a [u8])> {
        let owned = self.owned.get(&item).map(Vec::as_slice).unwrap_or_default();
        owned.iter().filter_map(|place| self.properties.get(*place))
    }

    pub(super) fn property(&self, item: u32, wanted: &[u8; 4]) -> Option<&'a [u8]> {
        self.of(item).find(|(name, _)| name == wanted).map(|(_, body)| *body)
    }

    pub(super) fn refers(&self, name: &[u8; 4], from: u32) -> Vec<u32> {
        let same = self.references.iter().filter(|(kind, item, _)| kind == name && *item == from);
        same.flat_map(|(_, _, to)| to.iter().copied()).collect()
    }

    pub(super) fn size(&self, item: u32) -> Found<(u32, u32)> {
        let body = self.property(item, b"ispe").ok_or("an image without a size")?;
        let mut fields = Fields(body);
        fields.version()?;
        match (fields.number(4)? as u32, fields.number(4)? as u32) {
            (width, height) if width == 0 || height == 0 => {
                Err(format!("an image of {width} x {height} pixels"))
            }
            size => Ok(size),
        }
    }

    pub(super) fn bytes(&self, item: u32) -> Found<Cow<'a, [u8]>> {
        let parts = self.places.get(&item).ok_or("an image whose bytes are nowhere")?;
        let part = |extent: &Extent| {
            let from = if extent.inside { self.inside } else { self.file };
            let rest = from.get(usize::try_from(extent.start).ok()?..)?;
            match extent.length {
                0 => Some(rest),
                length => rest.get(..usize::try_from(length).ok()?),
            }
        };
        let cut = "one that is cut off";
        match parts.as_slice() {
            [one] => part(one).map(Cow::Borrowed).ok_or_else(|| cut.into()),
            parts => {
                let mut whole = Vec::new();
                for one in parts {
                    whole.extend_from_slice(part(one).ok_or(cut)?);
                    // Parts that lie on each other would make a small file a large one.
                    if whole.len() > self.file.len() {
                        return Err("an image whose parts lie on each other".into());
                    }
                }
                Ok(Cow::Owned(whole))
            }
        }
    }
}
