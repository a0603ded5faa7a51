use super::*;
use crate::lines::Lined;
use crate::open::{Columns, Names, SourceConfig, open};
use crate::{Record, Source};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

type Opened = Result<Arc<dyn Source>, String>;

fn with(name: &str, content: &[u8], change: impl Fn(&mut SourceConfig)) -> (tempfile::TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    let mut config = SourceConfig::new(&path);
    change(&mut config);
    let opened = open(&config).map_err(|e| {
        let said = e.to_string();
        assert!(said.lines().count() == 1 && said.len() < 500, "{said}");
        said.replace(&format!("{}/", dir.path().display()), "")
    });
    (dir, opened)
}

fn records(name: &str, content: &str) -> (tempfile::TempDir, Vec<Record>) {
    let (dir, opened) = with(name, content.as_bytes(), |_| {});
    let source = opened.unwrap();
    let all = (0..source.len()).map(|i| source.record(i).unwrap().into_owned()).collect::<Vec<_>>();
    for (i, record) in all.iter().enumerate() {
        assert_eq!(source.key(i), record.part_key());
    }
    (dir, all)
}

fn refused(name: &str, content: &[u8]) -> String {
    match with(name, content, |_| {}).1 {
        Err(said) => said,
        Ok(source) => source.record(0).unwrap_err().to_string(),
    }
}

#[test]
fn a_table_as_open_clip_takes_it() {
    // Tabs, whatever its name ends in.
    let (dir, rows) = records("train.csv", "filepath\ttitle\n../a.jpg\tone, two\n/far/b.jpg\tthree\n");
    assert_eq!(rows[0].image, Some(dir.path().join("../a.jpg").into()));
    assert_eq!((rows[0].id.as_str(), &rows[0].text[..]), ("2", &["one, two".to_owned()][..]));
    assert_eq!((rows[1].id.as_str(), rows[1].image.clone()), ("3", Some("/far/b.jpg".into())));
}

#[test]
fn usual_names_are_known() {
    let csv = "id,image_path,caption_1,caption_2,audio,label,split,lang,score\r\na,x.png,one,\"two, \"\"2\"\"\r\nlines\",s.wav,3,train,fr,0.5\r\n\r\nb,y.png,only,,,,,,\r\n";
    let (dir, rows) = records("t.csv", csv);
    let [a, b] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(a.text, ["one", "two, \"2\"\r\nlines"]);
    assert_eq!(
        (a.image.clone(), &a.audio[..]),
        (Some(dir.path().join("x.png").into()), &[dir.path().join("s.wav").into()][..])
    );
    assert_eq!(
        (a.label.as_deref(), a.split.as_deref(), a.lang.as_deref()),
        (Some("3"), Some("train"), Some("fr"))
    );
    assert_eq!(a.extra["score"], "0.5");
    assert_eq!((b.text.len(), b.split.as_deref(), b.extra.len()), (1, None, 0));
    // The kind of a file by its ending; several captions in one cell; the part of a video.
    let (dir, rows) = records(
        "t.tsv",
        "file_name\tcaptions\tstart\tend\nc.mp4\t[\"x\", \"y\"]\t1.5\t2\nd.ogg\t[not json]\t1\t2\n",
    );
    assert_eq!(rows[0].video, Some(dir.path().join("c.mp4").into()));
    assert_eq!((rows[0].text.len(), rows[0].span.to_string()), (2, "3/2 to 2 s".to_owned()));
    assert_eq!(
        (rows[1].text[0].as_str(), rows[1].audio.len(), &rows[1].extra["end"]),
        ("[not json]", 1, &"2".into())
    );
    // Semicolons, as spreadsheets of many countries write them, and a mark before the first name.
    let (_dir, rows) = records("t.csv", "\u{feff}text;label\nx;y\n");
    assert_eq!((rows[0].text[0].as_str(), rows[0].label.as_deref()), ("x", Some("y")));
}

