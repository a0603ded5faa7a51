//! What words a text has, as a keyword index counts them.

use crate::Item;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// Terms are cut here, in bytes: longer runs are no words.
const LONGEST: usize = 120;

/// The terms of a text, in its order: words and numbers in small letters, accents and forms of one letter made the same; of scripts without spaces
/// (Chinese, Japanese, Korean) every two letters that stand side by side, and one that stands alone.
pub(crate) fn terms(text: &str, take: &mut dyn FnMut(&str)) {
    let (mut word, mut run) = (String::new(), Vec::new());
    for c in text.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).nfc().flat_map(char::to_lowercase) {
        let wide = is_wide(c);
        if !wide {
            pairs(&mut run, take);
        }
        if wide || !c.is_alphanumeric() {
            flush(&mut word, take);
        }
        if wide {
            run.push(c);
        } else if c.is_alphanumeric() {
            word.push(c);
        }
    }
    pairs(&mut run, take);
    flush(&mut word, take);
}

fn flush(word: &mut String, take: &mut dyn FnMut(&str)) {
    if !word.is_empty() && word.len() <= LONGEST {
        take(word);
    }
    word.clear();
}

fn pairs(run: &mut Vec<char>, take: &mut dyn FnMut(&str)) {
    if let [one] = run[..] {
        take(one.encode_utf8(&mut [0; 4]));
    }
    run.windows(2).for_each(|pair| take(&pair.iter().collect::<String>()));
    run.clear();
}

/// Letters of scripts that put no space between words; Korean does, and its particles cling to them.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x3005 | 0x3040..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3
        | 0xf900..=0xfaff | 0x20000..=0x323af)
}

/// The terms by which an item is found: of its text, caption or transcript, its label, its file's name, and the words among its record's other keys.
pub(crate) fn of_item(item: &Item, take: &mut dyn FnMut(&str)) {
    for text in [&item.text, &item.label].into_iter().flatten() {
        terms(text, take);
    }
    if let Some(name) = item.blob.as_ref().and_then(|blob| blob.name().file_name()?.to_str()) {
        terms(name, take);
    }
    item.meta.values().for_each(|value| of_value(value, take));
}

fn of_value(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => terms(text, take),
        Value::Array(all) => all.iter().for_each(|value| of_value(value, take)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_processors::Modality;

    fn of(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        terms(text, &mut |term| all.push(term.to_owned()));
        all
    }

    #[test]
    fn words_of_many_scripts() {
        assert_eq!(of("A Red, double-decker BUS!"), ["a", "red", "double", "decker", "bus"]);
        assert_eq!(of("Café naïve ﬁne １２"), ["cafe", "naive", "fine", "12"]);
        assert_eq!(of("红色的巴士"), ["红色", "色的", "的巴", "巴士"]);
        assert_eq!(of("バスが red 車"), ["バス", "スが", "red", "車"]);
        assert_eq!(of("Straße Москва"), ["straße", "москва"]);
        assert_eq!(of("빨간 버스"), ["빨간", "버스"]);
        assert!(of("… — !").is_empty() && of(&"x".repeat(200)).is_empty());
    }

    #[test]
    fn an_item_is_known_by_what_is_said_of_it() {
        let mut item = Item::file("/holiday/IMG_20-sea side.png", Modality::Image);
        item.label = Some("beach".into());
        item.meta.insert("tags".into(), serde_json::json!(["Blue", 7, ["sky"]]));
        let mut all = Vec::new();
        of_item(&item, &mut |term| all.push(term.to_owned()));
        assert_eq!(all, ["beach", "img", "20", "sea", "side", "png", "blue", "sky"]);
    }
}
