//! The names that columns have in most published data sets.

/// The first group of which a table has a column is taken, with all of its columns; capitals count as small letters.
pub(super) type Groups = &'static [&'static [&'static str]];

pub(super) const IMAGE: Groups = &[
    &["image"],
    &["img"],
    &["jpg", "jpeg", "png", "webp"],
    &["images"],
    &["picture", "photo"],
    &["image_bytes", "img_bytes"],
    &["image_path", "img_path"],
];

pub(super) const AUDIO: Groups = &[
    &["audio"],
    &["wav", "flac", "mp3", "ogg", "opus"],
    &["speech"],
    &["sound"],
    &["audios"],
    &["audio_bytes"],
    &["audio_path"],
];

pub(super) const VIDEO: Groups =
    &[&["video"], &["mp4", "webm", "mkv"], &["videos"], &["clip"], &["video_bytes"], &["video_path"]];

pub(super) const TEXT: Groups = &[
    &["captions"],
    &["caption"],
    &["sentences"],
    &["sentence"],
    &["texts"],
    &["text"],
    &["txt"],
    // Flickr8k and others number them.
    &[
        "caption_0",
        "caption_1",
        "caption_2",
        "caption_3",
        "caption_4",
        "caption_5",
        "caption_6",
        "caption_7",
        "caption_8",
        "caption_9",
    ],
    &["transcription"],
    &["transcript"],
    &["normalized_text"],
    &["description"],
    &["title"],
    // COCO's annotations as a list of structs.
    &["sentences.raw"],
    &["raw_text"],
];

pub(super) const LABEL: Groups = &[&["label"], &["class"], &["category"], &["labels"], &["fine_label"]];
pub(super) const SPLIT: Groups = &[&["split"]];
pub(super) const LANG: Groups = &[&["lang"], &["language"], &["locale"]];
pub(super) const GROUP: Groups = &[&["group"]];
pub(super) const START: Groups = &[&["start"], &["start_time"], &["start_sec"]];
pub(super) const END: Groups = &[&["end"], &["end_time"], &["end_sec"]];