#[test]
fn columns_may_be_named() {
    let content = b"url,TEXT,p,id\nhttps://a.example/x.png,hello,x.bin,1\nu,there,y.bin,1\n";
    let named = |id: bool| {
        move |config: &mut SourceConfig| {
            config.columns = Columns {
                text: Names(vec!["TEXT".into()]),
                image: Names(vec!["p".into()]),
                id: Names(if id { vec!["TEXT".into()] } else { Vec::new() }),
                ..Columns::default()
            }
        }
    };
    let said = with("t.csv", content, named(false)).1.unwrap_err();
    assert!(said.contains("t.csv:3: id \"1\" was already used on line 2: ids must be unique: name another column by columns.id"), "{said}");
    let media = |config: &mut SourceConfig| {
        named(false)(config);
        config.columns.id = Names(vec!["url".into()]);
        config.media = Some("/media".into());
    };
    let source = with("t.csv", content, media).1.unwrap();
    let record = source.record(0).unwrap().into_owned();
    assert_eq!((record.id.as_str(), record.image), ("https://a.example/x.png", Some("/media/x.bin".into())));
    let wrong = |config: &mut SourceConfig| config.columns.text = Names(vec!["caption".into()]);
    let said = with("t.csv", content, wrong).1.unwrap_err();
    assert!(
        said.contains("t.csv:1: expected the column \"caption\" (columns.text), found the columns \"url\", \"TEXT\", \"p\", \"id\""),
        "{said}"
    );
}

#[test]
fn neighbours_of_one_image_may_be_one_record() {
    let content = b"image,caption\na.jpg,one\na.jpg,two\na.jpg,one\nb.jpg,three\n";
    let group = |config: &mut SourceConfig| config.group_by = Some("image".into());
    let (dir, opened) = with("t.csv", content, group);
    let source = opened.unwrap();
    assert_eq!(source.len(), 2);
    let a = source.record(0).unwrap();
    assert_eq!(
        (a.id.as_str(), a.text.len(), a.image.clone()),
        ("a.jpg", 2, Some(dir.path().join("a.jpg").into()))
    );
    assert_eq!(source.record(1).unwrap().text, ["three"]);
    let apart = b"image,caption\na.jpg,one\nb.jpg,two\na.jpg,three\n";
    let said = with("t.csv", apart, group).1.unwrap_err();
    assert!(said.contains("t.csv:4: id \"a.jpg\" was already used on line 2: rows that group_by joins must follow each other"), "{said}");
    let said = with("t.csv", b"image\na.jpg\n", |c| c.group_by = Some("x".into())).1.unwrap_err();
    assert!(said.contains("expected the column \"x\" (group_by)"), "{said}");
    let said = with("m.jsonl", b"{}", |c| c.group_by = Some("x".into())).1.unwrap_err();
    assert!(said.contains("a source of type manifest takes no group_by"), "{said}");
}

#[test]
fn a_broken_row_is_skipped_and_a_broken_table_refused() {
    let content = b"image,caption\na.jpg,good\nb.jpg\nhttps://x.example/c.jpg,far\nd.jpg,\"x\"y\ne.jpg,good\n,\n , \xff\n";
    let (_dir, opened) = with("t.csv", content, |_| {});
    let source = opened.unwrap();
    assert_eq!(source.len(), 6);
    let said = |i| source.record(i).unwrap_err().to_string();
    assert!(said(1).ends_with("t.csv:3: expected 2 fields as in the first row, found 1"), "{}", said(1));
    assert!(
        said(2).contains("t.csv:4: \"image\": \"https://x.example/c.jpg\" is a web address: download"),
        "{}",
        said(2)
    );
    assert!(said(3).contains("t.csv:5: a field goes on behind its last quote with \"y"), "{}", said(3));
    assert!(said(5).contains("t.csv:8: the line is not UTF-8"), "{}", said(5));
    assert_eq!(source.key(1), Default::default());
    assert_eq!(source.record(4).unwrap().text, ["good"]);
    for (content, part) in [
        (&b"image,caption\na.jpg,good\nb.jpg,\"no end\nc.jpg,x\n"[..], "t.csv:3: a quoted field has no end"),
        (b"", "t.csv:1: expected a column of texts, images"),
        (b"image,caption\n", "t.csv:1: expected a record, found none"),
        (
            b"a,b\n1,2\n",
            "t.csv:1: expected a column of texts, images, audio files or videos, found \"a\", \"b\": name them by columns",
        ),
        (b"image,caption,image\na,b,c\n", "t.csv:1: the column \"image\" stands twice"),
        (b"image,caption\na\0.jpg,x\n", "t.csv:2: the line holds NUL bytes"),
        (b"\xff\xfei\0m\0", "t.csv:1: the file is UTF-16 text"),
        (b"i\0m\0,\0\n\0", "t.csv:1: the line holds NUL bytes: is this UTF-16"),
        (b"image,caption\na.jpg\nb.jpg\n", "t.csv:2: expected 2 fields as in the first row, found 1"),
    ] {
        let said = refused("t.csv", content);
        assert!(said.contains(part), "{said}");
    }
    let wide = refused("t.csv", ",".repeat(1 << 15).as_bytes());
    assert!(wide.contains("at most 16384 columns"), "{wide}");
    let long = [b"text\n".as_slice(), &vec![b'x'; 17 << 20]].concat();
    assert!(refused("t.csv", &long).contains("t.csv:2: the line is longer than 16777216 bytes"));
    let open = [b"text\n\"".as_slice(), &b"x\n".repeat(13 << 20)].concat();
    assert!(refused("t.csv", &open).contains("t.csv:2: the line is longer than"));
    let head = vec![b'x'; 2 << 20];
    assert!(refused("t.csv", &head).contains("the first row has more than 1048576 bytes"));
}

