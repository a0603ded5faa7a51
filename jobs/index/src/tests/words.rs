use super::*;
use crate::Item;
use proptest::prelude::*;

fn written(texts: &[String]) -> (tempfile::TempDir, Words) {
    let mut making = Making::default();
    texts.iter().for_each(|text| making.push(&Item::text("t", text)));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words.bin");
    std::fs::write(&path, making.bytes()).unwrap();
    let words = Words::open(&path, texts.len()).unwrap();
    (dir, words)
}

proptest! {
    #[test]
    fn rows_of_a_word_are_those_that_have_it(texts in prop::collection::vec("[abc]{1,2}( [abcé的]{1,2}){0,6}", 0..300)) {
        let (_dir, words) = written(&texts);
        let split = |text: &String| {
            let mut all: Vec<String> = Vec::new();
            terms(text, &mut |term| all.push(term.to_owned()));
            all
        };
        let all: Vec<Vec<String>> = texts.iter().map(split).collect();
        prop_assert_eq!(words.total() as usize, all.iter().map(Vec::len).sum::<usize>());
        for term in ["a", "b", "ab", "cc", "e", "的", "zz", ""] {
            let often = |has: &Vec<String>| has.iter().filter(|t| *t == term).count() as u32;
            let naive: Vec<(usize, u32)> = all.iter().map(often).enumerate().filter(|(_, n)| *n > 0).collect();
            prop_assert_eq!(words.rows(term), naive);
        }
        for (row, has) in all.iter().enumerate() {
            prop_assert_eq!(words.count(row) as usize, has.len());
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_finds_less() {
    let texts: Vec<String> = (0..200).map(|n| format!("number {n} of many")).collect();
    let (dir, _) = written(&texts);
    let path = dir.path().join("words.bin");
    let good = std::fs::read(&path).unwrap();
    for (end, rows) in [(good.len() - 1, 200), (good.len(), 201), (10, 200), (0, 0)] {
        std::fs::write(&path, &good[..end]).unwrap();
        let said = Words::open(&path, rows).unwrap_err().to_string();
        assert!(said.contains("words.bin") && said.contains("unisono index check"), "{said}");
    }
    for at in (HEAD..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        std::fs::write(&path, &bad).unwrap();
        let words = Words::open(&path, 200).unwrap();
        for term in ["number", "many", "7", "199"] {
            assert!(words.rows(term).iter().all(|(row, _)| *row < 200));
        }
    }
}
