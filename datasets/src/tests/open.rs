use super::*;

fn parse(text: &str) -> std::result::Result<SourceConfig, serde_json::Error> {
    serde_json::from_str(text)
}

#[test]
fn a_source_is_a_path_a_list_or_a_table() {
    assert_eq!(parse(r#""a.jsonl""#).unwrap(), SourceConfig::new("a.jsonl"));
    let list = parse(r#"["a", "b"]"#).unwrap();
    assert_eq!(list.paths, [PathBuf::from("a"), "b".into()]);
    let table = parse(
        r#"{"path": "a", "type": "manifest", "columns": {"text": "caption", "image": ["jpg", "png"]}}"#,
    )
    .unwrap();
    assert_eq!(
        (table.kind, table.columns.text.0.as_slice()),
        (Some(SourceKind::Manifest), &["caption".into()][..])
    );
    for config in [SourceConfig::new("a"), list, table] {
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(parse(&written).unwrap(), config, "{written}");
    }
    for (text, part) in [
        (r#"{"path": "a", "kind": "manifest"}"#, "unknown field `kind`"),
        (r#"{"path": "a", "type": "zip"}"#, "unknown variant `zip`"),
        (r#"{"type": "manifest"}"#, "missing field `path`"),
        (r#"{"path": "a", "columns": {"texts": "b"}}"#, "unknown field `texts`"),
        ("3", "a path, a list of paths, or a table"),
    ] {
        let said = parse(text).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
    for kind in SourceKind::ALL {
        assert_eq!(kind.name().parse::<SourceKind>().unwrap(), kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn a_manifest_has_one_path_and_its_own_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    std::fs::write(&path, r#"{"id": "a", "text": "b"}"#).unwrap();
    let config = SourceConfig::new(&path);
    assert_eq!(open(&config).unwrap().len(), 1);
    let refused = |config: &SourceConfig| open(config).unwrap_err().to_string();
    let twice =
        SourceConfig { paths: vec![path.clone(); 2], kind: Some(SourceKind::Manifest), ..config.clone() };
    assert!(refused(&twice).contains("has one path, found 2"));
    let named = SourceConfig {
        columns: Columns { text: Names(vec!["caption".into()]), ..Columns::default() },
        kind: Some(SourceKind::Manifest),
        ..config
    };
    assert!(refused(&named).contains("has fixed keys, found columns.text = [\"caption\"]"));
    assert!(refused(&SourceConfig::default()).contains("found none"));
}
