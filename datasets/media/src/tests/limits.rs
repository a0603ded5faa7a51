use super::*;

#[test]
fn numbers_as_people_write_them() {
    for (text, value) in [
        ("200M", 200_000_000),
        ("1.5G", 1_500_000_000),
        ("200_000_000", 200_000_000),
        ("64Mi", 64 << 20),
        ("10k", 10_000),
        (" 7 ", 7),
    ] {
        assert_eq!(count(text), Ok(value), "{text}");
    }
    for (text, value) in [("256MiB", 256 << 20), ("2GB", 2_000_000_000), ("2G", 2_000_000_000), ("10B", 10)] {
        assert_eq!(bytes(text), Ok(value), "{text}");
    }
    for wrong in
        ["", "0", "M", "-1", "1e9", "nan", "inf", "200 megapixels", "1MM", "99999999T", "1..2", "0x10"]
    {
        let error = count(wrong).unwrap_err();
        assert!(error.contains("200M") && error.ends_with(&format!("found {wrong:?}")), "{error}");
    }
    assert!(count("200MB").is_err() && bytes("200MBB").is_err() && bytes("B").is_err());
}

#[test]
fn durations_as_people_write_them() {
    for (text, value) in [
        ("90", 90.0),
        ("90s", 90.0),
        ("45m", 2700.0),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1d 2h 3min 4s", 93784.0),
    ] {
        assert_eq!(seconds(text), Ok(value), "{text}");
    }
    for wrong in ["", "0", "h", "1m1h", "1h1h", "1h30", "10x", "nan", "-5", "1:30"] {
        assert!(seconds(wrong).unwrap_err().contains("1h30m"), "{wrong}");
    }
}

#[test]
fn every_limit_that_a_message_names_can_be_chosen() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![sources];
    let mut named = std::collections::BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("option: \"").skip(1);
                named.extend(names.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    assert!(named.len() >= 4, "{named:?}");
    for name in &named {
        assert!(NAMES.contains(&name.as_str()), "no limit is called {name}");
    }
    // Each of them is a key of a recipe's `[limits]`, with a unit or without, and a field of what a job is given.
    for name in NAMES {
        let unit = if name == "max_seconds" || name == "max_silence" { "2m" } else { "120" };
        let json = serde_json::json!({ name: unit });
        let chosen: MediaLimits = serde_json::from_value(json).unwrap();
        assert_eq!(serde_json::to_value(chosen).unwrap()[name].as_f64(), Some(120.0), "{name}");
        let number: MediaLimits = serde_json::from_value(serde_json::json!({ name: 120 })).unwrap();
        assert_eq!(number, chosen);
        assert_ne!(chosen.fingerprint(), "");
        let reached = format!("{:?} {:?}", chosen.files(), chosen.videos());
        let plain = MediaLimits::default();
        assert_ne!(reached, format!("{:?} {:?}", plain.files(), plain.videos()), "{name} changes nothing");
    }
    assert!(serde_json::from_str::<MediaLimits>(r#"{ "max_pixel": 1 }"#).is_err());
}
