//! The page: sections come and go with their data, nothing from outside is ever markup, nothing is loaded.

#[path = "../../page/tests/support/document.rs"]
mod document;

use unisono_eval::captioning::Scores;
use unisono_eval::{metrics::RetrievalMetrics, report::*, stats::Estimate};

const EVIL: &str = "<script>alert('x')</script>\"' onload=\"alert(1)";

/// Sums of few powers of two: JSON carries them to the last bit.
fn metrics() -> RetrievalMetrics {
    let e = |value| Estimate { value, low: value / 2.0, high: value * 1.5 };
    RetrievalMetrics {
        from: EVIL.into(),
        to: "image".into(),
        queries: 1238,
        left_out: 3,
        gallery: 1052.0,
        relevant: 1.0,
        chance_r1: 0.0625,
        chance_r5: 0.125,
        chance_r10: 0.25,
        r1: e(0.28125),
        r5: e(0.5),
        r10: e(0.625),
        median_rank: e(4.5),
        mrr: e(0.375),
    }
}

fn image() -> Media {
    Media::new(*b"\x89PNG\r\n\x1a\nrest")
}

fn hit(media: Option<Media>, right: bool) -> Hit {
    let text = Some(EVIL.to_owned());
    Hit { media, lang: text.clone(), id: text.clone(), text, score: Some(0.5), right: Some(right) }
}

fn query() -> Query {
    Query::Text { text: EVIL.into(), lang: Some(EVIL.into()) }
}

fn audio() -> Query {
    let text = Some(EVIL.to_owned());
    Query::Audio { media: Media::new(*b"OggS..."), lang: text.clone(), text, seconds: Some(1.5) }
}

fn search(query: Query, media: Option<Media>) -> Search {
    let hits = vec![hit(media.clone(), false), hit(media, true)];
    Search { query, hits, rank: Some(2.0), gallery: Some(187) }
}

fn fact() -> Fact {
    Fact::new(EVIL, EVIL)
}

/// Every field filled, every string hostile.
fn full() -> ReportData {
    let row = RecallRow {
        protocol: EVIL.into(),
        metrics: metrics(),
        control: Some(metrics()),
        language_control: Some(metrics()),
    };
    let set = DataSet {
        name: EVIL.into(),
        counts: vec![(EVIL.into(), 8161)],
        licence: EVIL.into(),
        source: Some(EVIL.into()),
    };
    let value = Estimate { value: 0.25, low: 0.125, high: 0.5 };
    let recall = RecallPoint { name: EVIL.into(), value, chance: Some(0.0625) };
    ReportData {
        header: Header {
            title: EVIL.into(),
            subtitle: Some(EVIL.into()),
            date: Some(EVIL.into()),
            facts: vec![fact()],
            data_sets: vec![set],
            command: Some(EVIL.into()),
        },
        captions: vec![CaptionRow {
            protocol: EVIL.into(),
            model: Scores { bleu4: 0.1, bleu1: 0.2, cider_d: 1.0, exact: 0.3, items: 7 },
            nearest: Scores { bleu4: 0.1, bleu1: 0.2, cider_d: 1.0, exact: 0.3, items: 7 },
            frequent: Scores { bleu4: 0.1, bleu1: 0.2, cider_d: 1.0, exact: 0.3, items: 7 },
        }],
        captioned: vec![CaptionCard {
            query: Query::Text { text: EVIL.into(), lang: Some(EVIL.into()) },
            caption: EVIL.into(),
            truth: EVIL.into(),
        }],
        headlines: vec![Headline::recall(&row, 1)],
        curves: Some(Curves {
            train: vec![TrainPoint {
                step: 1,
                loss: 2.0,
                lr: Some(0.5),
                pairs: vec![(EVIL.into(), 2.0)],
                norms: vec![(EVIL.into(), 3.0)],
                scales: vec![(EVIL.into(), 4.0)],
            }],
            val: vec![ValPoint { step: 1, recalls: vec![recall] }],
            best_step: Some(1),
        }),
        recall: vec![row],
        searches: vec![search(query(), Some(image()))],
        spoken: vec![search(audio(), Some(image()))],
        audio_to_text: vec![search(audio(), None)],
        mistakes: vec![Mistake {
            query: query(),
            found: hit(Some(image()), false),
            right: hit(None, true),
            rank: 180.0,
            gallery: Some(187),
        }],
        time: Some(TimeSpent {
            stages: vec![(EVIL.into(), 3.0)],
            training: vec![(EVIL.into(), 2.0)],
            throughput: Some(Throughput { reached: 150.0, machine: 300.0 }),
            verdict: Some(EVIL.into()),
        }),
        notes: Some(Notes {
            paragraphs: vec![EVIL.into()],
            commands: vec![EVIL.into()],
            facts: vec![fact()],
        }),
    }
}

