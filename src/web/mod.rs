//! The embedded page and the client library: where they are found, and the headers that keep the
//! page to itself.

mod assets;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use assets::Asset;

use crate::domain::WebOrigin;
use crate::domain::limits::HOST_BYTES;

/// Nothing is loaded from elsewhere, nothing inline runs, no text becomes a script, no form leaves
/// the page by itself, and no other page may put this one into a frame. The one policy of trusted
/// types that is allowed lets the page name its service worker, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types parlor-worker; \
                      connect-src 'self'";

/// A colon and a port.
const PORT_BYTES: usize = 6;

/// The page at `/`, its parts, and the client library, for a router of any state. `public`: where
/// browsers find them, if not as their `Host` header says.
pub fn router<S: Clone + Send + Sync + 'static>(public: Option<&WebOrigin>) -> Router<S> {
    let named = public.map(policy_of);
    let at = |asset: &'static Asset| {
        let named = named.clone();
        get(move |headers: HeaderMap| async move {
            let policy = named.unwrap_or_else(|| policy(headers.get(HOST)));
            answer(asset, &headers, policy)
        })
    };
    let mut router = Router::new();
    for asset in assets::all() {
        router = router.route(asset.path, at(asset));
        if asset.path == "/" {
            // A link to a room: which one it is, the page itself sees.
            router = router.route("/r/{room}", at(asset));
        }
    }
    router
}

fn answer(asset: &Asset, request: &HeaderMap, policy: HeaderValue) -> Response {
    let gzip = if accepts_gzip(request) { asset.gzip() } else { None };
    let etag = asset.etag(gzip.is_some());
    let mut headers = guards(policy);
    // Kept, and asked for again each time: an upgraded server's page is there at the next load.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if asset.path.starts_with("/parlor.") {
        // Pages of other origins may import the library.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    let known = is_known(request, &etag);
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    if gzip.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (headers, gzip.unwrap_or_else(|| asset.plain())).into_response()
}

fn guards(policy: HeaderValue) -> HeaderMap {
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    HeaderMap::from_iter([
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (opener, HeaderValue::from_static("same-origin")),
    ])
}

/// Whether `gzip` is named, and not by way of refusing it (`;q=0`).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("0");
        let wanted = weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && wanted
    })
}

/// Whether what the browser has is this. An intermediary may have made the validator a weak one.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// Not every browser takes `'self'` to cover a WebSocket to the same host, so it is named too,
/// where it has a name that can stand in a policy. The request tells no scheme.
fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let host = host.and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    naming(&host.map_or_else(String::new, |host| format!(" ws://{host} wss://{host}")))
}

/// The same where it is known under what the page is found.
fn policy_of(public: &WebOrigin) -> HeaderValue {
    let socket = public.to_string().replacen("http", "ws", 1);
    let host = socket.split("://").nth(1).unwrap_or_default();
    naming(&if is_host(host) { format!(" {socket}") } else { String::new() })
}

fn naming(sockets: &str) -> HeaderValue {
    let named = HeaderValue::try_from(format!("{POLICY}{sockets}"));
    named.unwrap_or(HeaderValue::from_static(POLICY))
}

/// A name or an IPv4 address, with or without a port: what the grammar of policies allows.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "80"));
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    text.len() <= HOST_BYTES + PORT_BYTES
        && !name.is_empty()
        && name.bytes().all(name_byte)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
}
