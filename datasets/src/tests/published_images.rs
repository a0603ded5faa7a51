use super::*;
use serde_json::json;

#[test]
fn karpathys_splits() {
    let file = json!({"dataset": "coco", "images": [
        {"filepath": "val2014", "sentids": [1, 2], "filename": "COCO_val2014_000000391895.jpg", "imgid": 0, "split": "test", "cocoid": 391895,
         "sentences": [{"tokens": ["a", "man"], "raw": "A man with a red helmet.", "imgid": 0, "sentid": 1}, {"tokens": [], "raw": "Two.", "imgid": 0, "sentid": 2}]},
        {"filepath": "train2014", "sentids": [], "filename": "COCO_train2014_000000000009.jpg", "imgid": 1, "split": "train", "cocoid": 9, "sentences": []},
        {"filepath": "val2014", "sentids": [3], "filename": "COCO_val2014_000000000042.jpg", "imgid": 2, "split": "restval", "cocoid": 42,
         "sentences": [{"tokens": [], "raw": "Rest.", "imgid": 2, "sentid": 3}]},
    ]});
    let dir = laid(&[
        ("dataset_coco.json", &file.to_string()),
        ("images/val2014/COCO_val2014_000000391895.jpg", ""),
        ("images/train2014/COCO_train2014_000000000009.jpg", ""),
    ]);
    let kind = SourceKind::Karpathy;
    let coco = source(&dir, "dataset_coco.json", kind);
    let all = records(&*coco);
    assert_eq!(
        all[0],
        Record {
            id: "COCO_val2014_000000391895".into(),
            text: vec!["A man with a red helmet.".into(), "Two.".into()],
            image: Some(at(&dir, "images/val2014/COCO_val2014_000000391895.jpg")),
            split: Some("test".into()),
            extra: json!({"imgid": 0, "cocoid": 391895}).as_object().unwrap().clone(),
            ..Record::default()
        }
    );
    assert_eq!((all[1].split.as_deref(), all[1].text.len()), (Some("train"), 0));
    assert_eq!(
        (all[2].split.as_deref(), all[2].extra["karpathy_split"].as_str()),
        (Some("train"), Some("restval"))
    );
    // It is not there: whoever opens it says where it should be.
    assert_eq!(all[2].image, Some(at(&dir, "images/val2014/COCO_val2014_000000000042.jpg")));
    assert_eq!(coco.splits().into_iter().collect::<Vec<_>>(), [("test".into(), 1), ("train".into(), 2)]);
    // Where the folder lies makes no difference to a training.
    let media = Some(dir.path().join("images"));
    let told =
        open(&SourceConfig { media, ..SourceConfig::new(dir.path().join("dataset_coco.json")) }).unwrap();
    assert_eq!(told.sum().unwrap(), coco.sum().unwrap());
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                "dataset_coco.json",
                "\"raw\":\"Two.\"",
                "\"raw\":2",
                "dataset_coco.json:1: expected Karpathy's form (\"images\" with \"sentences\"): invalid type: integer `2`, expected a string (column",
            ),
            ("dataset_coco.json", "\"split\":\"test\",", "", "missing field `split`"),
            ("dataset_coco.json", "\"images\":", "\"pictures\":", "missing field `images`"),
            (
                "dataset_coco.json",
                "\"dataset\":\"coco\"",
                "\"dataset\":\"flickr8k\"",
                "expected the data set of its name, found \"flickr8k\"",
            ),
            (
                "dataset_coco.json",
                "COCO_train2014_000000000009.jpg",
                "../9.jpg",
                "images[1]: expected the name of a file, found \"../9.jpg\"",
            ),
            (
                "dataset_coco.json",
                "COCO_val2014_000000000042.jpg",
                "COCO_val2014_000000391895.jpg",
                "images[2]: \"COCO_val2014_000000391895\" was already used",
            ),
        ],
    );
    misses(
        &dir,
        "",
        kind,
        "dataset_coco.json",
        "expected a file of Karpathy's splits (dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json), found \"away\", \"images\"",
    );
    put(&dir, "dataset_flickr8k.json", "{}");
    assert!(refused(&dir, "", kind).contains("expected one file of Karpathy's splits, found"));
}

