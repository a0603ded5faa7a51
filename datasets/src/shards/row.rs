//! A record's line in an index: its key, and where its members lie.

/// Most members of one record.
pub(super) const MEMBERS: usize = 4096;

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// As it is written, whatever its letters.
    pub(crate) ending: String,
    /// It has holes: its bytes do not lie there.
    pub(crate) sparse: bool,
    /// Where its data begin in the tar file.
    pub(crate) offset: u64,
    /// Their bytes.
    pub(crate) length: u64,
}

/// What an index knows of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The names of its members up to their endings.
    pub(crate) key: String,
    /// In the file's order.
    pub(crate) parts: Vec<Part>,
}

impl Row {
    /// A member's name.
    pub(crate) fn name(&self, part: &Part) -> String {
        format!("{}.{}", self.key, part.ending)
    }

    /// Appends its bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        text(out, &self.key);
        number(out, self.parts.len() as u64);
        for part in &self.parts {
            text(out, &part.ending);
            out.push(part.sparse.into());
            number(out, part.offset);
            number(out, part.length);
        }
    }

    /// The row of these bytes; `None` where they are none.
    pub(super) fn read(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        let key = take_text(from)?;
        let count = usize::try_from(take_number(from)?).ok().filter(|n| *n <= MEMBERS)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let ending = take_text(from)?;
            let sparse = match take(from, 1)? {
                [0] => false,
                [1] => true,
                _ => return None,
            };
            let (offset, length) = (take_number(from)?, take_number(from)?);
            offset.checked_add(length)?;
            parts.push(Part { ending, sparse, offset, length });
        }
        from.is_empty().then_some(Self { key, parts })
    }
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 128 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take<'a>(from: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(n)?;
    *from = rest;
    Some(taken)
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(from, 1)?[0];
        let low = u64::from(byte & 127);
        if low << shift >> shift != low {
            return None;
        }
        n |= low << shift;
        if byte < 128 {
            return Some(n);
        }
    }
    None
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_number(from)?).ok()?;
    String::from_utf8(take(from, length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Part> {
        ("[a-zé.]{0,6}", any::<bool>(), 0..u64::MAX / 2, 0..u64::MAX / 2)
            .prop_map(|(ending, sparse, offset, length)| Part { ending, sparse, offset, length })
    }

    proptest! {
        #[test]
        fn rows_come_back(key in ".{0,40}", parts in proptest::collection::vec(part(), 0..6)) {
            let row = Row { key, parts };
            let mut bytes = Vec::new();
            row.write(&mut bytes);
            prop_assert_eq!(Row::read(&bytes), Some(row));
            // Neither less nor more of it.
            prop_assert_eq!(Row::read(&bytes[..bytes.len() - 1]), None);
            bytes.push(0);
            prop_assert_eq!(Row::read(&bytes), None);
        }

        #[test]
        fn anything_else_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(row) = Row::read(&bytes) {
                let mut again = Vec::new();
                row.write(&mut again);
                prop_assert!(again.len() <= bytes.len());
            }
        }
    }
}