fn filed(path: &Path) -> Lined<Table> {
    Lined::over(path, Table::of(path, &SourceConfig::new(path), path.parent().unwrap()).unwrap(), 0).unwrap()
}

/// As RFC 4180 has it: quotes where they are needed, or always.
fn field(text: &str, always: bool) -> String {
    match always || text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn what_is_written_is_read(
        rows in prop::collection::vec(("[a-z,\"\n é]{0,8}[a-z]", "(?s)[a-zé,;\"\\\\ \r\n]{0,9}[a-z]", any::<bool>()), 1..12),
        windows in any::<bool>(),
    ) {
        let end = if windows { "\r\n" } else { "\n" };
        let mut content = format!("image,caption{end}");
        for (image, caption, always) in &rows {
            content += &format!("{},{}{end}", field(image, *always), field(caption, *always));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, &content).unwrap();
        let source = filed(&path);
        prop_assert_eq!(source.len(), rows.len());
        for (i, (image, caption, _)) in rows.iter().enumerate() {
            let record = source.record(i).unwrap().into_owned();
            prop_assert_eq!(record.image, Some(dir.path().join(image).into()));
            prop_assert_eq!(&record.text, std::slice::from_ref(caption));
        }
        // The same rows through the reader of small tables.
        let whole = whole(&path, Dialect::COMMAS, &unisono_files::Budget::CONFIG).unwrap();
        prop_assert_eq!(whole.len(), rows.len() + 1);
        for ((_, fields), (image, caption, _)) in whole[1..].iter().zip(&rows) {
            prop_assert_eq!(fields, &[image.clone(), caption.clone()]);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in "(?s)[a-c,;\t\"\r\n\u{feff}é]{0,60}", head in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let head = if head { "text,caption\n" } else { "" };
        crate::fuzzing::table(dir.path(), format!("{head}{bytes}").as_bytes());
    }
}

#[test]
fn rows_end_where_they_end_however_they_are_cut() {
    let text = b"a,\"x\"\"\n\",b\r\n\"\"\n\"c\"";
    let ends = |chunk: &[u8], last| Dialect::COMMAS.end(chunk, last);
    assert_eq!(ends(text, false), Ok(Some(12)));
    for cut in 0..12 {
        assert_eq!(ends(&text[..cut], false), Ok(None), "{cut}");
    }
    assert_eq!(ends(&text[12..], false), Ok(Some(3)));
    assert_eq!(ends(&text[15..], false), Ok(None));
    assert_eq!(ends(&text[15..], true), Ok(Some(3)));
    const BARE: Dialect = Dialect { delimiter: b'\t', quotes: false, blanks: false };
    assert_eq!(BARE.fields("\"a\tb\"\r\n").unwrap(), ["\"a", "b\""]);
    let spaced = Dialect { blanks: true, ..Dialect::COMMAS };
    assert_eq!(spaced.fields("a, 3.0, \"/m/1,/m/2\"\n").unwrap(), ["a", "3.0", "/m/1,/m/2"]);
}

#[test]
fn kinds_are_seen_from_names() {
    assert!(["a.csv", "a.TSV", "b/c.tab"].iter().all(|p| is_table(&PathBuf::from(p))));
    assert!(!is_table(Path::new("a.jsonl")) && !is_table(Path::new("csv")));
}
