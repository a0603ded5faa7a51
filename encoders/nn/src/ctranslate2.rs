//! CTranslate2's `model.bin`: a table of named tensors, one after another, and of names that mean another's. Integers have scales beside
//! them, by which the numbers were multiplied: one for a tensor (int16) or one for each of its rows (int8).

use crate::entry::Entry;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Kind;

/// The version of the layout in which tensors' kinds stand as numbers; the ones before are six years old.
const OLDEST: u32 = 4;
const NEWEST: u32 = 6;
/// More tensors than any model has, and longer names.
const TENSORS: u32 = 1 << 16;
const NAME: usize = 512;
/// More axes than any tensor of a model has.
const AXES: u8 = 8;
/// What stands behind the name of a tensor in the name of its scales.
const SCALE: &str = "_scale";

/// What a file holds.
pub(crate) struct Found {
    /// What kind of model it says it is: `WhisperSpec`.
    pub spec: String,
    /// The tensors, under every name they have.
    pub entries: Vec<(String, Entry)>,
    /// The scales of those that are integers, by the tensor's name.
    pub scales: BTreeMap<String, Entry>,
}

/// Where the tensors of a mapped file lie, without copying any; `file` is noted in each.
///
/// # Errors
/// A file that is cut short, of another version, or whose lengths do not fit each other.
pub(crate) fn entries(path: &Path, map: &[u8], file: usize) -> Result<Found> {
    let mut reader = Reader { path, map, at: 0 };
    let version = reader.int()?;
    if !(OLDEST..=NEWEST).contains(&version) {
        let found = format!(
            "expected CTranslate2's version {OLDEST} to {NEWEST}, found {version}; convert the model again"
        );
        return Err(Error::format(path, found));
    }
    let spec = reader.name()?;
    let _revision = reader.int()?;
    let mut tensors = BTreeMap::new();
    for _ in 0..reader.count("tensors")? {
        let (name, entry) = reader.tensor(file)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(reader.broken(format!("tensor {name} is there twice")));
        }
    }
    let count = reader.count("other names")?;
    let others = (0..count).map(|_| Ok((reader.name()?, reader.name()?))).collect::<Result<Vec<_>>>()?;
    if reader.at != map.len() {
        return Err(reader.broken(format!("{} bytes are left over", map.len() - reader.at)));
    }
    let mut scales = scales(path, &mut tensors)?;
    for (alias, name) in others {
        // A tensor's scales go with it, whether their name has another or not.
        if name.strip_suffix(SCALE).is_some_and(|of| scales.contains_key(of)) {
            continue;
        }
        let Some(entry) = tensors.get(&name).cloned() else {
            return Err(reader.broken(format!("{alias} stands for {name}, which is not there")));
        };
        if let Some(scale) = scales.get(&name).cloned() {
            scales.insert(alias.clone(), scale);
        }
        if tensors.insert(alias.clone(), entry).is_some() {
            return Err(reader.broken(format!("tensor {alias} is there twice")));
        }
    }
    Ok(Found { spec, entries: tensors.into_iter().collect(), scales })
}

/// Takes the scales out of the tensors, each held against what it scales.
fn scales(path: &Path, tensors: &mut BTreeMap<String, Entry>) -> Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    let integers =
        tensors.iter().filter(|(_, e)| !e.shape.is_empty() && matches!(e.kind, Kind::Int8 | Kind::Int16));
    let names: Vec<String> = integers.map(|(name, _)| name.clone()).collect();
    for name in names {
        let (Some(rows), Some(scale)) = (
            tensors.get(&name).and_then(|e| e.shape.first().copied()),
            tensors.remove(&format!("{name}{SCALE}")),
        ) else {
            return Err(Error::format(
                path,
                format!("tensor {name} is of integers, and no {name}{SCALE} is there"),
            ));
        };
        if scale.kind != Kind::Float
            || !(scale.shape.is_empty() || scale.shape == [1] || scale.shape == [rows])
        {
            let (kind, shape) = (scale.kind, &scale.shape);
            return Err(Error::format(
                path,
                format!("{name}{SCALE}: expected one Float or {rows}, found {kind:?} {shape:?}"),
            ));
        }
        found.insert(name, scale);
    }
    Ok(found)
}

