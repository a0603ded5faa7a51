use super::*;
use crate::sample::emoji::concepts::Concept;

fn concept(hex: &str, name: &str) -> Concept {
    Concept { hex: hex.into(), name: name.into(), tags: vec![], group: (0, 0), translations: BTreeMap::new() }
}

fn set(json: &str) -> IconSet {
    serde_json::from_str(json).unwrap()
}

#[test]
fn names_match_the_most_official_source_and_only_when_clear() {
    let charts = Charts {
        concepts: vec![concept("1f415", "dog"), concept("1f436", "dog face"), concept("1f37a", "beer mug")],
        names: vec![
            (3, "dog".into(), "1f436".into()),
            (3, "brew".into(), "1f37a".into()),
            (3, "pet".into(), "1f415".into()),
            (3, "pet".into(), "1f436".into()),
        ],
    };
    let icons = r#"{"icons": {"dog": {"body": ""}, "dog-face": {"body": ""}, "brew": {"body": ""}, "pet": {"body": ""},
        "unknown": {"body": ""}}, "width": 8, "height": 8}"#;
    let names = Names::new(&charts, &[]);
    let expected = [("1f37a", "brew"), ("1f415", "dog"), ("1f436", "dog-face")];
    let expected: BTreeMap<_, _> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(set(icons).by_concept(&names), expected);
}

#[test]
fn a_code_table_is_believed() {
    let charts =
        Charts { concepts: vec![concept("1f415", "dog"), concept("1f37a", "beer mug")], names: vec![] };
    let mut set = set(r#"{"icons": {"hound": {"body": "<g/>"}}, "aliases": {"mug": {"parent": "hound"}}}"#);
    set.chars =
        [("1f415", "hound"), ("1f37a", "mug"), ("1f000", "hound")].map(|(a, b)| (a.into(), b.into())).into();
    let names = Names::new(&charts, &[&set]);
    let found = set.by_concept(&names);
    assert_eq!(found["1f415"], "hound");
    assert_eq!(found["1f37a"], "hound");
    assert_eq!(found.len(), 2);
}

#[test]
fn an_icon_becomes_a_whole_svg() {
    let set = set(r#"{"icons": {"a": {"body": "<g/>", "height": 20}}, "width": 8, "height": 8}"#);
    let svg = set.svg("a").unwrap();
    assert!(
        svg.contains(r#"width="8" height="20" viewBox="0 0 8 20""#) && svg.ends_with("<g/></svg>"),
        "{svg}"
    );
    assert_eq!(set.svg("b"), None);
}
