//! `GET /ws`: the handshake, and the raw socket taken back from the HTTP server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::session::{Sessions, serve_tcp};
use crate::app::App;
use crate::auth::{Facts, Origins, Shown};
use crate::domain::Refusal;
use crate::transport::PatientStream;

/// What keeps an accepted socket counted; the session holds it to its end.
#[derive(Debug, Clone)]
pub struct Socket(pub Arc<tokio::sync::OwnedSemaphorePermit>);

pub fn router<S: Clone + Send + Sync + 'static>(sessions: Arc<Sessions>) -> Router<S> {
    Router::new().route("/ws", get(upgrade)).with_state(sessions)
}

async fn upgrade(State(sessions): State<Arc<Sessions>>, mut request: Request) -> Response {
    let Some(accept) = accept_key(request.method(), request.headers()) else {
        return refuse();
    };
    let tokens = tokens(&request, &sessions.app.settings.origins);
    let socket = request.extensions().get::<Socket>().cloned();
    let Some(upgraded) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refuse();
    };
    let token = the_one(tokens, &sessions.app).await;
    let task = Arc::clone(&sessions);
    sessions.tracker.spawn(async move {
        if let Some((raw, read_already)) = upgraded.await.ok().and_then(raw_socket) {
            let serving = serve_tcp(Arc::clone(&task), raw, &read_already, token);
            // A task of its own, which holds nothing of this one. The socket counts to its end.
            task.tracker.spawn(serving.map(|()| drop(socket)));
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, UPGRADE.into());
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The socket from under HTTP, and the buffer with what it had read of the frames: 8 KiB, not to be
/// held for as long as the connection lives.
fn raw_socket(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<PatientStream>>() else {
        tracing::error!("an upgraded connection is not one of ours");
        return None;
    };
    Some((io.into_inner().into_inner(), read_buf))
}

/// The answer to the client's key; `None` for anything but a WebSocket handshake of version 13.
fn accept_key(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    let handshake = *method == Method::GET
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket")
        && has(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| handshake)?;
    derive_accept_key(key.as_bytes()).try_into().ok()
}

fn refuse() -> Response {
    let mut response =
        Response::new(Body::from("This address speaks WebSocket, version 13, and nothing else.\n"));
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// The token in the query, as a browser must send one that it was given, in the header, or in the
/// cookie of the server's own page, of which there may be several.
fn tokens(request: &Request, origins: &Origins) -> Vec<String> {
    let header = |name| request.headers().get_all(name);
    let facts = Facts::gather(header, request.uri().query(), false);
    let shown = origins.shown(&facts).ok();
    shown.iter().flat_map(Shown::tokens).map(str::to_owned).collect()
}

/// Of several the one that is worth something.
async fn the_one(tokens: Vec<String>, app: &App) -> Option<String> {
    if tokens.len() > 1 {
        match app.authenticate_one(&tokens).await {
            Ok((_, token)) => return Some(token),
            Err(Refusal::Unauthorized) => return None,
            // The session meets it, too, and ends with it.
            Err(_) => {}
        }
    }
    tokens.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::WebOrigin;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let request = Request::builder().uri(uri);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    }

    const HANDSHAKE: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        let request = request("/ws", &HANDSHAKE);
        let accept = accept_key(request.method(), request.headers()).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn every_part_of_the_handshake_is_needed() {
        for left_out in 0..HANDSHAKE.len() {
            let mut headers = HANDSHAKE.to_vec();
            headers.remove(left_out);
            let request = request("/ws", &headers);
            assert!(accept_key(request.method(), request.headers()).is_none(), "{left_out}");
        }
        assert!(accept_key(&Method::POST, request("/ws", &HANDSHAKE).headers()).is_none());
    }

    #[test]
    fn the_token_comes_in_the_query_in_the_header_or_in_the_cookie_of_our_own_page() {
        let token = |uri, headers: &[_]| {
            tokens(&request(uri, headers), &Origins::default()).into_iter().next()
        };
        assert_eq!(token("/ws?a=1&token=x%2By", &[]).as_deref(), Some("x+y"));
        assert_eq!(token("/ws", &[("authorization", "bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(token("/ws", &[("authorization", "Basic abc")]), None);
        let cookie = ("cookie", "parlor_session=abc");
        let (host, own) = (("host", "chat.example.org"), ("origin", "https://chat.example.org"));
        assert_eq!(token("/ws", &[cookie, host, own]).as_deref(), Some("abc"));
        assert_eq!(token("/ws", &[cookie, host, ("origin", "https://evil.example")]), None);
        assert_eq!(token("/ws", &[cookie, host]), None);
        // A read would be taken here.
        let public = WebOrigin::parse("http://chat.example.org");
        let bare = request("/ws", &[cookie, host]);
        assert!(tokens(&bare, &Origins { public, ..Origins::default() }).is_empty());
    }
}
