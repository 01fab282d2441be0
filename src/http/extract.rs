//! What handlers ask for: who speaks, from where, about which room, and with what body.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Http;
use super::problem::Problem;
use super::trace::Speaker;
use crate::auth::{Facts, NotShown, Shown};
use crate::domain::limits::{BODY_BYTES, BODY_TIMEOUT, ERROR_DETAIL_CHARACTERS};
use crate::domain::{Identity, Limits, Refusal, RoomRef};
use crate::protocol::{ErrorCode, Fields, Value};
use crate::transport::Budget;

/// The other end of the connection. Whoever accepts connections puts it into each request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddr(pub SocketAddr);

impl PeerAddr {
    pub(super) fn ip(self) -> IpAddr {
        self.0.ip()
    }
}

impl<S: Sync> FromRequestParts<S> for PeerAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let local = Self(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(parts.extensions.get().copied().unwrap_or(local))
    }
}

impl FromRequestParts<Http> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        Ok(Asker::of(parts, None, http).await?.identity)
    }
}

/// Who asks, and by which token.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) identity: Identity,
    pub(super) token: String,
    /// Whether the browser showed it by itself.
    pub(super) by_cookie: bool,
}

impl FromRequestParts<Http> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        Self::of(parts, None, http).await
    }
}

/// Who opens a stream: the token may stand in the query, where browsers have to put it; that one
/// goes first, as it does for a WebSocket.
#[derive(Debug)]
pub(super) struct Listener(pub(super) Asker);

impl FromRequestParts<Http> for Listener {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        Ok(Self(Asker::of(parts, parts.uri.query(), http).await?))
    }
}

impl Asker {
    /// Whose token the request shows, in `query` or in its headers; the log is told who it is.
    async fn of(parts: &Parts, query: Option<&str>, http: &Http) -> Result<Self, Problem> {
        let facts = facts(parts, query);
        let shown = http.app.settings.origins.shown(&facts).map_err(not_shown)?;
        let (identity, token) = http.app.authenticate_one(&shown.tokens()).await?;
        if let Some(speaker) = parts.extensions.get::<Speaker>() {
            speaker.is(identity.user_id);
        }
        let by_cookie = matches!(shown, Shown::Cookies(_));
        Ok(Self { identity, token, by_cookie })
    }
}

/// What a request says about who asks. `query`: where a token may stand in it.
pub(super) fn facts<'a>(parts: &'a Parts, query: Option<&'a str>) -> Facts<'a> {
    let reads = [Method::GET, Method::HEAD].contains(&parts.method);
    Facts::gather(|name| parts.headers.get_all(name), query, reads)
}

fn not_shown(why: NotShown) -> Problem {
    let problem = Problem::from(Refusal::Unauthorized);
    match why {
        NotShown::Nothing => problem,
        NotShown::Foreign => problem.saying(
            "the session's cookie counts on this server's own page only; behind a proxy, \
             public_url has to say what that is",
        ),
    }
}

/// The `{room}` of a path; what cannot name a room names one that is not there.
#[derive(Debug)]
pub(super) struct RoomPath(pub(super) RoomRef);

impl FromRequestParts<Http> for RoomPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, http).await.ok();
        let room = text.and_then(|Path(text)| RoomRef::parse(&text));
        room.map(Self).ok_or_else(|| Refusal::NoSuchRoom.into())
    }
}

/// A request that is read from the fields of a JSON object.
pub(super) trait FromFields: Sized {
    /// Fails with every fault of every field.
    fn from_fields(fields: Fields<'_>, limits: &Limits) -> Result<Self, Refusal>;
}

/// The request's body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: FromFields> FromRequest<Http> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Problem> {
        if !is_json(request.headers().get(CONTENT_TYPE)) {
            let detail = "a body must be declared as Content-Type: application/json";
            return Err(Problem::new(ErrorCode::UnsupportedMediaType, detail));
        }
        let bytes = read(request, BODY_TIMEOUT, &http.bodies).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| bad_json("it is not UTF-8"))?;
        let fields = Fields::parse(text).map_err(|error| bad_json(&error.to_string()))?;
        Ok(Self(T::from_fields(fields, &http.app.settings.limits)?))
    }
}

