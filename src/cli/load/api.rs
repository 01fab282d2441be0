//! The few HTTP calls that a run makes: one connection each, since none of them is under load.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::hold::error_code;
use super::target::Target;
use crate::protocol::ErrorCode;

/// For a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Of an answer; the largest that is asked for is an account.
const ANSWER_BYTES: usize = 64 * 1024;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    Refused(Refused),
    /// Nobody took the call.
    Unheard(String),
    /// There is no answer, or none that can be understood; it may have had its effect.
    Failed(String),
}

impl CallError {
    pub fn had_no_effect(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unheard(_))
    }
}

/// The server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: Option<ErrorCode>,
    pub detail: String,
    /// Fields at fault.
    pub fields: Vec<String>,
    pub retry_after: Option<Duration>,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refused { status, code: Some(code), detail, .. }) => {
                write!(f, "{status} {}: {detail}", code.as_str())
            }
            Self::Refused(Refused { status, detail, .. }) => write!(f, "{status} {detail}"),
            Self::Unheard(reason) | Self::Failed(reason) => f.write_str(reason),
        }
    }
}

/// An account as signing up or in tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub token: String,
    pub is_admin: bool,
}

#[derive(Debug, Clone)]
pub struct Api {
    target: Target,
}

impl Api {
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    pub async fn sign_up(&self, username: &str, password: &str) -> Result<SignedIn, CallError> {
        let body = json!({"username": username, "password": password});
        signed_in(&self.call(Method::POST, "/signup", None, Some(&body)).await?)
    }

    pub async fn sign_in(&self, username: &str, password: &str) -> Result<SignedIn, CallError> {
        let body = json!({"username": username, "password": password});
        signed_in(&self.call(Method::POST, "/signin", None, Some(&body)).await?)
    }

    pub async fn delete_account(&self, token: &str, password: &str) -> Result<(), CallError> {
        let body = json!({"password": password});
        self.call(Method::DELETE, "/me", Some(token), Some(&body)).await.map(drop)
    }

    /// Gives the room's id.
    pub async fn make_room(&self, token: &str, slug: &str) -> Result<u64, CallError> {
        let body = json!({"name": slug, "slug": slug});
        let answer = self.call(Method::POST, "/rooms", Some(token), Some(&body)).await?;
        let id = answer["room"]["roomId"].as_u64();
        id.ok_or_else(|| CallError::Failed("a room was made without a roomId".to_owned()))
    }

    pub async fn delete_room(&self, token: &str, slug: &str) -> Result<(), CallError> {
        let path = format!("/rooms/{slug}");
        self.call(Method::DELETE, &path, Some(token), None).await.map(drop)
    }

    /// `path` below `/api/v1`.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let what = format!("{method} {path}");
        let told = |reason: String| format!("{what}: {reason}");
        let uri = format!("/api/v1{path}");
        let mut request =
            Request::builder().method(method).uri(uri).header(HOST, &self.target.host);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = request.header(CONNECTION, "close").body(Full::new(body));
        let request = request.map_err(|error| CallError::Unheard(told(error.to_string())))?;
        let (end, late) = (Instant::now() + CALL_TIMEOUT, CALL_TIMEOUT.as_secs());
        let socket = match timeout_at(end, TcpStream::connect(self.target.addr)).await {
            Ok(socket) => socket.map_err(|error| error.to_string()),
            Err(_) => Err(format!("not within {late} s")),
        };
        let nowhere = |why| told(format!("no connection to {}: {why}", self.target.host));
        let socket = socket.map_err(|why| CallError::Unheard(nowhere(why)))?;
        let (status, headers, body) = match timeout_at(end, exchange(socket, request)).await {
            Ok(answer) => answer.map_err(|error| CallError::Failed(told(error)))?,
            Err(_) => return Err(CallError::Failed(told(format!("no answer within {late} s")))),
        };
        read(status, &headers, &body)
    }
}

async fn exchange(
    socket: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, HeaderMap, Bytes), String> {
    let handshake = http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    // Ends with the answer, or when its other half is dropped; a failure shows there too.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((head.status, head.headers, body))
}

fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Value, CallError> {
    let json = serde_json::from_slice::<Value>(body);
    if status.is_success() {
        let odd = |error| CallError::Failed(format!("{status}, but not JSON: {error}"));
        return if body.is_empty() { Ok(Value::Null) } else { json.map_err(odd) };
    }
    let json = json.unwrap_or_default();
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = |error: &Value| error["field"].as_str().map(str::to_owned);
    let title = || status.canonical_reason().unwrap_or_default();
    Err(CallError::Refused(Refused {
        status: status.as_u16(),
        code: json["code"].as_str().and_then(error_code),
        detail: json["detail"].as_str().unwrap_or_else(title).to_owned(),
        fields: errors.iter().filter_map(field).collect(),
        retry_after: seconds.map(Duration::from_secs),
    }))
}

fn signed_in(answer: &Value) -> Result<SignedIn, CallError> {
    let token = answer["token"].as_str();
    let token = token.ok_or_else(|| CallError::Failed("an account without a token".to_owned()))?;
    Ok(SignedIn { token: token.to_owned(), is_admin: answer["user"]["role"] == "admin" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_with_all_that_matters() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, 6.into());
        let body = br#"{"code":"rate_limited","detail":"wait","errors":[{"field":"a"}]}"#;
        let Err(CallError::Refused(refused)) = read(StatusCode::TOO_MANY_REQUESTS, &headers, body)
        else {
            panic!("not refused");
        };
        let expected = Refused {
            status: 429,
            code: Some(ErrorCode::RateLimited),
            detail: "wait".to_owned(),
            fields: vec!["a".to_owned()],
            retry_after: Some(Duration::from_secs(6)),
        };
        assert_eq!(refused, expected);
    }

    #[test]
    fn answers_of_something_else_are_told_as_they_are() {
        let headers = HeaderMap::new();
        let said = |status, body: &[u8]| read(status, &headers, body).unwrap_err().to_string();
        assert_eq!(said(StatusCode::BAD_GATEWAY, b"<html>"), "502 Bad Gateway");
        assert!(said(StatusCode::OK, b"<html>").starts_with("200 OK, but not JSON"));
        assert_eq!(read(StatusCode::NO_CONTENT, &headers, b""), Ok(Value::Null));
    }
}