struct Reader<'a> {
    path: &'a Path,
    map: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn broken(&self, found: String) -> Error {
        Error::format(self.path, format!("no whole model of CTranslate2: {found}; download or copy it again"))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let left = self.map.len() - self.at;
        let Some(bytes) = self.map.get(self.at..).and_then(|rest| rest.get(..n)) else {
            return Err(self.broken(format!("{n} bytes are said to follow byte {}, {left} do", self.at)));
        };
        self.at += n;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn int(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn count(&mut self, what: &str) -> Result<u32> {
        let n = self.int()?;
        if n > TENSORS { Err(self.broken(format!("{n} {what}, at most {TENSORS} can be"))) } else { Ok(n) }
    }

    /// A name: its length with the zero at its end, and both.
    fn name(&mut self) -> Result<String> {
        let n = usize::from(u16::from_le_bytes(self.array()?));
        let at = self.at;
        let bytes = self.take(n)?;
        let text = bytes.strip_suffix(&[0]).and_then(|b| std::str::from_utf8(b).ok());
        match text.filter(|t| t.len() <= NAME && !t.contains('\0')) {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.broken(format!("no name at byte {at}"))),
        }
    }

    fn tensor(&mut self, file: usize) -> Result<(String, Entry)> {
        let name = self.name()?;
        let [axes] = self.array()?;
        if axes > AXES {
            return Err(self.broken(format!("tensor {name} has {axes} axes, at most {AXES} can be")));
        }
        let shape: Vec<i64> = (0..axes).map(|_| self.int().map(i64::from)).collect::<Result<_>>()?;
        let [kind] = self.array()?;
        let kind = match kind {
            0 => Kind::Float,
            1 => Kind::Int8,
            2 => Kind::Int16,
            3 => Kind::Int,
            4 => Kind::Half,
            5 => Kind::BFloat16,
            other => return Err(self.broken(format!("tensor {name} is of kind {other}, 0 to 5 are known"))),
        };
        let len = self.int()? as usize;
        let start = self.at;
        let bytes = kind.elt_size_in_bytes() as u64;
        let expected = shape.iter().try_fold(bytes, |n, d| n.checked_mul(d.unsigned_abs()));
        // Axes of no length leave the others unbounded; libtorch multiplies those all the same.
        let bounded = shape.iter().try_fold(bytes as i64, |n, d| n.checked_mul((*d).max(1))).is_some();
        if expected != Some(len as u64) || !bounded {
            return Err(
                self.broken(format!("tensor {name} of {kind:?} {shape:?} is said to have {len} bytes"))
            );
        }
        self.take(len)?;
        Ok((name, Entry { file, kind, shape, strides: None, start, len }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A file of tensors (name, kind, shape, bytes) and other names.
    fn file(tensors: &[(&str, u8, &[u32], &[u8])], others: &[(&str, &str)]) -> Vec<u8> {
        let name = |out: &mut Vec<u8>, text: &str| {
            out.extend((text.len() as u16 + 1).to_le_bytes());
            out.extend(text.as_bytes());
            out.push(0);
        };
        let mut out = 6u32.to_le_bytes().to_vec();
        name(&mut out, "WhisperSpec");
        out.extend(3u32.to_le_bytes());
        out.extend((tensors.len() as u32).to_le_bytes());
        for (text, kind, shape, bytes) in tensors {
            name(&mut out, text);
            out.push(shape.len() as u8);
            shape.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.push(*kind);
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend(*bytes);
        }
        out.extend((others.len() as u32).to_le_bytes());
        for (alias, text) in others {
            name(&mut out, alias);
            name(&mut out, text);
        }
        out
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn refused(bytes: &[u8]) -> String {
        entries(Path::new("model.bin"), bytes, 0).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn integers_are_multiplied_out_and_names_are_shared() {
        let dir = tempfile::tempdir().unwrap();
        let eight: Vec<u8> = [127i8, -64, 2, 0].map(|v| v as u8).to_vec();
        let sixteen: Vec<u8> = [1024i16, -512].iter().flat_map(|v| v.to_le_bytes()).collect();
        let half: Vec<u8> = [0x3c00u16, 0xc000].iter().flat_map(|v| v.to_le_bytes()).collect();
        let (rows, one) = (floats(&[127.0, 4.0]), floats(&[1024.0]));
        let tensors: [(&str, u8, &[u32], &[u8]); 6] = [
            ("w", 1, &[2, 2], &eight),
            ("w_scale", 0, &[2], &rows),
            ("v", 2, &[2], &sixteen),
            ("v_scale", 0, &[], &one),
            ("h", 4, &[2, 1], &half),
            ("heads", 2, &[], &[6, 0]),
        ];
        let others = [("tied", "h"), ("also", "w"), ("also_scale", "w_scale")];
        std::fs::write(dir.path().join("model.bin"), file(&tensors, &others)).unwrap();
        let (weights, spec) = crate::weights::Weights::open_ctranslate2(dir.path()).unwrap();
        assert_eq!(spec, "WhisperSpec");
        assert_eq!(weights.names().collect::<Vec<_>>(), ["also", "h", "heads", "tied", "v", "w"]);
        let got = |name: &str| {
            let t = weights.get(name).unwrap().unwrap();
            (t.size(), Vec::<f32>::try_from(t.reshape([-1])).unwrap())
        };
        assert_eq!(got("also"), got("w"));
        assert_eq!(got("w"), (vec![2, 2], vec![1.0, -64.0 / 127.0, 0.5, 0.0]));
        assert_eq!(got("v"), (vec![2], vec![1.0, -0.5]));
        assert_eq!((got("h"), got("tied")), ((vec![2, 1], vec![1.0, -2.0]), (vec![2, 1], vec![1.0, -2.0])));
        assert_eq!(got("heads"), (vec![], vec![6.0]));
    }

    #[test]
    fn every_cut_is_refused() {
        let whole = file(&[("w", 0, &[2], &floats(&[1.0, 2.0]))], &[("v", "w")]);
        assert_eq!(entries(Path::new("model.bin"), &whole, 0).unwrap().entries.len(), 2);
        for cut in 0..whole.len() {
            let said = refused(&whole[..cut]);
            assert!(said.starts_with("model.bin: no whole model of CTranslate2: "), "{cut}: {said}");
        }
        let more = [&whole[..], b"x"].concat();
        assert!(refused(&more).contains("1 bytes are left over"));
    }

    #[test]
    fn what_lies_is_refused() {
        let two = floats(&[1.0, 2.0]);
        let cases: [(Vec<u8>, &str); 9] = [
            (file(&[("w", 0, &[3], &two)], &[]), "tensor w of Float [3] is said to have 8 bytes"),
            (file(&[("w", 0, &[0, u32::MAX, u32::MAX, u32::MAX], &[])], &[]), "is said to have 0 bytes"),
            (file(&[("w", 9, &[2], &two)], &[]), "is of kind 9"),
            (file(&[("w", 0, &[1; 9], &two)], &[]), "has 9 axes"),
            (file(&[("w", 0, &[2], &two), ("w", 0, &[2], &two)], &[]), "tensor w is there twice"),
            (file(&[("w", 0, &[2], &two)], &[("v", "u")]), "v stands for u, which is not there"),
            (file(&[("w", 0, &[2], &two)], &[("w", "w")]), "tensor w is there twice"),
            (file(&[("w", 1, &[8], &two)], &[]), "no w_scale is there"),
            (
                file(&[("w", 1, &[8], &two), ("w_scale", 0, &[2], &two)], &[]),
                "expected one Float or 8, found Float [2]",
            ),
        ];
        for (bytes, part) in cases {
            let said = refused(&bytes);
            assert!(said.contains(part), "{said}");
        }
        let mut other = file(&[], &[]);
        other[0] = 3;
        assert!(refused(&other).contains("expected CTranslate2's version 4 to 6, found 3"));
        // Lengths of gigabytes cost nothing.
        let mut long = file(&[("w", 0, &[2], &two)], &[]);
        let at = long.len() - 4 - 8 - 4;
        long[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert!(refused(&long).contains("4294967295 bytes"));
    }
}
