#![allow(clippy::unwrap_used)]

use super::*;
use crate::Items;
use proptest::prelude::*;
use std::path::Path;
use unisono_media::Blob;
use unisono_processors::{ImageProcessor, Processors, TextProcessor, Vocabulary, train_tokenizer};

fn processors() -> Processors {
    let tokenizer = train_tokenizer(["a b c"].iter().cycle().take(20), 270, Vocabulary::Bpe).unwrap();
    let text = TextProcessor::new(tokenizer, 8, 300).unwrap();
    Processors { text: Some(text), image: Some(ImageProcessor::new(2)), ..Processors::default() }
}

/// What an item is, for a plan of items: a text, an image, or a file that is none.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plan {
    Text,
    Image,
    Broken,
}

/// What a text is, by its number; lengths differ.
fn words(i: usize) -> String {
    "a b c ".repeat(i % 4) + &format!("text {i}")
}

/// Tokens of it.
fn length(i: usize) -> usize {
    processors().text.unwrap().encode(&words(i)).unwrap().len()
}

/// An image and no image, as files.
fn files(dir: &Path) {
    image::RgbImage::new(1, 1).save(dir.join("ok.png")).unwrap();
    std::fs::write(dir.join("broken.png"), "none").unwrap();
}

fn item(dir: &Path, (i, plan): (usize, &Plan)) -> Item {
    let id = format!("item {i}");
    match plan {
        Plan::Text => Item::text(id, words(i)),
        Plan::Image => Item { id, ..Item::file(dir.join("ok.png"), Modality::Image) },
        Plan::Broken => Item { id, ..Item::file(dir.join("broken.png"), Modality::Image) },
    }
}

fn listing(dir: &Path, plan: &[Plan]) -> Listing {
    Listing { items: plan.iter().enumerate().map(|i| item(dir, i)).collect(), ..Listing::default() }
}

/// Rounds as they came, after those of an earlier run.
#[derive(Default)]
struct Kept {
    before: usize,
    skipped: Vec<(usize, String)>,
    rounds: Vec<Vec<(String, Outcome<String>)>>,
    sums: Vec<String>,
}

impl Sink<String> for Kept {
    fn done(&self) -> usize {
        self.before
    }

    fn skipped(&self) -> &[(usize, String)] {
        &self.skipped
    }

    fn keep(&mut self, round: Round<'_, String>) -> Result<()> {
        self.rounds.push(round.items.iter().map(|i| i.id.clone()).zip(round.outcomes).collect());
        self.sums.push(round.files);
        Ok(())
    }
}

struct Ran {
    result: Result<Vec<Skip>>,
    kept: Kept,
    batches: Vec<(u64, Vec<String>)>,
    told: Vec<(usize, usize)>,
}

