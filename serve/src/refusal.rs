//! What a request is refused with: OpenAI's error object, which every client of theirs can read.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use unisono_jobs::Error as JobError;

/// This crate's answer to a request.
pub(crate) type Answer<T = Response> = Result<T, Refusal>;

/// Why a request has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// The field that is wrong.
    pub(crate) param: Option<String>,
    /// Seconds after which the same request may do better.
    pub(crate) retry: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, retry: None }
    }

    /// The request itself is wrong.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A field of it is.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::wrong(message) }
    }

    /// What it names is not there.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// It is larger than a limit.
    pub(crate) fn large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// There is too much to do.
    pub(crate) fn busy(retry: u64) -> Self {
        let message = format!("too many requests are waiting; try again in {retry} s");
        Self { retry: Some(retry), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// The server ends.
    pub(crate) fn ending() -> Self {
        Self { retry: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down") }
    }

    /// A bug, or a broken model.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": {
            "message": self.message, "type": self.kind(), "param": self.param, "code": self.status.as_u16(),
        } });
        let mut response = axum::Json(body).into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// One line; libtorch's messages bring their C++ stack along.
fn one_line(text: &str) -> String {
    let text = text.split("Exception raised from").next().unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        let message = one_line(&error.to_string());
        match error {
            JobError::Interrupted => Self::ending(),
            JobError::Input(_)
            | JobError::TooManySkipped { .. }
            | JobError::AllSkipped { .. }
            | JobError::Media(_)
            | JobError::Processors(_)
            | JobError::Index(_)
            | JobError::Scenes(_) => Self::wrong(message),
            // A modality that a model lacks, a text that is too long for it.
            JobError::Encoders(_) | JobError::Fusion(_) => Self::wrong(message),
            _ => Self::broken(message),
        }
    }
}
