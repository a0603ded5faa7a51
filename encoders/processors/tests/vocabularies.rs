//! Vocabularies of other libraries, each cut by a naive reading of its rule: pieces of words, merged pairs, the best sum of scores.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use unisono_processors::{TextProcessor, TextRules};

fn processor(dir: &Path, family: &str) -> TextProcessor {
    TextProcessor::from_checkpoint(dir, family, 512, 1000, TextRules::default()).unwrap().unwrap()
}

fn said(dir: &Path, family: &str) -> String {
    let said =
        TextProcessor::from_checkpoint(dir, family, 512, 1000, TextRules::default()).unwrap_err().to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// BERT: punctuation stands alone; of each word the longest piece that it begins with, again and again; else it is unknown.
fn pieces(vocab: &[String], text: &str) -> Vec<i64> {
    let id = |piece: &str| vocab.iter().position(|p| p == piece).map(|i| i as i64);
    let mut words: Vec<String> = vec![String::new()];
    for c in text.to_lowercase().chars() {
        match c {
            c if c.is_whitespace() => words.push(String::new()),
            c if c.is_ascii_punctuation() => words.extend([c.to_string(), String::new()]),
            c => words.iter_mut().last().unwrap().push(c),
        }
    }
    let mut ids = vec![id("[CLS]").unwrap()];
    for word in words.iter().filter(|w| !w.is_empty()) {
        let (mut rest, mut found) = (word.as_str(), Vec::new());
        while !rest.is_empty() {
            let prefix = if rest.len() == word.len() { "" } else { "##" };
            let longest =
                (1..=rest.len()).rev().find_map(|n| Some((n, id(&format!("{prefix}{}", &rest[..n]))?)));
            let Some((n, piece)) = longest else { break };
            found.push(piece);
            rest = &rest[n..];
        }
        ids.extend(if rest.is_empty() { found } else { vec![id("[UNK]").unwrap()] });
    }
    ids.push(id("[SEP]").unwrap());
    ids
}

/// CLIP: of all neighbours the pair that was merged first, until none is left; a word's last letter is another one.
fn merged(symbols: &BTreeMap<String, i64>, merges: &[(String, String)], word: &str) -> Vec<i64> {
    let mut parts: Vec<String> = word.chars().map(String::from).collect();
    parts.iter_mut().last().unwrap().push_str("</w>");
    loop {
        let rank = |pair: &[String]| merges.iter().position(|(a, b)| *a == pair[0] && *b == pair[1]);
        let best = parts.windows(2).enumerate().filter_map(|(i, pair)| Some((rank(pair)?, i))).min();
        let Some((_, at)) = best else { break };
        let second = parts.remove(at + 1);
        parts[at].push_str(&second);
    }
    parts.iter().map(|part| symbols[part]).collect()
}

/// SentencePiece: the cut whose scores sum to the most, of all cuts.
fn best<'a>(scores: &BTreeMap<&'a str, f64>, text: &'a str) -> Option<(f64, Vec<&'a str>)> {
    if text.is_empty() {
        return Some((0.0, Vec::new()));
    }
    let ends = text.char_indices().map(|(i, c)| i + c.len_utf8());
    let one = |end: usize| {
        let score = scores.get(&text[..end])?;
        let (rest, mut cut) = best(scores, &text[end..])?;
        cut.insert(0, &text[..end]);
        Some((score + rest, cut))
    };
    ends.filter_map(one).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// A SentencePiece model file: pieces with their scores and kinds, and a trainer's kind of model.
fn sentencepiece(pieces: &[(&str, f32, u8)], kind: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for (piece, score, kind) in pieces {
        let mut message = vec![0x0a, piece.len() as u8];
        message.extend(piece.bytes());
        message.push(0x15);
        message.extend(score.to_le_bytes());
        message.extend([0x18, *kind]);
        out.extend([0x0a, message.len() as u8]);
        out.extend(message);
    }
    // A field that nobody reads, of eight bytes, and the trainer's settings.
    out.extend([0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 2, 0x18, kind]);
    out
}

const HEAD: [(&str, f32, u8); 3] = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)];

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]
    #[test]
    fn words_are_cut_into_their_longest_pieces(
        more in prop::collection::btree_set("(##)?[abc]{1,3}", 0..20),
        texts in prop::collection::vec("[abcABC ,.]{0,16}", 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let head = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", "a", "##b"];
        let mut vocab: Vec<String> = head.iter().map(|s| (*s).to_owned()).collect();
        vocab.extend(more.into_iter().filter(|piece| !head.contains(&piece.as_str())));
        // As either system ends lines.
        for end in ["\n", "\r\n"] {
            fs::write(dir.path().join("vocab.txt"), vocab.join(end) + end).unwrap();
            let p = processor(dir.path(), "bert");
            for text in &texts {
                prop_assert_eq!(p.encode(text).unwrap(), pieces(&vocab, text), "{}", text);
            }
        }
    }

    #[test]
    fn pairs_are_merged_in_their_order(
        pairs in prop::collection::vec((0usize..100, 0usize..100), 0..24),
        texts in prop::collection::vec("[abcABC ]{0,24}", 1..6),
    ) {
        let mut symbols: Vec<String> = ["a", "b", "c", "a</w>", "b</w>", "c</w>"].map(String::from).to_vec();
        let mut merges = Vec::new();
        for (a, b) in pairs {
            let (a, b) = (symbols[a % symbols.len()].clone(), symbols[b % symbols.len()].clone());
            let joined = format!("{a}{b}");
            if !a.ends_with("</w>") && joined.len() < 16 && !symbols.contains(&joined) {
                symbols.push(joined);
                merges.push((a, b));
            }
        }
        symbols.extend(["<|startoftext|>".to_owned(), "<|endoftext|>".to_owned()]);
        let ids: BTreeMap<String, i64> = symbols.iter().cloned().zip(0..).collect();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("vocab.json"), serde_json::to_string(&ids).unwrap()).unwrap();
        let lines: String = merges.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        fs::write(dir.path().join("merges.txt"), format!("#version: 0.2\n{lines}")).unwrap();
        let p = processor(dir.path(), "clip");
        for text in &texts {
            let lower = text.to_lowercase();
            let words = lower.split_whitespace().flat_map(|word| merged(&ids, &merges, word));
            let want: Vec<i64> =
                [ids["<|startoftext|>"]].into_iter().chain(words).chain([ids["<|endoftext|>"]]).collect();
            prop_assert_eq!(p.encode(text).unwrap(), want, "{} {:?}", text, merges);
        }
    }

    #[test]
    fn the_best_sum_of_scores_wins(
        more in prop::collection::btree_map("▁?[abc]{2,4}", -9.0f32..-0.5, 0..16),
        singles in prop::collection::vec(-9.0f32..-3.0, 4),
        texts in prop::collection::vec("[abc]{1,7}( [abc]{1,7}){0,2}", 1..5),
    ) {
        let letters = ["▁", "a", "b", "c"].into_iter().zip(singles).map(|(piece, score)| (piece, score, 1));
        let all: Vec<(&str, f32, u8)> =
            HEAD.into_iter().chain(letters).chain(more.iter().map(|(piece, score)| (piece.as_str(), *score, 1))).collect();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sentencepiece.bpe.model"), sentencepiece(&all, 1)).unwrap();
        let p = processor(dir.path(), "xlm-roberta");
        let scores: BTreeMap<&str, f64> = all[3..].iter().map(|(piece, score, _)| (*piece, f64::from(*score))).collect();
        // Four tokens of fairseq's stand where the model has three of its own.
        let piece = |id: i64| all[usize::try_from(id).unwrap() - 1].0;
        for text in &texts {
            let words: Vec<String> = text.split(' ').map(|word| format!("▁{word}")).collect();
            let ids = p.encode(text).unwrap();
            prop_assert_eq!((ids.first(), ids.last()), (Some(&0), Some(&2)));
            let cut: Vec<&str> = ids[1..ids.len() - 1].iter().map(|id| piece(*id)).collect();
            prop_assert_eq!(cut.concat(), words.concat());
            // Cuts may be as good as each other: none is better.
            let found: f64 = cut.iter().map(|piece| scores[piece]).sum();
            let most: f64 = words.iter().map(|word| best(&scores, word).unwrap().0).sum();
            prop_assert!((found - most).abs() < 1e-6, "{text}: {cut:?} has {found}, the best {most}");
        }
    }
}

