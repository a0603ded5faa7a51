//! What the server counts, in Prometheus's text form.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of a request's seconds.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];

/// Counts of one route.
#[derive(Debug, Default)]
struct Route {
    by_status: BTreeMap<u16, u64>,
    /// Requests that took no longer than each bound.
    within: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, Route>>,
    /// Connections that are open.
    pub(crate) connections: AtomicUsize,
    /// Requests that are being answered.
    pub(crate) open: AtomicUsize,
    /// Requests whose client left before the answer.
    pub(crate) forsaken: AtomicU64,
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let of = routes.entry(route.to_owned()).or_default();
        *of.by_status.entry(status).or_default() += 1;
        let seconds = took.as_secs_f64();
        of.count += 1;
        of.seconds += seconds;
        for (within, bound) in of.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
    }

    /// Requests by route and status, and their time.
    pub(crate) fn requests(&self, text: &mut String) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(
            "# HELP unisono_requests_total Requests answered.\n# TYPE unisono_requests_total counter\n",
        );
        for (route, of) in routes.iter() {
            for (status, count) in &of.by_status {
                text.push_str(&format!(
                    "unisono_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}\n"
                ));
            }
        }
        let name = "unisono_request_seconds";
        text.push_str(&format!(
            "# HELP {name} From a request's head to its answer.\n# TYPE {name} histogram\n"
        ));
        for (route, of) in routes.iter() {
            for (bound, within) in BOUNDS.iter().zip(of.within) {
                text.push_str(&format!("{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {within}\n"));
            }
            text.push_str(&format!("{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {}\n", of.count));
            text.push_str(&format!("{name}_sum{{route=\"{route}\"}} {:.6}\n", of.seconds));
            text.push_str(&format!("{name}_count{{route=\"{route}\"}} {}\n", of.count));
        }
    }
}
