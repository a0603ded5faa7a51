//! Thrift's compact protocol, in which Parquet's heads are written: as much of it as is needed to look at them before they are believed.

use unisono_files::Left;

/// Why a head cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It goes on behind the bytes that are there.
    Short,
    /// It is broken, or too large.
    Bad(String),
    /// It is larger than is allowed.
    Much(String),
}

pub(super) type Read<T> = Result<T, Fault>;

/// The types of fields, as far as anything is read from them.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// A reader that takes no memory; every value is drawn from a budget.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
    left: Left<'a>,
}

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8], left: Left<'a>) -> Self {
        Self { bytes, at: 0, left }
    }

    /// Bytes read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(n).ok_or(Fault::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Fault::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        self.take(1).map(|b| b[0])
    }

    fn varint(&mut self) -> Read<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Fault::Bad("a number of more than 64 bits".into()))
    }

    /// A signed whole number.
    pub(super) fn int(&mut self) -> Read<i64> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn size(&mut self) -> Read<usize> {
        usize::try_from(self.varint()?).map_err(|_| Fault::Short)
    }

    /// A list's type of elements and their number.
    pub(super) fn list(&mut self) -> Read<(u8, usize)> {
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => self.size()?,
            n => usize::from(n),
        };
        // An element takes a byte or more.
        if n > self.bytes.len() - self.at {
            return Err(Fault::Short);
        }
        Ok((head & 15, n))
    }

    /// A struct's fields, each by its number and type; what `field` does not read (it returns `false`) is passed over.
    pub(super) fn fields(&mut self, field: &mut dyn FnMut(&mut Self, i16, u8) -> Read<bool>) -> Read<()> {
        self.left.enter().map_err(|e| Fault::Bad(e.to_string()))?;
        let mut last = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                break;
            }
            self.left.values(1).map_err(|e| Fault::Bad(e.to_string()))?;
            last = match head >> 4 {
                0 => i16::try_from(self.int()?).map_err(|_| Fault::Bad("a field without a number".into()))?,
                step => last.wrapping_add(i16::from(step)),
            };
            let of = head & 15;
            if !field(self, last, of)? {
                self.skip(of)?;
            }
        }
        self.left.leave();
        Ok(())
    }

    /// Passes over the value of a field.
    pub(super) fn skip(&mut self, of: u8) -> Read<()> {
        match of {
            TRUE | FALSE => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.take(8).map(drop),
            8 => {
                let n = self.size()?;
                self.take(n).map(drop)
            }
            LIST | 10 => {
                let (of, n) = self.list()?;
                self.elements(n, &[of])
            }
            11 => {
                let n = self.size()?;
                if n == 0 {
                    return Ok(());
                }
                let types = self.byte()?;
                self.elements(n, &[types >> 4, types & 15])
            }
            STRUCT => self.fields(&mut |_, _, _| Ok(false)),
            13 => self.take(16).map(drop),
            other => Err(Fault::Bad(format!("a value of the unknown type {other}"))),
        }
    }

    fn elements(&mut self, n: usize, of: &[u8]) -> Read<()> {
        self.left.enter().map_err(|e| Fault::Bad(e.to_string()))?;
        for _ in 0..n {
            self.left.values(1).map_err(|e| Fault::Bad(e.to_string()))?;
            for of in of {
                match *of {
                    // In a list each takes a byte.
                    TRUE | FALSE => self.byte().map(drop)?,
                    of => self.skip(of)?,
                }
            }
        }
        self.left.leave();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use unisono_files::Budget;

    fn skip(bytes: &[u8]) -> Read<usize> {
        let budget = Budget { bytes: 1 << 20, values: 100, depth: 8 };
        let mut reader = Compact::new(bytes, budget.of(Path::new("a")));
        reader.skip(STRUCT).map(|()| reader.at())
    }

    #[test]
    fn structs_are_passed_over() {
        // 1: i32 -1, 2: list of two i32, 4: true, 5: "ab", 6: struct {}, 20: double
        let bytes = [
            0x15, 1, 0x19, 0x25, 2, 4, 0x21, 0x18, 2, b'a', b'b', 0x1c, 0, 0x07, 40, 0, 0, 0, 0, 0, 0, 0, 0,
            0,
        ];
        assert_eq!(skip(&bytes), Ok(bytes.len()));
        for end in 0..bytes.len() {
            assert_eq!(skip(&bytes[..end]), Err(Fault::Short), "{end}");
        }
    }

    #[test]
    fn bombs_cost_nothing() {
        let bad = |bytes: &[u8]| match skip(bytes).unwrap_err() {
            Fault::Bad(message) | Fault::Much(message) => message,
            Fault::Short => "short".into(),
        };
        // Lists and texts of 2^31 elements.
        assert_eq!(bad(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7]), "short");
        assert_eq!(bad(&[0x18, 0xff, 0xff, 0xff, 0xff, 7]), "short");
        // Structs within structs.
        assert!(bad(&[0x1c; 100]).contains("9 levels of nesting"));
        assert!(bad(&[0x19; 100]).contains("9 levels of nesting"));
        let many = [&[0x19, 0xf3, 0xc8, 1][..], &[0; 300]].concat();
        assert!(bad(&many).contains("101 values"));
        assert!(bad(&[0x1e]).contains("unknown type 14"));
        assert!(bad(&[0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).contains("64 bits"));
    }
}
