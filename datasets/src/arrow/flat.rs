//! FlatBuffers, in which Arrow's messages are written: tables are read where they lie, every step within the bytes that are there.

/// Bytes of a message's head. What is `None` points elsewhere, or nowhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flat<'a>(pub(super) &'a [u8]);

/// A table in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    flat: Flat<'a>,
    at: usize,
    /// Where its fields are told, and how many bytes tell it.
    fields: usize,
    length: usize,
}

impl<'a> Flat<'a> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(self, at: usize) -> Option<usize> {
        self.array(at).map(u16::from_le_bytes).map(usize::from)
    }

    fn u32(self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array(at)?)).ok()
    }

    fn i64(self, at: usize) -> Option<i64> {
        self.array(at).map(i64::from_le_bytes)
    }

    /// Where a place points to.
    fn to(self, at: usize) -> Option<usize> {
        at.checked_add(self.u32(at)?)
    }

    /// The table that everything begins with.
    pub(super) fn root(self) -> Option<Table<'a>> {
        self.table(self.to(0)?)
    }

    fn table(self, at: usize) -> Option<Table<'a>> {
        let back = i32::from_le_bytes(self.array(at)?);
        let fields = usize::try_from(i64::try_from(at).ok()?.checked_sub(i64::from(back))?).ok()?;
        Some(Table { flat: self, at, fields, length: self.u16(fields)? })
    }

    /// The first element of a list and their number; each has `size` bytes.
    fn list(self, at: usize, size: usize) -> Option<(usize, usize)> {
        let at = self.to(at)?;
        let n = self.u32(at)?;
        let first = at.checked_add(4)?;
        let end = first.checked_add(n.checked_mul(size)?)?;
        (end <= self.0.len()).then_some((first, n))
    }
}

impl<'a> Table<'a> {
    /// Where a field lies; `None`: it has its default.
    fn field(&self, number: usize) -> Option<usize> {
        let of = 4 + 2 * number;
        if of + 2 > self.length {
            return None;
        }
        match self.flat.u16(self.fields.checked_add(of)?)? {
            0 => None,
            step => self.at.checked_add(step),
        }
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.field(number).is_some()
    }

    pub(super) fn u8(&self, number: usize) -> u8 {
        self.field(number).and_then(|at| self.flat.array(at)).map_or(0, |[b]| b)
    }

    pub(super) fn i16(&self, number: usize) -> Option<i16> {
        self.flat.array(self.field(number)?).map(i16::from_le_bytes)
    }

    pub(super) fn i32(&self, number: usize) -> i32 {
        self.field(number).and_then(|at| self.flat.array(at)).map_or(0, i32::from_le_bytes)
    }

    pub(super) fn i64(&self, number: usize) -> i64 {
        self.field(number).and_then(|at| self.flat.i64(at)).unwrap_or(0)
    }

    pub(super) fn text(&self, number: usize) -> Option<&'a str> {
        let (first, n) = self.flat.list(self.field(number)?, 1)?;
        std::str::from_utf8(self.flat.0.get(first..first + n)?).ok()
    }

    pub(super) fn table(&self, number: usize) -> Option<Table<'a>> {
        self.flat.table(self.flat.to(self.field(number)?)?)
    }

    /// A list of tables; `None`: it is broken. A missing list is empty.
    pub(super) fn tables(&self, number: usize) -> Option<Vec<Table<'a>>> {
        let Some(at) = self.field(number) else { return Some(Vec::new()) };
        let (first, n) = self.flat.list(at, 4)?;
        (0..n).map(|i| self.flat.table(self.flat.to(first + 4 * i)?)).collect()
    }

    /// A list of pairs of 64-bit numbers, as [`tables`](Self::tables).
    pub(super) fn pairs(&self, number: usize) -> Option<Vec<(i64, i64)>> {
        let Some(at) = self.field(number) else { return Some(Vec::new()) };
        let (first, n) = self.flat.list(at, 16)?;
        (0..n).map(|i| Some((self.flat.i64(first + 16 * i)?, self.flat.i64(first + 16 * i + 8)?))).collect()
    }
}
