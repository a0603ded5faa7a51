//! The zip archives that PyTorch writes: members stored as they are, found by the directory at the end. Nothing is unpacked, so an archive
//! costs no more than its directory has bytes, and no member is larger than the file. What PyTorch never writes (encrypted members, names
//! that occur twice) is refused.

use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;
use unisono_files::Left;

/// Of the directory's end, without its comment; of a member's header in the directory and in place.
const END: usize = 22;
const END64: usize = 56;
const LOCATOR: usize = 20;
const CENTRAL: usize = 46;
const LOCAL: usize = 30;

/// A member's name and where its bytes lie in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub name: &'a str,
    pub bytes: Range<usize>,
    /// Its bytes are as they were; else they are compressed, as only programs are.
    pub stored: bool,
}

/// The members of the archive `file` at `path`, in the directory's order; a member is a value of `left`.
///
/// # Errors
/// No whole archive, a member of a form that PyTorch does not write, more members than `left` allows.
pub(crate) fn members<'a>(path: &Path, file: &'a [u8], left: &mut Left) -> Result<Vec<Member<'a>>> {
    let wrong = |message: String| Error::format(path, message);
    let (count, start, end) = directory(file).map_err(wrong)?;
    left.values(count)?;
    listed(file, count, start, end).map_err(wrong)
}

fn listed(file: &[u8], count: u64, mut at: usize, end: usize) -> Result<Vec<Member<'_>>, String> {
    let mut found = Vec::new();
    for _ in 0..count {
        let header = part(file, at, CENTRAL).filter(|h| h.starts_with(b"PK\x01\x02") && at < end);
        let header =
            header.ok_or_else(|| format!("its directory lists {count} members and has {}", found.len()))?;
        let (name_len, extra_len, comment_len) = (short(header, 28), short(header, 30), short(header, 32));
        let name = part(file, at + CENTRAL, name_len).and_then(|n| std::str::from_utf8(n).ok());
        let name = name.ok_or("a member's name is cut short or no UTF-8")?;
        let extra = part(file, at + CENTRAL + name_len, extra_len).ok_or("its directory is cut short")?;
        let mut sizes = [24, 20, 42].map(|i| u64::from(long(header, i)));
        wide(extra, &mut sizes).ok_or("a member's 64-bit sizes are missing")?;
        let [size, packed, offset] = sizes;
        if short(header, 8) & 1 == 1 {
            return Err(format!("member {name} is encrypted, which PyTorch never writes"));
        }
        let bytes = place(file, offset, packed);
        let bytes =
            bytes.ok_or_else(|| format!("member {name} of {packed} bytes does not lie in the file"))?;
        found.push(Member { name, bytes, stored: short(header, 10) == 0 && size == packed });
        at += CENTRAL + name_len + extra_len + comment_len;
    }
    let mut names: Vec<&str> = found.iter().map(|m| m.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(format!("two members are named {}", twice[0]));
    }
    Ok(found)
}

/// How many members there are, where their directory begins, and where it ends.
fn directory(file: &[u8]) -> Result<(u64, usize, usize), String> {
    let whole = "no directory at its end: it is cut short; download it again";
    // A comment of up to 64 KiB may follow.
    let first = file.len().saturating_sub(END + 0xffff);
    let last = file.len().checked_sub(END).ok_or(whole)?;
    let at = (first..=last).rev().find(|at| {
        part(file, *at, END)
            .is_some_and(|e| e.starts_with(b"PK\x05\x06") && at + END + short(e, 20) == file.len())
    });
    let at = at.ok_or(whole)?;
    let end = &file[at..];
    let (mut count, mut size, mut start) =
        (short(end, 10) as u64, u64::from(long(end, 12)), u64::from(long(end, 16)));
    let locator =
        at.checked_sub(LOCATOR).and_then(|l| part(file, l, LOCATOR)).filter(|l| l.starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let end64 = usize::try_from(huge(locator, 8)).ok().and_then(|o| part(file, o, END64));
        let end64 = end64.filter(|e| e.starts_with(b"PK\x06\x06")).ok_or(whole)?;
        (count, size, start) = (huge(end64, 32), huge(end64, 40), huge(end64, 48));
    }
    let end = start.checked_add(size).filter(|end| *end <= at as u64);
    let end = end.ok_or("its directory does not lie before its end: it is cut short; download it again")?;
    Ok((count, start as usize, end as usize))
}

/// Sizes and offset that do not fit into 32 bits stand in an extra field, in this order, those only.
fn wide(mut extra: &[u8], sizes: &mut [u64; 3]) -> Option<()> {
    if sizes.iter().all(|s| *s != 0xffff_ffff) {
        return Some(());
    }
    while extra.len() >= 4 {
        let (kind, n) = (short(extra, 0), short(extra, 2));
        let mut field = part(extra, 4, n)?;
        if kind == 1 {
            for size in sizes.iter_mut().filter(|s| **s == 0xffff_ffff) {
                *size = u64::from_le_bytes(*field.first_chunk()?);
                field = &field[8..];
            }
            return Some(());
        }
        extra = &extra[4 + n..];
    }
    None
}