#[test]
fn karpathys_flickr() {
    let file = |name: &str| {
        json!({"dataset": name, "images": [{"sentids": [0], "imgid": 0, "split": "val", "filename": "1000092795.jpg",
            "sentences": [{"tokens": [], "raw": "Two young guys .", "imgid": 0, "sentid": 0}]}]})
        .to_string()
    };
    for (name, folder) in
        [("flickr8k", "Flicker8k_Dataset"), ("flickr30k", "flickr30k-images"), ("flickr30k", "images")]
    {
        let image = format!("{folder}/1000092795.jpg");
        let dir = laid(&[(&format!("dataset_{name}.json"), &file(name)), (&image, "")]);
        let all = records(&*source(&dir, "", SourceKind::Karpathy));
        assert_eq!(
            (all.len(), all[0].id.as_str(), all[0].text[0].as_str()),
            (1, "1000092795", "Two young guys .")
        );
        assert_eq!(all[0].image, Some(at(&dir, &image)));
    }
}

fn coco(year: &str, name: &str) -> String {
    json!({"info": {"year": year}, "licenses": [{"id": 1}],
        "images": [{"id": 9, "file_name": name, "license": 1, "height": 480, "width": 640}, {"id": 7, "file_name": format!("x{name}")}],
        "annotations": [{"image_id": 9, "id": 51, "caption": "second"}, {"image_id": 9, "id": 5, "caption": "first "}, {"image_id": 7, "id": 6, "caption": "other"}]})
    .to_string()
}

#[test]
fn cocos_captions() {
    let dir = laid(&[
        ("annotations/captions_train2017.json", &coco("2017", "000000000009.jpg")),
        ("annotations/captions_val2017.json", &coco("2017", "000000000139.jpg")),
        ("annotations/instances_val2017.json", "{}"),
        ("train2017/000000000009.jpg", ""),
        ("images/val2017/000000000139.jpg", ""),
    ]);
    let kind = SourceKind::CocoCaptions;
    let all = records(&*source(&dir, "", kind));
    assert_eq!(all.len(), 4);
    assert_eq!(
        all[0],
        Record {
            id: "000000000009".into(),
            text: vec!["first ".into(), "second".into()],
            image: Some(at(&dir, "train2017/000000000009.jpg")),
            split: Some("train".into()),
            extra: json!({"image_id": 9}).as_object().unwrap().clone(),
            ..Record::default()
        }
    );
    assert_eq!(all[2].image, Some(at(&dir, "images/val2017/000000000139.jpg")));
    assert_eq!(all[2].split.as_deref(), Some("val"));
    let one = records(&*source(&dir, "annotations/captions_val2017.json", kind));
    assert_eq!(one, all[2..]);
    let file = "annotations/captions_val2017.json";
    refuses(
        &dir,
        "annotations",
        kind,
        &[
            (
                file,
                "\"caption\":\"second\"",
                "\"bbox\":[1,2]",
                "expected COCO's form (\"images\", \"annotations\" with captions): missing field `caption`",
            ),
            (
                file,
                "\"image_id\":7",
                "\"image_id\":8",
                "an annotation is of image_id \"8\", which is not among the images",
            ),
            (file, "\"id\":7", "\"id\":\"7\"", "invalid type: string \"7\", expected u64"),
            (
                file,
                "000000000139.jpg",
                "/etc/x.jpg",
                "images[0]: expected the name of a file, found \"/etc/x.jpg\"",
            ),
            (file, "000000000139.jpg", "000000000009.jpg", "images[0]: \"000000000009\" was already used"),
        ],
    );
    put(&dir, "annotations/captions_val2014.json", &coco("2014", "COCO_val2014_000000000139.jpg"));
    assert!(refused(&dir, "", kind).contains("expected files of one year, found"));
    let said = refused(&dir, "annotations/instances_val2017.json", kind);
    assert!(said.contains("expected a file of COCO's captions (captions_train2017.json, "), "{said}");
}

