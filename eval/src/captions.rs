//! Generated captions against true ones: BLEU (Papineni et al. 2002) over the corpus and CIDEr-D (Vedantam et al. 2015), as
//! pycocoevalcap computes them.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A generated caption and the true ones of the same thing, cut into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pair {
    /// What was generated.
    pub candidate: Vec<String>,
    /// What people wrote; at least one.
    pub references: Vec<Vec<String>>,
}

impl Pair {
    /// From whole sentences, cut by [`words`].
    pub fn new<S: AsRef<str>>(candidate: &str, references: &[S]) -> Self {
        Self {
            candidate: words(candidate),
            references: references.iter().map(|r| words(r.as_ref())).collect(),
        }
    }
}

/// Words in lower case without punctuation, and the parts of English contractions: what the Penn Treebank tokenizer that
/// pycocoevalcap calls leaves of ordinary captions. That tokenizer is a Java program; where its rules for rare writing (numbers with
/// units, abbreviations) matter, cut the texts with it and fill [`Pair`]s directly.
pub fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'");
    let mut out = Vec::new();
    for piece in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '-'))) {
        let piece = piece.trim_matches(['\'', '-']);
        if piece.is_empty() {
            continue;
        }
        let ends = ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"];
        match ends.iter().find(|e| piece.ends_with(*e) && piece.len() > e.len()) {
            Some(end) => {
                out.push(piece[..piece.len() - end.len()].to_owned());
                out.push((*end).to_owned());
            }
            None => out.push(piece.to_owned()),
        }
    }
    out
}

/// Runs of one to four words.
const LONGEST: usize = 4;

/// Ordered, so that sums over it are the same every time.
type Counts<'a> = BTreeMap<&'a [String], f64>;

fn counts(words: &[String]) -> Counts<'_> {
    let mut counts = Counts::new();
    for n in 1..=LONGEST {
        for gram in words.windows(n) {
            *counts.entry(gram).or_default() += 1.0;
        }
    }
    counts
}

/// BLEU-1 to BLEU-4 over the corpus, with the brevity penalty against the reference of the nearest length.
pub fn bleu(pairs: &[Pair]) -> [f64; LONGEST] {
    // The reference's own guards against division by zero; they decide what an empty overlap scores.
    let (tiny, small) = (1e-15, 1e-9);
    let (mut right, mut guesses) = ([0.0; LONGEST], [0.0; LONGEST]);
    let (mut length, mut wanted) = (0.0, 0.0);
    for pair in pairs {
        let found = counts(&pair.candidate);
        let mut most = Counts::new();
        for reference in &pair.references {
            for (gram, n) in counts(reference) {
                let best = most.entry(gram).or_default();
                *best = n.max(*best);
            }
        }
        for (gram, n) in &found {
            right[gram.len() - 1] += n.min(most.get(gram).copied().unwrap_or(0.0));
        }
        let n = pair.candidate.len();
        for (k, guess) in guesses.iter_mut().enumerate() {
            *guess += n.saturating_sub(k) as f64;
        }
        length += n as f64;
        let nearest = pair.references.iter().map(Vec::len).min_by_key(|l| (l.abs_diff(n), *l));
        wanted += nearest.unwrap_or(0) as f64;
    }
    let ratio: f64 = (length + tiny) / (wanted + small);
    let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
    let mut product = 1.0;
    let mut scores = [0.0; LONGEST];
    for k in 0..LONGEST {
        product *= (right[k] + tiny) / (guesses[k] + small);
        scores[k] = f64::powf(product, 1.0 / (k + 1) as f64) * brevity;
    }
    scores
}

/// The Gaussian penalty's width, in words of difference of length.
const SIGMA: f64 = 6.0;

/// A caption's runs of each length, weighted by how rare they are.
struct Weighted<'a> {
    grams: [Counts<'a>; LONGEST],
    norms: [f64; LONGEST],
    length: f64,
}

