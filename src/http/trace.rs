//! Around every request: its id, its line in the log, its count, and what each answer carries.

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument;

use super::problem::Problem;
use crate::auth::random;
use crate::domain::UserId;
use crate::domain::limits::REQUEST_ID_BYTES;
use crate::metrics::Metrics;
use crate::protocol::ErrorCode;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths that something asks for every few seconds: not worth a line each.
const QUIET: [&str; 2] = ["/livez", "/readyz"];

/// Who asks, once an extractor has found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Speaker(Arc<OnceLock<UserId>>);

impl Speaker {
    pub(super) fn is(&self, user: UserId) {
        // Only the first is asked for, and it stays the same for a request.
        let _ = self.0.set(user);
    }
}

pub(super) async fn trace(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let speaker = Speaker::default();
    request.extensions_mut().insert(speaker.clone());
    let method = request.method().clone();
    // Never the query: it can hold a token.
    let path = match request.extensions().get::<MatchedPath>() {
        Some(matched) => matched.as_str().to_owned(),
        None => request.uri().path().to_owned(),
    };
    // Whatever is logged on the way says for which request.
    let span = tracing::error_span!("request", request_id = %id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(code) = complete(&mut response, &id) {
        metrics.refused(code);
    }
    let status = response.status().as_u16();
    metrics.answered(status);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let user = speaker.0.get().map(|user| user.get());
    if QUIET.contains(&path.as_str()) {
        tracing::debug!(%method, path, status, ms, request_id = %id, user, "request");
    } else {
        tracing::info!(%method, path, status, ms, request_id = %id, user, "request");
    }
    response
}

fn complete(response: &mut Response, id: &RequestId) -> Option<ErrorCode> {
    let refused = Problem::write_into(response, &id.0);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    refused
}

/// Names one request in the log and in its answer: letters, digits, `_` and `-`.
#[derive(Debug, PartialEq, Eq)]
struct RequestId(String);

impl RequestId {
    /// The client's own, where it is harmless, so that its log and ours can be put side by side.
    fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        own.filter(|id| is_harmless(id)).map_or_else(Self::random, |id| Self(id.to_owned()))
    }

    fn random() -> Self {
        match random::bytes() {
            Ok(bytes) => Self(format!("{:016x}", u64::from_ne_bytes(bytes))),
            // The request is worth more than its name.
            Err(_) => Self("unnamed".to_owned()),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_harmless(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(own: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(own.as_bytes()).unwrap());
        RequestId::of(&headers).0
    }

    #[test]
    fn a_harmless_id_of_the_clients_is_kept() {
        for own in ["a", "A-b_9", &"x".repeat(REQUEST_ID_BYTES)] {
            assert_eq!(of(own), own);
        }
    }

    #[test]
    fn any_other_is_replaced_by_sixteen_random_digits() {
        let long = "x".repeat(REQUEST_ID_BYTES + 1);
        for own in ["", "a b", "a\"b", "ü", "a;b", &long] {
            let id = of(own);
            assert_eq!(id.len(), 16, "{own:?} became {id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        assert_ne!(RequestId::random(), RequestId::random());
    }
}