const SECTIONS: [&str; 8] =
    ["training", "recall", "searches", "spoken", "sounds", "mistakes", "time", "notes"];

fn present(page: &str) -> Vec<&'static str> {
    SECTIONS.into_iter().filter(|id| page.contains(&format!("<section id=\"{id}\""))).collect()
}

#[test]
fn everything_is_shown_and_everything_is_escaped() {
    let page = render(&full());
    document::check(&page);
    assert_eq!(present(&page), SECTIONS);
    assert!(page.contains("&lt;script&gt;"));
    for shown in ["28.1", "duration", "3 without answer", "8,161", "data:image/png", "data:audio/ogg", "50 %"]
    {
        assert!(page.contains(shown), "{shown} is missing");
    }
}

#[test]
fn each_section_leaves_with_its_data() {
    let cuts: [fn(&mut ReportData); 8] = [
        |d| d.curves = None,
        |d| d.recall.clear(),
        |d| d.searches.clear(),
        |d| d.spoken.clear(),
        |d| d.audio_to_text.clear(),
        |d| d.mistakes.clear(),
        |d| d.time = None,
        |d| d.notes = None,
    ];
    for (cut, id) in cuts.into_iter().zip(SECTIONS) {
        let mut data = full();
        cut(&mut data);
        let page = render(&data);
        let rest: Vec<&str> = SECTIONS.into_iter().filter(|other| *other != id).collect();
        assert_eq!(present(&page), rest);
        assert!(!page.contains(&format!("#{id}\"")), "the contents still name {id}");
    }
}

#[test]
fn a_bare_title_is_a_page() {
    let header = Header { title: "Only a title".into(), ..Header::default() };
    let page = render(&ReportData { header, ..ReportData::default() });
    document::check(&page);
    assert_eq!(present(&page), [""; 0]);
    assert!(page.contains("<h1 dir=\"auto\">Only a title</h1>") && !page.contains("<nav"));
    // Present but empty is absent too.
    let empty = ReportData {
        curves: Some(Curves::default()),
        time: Some(TimeSpent::default()),
        notes: Some(Notes::default()),
        ..ReportData::default()
    };
    assert_eq!(present(&render(&empty)), [""; 0]);
}

#[test]
fn rtl_text_finds_its_own_direction() {
    let search = search(Query::Text { text: "قطة".into(), lang: Some("ar".into()) }, Some(image()));
    let page = render(&ReportData { searches: vec![search], ..ReportData::default() });
    assert!(
        page.contains("<p class=\"words\" dir=\"auto\" lang=\"ar\">قطة</p>") && page.contains(">Arabic<")
    );
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    let svg = Media::new(*b"<svg onload=alert(1)>");
    let page = render(&ReportData { searches: vec![search(query(), Some(svg))], ..ReportData::default() });
    document::check(&page);
    assert!(page.contains("cannot be shown") && !page.contains("<img"));
}

#[test]
fn numbers_that_are_none_do_not_break_the_page() {
    let mut data = full();
    data.recall[0].metrics.r1 = Estimate { value: f64::NAN, low: f64::NEG_INFINITY, high: f64::INFINITY };
    data.headlines.clear();
    if let Some(curves) = &mut data.curves {
        curves.train = vec![TrainPoint { step: 1, loss: f64::NAN, ..TrainPoint::default() }];
    }
    if let Some(time) = &mut data.time {
        time.stages = vec![("x".into(), f64::NAN)];
        time.throughput = Some(Throughput { reached: 1.0, machine: 0.0 });
    }
    document::check(&render(&data));
}

#[test]
fn a_report_survives_json() {
    let data = full();
    let json = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<ReportData>(&json).unwrap(), data);
    let short: ReportData = serde_json::from_str(r#"{"header": {"title": "T"}}"#).unwrap();
    assert_eq!(short.header.title, "T");
}

#[test]
fn contact_sheets_show_rank_score_id() {
    let mut found = search(Query::Image { media: image(), text: Some(EVIL.into()) }, Some(image()));
    found.hits.iter_mut().for_each(|hit| hit.right = None);
    found.hits[0].id = Some("animals/cat#fr".into());
    let sheet = contact_sheet(&SheetData { title: EVIL.into(), facts: vec![fact()], searches: vec![found] });
    document::check(&sheet);
    assert!(sheet.contains("animals/<wbr>cat#fr") && sheet.contains("<span>1</span>0.50"));
    assert!(!sheet.contains("class=\"tick\"") && !sheet.contains("hit wrong"));
    let nothing = Search { query: query(), hits: vec![], rank: None, gallery: None };
    let sheet = contact_sheet(&SheetData { searches: vec![nothing], ..SheetData::default() });
    assert!(sheet.contains("Nothing found.") && sheet.contains("<title>Search</title>"));
}
