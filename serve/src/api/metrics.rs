//! `/metrics`, in Prometheus's text form.

use crate::app::App;
use crate::model::Served;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// All that is counted.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&app)).into_response()
}

fn render(app: &App) -> String {
    let (mut text, metrics) = (String::new(), &app.metrics);
    metrics.requests(&mut text);
    let mut gauge = |name: &str, help: &str, value: usize| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    gauge("unisono_connections", "Open connections.", metrics.connections.load(Ordering::Relaxed));
    gauge("unisono_requests_open", "Requests being answered.", metrics.open.load(Ordering::Relaxed));
    gauge("unisono_inputs_inside", "Inputs that wait or are worked on.", app.gate().now());
    gauge("unisono_body_bytes", "Bytes of bodies that are held.", app.bounds().held.now());
    let (name, forsaken) = ("unisono_forsaken_total", metrics.forsaken.load(Ordering::Relaxed));
    let help = "Requests whose client left before the answer.";
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {forsaken}\n"));
    models(&mut text, app);
    text
}

/// What the engines did.
fn models(text: &mut String, app: &App) {
    type Read = fn(&Served) -> f64;
    let all: [(&str, &str, &str, Read); 7] = [
        ("unisono_batches_total", "counter", "Batches that went through a model.", |m| {
            m.engine.done().batches.load(Ordering::Relaxed) as f64
        }),
        ("unisono_batch_inputs_total", "counter", "Inputs in them.", |m| {
            m.engine.done().items.load(Ordering::Relaxed) as f64
        }),
        ("unisono_model_seconds_total", "counter", "Time that a model worked.", |m| {
            m.engine.done().micros.load(Ordering::Relaxed) as f64 * 1e-6
        }),
        ("unisono_model_loaded", "gauge", "Whether a model is in memory.", |m| {
            f64::from(u8::from(m.engine.slot().is_there()))
        }),
        ("unisono_model_bytes", "gauge", "Bytes of a model's weights in memory.", |m| {
            m.engine.slot().bytes() as f64
        }),
        ("unisono_model_loads_total", "counter", "How often a model was loaded.", |m| {
            m.engine.slot().loads() as f64
        }),
        ("unisono_model_waiting", "gauge", "Jobs that wait for a model.", |m| m.engine.waiting() as f64),
    ];
    for (name, kind, help, read) in all {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for model in app.all_models() {
            let label = model.name.replace(['\\', '"', '\n'], "_");
            text.push_str(&format!("{name}{{model=\"{label}\"}} {}\n", read(&model)));
        }
    }
}