/// Runs with an engine that makes the item's id a value, and nothing of every seventh item.
fn ran(listing: &Listing, options: EmbedOptions, round: usize, before: usize) -> Ran {
    let (processors, mut kept) = (processors(), Kept { before, ..Kept::default() });
    let (mut batches, mut told) = (Vec::new(), Vec::new());
    let contract = Contract::new(&processors);
    let pipeline = Pipeline { stage: "test", contract, options: &options, round, weigh: |_| 1 };
    let mut engine = |batch: Batch, go_on: &mut dyn FnMut() -> Flow| {
        go_on().check()?;
        assert_eq!(batch.items.len(), batch.inputs.len());
        let kinds: Vec<usize> = batch.inputs.iter().map(kind).collect();
        assert!(kinds.windows(2).all(|pair| pair[0] == pair[1]), "a batch is of one kind");
        batches.push((batch.first, batch.items.iter().map(|i| i.id.clone()).collect()));
        let value =
            |i: &&Item| if i.id.ends_with('6') { Err("none".to_owned()) } else { Ok(i.id.to_uppercase()) };
        Ok(batch.items.iter().map(value).collect())
    };
    let result = pipeline.run(listing, &mut engine, &mut kept, &mut |p| {
        told.push((p.done, p.skipped));
        Flow::Continue
    });
    Ran { result, kept, batches, told }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn outcomes_come_in_order_in_rounds_and_batches_depend_on_nothing_else(
        plan in prop::collection::vec(prop::sample::select(vec![Plan::Text, Plan::Text, Plan::Image, Plan::Image, Plan::Broken]), 1..40),
        (batch, round, workers) in (1usize..6, 1usize..9, 1usize..5),
        rounds_before in 0usize..3,
    ) {
        let dir = tempfile::tempdir().unwrap();
        files(dir.path());
        let listing = listing(dir.path(), &plan);
        let options = EmbedOptions { batch, workers, max_skip: 100 };
        let before = (rounds_before * round).min(plan.len() / round * round);
        let Ran { result, kept, batches, told } = ran(&listing, options, round, before);
        let usable = |i: usize| plan[i] != Plan::Broken && !i.to_string().ends_with('6');
        // Rounds are cut by number, and hold what came of each item.
        let mut naive_batches = Vec::new();
        let mut naive_rounds = Vec::new();
        for from in (before..plan.len()).step_by(round) {
            let numbers: Vec<usize> = (from..plan.len().min(from + round)).collect();
            for kind in [Plan::Text, Plan::Image] {
                let mut of: Vec<usize> = numbers.iter().copied().filter(|i| plan[*i] == kind).collect();
                if kind == Plan::Text {
                    for window in of.chunks_mut(WINDOW * batch) {
                        window.sort_by_key(|i| std::cmp::Reverse(length(*i)));
                    }
                }
                naive_batches.extend(of.chunks(batch).map(|b| (from as u64, b.iter().map(|i| format!("item {i}")).collect::<Vec<_>>())));
            }
            naive_rounds.push(numbers);
        }
        let mut found = batches;
        found.sort();
        naive_batches.sort();
        prop_assert_eq!(found, naive_batches);
        prop_assert_eq!(kept.rounds.len(), naive_rounds.len());
        for (round, numbers) in kept.rounds.iter().zip(&naive_rounds) {
            prop_assert_eq!(round.len(), numbers.len());
            for ((id, outcome), i) in round.iter().zip(numbers) {
                prop_assert_eq!(id, &format!("item {i}"));
                prop_assert_eq!(outcome.clone().ok(), usable(*i).then(|| format!("ITEM {i}")));
            }
        }
        let failed: Vec<String> = (before..plan.len()).filter(|i| !usable(*i)).map(|i| format!("item {i}")).collect();
        match result {
            Ok(skipped) => prop_assert_eq!(skipped.into_iter().map(|s| s.id).collect::<Vec<_>>(), failed),
            Err(Error::AllSkipped { count, id, .. }) => {
                prop_assert_eq!((count, before), (plan.len(), 0));
                prop_assert_eq!(id, "item 0");
            }
            Err(e) => prop_assert!(false, "{e}"),
        }
        prop_assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        prop_assert_eq!((told[0].0, told.last().map(|t| t.0)), (before, Some(plan.len())));
        // A round's sum is of its files, and of nothing else.
        for (sum, numbers) in kept.sums.iter().zip(&naive_rounds) {
            let mut naive = Sum::default();
            numbers.iter().for_each(|i| naive.part(item(dir.path(), (*i, &plan[*i])).stamp().as_bytes()));
            prop_assert_eq!(sum, &naive.letters());
        }
    }
}

#[test]
fn too_many_that_cannot_be_used_end_the_job_with_the_last_of_them() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let plan = [Plan::Text, Plan::Broken, Plan::Text, Plan::Broken, Plan::Broken, Plan::Text];
    let run = |max_skip| {
        let options = EmbedOptions { batch: 2, workers: 2, max_skip };
        ran(&listing(dir.path(), &plan), options, 4, 0).result
    };
    assert_eq!(run(3).unwrap().len(), 3);
    let Err(Error::TooManySkipped { count, max, id, reason }) = run(1) else { unreachable!() };
    assert_eq!((count, max, id.as_str()), (2, 1, "item 3"));
    assert!(reason.contains("found text"), "{reason}");
    // Those that were listed as unusable count, too.
    let mut listing = listing(dir.path(), &plan[..1]);
    listing.skipped = vec![Skip { id: "gone".into(), reason: "not there".into() }];
    let options = EmbedOptions { batch: 2, workers: 1, max_skip: 0 };
    assert!(matches!(ran(&listing, options, 4, 0).result, Err(Error::TooManySkipped { count: 1, .. })));
    let options = EmbedOptions { max_skip: 1, ..options };
    assert_eq!(ran(&listing, options, 4, 0).result.unwrap()[0].id, "gone");
}

