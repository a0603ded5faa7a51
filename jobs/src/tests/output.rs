use super::*;
use crate::Item;
use std::fs;

fn embedded() -> Embedded {
    let vectors = Vectors { dim: 2, data: vec![1.0, -2.5, 0.0, 4.0, 5.0, 6.5] };
    let items = ["a", "b\n", "ж"].iter().map(|t| Item::text(*t, *t)).collect();
    Embedded { vectors, items, skipped: vec![] }
}

#[test]
fn npy_is_what_numpy_says() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("v.npy");
    write(&out, &embedded()).unwrap();
    let bytes = fs::read(&out).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + header) % 64, 0);
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"), "{text}");
    assert!(text.ends_with('\n'));
    let floats: Vec<f32> =
        bytes[10 + header..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(floats, embedded().vectors.data);
    let ids = fs::read_to_string(dir.path().join("v.npy.jsonl")).unwrap();
    assert_eq!(ids.lines().count(), 3);
    assert_eq!(ids.lines().next().unwrap(), r#"{"id":"a","modality":"text","text":"a"}"#);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn safetensors_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("v.safetensors");
    write(&out, &embedded()).unwrap();
    let (tensors, _) = unisono_nn::tensors::read(&out).unwrap();
    assert_eq!(tensors[TENSOR].size(), [3, 2]);
    assert_eq!(unisono_encoders::to_vec(&tensors[TENSOR]).unwrap(), embedded().vectors.data);
}

#[test]
fn other_endings_are_refused_with_what_is_supported() {
    for name in ["v.csv", "v", "v.NPY", "npy"] {
        let e = Format::of(Path::new(name)).unwrap_err().to_string();
        assert!(e.contains(".npy, .safetensors or .parquet"), "{e}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d.npy")).unwrap();
    assert!(claim(&dir.path().join("d.npy")).unwrap_err().to_string().contains("found a folder"));
}

#[test]
fn one_job_an_output() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("no/such/v.npy");
    let held = claim(&out).unwrap();
    assert!(claim(&out).unwrap_err().to_string().contains("is being written by another run"));
    drop(held);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "what was made for nothing is gone");
    let held = claim(&out).unwrap();
    write(&out, &embedded()).unwrap();
    drop(held);
    assert_eq!(fs::read_dir(dir.path().join("no/such")).unwrap().count(), 2);
}

#[test]
fn heads_are_those_of_the_formats_own_library() {
    use safetensors::tensor::{Dtype, TensorView};
    for (count, dim) in [(0, 3), (1, 1), (7, 512), (1234, 3)] {
        let vectors = Vectors { dim, data: (0..count * dim).map(|i| i as f32 - 0.5).collect() };
        for metadata in [HashMap::new(), HashMap::from([("unisono.index".to_owned(), "5f\"2a".to_owned())])] {
            let view =
                TensorView::new(Dtype::F32, vec![count, dim], bytemuck::cast_slice(&vectors.data)).unwrap();
            let theirs =
                safetensors::serialize([(TENSOR, view)], Some(metadata.clone()).filter(|m| !m.is_empty()))
                    .unwrap();
            let ours = [tensor_head(count, dim, &metadata).unwrap(), le_bytes(&vectors.data)].concat();
            assert_eq!(ours, theirs, "{count} {dim}");
        }
        assert_eq!(npy_head(count, dim).len() as u64, NPY_HEAD);
    }
    assert_eq!(npy_head(usize::MAX, usize::MAX).len() as u64, NPY_HEAD);
}

#[test]
fn parquet_is_written_a_group_at_a_time() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("v.parquet");
    let count = (16 << 10) + 3;
    let vectors = Vectors { dim: 2, data: (0..2 * count).map(|i| i as f32).collect() };
    let items = (0..count).map(|i| Item::text(format!("t{i}"), "a")).collect();
    write(&out, &Embedded { vectors, items, skipped: vec![] }).unwrap();
    let file = SerializedFileReader::new(fs::File::open(&out).unwrap()).unwrap();
    let groups: Vec<i64> = file.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(groups, [16 << 10, 3]);
    for (i, row) in file.get_row_iter(None).unwrap().enumerate().step_by(1023) {
        let row = row.unwrap();
        let list = row.get_list(4).unwrap();
        let pair = [list.elements()[0].to_string(), list.elements()[1].to_string()];
        assert_eq!(row.get_string(0).unwrap(), &format!("t{i}"));
        assert_eq!(pair.map(|v| v.parse::<f32>().unwrap()), [2.0 * i as f32, 2.0 * i as f32 + 1.0]);
    }
}