/// A member's bytes, behind its header in place.
fn place(file: &[u8], offset: u64, size: u64) -> Option<Range<usize>> {
    let (offset, size) = (usize::try_from(offset).ok()?, usize::try_from(size).ok()?);
    let header = part(file, offset, LOCAL).filter(|h| h.starts_with(b"PK\x03\x04"))?;
    let start = offset + LOCAL + short(header, 26) + short(header, 28);
    part(file, start, size).map(|_| start..start + size)
}

fn part(bytes: &[u8], at: usize, n: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(n)?)
}

fn number(bytes: &[u8], at: usize, n: usize) -> u64 {
    bytes.iter().skip(at).take(n).rev().fold(0, |v, b| (v << 8) | u64::from(*b))
}

fn short(bytes: &[u8], at: usize) -> usize {
    number(bytes, at, 2) as usize
}

fn long(bytes: &[u8], at: usize) -> u32 {
    number(bytes, at, 4) as u32
}

fn huge(bytes: &[u8], at: usize) -> u64 {
    number(bytes, at, 8)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use unisono_files::Budget;

    /// An archive of stored members, each with its method.
    pub(crate) fn archive(members: &[(&str, &[u8], u16)]) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes, method) in members {
            let offset = file.len() as u32;
            let fields = |out: &mut Vec<u8>| {
                out.extend([20, 0, 0, 0]);
                out.extend(method.to_le_bytes());
                out.extend([0; 8]);
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend((name.len() as u16).to_le_bytes());
                out.extend([0; 2]);
            };
            file.extend(b"PK\x03\x04");
            fields(&mut file);
            file.extend(name.as_bytes());
            file.extend(*bytes);
            directory.extend(b"PK\x01\x02\x14\0");
            fields(&mut directory);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = file.len() as u32;
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend([members.len() as u16; 2].map(u16::to_le_bytes).concat());
        file.extend((directory.len() as u32).to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0; 2]);
        file
    }

    fn read(file: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let path = Path::new("a.bin");
        let found = members(path, file, &mut Budget::CONFIG.of(path)).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|m| (m.name.to_owned(), file[m.bytes].to_vec())).collect())
    }

    #[test]
    fn members_are_found_and_what_is_odd_is_refused() {
        let whole = archive(&[("a/data.pkl", b"xyz", 0), ("a/data/0", b"", 0)]);
        assert_eq!(
            read(&whole).unwrap(),
            [("a/data.pkl".into(), b"xyz".to_vec()), ("a/data/0".into(), vec![])]
        );
        // A comment behind it, and bytes before it that nothing refers to.
        let mut commented = whole.clone();
        let n = commented.len();
        commented[n - 2] = 3;
        commented.extend(b"abc");
        assert_eq!(read(&commented).unwrap().len(), 2);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        let (packed, path) = (archive(&[("a/data.pkl", b"xyz", 8)]), Path::new("a.bin"));
        assert!(!members(path, &packed, &mut Budget::CONFIG.of(path)).unwrap()[0].stored);
        let twice = archive(&[("a/data/0", b"x", 0), ("a/data/0", b"y", 0)]);
        assert!(read(&twice).unwrap_err().contains("two members are named a/data/0"));
    }

    #[test]
    fn a_directory_that_lies_is_refused() {
        let whole = archive(&[("a/data.pkl", b"xyz", 0)]);
        let n = whole.len();
        // (Distance from the end, what is put there.)
        for (from_end, bytes) in [(12, &[0xff, 0xff][..]), (10, &[0xff; 4]), (6, &[0xff, 0xff, 0xff, 0x7f])] {
            let mut lies = whole.clone();
            lies[n - from_end..n - from_end + bytes.len()].copy_from_slice(bytes);
            assert!(read(&lies).is_err(), "{from_end}");
        }
        // A size of 2 GB, and an offset behind the end, in the directory.
        let at = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        for (field, both) in [(20, true), (42, false)] {
            let mut lies = whole.clone();
            lies[at + field..at + field + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
            if both {
                lies[at + 24..at + 28].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
            }
            assert!(read(&lies).unwrap_err().contains("does not lie in the file"), "{field}");
        }
        let few = Budget { values: 1, ..Budget::CONFIG };
        let two = archive(&[("a", b"", 0), ("b", b"", 0)]);
        let path = Path::new("a.bin");
        let said = members(path, &two, &mut few.of(path)).unwrap_err().to_string();
        assert!(said.starts_with("a.bin: 2 values or more"), "{said}");
    }
}