#[test]
fn what_was_skipped_before_is_told_again_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let listing = listing(dir.path(), &[Plan::Text; 5]);
    let (processors, options) = (processors(), EmbedOptions { batch: 2, workers: 1, max_skip: 9 });
    let mut kept = Kept { before: 2, skipped: vec![(1, "was broken".into())], ..Kept::default() };
    let pipeline = Pipeline {
        stage: "test",
        contract: Contract::new(&processors),
        options: &options,
        round: 2,
        weigh: |_| 1,
    };
    let mut engine =
        |batch: Batch, _: &mut dyn FnMut() -> Flow| Ok(vec![Ok("x".to_owned()); batch.items.len()]);
    let skipped = pipeline.run(&listing, &mut engine, &mut kept, &mut |_| Flow::Continue).unwrap();
    assert_eq!(skipped, [Skip { id: "item 1".into(), reason: "was broken".into() }]);
    assert_eq!(kept.rounds.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_stop_and_an_engines_error_end_it_and_keep_whole_rounds_only() {
    let dir = tempfile::tempdir().unwrap();
    let (listing, processors) = (listing(dir.path(), &[Plan::Text; 9]), processors());
    let options = EmbedOptions { batch: 2, workers: 3, max_skip: 0 };
    for stop_at in 0..9 {
        let (mut kept, contract) = (Kept::default(), Contract::new(&processors));
        let pipeline = Pipeline { stage: "test", contract, options: &options, round: 4, weigh: |_| 1 };
        let mut engine =
            |batch: Batch, _: &mut dyn FnMut() -> Flow| Ok(vec![Ok(String::new()); batch.items.len()]);
        let tell = &mut |p: Progress| if p.done >= stop_at { Flow::Stop } else { Flow::Continue };
        let stopped = pipeline.run(&listing, &mut engine, &mut kept, tell);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stop_at}");
        assert!(kept.rounds.iter().all(|round| round.len() == 4 || round.len() == 1), "{stop_at}");
        assert!(kept.rounds.len() <= stop_at.div_ceil(4), "{stop_at}");
    }
    let contract = Contract::new(&processors);
    let pipeline = Pipeline { stage: "test", contract, options: &options, round: 4, weigh: |_| 1 };
    let mut calls = 0;
    let mut engine = |batch: Batch, _: &mut dyn FnMut() -> Flow| {
        calls += 1;
        match calls {
            // It may give too little: what is missing has no value.
            1 => Ok(vec![Ok(String::new())]),
            2 => Ok(vec![Ok(String::new()); batch.items.len()]),
            _ => Err(Error::Input("no memory".into())),
        }
    };
    let mut kept = Kept::default();
    let many = EmbedOptions { max_skip: 5, ..options };
    let pipeline = Pipeline { options: &many, ..pipeline };
    let said = pipeline.run(&listing, &mut engine, &mut kept, &mut |_| Flow::Continue).unwrap_err();
    assert_eq!((said.to_string().as_str(), kept.rounds.len()), ("no memory", 1));
    let lost: Vec<&String> =
        kept.rounds[0].iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
    assert_eq!(lost, ["the model gave nothing for it"]);
}

#[test]
fn heavy_items_fill_a_batch_sooner() {
    let dir = tempfile::tempdir().unwrap();
    let (listing, processors) = (listing(dir.path(), &[Plan::Text; 6]), processors());
    let options = EmbedOptions { batch: 4, workers: 1, max_skip: 0 };
    let pipeline = Pipeline {
        stage: "test",
        contract: Contract::new(&processors),
        options: &options,
        round: 6,
        weigh: |_| 3,
    };
    let mut sizes = Vec::new();
    let mut engine = |batch: Batch, _: &mut dyn FnMut() -> Flow| {
        sizes.push(batch.items.len());
        Ok(vec![Ok(String::new()); batch.items.len()])
    };
    pipeline.run(&listing, &mut engine, &mut Kept::default(), &mut |_| Flow::Continue).unwrap();
    assert_eq!(sizes, [2, 2, 2]);
}

#[test]
fn a_part_of_a_file_goes_the_way_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let png = std::fs::read(dir.path().join("ok.png")).unwrap();
    let shard = dir.path().join("shard.tar");
    std::fs::write(&shard, [b"head", png.as_slice(), png.as_slice()].concat()).unwrap();
    let part = |offset, length| Item::file(Blob::part(&shard, offset, length, "ok.png"), Modality::Image);
    let length = png.len() as u64;
    let held = Item::file(Blob::bytes("ok.png", png), Modality::Image);
    let items: Items =
        [part(4, length), part(4 + length, length), part(5, length), held].into_iter().collect();
    let listing = Listing { items, ..Listing::default() };
    let options = EmbedOptions { batch: 2, workers: 2, max_skip: 2 };
    let Ran { result, kept, .. } = ran(&listing, options, 8, 0);
    let skipped = result.unwrap();
    assert!(skipped[0].reason.contains("expected a PNG"), "{:?}", skipped[0]);
    assert_eq!(skipped[1].reason, "it has no file");
    let made: Vec<bool> = kept.rounds[0].iter().map(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(made, [true, true, false, false]);
    // Another part of one file is other work, and a file that changed is done again.
    let print = |item: Item| fingerprint(&[item].into(), "", 1);
    assert_ne!(print(part(4, length)), print(part(4 + length, length)));
    let before = part(4, length).stamp();
    std::fs::write(&shard, "another").unwrap();
    assert!(!before.is_empty() && part(4, length).stamp() != before);
}
