//! For operators, and for whoever asks for what is not there.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Http;
use super::problem::Problem;
use crate::domain::Refusal;
use crate::protocol::ErrorCode;

#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    status: &'static str,
}

/// Whether the process runs.
#[utoipa::path(
    get, path = "/livez", tag = "operators",
    responses((status = 200, description = "It runs.", body = Status)),
)]
pub(super) async fn livez() -> Json<Status> {
    Json(Status { status: "live" })
}

/// Whether the server can serve.
#[utoipa::path(
    get, path = "/readyz", tag = "operators",
    responses((status = 200, description = "It can.", body = Status)),
)]
pub(super) async fn readyz(State(http): State<Http>) -> Result<Json<Status>, Problem> {
    if http.readiness.is_draining() {
        return Err(Problem::from(Refusal::Unavailable).saying("the server is stopping"));
    }
    if !http.app.is_storing() {
        return Err(Refusal::Unavailable.into());
    }
    Ok(Json(Status { status: "ready" }))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operators",
    responses((status = 200, description = "The HTTP calls.", body = Object)),
)]
pub(super) async fn openapi(State(http): State<Http>) -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], http.document)
}

pub(super) async fn not_found() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is nothing at this path")
}

pub(super) async fn method_not_allowed() -> Problem {
    let detail = "this path does not take this method; the header Allow names those it takes";
    Problem::new(ErrorCode::MethodNotAllowed, detail)
}