#[test]
fn vqas_questions_and_answers() {
    let questions = json!({"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "data_subtype": "val2014", "questions": [
        {"image_id": 262148, "question": "Where is he looking?", "question_id": 262148000},
        {"image_id": 262148, "question": "What are the people doing?", "question_id": 262148001}]});
    let answers = |first: &str| {
        (1..=10).map(|i| json!({"answer": if i == 1 { first } else { "down" }, "answer_confidence": "yes", "answer_id": i})).collect::<Vec<_>>()
    };
    let annotations = json!({"info": {}, "annotations": [
        {"question_type": "none of the above", "multiple_choice_answer": "down", "answers": answers("at table"), "image_id": 262148, "answer_type": "other", "question_id": 262148000},
        {"question_type": "what are the", "multiple_choice_answer": "down", "answers": answers("down"), "image_id": 262148, "answer_type": "other", "question_id": 262148001}]});
    let (q, a) = ("v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json");
    let test = json!({"data_subtype": "test2015", "questions": [{"image_id": 1, "question": "Is it?", "question_id": 1000}]});
    let dir = laid(&[
        (q, &questions.to_string()),
        (a, &annotations.to_string()),
        ("v2_OpenEnded_mscoco_test2015_questions.json", &test.to_string()),
        (
            "v2_OpenEnded_mscoco_test-dev2015_questions.json",
            &test.to_string().replace("test2015", "test-dev2015"),
        ),
        ("val2014/COCO_val2014_000000262148.jpg", ""),
    ]);
    let kind = SourceKind::VqaV2;
    let all = records(&*source(&dir, "", kind));
    assert_eq!(all.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["1000", "262148000", "262148001"]);
    let mut said = vec!["at table"];
    said.extend(["down"; 9]);
    assert_eq!(
        all[1],
        Record {
            id: "262148000".into(),
            image: Some(at(&dir, "val2014/COCO_val2014_000000262148.jpg")),
            group: Some("COCO_val2014_000000262148".into()),
            split: Some("val".into()),
            extra: json!({"question": "Where is he looking?", "image_id": 262148, "question_type": "none of the above", "answer_type": "other", "answer": "down", "answers": said})
                .as_object().unwrap().clone(),
            ..Record::default()
        }
    );
    assert_eq!(all[0].image, Some(at(&dir, "test2015/COCO_test2015_000000000001.jpg")));
    assert_eq!((all[0].split.as_deref(), all[0].extra.len()), (Some("test"), 2));
    let dev = records(&*source(&dir, "v2_OpenEnded_mscoco_test-dev2015_questions.json", kind));
    assert_eq!((dev.len(), dev[0].split.as_deref()), (1, Some("test-dev")));
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                q,
                "\"val2014\"",
                "\"train2014\"",
                "expected the questions of val2014, found those of \"train2014\"",
            ),
            (
                q,
                "\"question_id\":262148001",
                "\"question_id\":262148002",
                "questions[1]: expected the annotation of question_id 262148002 on image_id 262148 in",
            ),
            (
                q,
                "\"question_id\":262148001",
                "\"question_id\":262148000",
                "questions[1]: expected the annotation of question_id 262148000",
            ),
            (
                a,
                "\"question_id\":262148001",
                "\"question_id\":262148000",
                "question_id 262148000 has two annotations",
            ),
            (
                a,
                "\"answer\":\"at table\"",
                "\"answer\":{}",
                "expected VQA's form (\"annotations\" with \"answers\"): invalid type: map, expected a string",
            ),
            (a, "\"multiple_choice_answer\":\"down\",", "", "missing field `multiple_choice_answer`"),
        ],
    );
    misses(
        &dir,
        q,
        kind,
        a,
        "expected v2_mscoco_val2014_annotations.json beside it or in annotations, found none",
    );
}

