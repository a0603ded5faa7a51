//! Items of the index and their files. Requests name rows, never paths: what is not in the index cannot be had.

use crate::app::App;
use crate::places::Places;
use crate::refusal::{Answer, Refusal};
use crate::thumbnail::{EDGE, small};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::Value;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use unisono_encoders::Modality;
use unisono_files::short_sum;
use unisono_jobs::Item;
use unisono_media::Blob;

/// What a row is.
pub(crate) async fn item(State(app): State<Arc<App>>, Path(row): Path<String>) -> Answer<Json<Value>> {
    let (row, item, _) = found(&app, &row)?;
    Ok(Json(super::search::shown(row, &item, None)))
}

fn found(app: &App, row: &str) -> Answer<(usize, Item, Places)> {
    let missing = || Refusal::missing(format!("the index has no row {row:?}"));
    let number: usize = row.parse().map_err(|_| missing())?;
    let index = app.current()?.index.clone();
    Ok((number, index.item(number).ok_or_else(missing)?, index.places().clone()))
}

/// The row's blob, where it may be read.
fn blob(item: Item, places: &Places) -> Answer<Blob> {
    places.readable(item)?.blob.ok_or_else(|| Refusal::missing("this row is a text: it has no file"))
}

/// A file, or the part of it that is asked for.
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Path(row): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (_, item, places) = found(&app, &row)?;
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (range, of, has) = (text(header::RANGE), text(header::IF_RANGE), text(header::IF_NONE_MATCH));
    let work = move || {
        let blob = blob(item, &places)?;
        let tag = tag(&blob, None);
        if has.is_some_and(|has| has.contains(&tag)) {
            return Ok(unchanged(&tag));
        }
        // A part of what it is now does not fit to parts of what it was.
        let range = range.filter(|_| of.is_none_or(|of| of == tag));
        let mut response = part(&blob, range.as_deref())?;
        set(&mut response, header::ETAG, &tag);
        Ok(response)
    };
    app.workers.run(work).await
}

/// What tells the state of a file, or of its picture of this size. A row that is another item after a change of the index has another.
fn tag(blob: &Blob, edge: Option<u32>) -> String {
    let state = format!("{:?} {:?} {edge:?}", blob.identity(), blob.stamp());
    format!("\"{}\"", short_sum(state.as_bytes()))
}

/// The client has it.
fn unchanged(tag: &str) -> Response {
    let mut response = media(Body::empty(), "application/octet-stream");
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(header::CONTENT_TYPE);
    set(&mut response, header::ETAG, tag);
    response
}

fn part(blob: &Blob, range: Option<&str>) -> Answer<Response> {
    let gone = |e: &dyn std::fmt::Display| Refusal::missing(format!("the row's file cannot be read: {e}"));
    let mut opened = blob.open().map_err(|e| gone(&e))?;
    let whole = opened.len();
    let (start, end) = match range.map(|text| wanted(text, whole)) {
        Some(Some(range)) => range,
        Some(None) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{whole}"));
            return Ok(response);
        }
        None => (0, whole),
    };
    let partial = range.is_some();
    opened.seek(SeekFrom::Start(start)).map_err(|e| gone(&e))?;
    let name = blob.name().to_string_lossy();
    let mime = crate::mime::of_name(&name).unwrap_or("application/octet-stream");
    let mut response = media(crate::stream::body(opened, end - start), mime);
    set(&mut response, header::CONTENT_LENGTH, &(end - start).to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    if partial {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let last = end.saturating_sub(1);
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {start}-{last}/{whole}"));
    }
    Ok(response)
}

/// From and up to, of `bytes=…`; of several ranges the first. `None`: beyond the end.
fn wanted(text: &str, whole: u64) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split(',').next()?.trim().split_once('-')?;
    let (start, end) = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) => (from, to.checked_add(1)?.min(whole)),
        (Ok(from), Err(_)) if to.is_empty() => (from, whole),
        (Err(_), Ok(last)) if from.is_empty() && last > 0 => (whole.saturating_sub(last), whole),
        _ => return None,
    };
    (start < end).then_some((start, end))
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A stranger's file: it is what its type says, and whatever is in it does nothing.
fn media(body: Body, mime: &str) -> Response {
    let mut response = Response::new(body);
    set(&mut response, header::CONTENT_TYPE, mime);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        &mut response,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    );
    // Kept, and asked for again: a row may be another item by then.
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    response
}

/// `edge=N`: the longest edge that is wanted, in pixels.
fn edge(query: Option<&str>) -> Answer<u32> {
    let Some(text) = query.filter(|text| !text.is_empty()) else { return Ok(EDGE) };
    let edge = text.strip_prefix("edge=").and_then(|n| n.parse().ok());
    edge.filter(|edge| (16..=EDGE).contains(edge))
        .ok_or_else(|| Refusal::field("edge", format!("{text}: expected edge=16 to edge={EDGE}, in pixels")))
}

/// An image as a small JPEG.
pub(crate) async fn thumbnail(
    State(app): State<Arc<App>>,
    Path(row): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer<Response> {
    let edge = edge(uri.query())?;
    let has = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (_, item, places) = found(&app, &row)?;
    if item.modality != Modality::Image || item.video {
        return Err(Refusal::missing("this row is no image: it has no thumbnail"));
    }
    let limits = app.settings.limits.files();
    app.workers
        .run(move || {
            let blob = blob(item, &places)?;
            if blob.is_missing() {
                return Err(Refusal::missing("the row's file is not there any more"));
            }
            let tag = tag(&blob, Some(edge));
            if has.is_some_and(|has| has.contains(&tag)) {
                return Ok(unchanged(&tag));
            }
            let mut response = media(small(&blob, edge, &limits)?.into(), "image/jpeg");
            set(&mut response, header::ETAG, &tag);
            Ok(response)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(wanted("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(wanted("bytes=90-", 100), Some((90, 100)));
        assert_eq!(wanted("bytes=-10", 100), Some((90, 100)));
        assert_eq!(wanted("bytes=-1000", 100), Some((0, 100)));
        assert_eq!(wanted("bytes=5-5, 7-9", 100), Some((5, 6)));
        assert_eq!(wanted("bytes=0-18446744073709551615", 100), None);
        for beyond in ["bytes=100-", "bytes=9-3", "bytes=-0", "bytes=a-b", "lines=1-2", "bytes=", "bytes=0-0"]
        {
            assert_eq!(wanted(beyond, if beyond.ends_with("0-0") { 0 } else { 100 }), None, "{beyond}");
        }
    }
}
