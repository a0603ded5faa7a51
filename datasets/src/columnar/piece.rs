//! Some rows of a column in memory.

use parquet::data_type::ByteArray;

/// The values of a piece, those that are there, in the order of their slots.
#[derive(Debug)]
pub(crate) enum Values {
    /// Text and bytes. Each shares the memory of the page that it was read from.
    Bytes(Vec<ByteArray>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Value<'_>> {
        match self {
            Self::Bytes(v) => v.get(index).map(|v| Value::Bytes(v.data())),
            Self::Int(v) => v.get(index).map(|v| Value::Int(*v)),
            Self::Float(v) => v.get(index).map(|v| Value::Float(*v)),
            Self::Bool(v) => v.get(index).map(|v| Value::Bool(*v)),
        }
    }

    /// Memory but for what the values share.
    fn own_bytes(&self) -> usize {
        match self {
            Self::Bytes(v) => size_of_val(v.as_slice()),
            Self::Int(v) => size_of_val(v.as_slice()),
            Self::Float(v) => size_of_val(v.as_slice()),
            Self::Bool(v) => size_of_val(v.as_slice()),
        }
    }
}

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Bytes(&'a [u8]),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// A place in a column: see [`super::Leaf`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slot<'a> {
    pub(crate) level: u8,
    pub(crate) value: Option<Value<'a>>,
}

/// Some rows of a column.
#[derive(Debug)]
pub(crate) struct Piece {
    /// How many.
    rows: usize,
    /// The first slot of each row, and the end; `None`: a slot a row.
    starts: Option<Vec<u32>>,
    /// `None`: each slot has a value.
    holes: Option<Holes>,
    values: Values,
    /// What the values share.
    shared: usize,
}

/// Where values are missing.
#[derive(Debug)]
struct Holes {
    levels: Vec<u8>,
    /// The number of each slot's value, of those that have one.
    at: Vec<u32>,
}

impl Piece {
    /// From what was read: the levels of its slots (none: each has a value), the level of a value, where rows begin (none: at each slot), and how
    /// many bytes the values share. `None` where these do not fit each other.
    pub(crate) fn new(
        levels: Option<Vec<u8>>,
        full: u8,
        starts: Option<Vec<u32>>,
        values: Values,
        shared: usize,
    ) -> Option<Self> {
        let slots = levels.as_ref().map_or(values.len(), Vec::len);
        let holes = match levels {
            Some(levels) if levels.iter().any(|l| *l != full) => {
                let mut next = 0u32;
                let at = levels.iter().map(|l| {
                    let this = next;
                    next += u32::from(*l == full);
                    this
                });
                let at = at.collect();
                if next as usize != values.len() {
                    return None;
                }
                Some(Holes { levels, at })
            }
            _ if slots != values.len() => return None,
            _ => None,
        };
        let rows = match &starts {
            None => slots,
            Some(starts) => {
                let end = *starts.last()? as usize;
                if end != slots || !starts.is_sorted() {
                    return None;
                }
                starts.len() - 1
            }
        };
        Some(Self { rows, starts, holes, values, shared })
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The slots of a row; `full` is their level where nothing is missing.
    pub(crate) fn slots(&self, row: usize, full: u8) -> impl Iterator<Item = Slot<'_>> {
        let range = match &self.starts {
            _ if row >= self.rows => 0..0,
            None => row..row + 1,
            Some(starts) => starts[row] as usize..starts[row + 1] as usize,
        };
        range.map(move |slot| match &self.holes {
            None => Slot { level: full, value: self.values.get(slot) },
            Some(Holes { levels, at }) => {
                let level = levels[slot];
                let value = if level == full { self.values.get(at[slot] as usize) } else { None };
                Slot { level, value }
            }
        })
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let holes = self.holes.as_ref().map_or(0, |h| h.levels.len() + size_of_val(h.at.as_slice()));
        let starts = self.starts.as_ref().map_or(0, |s| size_of_val(s.as_slice()));
        self.shared + self.values.own_bytes() + holes + starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(piece: &Piece, row: usize) -> Vec<(u8, Option<i64>)> {
        let value = |v| match v {
            Value::Int(v) => v,
            other => panic!("{other:?}"),
        };
        piece.slots(row, 2).map(|s| (s.level, s.value.map(value))).collect()
    }

    #[test]
    fn slots_of_flat_and_listed_rows() {
        let flat = Piece::new(Some(vec![2, 0, 1, 2]), 2, None, Values::Int(vec![7, 9]), 0).unwrap();
        assert_eq!(flat.rows(), 4);
        assert_eq!((ints(&flat, 0), ints(&flat, 2)), (vec![(2, Some(7))], vec![(1, None)]));
        assert_eq!((ints(&flat, 3), ints(&flat, 4)), (vec![(2, Some(9))], vec![]));
        let listed =
            Piece::new(Some(vec![2, 2, 0, 2]), 2, Some(vec![0, 2, 3, 4]), Values::Int(vec![1, 2, 3]), 0)
                .unwrap();
        assert_eq!(listed.rows(), 3);
        assert_eq!(ints(&listed, 0), [(2, Some(1)), (2, Some(2))]);
        assert_eq!((ints(&listed, 1), ints(&listed, 2)), (vec![(0, None)], vec![(2, Some(3))]));
        let whole = Piece::new(None, 0, None, Values::Bool(vec![true]), 5).unwrap();
        assert_eq!(
            whole.slots(0, 0).collect::<Vec<_>>(),
            [Slot { level: 0, value: Some(Value::Bool(true)) }]
        );
        assert_eq!(whole.bytes(), 6);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let values = || Values::Int(vec![1]);
        assert!(Piece::new(Some(vec![2, 2]), 2, None, values(), 0).is_none());
        assert!(Piece::new(Some(vec![0, 0]), 2, None, values(), 0).is_none());
        assert!(Piece::new(None, 2, Some(vec![0, 2]), values(), 0).is_none());
        assert!(Piece::new(None, 2, Some(vec![]), values(), 0).is_none());
        assert!(Piece::new(None, 2, Some(vec![1, 0, 1]), values(), 0).is_none());
    }
}
