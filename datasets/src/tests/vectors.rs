use super::*;
use crate::fuzzing;
use std::fs;

const ITEMS: &str = "{\"id\":\"a\",\"modality\":\"image\"}\n{\"id\":\"a\",\"modality\":\"text\",\"part\":1}\n{\"id\":\"b\\u00fc\",\"modality\":\"image\"}\n";

fn rows() -> Vec<u8> {
    (0..6).flat_map(|i| (i as f32 / 2.0).to_le_bytes()).collect()
}

/// As `unisono embed` writes them.
fn safetensors(metadata: &str) -> Vec<u8> {
    let head = format!(r#"{{{metadata}"vectors":{{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}}}"#);
    [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &rows()].concat()
}

fn npy(head: &str) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), &rows()].concat()
}

const NPY: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }                     \n";

fn parquet(path: &Path) {
    use ::parquet::data_type::FloatType;
    use ::parquet::file::writer::SerializedFileWriter;
    let schema =
        "message m { required group embedding (LIST) { repeated group list { required float element; } } }";
    let schema = ::parquet::schema::parser::parse_message_type(schema).unwrap();
    let mut out =
        SerializedFileWriter::new(fs::File::create(path).unwrap(), schema.into(), Default::default())
            .unwrap();
    let mut group = out.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<f32> = (0..6).map(|i| i as f32 / 2.0).collect();
    column.typed::<FloatType>().write_batch(&values, Some(&[1; 6]), Some(&[0, 1, 0, 1, 0, 1])).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    out.close().unwrap();
}

#[test]
fn every_form_has_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("v.safetensors"), safetensors("")).unwrap();
    // A head whose length moves the numbers off their alignment.
    fs::write(at("odd.safetensors"), safetensors(r#""__metadata__":{"a":"b"},"#)).unwrap();
    fs::write(at("v.npy"), npy(NPY)).unwrap();
    parquet(&at("v.parquet"));
    for name in ["v.safetensors", "odd.safetensors", "v.npy", "v.parquet"] {
        let path = at(name);
        fs::write(at(&format!("{name}.jsonl")), ITEMS).unwrap();
        let file = VectorFile::open(&path, &Expected { dim: Some(2), ..Expected::default() }).unwrap();
        assert_eq!((file.len(), file.dim(), file.is_empty()), (3, 2, false));
        for i in 0..3 {
            assert_eq!(*file.row(i).unwrap(), [i as f32, i as f32 + 0.5], "{name}");
        }
        let said = file.row(3).unwrap_err().to_string();
        assert!(said.contains(&format!("{name}: there is no vector 3, it has 3")));
        assert_eq!(file.find("a", "text", 1).unwrap(), Some(1));
        assert_eq!(file.find("bü", "image", 0).unwrap(), Some(2));
        assert_eq!(file.find("a", "text", 0).unwrap(), None);
        file.in_order(["a", "a", "bü"]).unwrap();
        for (ids, part) in [
            (&["a", "b", "bü"][..], r#"row 1 is of "a", expected "b""#),
            (&["a", "a"], "holds 3 vectors, expected 2"),
            (&["a", "a", "bü", "c"], "holds 3 vectors, expected 4"),
        ] {
            let said = file.in_order(ids.iter().copied()).unwrap_err().to_string();
            assert!(said.ends_with(part), "{said}");
        }
        let refused = |e: &Expected| VectorFile::open(&path, e).unwrap_err().to_string();
        assert!(
            refused(&Expected { dim: Some(3), ..Expected::default() }).contains("of width 3, found width 2")
        );
        let of = |model| Expected { model: Some(model), ..Expected::default() };
        assert!(refused(&of("x")).contains("nothing says which model made these"), "{}", refused(&of("x")));
        let sum = Sum::of(&rows());
        let origin = |model: &str, sum: &str, count: usize| {
            let origin =
                Origin { model: model.into(), settings: String::new(), sum: sum.into(), count, dim: 2 };
            fs::write(origin_path(&path), serde_json::to_vec(&origin).unwrap()).unwrap();
        };
        origin("x", &sum, 3);
        VectorFile::open(&path, &of("x")).unwrap().verify().unwrap();
        assert!(refused(&of("y")).contains("expected vectors of the model y, found those of x: embed again"));
        origin("x", &sum, 4);
        assert!(refused(&of("x")).contains("was written for 4 of width 2"));
        origin("x", "0", 3);
        let said = VectorFile::open(&path, &of("x")).unwrap().verify().unwrap_err().to_string();
        assert!(said.contains("damaged, or of another run"), "{said}");
        fs::write(at(&format!("{name}.jsonl")), "{\"id\":\"a\",\"modality\":\"image\"}\n").unwrap();
        assert!(refused(&Expected::default()).contains("holds 3 vectors, its .jsonl 1 lines"));
        fs::write(at(&format!("{name}.jsonl")), "{\"id\":3}\n\n\n").unwrap();
        assert!(refused(&Expected::default()).contains(&format!("{name}.jsonl:1: expected an item: ")));
    }
}

#[test]
fn hostile_vectors_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let said = VectorFile::open(&path, &Expected::default()).unwrap_err().to_string();
        assert!(said.lines().count() == 1 && said.contains(name), "{said}");
        said
    };
    let whole = safetensors("");
    for length in 0..whole.len() {
        refused("v.safetensors", &whole[..length]);
    }
    let whole = npy(NPY);
    for length in 0..whole.len() {
        refused("v.npy", &whole[..length]);
    }
    for (from, to) in [
        ("[3,2]", "[4,2]"),
        ("F32", "F16"),
        ("[0,24]", "[8,24]"),
        ("[3,2]", "[18446744073709551615,2]"),
        ("[3,2]", "[3]"),
    ] {
        let text = String::from_utf8_lossy(&safetensors("")[8..]).replace(from, to);
        let head = text.split_once("}}").unwrap().0.to_owned() + "}}";
        refused(
            "v.safetensors",
            &[&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &rows()].concat(),
        );
    }
    for (from, to) in [
        ("<f4", ">f4"),
        ("False", "True"),
        ("(3, 2)", "(6,)"),
        ("(3, 2)", "(9, 2)"),
        ("(3, 2)", "(99999999999999999999, 2)"),
    ] {
        refused("v.npy", &npy(&NPY.replace(from, to)));
    }
    refused("v.safetensors", &u64::MAX.to_le_bytes());
    refused("v.safetensors", &[&1000u64.to_le_bytes()[..], &[b'['; 1000]].concat());
    refused("v.parquet", b"PAR1");
    assert!(refused("v.csv", b"").contains("ends in .safetensors, .npy or .parquet"));
    fuzzing::parquet(dir.path(), b"PAR1");
}
