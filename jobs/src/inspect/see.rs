//! What a worker sees of one record.

use crate::named::{Kind, absent, belied, files, head, identity};
use crate::{LangDetector, Skip};
use unisono_datasets::{Record, Source};
use unisono_media::video::Span;
use unisono_media::{Blob, header};

/// A record, or why it cannot be read, and what is seen of its files.
pub(super) struct Seen {
    pub(super) record: Result<Record, Skip>,
    pub(super) files: Vec<File>,
    /// The language of its captions, where that was asked for and is sure.
    pub(super) spoken: Option<&'static str>,
}

/// A file that a record names.
pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) identity: u64,
    /// It is not there, or empty.
    pub(super) problem: Option<Skip>,
    /// What it is, where its ending promises something else; of measured ones.
    pub(super) misnamed: Option<(String, &'static str)>,
    /// What its head says, if that was looked at.
    pub(super) measured: Option<Measure>,
}

/// What a file's head says.
pub(crate) enum Measure {
    /// Width and height in pixels.
    Size(u32, u32),
    /// Of the part that is meant.
    Seconds(f64),
    /// Nothing.
    Unknown,
}

/// Looks at a record; the heads of its files are read if it is to be `measured`, and the language of its captions is found if it names none.
pub(super) fn see(
    source: &dyn Source,
    index: usize,
    measured: bool,
    detector: Option<&LangDetector>,
) -> Seen {
    let record = match source.record(index) {
        Ok(record) => record.into_owned(),
        Err(e) => {
            let skip = Skip { id: format!("record {index}"), reason: e.to_string() };
            return Seen { record: Err(skip), files: Vec::new(), spoken: None };
        }
    };
    let files = files(&record).map(|(kind, blob, span)| look(kind, blob, span, measured)).collect();
    let spoken = detector.filter(|_| record.lang.is_none()).and_then(|detector| detector.of(&record.text));
    Seen { record: Ok(record), files, spoken: spoken.map(|spoken| spoken.tag) }
}

fn look(kind: Kind, blob: &Blob, span: Span, measured: bool) -> File {
    let mut file =
        File { kind, identity: identity(kind, blob), problem: None, misnamed: None, measured: None };
    let name = || blob.name().display().to_string();
    let problem = match measured {
        false => absent(blob),
        true => match head(blob) {
            Ok(head) => {
                file.misnamed = belied(blob, &head).map(|form| (name(), form));
                file.measured = Some(measure(kind, blob, span));
                None
            }
            Err(reason) => Some(reason),
        },
    };
    file.problem = problem.map(|reason| Skip { id: name(), reason });
    file
}

/// Reads the head of a file.
pub(crate) fn measure(kind: Kind, blob: &Blob, span: Span) -> Measure {
    // What is wrong inside is not asked here.
    if kind == Kind::Image {
        let size = header::image_size(blob.clone()).ok().flatten();
        return size.map_or(Measure::Unknown, |(width, height)| Measure::Size(width, height));
    }
    let whole = || header::seconds(blob.clone()).ok().flatten();
    let start = span.start.map_or(0.0, |time| time.seconds());
    let end = span.end.map(|time| time.seconds()).or_else(whole);
    end.map(|end| end - start).filter(|long| *long > 0.0).map_or(Measure::Unknown, Measure::Seconds)
}
