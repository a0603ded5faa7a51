//! Which ending and which key of a sample's JSON is which field of its record.

use super::names::KeyEnds;
use crate::{Columns, Names};
use unisono_files::Sum;

const IMAGE: &[&str] = &[
    "jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "svg", "avif", "heic", "heif", "jxl",
    "jp2", "ppm", "pgm", "pnm", "image",
];
const AUDIO: &[&str] = &[
    "wav", "wave", "mp3", "flac", "ogg", "oga", "opus", "m4a", "aac", "aif", "aiff", "au", "wma", "weba",
    "mka", "ac3", "amr", "audio",
];
const VIDEO: &[&str] =
    &["mp4", "m4v", "webm", "mkv", "mov", "avi", "mpg", "mpeg", "ts", "wmv", "flv", "3gp", "ogv", "video"];
const TEXT: &[&str] = &["txt", "text", "transcript"];
const CAPTIONS: &[&str] =
    &["text", "texts", "caption", "captions", "sentence", "sentences", "transcript", "transcription"];

/// What a member is of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its image, if it is the first.
    Image,
    /// One of its audio files.
    Audio,
    /// Its video, if it is the first.
    Video,
    /// A caption.
    Text,
    /// Its label.
    Label,
    /// Fields.
    Json,
    /// Nothing that is known.
    Other,
}

/// What the endings and keys of shards mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields {
    /// What was said of them.
    pub(crate) columns: Columns,
    /// Where keys end.
    pub(crate) key_ends: KeyEnds,
    /// The shards are `data pack`'s own: nothing is guessed.
    pub(crate) own: bool,
}

impl Fields {
    /// What a member with this ending is. A compound ending (`seg.png`, `0.txt`) is what its last part is.
    pub(crate) fn role(&self, ending: &str) -> Role {
        let ending = ending.to_ascii_lowercase();
        let last = ending.rsplit('.').next().unwrap_or_default();
        let Columns { image, audio, video, text, label, .. } = &self.columns;
        let said = [
            (image, Role::Image),
            (audio, Role::Audio),
            (video, Role::Video),
            (text, Role::Text),
            (label, Role::Label),
        ];
        if let Some((_, role)) =
            said.iter().find(|(names, _)| names.0.iter().any(|n| n.eq_ignore_ascii_case(&ending)))
        {
            return *role;
        }
        let usual = match () {
            () if ending == "json" || ending == "jsn" => return Role::Json,
            () if IMAGE.contains(&last) => Role::Image,
            () if AUDIO.contains(&last) => Role::Audio,
            () if VIDEO.contains(&last) => Role::Video,
            () if TEXT.contains(&last) => Role::Text,
            () if ending == "cls" => Role::Label,
            () => return Role::Other,
        };
        // Where names are given, the usual ones are not meant.
        match said.iter().any(|(names, role)| *role == usual && !names.is_empty()) {
            true => Role::Other,
            false => usual,
        }
    }

    /// Of several images or videos the one that is meant has the lowest rank: the first name that was given, or the plainest ending.
    pub(crate) fn rank(&self, role: Role, ending: &str) -> usize {
        let names = if role == Role::Video { &self.columns.video } else { &self.columns.image };
        let said = names.0.iter().position(|n| n.eq_ignore_ascii_case(ending));
        said.unwrap_or_else(|| ending.matches('.').count())
    }

    /// The keys of JSON that hold a field, and whether they are guessed: then a value of another form is not meant.
    pub(crate) fn keys<'a>(&self, names: &'a Names, usual: &'a [&'a str]) -> (Vec<&'a str>, bool) {
        (Columns::or(names, usual), names.is_empty())
    }

    /// The keys that captions usually have; in our own shards there is one.
    pub(crate) fn captions(&self) -> &'static [&'static str] {
        if self.own { &["text"] } else { CAPTIONS }
    }

    /// The keys that a language usually has.
    pub(crate) fn languages(&self) -> &'static [&'static str] {
        if self.own { &["lang"] } else { &["lang", "language"] }
    }

    /// A sum over all that decides what is read; empty where nothing was said.
    pub(crate) fn sum(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let mut sum = Sum::default();
        for (field, names) in self.columns.fields() {
            sum.part(field.as_bytes());
            sum.part(&(names.0.len() as u64).to_le_bytes());
            names.0.iter().for_each(|name| sum.part(name.as_bytes()));
        }
        sum.part(&[u8::from(self.key_ends == KeyEnds::LastDot), u8::from(self.own)]);
        sum.letters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        Names(list.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn endings_say_what_a_member_is() {
        let fields = Fields::default();
        for (ending, role) in [
            ("jpg", Role::Image),
            ("SEG.PNG", Role::Image),
            ("0.flac", Role::Audio),
            ("mp4", Role::Video),
            ("0.txt", Role::Text),
            ("cls", Role::Label),
            ("json", Role::Json),
            ("meta.json", Role::Other),
            ("npy", Role::Other),
            ("pickle", Role::Other),
        ] {
            assert_eq!(fields.role(ending), role, "{ending}");
        }
        assert!(fields.rank(Role::Image, "png") < fields.rank(Role::Image, "seg.png"));
    }

    #[test]
    fn names_that_are_given_are_meant_alone() {
        let columns = Columns {
            image: names(&["left.png", "jpg"]),
            text: names(&["title"]),
            label: names(&["npy"]),
            ..Columns::default()
        };
        let fields = Fields { columns, ..Fields::default() };
        assert_eq!(fields.role("left.png"), Role::Image);
        assert_eq!(fields.role("png"), Role::Other);
        assert_eq!(fields.role("txt"), Role::Other);
        assert_eq!(fields.role("cls"), Role::Other);
        assert_eq!(fields.role("npy"), Role::Label);
        assert_eq!(fields.role("wav"), Role::Audio);
        assert!(fields.rank(Role::Image, "left.png") < fields.rank(Role::Image, "jpg"));
        assert_eq!(fields.keys(&fields.columns.text, CAPTIONS), (vec!["title"], false));
    }

    #[test]
    fn the_sum_tells_what_was_said_apart() {
        let with = |columns: Columns| Fields { columns, ..Fields::default() }.sum();
        assert_eq!(Fields::default().sum(), "");
        let sums = [
            with(Columns { text: names(&["a", "b"]), ..Columns::default() }),
            with(Columns { text: names(&["ab"]), ..Columns::default() }),
            with(Columns { label: names(&["ab"]), ..Columns::default() }),
            Fields { key_ends: KeyEnds::LastDot, ..Fields::default() }.sum(),
            Fields { own: true, ..Fields::default() }.sum(),
        ];
        let distinct: std::collections::BTreeSet<&String> = sums.iter().collect();
        assert_eq!(distinct.len(), sums.len());
    }
}