fn weighted<'a>(words: &'a [String], seen: &HashMap<&[String], f64>, log_items: f64) -> Weighted<'a> {
    let mut out = Weighted { grams: Default::default(), norms: [0.0; LONGEST], length: 0.0 };
    for (gram, n) in counts(words) {
        let rare = log_items - seen.get(gram).copied().unwrap_or(0.0).max(1.0).ln();
        let at = gram.len() - 1;
        let weight = n * rare;
        out.norms[at] += weight * weight;
        out.grams[at].insert(gram, weight);
        // The reference measures length in pairs of words.
        if gram.len() == 2 {
            out.length += n;
        }
    }
    out.norms = out.norms.map(f64::sqrt);
    out
}

/// CIDEr-D of each pair, 0 to 10; the corpus' score is their mean. How rare a run of words is comes from the references of all pairs.
pub fn cider_d(pairs: &[Pair]) -> Vec<f64> {
    let mut seen: HashMap<&[String], f64> = HashMap::new();
    for pair in pairs {
        let grams: HashSet<&[String]> = pair.references.iter().flat_map(|r| counts(r).into_keys()).collect();
        for gram in grams {
            *seen.entry(gram).or_default() += 1.0;
        }
    }
    let log_items = (pairs.len() as f64).ln();
    let one = |pair: &Pair| {
        let found = weighted(&pair.candidate, &seen, log_items);
        let mut score = [0.0; LONGEST];
        for reference in &pair.references {
            let wanted = weighted(reference, &seen, log_items);
            let delta = found.length - wanted.length;
            let penalty = (-delta * delta / (2.0 * SIGMA * SIGMA)).exp();
            for (n, score) in score.iter_mut().enumerate() {
                let mut sum = 0.0;
                for (gram, a) in &found.grams[n] {
                    let b = wanted.grams[n].get(gram).copied().unwrap_or(0.0);
                    // Clipped, so that repeating a right word gains nothing.
                    sum += a.min(b) * b;
                }
                if found.norms[n] != 0.0 && wanted.norms[n] != 0.0 {
                    sum /= found.norms[n] * wanted.norms[n];
                }
                *score += sum * penalty;
            }
        }
        score.iter().sum::<f64>() / LONGEST as f64 / pair.references.len().max(1) as f64 * 10.0
    };
    pairs.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn equals_pycocoevalcap() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/captions/golden.json");
        let sets: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cut = |v: &Value| v.as_str().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (i, set) in sets.iter().enumerate() {
            let pair = |v: &Value| Pair {
                candidate: cut(&v[0]),
                references: v[1].as_array().unwrap().iter().map(cut).collect(),
            };
            let pairs: Vec<Pair> = set["items"].as_array().unwrap().iter().map(pair).collect();
            for (k, found) in bleu(&pairs).into_iter().enumerate() {
                let want = set["bleu"][k].as_f64().unwrap();
                assert!((found - want).abs() < 1e-6, "set {i} BLEU-{}: {found} {want}", k + 1);
            }
            let each = cider_d(&pairs);
            for (found, want) in each.iter().zip(set["cider_each"].as_array().unwrap()) {
                let want = want.as_f64().unwrap();
                assert!((found - want).abs() < 1e-6, "set {i}: {found} {want}");
            }
            let mean = each.iter().sum::<f64>() / each.len() as f64;
            assert!((mean - set["cider"].as_f64().unwrap()).abs() < 1e-6);
        }
        assert_eq!(sets.len(), 7);
    }

    #[test]
    fn words_are_cut_as_captions_are() {
        assert_eq!(words("A red, double-decker bus!"), ["a", "red", "double-decker", "bus"]);
        assert_eq!(words("The dog's don’t"), ["the", "dog", "'s", "do", "n't"]);
        assert_eq!(words(" - ' ... "), Vec::<String>::new());
        assert_eq!(words("Ein Bär, 3 Äpfel"), ["ein", "bär", "3", "äpfel"]);
    }
}