#[test]
fn imagenets_folders_and_lists() {
    let mapping = "n01440764 tench, Tinca tinca\nn03126707 crane\nn02012849 crane\n";
    let solution = "ImageId,PredictionString\nILSVRC2012_val_00000002,n02012849 85 1 499 272 n02012849 1 2 3 4 \nILSVRC2012_val_00000001,n01440764 1 1 2 2 \n";
    let root = "ILSVRC/Data/CLS-LOC";
    let dir = laid(&[
        ("LOC_synset_mapping.txt", mapping),
        ("LOC_val_solution.csv", solution),
        (&format!("{root}/train/n01440764/n01440764_1.JPEG"), ""),
        (&format!("{root}/train/n03126707/n03126707_7.JPEG"), ""),
        (&format!("{root}/val/ILSVRC2012_val_00000001.JPEG"), ""),
        (&format!("{root}/val/ILSVRC2012_val_00000002.JPEG"), ""),
        (&format!("{root}/test/ILSVRC2012_test_00000001.JPEG"), ""),
    ]);
    let kind = SourceKind::ImageNet;
    let all = records(&*source(&dir, "", kind));
    let said: Vec<_> = all
        .iter()
        .map(|r| (r.id.as_str(), r.split.as_deref().unwrap(), r.label.as_deref(), r.text.join("; ")))
        .collect();
    let tench = "tench; Tinca tinca".to_owned();
    assert_eq!(
        said,
        [
            ("test/ILSVRC2012_test_00000001.JPEG", "test", None, String::new()),
            ("train/n01440764/n01440764_1.JPEG", "train", Some("n01440764"), tench.clone()),
            ("train/n03126707/n03126707_7.JPEG", "train", Some("n03126707"), "crane".into()),
            ("val/ILSVRC2012_val_00000001.JPEG", "val", Some("n01440764"), tench),
            ("val/ILSVRC2012_val_00000002.JPEG", "val", Some("n02012849"), "crane".into()),
        ]
    );
    assert_eq!(all[1].image, Some(at(&dir, &format!("{root}/train/n01440764/n01440764_1.JPEG"))));
    refuses(
        &dir,
        "",
        kind,
        &[
            (
                "LOC_synset_mapping.txt",
                "n01440764 tench",
                "tench",
                "LOC_synset_mapping.txt:1: expected a class as \"n01440764 tench, Tinca tinca\", found \"tench, Tinca tinca\"",
            ),
            (
                "LOC_synset_mapping.txt",
                "n03126707 crane\n",
                "",
                "n03126707_7.JPEG: expected an image in a folder that is called as a class",
            ),
            ("LOC_synset_mapping.txt", "n03126707", "n02012849", "the class n02012849 stands twice"),
            (
                "LOC_val_solution.csv",
                "n02012849",
                "n00000000",
                "LOC_val_solution.csv:2: expected a class of the data set's list, found \"n00000000\"",
            ),
            (
                "LOC_val_solution.csv",
                "val_00000002",
                "val_00000003",
                "ILSVRC2012_val_00000002.JPEG: expected its class in the list of the validation's classes",
            ),
            (
                "LOC_val_solution.csv",
                "ImageId",
                "Id",
                "expected the columns ImageId, PredictionString of ImageNet's validation; ImageId missing",
            ),
        ],
    );
    misses(
        &dir,
        "",
        kind,
        "LOC_synset_mapping.txt",
        "expected a folder of ImageNet with LOC_synset_mapping.txt or map_clsloc.txt in it or in its devkit, found \"ILSVRC\", ",
    );
    misses(
        &dir,
        "",
        kind,
        "LOC_val_solution.csv",
        "expected LOC_val_solution.csv or ILSVRC2012_validation_ground_truth.txt",
    );
    // The devkit's numbers mean nothing without their list.
    fs::remove_file(dir.path().join("LOC_val_solution.csv")).unwrap();
    let truth = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt";
    put(&dir, truth, "3\n1\n");
    assert!(refused(&dir, "", kind).contains("expected map_clsloc.txt beside it"));
    put(
        &dir,
        "ILSVRC2012_devkit_t12/data/map_clsloc.txt",
        "n03126707 1 crane\nn02012849 2 crane\nn01440764 3 tench_fish\n",
    );
    let by_devkit = records(&*source(&dir, "", kind));
    assert_eq!(
        (by_devkit[3].label.as_deref(), by_devkit[4].label.as_deref()),
        (Some("n01440764"), Some("n03126707"))
    );
    refuses(
        &dir,
        "",
        kind,
        &[(
            truth,
            "3",
            "4",
            "ILSVRC2012_validation_ground_truth.txt:1: expected a class's number in map_clsloc.txt, found \"4\"",
        )],
    );
    // The devkit alone, and the validation in folders of its classes.
    let dir = laid(&[
        ("map_clsloc.txt", "n03126707 1 crane\nn01440764 3 tench_fish\n"),
        ("val/n01440764/ILSVRC2012_val_00000001.JPEG", ""),
    ]);
    let all = records(&*source(&dir, "", kind));
    assert_eq!(
        (all[0].label.as_deref(), &all[0].text[..], all[0].split.as_deref()),
        (Some("n01440764"), &["tench fish".to_owned()][..], Some("val"))
    );
}
