//! What stands before every route: who asks, from where, and for how long.

use crate::app::App;
use crate::refusal::Refusal;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Paths without a secret: whoever watches over the server need not know a key, and the page asks for one itself.
const OPEN: [&str; 3] = ["/", "/health", "/ready"];
/// The cookie in which the page keeps its key: images and players send no other head.
const COOKIE: &str = "unisono-key";

/// A request that is being answered; one that is dropped before was left by its client.
struct Open<'a> {
    app: &'a App,
    answered: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.app.metrics.open.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            self.app.metrics.forsaken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets a request through to its route, or refuses it.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    app.metrics.open.fetch_add(1, Ordering::Relaxed);
    let mut open = Open { app: &app, answered: false };
    let allowed = allowed(&app, request.uri().path(), request.headers());
    let mut response = match allowed {
        Err(refusal) => refusal.into_response(),
        Ok(()) => match tokio::time::timeout(app.settings.timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let seconds = app.settings.timeout.as_secs_f64();
                let message = format!("it took longer than {seconds} s (--timeout)");
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, message).into_response()
            }
        },
    };
    open.answered = true;
    let headers = response.headers_mut();
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Another site's page may not show what is here, not even as its picture.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if app.is_ending() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    app.metrics.answered(&route, response.status().as_u16(), begun.elapsed());
    response
}

fn allowed(app: &App, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    // Another site's page in a browser: its name may lead to this machine, but it is not this server's.
    if app.settings.keys.is_empty() && app.settings.loopback && !is_loopback(host) {
        let message =
            format!("Host {host}: this server answers to localhost only; --addr and --api-keys open it");
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    if let Some(origin) = text(header::ORIGIN)
        && origin.split_once("://").map(|(_, authority)| authority) != Some(host)
    {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("Origin {origin}: only this server's own page may ask"),
        ));
    }
    // Browsers say who asks for a picture or a player's file, too, where they name no origin.
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    if site.is_some_and(|site| site != "same-origin" && site != "none") && !OPEN.contains(&path) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "only this server's own page may ask for this"));
    }
    if app.settings.keys.is_empty() || OPEN.contains(&path) {
        return Ok(());
    }
    match given(headers) {
        Some(key) if knows(&app.settings.keys, &key) => Ok(()),
        Some(_) => Err(Refusal::new(StatusCode::UNAUTHORIZED, "the API key is not known here")),
        None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "expected an API key: Authorization: Bearer KEY")),
    }
}

/// The key that a request gives, byte by byte: keys need not be ASCII.
fn given(headers: &HeaderMap) -> Option<Vec<u8>> {
    let bytes = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let bearer = bytes("authorization").and_then(|v| v.strip_prefix(b"Bearer "));
    let head = bearer.or_else(|| bytes("x-api-key")).map(<[u8]>::to_vec);
    head.or_else(|| {
        let cookies = headers.get(header::COOKIE)?.to_str().ok()?.split(';');
        let mut pairs = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        pairs.find(|(name, _)| *name == COOKIE).map(|(_, key)| decoded(key))
    })
}

/// `%C3%AB` and its like as bytes: a cookie has no others than letters and signs.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escape = digits.filter(|two| *first == b'%' && two.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = escape.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

/// Whether a key is among those known, in a time that depends on neither: sums are compared, all bytes of all of them.
fn knows(keys: &[String], given: &[u8]) -> bool {
    let given = Sha256::digest(given);
    keys.iter().fold(false, |known, key| {
        let differs = Sha256::digest(key.as_bytes()).iter().zip(&given).fold(0, |all, (a, b)| all | (a ^ b));
        known | (std::hint::black_box(differs) == 0)
    })
}

/// `localhost`, 127.x.y.z or [::1], with a port or without.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands() {
        let of = |name: &'static str, value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_bytes(value).unwrap());
            given(&headers)
        };
        let key = "s\u{eb}same & 1".as_bytes();
        assert_eq!(of("authorization", &[b"Bearer ", key].concat()).as_deref(), Some(key));
        assert_eq!(of("x-api-key", key).as_deref(), Some(key));
        let cookie = b"a=b; unisono-key=s%C3%ABsame%20%26%201; c=%";
        assert_eq!(of("cookie", cookie).as_deref(), Some(key));
        assert_eq!(of("authorization", b"Basic x"), None);
        // What is no escape stays as it is.
        for (text, bytes) in
            [("%", "%"), ("%4", "%4"), ("%zz1", "%zz1"), ("%+4", "%+4"), ("a%2", "a%2"), ("%41%", "A%")]
        {
            assert_eq!(decoded(text), bytes.as_bytes(), "{text}");
        }
    }

    #[test]
    fn keys_and_hosts() {
        let keys = ["one".to_owned(), "two".to_owned()];
        assert!(knows(&keys, b"one") && knows(&keys, b"two"));
        assert!(!knows(&keys, b"") && !knows(&keys, b"on") && !knows(&keys, b"onee") && !knows(&[], b"one"));
        for host in ["localhost", "LOCALHOST:7700", "127.0.0.1:1", "127.0.0.2", "[::1]:7700", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "example.org:7700",
            "127.0.0.1.example.org",
            "10.0.0.1:7700",
            "localhost.evil:1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