#[test]
fn a_folder_without_a_vocabulary_has_no_processor_and_a_broken_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let none = TextProcessor::from_checkpoint(dir.path(), "bert", 8, 1000, TextRules::default()).unwrap();
    assert!(none.is_none());
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("vocab.txt", b"[PAD]\n[UNK]\nred\n");
    assert!(said(dir.path(), "bert").contains("vocab.txt: no token [CLS]"));
    write("vocab.txt", b"[PAD]\n\xff\n");
    assert!(said(dir.path(), "bert").contains("line 2 is not UTF-8"));
    fs::remove_file(dir.path().join("vocab.txt")).unwrap();
    let vocab: Value = json!({"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2});
    write("vocab.json", vocab.to_string().as_bytes());
    write("merges.txt", b"#version: 0.2\nab\n");
    assert!(said(dir.path(), "clip").contains("merges.txt: expected two pieces a line, found \"ab\""));
    fs::remove_file(dir.path().join("merges.txt")).unwrap();
    // SentencePiece's file: of another kind, cut, without a piece, of a family that is not known.
    let whole = sentencepiece(&HEAD, 1);
    write("spiece.model", &whole);
    assert!(said(dir.path(), "gpt").contains("known are XLMRobertaTokenizer and SiglipTokenizer"));
    write("spiece.model", &sentencepiece(&HEAD, 2));
    assert!(said(dir.path(), "siglip").contains("a byte-pair SentencePiece model; expected a unigram one"));
    for bytes in [
        &b""[..],
        b"\x0a\xff",
        b"\x0a\x03\x0a\x05a",
        &whole[..10],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        write("spiece.model", bytes);
        assert!(said(dir.path(), "siglip").contains("bytes that are no SentencePiece model"), "{bytes:?}");
    }
}
