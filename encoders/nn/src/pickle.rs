//! PyTorch's archives (`torch.save`), read without executing them. A pickle is a program for a small stack machine
//! ([`machine`]); ours knows only what state dictionaries of tensors are written with, builds tensors' places and nothing else, and refuses
//! any other instruction or global by its name.

mod legacy;
mod machine;
mod place;
mod values;

use crate::archive::{self, Member};
use crate::entry::Entry;
use crate::{Error, Result};
use machine::Machine;
use place::{PROGRAM, advice, placed, stopped};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use unisono_files::Budget;

/// Members of an archive: a storage each.
const MEMBERS: Budget = Budget { bytes: 64 << 20, values: 1 << 20, depth: 64 };

/// The tensors of the archive `map` at `path`; `file` is noted in each.
pub(crate) fn entries(path: &Path, map: &[u8], file: usize) -> Result<Vec<(String, Entry)>> {
    let refuse = |message: String| Error::format(path, format!("{message}; {}", advice(path)));
    if legacy::is(map) {
        return legacy::entries(path, map, file);
    }
    if !map.starts_with(b"PK") {
        return Err(refuse(
            "neither a zip archive nor a file of PyTorch's from before version 1.6, or cut short".into(),
        ));
    }
    let members = archive::members(path, map, &mut MEMBERS.of(path))?;
    let Some((root, program)) = members.iter().find_map(|m| Some((m.name.strip_suffix("data.pkl")?, m)))
    else {
        return Err(refuse("an archive without data.pkl, so none of PyTorch's".into()));
    };
    let within =
        |m: &Member<'_>, folder: &str| m.name.strip_prefix(root).is_some_and(|n| n.starts_with(folder));
    if members.iter().any(|m| within(m, "code/")) {
        return Err(refuse("a TorchScript program, which would have to be run".into()));
    }
    let numbers: Vec<&Member<'_>> = members.iter().filter(|m| within(m, "data/")).collect();
    if let Some(packed) = numbers.iter().copied().chain([program]).find(|m| !m.stored) {
        return Err(refuse(format!("member {} is compressed, which PyTorch never writes", packed.name)));
    }
    let mut left = PROGRAM.of(path);
    left.bytes(program.bytes.len() as u64)?;
    let found = Machine::new(&map[program.bytes.clone()], left).run().map_err(|stop| stopped(path, stop))?;
    let skip = root.len() + "data/".len();
    let storages: HashMap<&str, Range<usize>> =
        numbers.iter().map(|m| (&m.name[skip..], m.bytes.clone())).collect();
    placed(path, &found, &storages, file)
}