/// With or without parameters; the text is UTF-8 whatever they say.
fn is_json(media_type: Option<&HeaderValue>) -> bool {
    let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Bytes of bodies that are being read, charged to all of them together until dropped.
struct Charged {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charged {
    fn add(&mut self, bytes: usize) -> Result<(), Problem> {
        if self.budget.is_spent() {
            return Err(Refusal::Overloaded.into());
        }
        self.budget.add(bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

async fn read(
    request: Request,
    patience: Duration,
    budget: &Arc<Budget>,
) -> Result<Bytes, Problem> {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES as u64) {
        return Err(too_large());
    }
    let whole = collect(request.into_body(), Charged { budget: Arc::clone(budget), bytes: 0 });
    let late = || Problem::new(ErrorCode::BadJson, "the body did not arrive in time");
    tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| Err(late()))
}

async fn collect(body: axum::body::Body, mut charged: Charged) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, BODY_BYTES);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large();
            }
            Problem::new(ErrorCode::BadJson, "the body broke off")
        })?;
        if let Ok(data) = frame.into_data() {
            charged.add(data.len())?;
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

fn too_large() -> Problem {
    let detail = format!("a body may have at most {BODY_BYTES} bytes");
    Problem::new(ErrorCode::TooLarge, detail)
}

/// The reason can quote the body, so it is cut.
fn bad_json(reason: &str) -> Problem {
    let reason: String = reason.chars().take(ERROR_DETAIL_CHARACTERS).collect();
    Problem::new(ErrorCode::BadJson, format!("the body is not one JSON object: {reason}"))
}

/// Reads a string by the rules of one kind of text.
pub(super) fn text<T, E: fmt::Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl for<'a> FnOnce(Value<'a>) -> Result<T, String> {
    |value| {
        let text = value.text()?;
        parse(&text).map_err(|error| error.to_string())
    }
}

/// What was read, or every fault. `None` means that there is one.
pub(super) fn finish<T>(fields: Fields<'_>, read: Option<T>) -> Result<T, Refusal> {
    let faults = fields.into_faults();
    match read {
        Some(read) if faults.is_empty() => Ok(read),
        _ => Err(faults.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};

    #[test]
    fn only_json_is_json() {
        let is_json = |text: &str| is_json(Some(&HeaderValue::from_str(text).unwrap()));
        for good in ["application/json", "Application/JSON ; charset=utf-8", "application/json;"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/plain", "application/jsonp", "application/json, text/plain"] {
            assert!(!is_json(bad), "{bad}");
        }
        assert!(!super::is_json(None));
    }

    fn stream_of(chunks: usize, bytes: usize) -> Request {
        let chunk = Bytes::from(vec![b' '; bytes]);
        let chunks = std::iter::repeat_n(Ok::<_, Infallible>(chunk), chunks);
        Request::new(axum::body::Body::from_stream(stream::iter(chunks)))
    }

    #[tokio::test]
    async fn a_body_that_does_not_tell_its_length_is_bounded_too() {
        let budget = Budget::new(1 << 20);
        let read = |chunks| read(stream_of(chunks, BODY_BYTES / 2), BODY_TIMEOUT, &budget);
        assert_eq!(read(2).await.unwrap().len(), BODY_BYTES);
        assert_eq!(read(3).await, Err(too_large()));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded() {
        let budget = Budget::new(1_000);
        budget.add(999);
        let read = || read(stream_of(2, 1), BODY_TIMEOUT, &budget);
        assert_eq!(read().await, Err(Refusal::Overloaded.into()));
        assert_eq!(budget.used(), 999);
        budget.give_back(1);
        assert!(read().await.is_ok());
    }

    #[tokio::test]
    async fn a_body_has_its_time() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let body = axum::body::Body::from_stream(first.chain(stream::pending()));
        let problem = read(Request::new(body), Duration::ZERO, &Budget::new(9)).await.unwrap_err();
        assert_eq!(problem, Problem::new(ErrorCode::BadJson, "the body did not arrive in time"));
    }

    #[test]
    fn a_reason_is_cut() {
        let long = bad_json(&"ü".repeat(100_000));
        assert!(format!("{long:?}").len() < 1_000);
    }
}
