//! The `OpenAPI` document: what stands around the operations, and the problems that each can
//! answer. Operations, bodies and parameters are described beside their handlers.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bytes::Bytes;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::API;
use super::messages::ChatSchema;
use super::problem::{self, FaultBody, ProblemBody};
use crate::auth::SESSION_COOKIE;
use crate::protocol::ErrorCode;

/// The document before there is an operation in it.
pub(super) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Parlor")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A room server: sign in, enter rooms, talk, find everything again."))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let in_query = SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("token")));
    let in_cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE)));
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(bearer))
        .security_scheme("token_in_query", in_query)
        .security_scheme("cookie", in_cookie)
        .schema(ProblemBody::name(), ProblemBody::schema())
        .schema(FaultBody::name(), FaultBody::schema())
        .schema(ChatSchema::name(), ChatSchema::schema())
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Adds to every operation the problems that it can answer.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let problems = problems(path, operation);
            let responses = &mut operation.responses.responses;
            for (status, codes) in by_status(&problems) {
                responses.insert(status.to_string(), RefOr::T(response(status, &codes)));
            }
        }
    }
    document
}

/// What follows from what an operation takes, and what is its own.
fn problems(path: &str, operation: &Operation) -> Vec<ErrorCode> {
    let parameters = operation.parameters.iter().flatten();
    let takes_query = parameters.clone().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    });
    let mut problems = Vec::new();
    if operation.request_body.is_some() {
        problems.extend([ErrorCode::BadJson, ErrorCode::TooLarge, ErrorCode::UnsupportedMediaType]);
    }
    if operation.request_body.is_some() || takes_query {
        problems.push(ErrorCode::Invalid);
    }
    if operation.security.is_some() {
        problems.push(ErrorCode::Unauthorized);
    }
    if path.contains("{room}") {
        problems.push(ErrorCode::NoSuchRoom);
    }
    if path.starts_with(API) {
        problems.extend([ErrorCode::Overloaded, ErrorCode::Unavailable, ErrorCode::Internal]);
    }
    problems.extend_from_slice(own_problems(operation.operation_id.as_deref().unwrap_or_default()));
    problems
}

fn own_problems(operation: &str) -> &'static [ErrorCode] {
    match operation {
        "sign_up" => &[
            ErrorCode::UsernameTaken,
            ErrorCode::SignupClosed,
            ErrorCode::Forbidden,
            ErrorCode::RateLimited,
        ],
        "sign_in" => &[ErrorCode::Unauthorized, ErrorCode::Forbidden, ErrorCode::RateLimited],
        "delete_me" | "change_password" => &[ErrorCode::RateLimited],
        "create_room" => &[ErrorCode::SlugTaken, ErrorCode::RateLimited],
        "delete_room" => &[ErrorCode::Forbidden],
        "post_message" => {
            &[ErrorCode::MessageTooLarge, ErrorCode::IdConflict, ErrorCode::RateLimited]
        }
        "readyz" => &[ErrorCode::Unavailable],
        _ => &[],
    }
}

fn by_status(codes: &[ErrorCode]) -> BTreeMap<u16, Vec<&'static str>> {
    let mut by_status: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for code in codes {
        if let Some(status) = code.http_status() {
            by_status.entry(status).or_default().push(code.as_str());
        }
    }
    by_status
}

fn response(status: u16, codes: &[&str]) -> Response {
    let title = StatusCode::from_u16(status).map_or("Error", problem::title);
    let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let schema = Ref::from_schema_name(ProblemBody::name());
    ResponseBuilder::new()
        .description(format!("{title}: {}", codes.join(", ")))
        .content(problem::MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

pub(super) fn to_json(document: &OpenApi) -> Bytes {
    // Maps with strings for keys, lists and strings: there is nothing that could fail.
    document.to_json().unwrap_or_default().into()
}