/// Runs a program alone, for the fuzzer.
pub(crate) fn program(path: &Path, code: &[u8]) {
    if let Ok(found) = Machine::new(code, PROGRAM.of(path)).run() {
        for view in found.tensors().into_values() {
            std::hint::black_box(found.storage(view));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::archive;

    fn refused(program: &[u8], more: &[(&str, &[u8], u16)]) -> String {
        let members = [&[("m/data.pkl", program, 0)], more].concat();
        entries(Path::new("pytorch_model.bin"), &archive(&members), 0).unwrap_err().to_string()
    }

    /// `{"w": a tensor of these shape and strides, at `offset`, of the storage "0" of `elements` floats}`.
    fn tensor(offset: i32, elements: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
        let int = |i: i32| [&[b'J'][..], &i.to_le_bytes()].concat();
        let ints =
            |all: &[i32]| [b"(".to_vec(), all.iter().flat_map(|i| int(*i)).collect(), b"t".to_vec()].concat();
        [
            b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0\
            0X\x03\0\0\0cpu"
                .to_vec(),
            int(elements),
            b"tQ".to_vec(),
            int(offset),
            ints(shape),
            ints(strides),
            b"\x89ccollections\nOrderedDict\n)RtRs.".to_vec(),
        ]
        .concat()
    }

    #[test]
    fn what_nests_or_swells_is_refused_in_a_line() {
        let text = |s: &str| [&[b'X'][..], &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat();
        let itself = [b"\x80\x02}q\0".to_vec(), text("state_dict"), b"h\0s.".to_vec()].concat();
        let deep = [b"\x80\x02)".to_vec(), vec![0x85; 2_000_000], b".".to_vec()].concat();
        let nested =
            [b"\x80\x02".to_vec(), vec![b']'; 1_000_000], vec![b'a'; 999_999], b".".to_vec()].concat();
        // Each tuple holds the one before it twice.
        let doubled = [b"\x80\x02)q\0".to_vec(), b"h\0h\0\x86q\0".repeat(500_000), b"0.".to_vec()].concat();
        for (name, program) in [("itself", itself), ("deep", deep), ("nested", nested), ("doubled", doubled)]
        {
            let said = refused(&program, &[]);
            assert!(said.starts_with("pytorch_model.bin: ") && !said.contains('\n'), "{name}: {said}");
        }
        let lists = [b"\x80\x02".to_vec(), vec![b']'; 5_000_000], b".".to_vec()].concat();
        assert!(refused(&lists, &[]).contains("values or more, more than the 4194304"));
        let marks = [b"\x80\x02".to_vec(), vec![b'('; 5_000_000], b".".to_vec()].concat();
        assert!(refused(&marks, &[]).contains("values or more"));
        assert!(refused(&vec![b']'; (64 << 20) + 1], &[]).contains("67108865 bytes or more"));
        let packed = archive(&[("m/data.pkl", b"\x80\x02}.", 8)]);
        let said = entries(Path::new("a.bin"), &packed, 0).unwrap_err().to_string();
        assert!(said.contains("m/data.pkl is compressed, which PyTorch never writes"), "{said}");
        assert!(refused(b"\x80\x02X\xff\xff\xff\x7fabc", &[]).contains("cut short"));
        assert!(refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", &[]).contains("cut short"));
    }

    #[test]
    fn tensors_take_what_their_storage_has_and_no_more() {
        let data = [0u8; 64];
        let of = |program: Vec<u8>| {
            let file = archive(&[("m/data.pkl", &program, 0), ("m/data/0", &data, 0)]);
            entries(Path::new("a.bin"), &file, 0).map(|mut e| e.remove(0).1).map_err(|e| e.to_string())
        };
        let whole = of(tensor(0, 16, &[4, 4], &[4, 1])).unwrap();
        assert_eq!((whole.len, whole.strides), (64, None));
        let turned = of(tensor(4, 16, &[4, 3], &[1, 4])).unwrap();
        assert_eq!((turned.len, turned.strides), (48, Some(vec![1, 4])));
        assert_eq!(of(tensor(2, 16, &[0, 7], &[7, 1])).unwrap().len, 0);
        for (program, words) in [
            (tensor(0, 16, &[1 << 30, 1 << 10], &[0, 0]), "repeats the 64 bytes"),
            (tensor(0, 16, &[3, 6], &[1, 1]), "repeats the 64 bytes"),
            (tensor(0, 16, &[i32::MAX, i32::MAX, i32::MAX], &[i32::MAX, i32::MAX, 1]), "is none"),
            (tensor(1, 16, &[4, 4], &[4, 1]), "needs 68 bytes, its storage has 64"),
            (tensor(i32::MAX, 16, &[1], &[1]), "its storage has 64"),
            (tensor(-1, 16, &[4], &[1]), "is none"),
            (tensor(0, 16, &[-4], &[1]), "is none"),
            (tensor(0, 16, &[4], &[-1]), "is none"),
            (tensor(0, 17, &[4], &[1]), "a storage of 17 elements"),
            (tensor(0, 16, &[1; 9], &[1; 9]), "9 axes"),
        ] {
            let said = of(program).unwrap_err();
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(refused(&tensor(0, 1, &[1], &[1]), &[]).contains("its storage is not in the archive"));
    }

    #[test]
    fn a_file_name_becomes_no_command() {
        for name in ["a');import os#.bin", "a b.bin", "$(id).bin", "-c.bin", "a\n.bin", "ä.bin"] {
            let said = advice(Path::new(name));
            assert!(!said.contains("python -c") && !said.contains(name), "{said}");
        }
        assert!(advice(Path::new("x/pytorch_model-1.bin")).contains("torch.load('pytorch_model-1.bin')"));
    }
}
