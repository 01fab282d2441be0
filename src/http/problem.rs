//! What went wrong, as a client may know it: problems of RFC 9457.

use std::borrow::Cow;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{FieldError, Invalid, Millis, Refusal};
use crate::protocol::ErrorCode;

pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is not what was asked for. Its body is written last, by [`Problem::render`],
/// because it names the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    code: ErrorCode,
    detail: Cow<'static, str>,
    faults: Invalid,
    retry_after: Option<Millis>,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemBody<'a> {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// For people; the words may change.
    detail: &'a str,
    /// For programs; it does not change.
    #[schema(example = "invalid")]
    code: &'static str,
    /// The same as the header `x-request-id`.
    request_id: &'a str,
    /// With `invalid`: every field that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FaultBody<'a>>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
pub(super) struct FaultBody<'a> {
    field: &'a str,
    message: &'a str,
}

impl<'a> From<&'a FieldError> for FaultBody<'a> {
    fn from(error: &'a FieldError) -> Self {
        Self { field: &error.field, message: &error.message }
    }
}

impl Problem {
    pub(super) fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { code, detail, faults: Invalid::default(), retry_after: None }
    }

    /// The same problem in other words.
    pub(super) fn saying(self, detail: &'static str) -> Self {
        Self { detail: detail.into(), ..self }
    }

    fn status(&self) -> StatusCode {
        let status = self.code.http_status().and_then(|status| StatusCode::from_u16(status).ok());
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The whole body.
    fn render(&self, request_id: &str) -> Vec<u8> {
        let errors = self.faults.errors().iter().map(FaultBody::from).collect();
        let body = ProblemBody {
            r#type: "about:blank",
            title: title(self.status()),
            status: self.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: Some(errors).filter(|_| self.code == ErrorCode::Invalid),
        };
        // Strings and numbers alone: there is nothing that could fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// Gives `response` the body of the problem that it stands for, if it does, and tells which.
    pub(super) fn write_into(response: &mut Response, request_id: &str) -> Option<ErrorCode> {
        let problem = response.extensions_mut().remove::<Self>()?;
        let body = problem.render(request_id);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CONTENT_LENGTH, body.len().into());
        *response.body_mut() = body.into();
        Some(problem.code)
    }
}

/// As RFC 9110 calls it now, which differs from what older texts and libraries say.
pub(super) fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = ErrorCode::from(&refusal);
        if code.http_status().is_none() {
            tracing::error!(%refusal, "a refusal that only sockets have");
            return Refusal::Internal.into();
        }
        let retry_after = refusal.retry_after();
        let (detail, faults) = match refusal {
            Refusal::Invalid(faults) => ("the request has invalid fields".into(), faults),
            other => (other.to_string().into(), Invalid::default()),
        };
        Self { code, detail, faults, retry_after }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if self.code == ErrorCode::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, wait.div_ceil(1000).max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;

    async fn rendered(problem: Problem) -> (Response<Body>, serde_json::Value) {
        let mut response = problem.into_response();
        Problem::write_into(&mut response, "r1");
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(head, Body::empty()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_problem_says_all_that_a_client_may_know() {
        let mut faults = Invalid::default();
        faults.push("username", "is required");
        faults.push("password", "must be a string");
        let (response, body) = rendered(Refusal::Invalid(faults).into()).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Unprocessable Content", "status": 422,
                "detail": "the request has invalid fields", "code": "invalid", "requestId": "r1",
                "errors": [
                    {"field": "username", "message": "is required"},
                    {"field": "password", "message": "must be a string"},
                ],
            })
        );
    }

    #[tokio::test]
    async fn waiting_is_told_in_whole_seconds_rounded_up() {
        for (refusal, status, seconds) in [
            (Refusal::RateLimited { retry_after: 1_001 }, 429, "2"),
            (Refusal::RateLimited { retry_after: 0 }, 429, "1"),
            (Refusal::Overloaded, 503, "1"),
            (Refusal::Unavailable, 503, "2"),
        ] {
            let (response, body) = rendered(refusal.into()).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["retry-after"], seconds);
            assert!(body.get("errors").is_none());
        }
        let (response, _) = rendered(Refusal::NoSuchRoom.into()).await;
        assert!(response.headers().get("retry-after").is_none());
    }

    #[tokio::test]
    async fn what_only_sockets_have_is_a_fault_of_ours() {
        for refusal in [Refusal::NotInRoom, Refusal::TooManyRooms { limit: 1 }] {
            let (response, body) = rendered(refusal.into()).await;
            assert_eq!(response.status(), 500);
            assert_eq!(body["code"], "internal");
            assert_eq!(body["detail"], "internal error");
        }
    }

    #[test]
    fn no_code_that_http_has_is_without_a_title() {
        for code in ErrorCode::ALL {
            let problem = Problem::new(code, "");
            if code.http_status().is_some() {
                assert_ne!(title(problem.status()), "Error", "{}", code.as_str());
            }
        }
    }
}
