//! What browsers are told about calls from pages of other servers: those that the operator lists
//! may call the API and see its answers. They show a token; the cookie is never theirs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::API;
use crate::auth::{Header, Origins};
use crate::domain::limits::PREFLIGHT_AGE;

const METHODS: &str = "GET, POST, DELETE";
const HEADERS: &str = "authorization, content-type, last-event-id, x-request-id";
const EXPOSED: &str = "retry-after, x-request-id";

pub(super) async fn cors(
    State(origins): State<Arc<Origins>>,
    request: Request,
    next: Next,
) -> Response {
    if origins.allowed.is_empty() || !is_of_api(request.uri().path()) {
        return next.run(request).await;
    }
    let allowed = allowed(&origins, request.headers());
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &allowed {
        Some(_) if asks_first => preflight(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    // Nobody on the way may keep the answer to one page for another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

fn is_of_api(path: &str) -> bool {
    path.strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The request's origin, if it is one of those listed.
fn allowed(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let told = Header::of(headers.get_all(ORIGIN).iter().map(HeaderValue::as_bytes));
    if origins.allow(told) { headers.get(ORIGIN).cloned() } else { None }
}

fn preflight() -> Response {
    let headers = [
        // Else the router adds what its route takes, and the answer says two things.
        (ALLOW, HeaderValue::from_static(METHODS)),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE.as_secs().into()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
