use super::*;
use crate::codes::Codes;
use crate::{Store, top};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const DIM: usize = 24;

/// Unit vectors around a few centres: what real embeddings are like.
fn vectors(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw =
        || (0..6).map(|_| f64::from(rng.next_u32()) / f64::from(u32::MAX)).sum::<f64>() as f32 - 3.0;
    let centres: Vec<f32> = (0..20 * DIM).map(|_| draw()).collect();
    let mut all = Vec::with_capacity(n * DIM);
    for row in 0..n {
        let centre = &centres[row * 7 % 20 * DIM..][..DIM];
        let vector: Vec<f32> = centre.iter().map(|c| c + 0.7 * draw()).collect();
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        all.extend(vector.iter().map(|v| v / length));
    }
    all
}

struct Made {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    values: Vec<f32>,
    codes: Codes,
    kinds: Vec<Modality>,
}

fn made(n: usize) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let values = vectors(n, 1);
    Codes::write(&dir.path().join("codes.bin"), Store::I8, &values, DIM).unwrap();
    let codes = Codes::open(&dir.path().join("codes.bin"), Store::I8, n, DIM).unwrap();
    let path = dir.path().join("graph.bin");
    let kinds: Vec<Modality> =
        (0..n).map(|row| if row % 9 == 0 { Modality::Audio } else { Modality::Image }).collect();
    let mut last = (0, 0);
    assert!(
        Graph::write(&path, &kinds, 2, Rows::Codes(&codes), &mut |done, all| {
            assert!(done > last.0 && done <= all, "{done} of {all} after {last:?}");
            last = (done, all);
            true
        })
        .unwrap()
    );
    assert_eq!(last, (n, n));
    let stopped = Graph::write(&dir.path().join("x"), &kinds, 2, Rows::Codes(&codes), &mut |_, _| false);
    assert!(matches!(stopped, Err(Error::Stopped)) && !dir.path().join("x").exists());
    Made { _dir: dir, path, values, codes, kinds }
}

#[test]
fn it_finds_what_comparing_all_finds() {
    let made = made(3000);
    let graph = Graph::open(&made.path, 3000).unwrap();
    assert_eq!(graph.modalities().collect::<Vec<_>>(), [Modality::Image, Modality::Audio]);
    let rows = Rows::Codes(&made.codes);
    let odd = |row: usize| row % 2 == 1;
    let (mut right, mut all) = (0, 0);
    for query in vectors(60, 2).chunks_exact(DIM) {
        for modality in [Modality::Image, Modality::Audio] {
            for keep in [&(|_| true) as &(dyn Fn(usize) -> bool + Sync), &odd] {
                let of = |row: usize| made.kinds[row] == modality && keep(row);
                let exact = top(&made.values, query, 10, of);
                let found = graph.search(modality, rows, &rows.ask(query), 100, Some(keep)).unwrap();
                assert!(found.iter().all(|hit| of(hit.index)) && found.is_sorted());
                right += exact.iter().filter(|hit| found.iter().any(|f| f.index == hit.index)).count();
                all += exact.len();
            }
        }
    }
    assert!(right as f64 > 0.99 * all as f64, "{right} of {all}");
    // Where hardly any row passes, all are compared instead.
    let asked = rows.ask(&made.values[..DIM]);
    assert!(graph.search(Modality::Image, rows, &asked, 10, Some(&|row| row == 7)).is_none());
    assert!(graph.search(Modality::Text, rows, &asked, 10, None).is_none());
}

#[test]
fn the_same_vectors_make_the_same_graph_on_any_number_of_threads() {
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| made(1500));
    let five = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap().install(|| made(1500));
    assert!(std::fs::read(&two.path).unwrap() == std::fs::read(&five.path).unwrap());
}

#[test]
fn damaged_links_lead_nowhere_and_cut_files_are_refused() {
    let made = made(400);
    let mut bytes = std::fs::read(&made.path).unwrap();
    let long = bytes.len();
    for byte in bytes.iter_mut().skip(HEAD).step_by(3) {
        *byte ^= 0x5a;
    }
    std::fs::write(&made.path, &bytes).unwrap();
    let graph = Graph::open(&made.path, 400).unwrap();
    let rows = Rows::Codes(&made.codes);
    let found =
        graph.search(Modality::Image, rows, &rows.ask(&made.values[..DIM]), 50, Some(&|row| row < 400));
    assert!(found.is_none_or(|found| found.len() <= 50));
    for (end, n) in [(long - 1, 400), (long, 401), (HEAD - 1, 400), (0, 400)] {
        std::fs::write(&made.path, &bytes[..end]).unwrap();
        let said = Graph::open(&made.path, n).unwrap_err().to_string();
        assert!(said.contains("graph.bin") && said.contains("unisono index check"), "{said}");
    }
}
