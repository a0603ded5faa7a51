//! VQA v2 (Goyal et al. 2017), <https://visualqa.org/download.html>: `v2_OpenEnded_mscoco_train2014_questions.json` with
//! `v2_mscoco_train2014_annotations.json` beside it or in a folder `annotations`, the same of `val2014`, and the questions alone of `test2015` and `test-dev2015`:
//!
//! ```json
//! {"questions": [{"image_id": 458752, "question": "What is this photo taken looking through?", "question_id": 458752000}], "data_subtype": "train2014"}
//! {"annotations": [{"question_id": 458752000, "image_id": 458752, "question_type": "what is this", "answer_type": "other",
//!                   "multiple_choice_answer": "net", "answers": [{"answer": "net", "answer_confidence": "yes", "answer_id": 1}]}]}
//! ```
//!
//! Images are COCO's, in `train2014`, `val2014` and `test2015` beside the files or in `images`. A record is a question about an image, under the question's number; it has no
//! text, since the question is none that describes the image: `extra` holds `question`, `image_id` and, where there are annotations, `question_type`, `answer_type`,
//! `answer` (`multiple_choice_answer`, the most frequent) and `answers` (all ten in their order; their `answer_confidence` is left out, as in the
//! published measure). Questions about one image are a group. Of a folder `test-dev2015` is left out, as `test2015` has its questions. Licence: CC BY 4.0.

use super::files::{Published, name};
use super::json;
use super::media::folder;
use super::packed::Packing;
use crate::plain::quoted;
use crate::{Error, Record, Result, Source};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Budget;

pub(super) const PUBLISHED: Published = Published {
    set: "VQA v2",
    names: "v2_OpenEnded_mscoco_train2014_questions.json, with v2_mscoco_train2014_annotations.json beside it, and those of val2014, test2015, test-dev2015",
    folders: &["", "questions", "annotations"],
    is: |name| subset(name).is_some(),
    head: &[],
};

/// The annotations of `train2014` have 390 MB and 21 million values.
const BUDGET: Budget = Budget { bytes: 1 << 30, values: 1 << 25, depth: 32 };

/// The subset of a file of questions, its images and the split.
fn subset(name: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let subsets = [
        ("train2014", "train2014", "train"),
        ("val2014", "val2014", "val"),
        ("test2015", "test2015", "test"),
        ("test-dev2015", "test2015", "test-dev"),
    ];
    let subset = name.strip_prefix("v2_OpenEnded_mscoco_")?.strip_suffix("_questions.json")?;
    subsets.into_iter().find(|(name, ..)| *name == subset)
}

#[derive(Deserialize)]
struct Questions {
    questions: Vec<Question>,
    data_subtype: Option<String>,
}

#[derive(Deserialize)]
struct Question {
    image_id: u64,
    question: String,
    question_id: u64,
}

#[derive(Deserialize)]
struct Annotations {
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: u64,
    image_id: u64,
    question_type: Box<str>,
    answer_type: Box<str>,
    multiple_choice_answer: Box<str>,
    answers: Box<[Answer]>,
}

#[derive(Deserialize)]
struct Answer {
    answer: Box<str>,
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let mut files = PUBLISHED.find(paths)?;
    let of = |file: &Path| subset(name(file)).map_or("", |(subset, ..)| subset);
    if files.iter().any(|file| of(file) == "test2015") {
        // Whoever names the file means it, and is told of the question that stands twice.
        files.retain(|file| of(file) != "test-dev2015" || paths.contains(file));
    }
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let mut packing = Packing::new(&first, &root)?;
    for path in &files {
        let Some((subset, images, split)) = subset(name(path)) else { continue };
        let asked: Questions = json::read(path, &BUDGET, "VQA's form (\"questions\")")?;
        if let Some(other) = asked.data_subtype.as_deref().filter(|other| *other != subset) {
            let found = quoted(other);
            return Err(Error::archive(
                path,
                format!("expected the questions of {subset}, found those of {found}"),
            ));
        }
        let answered = match split {
            "train" | "val" => Some(annotations(path, subset)?),
            _ => None,
        };
        let below = format!("images/{images}");
        let file = |question: &Question| format!("COCO_{images}_{:012}.jpg", question.image_id);
        let names: Vec<String> = asked.questions.iter().take(64).map(file).collect();
        let folder = folder(&root, &[images, &below, "images", ""], names.iter().map(String::as_str));
        let place = answered.as_ref().map(|(place, _)| place.clone()).unwrap_or_default();
        let mut answered = answered.map(|(_, answers)| answers);
        for (i, question) in asked.questions.into_iter().enumerate() {
            let bad = |message: String| Error::archive(path, format!("questions[{i}]: {message}"));
            let annotation = match &mut answered {
                None => None,
                Some(all) => Some(all.remove(&question.question_id).filter(|a| a.image_id == question.image_id).ok_or_else(|| {
                    let (id, image) = (question.question_id, question.image_id);
                    bad(format!("expected the annotation of question_id {id} on image_id {image} in {}, found none", place.display()))
                })?),
            };
            let file = file(&question);
            let record = Record {
                id: question.question_id.to_string(),
                image: Some(folder.join(&file).into()),
                group: Some(file.trim_end_matches(".jpg").to_owned()),
                split: Some(split.into()),
                extra: extra(question, annotation),
                ..Record::default()
            };
            packing.push(&record).map_err(bad)?;
        }
        if let Some(id) = answered.and_then(|rest| rest.into_keys().min()) {
            let message = format!("an annotation is of question_id {id}, which is not in {}", path.display());
            return Err(Error::archive(&place, message));
        }
    }
    packing.source("expected questions, found none")
}

fn extra(question: Question, annotation: Option<Annotation>) -> Map<String, Value> {
    let mut extra = Map::new();
    extra.insert("question".into(), question.question.into());
    extra.insert("image_id".into(), question.image_id.into());
    if let Some(annotation) = annotation {
        extra.insert("question_type".into(), String::from(annotation.question_type).into());
        extra.insert("answer_type".into(), String::from(annotation.answer_type).into());
        extra.insert("answer".into(), String::from(annotation.multiple_choice_answer).into());
        let answers = annotation.answers.into_iter().map(|answer| Value::from(String::from(answer.answer)));
        extra.insert("answers".into(), answers.collect());
    }
    extra
}

/// The annotations of a file of questions, by the questions' numbers.
fn annotations(questions: &Path, subset: &str) -> Result<(PathBuf, HashMap<u64, Annotation>)> {
    let wanted = format!("v2_mscoco_{subset}_annotations.json");
    let root = PUBLISHED.root(questions);
    let beside = questions.with_file_name(&wanted);
    let others = ["", "annotations"].map(|folder| root.join(folder).join(&wanted));
    let found = std::iter::once(beside.clone()).chain(others).find(|path| path.exists());
    let Some(path) = found else {
        return Err(Error::archive(
            questions,
            format!("expected {wanted} beside it or in annotations, found none"),
        ));
    };
    let file: Annotations = json::read(&path, &BUDGET, "VQA's form (\"annotations\" with \"answers\")")?;
    let mut all = HashMap::with_capacity(file.annotations.len());
    for annotation in file.annotations {
        let id = annotation.question_id;
        if all.insert(id, annotation).is_some() {
            return Err(Error::archive(&path, format!("question_id {id} has two annotations")));
        }
    }
    Ok((path, all))
}
