use super::*;
use crate::{ITEMS, ModelRef, Parts, VECTORS, Writer};
use std::collections::BTreeMap;
use std::fs;

/// Writes an index of the first format of these rows `[N, 2]`; each item has its row's number for an id, and every third is a text.
fn written(folder: &Path, rows: &[[f32; 2]]) -> Index<String> {
    fs::create_dir_all(folder).unwrap();
    let mut writer = Writer::begin(folder, "5f2a", 2).unwrap();
    let mut modalities = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        let modality = if i % 3 == 2 { Modality::Text } else { Modality::Image };
        *modalities.entry(modality).or_insert(0) += 1;
        writer.push(&Item { modality, ..Item::text(i.to_string(), "") }, row).unwrap();
    }
    assert_eq!(writer.rows().unwrap().values(), rows.concat());
    let sum = writer.finish().unwrap();
    let model = ModelRef {
        path: "/none".into(),
        sha256: "5f2a".into(),
        prompt: None,
        window: unisono_processors::AudioWindow::Whole,
        seen: None,
    };
    let (format_version, dim, count, parts) = (1, 2, rows.len(), Parts::default());
    let built = "by hand".to_owned();
    let header = Header { format_version, model, dim, count, modalities, sum, parts, built };
    unisono_files::write_json(&folder.join(HEADER), &header).unwrap();
    let index = Index::open(folder).unwrap();
    assert_eq!(index.header(), &header);
    index
}

fn rows(n: usize) -> Vec<[f32; 2]> {
    // Few directions make many ties.
    (0..n).map(|i| [(i * 7 % 5) as f32, (i * 3 % 4) as f32 - 1.0]).collect()
}

#[test]
fn several_segments_are_searched_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let all = rows(40);
    let whole = written(&dir.path().join("whole"), &all);
    let mut parts = written(&dir.path().join("a"), &all[..12]);
    // Cut where every third row is counted anew: each keeps its modality. Ids begin anew, rows go on.
    parts.segments.extend(written(&dir.path().join("b"), &all[12..15]).segments);
    parts.segments.extend(written(&dir.path().join("c"), &all[15..]).segments);
    assert_eq!((whole.len(), parts.rows().count(), parts.segments().len()), (40, 40, 3));
    for modalities in [&[][..], &[Modality::Text], &[Modality::Text, Modality::Image], &[Modality::Audio]] {
        for k in [0, 1, 7, 100] {
            for query in [[1.0, 0.0], [0.3, -2.0]] {
                let found = parts.search(&query, k, modalities).unwrap();
                assert_eq!(found, whole.search(&query, k, modalities).unwrap(), "{k} {modalities:?}");
            }
        }
    }
    assert_eq!(parts.item(11).unwrap().id, "11");
    assert_eq!((parts.item(12).unwrap().id.as_str(), parts.item(39).unwrap().id.as_str()), ("0", "24"));
    assert_eq!((parts.item(40), parts.items().count()), (None, 40));
}

#[test]
fn queries_are_checked_and_files_counted() {
    let dir = tempfile::tempdir().unwrap();
    let index = written(dir.path(), &rows(4));
    assert!(index.search(&[1.0], 3, &[]).unwrap_err().to_string().contains("has 1 numbers"));
    assert!(index.search(&[f32::NAN, 0.0], 3, &[]).unwrap_err().to_string().contains("not finite"));
    assert_eq!(index.searched(Modality::Text), [Modality::Image]);
    assert_eq!(index.searched(Modality::Image), [Modality::Text, Modality::Image]);
    assert_eq!(index.files(), Files { count: 0, missing: 0 });
    let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, [HEADER, ITEMS, VECTORS], "nothing is left beside");
}

#[test]
fn files_of_two_indexes_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    written(&a, &rows(4));
    let mut other = rows(4);
    other[0] = [9.0, 9.0];
    written(&b, &other);
    // The items are the same, and so is the model: a sum over them says that, of the vectors nothing.
    fs::copy(b.join(ITEMS), a.join(ITEMS)).unwrap();
    Index::<String>::open(&a).unwrap();
    written(&b, &rows(5));
    fs::copy(b.join(VECTORS), a.join(VECTORS)).unwrap();
    let said = Index::<String>::open(&a).unwrap_err().to_string();
    assert!(said.contains("expected F32 [4, 2], found F32 [5, 2]: of another index"), "{said}");
    let said = Index::<usize>::open(&b).unwrap_err().to_string();
    assert!(said.contains("index.json: ") && said.ends_with("build the index again"), "{said}");
}
